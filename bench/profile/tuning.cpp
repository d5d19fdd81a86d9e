// tuning.cpp - at the same number of samples, how wrong is the live estimate by stack?
//
//   bench_profile_tuning TRACE [PERIOD] [SEEDS]
//
// Replays a recorded trace (preload/record_trace.cpp) through two samplers: one period for
// all sizes, as everybody has, and periods by class, solved for anew after each 256 samples
// as the profiler does. At 40 moments of the trace the estimate of what is alive is compared
// with the truth, stack by stack: error = sqrt(sum over stacks of (estimate - truth)^2).
// Reported are its mean over seeds and moments, and the samples that each sampler took.
//
// The second sampler is shown twice: as it is, and with a period at which it takes as many
// samples as the first one, which is the fair comparison.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <unordered_map>
#include <vector>

#include "profile/trace.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/size_classes.gen.hpp"
#include "steady/profile/detail/tuning.hpp"

namespace {

using namespace steady;
using steady::bench::trace_event;
using steady::profile::detail::class_load;

/// What a trace does, with names in place of addresses.
struct event {
    std::uint32_t object;  // a number from 0 up
    std::uint32_t stack;   // likewise
    std::uint32_t size;    // what it occupies; 0: freed
    std::uint8_t size_class;
};

struct program {
    std::vector<event> events;
    std::uint32_t objects = 0, stacks = 0;
};

program read_trace(const char* path) {
    program p;
    std::ifstream in(path, std::ios::binary);
    std::unordered_map<std::uint64_t, std::uint32_t> alive;
    std::unordered_map<std::uint32_t, std::uint32_t> stacks;
    std::vector<event> made;
    for (trace_event e; in.read(reinterpret_cast<char*>(&e), sizeof e);) {
        if (e.size == 0) {
            const auto found = alive.find(e.address);
            if (found == alive.end()) continue;
            event gone = made[found->second];
            gone.size = 0;
            p.events.push_back(gone);
            alive.erase(found);
            continue;
        }
        const auto stack = stacks.try_emplace(e.stack, static_cast<std::uint32_t>(stacks.size()));
        const std::size_t size = e.size <= max_small_size
                                     ? class_size[size_class_of(e.size)]
                                     : (std::size_t{e.size} + 8191) / 8192 * 8192;
        const event came{
            p.objects++, stack.first->second, static_cast<std::uint32_t>(size),
            static_cast<std::uint8_t>(e.size <= max_small_size ? size_class_of(e.size) : 0)};
        made.push_back(came);
        alive[e.address] = came.object;
        p.events.push_back(came);
    }
    p.stacks = static_cast<std::uint32_t>(stacks.size());
    return p;
}

struct result {
    double error = 0;
    double samples = 0;
};

result simulate(const program& p, double period, bool tuned, std::uint64_t seed) {
    wyrand random(seed);
    const auto uniform = [&] { return (static_cast<double>(random() >> 12) + 0.5) * 0x1p-52; };
    double probability[class_count];
    const auto set = [&](unsigned c, double own) {
        probability[c] = own <= 1 ? 1 : 1 - std::exp(-static_cast<double>(class_size[c]) / own);
    };
    for (unsigned c = 1; c < class_count; ++c) set(c, period);
    class_load loads[class_count];
    std::vector<float> weight(p.objects, 0);  // 0: no sample
    std::vector<std::uint32_t> size(p.objects, 0);
    std::vector<double> truth(p.stacks, 0), estimate(p.stacks, 0);
    result r;
    std::uint64_t since = 0, moments = 0, at = 0;
    const std::uint64_t step = p.events.size() / 40;
    for (const event& e : p.events) {
        if (e.size != 0) {
            size[e.object] = e.size;
            truth[e.stack] += e.size;
            loads[e.size_class].live += 1;
            loads[e.size_class].allocated += 1;
            const double q = e.size_class != 0
                                 ? probability[e.size_class]
                                 : 1 - std::exp(-static_cast<double>(e.size) / period);
            if (uniform() < q) {
                weight[e.object] = static_cast<float>(1 / q);
                estimate[e.stack] += e.size / q;
                ++r.samples;
                if (tuned && ++since == 256) {
                    since = 0;
                    std::uint64_t periods[class_count];
                    profile::detail::solve_periods(loads, period, periods);
                    for (unsigned c = 1; c < class_count; ++c) {
                        set(c, periods[c] != 0 ? static_cast<double>(periods[c]) : period);
                        loads[c].allocated /= 2;
                    }
                }
            }
        } else {
            const double s = size[e.object];
            truth[e.stack] -= s;
            loads[e.size_class].live -= 1;
            if (weight[e.object] > 0)
                estimate[e.stack] -= s * static_cast<double>(weight[e.object]);
        }
        if (++at % step != 0) continue;
        double squares = 0;
        for (std::uint32_t i = 0; i < p.stacks; ++i)
            squares += (estimate[i] - truth[i]) * (estimate[i] - truth[i]);
        r.error += std::sqrt(squares);
        ++moments;
    }
    r.error /= static_cast<double>(moments);
    return r;
}

result over_seeds(const program& p, double period, bool tuned, int seeds) {
    result sum;
    for (int s = 1; s <= seeds; ++s) {
        const result one = simulate(p, period, tuned, static_cast<std::uint64_t>(s) * 7919);
        sum.error += one.error / seeds;
        sum.samples += one.samples / seeds;
    }
    return sum;
}

}  // namespace

int main(int count, char** words) {
    if (count < 2) {
        std::fprintf(stderr, "usage: bench_profile_tuning TRACE [PERIOD] [SEEDS]\n");
        return 2;
    }
    const program p = read_trace(words[1]);
    const double period = count > 2 ? std::atof(words[2]) : 524288;
    const int seeds = count > 3 ? std::atoi(words[3]) : 20;
    const result plain = over_seeds(p, period, false, seeds);
    const result tuned = over_seeds(p, period, true, seeds);
    double equal_period = period;
    result equal = tuned;
    for (int i = 0; i < 4; ++i) {
        equal_period *= equal.samples / plain.samples;
        equal = over_seeds(p, equal_period, true, seeds);
    }
    std::printf("%s: %zu events, %u stacks, period %.0f\n", words[1], p.events.size(), p.stacks,
                period);
    std::printf("  one period      error %12.0f B   %8.1f samples\n", plain.error, plain.samples);
    std::printf("  tuned           error %12.0f B   %8.1f samples   ratio %.3f\n", tuned.error,
                tuned.samples, tuned.error / plain.error);
    std::printf("  tuned, equal    error %12.0f B   %8.1f samples   ratio %.3f\n", equal.error,
                equal.samples, equal.error / plain.error);
}
