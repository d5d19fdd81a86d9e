// garbage.cpp - how much a map that frees through hazards keeps while one reader sleeps inside
// it: is it still within the promised bound after N replacements?
//
//   bench_concurrent_garbage [REPLACEMENTS] [WRITERS]
//
// Values of 24 bytes are out of line, so each replacement retires one. The reader sleeps in the
// callback of its first lookup until the end, and then checks that what it looks at has not
// changed. Exit code 1 when the bound was passed or the value was.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "steady/concurrent/concurrent_map.hpp"
#include "support/clocks.hpp"

int main(int argc, char** argv) {
    const std::uint64_t replacements = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
    const unsigned writers = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 2;
    constexpr std::uint64_t keys = 1000;
    using value = std::array<std::uint64_t, 3>;
    steady::concurrent_map<std::uint64_t, value> map;
    static_assert(!decltype(map)::stores_inline);
    for (std::uint64_t k = 0; k < keys; ++k) map.insert(k, value{k, 0, ~k});

    std::atomic<bool> asleep{false}, over{false};
    bool intact = false;
    std::thread sleeper([&] {
        map.cvisit(std::uint64_t{7}, [&](const value& seen) {
            const value before = seen;
            asleep = true;
            over.wait(false);
            intact = seen == before;
        });
    });
    while (!asleep) std::this_thread::yield();

    std::vector<std::thread> all;
    std::atomic<std::uint64_t> most{0};
    const std::uint64_t begin = steady::bench::wall_ns();
    for (unsigned t = 0; t < writers; ++t) {
        all.emplace_back([&, t] {
            std::uint64_t peak = 0;
            for (std::uint64_t i = t; i < replacements; i += writers) {
                map.insert_or_assign(i % keys, value{i % keys, i, ~i});
                if (i % 1021 < writers) {  // no multiple of a batch: at any place within one
                    peak = std::max<std::uint64_t>(peak, map.memory().retired.count());
                }
            }
            for (std::uint64_t seen = most;
                 seen < peak && !most.compare_exchange_weak(seen, peak);) {
            }
        });
    }
    for (auto& t : all) t.join();
    const double seconds = double(steady::bench::wall_ns() - begin) / 1e9;
    const std::uint64_t left = map.memory().retired.count() / sizeof(value);
    map.flush();
    const std::uint64_t flushed = map.memory().retired.count() / sizeof(value);
    over = true;
    over.notify_all();
    sleeper.join();
    // A list for each writer (there are 8), and what each thread's guards (this map's own: 2) keep.
    const std::uint64_t bound =
        std::min(writers, 8u) * steady::retired_list::most_waiting + (writers + 1) * 2;
    std::printf(
        "%llu replacements, %u writers, one reader asleep: at most %llu values waited "
        "(bound %llu), %llu at the end, %llu after flush(); what the reader saw is %s; "
        "%.0f ns a replacement\n",
        static_cast<unsigned long long>(replacements), writers,
        static_cast<unsigned long long>(most / sizeof(value)),
        static_cast<unsigned long long>(bound), static_cast<unsigned long long>(left),
        static_cast<unsigned long long>(flushed), intact ? "intact" : "CHANGED",
        seconds * 1e9 * writers / double(replacements));
    return intact && most / sizeof(value) <= bound ? 0 : 1;
}
