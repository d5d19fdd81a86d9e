// clock.hpp - the cheapest clock that can be trusted, for timing single inserts.
//
// Terms   tick: the clock's unit.   reading: one call of now().
//         step: the shortest time two readings in a row ever tell apart.
//
//   kind           read by                     trusted when
//   tsc            lfence; rdtsc               the processor says "invariant": same rate in every
//                                              sleep state and on every core
//   cntvct         isb; mrs cntvct_el0         always (AArch64 defines it so)
//   clock_gettime  the vDSO or a system call   always
//
// The cycle counter is taken when it is trusted *and* its step is no longer than
// the kernel clock's. Under some hypervisors each rdtsc traps, and an emulator
// may count in microseconds; the step shows both.
//
// Why the fence: rdtsc may be executed before older loads have finished, so an
// insert waiting for memory would end up in its successor's time. The fence
// waits for them and costs about 5 ns; the control loop of a measurement pays
// it as well and shows it.
//
// The rate is measured against CLOCK_MONOTONIC over 20 ms, where both ends are
// known to within a reading (~50 ns): an error below one in 100,000.
#pragma once

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace steady::cli {

/// Nanoseconds of CLOCK_MONOTONIC.
inline std::uint64_t monotonic_nanoseconds() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

struct monotonic_clock {
    static constexpr const char* name = "clock_gettime(CLOCK_MONOTONIC)";
    static std::uint64_t now() noexcept { return monotonic_nanoseconds(); }
};

#if defined(__x86_64__)
struct cycle_clock {
    static constexpr const char* name = "time stamp counter";
    static std::uint64_t now() noexcept {
        _mm_lfence();
        return __rdtsc();
    }
};
#elif defined(__aarch64__)
struct cycle_clock {
    static constexpr const char* name = "cntvct_el0";
    static std::uint64_t now() noexcept {
        std::uint64_t ticks;
        asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
        return ticks;
    }
};
#endif

/// What calibrate_clock() found out about the clock it chose.
struct clock_facts {
    bool cycles = false;    // cycle_clock, else monotonic_clock
    const char* name = "";  // static text
    double nanoseconds_per_tick = 1;
    double nanoseconds_per_reading = 0;
    double step_nanoseconds = 0;

    double nanoseconds(std::uint64_t ticks) const {
        return static_cast<double>(ticks) * nanoseconds_per_tick;
    }
};

/// Chooses the clock and measures its rate.
///
/// Cost       about 30 ms.
clock_facts calibrate_clock();

/// Calls `body` with the chosen clock's type as its argument's type, so that
/// the choice is made once and not at every reading.
template <class Body>
void with_clock(const clock_facts& facts, Body&& body) {
#if defined(__x86_64__) || defined(__aarch64__)
    if (facts.cycles) return body(cycle_clock{});
#endif
    (void)facts;
    body(monotonic_clock{});
}

}  // namespace steady::cli
