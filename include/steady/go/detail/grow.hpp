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
    store_flags(flags);
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
        move_plan p;
        plan(head, p);
        stock s{t.bucket_size()};
        if (p.overflows != 0) reserve_overflow(s, p.overflows);
        move(head, index, p, s, track);
        h->noverflow = static_cast<std::uint16_t>(h->noverflow + p.counted);
        leave_behind(head);
        if constexpr (STEADY_CHECK >= 3) check_moved(index, p.moved);
        if (growth_hook.armed()) {
            constexpr std::size_t page = 4096;
            const std::size_t written = (h->same_size() ? 1 : 2) + p.overflows;
            announce_growth(p.moved, written * (1 + (t.bucket_size() + page - 2) / page), began);
        }
    }
    if (index == h->nevacuate) advance(old_buckets);
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
            if (t.indirect_key()) {
                *static_cast<void**>(key_cell(d.b, d.i)) = *static_cast<void**>(key_cell(b, i));
            } else {
                t.relocate_key(key_cell(d.b, d.i), key_cell(b, i));
            }
            if (t.indirect_elem()) {
                *static_cast<void**>(elem_cell(d.b, d.i)) = *static_cast<void**>(elem_cell(b, i));
            } else {
                t.relocate_elem(elem_cell(d.b, d.i), elem_cell(b, i));
            }
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
        if (size >= huge_pages_from) static_cast<void>(os::hint_huge(h->buckets, bytes{size}));
    }
    if (h->nevacuate != old_buckets) return;

    const unsigned B = old_B();
    bmap* const array = std::exchange(h->oldbuckets, nullptr);
    bucket_list* list = nullptr;
    if (h->extra != nullptr) list = std::exchange(h->extra->oldoverflow, nullptr);
    store_flags(h->flags & ~flag_same_size);
    drop_array(array, B, list, h->buckets);
}

}  // namespace steady::go::internal
