// mappings.hpp - where everything lies that os has mapped. Ledgers say how much; this list
// says where, so that audit can ask the kernel about exactly these addresses.
//
// Neighbouring ranges are one entry. Should the list ever be full, what does not fit is
// counted in `unlisted`, and audit says so instead of guessing.
//
// Cost    a lock and a search in a sorted array per mmap and munmap; never on the path of
//         an allocation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/core/units.hpp"

namespace steady::os {

struct mapped_range {
    std::uintptr_t start;
    std::size_t size;
};

struct mapped_list {
    std::size_t count;  // entries written
    bytes unlisted;     // mapped, but in no entry
};

/// Writes the ranges in order of address.   Threads  any.
mapped_list read_mapped(mapped_range* out, std::size_t capacity) noexcept;
inline constexpr std::size_t most_mapped_ranges = 512;

/// For the one thread of a forked child.
void mappings_reset_after_fork() noexcept;

namespace detail {

void list_mapped(const void* start, bytes size) noexcept;
void unlist_mapped(const void* start, bytes size) noexcept;

}  // namespace detail

}  // namespace steady::os
