// functions.hpp - Go's `slices` package, first half: functions that make and change
// slices. Searching, comparing and sorting are in search.hpp.
//
//   Go                  here                        changes the array that s shares
//   copy                copy(to, from)              yes
//   clear               clear(s)                    yes
//   slices.Clip         clip(s)                     no
//   slices.Clone        clone(s)                    no, it is a new one
//   slices.Grow         grow(s, n)                  no
//   slices.Insert       insert(s, i, v...)          unless the capacity is too small
//   slices.Delete       remove(s, i, j)             yes; what falls free becomes zero
//   slices.DeleteFunc   remove_func(s, f)           yes; as above
//   slices.Replace      replace(s, i, j, v...)      unless the capacity is too small
//   slices.Compact      compact(s), compact_func    yes; as remove
//   slices.Concat       concat(s...)                no
//   slices.Repeat       repeat(s, n)                no
//   slices.Chunk        chunk(s, n)                 no
//   slices.Reverse      reverse(s)                  yes
//   slices.Collect      collect(range)              no
//   slices.AppendSeq    s.append_range(range)
//   slices.All, Values, Backward                    a slice is a range: begin(), rbegin()
//
// As in Go, what returns a slice wants it assigned: s = insert(s, 0, x). Write
// s = insert(std::move(s), 0, x) and the array is known to be sole: it may grow in place,
// and its elements are moved where Go copies.
//
// Indices out of range throw bounds_error with Go's words.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <ranges>

#include "steady/slice/slice.hpp"

namespace steady {

namespace detail {

// Elements that leave a slice's length become zero values, so that they keep nothing alive.
// Empty structs have no bytes; nothing is done to them.
template <class T>
void zero_elements(same_place_iterator<T>, same_place_iterator<T>) noexcept {}
template <class T>
void zero_elements(T* from, T* to) {
    if constexpr (is_plain<T> && zero_bytes_are_a_value<T>) {
        if (from == to) return;
        if (zeroed_memory_is_a_value<T>()) {
            std::memset(static_cast<void*>(from), 0,
                        static_cast<std::size_t>(to - from) * sizeof(T));
        } else {
            std::uninitialized_value_construct(from, to);
        }
    } else if constexpr (std::is_default_constructible_v<T>) {
        for (; from != to; ++from) *from = T();
    }
}

// Elements to be moved from, as a range. (Not a std::ranges::subrange: clang 14 does not
// compile those of libstdc++ 12.)
template <class T>
struct moving {
    T *from, *to;
    [[nodiscard]] std::move_iterator<T*> begin() const { return std::move_iterator(from); }
    [[nodiscard]] std::move_iterator<T*> end() const { return std::move_iterator(to); }
    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(to - from); }
};

}  // namespace detail

/// Copies elements, as many as the shorter slice has. The two may overlap.
///
/// Returns    how many.
/// Throws     what assigning throws; the elements before it are copied.
/// Threads    both arrays belong to the caller meanwhile; so everywhere below.
template <class T, class To, class U, class From>
    requires(!std::is_const_v<T> && std::same_as<T, std::remove_const_t<U>>)
std::ptrdiff_t copy(const slice<T, To>& to, const slice<U, From>& from) {
    const std::ptrdiff_t n = std::min(to.len(), from.len());
    if constexpr (!detail::is_zero_sized<T>) {
        if (std::less<const T*>()(from.data(), to.data())) {
            std::copy_backward(from.data(), from.data() + n, to.data() + n);
        } else {
            std::copy(from.data(), from.data() + n, to.data());
        }
    }
    return n;
}

/// Makes every element of the length zero.
template <class T, class G>
void clear(const slice<T, G>& s) {
    static_assert(detail::is_plain<T> || std::is_default_constructible_v<T>,
                  "steady::clear gives every element its zero value; give T a default constructor");
    detail::zero_elements(s.begin(), s.end());
}

/// s[:len:len]: the next append copies. Cost: none.
template <class T, class G>
[[nodiscard]] slice<T, G> clip(slice<T, G> s) noexcept {
    s.clip();
    return s;
}

/// A new array with the same elements; nil stays nil. The capacity is append's.
/// Throws     std::bad_alloc, what copying throws.
template <class T, class G>
[[nodiscard]] slice<std::remove_const_t<T>, G> clone(const slice<T, G>& s) {
    if (s.is_nil()) return {};
    auto copy = slice<std::remove_const_t<T>, G>::make(0, 0);
    copy.append(s);
    return copy;
}

/// Room for n more elements.
/// Throws     size_error "cannot be negative", and as append.
template <class T, class G>
[[nodiscard]] slice<T, G> grow(slice<T, G> s, std::ptrdiff_t n) {
    s.grow(n);
    return s;
}

/// The elements of a range, or its values, put in front of element i.
///
/// Cost       O(len + n): append, and a rotation.
/// Throws     bounds_error "slice bounds out of range [7:3]" when i > len, and as append.
template <class T, class G, std::ranges::input_range Range>
[[nodiscard]] slice<T, G> insert_range(slice<T, G> s, std::ptrdiff_t i, Range&& range) {
    const std::ptrdiff_t before = s.len();
    if (i < 0 || i > before) detail::throw_slice2(i, before, s.cap(), "capacity");
    s.append_range(std::forward<Range>(range));
    if constexpr (!detail::is_zero_sized<T>)
        std::rotate(s.data() + i, s.data() + before, s.data() + s.len());
    return s;
}
template <class T, class G, class... Values>
    requires(std::convertible_to<Values, T>&&...)
[[nodiscard]] slice<T, G> insert(slice<T, G> s, std::ptrdiff_t i, Values&&... values) {
    const std::ptrdiff_t before = s.len();
    if (i < 0 || i > before) detail::throw_slice2(i, before, s.cap(), "capacity");
    if constexpr (sizeof...(Values) > 0) s.append(static_cast<T>(std::forward<Values>(values))...);
    if constexpr (!detail::is_zero_sized<T>)
        std::rotate(s.data() + i, s.data() + before, s.data() + s.len());
    return s;
}

/// s[:i] and s[j:] joined. What falls free behind the new length becomes zero.
/// Cost       O(len - i).
/// Throws     bounds_error "slice bounds out of range [:9:3]" and relatives.
template <class T, class G>
[[nodiscard]] slice<T, G> remove(slice<T, G> s, std::ptrdiff_t i, std::ptrdiff_t j) {
    if (j < 0 || j > s.len() || i < 0 || i > j)
        detail::throw_slice3(i, j, s.len(), s.cap(), "capacity");
    if (i == j) return s;
    if constexpr (!detail::is_zero_sized<T>) {
        T* const tail = std::move(s.begin() + j, s.end(), s.begin() + i);
        detail::zero_elements(tail, s.end());
    }
    return std::move(s).upto(s.len() - (j - i));
}

/// Without the elements that `drop` says yes to.
template <class T, class G, class Predicate>
[[nodiscard]] slice<T, G> remove_func(slice<T, G> s, Predicate drop) {
    const auto tail = std::remove_if(s.begin(), s.end(), drop);
    detail::zero_elements(tail, s.end());
    const std::ptrdiff_t left = tail - s.begin();
    return std::move(s).upto(left);
}

namespace detail {

template <class T, class G>
void check_replace(const slice<T, G>& s, std::ptrdiff_t i, std::ptrdiff_t j) {
    if (j < 0 || j > s.cap() || i < 0 || i > j) throw_slice2(i, j, s.cap(), "capacity");
    if (j > s.len()) throw_slice2(j, s.len(), s.cap(), "capacity");
}

// `values` are in nobody else's hands, and are moved.
template <class T, class G>
slice<T, G> replace_with(slice<T, G> s, std::ptrdiff_t i, std::ptrdiff_t j, slice<T, G>&& values) {
    // One growth to the final length, so that an array that others see stays as it is.
    const std::ptrdiff_t total = s.len() - (j - i) + values.len();
    if (total > s.cap()) s.grow(total - s.len());
    return insert_range(remove(std::move(s), i, j), i,
                        moving<T>{values.data(), values.data() + values.len()});
}

}  // namespace detail

/// s[i:j] gives way to the elements of a range. What falls free becomes zero.
/// Cost       O(len + n).
/// Throws     bounds_error, and as append.
template <class T, class G, std::ranges::input_range Range>
[[nodiscard]] slice<T, G> replace_range(slice<T, G> s, std::ptrdiff_t i, std::ptrdiff_t j,
                                        Range&& range) {
    detail::check_replace(s, i, j);
    slice<T, G> values;  // the range may look into s
    values.append_range(std::forward<Range>(range));
    return detail::replace_with(std::move(s), i, j, std::move(values));
}
template <class T, class G, class... Values>
    requires(std::convertible_to<Values, T>&&...)
[[nodiscard]] slice<T, G> replace(slice<T, G> s, std::ptrdiff_t i, std::ptrdiff_t j,
                                  Values&&... values) {
    detail::check_replace(s, i, j);
    slice<T, G> all;
    if constexpr (sizeof...(Values) > 0)
        all.append(static_cast<T>(std::forward<Values>(values))...);
    return detail::replace_with(std::move(s), i, j, std::move(all));
}

/// Of equal neighbours, the first. What falls free becomes zero.
template <class T, class G, class Equal>
[[nodiscard]] slice<T, G> compact_func(slice<T, G> s, Equal equal) {
    const auto tail = std::unique(s.begin(), s.end(), equal);
    detail::zero_elements(tail, s.end());
    const std::ptrdiff_t left = tail - s.begin();
    return std::move(s).upto(left);
}
template <class T, class G>
[[nodiscard]] slice<T, G> compact(slice<T, G> s) {
    return compact_func(std::move(s), std::equal_to<T>());
}

/// One array with the elements of all. nil when there are none.
/// Throws     size_error "len out of range", std::bad_alloc.
template <class T, class G, class... More>
[[nodiscard]] slice<std::remove_const_t<T>, G> concat(const slice<T, G>& first,
                                                      const More&... more) {
    std::ptrdiff_t total = first.len();
    const bool overflow = (__builtin_add_overflow(total, more.len(), &total) || ...);
    if (overflow) detail::throw_size("len out of range");
    slice<std::remove_const_t<T>, G> all;
    all.grow(total);
    all.append(first);
    (all.append(more), ...);
    return all;
}

/// `count` times the elements, in an array that holds no more.
/// Cost       O(len * count), in copies that double; of no elements, nothing.
/// Throws     size_error "cannot be negative" /
///            "the result of (len(x) * count) overflows", and as make_slice.
template <class T, class G>
[[nodiscard]] slice<std::remove_const_t<T>, G> repeat(const slice<T, G>& s, std::ptrdiff_t count) {
    if (count < 0) detail::throw_size("cannot be negative");
    std::ptrdiff_t total = 0;
    if (__builtin_mul_overflow(s.len(), count, &total))
        detail::throw_size("the result of (len(x) * count) overflows");
    auto all = slice<std::remove_const_t<T>, G>::make(0, total);
    if (total == 0) return all;
    all.append(s);
    while (all.len() < total) all.append(all.upto(std::min(all.len(), total - all.len())));
    return all;
}

/// The last element first.
template <class T, class G>
void reverse(const slice<T, G>& s) {
    if constexpr (!detail::is_zero_sized<T>) std::reverse(s.begin(), s.end());
}

/// A new slice with the elements of a range.
template <std::ranges::input_range Range>
[[nodiscard]] slice<std::ranges::range_value_t<Range>> collect(Range&& range) {
    slice<std::ranges::range_value_t<Range>> all;
    all.append_range(std::forward<Range>(range));
    return all;
}

/// What chunk() returns: a range of slices.
template <class T, class G>
class chunks {
public:
    class iterator {
    public:
        using value_type = slice<T, G>;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        iterator(const slice<T, G>& all, std::ptrdiff_t n, std::ptrdiff_t at)
            : all_(&all), n_(n), at_(at) {}

        [[nodiscard]] slice<T, G> operator*() const {
            const std::ptrdiff_t end = at_ + std::min(n_, all_->len() - at_);
            return all_->sub(at_, end, end);
        }
        iterator& operator++() {
            at_ += std::min(n_, all_->len() - at_);
            return *this;
        }
        iterator operator++(int) {
            iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const iterator& a, const iterator& b) { return a.at_ == b.at_; }

    private:
        const slice<T, G>* all_ = nullptr;
        std::ptrdiff_t n_ = 0, at_ = 0;
    };

    chunks(slice<T, G> all, std::ptrdiff_t n) : all_(std::move(all)), n_(n) {}
    [[nodiscard]] iterator begin() const { return {all_, n_, 0}; }
    [[nodiscard]] iterator end() const { return {all_, n_, all_.len()}; }

private:
    slice<T, G> all_;
    std::ptrdiff_t n_;
};

/// Consecutive views of up to n elements, without room behind them: appending to one
/// does not reach into the next.
/// Throws     size_error "cannot be less than 1".
template <class T, class G>
[[nodiscard]] chunks<T, G> chunk(slice<T, G> s, std::ptrdiff_t n) {
    if (n < 1) detail::throw_size("cannot be less than 1");
    return {std::move(s), n};
}

}  // namespace steady
