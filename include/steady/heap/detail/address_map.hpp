// address_map.hpp - from any address to the span that holds it, in two loads.
//
//   heap area   | page 0 | page 1 | page 2 | ...                nominally 1 TiB
//   class_of_page   |  6     |  6     |  0     | ...            1 byte a page
//   span_of_page    |  &s    |  &s    |  &t    | ...            8 bytes a page
//
// class_of_page is what free() reads: the span class of the default heap's
// small spans, and 0 for everything that needs thought - large and sampled
// spans, spans of heap instances, pages that hold nothing. One byte for 8 KiB
// means that the table of a 4 GiB heap is 512 KiB, and that 64 neighbouring
// pages share a cache line: free() of a cold object does not miss here.
//
// Invariants
//   A1  Both tables may be read for every page below pages_ready.
//   A2  class_of_page[i] != 0 implies that span_of_page[i] is a small span of
//       the default heap with that class.
//
// Both tables are written under the lock of the page's node and read without
// any: whoever asks about an address owns an object there, and the object came
// to it through synchronisation that also carried the table's entries.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/units.hpp"
#include "steady/heap/detail/span.hpp"

/// -fvisibility=hidden speaks of definitions. A declaration has to say it itself, or the
/// compiler fetches the address from a table: a load more in malloc and free on AArch64,
/// and one that is not valid before the library is relocated (src/malloc/early.hpp, B1).
#define STEADY_HEAP_HIDDEN __attribute__((visibility("hidden")))

namespace steady::detail {

struct address_map {
    // Atomic, because free(nullptr) reads it in a thread that knows nothing of the heap.
    std::atomic<std::uintptr_t> base{0};
    std::atomic<std::size_t> pages_ready{
        0};  // 0 until the heap opens: then every address is foreign
    std::atomic<std::uint8_t>* class_of_page = nullptr;
    std::atomic<span*>* span_of_page = nullptr;

    [[nodiscard]] std::size_t page_of(std::uintptr_t address) const noexcept {
        return (address - base.load(std::memory_order_relaxed)) >> page_shift;
    }

    /// The span that holds `p`, or nullptr when no span of ours does.
    /// Cost: two loads. Threads: any, as long as `p` is not freed meanwhile.
    [[nodiscard]] span* find(const void* p) const noexcept {
        // acquire, and first; pairs with the release that published the tables.
        const std::size_t ready = pages_ready.load(std::memory_order_acquire);
        const std::size_t page = page_of(reinterpret_cast<std::uintptr_t>(p));
        if (page >= ready) return nullptr;
        return span_of_page[page].load(std::memory_order_relaxed);
    }
};

/// One for the process, since addresses are one space; constant-initialised.
extern STEADY_HEAP_HIDDEN address_map heap_map;

}  // namespace steady::detail
