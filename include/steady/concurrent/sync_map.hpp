// sync_map.hpp - Go's sync.Map: its functions and its promises, over concurrent_map.
//
//   Go                  here
//   Load                load          -> optional<V>
//   Store               store
//   LoadOrStore         load_or_store -> {actual, loaded}
//   LoadAndDelete       load_and_delete -> optional<V>
//   Delete              erase
//   Swap                swap          -> optional<V> (what was there)
//   CompareAndSwap      compare_and_swap
//   CompareAndDelete    compare_and_delete
//   Range               range (f returns false to stop)
//   Clear               clear
//
// Guarantees are Go's: each function on a key is atomic; range "does not necessarily
// correspond to any consistent snapshot", visits no key more than once, and a key stored or
// deleted meanwhile is seen in some state of that time. range may call any function.
//
// Go built it twice: until 1.23 from a read-only map and a dirty one, which is copied after
// as many misses as it has entries (the first new key after that costs a copy of everything);
// since 1.24 as a trie of hashes with a lock per node. Ours has neither the copy nor the
// node per entry; docs/design/concurrent.md compares them.

#pragma once

#include <optional>
#include <utility>

#include "steady/concurrent/concurrent_map.hpp"

namespace steady {

template <class K, class V, class Hash = map_hash<K>, class Equal = map_equal<K>>
class sync_map {
public:
    using key_type = K;
    using mapped_type = V;
    struct loaded_value {
        V value;      // the one in the map now
        bool loaded;  // true: it was there before
    };

    template <class Q>
    [[nodiscard]] std::optional<V> load(const Q& key) const {
        return map_.find(key);
    }
    template <class Q>
    void store(Q&& key, V value) {
        map_.insert_or_assign(std::forward<Q>(key), std::move(value));
    }
    /// Returns    the value that is there, or `value`, stored.
    template <class Q>
    loaded_value load_or_store(Q&& key, V value) {
        if (auto there = map_.find(key)) return {std::move(*there), true};  // without a lock
        std::optional<V> seen;
        const bool stored = map_.insert_or_cvisit(std::forward<Q>(key), value,
                                                  [&](const V& v) { seen.emplace(v); });
        if (stored) return {std::move(value), false};
        return {std::move(*seen), true};
    }
    template <class Q>
    std::optional<V> load_and_delete(const Q& key) {
        return map_.extract(key);
    }
    /// Returns    true when there was one.
    template <class Q>
    bool erase(const Q& key) {
        return map_.erase(key);
    }
    /// Stores and returns what was there before.
    template <class Q>
    std::optional<V> swap(Q&& key, V value) {
        return map_.exchange(std::forward<Q>(key), std::move(value));
    }
    /// Stores `fresh` if the key has the value `old`.
    template <class Q>
    bool compare_and_swap(const Q& key, const V& old, V fresh) {
        return map_.assign_if(
            key, [&](const V& v) { return v == old; }, std::move(fresh));
    }
    /// Erases the key if it has the value `old`.
    template <class Q>
    bool compare_and_delete(const Q& key, const V& old) {
        return map_.erase_if(key, [&](const V& v) { return v == old; });
    }
    /// Calls f(key, value) for entries until it returns false.
    template <class F>
    void range(F&& f) const {
        std::uint64_t cursor = 0;
        bool more = true;
        do {
            cursor = map_.scan(cursor, [&](const K& key, const V& value) {
                if (more) more = f(key, value);
            });
        } while (more && cursor != 0);
    }
    void clear() { map_.clear(); }

    [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }
    [[nodiscard]] concurrent_map_memory memory() const noexcept { return map_.memory(); }
    [[nodiscard]] concurrent_map_statistics stats() const noexcept { return map_.stats(); }

private:
    concurrent_map<K, V, Hash, Equal> map_;
};

}  // namespace steady
