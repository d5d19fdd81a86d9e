// compare.cpp - is steady::map as fast as the fastest flat maps, at every size?
//
//   bench_map_compare [SMALLEST] [POINTS] [ROUNDS] [numbers|strings|wide|small]
//
// Each cell is the geometric mean over POINTS sizes spread over one octave from SMALLEST
// on (nobody profits from a lucky size), each point the median of ROUNDS rounds. Within a
// round all maps take their turn, so a busy neighbour disturbs all alike; the clock is the
// thread's own CPU time. Every map's answers are added up and compared.
//
// Read the last column: the best peer's time divided by steady's. Above 1 steady wins.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "map/peers.hpp"
#include "support/clocks.hpp"

namespace {

using namespace steady::bench;
using times = std::map<std::string, std::vector<double>>;  // ns per operation, by workload

struct answer {
    std::uint64_t sum = 0;
};

template <class Key>
struct workload_keys {
    std::vector<Key> all, hits, misses, later;
    workload_keys(std::size_t n, std::uint64_t round) {
        const std::uint64_t base = round * 1'000'000'007;
        std::mt19937_64 random(round);
        const std::size_t questions = std::clamp<std::size_t>(4 * n, 200'000, 1'000'000);
        for (std::uint64_t i = 0; i < n; ++i) all.push_back(make_key<Key>(base + i));
        for (std::size_t i = 0; i < questions; ++i) hits.push_back(all[random() % n]);
        for (std::size_t i = 0; i < questions; ++i) {
            misses.push_back(make_key<Key>(base + n * 8 + random() % (8 * n)));
        }
        for (std::size_t i = 0; i < std::min(n, questions); ++i) {
            later.push_back(make_key<Key>(base + 4 * n + i));
        }
    }
};

// Each loop is a function of its own: in one large function it would share its registers with
// all the others, and which map that costs most is chance.

template <class Map, class Key>
[[gnu::noinline]] void fill(Map& m, const std::vector<Key>& keys) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
        m.try_emplace(keys[i], typename Map::mapped_type(i));
    }
}
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t hit(const Map& m, const std::vector<Key>& keys) {
    std::uint64_t sum = 0;
    for (const Key& key : keys) sum += std::uint64_t{m.find(key)->second};
    return sum;
}
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t miss(const Map& m, const std::vector<Key>& keys) {
    std::uint64_t sum = 0;
    for (const Key& key : keys) sum += m.find(key) != m.end();
    return sum;
}
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t dependent_hit(const Map& m, const std::vector<Key>& keys) {
    std::uint64_t last = 0;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
        last = std::uint64_t{m.find(keys[i + (last & 1)])->second};
    }
    return last;
}
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t find_many(Map& m, const std::vector<Key>& keys) {
    if constexpr (requires { m.stats(); }) {
        std::uint64_t sum = 0;
        std::vector<typename Map::mapped_type*> found(1024);
        for (std::size_t i = 0; i < keys.size(); i += found.size()) {
            const std::size_t some = std::min(found.size(), keys.size() - i);
            m.find_many(std::span(keys).subspan(i, some), found.begin());
            for (std::size_t k = 0; k < some; ++k) sum += std::uint64_t{*found[k]};
        }
        return sum;
    } else {
        return hit(m, keys);
    }
}
template <class Map>
[[gnu::noinline]] std::uint64_t iterate(const Map& m) {
    std::uint64_t sum = 0;
    for (const auto& entry : m) sum += std::uint64_t{entry.second};
    return sum;
}
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t churn(Map& m, const workload_keys<Key>& keys) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < keys.later.size(); ++i) {
        sum += m.erase(keys.all[i]);
        m.try_emplace(keys.later[i], typename Map::mapped_type(i));
    }
    return sum;
}
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t erase(Map& m, const std::vector<Key>& keys, std::size_t from,
                                      std::size_t to) {
    std::uint64_t sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += m.erase(keys[i]);
    return sum;
}

template <class Map, class Key>
void run(const workload_keys<Key>& keys, times& out, answer& a) {
    const std::size_t n = keys.all.size();
    const std::size_t repeat = std::max<std::size_t>(1, 200'000 / n);
    std::uint64_t start = 0, spent = 0, gone = 0;
    const auto record = [&](const char* what, std::uint64_t ns, std::size_t operations) {
        out[what].push_back(static_cast<double>(ns) / static_cast<double>(operations));
    };

    for (std::size_t r = 0; r < repeat; ++r) {
        start = thread_cpu_ns();
        auto m = std::make_unique<Map>();
        fill(*m, keys.all);
        spent += thread_cpu_ns() - start;
        start = thread_cpu_ns();
        m.reset();
        gone += thread_cpu_ns() - start;
    }
    record("build", spent, n * repeat);
    record("destroy", gone, n * repeat);
    spent = 0;
    for (std::size_t r = 0; r < repeat; ++r) {
        Map m;
        start = thread_cpu_ns();
        m.reserve(n);
        fill(m, keys.all);
        spent += thread_cpu_ns() - start;
    }
    record("build, reserved", spent, n * repeat);

    Map m;
    fill(m, keys.all);
    const auto asked = [&](const char* what, auto&& ask) {
        start = thread_cpu_ns();
        a.sum += ask(m, keys.hits);
        record(what, thread_cpu_ns() - start, keys.hits.size());
    };
    asked("hit", hit<Map, Key>);
    start = thread_cpu_ns();
    a.sum += miss(m, keys.misses);
    record("miss", thread_cpu_ns() - start, keys.misses.size());
    asked("dependent hit", dependent_hit<Map, Key>);
    asked("find_many", find_many<Map, Key>);
    const std::size_t walks = std::min<std::size_t>(repeat, 10);
    start = thread_cpu_ns();
    for (std::size_t r = 0; r < walks; ++r) a.sum += iterate(m);
    record("iterate", thread_cpu_ns() - start, n * walks);
    start = thread_cpu_ns();
    a.sum += churn(m, keys);
    record("churn", thread_cpu_ns() - start, keys.later.size());

    std::vector<Key> live(keys.later);
    live.insert(live.end(), keys.all.begin() + static_cast<std::ptrdiff_t>(keys.later.size()),
                keys.all.end());
    std::shuffle(live.begin(), live.end(), std::mt19937_64(n));
    const std::size_t most = live.size() / 10 * 9;
    start = thread_cpu_ns();
    a.sum += erase(m, live, 0, most);
    spent = thread_cpu_ns() - start;
    start = thread_cpu_ns();
    a.sum += iterate(m);
    record("iterate a tenth", thread_cpu_ns() - start, m.size());
    start = thread_cpu_ns();
    a.sum += erase(m, live, most, live.size());
    record("erase all", spent + thread_cpu_ns() - start, live.size());
}

/// Maps of a few entries: made, filled, asked, destroyed, many at a time, each with keys of its
/// own: with the same keys in all of them the processor learns the branches of a map without
/// a seed by heart.
template <class Map, class Key>
[[gnu::noinline]] std::uint64_t small_maps(std::size_t n, std::size_t maps,
                                           const std::vector<Key>& keys) {
    std::uint64_t sum = 0;
    for (std::size_t r = 0, at = 0; r < maps; ++r) {
        Map m;
        const Key* const mine = &keys[at];
        for (std::size_t i = 0; i < n; ++i) m.try_emplace(mine[i], i);
        for (std::size_t i = n; i-- != 0;) sum += m.find(mine[i])->second;
        for (std::size_t i = 0; i < n; ++i) sum += m.find(mine[n + i]) != m.end();
        at += 2 * n;
        if (at + 2 * n > keys.size()) at = 0;
    }
    return sum;
}
template <class Map, class Key>
void run_small(std::size_t n, const workload_keys<Key>& keys, times& out, answer& a) {
    const std::size_t maps = 400'000 / n + 1;
    const std::uint64_t start = thread_cpu_ns();
    a.sum += small_maps<Map>(n, maps, keys.all);
    out[std::to_string(n) + " entries"].push_back(static_cast<double>(thread_cpu_ns() - start) /
                                                  static_cast<double>(n * maps));
}

constexpr const char* names[] = {"steady", "std", "abseil", "boost"};
constexpr std::size_t contestants = 4;

template <class Key, class Value, bool Small>
void play_round(std::size_t n, std::uint64_t round, times (&out)[contestants]) {
    constexpr std::size_t keys_of_small_maps = 200'000;
    const workload_keys<Key> keys(Small ? keys_of_small_maps : n, round + 1);
    answer a[contestants];
    const auto play = [&]<class Map>(std::size_t who) {
        if constexpr (Small) {
            run_small<Map>(n, keys, out[who], a[who]);
        } else {
            run<Map>(keys, out[who], a[who]);
        }
        if (a[who].sum != a[0].sum) {
            std::fprintf(stderr, "compare: %s answers otherwise than steady\n", names[who]);
            std::exit(1);
        }
    };
    play.template operator()<steady_map<Key, Value>>(0);
    if (Small || n < 3'000'000) play.template operator()<std_map<Key, Value>>(1);
#if defined(STEADY_BENCH_ABSEIL)
    play.template operator()<abseil_map<Key, Value>>(2);
#endif
#if defined(STEADY_BENCH_BOOST)
    play.template operator()<boost_map<Key, Value>>(3);
#endif
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

template <class Key, class Value, bool Small = false>
void compare(const char* title, const std::vector<std::size_t>& sizes, std::uint64_t rounds) {
    std::map<std::string, double> logs[contestants];
    std::map<std::string, int> counted;
    for (const std::size_t n : sizes) {
        times out[contestants];
        for (std::uint64_t r = 0; r < rounds; ++r) play_round<Key, Value, Small>(n, r, out);
        for (const auto& [what, unused] : out[0]) {
            ++counted[what];
            for (std::size_t who = 0; who < contestants; ++who) {
                if (!out[who][what].empty()) logs[who][what] += std::log(median(out[who][what]));
            }
        }
    }
    std::printf("\n%s, %zu to %zu entries, ns per operation\n%-16s", title, sizes.front(),
                sizes.back(), "");
    for (const char* name : names) std::printf(" %9s", name);
    std::printf("   best/steady\n");
    for (const auto& [what, times_counted] : counted) {
        std::printf("%-16s", what.c_str());
        double mine = 0, best = 1e300;
        for (std::size_t who = 0; who < contestants; ++who) {
            if (!logs[who].contains(what)) {
                std::printf(" %9s", "-");
                continue;
            }
            const double mean = std::exp(logs[who][what] / times_counted);
            std::printf(" %9.2f", mean);
            (who == 0 ? mine : best) = who == 0 ? mean : std::min(best, mean);
        }
        std::printf("   %8.2f\n", best / mine);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const double smallest = argc > 1 ? std::atof(argv[1]) : 1e4;
    const int points = argc > 2 ? std::max(1, std::atoi(argv[2])) : 4;
    const std::uint64_t rounds = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 3;
    const std::string_view what = argc > 4 ? argv[4] : "numbers";
    std::printf("compiled by %s, STEADY_CHECK=%d\n", __VERSION__, STEADY_CHECK);
    std::vector<std::size_t> sizes;
    for (int p = 0; p < points; ++p) {
        sizes.push_back(static_cast<std::size_t>(smallest * std::pow(2, (p + 0.5) / points)));
    }
    if (what == "numbers") compare<std::uint64_t, std::uint64_t>("8 + 8 bytes", sizes, rounds);
    if (what == "strings") compare<std::string, std::uint64_t>("strings", sizes, rounds);
    if (what == "wide") compare<std::uint64_t, wide_value>("8 + 64 bytes", sizes, rounds);
    if (what == "small") {
        for (const std::size_t n : {4, 16, 100, 1000}) {
            compare<std::uint64_t, std::uint64_t, true>("small maps", {n}, rounds);
        }
    }
}
