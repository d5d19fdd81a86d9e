// workload.hpp - the keys, the order and the clock of the comparison with Go's map.
//
// runtime/workload.go says the same in Go. Whoever changes one changes both; the
// checksum that both programs print tells when they differ.
//
//   keys       the first N outputs of splitmix64 seeded with 1; `str`: as 16 hex digits
//   strangers  the same from seed 2: keys that are not in the map
//   shuffled   Fisher-Yates from the back, j = next() % (i + 1), from seed 3
//   values     the index of the key
//
// Strings lie in one block in the order of the keys, so a shuffled walk over them
// misses the caches as it would in a program. Keys and block come from the heap of the
// side that is measured: Go's has them in huge pages, and so has steady's.
#pragma once

#include <ctime>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/allocator.hpp"

namespace steady::bench::go {

inline constexpr std::uint64_t operations_a_row = 2'000'000;
/// One more entry than the map holds at this size starts a growth: 6.5 * 2^20.
inline constexpr std::uint64_t growth_at = 6'815'744;
/// Single inserts timed before and after it.
inline constexpr std::uint64_t growth_around = 16;

template <class T>
using vector = std::vector<T, steady::allocator<T>>;

/// How often a pass over n entries is repeated.
inline std::uint64_t repetitions(std::uint64_t n) {
    return n >= operations_a_row ? 1 : operations_a_row / n;
}

inline vector<std::uint64_t> numbers(std::uint64_t seed, std::uint64_t n) {
    splitmix64 draws(seed);
    vector<std::uint64_t> all(n);
    for (std::uint64_t& each : all) each = draws.next();
    return all;
}

/// Hexadecimal keys and the block they lie in.
struct texts {
    std::basic_string<char, std::char_traits<char>, steady::allocator<char>> block;
    vector<std::string_view> keys;

    explicit texts(const vector<std::uint64_t>& all) : block(16 * all.size() + 1, '\0') {
        for (std::size_t i = 0; i < all.size(); ++i) {
            std::snprintf(block.data() + 16 * i, 17, "%016llx",
                          static_cast<unsigned long long>(all[i]));
        }
        for (std::size_t i = 0; i < all.size(); ++i) keys.emplace_back(block.data() + 16 * i, 16);
    }
    texts(const texts&) = delete;
    texts& operator=(const texts&) = delete;
};

/// The same keys in another order.
template <class Key>
vector<Key> shuffled(vector<Key> keys) {
    splitmix64 draws(3);
    for (std::size_t i = keys.size(); i-- > 1;) std::swap(keys[i], keys[draws.next() % (i + 1)]);
    return keys;
}

/// Absorbs what a program found out, in the order of the rows.
class checksum {
public:
    void add(std::uint64_t n) { value_ = (value_ ^ n) * 0x100000001b3; }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xcbf29ce484222325;
};

/// Processor time of this thread, in nanoseconds.
inline std::int64_t thread_time() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

}  // namespace steady::bench::go
