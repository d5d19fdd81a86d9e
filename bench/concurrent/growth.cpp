// growth.cpp - what the unluckiest insert pays while a map grows from nothing, and what the
// map weighs on the way.
//
//   bench_concurrent_growth [ENTRIES] [WRITERS] [READERS] [MAP]
//
// Each insert is timed by the thread's own CPU clock (0.3 us of each figure is the clock);
// readers look up keys that are there, each timed by the same clock: a lookup waits for nobody,
// so what it takes longer than 100 us is the machine's (in a virtual machine the clock goes on
// while the host runs somebody else), and as much of it is in the inserts' figures. A map is named by the
// last argument (steady, tbb, libcuckoo, 64 x abseil, boost); without it all take their turn.
// For steady also: entries moved by one step, bytes per entry over the sizes, peak / final.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "concurrent/peers.hpp"
#include "support/clocks.hpp"

namespace {

using namespace steady::bench;

struct result {
    std::vector<std::uint32_t> worst;            // ns, the largest, sorted downwards
    std::uint64_t sum = 0, count = 0, over = 0;  // over: 100 us
    void add(std::uint64_t ns) {
        sum += ns;
        ++count;
        over += ns > 100'000;
        if (worst.size() < 16 || ns > worst.back()) {
            worst.push_back(static_cast<std::uint32_t>(ns));
            std::sort(worst.rbegin(), worst.rend());
            if (worst.size() > 16) worst.pop_back();
        }
    }
};

template <class Map>
void grow(std::size_t entries, unsigned writers, unsigned readers) {
    auto map = std::make_unique<Map>();
    std::atomic<std::uint64_t> inserted{0};
    std::atomic<unsigned> writing{writers};
    std::vector<result> wrote(writers), read(readers);
    std::vector<std::thread> all;
    for (unsigned t = 0; t < writers; ++t) {
        all.emplace_back([&, t] {
            for (std::uint64_t i = t; i < entries; i += writers) {
                const std::uint64_t key = make_key<std::uint64_t>(i);
                const std::uint64_t start = thread_cpu_ns();
                map->insert(key, i);
                wrote[t].add(thread_cpu_ns() - start);
                if (i % 1024 == t) inserted.store(i, std::memory_order_relaxed);
            }
            --writing;
        });
    }
    for (unsigned t = 0; t < readers; ++t) {
        all.emplace_back([&, t] {
            std::uint64_t state = t + 1, sum = 0;
            while (writing != 0) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                const std::uint64_t n = inserted.load(std::memory_order_relaxed) + 1;
                const std::uint64_t key = make_key<std::uint64_t>((state >> 20) % n);
                const std::uint64_t start = thread_cpu_ns();
                map->find(key, sum);
                read[t].add(thread_cpu_ns() - start);
            }
        });
    }
    // Bytes per entry on the way, for those that tell.
    double bytes_sum = 0;
    std::uint64_t peak = 0, samples = 0;
    if constexpr (requires { map->m.memory().total(); }) {
        while (writing != 0) {
            const std::uint64_t now = map->m.memory().total().count();
            peak = std::max<std::uint64_t>(peak, now);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    for (auto& t : all) t.join();
    const auto merge = [](const std::vector<result>& from) {
        result r;
        for (const result& f : from) {
            r.sum += f.sum;
            r.count += f.count;
            r.over += f.over;
            r.worst.insert(r.worst.end(), f.worst.begin(), f.worst.end());
        }
        std::sort(r.worst.rbegin(), r.worst.rend());
        return r;
    };
    const result w = merge(wrote), r = merge(read);
    const auto at = [](const result& x, std::size_t i) {
        return i < x.worst.size() ? x.worst[i] / 1e3 : 0.0;
    };
    std::printf(
        "%-12s insert mean %5.0f ns, slowest %9.1f, 2nd %9.1f, 5th %8.1f us;"
        "  find slowest %9.1f, 5th %8.1f us (of %.1f M)\n",
        Map::name, double(w.sum) / double(w.count), at(w, 0), at(w, 1), at(w, 4), at(r, 0),
        at(r, 4), double(r.count) / 1e6);
    std::printf(
        "             over 100 us: %llu inserts, %.2f per CPU second; finds %.2f per CPU second\n",
        static_cast<unsigned long long>(w.over), double(w.over) / (double(w.sum) / 1e9),
        r.sum == 0 ? 0.0 : double(r.over) / (double(r.sum) / 1e9));
    if constexpr (requires { map->m.stats(); }) {
        const auto s = map->m.stats();
        const auto m = map->m.memory();
        std::printf(
            "             moved at once at most %llu of %llu splits, %llu spilled; "
            "peak/final %.4f; %.2f bytes/entry now, load %.3f\n",
            static_cast<unsigned long long>(s.most_moved_at_once),
            static_cast<unsigned long long>(s.segments_split),
            static_cast<unsigned long long>(s.spilled),
            double(std::max<std::uint64_t>(peak, m.total().count())) / double(m.total().count()),
            double(m.total().count()) / double(entries), s.load());
        // Over one doubling, at 64 sizes evenly spread (as a size met at random).
        Map fresh;
        std::uint64_t i = 0;
        for (int k = 0; k < 64; ++k) {
            for (const std::uint64_t to = (1u << 20) + (k + 1) * (1u << 14); i < to; ++i) {
                fresh.insert(make_key<std::uint64_t>(i), i);
            }
            bytes_sum += double(fresh.m.memory().total().count()) / double(i);
            ++samples;
        }
        std::printf("             bytes/entry averaged over 1 to 2 Mi entries: %.2f\n",
                    bytes_sum / double(samples));
    }
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    const unsigned writers = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 2;
    const unsigned readers = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 6;
    const std::string only = argc > 4 ? argv[4] : "";
    each_map<std::uint64_t>([&]<class Map>() {
        if (only.empty() || only == Map::name) grow<Map>(entries, writers, readers);
    });
}
