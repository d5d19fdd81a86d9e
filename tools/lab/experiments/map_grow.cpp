// map_grow.cpp - E-11: on which insert Go's map grows, and how many buckets a hint gives.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

using subject = go::map<std::int64_t, std::int64_t>;

void run(laboratory& lab) {
    const int last = lab.size(16, 14);  // doublings
    subject m = subject::make();
    std::string points;
    std::uint8_t B = 0;
    for (std::int64_t i = 1; m.header()->B < last; ++i) {
        m.assign(i, i);
        if (m.header()->B == B) continue;
        B = m.header()->B;
        if (B <= 14) points += fmt::format("{}{}", points.empty() ? "" : " ", i);
    }
    const char* const go119 = "9 14 27 53 105 209 417 833 1665 3329 6657 13313 26625 53249";
    lab.text("grows on insert number", points, {.reported = "7, 19 or 8, 16", .reference = go119});
    lab.expect("the inserts that start a growth", points, go119);

    struct limit {
        std::size_t hint;
        int B;
    };
    std::string mismatches;
    for (const limit& each :
         {limit{0, 0},      limit{8, 0},     limit{9, 1},     limit{13, 1},      limit{14, 2},
          limit{26, 2},     limit{27, 3},    limit{52, 3},    limit{53, 4},      limit{104, 4},
          limit{105, 5},    limit{208, 5},   limit{416, 6},   limit{832, 7},     limit{1664, 8},
          limit{3328, 9},   limit{6656, 10}, limit{6657, 11}, limit{100000, 14}, limit{106496, 14},
          limit{106497, 15}}) {
        const int seen = subject::make(each.hint).header()->B;
        if (seen != each.B)
            mismatches += fmt::format(" {}: 2^{}, not 2^{};", each.hint, seen, each.B);
    }
    lab.expect("buckets for 21 hints from 0 to 106497",
               mismatches.empty() ? std::string_view("all as go1.19.8's") : mismatches,
               "all as go1.19.8's");
    for (const std::size_t hint :
         {std::size_t{7}, std::size_t{8}, std::size_t{9}, std::size_t{100000}}) {
        lab.figure(fmt::format("buckets for a hint of {}", hint),
                   static_cast<double>(subject::make(hint).bucket_count()), unit::number,
                   {.reported = hint == 7   ? "1"
                                : hint <= 9 ? "2"
                                            : "-",
                    .reference = hint <= 8   ? "1"
                                 : hint == 9 ? "2"
                                             : "16384"});
    }
    lab.impossible(
        "a growth on insert 7 or 8 (S2-09, S2-46): one bucket holds 8 entries, and the rule asks "
        "for more than 8 and more than 6.5 a bucket, so the ninth is the first (ruling C-11)");

    curve drawn{"Buckets over entries",         "entries", "buckets", true, true, unit::number, {},
                {{"grown", {}}, {"hinted", {}}}};
    subject grown = subject::make();
    const std::int64_t most = lab.size<std::int64_t>(120'000, 2'000);
    double next = 1;
    for (std::int64_t i = 1; i <= most; ++i) {
        grown.assign(i, i);
        if (static_cast<double>(i) < next) continue;
        next = next * 1.06 + 1;
        drawn.x.push_back(static_cast<double>(i));
        drawn.lines[0].values.push_back(static_cast<double>(grown.bucket_count()));
        drawn.lines[1].values.push_back(
            static_cast<double>(subject::make(static_cast<std::size_t>(i)).bucket_count()));
    }
    lab.plot(std::move(drawn));
}

const experiment here{{.id = "E-11",
                       .name = "map-grow",
                       .question = "On which insert does a map grow, and what does a hint give?",
                       .rows = "S2-09,45,46",
                       .reported = "7/19; 8/16",
                       .reference = "9, 14, 27, 53, 105, 209, ...",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
