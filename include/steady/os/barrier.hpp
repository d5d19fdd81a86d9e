// barrier.hpp - a memory barrier that one thread executes for all others, so that
// the common side of a protocol needs none.
//
//   owner, often                          thief, rarely
//   flag = 1;  (plain store)              request = 1;
//   compiler fence                        membarrier();   every thread of the process has
//   if (request) give way                 if (!flag) ...  passed a full barrier in between
//
// Either the owner sees the request or the thief sees the flag, as if both had
// executed a full fence; but only the thief pays (a few microseconds: an interrupt
// to each processor that runs a thread of this process).
//
// Source  membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED, Linux 4.14.

#pragma once

namespace steady::os {

/// Tells the kernel that this process will use membarrier(). Survives fork.
///
/// Returns    false when the kernel or a seccomp filter does not allow it; the
///            caller then needs real fences on both sides.
/// Cost       one system call (first use; with threads running it may wait for an
///            RCU grace period, some milliseconds).
bool membarrier_register() noexcept;

/// A full memory barrier on every running thread of this process.
///
/// Returns    false when not registered or not supported; then no barrier happened.
/// Threads    any.
bool membarrier() noexcept;

}  // namespace steady::os
