// hotkey.cpp - E-46: 37 % of the writes go to one key, from four threads.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <time.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/concurrent/hot_cells.hpp"

namespace steady::cli::lab {
namespace {

constexpr std::uint64_t hot_key = 10001, others = 100'000;

template <class Add>
void measure(laboratory& lab, const std::string& name, std::uint64_t each, beside p99, Add&& add) {
    constexpr unsigned threads = 4;
    std::vector<std::vector<double>> took(threads);
    std::vector<std::thread> all;
    for (unsigned t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
            std::uint64_t state = t + 1;
            for (std::uint64_t i = 0; i < each; ++i) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                const bool hot = (state >> 33) * 100 >> 31 < 37;
                const std::uint64_t key = hot ? hot_key : hot_key + 1 + (state >> 20) % others;
                const double ns = nanoseconds_of([&] { add(key); });
                if (i % 16 == 0) took[t].push_back(ns);
            }
        });
    }
    for (auto& t : all) t.join();
    std::vector<double> sorted;
    for (const auto& t : took) sorted.insert(sorted.end(), t.begin(), t.end());
    std::sort(sorted.begin(), sorted.end());
    lab.figure(name + ": median of a write", sorted[sorted.size() / 2], unit::nanoseconds);
    lab.figure(name + ": p99 of a write", sorted[sorted.size() * 99 / 100], unit::nanoseconds,
               std::move(p99));
}

void run(laboratory& lab) {
    const std::uint64_t each = lab.size<std::uint64_t>(500'000, 100'000);
    steady::concurrent_map<std::uint64_t, std::int64_t> map;
    steady::hot_cells<std::uint64_t> cells;
    if (!lab.quick()) {
        measure(lab, "in the map", each, {.reported = "127 ms"},
                [&](std::uint64_t k) { map.fetch_add(k, 1); });
    }
    measure(lab, "isolated", each, {.reported = "8.3 ms"},
            [&](std::uint64_t k) { cells.add(k, 1); });
    lab.figure("keys that became hot", static_cast<double>(cells.stats().hot_keys), unit::number);
    lab.expect("the hot key was found", std::uint64_t{cells.is_hot(hot_key)}, 1u);
    std::int64_t sum = 0;
    const std::int64_t hot = cells.read(hot_key).value_or(0);
    cells.cool();
    cells.map().cvisit_all([&](std::uint64_t, std::int64_t n) { sum += n; });
    lab.expect("no write was lost", static_cast<std::uint64_t>(sum), 4 * each);
    lab.expect("the hot value is the same after cooling", cells.map().find(hot_key).value_or(-1),
               hot);

    // The collision of the source's own code: two hot ids, equal modulo 1024.
    steady::hot_cells<std::uint64_t> two;
    two.add(10001, 1);
    two.add(10001 + 1024, 100);
    two.promote(10001);
    two.promote(10001 + 1024);
    two.add(10001, 1);
    lab.expect("hot 10001 and 11025 do not share a counter", two.read(10001).value_or(-1), 2);
    lab.impossible(
        "the code of S4-53: it counts id & 0x3FF, so the two ids above are one counter, and "
        "the count from before a key was hot is lost");
}

const experiment here{{.id = "E-46",
                       .name = "hotkey",
                       .question = "What does isolating a hot key do to the tail of writes?",
                       .rows = "S4-52,53",
                       .reported = "127 -> 8.3 ms",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
