// sharded.hpp - any map behind N locks: the simple choice.
//
//   hash -> one of N shards, each a lock and a map
//
// Choose it for maps that are not made for threads (steady::map with an allocator of your
// own, std::map for order inside a shard). concurrent_map is faster, reads without locks and
// never waits for a whole shard to grow.
//
// Invariants (tests/concurrent/sharded_test.cpp)
//   D1  A key is in the shard of its hash and in no other.
//   D2  Two shards are never locked at once, but by size_exact(), in ascending order.

#pragma once

#include <bit>
#include <cstddef>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "steady/core/units.hpp"
#include "steady/map/hash_policy.hpp"

namespace steady {

/// Map    has find, end, try_emplace, insert_or_assign, erase, size (steady::map, std::map,
///        std::unordered_map, ...)
/// N      shards, a power of two
template <class Map, std::size_t N = 64, class Hash = map_hash<typename Map::key_type>>
class sharded {
    static_assert(N != 0 && (N & (N - 1)) == 0, "the number of shards is a power of two");

public:
    using key_type = typename Map::key_type;
    using mapped_type = typename Map::mapped_type;

    sharded() = default;
    sharded(const sharded&) = delete;
    sharded& operator=(const sharded&) = delete;

    /// Every function locks the key's shard, readers together, writers alone, and waits for it.
    [[nodiscard]] std::optional<mapped_type> find(const key_type& key) const {
        const shard& s = of(key);
        const std::shared_lock only(s.lock);
        const auto it = s.map.find(key);
        if (it == s.map.end()) return std::nullopt;
        return it->second;
    }
    [[nodiscard]] bool contains(const key_type& key) const {
        const shard& s = of(key);
        const std::shared_lock only(s.lock);
        return s.map.find(key) != s.map.end();
    }
    /// Calls f(value) under the lock. f must not use this container.
    template <class F>
    bool visit(const key_type& key, F&& f) {
        shard& s = of(key);
        const std::unique_lock only(s.lock);
        const auto it = s.map.find(key);
        if (it == s.map.end()) return false;
        f(it->second);
        return true;
    }
    template <class... Args>
    bool try_emplace(const key_type& key, Args&&... args) {
        shard& s = of(key);
        const std::unique_lock only(s.lock);
        return s.map.try_emplace(key, std::forward<Args>(args)...).second;
    }
    template <class M>
    bool insert_or_assign(const key_type& key, M&& value) {
        shard& s = of(key);
        const std::unique_lock only(s.lock);
        return s.map.insert_or_assign(key, std::forward<M>(value)).second;
    }
    bool erase(const key_type& key) {
        shard& s = of(key);
        const std::unique_lock only(s.lock);
        return s.map.erase(key) != 0;
    }
    /// f(key, value) for all entries, a shard at a time under its lock.
    template <class F>
    void cvisit_all(F&& f) const {
        for (const shard& s : shards_) {
            const std::shared_lock only(s.lock);
            for (const auto& [key, value] : s.map) f(key, value);
        }
    }
    /// The sum of the shards, each at its own instant.
    [[nodiscard]] std::size_t size() const {
        std::size_t n = 0;
        for (const shard& s : shards_) {
            const std::shared_lock only(s.lock);
            n += s.map.size();
        }
        return n;
    }
    /// Entries at one instant: locks all shards (D2).
    [[nodiscard]] std::size_t size_exact() const {
        std::size_t n = 0, held = 0;
        for (; held < N; ++held) shards_[held].lock.lock_shared();
        for (const shard& s : shards_) n += s.map.size();
        while (held != 0) shards_[--held].lock.unlock_shared();
        return n;
    }
    /// What the maps say (when they have memory()), and this object.
    [[nodiscard]] bytes memory() const {
        std::size_t n = sizeof *this;
        if constexpr (requires(const Map& m) { m.memory().total(); }) {
            for (const shard& s : shards_) {
                const std::shared_lock only(s.lock);
                n += s.map.memory().total().count();
            }
        }
        return bytes{n};
    }

private:
    struct alignas(64) shard {
        mutable std::shared_mutex lock;
        Map map;
    };
    // The top bits of a hash with another seed than the map's own: D1 must not make the keys
    // of a shard alike for the map inside.
    static std::size_t index_of(const key_type& key) {
        if constexpr (N == 1) return 0;
        constexpr unsigned bits = std::countr_zero(N);
        return static_cast<std::size_t>(
            detail::hash_with_seed(Hash(), key, 0x9ddfea08eb382d69) >> (64 - bits) & (N - 1));
    }
    [[nodiscard]] shard& of(const key_type& key) { return shards_[index_of(key)]; }
    [[nodiscard]] const shard& of(const key_type& key) const { return shards_[index_of(key)]; }

    shard shards_[N];
};

}  // namespace steady
