// fork_lock.hpp - a lock for what the whole process shares, free in the child of a fork
// whatever other threads did when it was made.
//
//   fork()   before: no lock joins any more; every lock that has joined is taken
//            after, in the parent and in the child: all are let go
//
// A lock joins before it is taken for the first time, and the handlers are registered while the
// program or library is loaded. Registered at the first use they came too late for a fork that
// had begun: it ran the handlers known then, and the child found the lock held by nobody (F1).

#pragma once

#include <atomic>

#include <pthread.h>

#include "steady/concurrent/detail/word.hpp"

namespace steady::concurrent_detail {

class fork_lock {
public:
    constexpr fork_lock() noexcept = default;
    fork_lock(const fork_lock&) = delete;
    fork_lock& operator=(const fork_lock&) = delete;

    void lock() noexcept {
        // acquire; pairs with the release in join().
        if (!joined_.load(std::memory_order_acquire)) [[unlikely]]
            join();
        lock_.lock();
    }
    void unlock() noexcept { lock_.unlock(); }

private:
    [[gnu::cold, gnu::noinline]] void join() noexcept {
        const holding<rare_lock> only{joining_};
        if (joined_.load(std::memory_order_relaxed)) return;
        next_ = first_;
        first_ = this;
        joined_.store(true, std::memory_order_release);
    }
    static void before_fork() noexcept {
        joining_.lock();
        for (fork_lock* l = first_; l != nullptr; l = l->next_) l->lock_.lock();
    }
    static void after_fork() noexcept {
        for (fork_lock* l = first_; l != nullptr; l = l->next_) l->lock_.unlock();
        joining_.unlock();
    }

    rare_lock lock_;
    std::atomic<bool> joined_{false};
    fork_lock* next_ = nullptr;  // under joining_

    static inline constinit rare_lock joining_;
    static inline constinit fork_lock* first_ = nullptr;
    static inline const bool registered_ =
        pthread_atfork(before_fork, after_fork, after_fork) == 0;  // F1
};

}  // namespace steady::concurrent_detail
