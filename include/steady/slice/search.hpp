// search.hpp - Go's `slices` package, second half: comparing, searching and sorting;
// and what C++ adds: ==, <=> and hashes.
//
//   Go                            here
//   slices.Equal, EqualFunc       equal(a, b), equal_func(a, b, f), a == b
//   slices.Compare, CompareFunc   compare(a, b), compare_func(a, b, f), a <=> b
//   slices.Index, IndexFunc       index(s, v), index_func(s, f)         -1: none
//   slices.Contains, ..Func       contains(s, v), contains_func(s, f)
//   slices.Min, Max, ..Func       min(s), max(s), min_func, max_func
//   slices.IsSorted, ..Func       is_sorted(s), is_sorted_func(s, f)
//   slices.Sort, ..Func           sort(s), sort_func(s, f), sort_stable_func(s, f)
//   slices.Sorted, ..Func         sorted(range), sorted_func(range, f)
//   slices.BinarySearch, ..Func   binary_search(s, v), binary_search_func(s, v, f)
//
// A comparison f(a, b) answers below, at or above zero: a number, or what <=> returns.
//
// NaN: equal() and index() find it equal to nothing; compare(), sort() and
// binary_search() put it before all numbers, equal to itself; min() and max() return it.
// Zeroes: equal everywhere, but min() prefers -0.0 and max() 0.0, as Go's builtins do.
#pragma once

#include <algorithm>
#include <cmath>
#include <compare>
#include <functional>
#include <utility>

#include "steady/core/hash.hpp"
#include "steady/slice/slice.hpp"

namespace steady {

namespace detail {

template <class T>
constexpr bool is_nan([[maybe_unused]] const T& x) noexcept {
    if constexpr (std::is_floating_point_v<T>) return x != x;
    return false;
}

// cmp.Less and cmp.Compare.
struct go_less {
    template <class A, class B>
    constexpr bool operator()(const A& a, const B& b) const {
        return (is_nan(a) && !is_nan(b)) || a < b;
    }
};
struct go_compare {
    template <class A, class B>
    constexpr int operator()(const A& a, const B& b) const {
        return go_less()(a, b) ? -1 : go_less()(b, a) ? 1 : 0;
    }
};

// The builtins min and max: -0.0 is less than 0.0.
struct less_with_zeroes {
    template <class T>
    constexpr bool operator()(const T& a, const T& b) const {
        if constexpr (std::is_floating_point_v<T>) {
            if (a == b) return std::signbit(a) && !std::signbit(b);
        }
        return a < b;
    }
};

}  // namespace detail

// ---- comparing

/// Same length and equal elements; nil equals empty.
/// Cost: O(len). Threads: nobody changes the elements meanwhile; so everywhere below.
template <class T, class G, class U, class H, class Equal>
[[nodiscard]] bool equal_func(const slice<T, G>& a, const slice<U, H>& b, Equal same) {
    if (a.len() != b.len()) return false;
    for (std::ptrdiff_t i = 0; i < a.len(); ++i)
        if (!same(a.begin()[i], b.begin()[i])) return false;
    return true;
}
template <class T, class G, class U, class H>
[[nodiscard]] bool equal(const slice<T, G>& a, const slice<U, H>& b) {
    return equal_func(a, b, std::equal_to<>());
}
template <class T, class G, class U, class H>
    requires std::same_as<std::remove_const_t<T>, std::remove_const_t<U>>
[[nodiscard]] bool operator==(const slice<T, G>& a, const slice<U, H>& b) {
    return equal(a, b);
}

/// The first difference decides; otherwise the shorter one is less.
/// Returns    -1, 0 or 1, or what the first comparison other than 0 returned.
template <class T, class G, class U, class H, class Compare>
[[nodiscard]] int compare_func(const slice<T, G>& a, const slice<U, H>& b, Compare order) {
    const std::ptrdiff_t n = std::min(a.len(), b.len());
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        if (const auto c = order(a.begin()[i], b.begin()[i]); c != 0) return c < 0 ? -1 : 1;
    }
    return a.len() < b.len() ? -1 : a.len() > b.len() ? 1 : 0;
}
template <class T, class G, class U, class H>
[[nodiscard]] int compare(const slice<T, G>& a, const slice<U, H>& b) {
    return compare_func(a, b, detail::go_compare());
}
template <std::three_way_comparable T, class G, class H>
[[nodiscard]] auto operator<=>(const slice<T, G>& a, const slice<T, H>& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

// ---- searching

/// The first element that `is` says yes to. Returns -1 when there is none.
template <class T, class G, class Predicate>
[[nodiscard]] std::ptrdiff_t index_func(const slice<T, G>& s, Predicate is) {
    for (std::ptrdiff_t i = 0; i < s.len(); ++i)
        if (is(s.begin()[i])) return i;
    return -1;
}
template <class T, class G, class Value>
[[nodiscard]] std::ptrdiff_t index(const slice<T, G>& s, const Value& value) {
    return index_func(s, [&](const T& element) { return element == value; });
}
template <class T, class G, class Predicate>
[[nodiscard]] bool contains_func(const slice<T, G>& s, Predicate is) {
    return index_func(s, is) >= 0;
}
template <class T, class G, class Value>
[[nodiscard]] bool contains(const slice<T, G>& s, const Value& value) {
    return index(s, value) >= 0;
}

/// The first of the least (greatest) elements.
/// Throws     bounds_error "slices.Min: empty list" / "slices.Max: empty list".
template <class T, class G, class Compare>
[[nodiscard]] T min_func(const slice<T, G>& s, Compare order) {
    if (s.empty()) throw bounds_error("slices.MinFunc: empty list");
    return *std::min_element(s.begin(), s.end(),
                             [&](const T& a, const T& b) { return order(a, b) < 0; });
}
template <class T, class G, class Compare>
[[nodiscard]] T max_func(const slice<T, G>& s, Compare order) {
    if (s.empty()) throw bounds_error("slices.MaxFunc: empty list");
    return *std::max_element(s.begin(), s.end(),
                             [&](const T& a, const T& b) { return order(a, b) < 0; });
}
template <class T, class G>
[[nodiscard]] T min(const slice<T, G>& s) {
    if (s.empty()) throw bounds_error("slices.Min: empty list");
    return *std::min_element(s.begin(), s.end(), [](const T& a, const T& b) {
        return (detail::is_nan(a) && !detail::is_nan(b)) ||  // NaN is the least
               detail::less_with_zeroes()(a, b);
    });
}
template <class T, class G>
[[nodiscard]] T max(const slice<T, G>& s) {
    if (s.empty()) throw bounds_error("slices.Max: empty list");
    return *std::max_element(s.begin(), s.end(), [](const T& a, const T& b) {
        return !detail::is_nan(a) &&
               (detail::is_nan(b) || detail::less_with_zeroes()(a, b));  // NaN is the greatest
    });
}

// ---- sorting

template <class T, class G, class Compare>
[[nodiscard]] bool is_sorted_func(const slice<T, G>& s, Compare order) {
    return std::is_sorted(s.begin(), s.end(),
                          [&](const T& a, const T& b) { return order(a, b) < 0; });
}
template <class T, class G>
[[nodiscard]] bool is_sorted(const slice<T, G>& s) {
    return std::is_sorted(s.begin(), s.end(), detail::go_less());
}

/// Ascending. Equal elements may change places. Cost: O(n log n).
template <class T, class G>
void sort(const slice<T, G>& s) {
    std::sort(s.begin(), s.end(), detail::go_less());
}
template <class T, class G, class Compare>
void sort_func(const slice<T, G>& s, Compare order) {
    std::sort(s.begin(), s.end(), [&](const T& a, const T& b) { return order(a, b) < 0; });
}
/// Equal elements keep their order. Cost: O(n log n), and a temporary array.
template <class T, class G, class Compare>
void sort_stable_func(const slice<T, G>& s, Compare order) {
    std::stable_sort(s.begin(), s.end(), [&](const T& a, const T& b) { return order(a, b) < 0; });
}

/// A new slice with the elements of a range, sorted.
template <std::ranges::input_range Range>
[[nodiscard]] slice<std::ranges::range_value_t<Range>> sorted(Range&& range) {
    slice<std::ranges::range_value_t<Range>> all;
    all.append_range(std::forward<Range>(range));
    sort(all);
    return all;
}
template <std::ranges::input_range Range, class Compare>
[[nodiscard]] slice<std::ranges::range_value_t<Range>> sorted_func(Range&& range, Compare order) {
    slice<std::ranges::range_value_t<Range>> all;
    all.append_range(std::forward<Range>(range));
    sort_func(all, order);
    return all;
}

/// Where `target` is in a sorted slice, or where it would have to be inserted.
/// Returns    the first position whose element is not less, and whether it is equal.
/// Cost       O(log n).
template <class T, class G, class Target, class Compare>
[[nodiscard]] std::pair<std::ptrdiff_t, bool> binary_search_func(const slice<T, G>& s,
                                                                 const Target& target,
                                                                 Compare order) {
    const auto at = std::partition_point(
        s.begin(), s.end(), [&](const T& element) { return order(element, target) < 0; });
    return {at - s.begin(), at != s.end() && order(*at, target) == 0};
}
template <class T, class G, class Target>
[[nodiscard]] std::pair<std::ptrdiff_t, bool> binary_search(const slice<T, G>& s,
                                                            const Target& target) {
    return binary_search_func(s, target, detail::go_compare());
}

// ---- hashing

/// Equal slices hash alike; the elements' own hashes are combined, or their bytes hashed
/// at once where equal elements have equal bytes.
template <class T, class Growth>
struct hash<slice<T, Growth>> {
    using is_avalanching = void;
    using element = std::remove_const_t<T>;

    [[nodiscard]] std::size_t operator()(const slice<T, Growth>& s,
                                         std::uint64_t seed = default_seed) const noexcept {
        if constexpr (std::has_unique_object_representations_v<element> &&
                      std::is_scalar_v<element>) {
            return hash_bytes(s.data(), s.size() * sizeof(element), seed);
        } else {
            std::uint64_t state = seed;
            for (const element& value : s) state = hash<element>()(value, state);
            return hash_integer(s.size(), state);
        }
    }
};

}  // namespace steady

template <class T, class Growth>
struct std::hash<steady::slice<T, Growth>> : steady::hash<steady::slice<T, Growth>> {};
