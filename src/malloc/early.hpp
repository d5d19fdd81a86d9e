// early.hpp - what malloc does before the library can work, and how it notices
// that it can.
//
// The loader relocates libraries one after another, and a resolver of another
// library's ifunc may call malloc before it is this library's turn. Until then
// every absolute pointer in our data is unrelocated, every call through the PLT
// jumps into nowhere, and the thread's cache cannot be found, because the offset
// of thread-local data is itself a relocation that still reads 0. A little later
// the offset is known, but the main thread's copy of that data is not filled.
//
//   nothing relocated --> relocated --> main thread's data filled --> ready
//   |<------------ malloc answers from the early block ---------->|  small_limit = 1025
//
// The fast paths pay nothing for this. They must compare the size with the
// largest small size anyway; that bound is a variable, 0 until ready, and so no
// size is small and every call takes the slow path, which looks here.
//
// Invariants
//   B1  Nothing called before ready() reads an absolute pointer, calls a function of
//       another library, or uses a thread-local variable, but for the mark by which
//       ready() knows.
//   B2  Early memory is never reused, so freeing it is nothing.
//
// Cost    64 KiB of address space, and a page of memory for each 4 KiB used.
// Tried   jemalloc 5.3.0, mimalloc 2.0.9 and gperftools 2.10 in the same place:
//         all three crash (tests/malloc/early).
#pragma once

#include <cstddef>
#include <cstdint>

/// -fvisibility=hidden speaks of definitions. A declaration has to say it itself,
/// or the compiler reads the address from a table that is not relocated yet (B1).
#define STEADY_HIDDEN __attribute__((visibility("hidden")))

namespace steady::detail {

/// One more than the largest size of malloc's first fast path; 0 before the library is
/// ready. Written once, before the process can have a second thread: creating
/// one allocates, and so takes the slow path first.
extern STEADY_HIDDEN std::size_t small_limit;

inline constexpr std::size_t early_capacity = std::size_t{64} << 10;
extern STEADY_HIDDEN char early_block[early_capacity];

/// True when the heap may be used; the first success opens the fast paths and
/// registers the fork handlers. Cost: one load and a comparison.
[[nodiscard]] bool ready() noexcept;

/// Memory from the early block, zeroed; nullptr when it is used up.
[[nodiscard]] void* early_allocate(std::size_t size, std::size_t alignment) noexcept;

/// Moves early memory to a new size, within the early block or, once ready, into the heap.
[[nodiscard]] void* early_reallocate(void* p, std::size_t size) noexcept;

[[nodiscard]] std::size_t early_usable_size(const void* p) noexcept;

[[nodiscard]] inline bool is_early(const void* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(early_block) <
           early_capacity;
}

}  // namespace steady::detail
