// outlook.hpp - what a map will take, asked of its table before there is one.
//
// Blocks and clusters follow from the number of entries alone. What the hash decides is
// how many entries overflow a cluster; for that the outlook says how large a share of all
// entries each cluster can expect, and whoever plans (room audit) works out the rest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "steady/map/statistics.hpp"

namespace steady {

struct map_outlook {
    /// Everything but chained blocks: exact.
    map_memory memory;
    std::uint64_t entries = 0;
    std::uint64_t slots = 0;
    std::uint64_t clusters = 0;     // 0: the map is small
    std::uint64_t grows_after = 0;  // entries

    /// What is asked of the allocator.
    struct block {
        std::size_t size, alignment;
        std::uint64_t count;
    };
    static constexpr std::size_t most_blocks = 48;
    std::array<block, most_blocks> blocks{};
    std::size_t block_count = 0;
    /// Tables and regions that growing took and gave up again on the way.
    std::array<block, most_blocks> replaced{};
    std::size_t replaced_count = 0;

    /// Clusters that expect the same share of all entries.
    struct load {
        std::uint64_t clusters;
        double share;
    };
    std::array<load, 16> loads{};
    std::size_t load_count = 0;
    std::size_t cluster_slots = 0;
    block chained{};  // the block that a full cluster gets, and its slots
    std::size_t chained_slots = 0;
    memory_parts of_chained;  // what one of them adds to `memory`

    /// One doubling of a small map on the way, the largest: bytes held at that moment.
    std::uint64_t doubling_at = 0;  // the insert, counted from 1; 0: there is none
    std::uint64_t doubling_bytes = 0;
    std::uint64_t moved_by_doubling = 0;  // all of them together
    double moved_by_splits = 0;           // expected

    constexpr void add(block b) noexcept {
        if (b.count != 0) blocks[block_count++] = b;
    }
    constexpr void replace(block b) noexcept {
        if (b.size != 0) replaced[replaced_count++] = b;
    }
};

}  // namespace steady
