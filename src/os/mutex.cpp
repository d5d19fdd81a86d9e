// mutex.cpp - the slow half of the mutex. The story is in mutex.hpp.
#include "steady/os/mutex.hpp"

#include "steady/os/thread.hpp"

namespace steady::os {

namespace {

// Our critical sections are below a microsecond; 32 pauses are about as long.
constexpr int spins_before_sleep = 32;

void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");  // `yield` does nothing on most cores; isb waits about as long as a pause
#endif
}

}  // namespace

void mutex::lock_contended() noexcept {
    for (int i = 0; i < spins_before_sleep; ++i) {
        std::uint32_t seen = state_.load(std::memory_order_relaxed);
        if (seen == free && state_.compare_exchange_weak(seen, held, std::memory_order_acquire,
                                                         std::memory_order_relaxed)) {
            return;
        }
        if (seen == contended) break;  // others sleep already: no turn is near
        pause();
    }
    // M1, M2. acquire; pairs with the release in unlock().
    while (state_.exchange(contended, std::memory_order_acquire) != free) {
        futex_wait(state_, contended, forever);
    }
}

void mutex::wake_one() noexcept {
    futex_wake(state_, 1);
}

}  // namespace steady::os
