// grow.hpp - starting a growth, and moving one old bucket. Part of map_core;
// core.hpp tells the story.
//
// Halfway from 4 buckets to 8, nevacuate = 2, and bucket 3 moved out of turn because
// somebody wrote to it:
//
//                 0       1       2       3
//   oldbuckets | moved | moved | live  | moved |
//                               ^ nevacuate
//                 0       1       2       3       4       5       6       7
//   buckets    | live  | live  |       | live  | live  | live  |       | live  |
//                                 ^                               ^
//                  old bucket 2 goes here (X), and here (Y): 2 + 4
//
// One more bit of the hash chooses between X and Y. The top byte stays. A write
// moves the old bucket of its own key and the one at nevacuate, so the growth ends
// before the next can begin: it takes at most 2^B writes, and the next start is
// 6.5 * 2^B entries away.
//
// Keys that are not equal to themselves (NaN) hash differently each time. While a
// walk may be under way (flag_iterator) the low bit of the old top byte decides for
// them, as it does in the walk, and they get a new top byte from the new hash.
#pragma once

#include <chrono>
#include <memory>

#include "steady/core/hooks.hpp"
#include "steady/core/units.hpp"
#include "steady/go/detail/core.hpp"
#include "steady/os/memory.hpp"

namespace steady::go::internal {

/// What each cell of a chain becomes, settled before the first one moves.
template <class Layout>
struct map_core<Layout>::move_plan {
    static constexpr std::size_t at_hand = 4 * cells;

    std::uint8_t first_tops[at_hand];
    std::uint8_t first_ways[at_hand];
    std::unique_ptr<std::uint8_t[]> more;
    std::uint8_t* tops = first_tops;  // 0: empty
    std::uint8_t* ways = first_ways;  // 0: X, 1: Y
    std::size_t overflows = 0;        // buckets needed beyond the two heads
    unsigned counted = 0;             // how far they advance noverflow
    std::size_t moved = 0;            // live cells

    void make_room(std::size_t count) {
        if (count <= at_hand) return;
        more.reset(new std::uint8_t[2 * count]);
        tops = more.get();
        ways = more.get() + count;
    }
};

/// Nanoseconds of a clock that only goes forward.
[[nodiscard]] inline std::uint64_t growth_clock() noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

/// Go's hashGrow. The entries move later, bucket by bucket.
template <class Layout>
void map_core<Layout>::start_growth() {
    const std::uint64_t began = growth_hook.armed() ? growth_clock() : 0;
    const bool bigger = over_load_factor(static_cast<std::uint64_t>(h->count) + 1, h->B);
    const unsigned B = h->B + (bigger ? 1u : 0u);
    if (walked()) side->have_spare();
    bmap* next_overflow = nullptr;
    bmap* const array = make_array(B, next_overflow, true);
    if (next_overflow != nullptr && h->extra == nullptr) {
        try {
            need_extra();
        } catch (...) {
            free_object(array);
            throw;
        }
    }
    unsigned flags = h->flags;
    if (!bigger) flags |= flag_same_size;
    const bool walking = (flags & flag_iterator) != 0;
    flags &= ~unsigned{flag_iterator | flag_old_iterator};
    if (walking) flags |= flag_old_iterator;

    h->B = static_cast<std::uint8_t>(B);
    store_flags(h, flags);
    h->oldbuckets = h->buckets;
    h->buckets = array;
    h->nevacuate = 0;
    h->noverflow = 0;
    if (h->extra != nullptr) {
        if (h->extra->overflow != nullptr) {
            h->extra->oldoverflow = std::exchange(h->extra->overflow, nullptr);
        }
        if (next_overflow != nullptr) h->extra->nextOverflow = next_overflow;
    }
    // Of the new array only its last spare has been written.
    if (growth_hook.armed()) announce_growth(0, next_overflow != nullptr ? 1 : 0, began);
}

// How far ahead of nevacuate buckets are asked for, and what their keys point to.
inline constexpr std::size_t fetch_buckets_ahead = 6;
inline constexpr std::size_t fetch_keys_ahead = 3;

/// Asks at once for all that grow_work(index) and the search after it will look at, and
/// for what the next writes will: old buckets in order, and where they go.
template <class Layout>
[[gnu::always_inline]] inline void map_core<Layout>::fetch_growth(
    std::size_t index) const noexcept {
    const std::size_t old_buckets = h->old_bucket_count();
    fetch_move(index & (old_buckets - 1));
    if (h->nevacuate + fetch_buckets_ahead >= old_buckets) return;
    fetch_move(h->nevacuate + fetch_buckets_ahead);
    bmap* const soon = bucket(h->oldbuckets, h->nevacuate + fetch_keys_ahead);
    if (is_evacuated(soon)) return;
    for (const unsigned i : entries_of(soon)) t.fetch_key(key_at(soon, i));
}

/// Asks for an old bucket and the two that its entries will go to.
template <class Layout>
[[gnu::always_inline]] inline void map_core<Layout>::fetch_move(std::size_t index) const noexcept {
    const std::size_t to_y = h->same_size() ? 0 : h->old_bucket_count();
    for (const bmap* b : {bucket(h->oldbuckets, index), bucket(h->buckets, index),
                          bucket(h->buckets, index + to_y)}) {
        __builtin_prefetch(b);
        fetch_cells(b);
    }
}

/// Whether `elem` stands in one of the two old chains that grow_work(index) moves.
template <class Layout>
inline bool map_core<Layout>::about_to_move(std::size_t index, const void* elem) const noexcept {
    if (!h->growing()) [[likely]]
        return false;
    const auto at = reinterpret_cast<std::uintptr_t>(elem);
    // Moving the first may take nevacuate further, past buckets that moved out of turn.
    std::size_t next = h->nevacuate;
    const std::size_t own = index & (h->old_bucket_count() - 1), end = h->old_bucket_count();
    while (next < end && (next == own || is_evacuated(bucket(h->oldbuckets, next)))) ++next;
    for (const std::size_t old : {own, next < end ? next : own}) {
        for (bmap* b = bucket(h->oldbuckets, old); b != nullptr; b = overflow(b)) {
            if (at - reinterpret_cast<std::uintptr_t>(b) < t.bucket_size()) return true;
        }
    }
    return false;
}

/// The part of a write that a growth under way asks for: the old bucket behind the
/// bucket to be written, and one more so that the growth ends. A cell of that bucket
/// that the caller has in hand is tracked to where it goes.
template <class Layout>
void map_core<Layout>::grow_work(std::size_t bucket, cell* track) {
    evacuate(bucket & (h->old_bucket_count() - 1), track);
    if (h->growing()) evacuate(h->nevacuate);
}

/// grow_work() for the bucket of `hash`. Returns where the entry in `held` is then.
template <class Layout>
[[gnu::noinline]] cell map_core<Layout>::grow_work_with(std::uint64_t hash, cell held) {
    grow_work(hash & h->bucket_mask(), &held);
    return held;
}

/// Tells core's growth_hook of one step. `pages` is a bound on the system's pages that
/// were written for the first time.
template <class Layout>
[[gnu::cold, gnu::noinline]] void map_core<Layout>::announce_growth(
    std::size_t moved, std::size_t pages, std::uint64_t began) const noexcept {
    growth_hook.announce({.container = h,
                          .kind = "go::map",
                          .entries_moved = moved,
                          .pages_touched = pages,
                          .bytes_before = all_buckets(old_B()) * t.bucket_size(),
                          .bytes_after = all_buckets(h->B) * t.bucket_size(),
                          .nanoseconds = growth_clock() - began});
}

/// Moves the chain of an old bucket, unless it has moved already.
/// Throws   what the hash throws, std::bad_alloc; then nothing has moved.
template <class Layout>
void map_core<Layout>::evacuate(std::size_t index, cell* track) {
    const std::size_t old_buckets = h->old_bucket_count();
    bmap* const head = bucket(h->oldbuckets, index);
    if (!is_evacuated(head)) {
        const std::uint64_t began = growth_hook.armed() ? growth_clock() : 0;
        std::size_t moved, overflows = 0;
        if (overflow(head) == nullptr && (t.reflexive() || (h->flags & flag_iterator) == 0)) {
            moved = move_bucket(head, index, track);
        } else {
            moved = move_chain(head, index, track, overflows);
        }
        leave_behind(head);
        if constexpr (STEADY_CHECK >= 3) check_moved(index, moved);
        if (growth_hook.armed()) {
            constexpr std::size_t page = 4096;
            const std::size_t written = (h->same_size() ? 1 : 2) + overflows;
            announce_growth(moved, written * (1 + (t.bucket_size() + page - 2) / page), began);
        }
    }
    if (index == h->nevacuate) advance(old_buckets);
}

/// Moves a bucket without overflow buckets: neither way gets more than eight entries, so
/// nothing but a hash can fail. The states and the new top bytes are put together in
/// registers and stored as words; searches read them as words, and a word that was
/// stored byte by byte is not there before every store ahead of it is.
/// Returns  the entries moved.
template <class Layout>
inline std::size_t map_core<Layout>::move_bucket(bmap* head, std::size_t index, cell* track) {
    const std::size_t new_bit = h->same_size() ? 0 : h->old_bucket_count();
    const group8::mask live = entries_of(head);
    std::uint32_t ways = 0;  // a bit a cell: it goes to Y
    if (new_bit != 0) {
        for (const unsigned i : live) t.fetch_key(key_at(head, i));
        for (const unsigned i : live) {
            const bool y = (t.hash(key_at(head, i), h->hash0) & new_bit) != 0;
            ways |= std::uint32_t{y} << i;
        }
    }
    std::uint64_t tops;
    std::memcpy(&tops, head->tophash, sizeof tops);
    std::uint64_t states = 0x0101010101010101 * evacuated_empty;
    bmap* const to[2] = {bucket(h->buckets, index), bucket(h->buckets, index + new_bit)};
    std::uint64_t new_tops[2] = {0, 0};
    unsigned filled[2] = {0, 0};
    std::size_t moved = 0;
    for (const unsigned i : live) {
        const std::uint64_t top = tops >> (8 * i) & 0xff;
        STEADY_ASSERT(1, top >= min_top_hash, "G1: a cell of a live chain has moved");
        const unsigned way = ways >> i & 1;
        const unsigned n = filled[way]++;
        new_tops[way] |= top << (8 * n);
        states ^= std::uint64_t{evacuated_empty ^ (evacuated_x + way)} << (8 * i);
        relocate_cell({to[way], n}, {head, i});
        if (track != nullptr && track->b == head && track->i == i) [[unlikely]] {
            *track = {to[way], n};
            track = nullptr;
        }
        ++moved;
    }
    std::memcpy(head->tophash, &states, sizeof states);
    if (filled[0] != 0) std::memcpy(to[0]->tophash, &new_tops[0], sizeof tops);
    if (filled[1] != 0) std::memcpy(to[1]->tophash, &new_tops[1], sizeof tops);
    return moved;
}

/// The same for any chain.
/// Throws   also std::bad_alloc. `overflows` is set to the overflow buckets used.
template <class Layout>
[[gnu::noinline]] std::size_t map_core<Layout>::move_chain(bmap* head, std::size_t index,
                                                           cell* track, std::size_t& overflows) {
    move_plan p;
    plan(head, p);
    stock s{t.bucket_size()};
    if (p.overflows != 0) reserve_overflow(s, p.overflows);
    move(head, index, p, s, track);
    h->noverflow = static_cast<std::uint16_t>(h->noverflow + p.counted);
    overflows = p.overflows;
    return p.moved;
}

/// Moves key and elem from one cell to another.
template <class Layout>
[[gnu::always_inline]] inline void map_core<Layout>::relocate_cell(cell to, cell from) noexcept {
    if (t.indirect_key()) {
        *static_cast<void**>(key_cell(to.b, to.i)) = *static_cast<void**>(key_cell(from.b, from.i));
    } else {
        t.relocate_key(key_cell(to.b, to.i), key_cell(from.b, from.i));
    }
    if (t.indirect_elem()) {
        *static_cast<void**>(elem_cell(to.b, to.i)) =
            *static_cast<void**>(elem_cell(from.b, from.i));
    } else {
        t.relocate_elem(elem_cell(to.b, to.i), elem_cell(from.b, from.i));
    }
}

template <class Layout>
inline void map_core<Layout>::plan(bmap* head, move_plan& p) {
    if (overflow(head) != nullptr) {
        std::size_t count = 0;
        for (bmap* b = head; b != nullptr; b = overflow(b)) count += cells;
        p.make_room(count);
    }
    const bool same_size = h->same_size();
    const std::size_t new_bit = h->old_bucket_count();
    unsigned filled[2] = {0, 0};
    std::size_t n = 0;
    for (bmap* b = head; b != nullptr; b = overflow(b)) {
        for (unsigned i = 0; i < cells; ++i, ++n) {
            std::uint8_t top = b->tophash[i];
            if (is_empty(top)) {
                p.tops[n] = 0;
                continue;
            }
            STEADY_ASSERT(1, top >= min_top_hash, "G1: a cell of a live chain has moved");
            unsigned way = 0;
            if (!same_size) {
                const void* const key = key_at(b, i);
                const std::uint64_t hash = t.hash(key, h->hash0);
                way = (hash & new_bit) != 0 ? 1 : 0;
                if (!t.reflexive() && (h->flags & flag_iterator) != 0 && !t.equals_itself(key)) {
                    way = top & 1;
                    top = top_hash(hash);
                }
            }
            p.tops[n] = top;
            p.ways[n] = static_cast<std::uint8_t>(way);
            ++p.moved;
            if (filled[way] == cells) {
                ++p.overflows;
                p.counted += draw_overflow();
                filled[way] = 0;
            }
            ++filled[way];
        }
    }
}

template <class Layout>
inline void map_core<Layout>::move(bmap* head, std::size_t index, const move_plan& p, stock& s,
                                   cell* track) noexcept {
    struct {
        bmap* b;
        unsigned i;
    } to[2] = {{bucket(h->buckets, index), 0}, {nullptr, 0}};
    if (!h->same_size()) to[1].b = bucket(h->buckets, index + h->old_bucket_count());
    std::size_t n = 0;
    for (bmap* b = head; b != nullptr; b = overflow(b)) {
        for (unsigned i = 0; i < cells; ++i, ++n) {
            if (p.tops[n] == 0) {
                b->tophash[i] = evacuated_empty;
                continue;
            }
            const unsigned way = p.ways[n];
            b->tophash[i] = static_cast<std::uint8_t>(evacuated_x + way);
            auto& d = to[way];
            if (d.i == cells) d = {add_overflow(d.b, s), 0};
            d.b->tophash[d.i] = p.tops[n];
            relocate_cell({d.b, d.i}, {b, i});
            if (track != nullptr && track->b == b && track->i == i) {
                *track = {d.b, d.i};
                track = nullptr;
            }
            ++d.i;
        }
    }
}

/// What becomes of an old chain that has moved.
///
/// The replay does as Go: a bucket that a collector would scan is wiped, except for
/// its states, unless somebody may walk it; a pointer-free one stays as it is. go::map
/// knows whether somebody walks, and frees the overflow buckets then and there, so
/// that the end of a growth has nothing left to do.
template <class Layout>
inline void map_core<Layout>::leave_behind(bmap* head) noexcept {
    const bool unlink =
        Layout::as_go ? t.pointers() && (h->flags & flag_old_iterator) == 0 : !walked();
    if (!unlink) {
        if (!Layout::as_go) side->chains_left = true;
        return;
    }
    if (overflow(head) != nullptr) {
        free_chain(head, h->oldbuckets, all_buckets(old_B()), t.bucket_size());
        overflow(head) = nullptr;
    }
    if constexpr (Layout::as_go) {
        std::memset(forward(head, data_offset), 0, t.bucket_size() - data_offset);
    }
}

/// Go's advanceEvacuationMark: past the bucket that moved, and past up to 1024 that
/// moved out of turn. At the end of the old array the growth is over.
template <class Layout>
void map_core<Layout>::advance(std::size_t old_buckets) noexcept {
    const std::size_t before = h->nevacuate++;
    std::size_t stop = h->nevacuate + 1024;
    if (stop > old_buckets) stop = old_buckets;
    while (h->nevacuate != stop && is_evacuated(bucket(h->oldbuckets, h->nevacuate))) {
        ++h->nevacuate;
    }
    if (before < huge_pages_after && h->nevacuate >= huge_pages_after) {
        const std::size_t size = all_buckets(h->B) * t.bucket_size();
        if (size >= small_start_from) static_cast<void>(os::hint_huge(h->buckets, bytes{size}));
    }
    if (h->nevacuate != old_buckets) return;

    const unsigned B = old_B();
    bmap* const array = std::exchange(h->oldbuckets, nullptr);
    bucket_list* list = nullptr;
    if (h->extra != nullptr) list = std::exchange(h->extra->oldoverflow, nullptr);
    store_flags(h, h->flags & ~flag_same_size);
    drop_array(array, B, list, h->buckets);
}

}  // namespace steady::go::internal
