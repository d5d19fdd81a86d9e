// relocatable.hpp - which types may be moved by copying their bytes: what lets slices grow
// in place and maps split by memcpy.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace steady {

/// Whether moving a T and forgetting the old one is the same as copying its bytes. True for
/// what is trivially copyable; a type that owns memory and holds no pointer into itself may
/// say so:
///
///   template <> inline constexpr bool steady::is_trivially_relocatable<my::handle> = true;
template <class T>
inline constexpr bool is_trivially_relocatable = std::is_trivially_copyable_v<T>;
template <class T, class Delete>
    requires std::is_empty_v<Delete>
inline constexpr bool is_trivially_relocatable<std::unique_ptr<T, Delete>> = true;
template <class T>
inline constexpr bool is_trivially_relocatable<std::shared_ptr<T>> = true;
template <class A, class B>
inline constexpr bool is_trivially_relocatable<std::pair<A, B>> =
    is_trivially_relocatable<std::remove_const_t<A>>&&
        is_trivially_relocatable<std::remove_const_t<B>>;

}  // namespace steady
