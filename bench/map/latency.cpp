// latency.cpp - how long does the slowest insertion and the slowest erasure take?
//
//   bench_map_latency [ENTRIES] [RUNS]
//
// A single run's maximum on a shared machine is somebody else's: an idle loop has stalls
// of milliseconds. So the same keys are inserted in RUNS runs, each insertion keeps its
// minimum over the runs, and the distribution shown is that of the minima. What the map
// itself does in an insertion it does in every run; what the neighbours do, it does not.
// The control loop reads the clock and does nothing else.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "map/peers.hpp"
#include "support/clocks.hpp"

namespace {

using namespace steady::bench;

std::uint64_t ticks() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds(1));
}

class minima {
public:
    explicit minima(std::size_t n) : ns_(n, ~0u) {}
    void note(std::size_t i, std::uint64_t took) {
        ns_[i] = std::min(ns_[i], static_cast<std::uint32_t>(std::min<std::uint64_t>(took, ~0u)));
    }
    void print(const char* who, const char* what) {
        std::sort(ns_.begin(), ns_.end());
        const auto at = [&](double share) {
            return ns_[static_cast<std::size_t>(share * static_cast<double>(ns_.size() - 1))];
        };
        std::printf("%-8s %-7s %8u %8u %8u %8u %12u\n", who, what, at(0.5), at(0.99), at(0.999),
                    at(0.9999), ns_.back());
    }

private:
    std::vector<std::uint32_t> ns_;
};

template <class Map>
void measure(const char* who, std::size_t n, int runs) {
    minima inserts(n), erasures(n);
    for (int r = 0; r < runs; ++r) {
        {
            Map m;
            for (std::size_t i = 0; i < n; ++i) {
                const std::uint64_t key = make_key<std::uint64_t>(i);
                const std::uint64_t start = ticks();
                m.try_emplace(key, i);
                inserts.note(i, ticks() - start);
            }
            for (std::size_t i = 0; i < n; ++i) {
                const std::uint64_t key = make_key<std::uint64_t>(i);
                const std::uint64_t start = ticks();
                m.erase(key);
                erasures.note(i, ticks() - start);
            }
        }
        // The next run is to meet its pages for the first time, as this one did.
        steady::release_spare_map_memory();
    }
    inserts.print(who, "insert");
    erasures.print(who, "erase");
}

void measure_nothing(std::size_t n, int runs) {
    minima nothing(n);
    for (int r = 0; r < runs; ++r) {
        for (std::size_t i = 0; i < n; ++i) {
            const std::uint64_t start = ticks();
            nothing.note(i, ticks() - start);
        }
    }
    nothing.print("control", "nothing");
}

/// The same seed for every run, so that the same insertions split.
struct fixed_hash {
    using is_avalanching = void;
    std::uint64_t operator()(std::uint64_t key) const noexcept { return steady::hash_integer(key); }
};

}  // namespace

int main(int argc, char** argv) {
    const auto n = static_cast<std::size_t>(argc > 1 ? std::atof(argv[1]) : 1e6);
    const int runs = argc > 2 ? std::atoi(argv[2]) : 5;
    std::printf("%zu entries of 8 + 8 bytes, minimum of %d runs per operation, ns\n", n, runs);
    std::printf("%-8s %-7s %8s %8s %8s %8s %12s\n", "", "", "p50", "p99", "p99.9", "p99.99", "max");
    measure_nothing(n, runs);
    measure<steady::map<std::uint64_t, std::uint64_t, fixed_hash>>("steady", n, runs);
#if defined(STEADY_BENCH_BOOST)
    measure<boost_map<std::uint64_t, std::uint64_t>>("boost", n, runs);
#endif
#if defined(STEADY_BENCH_ABSEIL)
    measure<abseil_map<std::uint64_t, std::uint64_t>>("abseil", n, runs);
#endif
    measure<std_map<std::uint64_t, std::uint64_t>>("std", n, runs);
}
