// lone_counts.hpp - while a process has one thread, slices are counted where their address
// says, without looking for the counter of their object.
//
//   address --> slot | count | tag |      8 bytes, one of 65,536; the tag is the address's
//                       |                 upper half, so slot and tag say which address it is
//                       v
//   counter of the object (object_counts.hpp): one for all slices that are counted here
//
// With locks there is nothing to gain: the search for the counter disappears behind them.
// Without, the search is dearer than the counting: two multiplications and ten loads in
// three records, for a copy and a drop that shared_ptr does with two additions. So a slot
// stands between: it counts slices of one address, and the object's counter counts the slot.
//
//   copy  -->  slot of this address?  yes: ++count
//                                     no:  settle who has it, ++counter, count = 1
//   drop  -->  slot of this address?  yes: --count; at 0 the slot is left, --counter
//                                     no:  --counter
//                                     the counter at 0: free
//
// Invariants
//   LC1  A slot with an address has count >= 1, and as many slices or more point there.
//   LC2  Slices that point into an object = its counter + the sum of (count - 1) over the
//        slots with addresses in it. So the counter is 0 when, and only when, no slice is left.
//   LC3  Only the thread of a process of one thread changes slots. When there are more, the
//        first that counts settles: every slot gives its count to the counter. Nobody counts
//        before that is done, and then all slots stay empty.
//
// Nil has slot 0 of an untouched table; its count says nothing and may pass 0. Foreign memory
// has no counter; slots count it all the same, and nobody hears of it.
//
// Cost    a slot's line of cache for each address; 512 KiB of address space, of which pages
//         come by first touch. When two addresses have one slot, each copy of the one takes it
//         from the other: two searches. Arrays of 16 bytes and more have slots of their own
//         within 1 MiB, and so have all addresses within 64 KiB.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include "steady/core/check.hpp"
#include "steady/heap/detail/object_counts.hpp"

namespace steady::detail {

[[nodiscard]] inline bool one_thread_only() noexcept {
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

struct lone_slot {
    std::uint32_t count;
    std::uint32_t tag;  // bits 16..47 of the address; 0: left
};
static_assert(sizeof(lone_slot) == 8, "eight slots a line");

inline constexpr std::size_t lone_slots = 65536;
extern STEADY_HEAP_HIDDEN lone_slot lone_table[lone_slots];
extern STEADY_HEAP_HIDDEN std::atomic<bool> lone_counts_used;

[[nodiscard]] constexpr std::uint32_t lone_tag(std::uintptr_t address) noexcept {
    return static_cast<std::uint32_t>(address >> 16);
}
/// address / 16 + (address % 16) * 4096, modulo 65,536: with the tag, no two addresses share it.
[[nodiscard]] constexpr std::size_t lone_index(std::uintptr_t address) noexcept {
    std::uint64_t factor = std::uint64_t{1} << 60 | std::uint64_t{1} << 44;
    // Two instructions; a compiler that knows the factor takes four, shifting and adding.
    if (!std::is_constant_evaluated()) asm("" : "+r"(factor));
    return (address * factor) >> 48;
}
/// The address that has this index and tag.
[[nodiscard]] constexpr std::uintptr_t lone_address(std::size_t index, std::uint32_t tag) noexcept {
    const std::uintptr_t low = ((index >> 12) - tag) & 15;
    return std::uintptr_t{tag} << 16 | (index & 4095) << 4 | low;
}
static_assert(lone_address(lone_index(0x7f12'3456'789d), lone_tag(0x7f12'3456'789d)) ==
              0x7f12'3456'789d);

[[nodiscard, gnu::always_inline]] inline lone_slot& lone_slot_of(const void* p) noexcept {
    return lone_table[lone_index(reinterpret_cast<std::uintptr_t>(p))];
}
/// Whether slices that point to `p` are counted in its slot.
[[nodiscard, gnu::always_inline]] inline bool is_slot_of(const lone_slot& slot,
                                                         const void* p) noexcept {
    return slot.tag == lone_tag(reinterpret_cast<std::uintptr_t>(p));
}

/// A slice more at `p`, whose slot is not its own: takes it.
/// Threads  here and below: the only thread of the process, if nothing else is said.
void lone_share_slowly(const void* p) noexcept;
/// A slice less at `p`: its slot has come to 0, or is not its own. True when it was the
/// object's last: the caller frees it.
[[nodiscard]] bool lone_release_slowly(const void* p) noexcept;
/// A new object at `p`, whose counter is 1: its slice is counted in the slot from now on.
void lone_begin(const void* p) noexcept;
/// One slice that pointed to `from` points to `to`, in the same object or where that has moved.
void lone_move(const void* from, const void* to) noexcept;

/// LC3: every count goes to its counter; then the counters are the truth.
/// Cost     a search for each slice address in the table.
/// Threads  any.
void settle_lone_counts() noexcept;

/// Around fork(), so that the child finds all of the table or nothing.
void lone_counts_before_fork() noexcept;
void lone_counts_after_fork() noexcept;

}  // namespace steady::detail
