// flood.cpp - do keys that were chosen to collide cost more than others?
//
//   bench_map_flood [ENTRIES] [ROUNDS]
//
// Whoever chooses keys knows everything but the map's seed, so they are chosen against the seed
// in the source: all in a thousandth of the table, or all with one tag. Beside them keys in which
// few bits differ. All sets take their turn in each round; a map is filled and asked for every key.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "map/peers.hpp"
#include "support/clocks.hpp"

namespace {

using keys = std::vector<std::uint64_t>;

double ns_per_key(const keys& all) {
    const std::uint64_t start = steady::bench::thread_cpu_ns();
    steady::map<std::uint64_t, std::uint64_t> m;
    for (const std::uint64_t key : all) m.try_emplace(key, key);
    for (const std::uint64_t key : all) {
        if (m.find(key)->second != key) std::exit(1);
    }
    return static_cast<double>(steady::bench::thread_cpu_ns() - start) /
           static_cast<double>(all.size());
}

}  // namespace

int main(int argc, char** argv) {
    const auto n = static_cast<std::size_t>(argc > 1 ? std::atof(argv[1]) : 1e6);
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 7;
    constexpr std::size_t sets = 5;
    const char* names[sets] = {"random", "one thousandth of the table", "one tag",
                               "multiples of 2^44", "multiples of 2^32"};
    keys chosen[sets];
    std::mt19937_64 random(1);
    const auto draw = [&](keys& into, auto&& wanted) {
        while (into.size() < n) {
            const std::uint64_t key = random();
            if (wanted(steady::detail::fold_product(key, steady::default_seed))) {
                into.push_back(key);
            }
        }
    };
    draw(chosen[0], [](std::uint64_t) { return true; });
    draw(chosen[1], [](std::uint64_t hash) { return hash >> 54 == 0; });
    draw(chosen[2], [](std::uint64_t hash) { return (hash & 255) == 7; });
    for (std::uint64_t i = 0; i < n; ++i)
        chosen[3].push_back(i << 44), chosen[4].push_back(i << 32);
    std::vector<double> times[sets];
    for (int r = 0; r < rounds; ++r) {
        for (std::size_t s = 0; s < sets; ++s) times[s].push_back(ns_per_key(chosen[s]));
    }
    for (std::size_t s = 0; s < sets; ++s) {
        std::sort(times[s].begin(), times[s].end());
        const double median = times[s][times[s].size() / 2];
        std::printf("%-28s %7.1f ns (%.1f to %.1f), of random %.2f\n", names[s], median,
                    times[s].front(), times[s].back(), median / times[0][times[0].size() / 2]);
    }
}
