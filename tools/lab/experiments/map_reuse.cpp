// map_reuse.cpp - E-23: a map made anew in each turn of a loop against one that is cleared.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

using subject = go::map<std::int64_t, std::int64_t>;

void run(laboratory& lab) {
    for (const std::int64_t entries : {8, 100, 1'000, 10'000}) {
        const std::int64_t loops = std::max<std::int64_t>(5, 300'000 / entries);
        const auto fill = [&](subject& m) {
            for (std::int64_t i = 0; i < entries; ++i) m.assign(i, i);
        };
        const auto measure = [&](const char* how, auto&& turn) {
            turn();
            const heap_meter meter;
            turn();
            const auto each = meter.read();
            const double took = nanoseconds_each(
                static_cast<std::uint64_t>(loops),
                [&] {
                    for (std::int64_t i = 0; i < loops; ++i) turn();
                },
                3);
            lab.figure(fmt::format("{} entries, {}: a turn", entries, how), took,
                       unit::nanoseconds);
            lab.figure(fmt::format("{} entries, {}: objects a turn", entries, how),
                       static_cast<double>(each.objects), unit::number);
            return each.objects;
        };
        measure("make in the loop", [&] {
            subject m = subject::make();
            fill(m);
            keep(m.header());
        });
        measure("make with hint", [&] {
            subject m = subject::make(static_cast<std::size_t>(entries));
            fill(m);
            keep(m.header());
        });
        subject kept = subject::make();
        measure("clear()", [&] {
            kept.clear();
            fill(kept);
        });
    }
    lab.impossible(
        "a slide into makemap_slow (S2-57): there is no such function; a map in the loop "
        "costs its header, its arrays and nothing else (ruling C-13)");
    lab.note(
        "clear() keeps the array; a few overflow buckets beyond the spares are allocated "
        "again each turn, for clear() draws a new seed, as Go does.");
}

const experiment here{
    {.id = "E-23",
     .name = "map-reuse",
     .question = "What does clear() save against a new map in each turn of a loop?",
     .rows = "S2-08,43,57",
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
