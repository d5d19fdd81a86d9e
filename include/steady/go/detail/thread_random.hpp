// thread_random.hpp - the generator behind thread_random(), seeded at first use.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

#include <sys/random.h>

#include "steady/core/hash.hpp"
#include "steady/core/random.hpp"

namespace steady::go {

namespace internal {

inline thread_local constinit wyrand random_state{0};
inline thread_local constinit bool random_is_seeded = false;

[[gnu::cold, gnu::noinline]] inline void seed_thread_random() noexcept {
    std::uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
        // A system that has no randomness yet has a clock, and threads have addresses.
        std::timespec now{};
        std::timespec_get(&now, TIME_UTC);
        seed = finalise(static_cast<std::uint64_t>(now.tv_nsec) ^
                        reinterpret_cast<std::uintptr_t>(&random_state));
    }
    random_state = wyrand{seed};
    random_is_seeded = true;
}

}  // namespace internal

inline wyrand& thread_random() noexcept {
    if (!internal::random_is_seeded) [[unlikely]]
        internal::seed_thread_random();
    return internal::random_state;
}

}  // namespace steady::go
