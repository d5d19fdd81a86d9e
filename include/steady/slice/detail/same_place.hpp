// same_place.hpp - the iterator of slices of empty structs.
//
//   slice<E>  len 2^50        0   1   2   ...   2^50 - 1
//                             |   |   |             |
//                             +---+---+------+------+
//                                            v
//                                       the zerobase
//
// Go's struct{} takes no memory, however many there are; in C++ an E in memory has a byte,
// and what knows that it has a pointer copies bytes. So these iterators are random access
// and not contiguous: std::copy and friends go element by element, and std::span refuses.
#pragma once

#include <compare>
#include <cstddef>
#include <iterator>
#include <type_traits>

namespace steady::detail {

template <class T>
class same_place_iterator {
public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = std::remove_const_t<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;

    constexpr same_place_iterator() noexcept = default;
    constexpr same_place_iterator(T* place, std::ptrdiff_t i) noexcept : place_(place), i_(i) {}

    [[nodiscard]] constexpr T& operator*() const noexcept { return *place_; }
    [[nodiscard]] constexpr T* operator->() const noexcept { return place_; }
    [[nodiscard]] constexpr T& operator[](std::ptrdiff_t) const noexcept { return *place_; }

    constexpr same_place_iterator& operator+=(std::ptrdiff_t n) noexcept {
        i_ += n;
        return *this;
    }
    constexpr same_place_iterator& operator-=(std::ptrdiff_t n) noexcept { return *this += -n; }
    constexpr same_place_iterator& operator++() noexcept { return *this += 1; }
    constexpr same_place_iterator& operator--() noexcept { return *this += -1; }
    constexpr same_place_iterator operator++(int) noexcept {
        const same_place_iterator before = *this;
        ++*this;
        return before;
    }
    constexpr same_place_iterator operator--(int) noexcept {
        const same_place_iterator before = *this;
        --*this;
        return before;
    }
    friend constexpr same_place_iterator operator+(same_place_iterator at,
                                                   std::ptrdiff_t n) noexcept {
        return at += n;
    }
    friend constexpr same_place_iterator operator+(std::ptrdiff_t n,
                                                   same_place_iterator at) noexcept {
        return at += n;
    }
    friend constexpr same_place_iterator operator-(same_place_iterator at,
                                                   std::ptrdiff_t n) noexcept {
        return at -= n;
    }
    friend constexpr std::ptrdiff_t operator-(const same_place_iterator& a,
                                              const same_place_iterator& b) noexcept {
        return a.i_ - b.i_;
    }
    friend constexpr bool operator==(const same_place_iterator& a,
                                     const same_place_iterator& b) noexcept {
        return a.i_ == b.i_;
    }
    friend constexpr std::strong_ordering operator<=>(const same_place_iterator& a,
                                                      const same_place_iterator& b) noexcept {
        return a.i_ <=> b.i_;
    }

private:
    T* place_ = nullptr;
    std::ptrdiff_t i_ = 0;
};

}  // namespace steady::detail
