// access.hpp - finding, placing, deleting, clearing. Part of map_core; core.hpp
// tells the story.
//
// While the map grows, a key is in one chain only: its old bucket's while that has
// not moved, its new bucket's afterwards (G1). Finding looks where it is and moves
// nothing; placing and deleting move the old bucket first and then look in the new.
#pragma once

#include <array>
#include <bit>
#include <cstring>

#include "steady/go/detail/core.hpp"

namespace steady::go::internal {

/// The byte of cell i among the eight of a bucket: [0] all its bits, [1] empty_one. A load
/// is the cheapest way to bring them into a vector register.
alignas(64) inline constexpr auto cell_bytes = [] {
    std::array<std::array<std::uint64_t, cells>, 2> of{};
    for (unsigned i = 0; i < cells; ++i) {
        of[0][i] = std::uint64_t{0xff} << (8 * i);
        of[1][i] = std::uint64_t{empty_one} << (8 * i);
    }
    return of;
}();

/// The head of the chain that holds whatever hashes to `hash`.
template <class Layout>
inline bmap* map_core<Layout>::home(std::uint64_t hash) const noexcept {
    const std::size_t mask = h->bucket_mask();
    bmap* b = bucket(h->buckets, hash & mask);
    if (h->oldbuckets != nullptr) [[unlikely]] {
        bmap* const old = bucket(h->oldbuckets, hash & (h->same_size() ? mask : mask >> 1));
        if (!is_evacuated(old)) b = old;
    }
    return b;
}

template <class Layout>
template <class Same>
inline cell map_core<Layout>::find(std::uint64_t hash, Same&& same) const {
    const std::uint8_t top = top_hash(hash);
    bmap* b = home(hash);
    fetch_cells(b);
    for (; b != nullptr; b = overflow(b)) {
        const group8 tops{b->tophash};
        for (const unsigned i : tops.match(top)) {
            if (same(const_cast<const void*>(key_at(b, i)))) return {b, i};
        }
        if (tops.match_empty()) break;  // G2
    }
    return {};
}

/// Where the key is in the current array, or the first empty cell of its chain. Most
/// searches end in the first bucket; what goes further is out of line, so that nothing
/// here needs a place on the stack.
template <class Layout>
template <class Same>
[[gnu::always_inline]] inline spot map_core<Layout>::look(std::uint64_t hash, Same same) const {
    const std::uint8_t top = top_hash(hash);
    bmap* const b = bucket(h->buckets, hash & h->bucket_mask());
    fetch_cells(b);
    const group8 tops{b->tophash};
    for (const unsigned i : tops.match(top)) {
        if (same(const_cast<const void*>(key_at(b, i)))) return {b, i, true, top};
    }
    const auto rest = tops.match_empty();
    if (rest) return {b, (rest | tops.match(empty_one)).lowest(), false, top};  // G2
    return look_on(b, top, same);
}

/// The same from a bucket without rest on, where the key is not.
template <class Layout>
template <class Same>
[[gnu::noinline]] spot map_core<Layout>::look_on(bmap* b, std::uint8_t top, Same same) const {
    spot free{nullptr, 0, false, top};
    if (const auto empty = group8{b->tophash}.match(empty_one)) {
        free.b = b;
        free.i = empty.lowest();
    }
    while ((b = overflow(b)) != nullptr) {
        const group8 tops{b->tophash};
        for (const unsigned i : tops.match(top)) {
            if (same(const_cast<const void*>(key_at(b, i)))) return {b, i, true, top};
        }
        const auto rest = tops.match_empty();
        if (free.b == nullptr) {
            if (const auto empty = rest | tops.match(empty_one)) {
                free.b = b;
                free.i = empty.lowest();
            }
        }
        if (rest) break;
    }
    return free;
}

/// The same for a key that will be stored: grows the map or the chain when it must.
/// The caller writes the cell and calls fill().
template <class Layout>
template <class Same>
inline spot map_core<Layout>::place(std::uint64_t hash, Same&& same) {
    if (h->buckets == nullptr) {
        h->buckets = static_cast<bmap*>(allocate_object(t.bucket_size(), t.pointers()));
    }
    for (;;) {
        if (h->growing()) grow_work(hash & h->bucket_mask());
        const spot s = look(hash, same);
        if (s.present) return s;
        if (h->growing() || !growth_is_due()) return s.b != nullptr ? s : lengthen(hash);
        start_growth();  // every cell is somewhere else now
    }
}

/// Adds an overflow bucket to a chain that is full. Returns its first cell.
template <class Layout>
[[gnu::noinline]] spot map_core<Layout>::lengthen(std::uint64_t hash) {
    stock s{t.bucket_size()};
    reserve_overflow(s, 1);
    bmap* last = bucket(h->buckets, hash & h->bucket_mask());
    while (overflow(last) != nullptr) last = overflow(last);
    h->noverflow = static_cast<std::uint16_t>(h->noverflow + draw_overflow());
    return {add_overflow(last, s), 0, false, top_hash(hash)};
}

/// The cell holds key and elem now.
template <class Layout>
inline void map_core<Layout>::fill(const spot& f) noexcept {
    f.b->tophash[f.i] = f.top;
    ++h->count;
}

/// Ends the life of a cell's key and elem, and leaves the bytes that Go leaves.
template <class Layout>
void map_core<Layout>::release_cell(bmap* b, unsigned i) {
    void* const k = key_cell(b, i);
    if (t.indirect_key()) {
        void* const object = std::exchange(*static_cast<void**>(k), nullptr);
        t.destroy_key(object);
        drop_object(object);
    } else {
        t.clear_key(k);
    }
    void* const e = elem_cell(b, i);
    if (t.indirect_elem()) {
        void* const object = std::exchange(*static_cast<void**>(e), nullptr);
        t.destroy_elem(object);
        drop_object(object);
    } else {
        t.clear_elem(e);
    }
}

/// mark_empty() for a cell but the last of a chain's first bucket: nearly all of them.
///
/// Rest follows the last byte that is neither empty_rest nor empty_one, unless the bucket
/// ends with empty_one: then something is left in the bucket behind it (G4).
///
/// All eight bytes at once, without a branch on what they are: such a branch is guessed
/// wrong every other time, and each wrong guess waits for the bucket. And in a vector
/// register: instructions that wait for the bucket take the places of those that would
/// ask for the next one, and a processor has more places for vectors. The same in general
/// registers, with one bsr in it, took 58 ns a delete in place of 31 (1e6 numbers, Zen 4).
[[gnu::always_inline]] inline void mark_empty_in_head(bmap* head, unsigned i) noexcept {
    using words = std::uint64_t __attribute__((vector_size(16)));
    using bytes = std::uint8_t __attribute__((vector_size(16)));
    std::uint64_t tops;
    std::memcpy(&tops, head->tophash, sizeof tops);
    const words others = words{tops, 0} & ~words{cell_bytes[0][i], 0};
    const words filled = others & words{0xfffefefefefefefe, 0};
    words from_here = filled | filled >> 8;  // a byte: it, or any byte above
    from_here |= from_here >> 16;
    from_here |= from_here >> 32;
    const words rest = reinterpret_cast<words>(reinterpret_cast<bytes>(from_here) == bytes{});
    const words left = (others | words{cell_bytes[1][i], 0}) & ~rest;
    std::memcpy(head->tophash, &left, sizeof tops);
}

/// Marks a cell empty. If nothing follows it in the chain, it and the empty cells
/// before it become emptyRest, so that later searches end earlier (G2).
template <class Layout>
[[gnu::noinline]] void map_core<Layout>::mark_empty(bmap* head, bmap* b, unsigned i) noexcept {
    b->tophash[i] = empty_one;
    if (i != cells - 1) {
        if (b->tophash[i + 1] != empty_rest) return;
    } else if (const bmap* const next = overflow(b)) {
        if (next->tophash[0] != empty_rest) return;
    }
    for (;;) {
        while (b->tophash[i] == empty_one) {
            b->tophash[i] = empty_rest;
            if (i == 0) break;
            --i;
        }
        // A whole bucket became rest: the empty cells before it do too.
        if (b->tophash[0] != empty_rest || b == head) return;
        bmap* before = head;
        while (overflow(before) != b) before = overflow(before);
        b = before;
        i = cells - 1;
    }
}

/// Deletes the entry in cell i of b, in the chain of `head`.
template <class Layout>
[[gnu::always_inline]] inline void map_core<Layout>::remove_from(bmap* head, bmap* b, unsigned i) {
    hmap* const header = h;
    release_cell(b, i);
    if (b == head && i != cells - 1) [[likely]] {
        mark_empty_in_head(head, i);
    } else {
        mark_empty(head, b, i);
    }
    if (--header->count == 0) [[unlikely]]
        header->hash0 = t.random().fastrand();
}

/// Deletes the entry in a cell of the current array.
template <class Layout>
void map_core<Layout>::remove(std::uint64_t hash, cell c) {
    remove_from(bucket(h->buckets, hash & h->bucket_mask()), c.b, c.i);
}

/// Deletes the key from the current array. Returns whether it was there.
template <class Layout>
template <class Same>
[[gnu::always_inline]] inline bool map_core<Layout>::erase_here(std::uint64_t hash, Same same) {
    const std::uint8_t top = top_hash(hash);
    bmap* const head = bucket(h->buckets, hash & h->bucket_mask());
    fetch_cells(head);
    const group8 tops{head->tophash};
    for (const unsigned i : tops.match(top)) {
        if (!same(const_cast<const void*>(key_at(head, i)))) continue;
        remove_from(head, head, i);
        return true;
    }
    if (tops.match_empty()) return false;
    return erase_on(head, top, same);
}

/// The same in the buckets behind `head`.
template <class Layout>
template <class Same>
[[gnu::noinline]] bool map_core<Layout>::erase_on(bmap* head, std::uint8_t top, Same same) {
    for (bmap* b = overflow(head); b != nullptr; b = overflow(b)) {
        const group8 tops{b->tophash};
        for (const unsigned i : tops.match(top)) {
            if (!same(const_cast<const void*>(key_at(b, i)))) continue;
            remove_from(head, b, i);
            return true;
        }
        if (tops.match_empty()) break;
    }
    return false;
}

/// Returns whether the key was there. Moves old buckets even when it was not.
template <class Layout>
template <class Same>
inline bool map_core<Layout>::erase(std::uint64_t hash, Same same) {
    if (h->growing()) [[unlikely]]
        grow_work(hash & h->bucket_mask());
    return erase_here(hash, same);
}

/// Go's mapclear: the array stays, B stays, everything else is as after make.
///
/// In the replay this is 1.19 to the letter: a walk that started before a growth
/// still under way goes on to produce deleted entries. In go::map a walk ends when
/// it finds the map cleared, which Go's rules allow and Go 1.21 does too.
template <class Layout>
void map_core<Layout>::clear() {
    if (h->count == 0) return;
    bucket_list* const list = h->extra != nullptr ? h->extra->overflow : nullptr;
    bucket_list* const old_list = h->extra != nullptr ? h->extra->oldoverflow : nullptr;
    if (h->oldbuckets != nullptr) {
        const unsigned B = old_B();
        if constexpr (Layout::as_go) {
            drop_array(h->oldbuckets, B, old_list, h->buckets);
        } else {
            destroy_cells(h->oldbuckets, std::size_t{1} << B);
            free_array({nullptr, h->oldbuckets, nullptr, old_list, std::size_t{1} << B,
                        all_buckets(B), t.bucket_size()});
        }
    }
    destroy_cells(h->buckets, h->bucket_count());
    const std::size_t all = all_buckets(h->B);
    for (std::size_t i = 0; i < h->bucket_count(); ++i) {
        if constexpr (Layout::as_go) {
            for (bmap* b = overflow(bucket(h->buckets, i)); b != nullptr;) {
                bmap* const behind = overflow(b);
                const auto offset = reinterpret_cast<std::uintptr_t>(b) -
                                    reinterpret_cast<std::uintptr_t>(h->buckets);
                if (offset >= all * t.bucket_size()) drop_object(b);
                b = behind;
            }
        } else {
            free_chain(bucket(h->buckets, i), h->buckets, all, t.bucket_size());
        }
    }
    free_list(list);
    if (side != nullptr) {
        ++side->clears;
        side->chains_left = false;
    }
    h->flags = static_cast<std::uint8_t>(h->flags & ~flag_same_size);
    h->oldbuckets = nullptr;
    h->nevacuate = 0;
    h->noverflow = 0;
    h->count = 0;
    h->hash0 = t.random().fastrand();
    if (h->extra != nullptr) *h->extra = {};
    bmap* next_overflow = nullptr;
    clear_array(h->buckets, h->B, next_overflow);
    if (next_overflow != nullptr) h->extra->nextOverflow = next_overflow;
}

}  // namespace steady::go::internal
