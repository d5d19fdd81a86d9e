// memory.hpp - objects of the map, from the steady heap, in Go's sizes.
//
// Each object is asked for by Go's size class and by whether a collector would
// have to look into it, as mallocgc does, so that the heap's own counters say what
// Go's would. Everything comes zeroed. Large arrays come from fresh pages that
// nobody touches before the first entry arrives there.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>

#include "steady/go/detail/header.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/os/memory.hpp"

namespace steady::go::internal {

// Huge pages. All of a new array will be touched, and soon: a growth fills it in random
// order. In small pages that is 512 faults for each 2 MiB, of about 8 us; as a huge page one, of
// 0.3 to 2.6 ms. So an array asks for huge pages when it is made. But the write that starts a
// growth touches up to five places of the new array. Where a start is promised to be short,
// in the largest arrays, a growth begins with small pages and asks for huge ones when it
// has got under way. Not so in smaller ones: every place touched before keeps the 2 MiB
// around it in small pages, and some 50 places would be all of them.
inline constexpr std::size_t huge_pages_from = std::size_t{2} << 20;
inline constexpr std::size_t small_start_from = std::size_t{64} << 20;
inline constexpr std::size_t huge_pages_after = 24;  // old buckets moved

/// The heap's span class for an object of 1..32768 bytes aligned to 8.
[[nodiscard]] constexpr steady::detail::span_class span_class_of(std::size_t size,
                                                                 bool pointers) noexcept {
    const unsigned c =
        size <= 1024 ? size_to_class8[(size + 7) / 8] : size_to_class128[(size - 1024 + 127) / 128];
    return static_cast<steady::detail::span_class>(c * 2 + (pointers ? 0 : 1));
}

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_out_of_memory() {
    throw std::bad_alloc();
}

/// A zeroed object of `size` > 0 bytes. `fresh` is set when its pages were zero already.
/// Throws std::bad_alloc.
[[nodiscard]] inline void* allocate_object(std::size_t size, bool pointers) {
    void* p;
    bool zeroed = false;
    if (size <= max_small_size) {
        p = steady::detail::allocate_class(span_class_of(size, pointers), size);
    } else {
        p = steady::detail::allocate_large(size, 8, !pointers, &zeroed);
    }
    if (p == nullptr) [[unlikely]]
        throw_out_of_memory();
    if (!zeroed) std::memset(p, 0, size);
    return p;
}

inline void free_object(void* p) noexcept {
    steady::detail::deallocate(p);
}

}  // namespace steady::go::internal
