// in_pages.hpp - objects in pages of their own, straight from os: what the debug server
// keeps is no part of the heap it tells about.
#pragma once

#include <cstddef>
#include <new>

#include "steady/core/units.hpp"
#include "steady/os/memory.hpp"

namespace steady::web {

template <class T>
inline constexpr std::size_t pages_of = round_up(sizeof(T), std::size_t{64} << 10);

/// Returns    nullptr when the system has no pages.
template <class T>
[[nodiscard]] T* make_in_pages() noexcept {
    const result<std::byte*> pages = os::map_plain(bytes{pages_of<T>});
    return pages ? new (*pages) T : nullptr;
}

template <class T>
void drop_in_pages(T* object) noexcept {
    if (object == nullptr) return;
    object->~T();
    static_cast<void>(os::unmap_plain(object, bytes{pages_of<T>}));
}

}  // namespace steady::web
