// in_pages.hpp - pages straight from os for what the debug server keeps: it is no part of
// the heap it tells about.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "steady/core/units.hpp"
#include "steady/os/memory.hpp"

namespace steady::web {

/// Sizes are multiples of this: an OS page, where those are largest.
inline constexpr std::size_t page_step = std::size_t{64} << 10;

// The kernel gives pages to a thread after it took them from another one. It says so to
// nobody; this says it to the thread sanitizer, which would see a race otherwise.
inline constinit std::atomic<std::uint32_t> pages_given_back{0};

/// Returns    nullptr when the system has no pages.
[[nodiscard]] inline void* take_pages(std::size_t size) noexcept {
    const result<std::byte*> pages = os::map_plain(bytes{size}, "steady debug server");
    // acquire; pairs with the release in give_pages_back.
    static_cast<void>(pages_given_back.load(std::memory_order_acquire));
    return pages ? *pages : nullptr;
}

inline void give_pages_back(void* pages, std::size_t size) noexcept {
    pages_given_back.fetch_add(1, std::memory_order_release);
    static_cast<void>(os::unmap_plain(pages, bytes{size}));
}

template <class T>
inline constexpr std::size_t pages_of = round_up(sizeof(T), page_step);

/// Returns    nullptr when the system has no pages.
template <class T>
[[nodiscard]] T* make_in_pages() noexcept {
    void* const pages = take_pages(pages_of<T>);
    return pages != nullptr ? new (pages) T : nullptr;
}

template <class T>
void drop_in_pages(T* object) noexcept {
    if (object == nullptr) return;
    object->~T();
    give_pages_back(object, pages_of<T>);
}

}  // namespace steady::web
