// hot.cpp - one key gets 37 % of all writes: what that costs everybody, with the key in the
// map and with the key in its own cell; and what looking for hot keys costs when there are none.
//
//   bench_concurrent_hot [THREADS] [ROUNDS] [MILLISECONDS] [ENTRIES]
//
// Contestants take turns in each round. `map` is concurrent_map::fetch_add, `cells` is
// hot_cells::add over the same kind of map, `boost` is concurrent_flat_map (when there).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "concurrent/drive.hpp"
#include "concurrent/peers.hpp"
#include "steady/concurrent/hot_cells.hpp"

namespace {

using namespace steady::bench;

struct figures {
    double throughput, cpu, p50, p99;
};

template <class Add>
figures measure(Add&& add, unsigned threads, int milliseconds, unsigned hot_per_cent,
                std::size_t entries) {
    std::vector<std::vector<std::uint32_t>> samples(threads);
    const driven d = drive(threads, milliseconds, [&](unsigned t) {
        return [&, t, state = std::uint64_t{t} * 7919 + 1]() mutable {
            const auto next = [&] {
                state = state * 6364136223846793005u + 1442695040888963407u;
                const bool is_hot = (state >> 33) * 100 >> 31 < hot_per_cent;
                return is_hot ? std::uint64_t{10001}
                              : make_key<std::uint64_t>((state >> 20) % entries);
            };
            for (int i = 0; i < 255; ++i) add(next());
            const std::uint64_t key = next();
            const std::uint64_t before = thread_cpu_ns();
            add(key);
            samples[t].push_back(static_cast<std::uint32_t>(thread_cpu_ns() - before));
            return 256;
        };
    });
    std::vector<std::uint32_t> times;
    for (const auto& s : samples) times.insert(times.end(), s.begin(), s.end());
    std::sort(times.begin(), times.end());
    return {d.operations * 1e3 / d.wall_ns, d.operations * 1e3 / d.cpu_ns,
            double(times[times.size() / 2]), double(times[times.size() * 99 / 100])};
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    const unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 8;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    const int milliseconds = argc > 3 ? std::atoi(argv[3]) : 100;
    const std::size_t entries = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 100'000;

    for (const unsigned hot : {37u, 0u}) {
        steady::concurrent_map<std::uint64_t, std::int64_t> map;
        steady::hot_cells<std::uint64_t> cells;
#if defined(STEADY_BENCH_BOOST_CONCURRENT)
        boost::unordered::concurrent_flat_map<std::uint64_t, std::int64_t,
                                              bench_hash<std::uint64_t>>
            other;
#endif
        for (std::size_t i = 0; i < entries; ++i) {
            map.fetch_add(make_key<std::uint64_t>(i), 1);
            cells.add(make_key<std::uint64_t>(i), 1);
#if defined(STEADY_BENCH_BOOST_CONCURRENT)
            other.insert({make_key<std::uint64_t>(i), 1});
#endif
        }
        std::vector<double> t[3], c[3], p50[3], p99[3];
        for (int r = 0; r <= rounds; ++r) {
            const auto keep = [&](int who, const figures& f) {
                if (r == 0) return;  // the first round warms up
                t[who].push_back(f.throughput);
                c[who].push_back(f.cpu);
                p50[who].push_back(f.p50);
                p99[who].push_back(f.p99);
            };
            keep(0, measure([&](std::uint64_t k) { map.fetch_add(k, 1); }, threads, milliseconds,
                            hot, entries));
            keep(1, measure([&](std::uint64_t k) { cells.add(k, 1); }, threads, milliseconds, hot,
                            entries));
#if defined(STEADY_BENCH_BOOST_CONCURRENT)
            keep(2, measure(
                        [&](std::uint64_t k) {
                            other.insert_or_visit({k, 1}, [](auto& e) { ++e.second; });
                        },
                        threads, milliseconds, hot, entries));
#endif
        }
        std::printf("%u %% of the writes to one key, %u threads, %zu entries\n", hot, threads,
                    entries);
        const char* names[] = {"map", "cells", "boost"};
        for (int w = 0; w < 3; ++w) {
            if (t[w].empty()) continue;
            std::printf(
                "  %-6s %8.2f Mop/s wall, %8.2f Mop/CPU s, one update p50 %6.0f ns, p99 %6.0f ns   "
                "x map %.3f\n",
                names[w], median(t[w]), median(c[w]), median(p50[w]), median(p99[w]),
                median(c[w]) / median(c[0]));
        }
        std::printf("  promotions %llu\n",
                    static_cast<unsigned long long>(cells.stats().promotions));
    }
}
