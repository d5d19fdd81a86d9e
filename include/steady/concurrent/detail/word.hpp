// word.hpp - the one kind of shared memory in this room: a 64-bit atomic word, and the
// places where a test may stop a thread.
//
//   load    acquire        every read of something another thread may write
//   store   release        every write that another thread may read
//   lock    seq_cst        compare-exchange that takes a lock bit
//
// That is more order than each single place needs. On x86-64 it costs nothing, for plain
// loads and stores are that strong; and it replaces the stand-alone fences of a seqlock,
// which ThreadSanitizer does not understand: a reader that saw any word a writer wrote
// after taking the lock also sees the lock when it looks again, because each such word was
// stored with release and loaded with acquire.
//
// STEADY_CONCURRENT_STEPS   (tests only) calls step_hook before each access, so that a
//                           scheduler can put another thread in between, and lets a test
//                           refuse allocations.

#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>

namespace steady::concurrent_detail {

enum class step : std::uint8_t { load, store, lock, wait };

#if defined(STEADY_CONCURRENT_STEPS)
inline std::atomic<void (*)(step)> step_hook{nullptr};
inline std::atomic<bool (*)()> refuse_hook{nullptr};
inline void at(step s) {
    if (auto* f = step_hook.load(std::memory_order_relaxed)) f(s);
}
inline bool refuse_allocation() {
    auto* f = refuse_hook.load(std::memory_order_relaxed);
    return f != nullptr && f();
}
#else
inline constexpr void at(step) noexcept {}
inline constexpr bool refuse_allocation() noexcept {
    return false;
}
#endif

class word {
public:
    constexpr word() noexcept = default;
    constexpr explicit word(std::uint64_t v) noexcept : value_{v} {}
    word(const word&) = delete;
    word& operator=(const word&) = delete;

    [[nodiscard, gnu::always_inline]] std::uint64_t load() const noexcept {
        at(step::load);
        return value_.load(std::memory_order_acquire);
    }
    [[gnu::always_inline]] void store(std::uint64_t v) noexcept {
        at(step::store);
        value_.store(v, std::memory_order_release);
    }
    /// Takes a lock bit: from `seen` to `wanted`.
    [[nodiscard, gnu::always_inline]] bool lock(std::uint64_t seen, std::uint64_t wanted) noexcept {
        at(step::lock);
        return value_.compare_exchange_strong(seen, wanted, std::memory_order_seq_cst,
                                              std::memory_order_relaxed);
    }
    /// A load that is not moved before a lock() of the same thread: one side of Dekker's
    /// protocol (see table.hpp, freeze).
    [[nodiscard]] std::uint64_t load_seq_cst() const noexcept {
        at(step::load);
        return value_.load(std::memory_order_seq_cst);
    }
    void store_seq_cst(std::uint64_t v) noexcept {
        at(step::store);
        value_.store(v, std::memory_order_seq_cst);
    }
    std::uint64_t fetch_add(std::uint64_t n) noexcept {
        at(step::store);
        return value_.fetch_add(n, std::memory_order_acq_rel);
    }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// Asks for a line to write to: without it, the load before a compare-exchange fetches the
/// line to read, and the exchange asks the other processor a second time.
[[gnu::always_inline]] inline void prefetch_to_write(const void* p) noexcept {
#if defined(__x86_64__)
    // GCC's builtin gives prefetcht0 unless told of a newer processor; every x86-64 that has
    // no prefetchw takes it for a nop.
    asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
    __builtin_prefetch(p, 1);
#endif
}

/// Waits a little longer each time: first for a running owner, then for one that must get
/// a processor.
class patience {
public:
    void wait() noexcept {
        at(step::wait);
#if !defined(STEADY_CONCURRENT_STEPS)
        if (++turns_ < 12) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#elif defined(__aarch64__)
            asm volatile("yield");
#endif
            return;
        }
#endif
        sched_yield();
    }

private:
    unsigned turns_ = 0;
};

/// A lock for what happens rarely: one byte of state, yields while it waits.
class rare_lock {
public:
    void lock() noexcept {
        patience p;
        while (state_.load() != 0 || !state_.lock(0, 1)) p.wait();
    }
    void unlock() noexcept { state_.store(0); }

private:
    word state_;
};

template <class Lock>
class [[nodiscard]] holding {
public:
    explicit holding(Lock& l) noexcept : lock_{l} { lock_.lock(); }
    ~holding() { lock_.unlock(); }
    holding(const holding&) = delete;
    holding& operator=(const holding&) = delete;

private:
    Lock& lock_;
};

}  // namespace steady::concurrent_detail
