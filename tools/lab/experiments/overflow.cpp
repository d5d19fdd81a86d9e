// overflow.cpp - E-42: overflow buckets by simulation, by Poisson, and by walking a real map.
#include <cmath>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/experiments/buckets.hpp"

namespace steady::cli::lab {
namespace {

double simulate(std::size_t count, std::size_t buckets, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::uint32_t> filled(buckets);
    for (std::size_t i = 0; i < count; ++i) ++filled[random() & (buckets - 1)];
    double overflow = 0;
    for (const std::uint32_t n : filled) overflow += n > 8 ? (n + 7) / 8 - 1 : 0;
    return overflow;
}

void run(laboratory& lab) {
    struct size {
        std::size_t count;
        const char* reported;
        const char* reference;
    };
    for (const size& each :
         {size{10'000, "1.82 / 2.1 a bucket at B = 8", "-"},
          size{100'000, "3.47 / 3.6 a bucket at B = 12", "2684 Poisson, 2691 real"}}) {
        auto m = go::map<std::int64_t, std::int64_t>::make(each.count);
        for (std::size_t i = 0; i < each.count; ++i) m.assign(static_cast<std::int64_t>(i), 0);
        const bucket_survey found = survey(m);
        const auto buckets = static_cast<double>(m.bucket_count());
        const double load = static_cast<double>(each.count) / buckets;
        const double expected = expected_overflow(buckets, load);
        const auto walked = static_cast<double>(found.overflow);
        lab.figure(fmt::format("{} entries: buckets", each.count), buckets, unit::number,
                   {.reported = each.count == 10'000 ? "256" : "4096"});
        lab.figure(fmt::format("{} entries: overflow, simulated", each.count),
                   simulate(each.count, m.bucket_count(), 1), unit::number);
        lab.figure(fmt::format("{} entries: overflow, Poisson", each.count), expected, unit::number,
                   {"-", each.count == 100'000 ? "2684" : "-"});
        lab.figure(fmt::format("{} entries: overflow, walked", each.count), walked, unit::number,
                   {each.reported, each.reference});
        lab.figure(fmt::format("{} entries: walked against Poisson", each.count),
                   100 * (walked / expected - 1), unit::percent, {"< 12 %", "0.3 %"});
        // Five standard deviations, from the variance of one bucket's overflow.
        const double deviation = 5 * std::sqrt(expected);
        lab.expect_within(fmt::format("{} entries: walked, any seed", each.count), walked,
                          expected - deviation, expected + deviation);
    }
    lab.expect_within("Poisson for 100000 entries in 16384 buckets",
                      expected_overflow(16384, 100'000.0 / 16384), 2683.5, 2684.5);

    curve drawn{"Overflow buckets for each bucket",
                "entries in the map",
                "overflow / buckets",
                false,
                false,
                unit::ratio,
                {},
                {{"walked", {}}, {"Poisson", {}}}};
    for (std::size_t count = 2'000; count <= lab.size<std::size_t>(210'000, 10'000);
         count += 4'000) {
        auto m = go::map<std::int64_t, std::int64_t>::make(count);
        for (std::size_t i = 0; i < count; ++i) m.assign(static_cast<std::int64_t>(i), 0);
        const auto buckets = static_cast<double>(m.bucket_count());
        drawn.x.push_back(static_cast<double>(count));
        drawn.lines[0].values.push_back(static_cast<double>(survey(m).overflow) / buckets);
        drawn.lines[1].values.push_back(
            expected_overflow(buckets, static_cast<double>(count) / buckets) / buckets);
    }
    lab.plot(std::move(drawn));
    lab.impossible(
        "10,000 entries at B = 8 and 100,000 at B = 12 (S4-43): these maps hold at most "
        "1664 and 26624 entries before they grow (ruling C-30)");
    lab.impossible("counting keys with k >> B != 0 (S4-41): that is nearly every key");
}

const experiment here{
    {.id = "E-42",
     .name = "overflow",
     .question = "How many overflow buckets does a map have, and can it be foretold?",
     .rows = "S4-41..44",
     .reported = "1.82/2.1; 3.47/3.6",
     .reference = "2684 / 2691 for 100K",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
