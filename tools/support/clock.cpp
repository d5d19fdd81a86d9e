// clock.cpp - see clock.hpp.
#include "support/clock.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace steady::cli {
namespace {

constexpr int readings = 20'000;
constexpr std::uint64_t calibration_nanoseconds = 20'000'000;

/// The smallest of several averages: an interrupted one says nothing of the clock.
template <class Clock>
double cost_of_reading() {
    double best = 1e9;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const std::uint64_t start = monotonic_nanoseconds();
        for (int i = 0; i < readings; ++i) {
            const std::uint64_t ticks = Clock::now();
            asm volatile("" : : "r"(ticks));
        }
        const double each =
            static_cast<double>(monotonic_nanoseconds() - start) / static_cast<double>(readings);
        if (each < best) best = each;
    }
    return best;
}

/// In ticks. 0 when the clock never moved: then it is no clock.
template <class Clock>
std::uint64_t smallest_step() {
    std::uint64_t smallest = 0;
    std::uint64_t previous = Clock::now();
    for (int i = 0; i < readings; ++i) {
        const std::uint64_t now = Clock::now();
        const std::uint64_t step = now - previous;
        previous = now;
        if (step != 0 && (smallest == 0 || step < smallest)) smallest = step;
    }
    return smallest;
}

/// Cost and step of a clock whose rate is known.
template <class Clock>
clock_facts facts_of(bool cycles, double nanoseconds_per_tick) {
    clock_facts found{cycles, Clock::name, nanoseconds_per_tick, cost_of_reading<Clock>(), 0};
    found.step_nanoseconds = found.nanoseconds(smallest_step<Clock>());
    return found;
}

#if defined(__x86_64__) || defined(__aarch64__)

bool cycle_clock_is_steady() {
#if defined(__x86_64__)
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
#else
    return true;
#endif
}

double measure_cycle_rate() {
    const std::uint64_t first_time = monotonic_nanoseconds();
    const std::uint64_t first_tick = cycle_clock::now();
    std::uint64_t last_time = first_time;
    while (last_time - first_time < calibration_nanoseconds) last_time = monotonic_nanoseconds();
    const std::uint64_t last_tick = cycle_clock::now();
    return static_cast<double>(last_time - first_time) /
           static_cast<double>(last_tick - first_tick);
}

#endif

}  // namespace

clock_facts calibrate_clock() {
    const clock_facts kernel = facts_of<monotonic_clock>(false, 1.0);
#if defined(__x86_64__) || defined(__aarch64__)
    if (cycle_clock_is_steady()) {
        const clock_facts cycles = facts_of<cycle_clock>(true, measure_cycle_rate());
        // A tenth of tolerance: on AArch64 both clocks are the same counter.
        const bool fine = cycles.step_nanoseconds <= kernel.step_nanoseconds * 1.1;
        if (fine && cycles.step_nanoseconds > 0) return cycles;
    }
#endif
    return kernel;
}

}  // namespace steady::cli
