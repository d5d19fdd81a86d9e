// slice.hpp - Go's slice: a view of 24 bytes into an array that it shares and keeps alive.
//
//   slice<int> s{1, 2, 3};           s.data ----+
//   auto t = s.sub(1, 3);            t.data ----|-----+
//   s.append(4);                                v     v
//                                    array    | 1 | 2 | 3 |      one object of the heap,
//                                    counter: 2                  found from any address in it
//
//        0        8        16       24
//        | data   | len    | cap    |      as in Go; nothing else: no control block
//
// Terms   length: elements the view shows.  capacity: elements from data to the end of
//         what the view may use.  nil: data is a null pointer.  empty: length 0, with or
//         without an array.  foreign: memory that no slice made (slice_of); not counted.
//
// What is Go's                           what C++ adds
//   slicing shares, append may            elements with constructors and destructors
//   overwrite what others see             arrays are freed with their last slice, at once
//   capacities, growth, panics            append to a sole array moves or grows in place
//   nil, empty, zerobase                  iterators, span, ==, <=>, hash
//
// Constness is the view's, not the elements': a const slice does not change its length,
// slice<const T> does not change its elements.
//
// Invariants
//   SL1  0 <= len <= cap; cap > 0 means that data points to cap elements of one array.
//   SL2  Each slice with a counted array has one count of it (array.hpp, AR1).
//
// Threads   different slices of one array may be copied and dropped in different threads.
//           One slice, and the elements, are for one thread at a time.
// Not for   arrays that must never move (append may), or memory that a view must not keep
//           alive: take a std::span there.
// More      docs/design/slice.md; growth.hpp for capacities, functions.hpp for Go's
//           `slices` package.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

#include "steady/core/memory_parts.hpp"
#include "steady/slice/detail/elements.hpp"
#include "steady/slice/detail/same_place.hpp"
#include "steady/slice/errors.hpp"
#include "steady/slice/growth.hpp"
#include "steady/slice/traits.hpp"
#include "steady/slice/watch.hpp"

namespace steady {

template <class T, growth::policy Growth = growth::go>
class slice {
    using element = std::remove_const_t<T>;

public:
    using value_type = element;
    using element_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;
    // Contiguous. Not so for empty structs: all of them are in one place, so begin() returns
    // a class that walks on the spot. (An alias cannot ask: T may be incomplete here.)
    using iterator = T*;
    using const_iterator = const T*;
    using reverse_iterator = std::reverse_iterator<T*>;
    using growth_policy = Growth;

    // ---- making and copying

    /// nil: no array, length 0.
    constexpr slice() noexcept = default;
    constexpr slice(std::nullptr_t) noexcept {}

    /// A new array of exactly these elements; Go's []T{...}.
    slice(std::initializer_list<element> elements);

    /// One more view of the same array.
    /// Cost     a search of two dependent loads and a locked add; in a process of one thread an
    ///          add in the slot of the address.
    slice(const slice& other) noexcept
        : data_(detail::shared(other.data_)), len_(other.len_), cap_(other.cap_) {}
    /// Takes the view over; `other` is nil afterwards. Cost: three moves, no counting.
    slice(slice&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          len_(std::exchange(other.len_, 0)),
          cap_(std::exchange(other.cap_, 0)) {}
    /// A view that does not change elements, of one that may.
    slice(const slice<element, Growth>& other) noexcept requires std::is_const_v<T>
        : data_(detail::shared(other.data())), len_(other.len()), cap_(other.cap()) {}
    slice& operator=(const slice& other) noexcept {
        slice(other).swap(*this);
        return *this;
    }
    slice& operator=(slice&& other) noexcept {
        slice(std::move(other)).swap(*this);
        return *this;
    }
    /// The array goes with its last view. Cost: as copying; then one call per element
    /// that has a destructor, and a free.
    ~slice() {
        static_assert(layout_is_gos());
        static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_volatile_v<T>,
                      "steady::slice<T> holds objects: T is a reference, an array or volatile");
        static_assert(std::is_nothrow_destructible_v<T>,
                      "steady::slice<T> destroys elements when their last view goes; give T a "
                      "destructor that does not throw");
        static_assert(detail::is_plain<element> || std::movable<element>,
                      "steady::slice<T> moves elements while growing and overwrites them in shared "
                      "arrays; give T a move constructor and a move assignment");
        detail::release(data_, [this] { return view_bytes(); });
    }
    void swap(slice& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(len_, other.len_);
        std::swap(cap_, other.cap_);
    }
    friend void swap(slice& a, slice& b) noexcept { a.swap(b); }

    // ---- looking

    [[nodiscard]] constexpr T* data() const noexcept { return data_; }
    [[nodiscard]] constexpr std::ptrdiff_t len() const noexcept { return len_; }
    [[nodiscard]] constexpr std::ptrdiff_t cap() const noexcept { return cap_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept {
        return static_cast<std::size_t>(len_);
    }
    [[nodiscard]] constexpr std::size_t capacity() const noexcept {
        return static_cast<std::size_t>(cap_);
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return len_ == 0; }
    /// s == nil in Go: make_slice<T>(0) and s.sub(0, 0) are empty, but not nil.
    [[nodiscard]] constexpr bool is_nil() const noexcept { return data_ == nullptr; }
    friend constexpr bool operator==(const slice& s, std::nullptr_t) noexcept { return s.is_nil(); }

    /// The element i. data()[i] and iterators do not check. (Of empty structs there is
    /// data()[0] only.)
    /// Throws   bounds_error "index out of range [5] with length 3".
    [[nodiscard]] T& operator[](std::ptrdiff_t i) const {
        if (static_cast<std::size_t>(i) >= size()) [[unlikely]]
            detail::throw_index(i, len_);
        return *at_place(i);
    }
    [[nodiscard]] T& front() const { return (*this)[0]; }
    [[nodiscard]] T& back() const { return (*this)[len_ - 1]; }

    [[nodiscard]] constexpr auto begin() const noexcept { return iterator_at(0); }
    [[nodiscard]] constexpr auto end() const noexcept { return iterator_at(len_); }
    [[nodiscard]] auto rbegin() const noexcept { return std::make_reverse_iterator(end()); }
    [[nodiscard]] auto rend() const noexcept { return std::make_reverse_iterator(begin()); }

    /// The length as part of the type; Go's conversion to an array pointer. Not for empty
    /// structs: N of them are N bytes in C++, and no array has these.
    /// Throws   bounds_error when there are fewer than N elements.
    template <std::size_t N>
        requires(!detail::is_zero_sized<std::remove_const_t<T>>)
    [[nodiscard]] std::span<T, N> first() const;

    /// Bytes that this view keeps alive: its whole array, in the heap's size; 0 for nil,
    /// empty without an array, and foreign memory. Cost: a few loads.
    [[nodiscard]] std::size_t retained() const noexcept { return detail::retained_bytes(data_); }

    /// Those bytes by part: the view's room is the array, what lies before it in its array
    /// is spare, what lies behind it and no element fits into is rounding.
    /// Cost     O(1).
    [[nodiscard]] memory_parts memory() const noexcept {
        memory_parts m;
        const object_info object = retained() == 0 ? object_info{} : find_object(data_);
        if (!object) return m;
        m.array = bytes{static_cast<std::size_t>(cap_) * sizeof(T)};
        m.spare = bytes{static_cast<std::size_t>(reinterpret_cast<const char*>(data_) -
                                                 static_cast<const char*>(object.base))};
        m.rounding = bytes{object.size} - m.array - m.spare;
        m.payload = bytes{static_cast<std::size_t>(len_) * sizeof(T)};
        m.vacant = m.array - m.payload + m.spare;
        return m;
    }

    // ---- slicing: shares the array, copies nothing

    /// s[lo:hi]. hi may lie behind the length, up to the capacity. Elements there are
    /// what append has left, or zero; types with constructors are made now.
    /// Cost     as copying a slice.
    /// Throws   bounds_error in Go's words: "slice bounds out of range [:9] with capacity 4".
    [[nodiscard]] slice sub(std::ptrdiff_t lo, std::ptrdiff_t hi) const& {
        return slice(*this).cut(lo, hi);
    }
    [[nodiscard]] slice sub(std::ptrdiff_t lo, std::ptrdiff_t hi) && {
        return std::move(*this).cut(lo, hi);
    }
    /// s[lo:hi:max]: the new view's capacity is max - lo, so append leaves the rest alone.
    [[nodiscard]] slice sub(std::ptrdiff_t lo, std::ptrdiff_t hi, std::ptrdiff_t max) const& {
        return slice(*this).cut(lo, hi, max);
    }
    [[nodiscard]] slice sub(std::ptrdiff_t lo, std::ptrdiff_t hi, std::ptrdiff_t max) && {
        return std::move(*this).cut(lo, hi, max);
    }
    /// s[lo:]
    [[nodiscard]] slice from(std::ptrdiff_t lo) const& { return slice(*this).cut(lo, len_); }
    [[nodiscard]] slice from(std::ptrdiff_t lo) && { return std::move(*this).cut(lo, len_); }
    /// s[:hi]
    [[nodiscard]] slice upto(std::ptrdiff_t hi) const& { return slice(*this).cut(0, hi); }
    [[nodiscard]] slice upto(std::ptrdiff_t hi) && { return std::move(*this).cut(0, hi); }

    // ---- append: s = append(s, ...)
    //
    // Within the capacity the element behind the length is overwritten, whoever else may
    // see it. Beyond it the view moves to a larger array (growth.hpp), and others keep
    // the old one; a view that is alone moves its elements, and from 32 KiB on tries to
    // grow where it is: nothing is copied beyond 1 MiB.
    //
    // Throws    size_error "growslice: cap out of range", std::bad_alloc, sharing_error,
    //           what T's constructors throw. The view is then as before, and so is a single
    //           element that was to be moved in, if T's move assignment does not throw.
    //           Several values at once, and other arguments, may have been moved from; and
    //           what other views show behind this one's length may be overwritten in part.
    // Iterators of this view are invalid when the capacity has changed.

    /// Cost     amortised O(1): a compare, two stores.
    slice& append(const element& value) requires(!std::is_const_v<T>) {
        emplace_back(value);
        return *this;
    }
    slice& append(element&& value) requires(!std::is_const_v<T>) {
        emplace_back(std::move(value));
        return *this;
    }
    /// Several at once: grows once.
    template <class... More>
        requires(!std::is_const_v<T> && sizeof...(More) > 0 &&
                 (std::convertible_to<More, element> && ...))
    slice& append(element first, More&&... more);
    /// All elements of another slice, which may be a part of this one.
    template <class U, class Other>
        requires(!std::is_const_v<T> &&
                 std::same_as<std::remove_const_t<U>, std::remove_const_t<T>>)
    slice& append(const slice<U, Other>& other) {
        return append_elements(other.data(), other.len());
    }
    /// Any range. One that is not contiguous memory must not look into this slice.
    template <std::ranges::input_range Range>
        requires(
            !std::is_const_v<T> &&
            std::constructible_from<std::remove_const_t<T>, std::ranges::range_reference_t<Range>>)
    slice& append_range(Range&& range);
    /// n zero values: append(s, make([]T, n)...) in Go.
    slice& extend(std::ptrdiff_t n) requires(!std::is_const_v<T>);

    /// Makes the element from these arguments. They may refer into this slice.
    template <class... Args>
    T& emplace_back(Args&&... args) requires(!std::is_const_v<T>);
    void push_back(const element& value) requires(!std::is_const_v<T>) { emplace_back(value); }
    void push_back(element&& value) requires(!std::is_const_v<T>) {
        emplace_back(std::move(value));
    }

    /// Room for n more elements without another growth; Go's slices.Grow.
    /// Throws   size_error "cannot be negative".
    slice& grow(std::ptrdiff_t n) requires(!std::is_const_v<T>);
    /// s[:len:len]: the next append copies. Cost: none.
    slice& clip() noexcept {
        cap_ = len_;
        return *this;
    }

    // ---- for room functions.hpp

    /// A view of memory that may be foreign; shares it when it is a slice's array. Without
    /// a capacity it looks at no memory, but at the zerobase (AR2): `data` may be one past
    /// the end of something, where another object lies, or will.
    [[nodiscard]] static slice view(T* data, std::ptrdiff_t len, std::ptrdiff_t cap) noexcept {
        if (cap == 0) return slice(data == nullptr ? nullptr : no_memory(), 0, 0);
        detail::share(data);
        return slice(data, len, cap);
    }
    /// make([]T, len, cap). Throws: as make_slice.
    [[nodiscard]] static slice make(std::ptrdiff_t len, std::ptrdiff_t cap);

private:
    slice(T* data, std::ptrdiff_t len, std::ptrdiff_t cap) noexcept
        : data_(data), len_(len), cap_(cap) {}

    static constexpr bool layout_is_gos() {
        static_assert(offsetof(slice, data_) == 0 && offsetof(slice, len_) == 8 &&
                          offsetof(slice, cap_) == 16 && sizeof(slice) == 24,
                      "Go's slice header: pointer, length, capacity");
        return true;
    }
    // Evaluated in bodies only: T may be incomplete where a slice of it is declared.
    static constexpr bool plain() { return detail::is_plain<element>; }
    static constexpr std::size_t stride() {
        return detail::is_zero_sized<element> ? 0 : sizeof(element);
    }
    static constexpr detail::element_layout layout() {
        return {stride(), alignof(element), holds_no_pointers<element>};
    }
    static T* no_memory() noexcept { return reinterpret_cast<T*>(&detail::zerobase); }

    [[nodiscard]] constexpr auto iterator_at(std::ptrdiff_t i) const noexcept {
        if constexpr (detail::is_zero_sized<element>)
            return detail::same_place_iterator<T>(data_, i);
        else
            return data_ + i;
    }
    [[nodiscard]] T* at_place(std::ptrdiff_t i) const noexcept {
        if constexpr (detail::is_zero_sized<element>) return data_;
        return data_ + i;
    }
    [[nodiscard]] std::size_t view_bytes() const noexcept {
        return static_cast<std::size_t>(len_) * sizeof(T);
    }

    slice cut(std::ptrdiff_t lo, std::ptrdiff_t hi) &&;
    slice cut(std::ptrdiff_t lo, std::ptrdiff_t hi, std::ptrdiff_t max) &&;
    void settle(std::ptrdiff_t lo, std::ptrdiff_t hi, std::ptrdiff_t max);
    // A new array for `cap` elements, of which `zero_from` and more are zero if plain.
    static slice with_room(std::ptrdiff_t cap, std::ptrdiff_t zero_from);
    // Room for `needed` elements, of which the first `carried` come along; plain ones are
    // zero from `filled` on.
    [[gnu::noinline]] void grow_to(std::ptrdiff_t needed, std::ptrdiff_t carried,
                                   std::ptrdiff_t filled);
    void grow_by(std::ptrdiff_t n) {
        const std::ptrdiff_t needed = plus(n);
        grow_to(needed, len_, needed);
    }
    [[nodiscard]] std::ptrdiff_t plus(std::ptrdiff_t n) const noexcept {
        // Wraps to a negative number, which capacity() refuses.
        return static_cast<std::ptrdiff_t>(size() + static_cast<std::size_t>(n));
    }
    slice& append_elements(const element* from, std::ptrdiff_t n);
    // What a failed append had moved away from its argument, back into it.
    template <class... Args>
    static void give_back([[maybe_unused]] element& value, Args&&... args) noexcept {
        if constexpr ((std::same_as<Args&&, element&&> && ...) && sizeof...(Args) == 1 &&
                      std::is_nothrow_move_assignable_v<element>) {
            ((args = std::move(value)), ...);
        }
    }
    static void give_values(element* from, element* to) noexcept;

    T* data_ = nullptr;
    std::ptrdiff_t len_ = 0;
    std::ptrdiff_t cap_ = 0;
};

template <class T>
slice(std::initializer_list<T>) -> slice<T>;

// ---- making

/// make([]T, len): `len` zero values. Go zeroes the array up to its capacity; a T with
/// constructors is made when a length first reaches it.
///
/// Returns    a slice that points to the zerobase when there is nothing to allocate.
/// Cost       one allocation, and the zeroing unless the pages are fresh.
/// Throws     size_error "makeslice: len out of range" / "makeslice: cap out of range",
///            std::bad_alloc, what T() throws.
/// Threads    any.
template <class T, growth::policy Growth = growth::go>
    requires std::default_initializable<T>
[[nodiscard]] slice<T, Growth> make_slice(std::ptrdiff_t len) {
    return slice<T, Growth>::make(len, len);
}
/// make([]T, len, cap)
template <class T, growth::policy Growth = growth::go>
    requires std::default_initializable<T>
[[nodiscard]] slice<T, Growth> make_slice(std::ptrdiff_t len, std::ptrdiff_t cap) {
    return slice<T, Growth>::make(len, cap);
}

/// A view of memory that somebody else owns, and that must outlive the view. Memory of a
/// slice's array is shared and kept alive instead, whatever the type of the view.
/// Cost: as copying a slice. Threads: any.
template <class T>
[[nodiscard]] slice<T> slice_of(T* data, std::size_t n) noexcept {
    return slice<T>::view(data, static_cast<std::ptrdiff_t>(n), static_cast<std::ptrdiff_t>(n));
}
template <class T, std::size_t N>
[[nodiscard]] slice<T> slice_of(T (&array)[N]) noexcept {
    return slice_of(array, N);
}
template <std::ranges::contiguous_range Range>
    requires std::ranges::sized_range<Range> && std::is_lvalue_reference_v<Range>
[[nodiscard]] auto slice_of(Range&& range) noexcept {
    return slice_of(std::ranges::data(range), std::ranges::size(range));
}
/// array[lo:hi], where Go's messages speak of the array's length.
/// Throws: bounds_error.
template <class T, std::size_t N>
[[nodiscard]] slice<T> slice_of(T (&array)[N], std::ptrdiff_t lo, std::ptrdiff_t hi) {
    constexpr auto n = static_cast<std::ptrdiff_t>(N);
    if (hi < 0 || hi > n || lo < 0 || lo > hi) detail::throw_slice2(lo, hi, n, "length");
    return slice_of(array).sub(lo, hi);
}
/// array[lo:hi:max]
template <class T, std::size_t N>
[[nodiscard]] slice<T> slice_of(T (&array)[N], std::ptrdiff_t lo, std::ptrdiff_t hi,
                                std::ptrdiff_t max) {
    constexpr auto n = static_cast<std::ptrdiff_t>(N);
    if (max < 0 || max > n || hi < 0 || hi > max || lo < 0 || lo > hi)
        detail::throw_slice3(lo, hi, max, n, "length");
    return slice_of(array).sub(lo, hi, max);
}

// ---- append as Go writes it

/// t = append(s, ...): a new view; `s` still shows what it showed. s.append(...) is
/// s = append(s, ...) without counting. Throws: as the member.
template <class T, class Growth, class... Values>
    requires(sizeof...(Values) > 0)
[[nodiscard]] slice<T, Growth> append(const slice<T, Growth>& s, Values&&... values) {
    slice<T, Growth> grown = s;
    grown.append(std::forward<Values>(values)...);
    return grown;
}
template <class T, class Growth, class... Values>
    requires(sizeof...(Values) > 0)
[[nodiscard]] slice<T, Growth> append(slice<T, Growth>&& s, Values&&... values) {
    s.append(std::forward<Values>(values)...);
    return std::move(s);
}

}  // namespace steady

#include "steady/slice/detail/bodies.hpp"
