// outlook.hpp - the table's own arithmetic of bytes: of a table that exists, for memory(),
// and of one that does not, for plans. Both go through parts_of(), and tests/audit compares
// both with what an allocator handed out.
//
// Functions of numbers, not of types: a plan may be asked for types that only its user knows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "steady/map/detail/address.hpp"
#include "steady/map/detail/region.hpp"
#include "steady/map/detail/shape.hpp"
#include "steady/map/outlook.hpp"

namespace steady::detail {

/// What a table's bytes follow from.
struct table_facts {
    region_sizes regions;
    std::size_t large_state, large_state_alignment;
    std::size_t payload;               // of an entry
    std::size_t node, node_alignment;  // of an entry out of line; 0: it stands in its slot
    bool keeps_hash;

    [[nodiscard]] constexpr const slot_sizes& sizes() const noexcept { return regions.of; }
};

/// used_groups  of all runs; 0: no memory at all
/// taken        bytes of the regions that came from the allocator
/// blocks_held  chained ones and spare ones
inline map_memory parts_of(const table_facts& table, std::uint64_t entries,
                           std::uint64_t used_groups, bool is_large, std::size_t taken,
                           std::uint64_t blocks_held) noexcept {
    const slot_sizes& shape = table.sizes();
    map_memory m;
    m.nodes = bytes{entries * table.node};
    const std::uint64_t places = used_groups * group_slots + blocks_held * shape.block_slots;
    m.groups = bytes{used_groups * group_bytes};
    m.slots = bytes{used_groups * group_slots * shape.slot};
    m.array = m.groups + m.slots;
    if (is_large) {
        m.header = bytes{table.large_state};
        if (taken > m.array.count()) m.unused = bytes{taken} - m.array;
        m.spare = m.unused;
        m.control = m.header;
        m.overflow = bytes{blocks_held * shape.block_size()};
        m.links = bytes{blocks_held * sizeof(chain_header)};
    } else if (used_groups != 0) {
        m.control = bytes{shape.area(used_groups)} - m.array;
        m.array = bytes{shape.area(used_groups)};
    }
    m.metadata = m.groups + bytes{blocks_held * shape.block_groups * group_bytes};
    m.payload = bytes{entries * table.payload};
    m.vacant = bytes{(places - entries) * shape.slot} + m.unused;
    if (table.keeps_hash) m.metadata += bytes{entries * sizeof(std::uint64_t)};
    if (table.node != 0) m.links += bytes{entries * sizeof(void*)};
    // In slots and nodes, and where blocks are rounded for what comes next in them.
    m.padding = m.total() - m.header - m.payload - m.vacant - m.metadata - m.links;
    return m;
}

[[nodiscard]] inline map_outlook outlook_of(const table_facts& table, std::uint64_t entries,
                                            std::uint64_t reserved) noexcept {
    const slot_sizes& shape = table.sizes();
    map_outlook o;
    o.entries = entries;
    o.cluster_slots = shape.slots();
    o.chained = {shape.block_size(), shape.alignment, 0};
    o.chained_slots = shape.block_slots;
    const std::uint64_t wanted = entries > reserved ? entries : reserved;
    const auto add_nodes = [&] {
        if (table.node != 0) o.add({table.node, table.node_alignment, entries});
    };
    if (wanted == 0) return o;

    // Small: one block. Growing doubles it; reserve() takes the right one at once.
    const auto small_groups_for = [&shape](std::uint64_t n) {
        unsigned groups = shape.first_groups();
        while (groups < shape.small_groups() && shape.small_limit(groups) < n) groups *= 2;
        return groups;
    };
    const std::uint64_t small_limit = shape.small_limit(shape.small_groups());
    const unsigned first = reserved == 0 ? shape.first_groups() : small_groups_for(reserved);
    const unsigned groups = small_groups_for(wanted);
    for (unsigned g = first; g < groups && reserved <= small_limit; g *= 2) {
        o.doubling_at = shape.small_limit(g) + 1;
        o.doubling_bytes = shape.area(g) + shape.area(2 * g) + shape.small_limit(g) * table.node;
        o.moved_by_doubling += shape.small_limit(g);
        o.replace({shape.area(g), shape.alignment, 1});
    }
    if (wanted <= small_limit) {
        o.memory = parts_of(table, entries, groups, false, 0, 0);
        o.slots = groups * group_slots;
        o.grows_after = shape.small_limit(groups);
        o.add({shape.area(groups), shape.alignment, 1});
        add_nodes();
        return o;
    }

    // Large: pass by pass, then the steps of the last one.
    const auto groups_at = [&shape](unsigned scale) { return clusters_at(scale) * shape.groups(); };
    growth_state s;
    s.low = s.high = shape.first_scale();
    if (reserved > small_limit) {
        while (limit_of(s, shape.full()) < reserved) s.low = ++s.high;
    } else {
        o.moved_by_splits += static_cast<double>(small_limit);
        o.replace({shape.area(shape.small_groups()), shape.alignment, 1});
    }
    std::uint64_t room = table.regions.room_for(groups_at(s.low));
    std::size_t taken = table.regions.block_for(groups_at(s.low)), second = 0;
    bool in_place = true;
    while (limit_of(s, shape.full()) < entries) {
        const std::uint64_t clusters = s.low_clusters();
        in_place = room >= groups_at(s.low + 1);
        second = in_place ? 0 : table.regions.block_for(groups_at(s.low + 1));
        s.high = s.low + 1;
        s.edge = 1;
        const bool all = limit_of(s, shape.full()) < entries;
        if (!all) {
            // The fewest steps whose limit is not below the entries.
            std::uint64_t least = 1, most = clusters - 1;
            while (least < most) {
                const std::uint64_t middle = least + (most - least) / 2;
                s.edge = clusters - middle;
                if (limit_of(s, shape.full()) < entries) {
                    least = middle + 1;
                } else {
                    most = middle;
                }
            }
            s.edge = clusters - least;
        }
        const double steps = static_cast<double>(all ? clusters : clusters - s.edge);
        o.moved_by_splits += steps * 0.92 * static_cast<double>(shape.full());
        if (!all) break;
        s.low = s.high;
        s.edge = 0;
        if (!in_place) {
            o.replace({taken, 64, 1});
            room = table.regions.room_for(groups_at(s.low));
            taken = second;
            second = 0;
            in_place = true;
        }
    }

    std::uint64_t used = groups_at(s.low);
    if (s.passing()) {
        // As stretch_step clears them.
        const std::uint64_t lowest = first_hash(s.edge * shape.groups(), groups_at(s.low));
        std::uint64_t cleared =
            group_number(lowest, groups_at(s.high)) & ~std::uint64_t{shape.groups() - 1};
        if (in_place) {
            cleared = std::max(cleared, used);
        } else {
            used = s.edge * shape.groups();
        }
        used += groups_at(s.high) - cleared;
    }
    o.memory = parts_of(table, entries, used, true, taken + second, shape.spares());
    o.add({table.large_state, table.large_state_alignment, 1});
    if (taken != 0) o.add({taken, 64, 1});
    if (second != 0) o.add({second, 64, 1});
    o.add({shape.block_size(), shape.alignment, shape.spares()});
    add_nodes();
    o.clusters = used / shape.groups();
    o.slots = used * group_slots;
    o.grows_after = limit_of(s, shape.full());
    const map_memory more =
        parts_of(table, entries, used, true, taken + second, shape.spares() + 1);
    for (const auto field : {&memory_parts::overflow, &memory_parts::vacant, &memory_parts::padding,
                             &memory_parts::metadata, &memory_parts::links}) {
        o.of_chained.*field = more.*field - o.memory.*field;
    }
    const double low_share =
        s.passing() ? static_cast<double>(s.edge) / static_cast<double>(s.low_clusters()) : 1.0;
    const auto add_load = [&](double share, std::uint64_t clusters) {
        const auto n = static_cast<std::uint64_t>(share * static_cast<double>(clusters) + 0.5);
        if (n != 0) o.loads[o.load_count++] = {n, 1.0 / static_cast<double>(clusters)};
    };
    add_load(low_share, s.low_clusters());
    if (s.passing()) add_load(1 - low_share, s.high_clusters());
    return o;
}

}  // namespace steady::detail
