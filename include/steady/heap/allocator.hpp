// allocator.hpp - the default heap as a standard allocator.
//
//   std::vector<int, steady::allocator<int>> v;
//
// Unlike malloc it knows the alignment of what it allocates: types aligned to 8
// use the 8- and 24-byte classes that malloc must not give them, so a node of 24
// bytes takes 24. And it knows whether T can hold pointers.
#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

#include "steady/heap/heap.hpp"

namespace steady {

/// Types that cannot hold a pointer. Specialise it for your own plain structs.
template <class T>
inline constexpr bool holds_no_pointers = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// Throws   std::bad_array_new_length for n that overflows, std::bad_alloc.
/// Threads  any. All instances are equal.
template <class T>
class allocator {
public:
    using value_type = T;
    using is_always_equal = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;

    constexpr allocator() noexcept = default;
    template <class U>
    constexpr allocator(const allocator<U>&) noexcept {}

    [[nodiscard]] T* allocate(std::size_t n) {
        if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
            throw std::bad_array_new_length();
        void* p = steady::allocate(
            n * sizeof(T), alignof(T),
            holds_no_pointers<T> ? contents::no_pointers : contents::may_hold_pointers);
        if (p == nullptr) throw std::bad_alloc();
        return static_cast<T*>(p);
    }
    void deallocate(T* p, std::size_t) noexcept { steady::deallocate(p); }

    template <class U>
    friend constexpr bool operator==(const allocator&, const allocator<U>&) noexcept {
        return true;
    }
};

}  // namespace steady
