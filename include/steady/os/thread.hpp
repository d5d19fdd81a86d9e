// thread.hpp - a thread that can be started from anywhere, also from inside malloc, and
// the raw ways to wait.
//
// pthread_create allocates, takes the loader's lock and runs through libc's list of
// threads. A heap that starts its scavenger inside a malloc called with those very locks
// held (dlopen, fork handlers, TLS set-up) would deadlock. So the thread is made by
// clone() itself:
//
//   one mapping    | guard page | stack 64 KiB, grows down | 8 KiB | tp | 8 KiB |
//                                                                   ^ a zero TLS block
//
//            start()                       the body returns
//   idle -------------> running ---------------------------------> idle
//     ^   alive_ = 1                the kernel writes alive_ = 0 when the thread is gone
//     |                             (CLONE_CHILD_CLEARTID), so its stack is free again
//     +-- forget_after_fork(): the child has no such thread
//
// What the body may do: system calls of os/detail/syscall.hpp, os::mutex, plain memory,
// and anything built from these. What it must not do: call libc (errno, locks and malloc
// expect libc's own TLS) or use thread_local variables of the program. Its thread pointer
// shows a block of zeroes, so a stray read finds 0 as long as the program and its
// libraries have less than 8 KiB of them; beyond, it finds the stack, or a fault. Code that
// may run here asks in_background_thread() first.
//
// All signals are blocked: a handler of the program runs on the program's threads only,
// and fatal() knows the thread by it (core/fatal.hpp, F5).
// The thread never keeps a process alive: exit() and _exit() end all threads.
//
// Known edges  libc does not count the thread: after setuid() in the program it keeps its
//   old credentials (it only returns memory), and unshare(CLONE_NEWUSER) fails while it
//   runs, as with any second thread. STEADY_DEBUG=background=0 runs without it. Its working
//   directory is a copy, so that setns() into a mount namespace works while it runs; a file
//   system that was left meanwhile stays busy until it ends.
//
// Under a sanitizer the thread is a detached pthread, because the sanitizers' own shadow
// needs their own TLS.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/result.hpp"

namespace steady::os {

/// One thread that may be started, end, and be started again. Lives as long as the
/// process (it is a global of the room that uses it).
class background_thread {
public:
    constexpr background_thread() noexcept = default;
    background_thread(const background_thread&) = delete;
    background_thread& operator=(const background_thread&) = delete;

    /// Starts `body(argument)` in a thread of its own.
    ///
    /// Returns    errc::occupied while it runs; out_of_memory or not_permitted when the
    ///            kernel refuses a thread (limits, seccomp); unsupported for the 33rd of
    ///            these objects in a process.
    /// Cost       a mapping at the first start, then about 10 us.
    /// Threads    any, whatever locks of libc the caller holds; one start wins.
    result<void> start(void (*body)(void*), void* argument) noexcept;

    /// The thread exists: started, and not yet gone from its stack.
    [[nodiscard]] bool running() const noexcept {
        // acquire; pairs with the kernel's clearing (or the release in the pthread
        // variant): what the body did is visible to whoever sees it gone.
        return alive_.load(std::memory_order_acquire) != 0;
    }

    /// Waits until it is gone. Somebody must have told the body to return.
    void join() noexcept;

    /// For the one thread of a forked child: no thread runs here, start() may be called.
    void forget_after_fork() noexcept { alive_.store(0, std::memory_order_relaxed); }

private:
    static void run(void* self) noexcept;
    static void* run_pthread(void* self) noexcept;
    result<void> launch() noexcept;

    std::atomic<std::uint32_t> alive_{0};          // a futex word, cleared by the kernel
    [[maybe_unused]] std::byte* stack_ = nullptr;  // kept for the next start; not a pthread's
    void (*body_)(void*) = nullptr;
    void* argument_ = nullptr;
};

/// The calling thread was made here: it has no libc and no thread-local memory. Always
/// false under a sanitizer, where it has both.
///
/// Cost       a comparison with each such thread's stack: usually one.
/// Threads    any.
[[nodiscard]] bool in_background_thread() noexcept;

/// Nanoseconds of a clock that never goes back and starts anywhere.
///
/// Cost       a system call (0.2 us): for slow paths and pacing, not for latencies.
std::uint64_t now_ns() noexcept;

/// Sleeps at least this long.
void sleep_for(std::uint64_t nanoseconds) noexcept;

/// "Without a time limit", for futex_wait.
inline constexpr std::uint64_t forever = ~std::uint64_t{0};

/// Sleeps while `word` holds `expected`, until a futex_wake, the time limit, or for no
/// reason at all: callers test their condition again.
///
/// Returns    false when the time was over.
bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::uint64_t timeout_ns) noexcept;

/// Wakes up to `count` sleepers of `word`.
void futex_wake(std::atomic<std::uint32_t>& word, unsigned count) noexcept;

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 &&
                  std::atomic<std::uint32_t>::is_always_lock_free,
              "the kernel reads the word itself");

}  // namespace steady::os
