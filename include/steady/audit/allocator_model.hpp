// allocator_model.hpp - what a block really takes, by who hands it out.
//
//   steady_heap     steady::allocator, go::map, slice: size classes up to 32 KiB, chosen
//                   with the alignment; whole pages of 8 KiB above
//   steady_malloc   malloc and new on libsteady_malloc.so: the same, but any 9 bytes or
//                   more are aligned to 16, so 24 takes 32
//   glibc           malloc and new of the C library: 8 bytes before each block, multiples
//                   of 16, at least 32; from 128 KiB on a mapping of its own, in pages of
//                   4 KiB (the threshold moves up when such blocks are freed)
//   none            the requests themselves
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "steady/core/units.hpp"
#include "steady/heap/size_classes.gen.hpp"
#include "steady/slice/growth.hpp"

namespace steady::audit {

enum class allocator_model : std::uint8_t { steady_heap, steady_malloc, glibc, none };

[[nodiscard]] constexpr const char* name_of(allocator_model m) noexcept {
    switch (m) {
        case allocator_model::steady_heap: return "steady heap";
        case allocator_model::steady_malloc: return "steady malloc";
        case allocator_model::glibc: return "glibc malloc";
        case allocator_model::none: return "requests only";
    }
    return "";
}

/// Bytes that a request of `size` > 0 bytes aligned to `alignment` occupies.
[[nodiscard]] constexpr std::size_t occupied(allocator_model m, std::size_t size,
                                             std::size_t alignment = 8) noexcept {
    switch (m) {
        case allocator_model::none: return size;
        case allocator_model::steady_malloc:
            if (size > 8 && alignment < 16) alignment = 16;
            return growth::round_up_size(size, alignment);
        case allocator_model::steady_heap: return growth::round_up_size(size, alignment);
        case allocator_model::glibc: break;
    }
    constexpr std::size_t word = 8, least = 32, mapped_from = std::size_t{128} << 10;
    if (size >= mapped_from) return round_up(size + 2 * word, 4096);
    const std::size_t chunk = round_up(size + word, 16);
    return chunk < least ? least : chunk;
}

/// The share that an object has in the bytes its span loses at its end.
[[nodiscard]] constexpr double span_tail_of(std::size_t occupied_bytes) noexcept {
    if (occupied_bytes == 0 || occupied_bytes > max_small_size) return 0;
    const unsigned c = occupied_bytes <= 1024
                           ? size_to_class8[(occupied_bytes + 7) / 8]
                           : size_to_class128[(occupied_bytes - 1024 + 127) / 128];
    const std::size_t span = class_pages[c] * page_size.count(), size = class_size[c];
    const std::size_t objects = span / size;
    return static_cast<double>(span - objects * size) / static_cast<double>(objects);
}

/// Adds up blocks as the allocator would.
struct block_sum {
    allocator_model model = allocator_model::steady_heap;
    std::uint64_t requested = 0, occupied = 0, objects = 0;
    double span_tail = 0;

    /// Returns    the bytes asked for.
    constexpr std::uint64_t add(std::size_t size, std::uint64_t n = 1,
                                std::size_t alignment = 8) noexcept {
        if (n == 0 || size == 0) return 0;
        const std::size_t each = audit::occupied(model, size, alignment);
        requested += size * n;
        occupied += each * n;
        objects += n;
        if (model == allocator_model::steady_heap || model == allocator_model::steady_malloc) {
            span_tail += span_tail_of(each) * static_cast<double>(n);
        }
        return size * n;
    }
};

}  // namespace steady::audit
