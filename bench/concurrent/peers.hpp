// peers.hpp - concurrent maps under one interface: find, assign, insert, erase, add.
//
// Peers come from the system when they are there: bench/concurrent/CMakeLists.txt defines
// STEADY_BENCH_TBB, STEADY_BENCH_CUCKOO, STEADY_BENCH_ABSEIL and, when somebody gives newer
// headers than Debian's (-DSTEADY_BOOST_HEADERS=DIR), STEADY_BENCH_BOOST_CONCURRENT.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "steady/concurrent/concurrent_map.hpp"
#include "steady/core/hash.hpp"

#if defined(STEADY_BENCH_ABSEIL)
#include <absl/container/flat_hash_map.h>
#endif
#if defined(STEADY_BENCH_TBB)
#include <tbb/concurrent_hash_map.h>
#endif
#if defined(STEADY_BENCH_CUCKOO)
#include <libcuckoo/cuckoohash_map.hh>
#endif
#if defined(STEADY_BENCH_BOOST_CONCURRENT)
#include <boost/unordered/concurrent_flat_map.hpp>
#endif

namespace steady::bench {

/// Keys by number: all different, in no order, the same in every run.
template <class Key>
Key make_key(std::uint64_t n) {
    if constexpr (std::is_integral_v<Key>) {
        return static_cast<Key>(finalise(n));
    } else {
        return "user:" + std::to_string(finalise(n));  // 20 to 25 characters: not in the string
    }
}

/// Every peer gets a hash that is good and fast enough for it: steady's own.
template <class K>
struct bench_hash {
    using is_avalanching = void;
    std::size_t operator()(const K& k) const noexcept { return map_hash<K>{}(k, 12345); }
};

template <class K>
struct ours {
    static constexpr const char* name = "steady";
    steady::concurrent_map<K, std::uint64_t> m;
    bool find(const K& k, std::uint64_t& out) {
        const auto v = m.find(k);
        if (!v) return false;
        out += *v;
        return true;
    }
    void assign(const K& k, std::uint64_t v) { m.insert_or_assign(k, v); }
    bool insert(const K& k, std::uint64_t v) { return m.insert(k, v); }
    bool erase(const K& k) { return m.erase(k); }
};

#if defined(STEADY_BENCH_ABSEIL)
template <class K>
struct abseil_64 {
    static constexpr const char* name = "64 x abseil";
    struct alignas(64) shard {
        std::mutex lock;
        absl::flat_hash_map<K, std::uint64_t> map;
    };
    shard shards[64];
    // absl's hash is salted apart from ours, so the shard's bits say nothing inside a shard.
    shard& at(const K& k) { return shards[bench_hash<K>{}(k) >> 58]; }
    bool find(const K& k, std::uint64_t& out) {
        shard& s = at(k);
        const std::lock_guard only(s.lock);
        const auto it = s.map.find(k);
        if (it == s.map.end()) return false;
        out += it->second;
        return true;
    }
    void assign(const K& k, std::uint64_t v) {
        shard& s = at(k);
        const std::lock_guard only(s.lock);
        s.map.insert_or_assign(k, v);
    }
    bool insert(const K& k, std::uint64_t v) {
        shard& s = at(k);
        const std::lock_guard only(s.lock);
        return s.map.try_emplace(k, v).second;
    }
    bool erase(const K& k) {
        shard& s = at(k);
        const std::lock_guard only(s.lock);
        return s.map.erase(k) != 0;
    }
};
#endif
#if defined(STEADY_BENCH_TBB)
template <class K>
struct tbb_compare {
    static std::size_t hash(const K& k) { return bench_hash<K>{}(k); }
    static bool equal(const K& a, const K& b) { return a == b; }
};
template <class K>
struct tbb_map {
    static constexpr const char* name = "tbb";
    using map = tbb::concurrent_hash_map<K, std::uint64_t, tbb_compare<K>>;
    map m;
    bool find(const K& k, std::uint64_t& out) {
        typename map::const_accessor a;
        if (!m.find(a, k)) return false;
        out += a->second;
        return true;
    }
    void assign(const K& k, std::uint64_t v) {
        typename map::accessor a;
        m.insert(a, k);
        a->second = v;
    }
    bool insert(const K& k, std::uint64_t v) { return m.insert({k, v}); }
    bool erase(const K& k) { return m.erase(k); }
};
#endif
#if defined(STEADY_BENCH_CUCKOO)
template <class K>
struct cuckoo_map {
    static constexpr const char* name = "libcuckoo";
    libcuckoo::cuckoohash_map<K, std::uint64_t, bench_hash<K>> m;
    bool find(const K& k, std::uint64_t& out) {
        std::uint64_t v;
        if (!m.find(k, v)) return false;
        out += v;
        return true;
    }
    void assign(const K& k, std::uint64_t v) { m.insert_or_assign(k, v); }
    bool insert(const K& k, std::uint64_t v) { return m.insert(k, v); }
    bool erase(const K& k) { return m.erase(k); }
};
#endif
#if defined(STEADY_BENCH_BOOST_CONCURRENT)
template <class K>
struct boost_map {
    static constexpr const char* name = "boost";
    boost::unordered::concurrent_flat_map<K, std::uint64_t, bench_hash<K>> m;
    bool find(const K& k, std::uint64_t& out) {
        return m.cvisit(k, [&](const auto& e) { out += e.second; }) != 0;
    }
    void assign(const K& k, std::uint64_t v) {
        m.insert_or_visit({k, v}, [&](auto& e) { e.second = v; });
    }
    bool insert(const K& k, std::uint64_t v) { return m.insert({k, v}); }
    bool erase(const K& k) { return m.erase(k) != 0; }
};
#endif

/// Calls f.template operator()<Map>() for each contestant.
template <class K, class F>
void each_map(F&& f) {
    f.template operator()<ours<K>>();
#if defined(STEADY_BENCH_TBB)
    f.template operator()<tbb_map<K>>();
#endif
#if defined(STEADY_BENCH_CUCKOO)
    f.template operator()<cuckoo_map<K>>();
#endif
#if defined(STEADY_BENCH_ABSEIL)
    f.template operator()<abseil_64<K>>();
#endif
#if defined(STEADY_BENCH_BOOST_CONCURRENT)
    f.template operator()<boost_map<K>>();
#endif
}

}  // namespace steady::bench
