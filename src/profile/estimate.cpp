// estimate.cpp - see estimate.hpp.
#include "estimate.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace steady::profile::detail {
namespace {

/// One population of one class: what its samples say, and by what the uncertain ones are
/// multiplied.
struct stratum {
    double certain = 0;
    double uncertain = 0;
    double factor = 1;

    void add(double weight, double units) noexcept {
        (weight <= 1 ? certain : uncertain) += weight * units;
    }
    /// Their sum, once there is a factor.
    [[nodiscard]] double sum() const noexcept { return certain + uncertain * factor; }
    void agree_with(double counted, double untracked) noexcept {
        if (uncertain <= 0) return;
        const double open = std::max(0.0, counted - certain);
        factor = std::clamp(uncertain, std::max(0.0, open - untracked), open) / uncertain;
    }
};

struct tally {
    double objects = 0, bytes = 0;
    double certain_objects = 0;
    double raw_objects = 0, raw_bytes = 0;  // as weighed when they were drawn
};

/// Rounds so that the sum of all is rounded once: each is the difference of two rounded sums.
class running_sum {
public:
    std::int64_t add(double value) noexcept {
        const std::int64_t before = std::llround(sum_);
        sum_ += value;
        return std::llround(sum_) - before;
    }

private:
    double sum_ = 0;
};

std::int64_t left_of(std::uint64_t counted, double said) noexcept {
    return std::max<std::int64_t>(0, static_cast<std::int64_t>(counted) - std::llround(said));
}

}  // namespace

std::vector<raw_sample> estimate(const std::vector<heap_site>& sites, std::vector<live_part>& parts,
                                 const heap_statistics* counts,
                                 const untracked_objects& untracked) {
    stratum alive[class_count], freed[class_count];
    const auto units_of = [](const site& s, std::uint64_t size) noexcept {
        return s.size_class == 0 ? static_cast<double>(size) : 1.0;
    };
    for (const live_part& p : parts) {
        if (p.where->of != population::instance)
            alive[p.where->size_class].add(p.weight, units_of(*p.where, p.size));
    }
    const auto alive_of = [counts](unsigned c) noexcept {
        const auto& line = counts->by_size[c];
        return static_cast<double>(c == 0 ? counts->large_bytes : line.mallocs - line.frees);
    };
    if (counts != nullptr) {
        for (unsigned c = 0; c < class_count; ++c)
            alive[c].agree_with(alive_of(c), untracked.alive_at_most[c]);
    }

    std::unordered_map<const site*, tally> live;
    live.reserve(sites.size());
    for (live_part& p : parts) {
        tally& t = live[p.where];
        t.raw_objects += p.weight;
        t.raw_bytes += p.weight * static_cast<double>(p.size);
        if (p.weight <= 1)
            t.certain_objects += p.weight;
        else if (p.where->of != population::instance)
            p.weight *= alive[p.where->size_class].factor;
        t.objects += p.weight;
        t.bytes += p.weight * static_cast<double>(p.size);
    }

    // What a site has made and no longer has. Of large objects, which change their size, the
    // weights alone say it.
    const auto gone = [&](const heap_site& s, const tally& t) noexcept {
        stratum g;
        g.certain = std::max(0.0, s.made_certain - t.certain_objects);
        g.uncertain = std::max(0.0, s.made - t.raw_objects - g.certain);
        return g;
    };
    const auto is_small = [](const site& s) noexcept {
        return s.size_class != 0 && s.of != population::instance;
    };
    for (const heap_site& s : sites) {
        if (!is_small(*s.where)) continue;
        const stratum g = gone(s, live[s.where]);
        freed[s.where->size_class].certain += g.certain;
        freed[s.where->size_class].uncertain += g.uncertain;
    }
    if (counts != nullptr) {
        for (unsigned c = 1; c < class_count; ++c) {
            const double made = static_cast<double>(counts->by_size[c].mallocs) - untracked.made[c];
            const double most = alive_of(c);
            const double least = std::max(0.0, most - untracked.alive_at_most[c]);
            freed[c].agree_with(made - std::clamp(alive[c].sum(), least, most), 0);
        }
    }

    std::vector<raw_sample> out;
    out.reserve(sites.size() + 1);
    running_sum sums[4];
    double said[4] = {};  // of what is counted
    for (const heap_site& s : sites) {
        const tally& t = live[s.where];
        double values[4] = {};
        values[inuse_objects] = t.objects;
        values[inuse_space] = t.bytes;
        if (is_small(*s.where)) {
            const stratum g = gone(s, t);
            values[alloc_objects] =
                t.objects + g.certain + g.uncertain * freed[s.where->size_class].factor;
            values[alloc_space] = values[alloc_objects] * static_cast<double>(s.where->size);
        } else {
            values[alloc_objects] = t.objects + std::max(0.0, s.made - t.raw_objects);
            values[alloc_space] = t.bytes + std::max(0.0, s.made_bytes - t.raw_bytes);
        }
        if (s.where->of != population::instance) {
            for (std::size_t v = 0; v < 4; ++v) said[v] += values[v];
        }
        if (s.where->of == population::profiler) continue;
        raw_sample one;
        one.where = s.where;
        for (std::size_t v = 0; v < 4; ++v) one.values[v] = sums[v].add(values[v]);
        out.push_back(one);
    }
    if (counts == nullptr) return out;
    raw_sample rest;
    rest.values[alloc_objects] = left_of(counts->mallocs, said[alloc_objects]);
    rest.values[alloc_space] = left_of(counts->total_alloc, said[alloc_space]);
    rest.values[inuse_objects] = left_of(counts->heap_objects, said[inuse_objects]);
    rest.values[inuse_space] = left_of(counts->heap_alloc, said[inuse_space]);
    out.push_back(rest);
    return out;
}

}  // namespace steady::profile::detail
