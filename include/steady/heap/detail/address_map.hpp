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
#include "steady/os/mutex.hpp"

/// -fvisibility=hidden speaks of definitions. A declaration has to say it itself, or the
/// compiler fetches the address from a table: a load more in malloc and free on AArch64,
/// and one that is not valid before the library is relocated (src/malloc/early.hpp, B1).
#define STEADY_HEAP_HIDDEN __attribute__((visibility("hidden")))

/// Whether the fast paths say in assembler that an operand is read from memory. The thread
/// sanitizer must see the loads, and the portable build tests the other spelling.
#if defined(__x86_64__) && !defined(STEADY_PORTABLE) && !defined(STEADY_OS_TSAN)
#define STEADY_HEAP_ASSEMBLER 1
#else
#define STEADY_HEAP_ASSEMBLER 0
#endif

namespace steady::detail {

struct address_map {
    // Atomic, because free(nullptr) reads it in a thread that knows nothing of the heap. Until
    // the heap opens it lies above all addresses: a page counted from there is never ready.
    std::atomic<std::uintptr_t> base{~std::uintptr_t{0} << 47};
    std::atomic<std::size_t> pages_ready{
        0};  // 0 until the heap opens: then every address is foreign
    std::atomic<std::uint8_t>* class_of_page = nullptr;
    std::atomic<span*>* span_of_page = nullptr;

    [[nodiscard]] std::size_t page_of(std::uintptr_t address) const noexcept {
#if STEADY_HEAP_ASSEMBLER
        // As in is_ready(): from memory, without a register between.
        asm("subq %1, %0" : "+r"(address) : "m"(base) : "cc");
        return address >> page_shift;
#else
        return (address - base.load(std::memory_order_relaxed)) >> page_shift;
#endif
    }

    /// Whether both tables hold an entry for `page`, as page_of() has just counted it. Who owns
    /// an object there has seen the base; whoever else asks about an address may have counted
    /// from the first base, and hears no.
    [[nodiscard, gnu::always_inline]] bool is_ready(std::size_t page) const noexcept {
        // acquire; pairs with the release that published the tables.
#if STEADY_HEAP_ASSEMBLER
        // Compilers load an atomic into a register first: an instruction more in every free.
        // Loads are not reordered here; the clobber keeps the compiler from it.
        bool below;
        asm volatile("cmpq %2, %1" : "=@ccb"(below) : "r"(page), "m"(pages_ready) : "memory");
        return below;
#else
        return page < pages_ready.load(std::memory_order_acquire);
#endif
    }

    /// The span that holds `p`, or nullptr when no span of ours does.
    /// Cost: two loads. Threads: any, as long as `p` is not freed meanwhile.
    [[nodiscard]] span* find(const void* p) const noexcept {
        const std::size_t page = page_of(reinterpret_cast<std::uintptr_t>(p));
        if (!is_ready(page)) return nullptr;
        return span_of_page[page].load(std::memory_order_relaxed);
    }
};

/// One for the process, since addresses are one space; constant-initialised.
extern STEADY_HEAP_HIDDEN address_map heap_map;

}  // namespace steady::detail
