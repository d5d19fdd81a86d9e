// statistics.hpp - what a map says about itself: every byte by part, and how full and how
// orderly it is.

#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/core/memory_parts.hpp"
#include "steady/core/units.hpp"

namespace steady {

/// Bytes a map has taken from its allocator, by part. The sum is exact; what keys and
/// values own besides (the text of a string) is theirs to count, and what the allocator
/// adds to each block is not known here (`rounding` is 0).
///
/// The parts that all containers have, and below them the map's own view of the same bytes:
///   header + array + spare = control + groups + slots + unused
struct map_memory : memory_parts {
    bytes groups;   // tags and overflow bytes
    bytes slots;    // room for entries
    bytes unused;   // of a region: behind the table, not touched yet
    bytes control;  // what a large table knows about itself
};

/// Counted by walking the tags: O(groups).
struct map_statistics {
    std::size_t entries = 0;
    std::size_t slots = 0;
    std::uint64_t clusters = 0;        // 0 while the map is small
    std::uint64_t splits = 0;          // steps of growth since the map became large
    std::uint64_t merges = 0;          // and of shrinking
    std::uint64_t tidied = 0;          // clusters put in order after erasures
    std::uint64_t moved = 0;           // entries moved by all of these
    std::uint64_t chained_blocks = 0;  // more than clusters / 8: the hash is bad
    std::size_t displaced = 0;         // entries that do not stand in their home group
    std::size_t longest_search = 0;    // groups that the worst search reads

    [[nodiscard]] double load() const noexcept {
        return slots == 0 ? 0 : static_cast<double>(entries) / static_cast<double>(slots);
    }
};

}  // namespace steady
