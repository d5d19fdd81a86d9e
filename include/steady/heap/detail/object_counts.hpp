// object_counts.hpp - a counter for every object of a span, so that memory can be
// shared without a header in front of it and without a control block beside it.
//
//   any address ---> span record ---> object_counts
//                    (2 loads)        | extras | room | shares[0] | shares[1] | ...
//                                         |              4 bytes an object
//                                         v
//                                     | extra[0] | extra[1] | ...   16 bytes an object
//
// share_count(p) is the address of the counter of the object that covers p: two
// dependent loads, a subtraction and a multiplication (the division by the object
// size). A span gets counters when the first object of it is shared, and extras when
// the first shared object has elements to destroy; both go when the span goes.
//
// Invariants
//   OC1  The counter of an object nobody shares is `unshared`, far above every count, in a
//        fresh block too. Whoever takes a counter to 0 frees the object and puts it back.
//        So a view of foreign memory in such a span may count up and down there like
//        any other, without asking, and never comes to 0.
//   OC2  A span's counters live as long as the span: they are made once, under the
//        lock of its node, and taken back in span_store::destroy or when the huge
//        block is freed.
//   OC3  extra[i].destroy is null unless object i holds elements to destroy.
//
// Cost    4 bytes an object in spans with shared objects: half of an 8-byte object, a
//         quarter of a 16-byte one, 0.2 % of 2 KiB. Counters in front of the objects would cost 8 or
//         16 bytes each and move every capacity away from Go's.
// Tried   One table for all pages (4 bytes for each 8 bytes of heap): one load less, but
//         touches a page of table for each 16 KiB of heap that shares nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/heap/detail/address_map.hpp"

namespace steady::detail {

using share_counter = std::atomic<std::uint32_t>;

/// OC1. Below it lie 2^31 slices of one array (50 GB of them), around it 2^30 views that
/// came before their span had counters and went afterwards, or the other way round.
inline constexpr std::uint32_t unshared = 0xC000'0000;
[[nodiscard]] constexpr bool is_shared(std::uint32_t count) noexcept {
    return count < 0x8000'0000;
}

/// What an object with elements that need destruction remembers.
struct object_extra {
    std::size_t built;                                        // elements alive, from the first on
    void (*destroy)(void* base, std::size_t built) noexcept;  // null: nothing to destroy
};

struct object_counts {
    std::atomic<object_extra*> extras{nullptr};
    std::uint32_t room{0};  // counters that follow: 1, 64, 512 or 1024
    std::uint32_t unused{0};

    [[nodiscard]] share_counter* shares() noexcept {
        return reinterpret_cast<share_counter*>(this + 1);
    }
};
static_assert(sizeof(object_counts) == 16, "shares() begins right behind the head");
static_assert(sizeof(share_counter) == 4, "a locked add of 4 bytes");

/// As share_count, for addresses outside the page heap: huge blocks, foreign memory.
[[nodiscard]] share_counter* huge_share_count(const void* p) noexcept;

/// The counter of the object that covers `p`; nullptr when `p` is null or foreign or lies
/// in a span of which nothing is shared.
/// Cost     two dependent loads and a multiplication; a call for huge and foreign ones.
/// Threads  any, while the object (or another of its span) is alive.
[[nodiscard]] inline share_counter* share_count(const void* p) noexcept {
    // acquire, and first; pairs with the release that published the tables.
    const std::size_t ready = heap_map.pages_ready.load(std::memory_order_acquire);
    const auto at = reinterpret_cast<std::uintptr_t>(p);
    const std::size_t page = heap_map.page_of(at);
    if (page >= ready) [[unlikely]]
        return p == nullptr ? nullptr : huge_share_count(p);
    const span* s = heap_map.span_of_page[page].load(std::memory_order_relaxed);
    if (s == nullptr) [[unlikely]]
        return nullptr;
    // acquire; pairs with the release in make_share_count: the counters read as unshared.
    object_counts* counts = s->counts.load(std::memory_order_acquire);
    if (counts == nullptr) [[unlikely]]
        return nullptr;
    // divmul is 0 in spans of one object, whose counter is the first.
    return counts->shares() + (((at - s->base) * std::uint64_t{s->divmul}) >> 32);
}

/// As share_count, and makes the counters if the span has none. `p` must be an object of
/// the default heap. nullptr: no memory.
[[nodiscard]] share_counter* make_share_count(const void* p) noexcept;

/// The extra of the object that covers `p`, made if `make` says so; nullptr when there
/// is none.
[[nodiscard]] object_extra* extra_of(const void* p, bool make) noexcept;

/// Where a block stands after growing, and from which byte on it reads as zero.
struct grown_block {
    void* base;  // nullptr: it could not grow so; it is unchanged
    std::size_t zero_from;
};

/// Grows `p`, an object's start, to `size` bytes without copying any of them: into free
/// neighbouring pages below 1 MiB; into its reserve, or by moving page tables, from 1 MiB
/// on. The counter and the extra stay with the object.
///
/// Cost     constant; about 3 us per 2 MiB when page tables move.
/// Threads  any; one caller per object.
[[nodiscard]] grown_block grow_without_copy(void* p, std::size_t size) noexcept;

/// As steady::allocate; `zeroed` tells whether all of it reads as zero already.
[[nodiscard]] void* allocate_for_sharing(std::size_t size, std::size_t alignment, bool noscan,
                                         bool& zeroed) noexcept;

}  // namespace steady::detail
