// verify.hpp - a whole map looked over, and each bucket just after it moved. Part of
// map_core; core.hpp tells the story.
//
//   check()         every invariant of the whole map: go::map::check(), tests
//   check_moved()   STEADY_CHECK=3, after each old bucket: the entries that left it are
//                   in its two new buckets, as many as before, each where its hash says,
//                   none twice
//
// Invariants of the whole map, besides G1, G2 and G4 (header.hpp):
//   V1  count is the number of live cells.
//   V2  An entry is in the bucket and under the top byte that its hash says; a key that
//       is not equal to itself only has to be somewhere.
//   V3  No key is there twice.
//   V4  Below nevacuate every old bucket has moved. The growth is over when all have.
//   V5  Spares are taken in order: those behind nextOverflow are untouched, and the last
//       of them points at the array.
#pragma once

#include "steady/go/detail/core.hpp"

namespace steady::go::internal {

/// Checks one live chain whose entries belong to bucket `index` under `mask`. Returns
/// how many there are.
template <class Layout>
std::size_t map_core<Layout>::check_chain(bmap* head, std::size_t index, std::size_t mask) const {
    std::size_t found = 0;
    bool ended = false, empty_last = false;
    for (bmap* b = head; b != nullptr; b = overflow(b)) {
        for (unsigned i = 0; i < cells; ++i) {
            const std::uint8_t top = b->tophash[i];
            STEADY_ASSERT(0, is_empty(top) || top >= min_top_hash,
                          "G1 all or none: a cell of a live chain has moved");
            STEADY_ASSERT(0, !ended || top == empty_rest, "G2 rest: something follows the rest");
            STEADY_ASSERT(0, ended || top != empty_rest || !empty_last,
                          "G4 last: rest follows an empty cell that is no rest");
            ended = ended || top == empty_rest;
            empty_last = top == empty_one;
            if (is_empty(top)) continue;
            ++found;
            const void* const key = key_at(b, i);
            if (!t.reflexive() && !t.equals_itself(key)) continue;
            const std::uint64_t hash = t.hash(key, h->hash0);
            STEADY_ASSERT(0, (hash & mask) == index, "V2 place: an entry is in a wrong bucket");
            STEADY_ASSERT(0, top_hash(hash) == top, "V2 place: an entry has a wrong top byte");
            for (bmap* p = head;; p = overflow(p)) {
                for (unsigned c = 0; c < (p == b ? i : cells); ++c) {
                    STEADY_ASSERT(0, p->tophash[c] != top || !t.equal(key_at(p, c), key),
                                  "V3 once: a key is in its chain twice");
                }
                if (p == b) break;
            }
        }
    }
    STEADY_ASSERT(0, !empty_last, "G4 last: a chain ends with an empty cell that is no rest");
    return found;
}

template <class Layout>
void map_core<Layout>::check() const {
    std::size_t found = 0;
    if (h->buckets != nullptr) {
        for (std::size_t i = 0; i < h->bucket_count(); ++i) {
            bmap* const head = bucket(h->buckets, i);
            // G1: a bucket whose old one has not moved is untouched.
            if (h->growing() &&
                !is_evacuated(bucket(h->oldbuckets, i & (h->old_bucket_count() - 1))))
                STEADY_ASSERT(0, head->tophash[0] == empty_rest && overflow(head) == nullptr,
                              "G1 all or none: a bucket is in use before its old one moved");
            found += check_chain(head, i, h->bucket_mask());
        }
    }
    if (h->growing()) {
        const std::size_t old_buckets = h->old_bucket_count();
        std::size_t moved = 0;
        for (std::size_t i = 0; i < old_buckets; ++i) {
            bmap* const head = bucket(h->oldbuckets, i);
            if (is_evacuated(head)) {
                ++moved;
                continue;
            }
            STEADY_ASSERT(0, i >= h->nevacuate,
                          "V4 frontier: a bucket below nevacuate has not moved");
            found += check_chain(head, i, old_buckets - 1);
        }
        STEADY_ASSERT(0, moved < old_buckets,
                      "V4 frontier: all have moved, and the growth goes on");
    }
    STEADY_ASSERT(0, found == static_cast<std::size_t>(h->count),
                  "V1 count: the live cells are not as many as count says");
    if (h->extra == nullptr || h->extra->nextOverflow == nullptr) return;
    bmap* const last = bucket(h->buckets, all_buckets(h->B) - 1);
    for (bmap* b = h->extra->nextOverflow; b != last; b = bucket(b, 1)) {
        STEADY_ASSERT(0, b < last && overflow(b) == nullptr, "V5 spares: one is linked already");
    }
    STEADY_ASSERT(0, overflow(last) == h->buckets, "V5 spares: the last one is not marked");
}

/// The two chains that old bucket `index` has just moved to hold `before` entries. A
/// hash or an equality that throws ends the check: the move itself has succeeded.
template <class Layout>
void map_core<Layout>::check_moved(std::size_t index, std::size_t before) const noexcept try {
    std::size_t found = check_chain(bucket(h->buckets, index), index, h->bucket_mask());
    if (!h->same_size()) {
        const std::size_t y = index + h->old_bucket_count();
        found += check_chain(bucket(h->buckets, y), y, h->bucket_mask());
    }
    STEADY_ASSERT(0, found == before, "V1 count: moving a bucket lost an entry, or made one");
} catch (...) {
}

}  // namespace steady::go::internal
