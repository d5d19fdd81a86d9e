// evacuation.cpp - E-12: who moves old buckets, how many, and what it adds to an operation.
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/core/hash.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

using subject = go::map<std::uint64_t, std::uint64_t>;

/// A map whose next insert starts the growth from 2^B buckets.
subject full_map(unsigned B) {
    subject m = subject::make();
    for (std::uint64_t i = 0; i < 13 * (std::uint64_t{1} << B) / 2; ++i) m.assign(finalise(i), i);
    return m;
}

void run(laboratory& lab) {
    const unsigned last = lab.size(18u, 14u);
    curve drawn{"Writes until a growth is done",
                "old buckets",
                "writes per old bucket",
                true,
                false,
                unit::ratio,
                {},
                {{"measured", {}}}};
    for (unsigned B = 8; B <= last; ++B) {
        subject m = full_map(B);
        const std::uint64_t old_buckets = std::uint64_t{1} << B;
        const std::uint64_t first = m.size();
        std::uint64_t writes = 0;
        do {
            m.assign(finalise(first + writes), writes);
            ++writes;
        } while (m.header()->growing());
        const double each = static_cast<double>(old_buckets) / static_cast<double>(writes);
        drawn.x.push_back(static_cast<double>(old_buckets));
        drawn.lines[0].values.push_back(1 / each);
        if (B == 11 || B == 13 || B == last) {
            lab.figure(fmt::format("B {} to {}: writes to finish", B, B + 1),
                       static_cast<double>(writes), unit::number,
                       {"-", B == 11   ? "1427"
                             : B == 13 ? "5705"
                             : B == 18 ? "181735"
                                       : "-"});
            lab.figure(fmt::format("B {} to {}: buckets moved a write", B, B + 1), each,
                       unit::ratio, {"1.02", "1.44"});
            lab.expect_within(fmt::format("B {} to {}: buckets moved a write, any seed", B, B + 1),
                              each, 1.37, 1.51);
        }
    }

    subject m = full_map(13);
    m.assign(finalise(1u << 30), 0);  // starts the growth
    const auto cursor = [&] { return m.header()->nevacuate; };
    std::uint64_t before = cursor();
    for (std::uint64_t i = 0; i < 53'249; ++i) keep(m.lookup(finalise(i)));
    lab.figure("53249 lookups: buckets passed by the cursor",
               static_cast<double>(cursor() - before), unit::number, {"0.97 each", "0"});
    lab.expect("53249 lookups move nothing", cursor() - before, 0);
    // Each delete moves its own bucket and the one at the cursor, which passes at least one.
    before = cursor();
    for (std::uint64_t i = 0; i < 100; ++i) m.erase(finalise(i));
    lab.figure("100 deletes: buckets passed by the cursor", static_cast<double>(cursor() - before),
               unit::number, {"1.00 each", "100"});
    lab.expect_within("100 deletes: buckets passed by the cursor, any seed",
                      static_cast<double>(cursor() - before), 100, 110);
    lab.plot(std::move(drawn));
    lab.impossible(
        "0.97 buckets for a lookup (S1-60): no Go that was released moves on lookup; a "
        "reader that moved entries could not run beside another (ruling C-08)");
    if (lab.quick()) return;

    // What moving adds, by the same operations on a map that grows and on one that does not.
    constexpr std::uint64_t count = 4'000;
    const auto time = [&](bool growing, auto&& operation) {
        std::vector<double> found;
        for (int round = 0; round < 5; ++round) {
            subject one = full_map(13);
            if (growing) one.assign(finalise(1u << 30), 0);
            found.push_back(nanoseconds_of([&] {
                                for (std::uint64_t i = 0; i < count; ++i) operation(one, i);
                            }) /
                            static_cast<double>(count));
        }
        return summarise(found).median;
    };
    struct kind {
        const char* name;
        void (*run)(subject&, std::uint64_t);
        const char* reported;
    };
    for (const kind& each :
         {kind{"overwrite", [](subject&s, std::uint64_t i) { s.assign(finalise(i * 7), i); },
               "+0.8 us"},
          kind{"lookup", [](subject&s, std::uint64_t i) { keep(s.lookup(finalise(i * 7))); },
               "+0.3 us"},
          kind{"delete", [](subject&s, std::uint64_t i) { s.erase(finalise(i * 7)); },
               "+0.5 us"}}) {
        const double idle = time(false, each.run);
        lab.figure(fmt::format("{}, map at rest", each.name), idle, unit::nanoseconds);
        lab.figure(fmt::format("{}, while growing: added", each.name),
                   std::max(0.0, time(true, each.run) - idle), unit::nanoseconds,
                   {.reported = each.reported});
    }
}

const experiment here{
    {.id = "E-12",
     .name = "evacuation",
     .question = "Which operations move old buckets, how many, and at what price?",
     .rows = "S0-29 S1-59,60",
     .reported = "1.02 / 0.97 / 1.00; +0.8 / 0.3 / 0.5 us",
     .reference = "1.44 per write, 0 per lookup; B 13 to 14: 5705 writes",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
