// hash_distribution.cpp - E-24: how evenly keys fall into buckets, beside Poisson, which is
// what perfectly random keys give. "Evenly" would be better than chance, and is not what a
// hash promises.
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/experiments/buckets.hpp"

namespace steady::cli::lab {
namespace {

/// Chi squared over its degrees of freedom: 1 for chance, far above for clusters, far below
/// for keys that avoid each other.
double unevenness(const bucket_survey& found, double mean) {
    double sum = 0;
    for (const std::uint64_t n : found.entries) {
        sum += (static_cast<double>(n) - mean) * (static_cast<double>(n) - mean) / mean;
    }
    return sum / static_cast<double>(found.entries.size() - 1);
}

template <class K, class Make>
bucket_survey fill(std::size_t count, Make&& make) {
    auto m = go::map<K, std::int64_t>::make(count);
    for (std::size_t i = 0; i < count; ++i) m.assign(make(i), 0);
    return survey(m);
}

void run(laboratory& lab) {
    constexpr std::size_t count = 100'000;
    constexpr double mean = static_cast<double>(count) / 16384;
    const int seeds = lab.size(20, 5);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) texts.push_back(fmt::format("user:{}", i));

    curve drawn{"Buckets with so many entries (100,000 keys in 16,384 buckets)",
                "entries in a bucket",
                "buckets",
                false,
                false,
                unit::number,
                {},
                {{"consecutive integers", {}}, {"strings", {}}, {"Poisson", {}}}};
    std::vector<double> shape[2];
    const auto measure = [&](const char* what, std::size_t line, const auto& make_survey) {
        double worst = 0;
        double best = 100;
        double sum = 0;
        shape[line].assign(24, 0);
        for (int i = 0; i < seeds; ++i) {
            const bucket_survey found = make_survey();
            const double seen = unevenness(found, mean);
            worst = std::max(worst, seen);
            best = std::min(best, seen);
            sum += seen;
            for (const std::uint64_t n : found.entries) {
                if (n < shape[line].size()) shape[line][n] += 1.0 / seeds;
            }
        }
        lab.figure(fmt::format("{}: chi squared / degrees of freedom, mean", what), sum / seeds,
                   unit::ratio, {"evenly", "1 (Poisson)"});
        lab.figure(fmt::format("{}: the worst of {} seeds", what, seeds), worst, unit::ratio);
        // Sixteen thousand degrees of freedom: a deviation of 0.011 is one sigma.
        lab.expect_within(fmt::format("{}: no seed clusters", what), worst, 0, 1.08);
        lab.expect_within(fmt::format("{}: no seed is better than chance", what), best, 0.92, 100);
    };
    measure("consecutive integers", 0, [&] {
        return fill<std::int64_t>(count,
                                  [](std::size_t i) { return static_cast<std::int64_t>(i); });
    });
    measure("strings user:0, user:1, ...", 1, [&] {
        return fill<std::string_view>(count,
                                      [&](std::size_t i) { return std::string_view(texts[i]); });
    });
    for (unsigned n = 0; n < 20; ++n) {
        drawn.x.push_back(n);
        drawn.lines[0].values.push_back(shape[0][n]);
        drawn.lines[1].values.push_back(shape[1][n]);
        drawn.lines[2].values.push_back(16384 * poisson(mean, n));
    }
    lab.plot(std::move(drawn));

    // S2-47: make(map, 8) and 16 inserts. It has one bucket, and integers are hashed.
    auto small = go::map<std::int64_t, std::int64_t>::make(8);
    lab.expect("buckets of make(map, 8)", small.bucket_count(), 1);
    lab.impossible(
        "low bits of the key choosing the bucket (S2-47): keys are hashed with a seed of "
        "the map's own, so sixteen consecutive ones fall where chance puts them");
}

const experiment here{{.id = "E-24",
                       .name = "hash-distribution",
                       .question = "How evenly do integers and strings fall into buckets?",
                       .rows = "S2-47",
                       .reported = "evenly",
                       .reference = "Poisson",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
