// go_map_bench.cpp - steady::go::map under the workload of bench/go, which README.md
// describes: the same rows, keys and checksum as runtime/ prints for Go's own map.
//
//   bench_go_go_map_bench u64|str N          nanoseconds per operation, row by row
//   bench_go_go_map_bench u64|str growth     the longest insert around a growth
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "go/workload.hpp"
#include "steady/go/map.hpp"

namespace {

using namespace steady::bench::go;

struct row {
    const char* name;
    std::int64_t total = 0;

    /// Times one repetition; what it found goes into the checksum.
    template <class Function>
    void run(checksum& sum, Function function) {
        const std::int64_t start = thread_time();
        const std::uint64_t result = function();
        total += thread_time() - start;
        sum.add(result);
    }
};

std::uint64_t of(std::uint64_t key) {
    return key;
}
std::uint64_t of(std::string_view key) {
    return key.size();
}

template <class Map, class Keys>
std::uint64_t insert(Map& m, const Keys& keys) {
    std::uint64_t i = 0;
    for (const auto& key : keys) m.assign(key, i++);
    return m.size();
}

template <class Key>
void run_rows(const vector<Key>& keys, const vector<Key>& strangers) {
    using map = steady::go::map<Key, std::uint64_t>;
    const vector<Key> mixed = shuffled(keys);
    row rows[] = {{"insert"}, {"insert-hint"}, {"hit"}, {"miss"}, {"iterate"}, {"delete"}};
    checksum sum;
    const std::uint64_t times = repetitions(keys.size());
    for (std::uint64_t pass = 0; pass < times; ++pass) {
        map m, hinted;
        rows[0].run(sum, [&] {
            m = map::make();
            return insert(m, keys);
        });
        rows[1].run(sum, [&] {
            hinted = map::make(keys.size());
            return insert(hinted, keys);
        });
        rows[2].run(sum, [&] {
            std::uint64_t total = 0;
            for (const Key& key : mixed) total += m.get(key);
            return total;
        });
        rows[3].run(sum, [&] {
            std::uint64_t found = 0;
            for (const Key& key : strangers) found += m.contains(key);
            return found;
        });
        rows[4].run(sum, [&] {
            std::uint64_t total = 0;
            for (auto& [key, value] : m) total += of(key) + value;
            return total;
        });
        rows[5].run(sum, [&] {
            for (const Key& key : mixed) m.erase(key);
            return m.size();
        });
    }
    for (const row& r : rows) {
        std::printf("%s %.3f\n", r.name,
                    static_cast<double>(r.total) / static_cast<double>(keys.size() * times));
    }
    std::printf("checksum %016" PRIx64 "\n", sum.value());
}

/// Times single inserts around the one that starts a growth.
template <class Key>
void run_growth(const vector<Key>& keys) {
    auto m = steady::go::map<Key, std::uint64_t>::make();
    const std::uint64_t first = growth_at - growth_around;
    for (std::uint64_t i = 0; i < first; ++i) m.assign(keys[i], i);
    std::int64_t longest = 0;
    for (std::uint64_t i = first; i < growth_at + growth_around; ++i) {
        const std::int64_t start = thread_time();
        m.assign(keys[i], i);
        const std::int64_t took = thread_time() - start;
        if (took > longest) longest = took;
    }
    checksum sum;
    sum.add(m.size());
    std::printf("growth %" PRId64 "\nchecksum %016" PRIx64 "\n", longest, sum.value());
}

int usage() {
    std::fputs("usage: go_map_bench u64|str N | go_map_bench u64|str growth\n", stderr);
    return 2;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) return usage();
    const std::string_view kind = arguments[1];
    const bool growth = std::string_view(arguments[2]) == "growth";
    const std::uint64_t n =
        growth ? growth_at + growth_around : std::strtoull(arguments[2], nullptr, 10);
    if ((kind != "u64" && kind != "str") || n == 0) return usage();
    const vector<std::uint64_t> keys = numbers(1, n), strangers = numbers(2, n);
    if (kind == "u64") {
        growth ? run_growth(keys) : run_rows(keys, strangers);
    } else {
        const texts text_keys(keys), text_strangers(strangers);
        growth ? run_growth(text_keys.keys) : run_rows(text_keys.keys, text_strangers.keys);
    }
}
