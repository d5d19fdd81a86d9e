// unwind.hpp - the call stack of a thread, from inside malloc or a signal handler:
// no lock, no allocation, no call into the loader, no fault.
//
//   pc --cache--> rule --> cfa = rsp or rbp + offset
//                          return address at cfa - 8, caller's rbp at cfa + offset
//
// Compilers leave frame pointers out and describe each frame in .eh_frame instead: for
// every pc how to find the caller's registers. Reading that takes 100 ns and more, so what
// a pc needs is kept as one word in a table; a warm frame costs a look at one cache line
// and two loads from the stack. Only rsp, rbp and rip are followed: hardly any function
// finds its caller by another register.
//
// Terms   CFA: the stack address right above the return address (DWARF's canonical
//         frame address).    rule: how to get from this frame to its caller.
//
//   one line of the table, 64 bytes       | pc | rule | pc | rule | pc | rule | pc | rule |
//   a rule   63        39 38       23 22            3 2    0
//            | check of pc | rbp's place | CFA offset | kind |
//
// Invariants
//   U1  A word of the stack is read only in pages that were seen readable. Stacks end
//       where a page cannot be read; a wrong rule loses the rest of a stack, no more.
//   U2  A rule is used only for the pc it was made for. Two threads may write one entry
//       at once, so the rule carries a check of its pc: a pair torn apart does not match.
//   U3  Every step goes towards the end of the stack (the CFA grows), but for signal
//       frames; so a walk ends.
//   U4  A frame of the last stack is taken over only from one that has the same pc and sp (and
//       bp, where that led there) and while its return address is where it was.
//
// Stacks resemble the one before: main and what it called stay. Each thread remembers its last
// walk; from a frame of it on, what lies further out is compared with the stack, two words a
// frame, and not looked up (U4).
//
// A pc without .eh_frame (code made at run time) is followed by rbp if that points into
// the stack. On AArch64 frame pointers alone are used; Debian compiles with them.
//
// Tried   _Unwind_Backtrace: 20-140 times the time per frame, and it may take the loader's
//         lock. Frame pointers alone: glibc and libstdc++ have none.
// Source  DWARF 5, 6.4; Linux Standard Base, 10.6 (.eh_frame_hdr).
#pragma once

#include <cstddef>
#include <cstdint>

namespace steady::profile::detail {

/// Frames kept of a stack.
inline constexpr std::size_t most_frames = 128;

struct registers {
    std::uintptr_t pc;
    std::uintptr_t sp;
    std::uintptr_t bp;
};

struct captured {
    std::size_t depth = 0;
    bool cut = false;  // there are more frames than fit
    // Of this thread: the same number as last time is the same stack. 0: nothing is known.
    std::uint32_t serial = 0;
};

/// The stack above the caller of this function, innermost first: of each frame an address
/// inside its call. `skip` frames are left out.
///
/// Cost       a few ns a frame once its rule is known, less where the last stack of this thread
///            had it; about 300 ns the first time.
/// Threads    any, also in signal handlers and under any lock.
captured capture(std::uintptr_t* frames, std::size_t capacity, unsigned skip) noexcept;

/// The same from the registers of an interrupted thread: pc is that of an instruction.
captured capture_from(registers from, std::uintptr_t* frames, std::size_t capacity) noexcept;

/// Forgets all rules: libraries have been unloaded, and others may lie in their place.
void forget_rules() noexcept;

/// Rules made since the start, for tests and figures.
[[nodiscard]] std::uint64_t rules_made() noexcept;

}  // namespace steady::profile::detail
