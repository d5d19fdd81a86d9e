// buckets.hpp - arrays of buckets, the spares behind them, and overflow buckets.
// Part of map_core; core.hpp tells the story.
//
//   | bucket 0 | ... | bucket 2^B - 1 | spare 0 | spare 1 | ... | last spare |
//                                       ^ nextOverflow            overflow = array
//
// A spare whose overflow pointer is null has another one behind it. The last one
// points at the array, a value that is never a chain's, and taking it ends the
// supply. So one pointer says both where the next spare is and whether there is one.
#pragma once

#include "steady/core/units.hpp"
#include "steady/go/detail/core.hpp"

namespace steady::go::internal {

/// Overflow buckets set aside, linked by their overflow pointers, so that what
/// follows cannot fail.
template <class Layout>
struct map_core<Layout>::stock {
    bmap* first = nullptr;
    std::size_t bucket_size;

    explicit stock(std::size_t size) noexcept : bucket_size{size} {}
    stock(const stock&) = delete;
    stock& operator=(const stock&) = delete;
    ~stock() {
        while (first != nullptr) free_object(take());
    }
    bmap* take() noexcept {
        bmap* const b = first;
        first = overflow_of(b, bucket_size);
        overflow_of(b, bucket_size) = nullptr;
        return b;
    }
};

/// make(map[K]V): the header alone; the first bucket comes with the first entry.
template <class Layout>
void map_core<Layout>::make_small() {
    h = static_cast<hmap*>(allocate_object(sizeof(hmap), true));
    h->hash0 = t.random().fastrand();
}

/// make(map[K]V, hint). A hint no address space could hold counts as none, as in Go.
template <class Layout>
void map_core<Layout>::make(std::uint64_t hint) {
    constexpr std::uint64_t largest = std::uint64_t{1} << 48;
    std::uint64_t size;
    if (__builtin_mul_overflow(hint, std::uint64_t{t.bucket_size()}, &size) || size > largest) {
        hint = 0;
    }
    make_small();
    h->B = buckets_for(hint);
    if (h->B == 0) return;
    try {
        bmap* next_overflow = nullptr;
        h->buckets = make_array(h->B, next_overflow, false);
        if (next_overflow != nullptr) {
            need_extra();
            h->extra->nextOverflow = next_overflow;
        }
    } catch (...) {
        free_object(h->buckets);
        free_object(h);
        h = nullptr;
        throw;
    }
}

template <class Layout>
bmap* map_core<Layout>::mark_spares(bmap* array, unsigned B, std::size_t all) noexcept {
    const std::size_t regular = std::size_t{1} << B;
    if (all == regular) return nullptr;
    overflow(bucket(array, all - 1)) = array;
    return bucket(array, regular);
}

/// A fresh array; `next_overflow` is its first spare or null. A very large one for a growth
/// begins with small pages (memory.hpp).
template <class Layout>
bmap* map_core<Layout>::make_array(unsigned B, bmap*& next_overflow, bool growing) {
    const std::size_t all = all_buckets(B);
    std::size_t size;
    if (__builtin_mul_overflow(all, t.bucket_size(), &size)) throw_out_of_memory();
    auto* const array = static_cast<bmap*>(allocate_object(size, t.pointers()));
    if (growing && size >= small_start_from) {
        static_cast<void>(os::hint_no_huge(array, bytes{size}));
    } else if (size >= huge_pages_from) {
        static_cast<void>(os::hint_huge(array, bytes{size}));
    }
    next_overflow = mark_spares(array, B, all);
    return array;
}

/// The array as make_array() made it.
template <class Layout>
void map_core<Layout>::clear_array(bmap* array, unsigned B, bmap*& next_overflow) noexcept {
    const std::size_t all = all_buckets(B);
    std::memset(static_cast<void*>(array), 0, all * t.bucket_size());
    next_overflow = mark_spares(array, B, all);
}

template <class Layout>
void map_core<Layout>::need_extra() {
    if (h->extra == nullptr) {
        h->extra = static_cast<mapextra*>(allocate_object(sizeof(mapextra), true));
    }
}

template <class Layout>
void map_core<Layout>::need_overflow_list() {
    need_extra();
    if (h->extra->overflow == nullptr) {
        h->extra->overflow = static_cast<bucket_list*>(allocate_object(sizeof(bucket_list), true));
    }
}

/// Makes the next n calls of add_overflow() possible. Throws std::bad_alloc.
template <class Layout>
void map_core<Layout>::reserve_overflow(stock& s, std::size_t n) {
    std::size_t spares = 0;
    if (h->extra != nullptr && h->extra->nextOverflow != nullptr) {
        const bmap* const end = bucket(h->buckets, all_buckets(h->B));
        spares = static_cast<std::size_t>(reinterpret_cast<const char*>(end) -
                                          reinterpret_cast<const char*>(h->extra->nextOverflow)) /
                 t.bucket_size();
    }
    for (std::size_t i = spares; i < n; ++i) {
        auto* const fresh = static_cast<bmap*>(allocate_object(t.bucket_size(), t.pointers()));
        overflow(fresh) = s.first;
        s.first = fresh;
    }
    if (t.pointers()) return;
    need_overflow_list();
    bucket_list& list = *h->extra->overflow;
    while (list.cap - list.len < static_cast<std::int64_t>(n)) {
        // Step by step, as Go's append: the same allocations in the same order.
        const std::int64_t cap = next_list_capacity(list.cap);
        auto* const data = static_cast<bmap**>(
            allocate_object(static_cast<std::size_t>(cap) * sizeof(bmap*), true));
        if (list.len != 0) {
            std::memcpy(data, list.data, static_cast<std::size_t>(list.len) * sizeof(bmap*));
        }
        free_object(list.data);
        list.data = data;
        list.cap = cap;
    }
}

/// Go's incrnoverflow: exact below 2^16 buckets, from there on a coin that makes
/// 2^15 mean "as many overflow buckets as buckets".
template <class Layout>
unsigned map_core<Layout>::draw_overflow() const noexcept {
    if (h->B < 16) return 1;
    const std::uint32_t mask = (std::uint32_t{1} << (h->B - 15)) - 1;
    return (t.random().fastrand() & mask) == 0 ? 1 : 0;
}

/// Links an overflow bucket behind `last`; counting it is the caller's.
template <class Layout>
bmap* map_core<Layout>::add_overflow(bmap* last, stock& s) noexcept {
    bmap* fresh;
    if (h->extra != nullptr && h->extra->nextOverflow != nullptr) {
        fresh = h->extra->nextOverflow;
        if (overflow(fresh) == nullptr) {
            h->extra->nextOverflow = bucket(fresh, 1);
        } else {
            overflow(fresh) = nullptr;
            h->extra->nextOverflow = nullptr;
        }
    } else {
        fresh = s.take();
    }
    if (!t.pointers()) {
        bucket_list& list = *h->extra->overflow;
        list.data[list.len++] = fresh;
    }
    overflow(last) = fresh;
    return fresh;
}

/// Frees an array that nothing in the map refers to any more, or keeps it for the
/// walks (K1). Its entries are gone.
template <class Layout>
void map_core<Layout>::drop_array(bmap* array, unsigned B, bucket_list* list,
                                  bmap* successor) noexcept {
    kept k{nullptr, array, successor, list, std::size_t{1} << B, all_buckets(B), t.bucket_size()};
    if (walked()) {
        kept* const node = side->take_spare();
        STEADY_ASSERT(1, node != nullptr, "K1: a walked map has a node for its old array");
        *node = k;
        side->keep(node);
        side->chains_left = false;
        return;
    }
    const bool chains = Layout::as_go || (side != nullptr && side->chains_left);
    if (side != nullptr) side->chains_left = false;
    if (!chains) k.buckets = 0;
    free_array(k);
}

/// The same for an object, where Go's collector would find a walk still using it.
template <class Layout>
void map_core<Layout>::drop_object(void* object) {
    if constexpr (Layout::as_go) {
        if (walked()) {
            auto* const node = static_cast<kept*>(allocate_object(sizeof(kept), true));
            *node = kept{nullptr, object, nullptr, nullptr, 0, 0, 0};
            side->keep(node);
            return;
        }
    }
    free_object(object);
}

/// Ends the lives of all keys and elems in the chains of `array` that have not moved.
/// Cost     one look at each bucket, except when there is nothing to end.
template <class Layout>
void map_core<Layout>::destroy_cells(bmap* array, std::size_t buckets) noexcept {
    if (t.trivial_cells() || h->count == 0) return;
    for (std::size_t index = 0; index < buckets; ++index) {
        bmap* b = bucket(array, index);
        if (is_evacuated(b)) continue;
        for (; b != nullptr; b = overflow(b)) {
            for (unsigned i = 0; i < cells; ++i) {
                if (is_empty(b->tophash[i])) continue;
                if constexpr (Layout::as_go) {
                    // A walk may still come here, and Go's collector would wait for it.
                    if (t.indirect_key()) drop_object(key_at(b, i));
                    if (t.indirect_elem()) drop_object(elem_at(b, i));
                } else {
                    release_cell(b, i);
                }
            }
        }
    }
}

/// Frees everything. The walks that are left end at their next step.
///
/// Spares are taken before any overflow bucket is allocated. So while one is left, every
/// chain lies inside the array, and nobody has to look for others: a map with a large
/// hint and few entries is freed without touching the pages it never used.
template <class Layout>
void map_core<Layout>::destroy() noexcept {
    if (h == nullptr) return;
    if (side != nullptr) {
        ++side->clears;
        side->orphan();
        side = nullptr;
    }
    if (h->oldbuckets != nullptr) {
        const unsigned B = old_B();
        destroy_cells(h->oldbuckets, std::size_t{1} << B);
        free_array({nullptr, h->oldbuckets, nullptr,
                    h->extra != nullptr ? h->extra->oldoverflow : nullptr, std::size_t{1} << B,
                    all_buckets(B), t.bucket_size()});
    }
    if (h->buckets != nullptr) {
        destroy_cells(h->buckets, h->bucket_count());
        const bool spares_left = h->extra != nullptr && h->extra->nextOverflow != nullptr;
        free_array({nullptr, h->buckets, nullptr, nullptr, spares_left ? 0 : h->bucket_count(),
                    all_buckets(h->B), t.bucket_size()});
    }
    if (h->extra != nullptr) {
        free_list(h->extra->overflow);
        free_object(h->extra);
    }
    free_object(h);
    h = nullptr;
}

}  // namespace steady::go::internal
