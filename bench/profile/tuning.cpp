// tuning.cpp - at the same number of samples, how wrong is the estimate by stack?
//
//   bench_profile_tuning TRACE [PERIOD] [SEEDS]
//
// Replays a recorded trace (preload/record_trace.cpp) through samplers:
//
//   poisson     an object of s bytes with 1 - exp(-s / period), each by itself, as everybody has
//   threshold   with min(1, s / period), each by itself
//   strata      one of each period / s objects of a class, as the heap draws
//   tuned       strata, and periods by class, solved for anew after each 128 samples
//   ... agreed  and weights made to agree with the heap's counts (src/profile/estimate.hpp): with
//               `tuned` what the profiler does, except that it also waits 100 ms between two looks
//
// At 40 moments of the trace the estimates of what is alive and of what was allocated are
// compared with the truth, stack by stack: error = sqrt(sum of (estimate - truth)^2), its mean
// over seeds and moments. Each sampler gets the period at which it takes as many samples as the
// first one with the period asked for.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <unordered_map>
#include <vector>

#include "profile/trace.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/size_classes.gen.hpp"
#include "steady/profile/detail/tuning.hpp"
#include "profile/estimate.hpp"

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
    double live_error = 0;
    double allocated_error = 0;
    double samples = 0;
};

struct design {
    const char* name;
    bool threshold, strata, tuned, agreed;
};
constexpr design designs[] = {
    {"poisson", false, false, false, false},    {"poisson agreed", false, false, false, true},
    {"threshold", true, false, false, false},   {"strata", true, true, false, false},
    {"strata agreed", true, true, false, true}, {"tuned", true, true, true, false},
    {"tuned agreed", true, true, true, true},
};

/// Of one class: the objects of the present stratum, how many have passed, which is the sample.
struct stratum {
    std::uint64_t objects = 0, passed = 0, sample = 0;
};

/// How wrong estimates are, by stack: sums of what is there and of what is thought to be there.
struct comparison {
    std::vector<double> truth, estimate;
    explicit comparison(std::size_t stacks) : truth(stacks, 0), estimate(stacks, 0) {}
    [[nodiscard]] double error() const {
        double squares = 0;
        for (std::size_t i = 0; i < truth.size(); ++i)
            squares += (estimate[i] - truth[i]) * (estimate[i] - truth[i]);
        return std::sqrt(squares);
    }
};

using steady::profile::detail::heap_site;
using steady::profile::detail::live_part;
using steady::profile::detail::site;

/// What the profiler's tables would hold, and the heap's counts.
class recorded {
public:
    explicit recorded(const program& p) : place_(p.objects) {}

    void came(const event& e, double weight) {
        auto& line = counts_.by_size[e.size_class];
        ++line.mallocs, ++counts_.mallocs;
        counts_.total_alloc += e.size, counts_.heap_alloc += e.size;
        counts_.large_bytes += e.size_class == 0 ? e.size : 0;
        if (weight == 0) return;
        const std::uint64_t key =
            std::uint64_t{e.stack} << 40 | std::uint64_t{e.size_class} << 32 | e.size;
        const auto [at, fresh] = index_.try_emplace(key, sites_.size());
        if (fresh) {
            site s{};
            s.size_class = e.size_class;
            s.size = e.size;
            stacks_[&where_.emplace_back(s)] = e.stack;
            sites_.push_back({&where_.back(), 0, 0, 0});
        }
        heap_site& s = sites_[at->second];
        s.made += weight;
        s.made_bytes += weight * e.size;
        s.made_certain += weight <= 1 ? weight : 0;
        place_[e.object] = parts_.size();
        parts_.push_back({s.where, e.object, e.size, weight});
    }
    void went(const event& e, std::uint32_t size, bool sampled) {
        ++counts_.by_size[e.size_class].frees, ++counts_.frees;
        counts_.heap_alloc -= size;
        counts_.large_bytes -= e.size_class == 0 ? size : 0;
        if (!sampled) return;
        parts_[place_[e.object]] = parts_.back();
        place_[parts_.back().address] = place_[e.object];
        parts_.pop_back();
    }
    void estimate(std::vector<double>& live, std::vector<double>& allocated) const {
        using namespace steady::profile;
        std::vector<live_part> parts = parts_;
        steady::heap_statistics counts = counts_;
        counts.heap_objects = counts.mallocs - counts.frees;
        std::fill(live.begin(), live.end(), 0);
        std::fill(allocated.begin(), allocated.end(), 0);
        for (const auto& s : profile::detail::estimate(sites_, parts, &counts, {})) {
            if (s.where == nullptr) continue;
            const std::uint32_t stack = stacks_.at(s.where);
            live[stack] += static_cast<double>(s.values[inuse_space]);
            allocated[stack] += static_cast<double>(s.values[alloc_space]);
        }
    }

private:
    steady::heap_statistics counts_{};
    std::deque<site> where_;
    std::vector<heap_site> sites_;
    std::unordered_map<std::uint64_t, std::size_t> index_;
    std::unordered_map<const site*, std::uint32_t> stacks_;
    std::vector<live_part> parts_;
    std::vector<std::size_t> place_;
};

result simulate(const program& p, double period, const design& d, std::uint64_t seed) {
    wyrand random(seed);
    const auto uniform = [&] { return (static_cast<double>(random() >> 12) + 0.5) * 0x1p-52; };
    const auto chance = [&](double size, double own) {
        return d.threshold ? std::min(1.0, size / own) : 1 - std::exp(-size / own);
    };
    double periods[class_count];
    for (double& own : periods) own = period;
    stratum strata[class_count];
    class_load loads[class_count];
    std::vector<float> weight(p.objects, 0);  // 0: no sample
    std::vector<std::uint32_t> size(p.objects, 0);
    comparison live(p.stacks), allocated(p.stacks);
    recorded tables(p);
    result r;
    std::uint64_t moments = 0, at = 0;
    const std::uint64_t step = p.events.size() / 40;

    // The probability with which this object is a sample, or 0 if it is none.
    const auto draw = [&](const event& e) -> double {
        const double q = chance(e.size, periods[e.size_class]);
        if (!d.strata || e.size_class == 0) return uniform() < q ? q : 0;
        stratum& s = strata[e.size_class];
        if (s.passed == s.objects) {
            s.objects = static_cast<std::uint64_t>(1 / q + uniform());
            s.passed = 0;
            s.sample = static_cast<std::uint64_t>(uniform() * static_cast<double>(s.objects));
        }
        return s.passed++ == s.sample ? 1 / static_cast<double>(s.objects) : 0;
    };
    const auto tune = [&] {
        std::uint64_t solved[class_count];
        profile::detail::solve_periods(loads, period, solved);
        for (unsigned c = 1; c < class_count; ++c) {
            periods[c] = solved[c] != 0 ? static_cast<double>(solved[c]) : period;
            loads[c].allocated /= 2;
        }
    };

    for (const event& e : p.events) {
        if (e.size != 0) {
            size[e.object] = e.size;
            live.truth[e.stack] += e.size;
            allocated.truth[e.stack] += e.size;
            loads[e.size_class].live += 1;
            loads[e.size_class].allocated += 1;
            const double q = draw(e);
            if (d.agreed) tables.came(e, q > 0 ? 1 / q : 0);
            if (q > 0) {
                weight[e.object] = static_cast<float>(1 / q);
                live.estimate[e.stack] += e.size / q;
                allocated.estimate[e.stack] += e.size / q;
                r.samples += 1;
                if (d.tuned && static_cast<std::uint64_t>(r.samples) % 128 == 0) tune();
            }
        } else {
            if (d.agreed) tables.went(e, size[e.object], weight[e.object] > 0);
            const double s = size[e.object];
            live.truth[e.stack] -= s;
            loads[e.size_class].live -= 1;
            if (weight[e.object] > 0)
                live.estimate[e.stack] -= s * static_cast<double>(weight[e.object]);
        }
        if (++at % step != 0) continue;
        if (d.agreed) {
            comparison l(live.truth.size()), a(live.truth.size());
            tables.estimate(l.estimate, a.estimate);
            l.truth = live.truth;
            a.truth = allocated.truth;
            r.live_error += l.error();
            r.allocated_error += a.error();
            ++moments;
            continue;
        }
        r.live_error += live.error();
        r.allocated_error += allocated.error();
        ++moments;
    }
    r.live_error /= static_cast<double>(moments);
    r.allocated_error /= static_cast<double>(moments);
    return r;
}

result over_seeds(const program& p, double period, const design& d, int seeds) {
    result sum;
    for (int s = 1; s <= seeds; ++s) {
        const result one = simulate(p, period, d, static_cast<std::uint64_t>(s) * 7919);
        sum.live_error += one.live_error / seeds;
        sum.allocated_error += one.allocated_error / seeds;
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
    std::printf("%s: %zu events, %u stacks, period %.0f\n", words[1], p.events.size(), p.stacks,
                period);
    const result plain = over_seeds(p, period, designs[0], seeds);
    for (const design& d : designs) {
        double own = period;
        result equal = over_seeds(p, own, d, seeds);
        for (int i = 0; i < 4; ++i) {
            own *= equal.samples / plain.samples;
            equal = over_seeds(p, own, d, seeds);
        }
        std::printf(
            "  %-14s %8.1f samples   live: error %11.0f B, ratio %.3f   allocated: ratio "
            "%.3f\n",
            d.name, equal.samples, equal.live_error, equal.live_error / plain.live_error,
            equal.allocated_error / plain.allocated_error);
    }
}
