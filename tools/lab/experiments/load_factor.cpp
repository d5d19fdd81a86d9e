// load_factor.cpp - E-43: the table in Go's map.go that justifies 6.5, simulated again: buckets
// of eight at loads from 4 to 8.
#include <random>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/experiments/buckets.hpp"

namespace steady::cli::lab {
namespace {

struct outcome {
    double overflow;  // percent of buckets that have one
    double bytes;     // for each entry, beyond key and value
    double hit;       // entries looked at by a lookup that finds
    double miss;      // and by one that does not
};

outcome simulate(double load, std::size_t buckets, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::uint32_t> filled(buckets);
    const auto count = static_cast<std::size_t>(load * static_cast<double>(buckets));
    for (std::size_t i = 0; i < count; ++i) ++filled[random() % buckets];
    outcome found{};
    double chained = 0;
    for (const std::uint32_t n : filled) {
        if (n > 8) ++found.overflow;
        chained += n > 8 ? (n + 7) / 8 - 1 : 0;
        found.hit += n * (n + 1) / 2.0;
        found.miss += n;
    }
    const auto all = static_cast<double>(buckets);
    // The comment's bytes: 8 of tophash and a pointer of 8 for each bucket, and the empty
    // cells of 16 bytes (8 for key and 8 for value).
    found.bytes = ((all + chained) * (16 + 8 * 16) - static_cast<double>(count) * 16) /
                  static_cast<double>(count);
    found.overflow *= 100 / all;
    found.hit /= static_cast<double>(count);
    found.miss /= all;
    return found;
}

void run(laboratory& lab) {
    struct line {
        double load, overflow, bytes, hit, miss;  // of the comment in map.go
    };
    const std::size_t buckets = lab.size<std::size_t>(1 << 17, 1 << 15);
    curve drawn{"Buckets with an overflow bucket",
                "entries for each bucket",
                "percent of buckets",
                false,
                false,
                unit::percent,
                {},
                {{"simulated", {}}, {"map.go's comment", {}}}};
    for (const line& each :
         {line{4.0, 2.13, 20.77, 3.00, 4.00}, line{4.5, 4.05, 17.30, 3.25, 4.50},
          line{5.0, 6.85, 14.77, 3.50, 5.00}, line{5.5, 10.55, 12.94, 3.75, 5.50},
          line{6.0, 15.27, 11.67, 4.00, 6.00}, line{6.5, 20.90, 10.79, 4.25, 6.50},
          line{7.0, 27.14, 10.15, 4.50, 7.00}, line{7.5, 34.03, 9.73, 4.75, 7.50},
          line{8.0, 41.10, 9.40, 5.00, 8.00}}) {
        const outcome seen = simulate(each.load, buckets, 7);
        const auto figure = [&](const char* what, double value, unit in, double theirs) {
            lab.figure(fmt::format("load {:.1f}: {}", each.load, what), value, in,
                       {"-", fmt::format("{:.2f}", theirs)});
        };
        figure("buckets with overflow", seen.overflow, unit::percent, each.overflow);
        figure("bytes beyond an entry", seen.bytes, unit::ratio, each.bytes);
        figure("entries looked at, found", seen.hit, unit::ratio, each.hit);
        figure("entries looked at, missing", seen.miss, unit::ratio, each.miss);
        lab.expect_within(fmt::format("load {:.1f}: buckets with overflow", each.load),
                          seen.overflow, each.overflow - 0.8, each.overflow + 0.8);
        lab.expect_within(fmt::format("load {:.1f}: entries looked at, found", each.load), seen.hit,
                          each.hit - 0.05, each.hit + 0.05);
        lab.expect_within(fmt::format("load {:.1f}: bytes beyond an entry", each.load), seen.bytes,
                          each.bytes - 0.35, each.bytes + 0.35);
        drawn.x.push_back(each.load);
        drawn.lines[0].values.push_back(seen.overflow);
        drawn.lines[1].values.push_back(each.overflow);
    }
    lab.plot(std::move(drawn));
    lab.note("Random buckets; key and value of 8 bytes. The comment counts the same way.");
}

const experiment here{{.id = "E-43",
                       .name = "load-factor",
                       .question = "What do loads from 4 to 8 entries a bucket cost?",
                       .rows = "1.1",
                       .reference = "the table in map.go",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
