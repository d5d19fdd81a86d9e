// maps.hpp - Go's package maps, for go::map: whole maps copied, compared, filtered.
//
//   | Go 1.23                    | here                              |
//   | maps.All(m)                | the map itself: for (auto& e : m) |
//   | maps.Keys(m), Values(m)    | maps::keys(m), maps::values(m)    |
//   | maps.Insert(m, seq)        | maps::insert(m, range)            |
//   | maps.Collect(seq)          | maps::collect<K, V>(range)        |
//   | maps.Clone(m)              | maps::clone(m)                    |
//   | maps.Copy(dst, src)        | maps::copy(dst, src)              |
//   | maps.DeleteFunc(m, del)    | maps::delete_func(m, del)         |
//   | maps.Equal(a, b)           | maps::equal(a, b)                 |
//   | maps.EqualFunc(a, b, eq)   | maps::equal_func(a, b, eq)        |
//
// Keys and values come as vectors, in the random order of a walk; Go 1.23 gives
// sequences, the package golang.org/x/exp/maps before it gave slices.
//
// Throws   what the map's own operations throw. copy and insert stop in the middle then:
//          the entries that arrived stay.
// Threads  as the map: a written map belongs to one thread.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "steady/go/map.hpp"

namespace steady::go::maps {

/// The keys, in random order. Cost: one walk, one allocation.
template <class K, class V, class H, class E>
[[nodiscard]] std::vector<K> keys(const map<K, V, H, E>& m) {
    std::vector<K> all;
    all.reserve(m.size());
    for (auto& [key, elem] : m) all.push_back(key);
    return all;
}

/// The elems, in random order. Cost: one walk, one allocation.
template <class K, class V, class H, class E>
[[nodiscard]] std::vector<V> values(const map<K, V, H, E>& m) {
    std::vector<V> all;
    all.reserve(m.size());
    for (auto& [key, elem] : m) all.push_back(elem);
    return all;
}

/// Assigns every pair of the range: of equal keys the last one stays.
/// Throws   nil_map_error when `m` is nil and the range is not empty.
template <class K, class V, class H, class E, class Range>
void insert(map<K, V, H, E>& m, Range&& range) {
    for (auto&& [key, elem] : range) m.assign(key, elem);
}

/// A new map of a range of pairs; never nil.
template <class K, class V, class Range>
[[nodiscard]] map<K, V> collect(Range&& range) {
    auto m = map<K, V>::make();
    insert(m, std::forward<Range>(range));
    return m;
}

/// A map with the same entries; nil stays nil. Elems are copied, what they point to is not.
template <class K, class V, class H, class E>
[[nodiscard]] map<K, V, H, E> clone(const map<K, V, H, E>& m) {
    return m.clone();
}

/// Assigns all entries of `from` to `to`, over those with equal keys.
/// Throws   nil_map_error when `to` is nil and `from` is not empty.
template <class K, class V, class H, class E, class H2, class E2>
void copy(map<K, V, H, E>& to, const map<K, V, H2, E2>& from) {
    for (auto& [key, elem] : from) to.assign(key, elem);
}

/// Deletes the entries for which unwanted(key, elem) is true.
template <class K, class V, class H, class E, class Predicate>
void delete_func(map<K, V, H, E>& m, Predicate unwanted) {
    for (auto& [key, elem] : m) {
        if (unwanted(key, elem)) m.erase(key);
    }
}

/// Whether both have the same keys with equal elems. Nil equals empty. A NaN, key or
/// elem, makes maps different, also from themselves.
template <class K, class V, class H, class E>
[[nodiscard]] bool equal(const map<K, V, H, E>& a, const map<K, V, H, E>& b) {
    return a == b;
}

/// The same with a comparison of its own for the elems, which may differ in type.
template <class K, class V, class H, class E, class W, class H2, class E2, class Same>
[[nodiscard]] bool equal_func(const map<K, V, H, E>& a, const map<K, W, H2, E2>& b, Same same) {
    if (a.size() != b.size()) return false;
    for (auto& [key, elem] : a) {
        const W* const other = b.lookup(key);
        if (other == nullptr || !same(elem, *other)) return false;
    }
    return true;
}

}  // namespace steady::go::maps
