// estimate.hpp - from samples to estimates that agree with what the heap has counted.
//
// A sample of probability p stands for 1 / p objects, and a sum of such weights is unbiased
// (Horvitz and Thompson). But how many objects of each size class are alive the heap knows
// exactly, so only their shares by stack have to be estimated (post-stratification):
//
//   64 B, 1000 alive, p = 1/300     alive samples      a    a    b
//                                   weights          300  300  300     sum: 900
//                                   become           333  333  333     sum: 1000, a has 2/3
//
// Terms   certain: a sample with p = 1. It stands for itself and keeps its weight; the others
//         share what it leaves.
//         open: alive (or freed) objects of a class less its certain samples.
//         untracked: allocated before sampling began, while the rate was 0, or when the tables
//         were full. How many of them are still alive is known between bounds only.
//         rest: counted objects that no sample stands for. They get a line, "[not sampled]".
//
// Objects alive and objects freed are two populations, so that a stack is never said to have
// more alive than it has allocated. Large objects have one of their own, counted in bytes.
//
// Invariants
//   E1  All weights certain (rate 1): nothing is changed, not by a bit.
//   E2  With no allocation going on, all inuse_space, with that of the rest, is heap_alloc less
//       the profiler's own; instances come on top.
//   E3  No untracked objects: the weights of a class with an uncertain sample add up to its open
//       objects. With untracked ones they are moved no further than into the bounds.
//
// What is promised. Given that a class has n > 0 samples alive, each of its objects is among
// them with the same chance, so the estimate of a stack is unbiased for classes of one period;
// where periods changed while its objects came, it is a quotient of two unbiased sums, biased by
// less than 1 / n of its error. With n = 0 the class is in the rest: over all chances a stack
// lacks P(n = 0), about exp(-live bytes / period), of its objects there, and the rest shows how
// many that are. The weights alone would give it 1 / p objects once in a long while instead.
//
// Source  Saerndal, Swensson, Wretman, "Model Assisted Survey Sampling", 1992, ch. 7.6.
//         What it gains: docs/numbers/profile.md.
#pragma once

#include <cstdint>
#include <vector>

#include "steady/heap/statistics.hpp"
#include "collect.hpp"
#include "tables.hpp"

namespace steady::profile::detail {

/// By class: objects, and of class 0 bytes.
struct untracked_objects {
    double made[class_count] = {};
    double alive_at_most[class_count] = {};
};

/// A live sample.
struct live_part {
    const site* where;
    std::uintptr_t address;
    std::uint64_t size;
    double weight;
};

/// What a site of the heap has counted: sums of weights, and of the objects those with weight 1.
struct heap_site {
    const site* where;
    double made, made_bytes, made_certain;
};

/// What the samples say, made to agree with `counts`, which were read at the same moment; nullptr:
/// the weights alone. Weights in `parts` become those of the estimate; the result has a line
/// for each site but the profiler's, and the rest last, without a site.
[[nodiscard]] std::vector<raw_sample> estimate(const std::vector<heap_site>& sites,
                                               std::vector<live_part>& parts,
                                               const heap_statistics* counts,
                                               const untracked_objects& untracked);

}  // namespace steady::profile::detail
