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
// Bounds: p stays within 1/4 and 16 times of what one period gives. Below, the profile of
// what was allocated would suffer (its error is at most doubled); above, a class that wakes
// up would flood the tables before the next look at the rates.
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

}  // namespace steady::profile::detail
