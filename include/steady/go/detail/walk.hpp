// walk.hpp - iteration with Go's rules. Part of map_core; core.hpp tells the story.
//
// A walk takes a snapshot of the array, begins at a random bucket and, in every
// bucket, at a random cell, and goes round once. The map may be written meanwhile:
//
//   - the array was outgrown: the walk stays in the old one. Where a cell has moved,
//     the entry is looked for where it is now; if it is gone, it is skipped.
//   - the walk began in the middle of a growth: for a bucket whose old bucket has not
//     moved, the walk reads the old one and takes what belongs to its bucket.
//
// So no entry comes twice, a deleted one does not come, one that was there from start
// to end comes once, and one added meanwhile may or may not come.
//
// Looking for a moved entry. Go searches by the key, which the old cell still holds.
// For plain bytes so do we. A C++ key that moved has left its old cell, so the entry
// is followed instead: a chain fills X (and Y) in order, hence the n-th cell that went
// to X stands in cell n of X's chain. Each kept array knows its successor (K2).
#pragma once

#include <bit>

#include "steady/go/detail/core.hpp"

namespace steady::go::internal {

/// The live cells of a bucket, 0x80 in the byte of each, in the order of a walk that
/// begins at cell `offset`. Live is what is neither empty (0, 1) nor evacuated_empty.
[[nodiscard]] inline std::uint64_t live_cells(const bmap* b, unsigned offset) noexcept {
    constexpr std::uint64_t every = 0x0101010101010101, low_seven = 0x7f * every;
    std::uint64_t tops;
    std::memcpy(&tops, b->tophash, sizeof tops);
    tops = std::rotr(tops, static_cast<int>(8 * offset));
    // x + 0x7f reaches 0x80 in a byte exactly when one of its low seven bits is set;
    // core/group/portable.hpp has the reasoning.
    const std::uint64_t more = tops & ~every, gone = tops ^ (evacuated_empty * every);
    return (((more & low_seven) + low_seven) | more) & (((gone & low_seven) + low_seven) | gone) &
           ~low_seven;
}

/// The bytes from number i on; none for 8 and more.
[[nodiscard]] inline std::uint64_t first_byte_from(unsigned i) noexcept {
    return i >= cells ? 0 : ~std::uint64_t{0} << (8 * i);
}

/// Begins a walk at a random place, and makes its first step. The caller has entered
/// the keeper.
template <class Layout>
void map_core<Layout>::start_walk(hiter& it) {
    it.B = h->B;
    it.buckets = h->buckets;
    if constexpr (Layout::as_go) {
        if (!t.pointers()) {
            need_overflow_list();
            it.overflow = h->extra->overflow;
            it.oldoverflow = h->extra->oldoverflow;
        }
    }
    if (side != nullptr) it.clears = side->clears;
    const std::uint64_t r = h->B > 31 - 3 ? t.random().fastrand64() : t.random().fastrand();
    it.startBucket = r & h->bucket_mask();
    it.offset = (r >> h->B) & (cells - 1);
    it.bucket = it.startBucket;
    constexpr std::uint8_t both = flag_iterator | flag_old_iterator;
    if ((load_flags(h) & both) != both) __atomic_fetch_or(&h->flags, both, __ATOMIC_RELAXED);
    next(it);
}

/// A walk that goes on behind a cell, round to the bucket it is in.
template <class Layout>
hiter map_core<Layout>::walk_from(std::uint64_t hash, cell c) {
    hiter it;
    it.B = h->B;
    it.buckets = h->buckets;
    it.clears = side->clears;
    it.startBucket = it.head = hash & h->bucket_mask();
    it.bucket = (it.startBucket + 1) & h->bucket_mask();
    it.wrapped = it.bucket == 0;
    it.array = h->buckets;
    it.checkBucket = no_check;
    if (h->growing()) {
        const std::size_t old = it.startBucket & (h->old_bucket_count() - 1);
        if (!is_evacuated(bucket(h->oldbuckets, old))) {
            it.array = h->oldbuckets;
            it.head = old;
            it.checkBucket = it.startBucket;
        }
    }
    it.bptr = c.b;
    it.i = static_cast<std::uint8_t>(c.i + 1);
    __atomic_fetch_or(&h->flags, flag_iterator | flag_old_iterator, __ATOMIC_RELAXED);
    return it;
}

/// One step; key and elem are read now. it.key is null at the end.
template <class Layout>
inline void map_core<Layout>::next(hiter& it) const {
    if constexpr (!Layout::as_go) {
        // Before the flags: the map may be gone, and its header with it.
        if (side->clears != it.clears) [[unlikely]] {
            it.key = it.elem = nullptr;
            return;
        }
    }
    expect_no_writer("concurrent map iteration and map write");
    // The common case: one more entry in the same bucket. It may have gone since its
    // bucket was looked at, so its own byte is asked again.
    while (it.left != 0) {
        const auto i = static_cast<unsigned>(std::countr_zero(it.left)) / 8;
        const unsigned c = (i + it.offset) & (cells - 1);
        it.left &= it.left - 1;
        const std::uint8_t top = it.bptr->tophash[c];
        if (top >= min_top_hash) [[likely]] {
            it.key = key_at(it.bptr, c);
            it.elem = elem_at(it.bptr, c);
            it.i = static_cast<std::uint8_t>(i + 1);
            return;
        }
        if (!is_empty(top)) {  // the bucket has moved
            it.left = 0;
            it.i = static_cast<std::uint8_t>(i);
        }
    }
    next_elsewhere(it);
}

/// W1  Hash and equality may throw; the walk stays where it is then, and the next try
///     comes to the same entry. So how far it got is kept here until an entry is found.
template <class Layout>
[[gnu::noinline]] void map_core<Layout>::next_elsewhere(hiter& it) const {
    bmap* b = it.bptr;
    unsigned i = it.i;
    bmap* array = it.array;
    std::size_t head = it.head, next_bucket = it.bucket, check_bucket = it.checkBucket;
    bool wrapped = it.wrapped;
    for (;;) {
        if (b == nullptr) {
            if (next_bucket == it.startBucket && wrapped) {
                it.key = it.elem = nullptr;
                return;
            }
            array = it.buckets;
            head = next_bucket;
            check_bucket = no_check;
            if (h->growing() && it.B == h->B) {
                const std::size_t old = next_bucket & (h->old_bucket_count() - 1);
                if (!is_evacuated(bucket(h->oldbuckets, old))) {
                    array = h->oldbuckets;
                    head = old;
                    check_bucket = next_bucket;
                }
            }
            b = bucket(array, head);
            if (++next_bucket == std::size_t{1} << it.B) {
                next_bucket = 0;
                wrapped = true;
            }
            i = 0;
        }
        for (;; ++i) {
            // Read anew for each entry: the bucket may have been written meanwhile.
            const std::uint64_t live = live_cells(b, it.offset) & first_byte_from(i);
            if (live == 0) break;
            i = static_cast<unsigned>(std::countr_zero(live)) / 8;
            const unsigned c = (i + it.offset) & (cells - 1);
            const std::uint8_t top = b->tophash[c];
            const bool moved = top == evacuated_x || top == evacuated_y;
            cell now{b, c};
            if constexpr (!Layout::cells_survive) {
                if (moved) {
                    now = follow(array, head, b, c);
                    if (!now) continue;
                }
            }
            void* k = key_at(now.b, now.i);
            const bool findable = t.reflexive() || t.equals_itself(k);
            if (check_bucket != no_check && !h->same_size()) {
                // A bucket whose old one had not moved when we came to it: half of
                // what is here belongs to another bucket, and comes there.
                if (findable) {
                    const std::uint64_t hash = t.hash(k, h->hash0);
                    if ((hash & ((std::size_t{1} << it.B) - 1)) != check_bucket) continue;
                } else if (check_bucket >> (it.B - 1) != (top & 1u)) {
                    continue;
                }
            }
            if constexpr (Layout::cells_survive) {
                if (moved && findable) {
                    if (h->count == 0) continue;
                    now = find(t.hash(k, h->hash0),
                               [&](const void* other) { return t.equal(k, other); });
                    if (!now) continue;
                    k = key_at(now.b, now.i);
                }
            }
            it.key = k;
            it.elem = elem_at(now.b, now.i);
            it.bptr = b;
            it.i = static_cast<std::uint8_t>(i + 1);
            it.array = array;
            it.head = head;
            it.bucket = next_bucket;
            it.checkBucket = check_bucket;
            it.wrapped = wrapped;
            if (!Layout::as_go && check_bucket == no_check && !moved) it.left = live & (live - 1);
            return;
        }
        b = overflow(b);
        i = 0;
    }
}

/// Whether the entry a walk is at is still where the walk read it. Where old cells stay
/// readable nobody needs to know.
template <class Layout>
bool map_core<Layout>::stays(const hiter& it) const noexcept {
    if constexpr (Layout::cells_survive) return true;
    const cell now = follow(it.array, it.head, it.bptr, (it.i - 1u + it.offset) & (cells - 1));
    return now && key_at(now.b, now.i) == it.key;
}

/// Where the entry of a cell of the chain of `array[head]` is now, when it may have been
/// evacuated; no cell when it is gone.
template <class Layout>
cell map_core<Layout>::follow(bmap* array, std::size_t head, bmap* b, unsigned i) const noexcept {
    while (b->tophash[i] == evacuated_x || b->tophash[i] == evacuated_y) {
        const std::uint8_t way = b->tophash[i];
        std::size_t before = 0;
        for (bmap* p = bucket(array, head);; p = overflow(p)) {
            for (unsigned c = 0; c < (p == b ? i : cells); ++c) before += p->tophash[c] == way;
            if (p == b) break;
        }
        std::size_t old_buckets;
        if (array == h->oldbuckets) {
            old_buckets = h->old_bucket_count();
            array = h->buckets;
        } else {
            const kept* const k = side->find(array);
            old_buckets = k->buckets;
            array = k->successor;
        }
        if (way == evacuated_y) head += old_buckets;
        b = bucket(array, head);
        for (; before >= cells; before -= cells) b = overflow(b);
        i = static_cast<unsigned>(before);
    }
    if (b->tophash[i] < min_top_hash) return {};
    return {b, i};
}

}  // namespace steady::go::internal
