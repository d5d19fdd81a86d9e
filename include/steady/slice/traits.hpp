// traits.hpp - what a slice wants to know about its elements.
//
//   plain        bytes that may be copied with memcpy and need no destructor: Go's rules
//                hold to the letter, with zeroed arrays and in-place growth
//   managed      everything else: constructed, copied, moved and destroyed one by one
//   zero-sized   an empty struct, Go's struct{}: no memory at all
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>

#include "steady/core/relocatable.hpp"
#include "steady/heap/allocator.hpp"  // holds_no_pointers

namespace steady {

namespace detail {

/// Go's zero value of T is what zero bytes mean to it.
template <class T>
inline constexpr bool zero_bytes_are_a_value =
    std::is_trivially_default_constructible_v<T> && !std::is_member_pointer_v<T>;

/// The same, asked of an object: a struct may have a pointer to a data member inside, which
/// is null as -1, and no trait can see that. Cost: up to one pass over a T; usually none,
/// for the compiler knows the answer.
template <class T>
[[nodiscard]] inline bool zeroed_memory_is_a_value() noexcept {
    if constexpr (!zero_bytes_are_a_value<T>) {
        return false;
    } else if constexpr (!std::is_class_v<T> && !std::is_union_v<T>) {
        return true;
    } else {
        static T sample;  // never written
        const auto* bytes = reinterpret_cast<const unsigned char*>(std::addressof(sample));
        for (std::size_t i = 0; i < sizeof(T); ++i)
            if (bytes[i] != 0) return false;
        return true;
    }
}

template <class T>
inline constexpr bool is_zero_sized = std::is_empty_v<T>&& std::is_trivially_copyable_v<T>&&
    std::is_trivially_default_constructible_v<T>;

template <class T>
inline constexpr bool is_plain = std::is_trivially_copyable_v<T> &&
                                 (std::is_nothrow_default_constructible_v<T> ||
                                  !std::is_default_constructible_v<T>);

}  // namespace detail

}  // namespace steady
