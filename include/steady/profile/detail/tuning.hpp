// tuning.hpp - spends the same number of samples where they say most about what is alive.
//
// With one period for all, a class that allocates and frees a million short-lived objects
// takes nearly all samples, and a class whose objects stay takes few: the profile of what
// is alive is drawn from few points. But how often each class is sampled is ours to choose,
// as long as every sample carries its probability p.
//
//   error of the live estimate   sum over classes of  s^2 * live * (1 - p) / p
//   samples it costs             sum over classes of  rate * p            = as many as before
//   least error at that cost     p proportional to  s * sqrt(live / rate)
//
// live / rate is how long an object lives: the longer, the more a sample of it is worth.
// How many live and how many come, by class, the heap counts exactly and for nothing.
//
// Bounds: p stays within 1/2 and 16 times of what one period gives. Below, the profile of
// what was allocated would suffer; above, a class that wakes up would flood the tables before
// the next look at the rates.
//
// A program that allocates more than 8 GiB a second gets no more samples for it: beyond, all
// periods of small objects grow in proportion (as the kernel's perf throttles itself). At
// 512 KiB that is 16,384 samples a second, half a percent of one processor; a loop that does
// nothing but malloc and free makes ten times as much and would learn nothing from the rest.
//
// Source  the neighbouring idea is named as unexplored in jemalloc's PROFILING_INTERNALS.
#pragma once

#include <cstdint>

#include "steady/heap/size_classes.gen.hpp"

namespace steady::profile::detail {

struct class_load {
    double live = 0;       // objects alive
    double allocated = 0;  // objects since the last look, and half of those before
};

/// Periods for loads[class_count], given the one period of all. A class that allocated
/// nothing and has nothing alive keeps it, as does class 0.
void solve_periods(const class_load* loads, double period, std::uint64_t* periods) noexcept;

inline constexpr double most_bytes_a_second = 8.0 * (1 << 30);

/// By what periods are multiplied, when the last factor gave so many samples a second.
[[nodiscard]] double widened(double before, double samples_a_second, double period) noexcept;

/// From here on periods follow the loads, at the earliest after 128 samples and 100 ms; or they
/// stay as they are set. start() calls it with what STEADY_DEBUG says.
void set_tuning(bool on) noexcept;

}  // namespace steady::profile::detail
