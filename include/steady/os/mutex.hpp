// mutex.hpp - the lock of the runtime rooms: 4 bytes, no libc, no allocation, and
// usable by a thread that libc does not know.
//
//                 lock, nobody here                lock, somebody here
//     free (0) ---------------------> held (1) ---------------------> contended (2)
//        ^          unlock               |                                 |
//        +-------------------------------+---- unlock, wake one sleeper ---+
//
// Invariants
//   M1  A sleeper has seen `contended` written after it came, so whoever unlocks
//       finds 2 and wakes one: no wake-up is lost.
//   M2  A woken thread takes the lock as `contended`, because it cannot know
//       whether others still sleep. At worst one needless wake-up follows.
//
// Cost    uncontended: one compare-exchange, one exchange. Contended: a few dozen
//         pauses (about a microsecond, the length of our critical sections), then
//         sleep. With more threads than processors spinning longer only burns the
//         time the owner needs.
// Source  Drepper, "Futexes Are Tricky", 2011: mutex 3.

#pragma once

#include <atomic>
#include <cstdint>

// ThreadSanitizer knows atomics, but a thread waiting in a raw futex call is
// invisible to it: say what the lock orders.
#if defined(__SANITIZE_THREAD__)
#define STEADY_OS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STEADY_OS_TSAN 1
#endif
#endif
#if defined(STEADY_OS_TSAN)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace steady::os {

class mutex {
public:
    constexpr mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// Waits for the lock and takes it. Not recursive.
    ///
    /// Threads    any, also before constructors and in raw threads; not in signal handlers.
    void lock() noexcept {
        std::uint32_t seen = free;
        // acquire; pairs with the release in unlock().
        if (!state_.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                            std::memory_order_relaxed)) [[unlikely]] {
            lock_contended();
        }
        after_lock();
    }

    /// Takes the lock if it is free now.
    [[nodiscard]] bool try_lock() noexcept {
        std::uint32_t seen = free;
        if (!state_.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
            return false;
        }
        after_lock();
        return true;
    }

    void unlock() noexcept {
        before_unlock();
        // release; pairs with the acquires in lock(), try_lock() and lock_contended().
        if (state_.exchange(free, std::memory_order_release) == contended) [[unlikely]] {
            wake_one();
        }
    }

    /// Frees the lock whatever its state. For the one thread of a forked child: the
    /// owner and the sleepers stayed in the parent.
    void reset_after_fork() noexcept { state_.store(free, std::memory_order_relaxed); }

    /// For checks: somebody holds it now.
    [[nodiscard]] bool is_locked() const noexcept {
        return state_.load(std::memory_order_relaxed) != free;
    }

private:
    static constexpr std::uint32_t free = 0, held = 1, contended = 2;

    void lock_contended() noexcept;
    void wake_one() noexcept;

    void after_lock() noexcept {
#if defined(STEADY_OS_TSAN)
        __tsan_acquire(this);
#endif
    }
    void before_unlock() noexcept {
#if defined(STEADY_OS_TSAN)
        __tsan_release(this);
#endif
    }

    std::atomic<std::uint32_t> state_{free};
};

static_assert(sizeof(mutex) == 4, "a futex word and nothing else: locks sit in dense tables");

/// Holds a mutex, or what locks like one, for a scope.
template <class Mutex = mutex>
class [[nodiscard]] lock_guard {
public:
    explicit lock_guard(Mutex& m) noexcept : mutex_{m} { mutex_.lock(); }
    ~lock_guard() { mutex_.unlock(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;

private:
    Mutex& mutex_;
};

}  // namespace steady::os
