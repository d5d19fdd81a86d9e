// guards.hpp - sampled objects that end at an unreadable page and become
// unreadable when freed, so that an overflow or a use after free stops the
// program at the instruction that does it.
//
//   | unused ............ | object | guard page |      allocated
//   | unreadable ..................| guard page |      freed, the last 64 of them
//
// With STEADY_DEBUG=guard_rate=N one in N sampled objects is guarded. A fault in
// a guarded span prints what was touched and hands the signal on to the program's
// own handler or the default action.
#pragma once

#include "steady/heap/detail/span.hpp"

namespace steady::detail::guards {

/// Takes a place among the living guarded objects and the retired ones, or says that all
/// are taken: each costs two mappings, and they may have a quarter of vm.max_map_count.
[[nodiscard]] bool admit() noexcept;
/// Gives it back, for an object that was not guarded after all.
void dismiss() noexcept;
/// Installs the SIGSEGV and SIGBUS handlers, keeping the ones before. Once.
void watch_faults() noexcept;
/// Makes the last page of the span unreadable.
[[nodiscard]] bool protect_tail(span& s) noexcept;
/// Makes all of the span unreadable and keeps it so until 64 others were retired.
void retire(span* s) noexcept;

void before_fork() noexcept;
void after_fork() noexcept;

}  // namespace steady::detail::guards
