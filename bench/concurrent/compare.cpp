// compare.cpp - how many operations a second of processor time buys, for the mixes people
// use to judge concurrent maps.
//
//   bench_concurrent_compare [ENTRIES] [ROUNDS] [MILLISECONDS] [numbers|strings] [THREADS...]
//   STEADY_BENCH_MIXES=AC    only these mixes
//
//   A  50 % find, 50 % assign      B  95 / 5      C  find only      I  50 % find, 25 % insert,
//   25 % erase, over twice the keys
//   keys uniform, or by Zipf's law (0.99), scattered over the map
//
// Within a round all maps take their turn, each on the same keys; the figure is the median of
// the rounds, in millions of operations per second of thread CPU time, which a busy neighbour
// disturbs least (Go's sync.Map: of its whole process, for its collector's time is a price of
// the map). Every map is filled once. Answers are added up so that no compiler drops a search;
// whether they are right is asked by the tests.
//
// Read the last columns: steady divided by the best Debian peer, and by boost when it is there.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "concurrent/drive.hpp"
#include "concurrent/peers.hpp"
#include "concurrent/syncmap.hpp"

namespace {

using namespace steady::bench;

/// Ranks by Zipf's law, by inversion (Gray et al., SIGMOD 1994), drawn beforehand.
std::vector<std::uint32_t> ranks(std::size_t n, bool zipf, std::size_t draws, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::uint32_t> out(draws);
    if (!zipf) {
        for (auto& r : out) r = static_cast<std::uint32_t>(random() % n);
        return out;
    }
    const double theta = 0.99;
    double zeta = 0;
    for (std::size_t i = 1; i <= n; ++i) zeta += 1 / std::pow(static_cast<double>(i), theta);
    const double alpha = 1 / (1 - theta), zeta2 = 1 + std::pow(0.5, theta);
    const double eta = (1 - std::pow(2.0 / static_cast<double>(n), 1 - theta)) / (1 - zeta2 / zeta);
    std::uniform_real_distribution<double> uniform;
    for (auto& r : out) {
        const double u = uniform(random), uz = u * zeta;
        double rank = 0;
        if (uz >= 1) {
            rank = uz < zeta2 ? 1 : static_cast<double>(n) * std::pow(eta * u - eta + 1, alpha);
        }
        const auto number = std::min<std::uint64_t>(n - 1, static_cast<std::uint64_t>(rank));
        // Scattered: neighbours in rank are no neighbours in the map (they are not anyway), and
        // the most frequent keys are not those inserted first.
        r = static_cast<std::uint32_t>(number * 2654435761u % n);
    }
    return out;
}

struct mix {
    const char* name;
    unsigned find, assign, insert;  // per cent; the rest is erase
};
constexpr mix mixes[] = {{"A", 50, 50, 0}, {"B", 95, 5, 0}, {"C", 100, 0, 0}, {"I", 50, 0, 25}};

template <class Key>
struct inputs {
    std::vector<Key> keys;
    std::vector<std::uint32_t> draws;
    bool zipf = false;
};

bool use_wall_time = false;

/// Millions of operations per second of thread CPU time, or of wall time.
template <class Map, class Key>
double measure(Map& m, const inputs<Key>& in, const mix& what, unsigned threads, int milliseconds) {
    const driven d = drive(threads, milliseconds, [&](unsigned t) {
        std::uint64_t sum = 0, state = t * 7919 + 12345;
        std::size_t at = in.draws.size() / threads * t;
        return [&, sum, state, at]() mutable {
            for (int i = 0; i < 256; ++i) {
                const Key& key = in.keys[in.draws[at]];
                if (++at == in.draws.size()) at = 0;
                state = state * 6364136223846793005u + 1442695040888963407u;
                const unsigned dice = static_cast<unsigned>((state >> 33) * 100 >> 31);
                if (dice < what.find) {
                    m.find(key, sum);
                } else if (dice < what.find + what.assign) {
                    m.assign(key, state);
                } else if (dice < what.find + what.assign + what.insert) {
                    m.insert(key, state);
                } else {
                    m.erase(key);
                }
            }
            keep(sum);
            return 256;
        };
    });
    return d.operations * 1e3 / (use_wall_time ? d.wall_ns : d.cpu_ns);
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

template <class Key>
void compare(std::size_t n, int rounds, int milliseconds, const std::vector<unsigned>& threads) {
    // All maps stay filled side by side; each cell lets them take turns.
    std::vector<const char*> names;
    std::vector<std::function<double(const inputs<Key>&, const mix&, unsigned)>> runs;
    std::vector<std::function<void(const inputs<Key>&)>> settle;
    inputs<Key> in;
    for (std::size_t i = 0; i < 2 * n; ++i) in.keys.push_back(make_key<Key>(i));
    each_map<Key>([&]<class Map>() {
        auto m = std::make_shared<Map>();
        for (std::size_t i = 0; i < n; ++i) m->insert(in.keys[i], i);
        names.push_back(Map::name);
        runs.push_back([m, milliseconds](const inputs<Key>& i, const mix& w, unsigned t) {
            return measure(*m, i, w, t, milliseconds);
        });
        settle.push_back([m, n](const inputs<Key>& i) {
            for (std::size_t k = 0; k < n; ++k) m->insert(i.keys[k], k);
            for (std::size_t k = n; k < 2 * n; ++k) m->erase(i.keys[k]);
        });
    });
#if defined(STEADY_BENCH_SYNCMAP)
    auto go = std::make_shared<go_process>(STEADY_BENCH_SYNCMAP, n, !std::is_integral_v<Key>);
    names.push_back("sync.Map");
    runs.push_back([go, milliseconds](const inputs<Key>& i, const mix& w, unsigned t) {
        char line[96];
        std::snprintf(line, sizeof line, "%u %u %u %s %u %d", w.find, w.assign, w.insert,
                      i.zipf ? "zipf" : "uniform", t, milliseconds);
        return go->ask(line);
    });
    settle.push_back([go](const inputs<Key>&) { go->ask("settle"); });
#endif
    std::printf("\n%zu entries, %s keys; Mop per %s second\n%-12s", n,
                std::is_integral_v<Key> ? "8-byte" : "string", use_wall_time ? "wall" : "CPU", "");
    for (const char* name : names) std::printf(" %12s", name);
    std::printf("  best peer/x\n");
    // Once over everything: the first to write after the fills would pay for pages that the host
    // has taken away meanwhile.
    for (auto& s : settle) s(in);
    std::vector<double> logs(names.size(), 0);
    int cells = 0;
    double worst = 1e9;
    const char* only = std::getenv("STEADY_BENCH_MIXES");
    for (const mix& what : mixes) {
        if (only != nullptr && std::strstr(only, what.name) == nullptr) continue;
        for (const bool zipf : {false, true}) {
            const std::size_t range = what.find + what.assign == 100 ? n : 2 * n;
            in.draws = ranks(range, zipf, std::size_t{1} << 20, 42);
            in.zipf = zipf;
            for (const unsigned t : threads) {
                std::vector<std::vector<double>> figures(names.size());
                for (int r = 0; r < rounds; ++r) {
                    for (std::size_t w = 0; w < names.size(); ++w) {
                        figures[w].push_back(runs[w](in, what, t));
                    }
                }
                std::printf("%s %-7s %u", what.name, zipf ? "zipf" : "uniform", t);
                double best = 0;
                const double mine = median(figures[0]);
                for (std::size_t w = 0; w < names.size(); ++w) {
                    const double f = median(figures[w]);
                    std::printf(" %12.2f", f);
                    logs[w] += std::log(mine / f);
                    if (w != 0 && std::strcmp(names[w], "boost") != 0) best = std::max(best, f);
                }
                ++cells;
                worst = std::min(worst, mine / best);
                std::printf("   %8.2f\n", mine / best);
                std::fflush(stdout);
            }
        }
        if (what.insert != 0) {
            for (auto& s : settle) s(in);
        }
    }
    std::printf("geometric mean of steady / peer:");
    for (std::size_t w = 1; w < names.size(); ++w) {
        std::printf("  %s %.2f", names[w], std::exp(logs[w] / cells));
    }
    std::printf("; worst cell against Debian's best %.2f\n", worst);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
    const int milliseconds = argc > 3 ? std::atoi(argv[3]) : 50;
    use_wall_time = std::getenv("STEADY_BENCH_WALL") != nullptr;
    const bool strings = argc > 4 && std::string(argv[4]) == "strings";
    std::vector<unsigned> threads;
    for (int i = 5; i < argc; ++i) threads.push_back(static_cast<unsigned>(std::atoi(argv[i])));
    if (threads.empty()) threads = {1, 2, 8};
    std::printf("compiled by %s, STEADY_CHECK=%d\n", __VERSION__, STEADY_CHECK);
    if (strings) {
        compare<std::string>(n, rounds, milliseconds, threads);
    } else {
        compare<std::uint64_t>(n, rounds, milliseconds, threads);
    }
}
