// growth_latency.cpp - E-13: the slowest single insert while a map grows to two million
// entries: Go's classic map, a map that rehashes at once, and steady::map.
#include <unordered_map>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/core/hash.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/map/map.hpp"
#include "support/histogram.hpp"
#if defined(STEADY_WITH_ABSEIL)
#include <absl/container/flat_hash_map.h>
#endif

namespace steady::cli::lab {
namespace {

constexpr std::uint64_t count = 2'000'000;
constexpr std::uint64_t windows = 200;

template <class Insert>
void measure(laboratory& lab, curve& drawn, const clock_facts& clock, const char* name,
             const beside& others, Insert&& insert) {
    histogram all;
    drawn.lines.push_back({name, {}});
    std::uint64_t worst = 0;
    with_clock(clock, [&](auto ticks) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t key = finalise(i);
            const std::uint64_t start = decltype(ticks)::now();
            insert(key);
            const std::uint64_t took = decltype(ticks)::now() - start;
            all.record(took);
            worst = std::max(worst, took);
            if ((i + 1) % (count / windows) != 0) continue;
            if (drawn.lines.size() == 1) drawn.x.push_back(static_cast<double>(i + 1));
            drawn.lines.back().values.push_back(clock.nanoseconds(worst));
            worst = 0;
        }
    });
    lab.figure(fmt::format("{}, slowest insert", name), clock.nanoseconds(all.largest()),
               unit::nanoseconds, others);
    lab.figure(fmt::format("{}, p99.99", name), clock.nanoseconds(all.percentile(0.9999)),
               unit::nanoseconds);
    lab.figure(fmt::format("{}, median", name), clock.nanoseconds(all.percentile(0.5)),
               unit::nanoseconds);
}

void run(laboratory& lab) {
    const clock_facts clock = calibrate_clock();
    curve drawn{"Slowest insert of each 10,000",
                "entries",
                "time of an insert",
                false,
                true,
                unit::nanoseconds,
                {},
                {}};
    {
        auto m = go::map<std::uint64_t, std::uint64_t>::make();
        measure(lab, drawn, clock, "go::map (classic)", {.reported = "12 ms, stops the world"},
                [&](std::uint64_t key) { m.assign(key, key); });
    }
    {
        map<std::uint64_t, std::uint64_t, map_hash<std::uint64_t>, map_equal<std::uint64_t>,
            allocator<std::pair<const std::uint64_t, std::uint64_t>>>
            m;
        measure(lab, drawn, clock, "steady::map", {.reported = "sub-ms"},
                [&](std::uint64_t key) { m.try_emplace(key, key); });
    }
    {
        std::unordered_map<std::uint64_t, std::uint64_t> m;
        measure(lab, drawn, clock, "std::unordered_map", {},
                [&](std::uint64_t key) { m.try_emplace(key, key); });
    }
#if defined(STEADY_WITH_ABSEIL)
    {
        absl::flat_hash_map<std::uint64_t, std::uint64_t> m;
        measure(lab, drawn, clock, "absl::flat_hash_map (one Swiss table)", {},
                [&](std::uint64_t key) { m.try_emplace(key, key); });
    }
#endif
    lab.impossible(
        "a stop of the world (S1-63): growing never stops other goroutines; the caller "
        "of that insert pays for the new array (and Go clears it at once)");
    lab.note(
        "Go's own Swiss map splits tables of at most 1024 slots; abseil's has one table, so "
        "it shows the other end. A maximum on a shared machine contains the machine: the "
        "demo tells the causes apart.");
    lab.plot(std::move(drawn));
}

const experiment here{{.id = "E-13",
                       .name = "growth-latency",
                       .question = "What does the slowest insert cost while a map grows?",
                       .rows = "S1-63",
                       .reported = "12 ms to sub-ms",
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
