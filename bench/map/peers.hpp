// peers.hpp - the maps we compare with, under one name each, and the keys and values.
//
// Peers come from the system when they are there: bench/map/CMakeLists.txt defines
// STEADY_BENCH_ABSEIL and STEADY_BENCH_BOOST. std is always there.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "steady/core/hash.hpp"
#include "steady/map/map.hpp"

#if defined(STEADY_BENCH_ABSEIL)
#include <absl/container/flat_hash_map.h>
#endif
#if defined(STEADY_BENCH_BOOST)
#include <boost/unordered/unordered_flat_map.hpp>
#endif

namespace steady::bench {

struct wide_value {
    std::uint64_t first = 0;
    std::uint64_t rest[7] = {};
    wide_value() = default;
    explicit wide_value(std::uint64_t n) : first(n) {}
    operator std::uint64_t() const { return first; }
};

/// Keys by number: all different, in no order, the same in every run.
template <class Key>
Key make_key(std::uint64_t n) {
    if constexpr (std::is_integral_v<Key>) {
        return static_cast<Key>(finalise(n));
    } else {
        return "user:" + std::to_string(finalise(n));  // 20 to 25 characters: not in the string
    }
}

template <class K, class V>
using steady_map = steady::map<K, V>;
template <class K, class V>
using std_map = std::unordered_map<K, V>;
#if defined(STEADY_BENCH_ABSEIL)
template <class K, class V>
using abseil_map = absl::flat_hash_map<K, V>;
#endif
#if defined(STEADY_BENCH_BOOST)
template <class K, class V>
using boost_map = boost::unordered_flat_map<K, V>;
#endif

}  // namespace steady::bench
