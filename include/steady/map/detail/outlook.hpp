// outlook.hpp - the table's own arithmetic of bytes: of a table that exists, for memory(),
// and of one that does not, for plans. Both go through parts_of(), and tests/audit compares
// both with what an allocator handed out.
#pragma once

#include "steady/map/detail/growth.hpp"
#include "steady/map/detail/table.hpp"
#include "steady/map/detail/walk.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

/// used_groups  of all runs; 0: no memory at all
/// taken        bytes of the regions that came from the allocator
/// blocks_held  chained ones and spare ones
STEADY_TABLE
map_memory STEADY_TABLE_TYPE::parts_of(std::size_t entries, std::uint64_t used_groups,
                                       bool is_large, std::size_t taken,
                                       std::uint64_t blocks_held) noexcept {
    map_memory m;
    if constexpr (Slot::is_node) m.nodes = bytes{entries * sizeof(value_type)};
    const std::uint64_t places = used_groups * group_slots + blocks_held * shape::block_slots;
    m.groups = bytes{used_groups * group_bytes};
    m.slots = bytes{used_groups * group_slots * sizeof(Slot)};
    m.array = m.groups + m.slots;
    if (is_large) {
        m.header = bytes{sizeof(large_state)};
        if (taken > m.array.count()) m.unused = bytes{taken} - m.array;
        m.spare = m.unused;
        m.control = m.header;
        m.overflow = bytes{blocks_held * shape::block_size};
        m.links = bytes{blocks_held * sizeof(chain_header)};
    } else if (used_groups != 0) {
        m.control = bytes{shape::area(used_groups)} - m.array;
        m.array = bytes{shape::area(used_groups)};
    }
    m.metadata = m.groups + bytes{blocks_held * shape::block_groups * group_bytes};
    m.payload = bytes{entries * element::payload};
    m.vacant = bytes{(places - entries) * sizeof(Slot)} + m.unused;
    if constexpr (Slot::caches_hash) m.metadata += bytes{entries * sizeof(std::uint64_t)};
    if constexpr (Slot::is_node) m.links += bytes{entries * sizeof(void*)};
    // In slots and nodes, and where blocks are rounded for what comes next in them.
    m.padding = m.total() - m.header - m.payload - m.vacant - m.metadata - m.links;
    return m;
}

STEADY_TABLE
map_outlook STEADY_TABLE_TYPE::outlook(std::uint64_t entries, std::uint64_t reserved) noexcept {
    map_outlook o;
    o.entries = entries;
    o.cluster_slots = shape::slots;
    o.chained = {shape::block_size, shape::alignment, 0};
    o.chained_slots = shape::block_slots;
    const std::uint64_t wanted = entries > reserved ? entries : reserved;
    const auto add_nodes = [&] {
        if constexpr (Slot::is_node) o.add({sizeof(value_type), alignof(value_type), entries});
    };
    if (wanted == 0) return o;

    // Small: one block. Growing doubles it; reserve() takes the right one at once.
    const auto small_groups_for = [](std::uint64_t n) {
        unsigned groups = 1;
        while (groups < shape::small_groups && shape::small_limit(groups) < n) groups *= 2;
        return groups;
    };
    const std::uint64_t small_limit = shape::small_limit(shape::small_groups);
    const unsigned first = reserved == 0 ? 1 : small_groups_for(reserved);
    const unsigned groups = small_groups_for(wanted);
    for (unsigned g = first; g < groups && reserved <= small_limit; g *= 2) {
        o.doubling_at = shape::small_limit(g) + 1;
        o.doubling_bytes = shape::area(g) + shape::area(2 * g);
        o.moved_by_doubling += shape::small_limit(g);
        o.replace({shape::area(g), shape::alignment, 1});
        if constexpr (Slot::is_node) o.doubling_bytes += shape::small_limit(g) * sizeof(value_type);
    }
    if (wanted <= small_limit) {
        o.memory = parts_of(entries, groups, false, 0, 0);
        o.slots = groups * group_slots;
        o.grows_after = shape::small_limit(groups);
        o.add({shape::area(groups), shape::alignment, 1});
        add_nodes();
        return o;
    }

    // Large: pass by pass, then the steps of the last one.
    constexpr auto groups_at = [](unsigned scale) { return clusters_at(scale) * shape::groups; };
    growth_state s;
    s.low = s.high = shape::first_scale;
    if (reserved > small_limit) {
        while (limit(s) < reserved) s.low = ++s.high;
    } else {
        o.moved_by_splits += static_cast<double>(small_limit);
        o.replace({shape::area(shape::small_groups), shape::alignment, 1});
    }
    std::uint64_t room = region::room_for(groups_at(s.low));
    std::size_t taken = region::block_for(groups_at(s.low)), second = 0;
    bool in_place = true;
    while (limit(s) < entries) {
        const std::uint64_t clusters = s.low_clusters();
        in_place = room >= groups_at(s.low + 1);
        second = in_place ? 0 : region::block_for(groups_at(s.low + 1));
        s.high = s.low + 1;
        s.edge = 1;
        const bool all = limit(s) < entries;
        if (!all) {
            // The fewest steps whose limit is not below the entries.
            std::uint64_t least = 1, most = clusters - 1;
            while (least < most) {
                const std::uint64_t middle = least + (most - least) / 2;
                s.edge = clusters - middle;
                if (limit(s) < entries) {
                    least = middle + 1;
                } else {
                    most = middle;
                }
            }
            s.edge = clusters - least;
        }
        const double steps = static_cast<double>(all ? clusters : clusters - s.edge);
        o.moved_by_splits += steps * 0.92 * static_cast<double>(shape::full);
        if (!all) break;
        s.low = s.high;
        s.edge = 0;
        if (!in_place) {
            o.replace({taken, 64, 1});
            room = region::room_for(groups_at(s.low));
            taken = second;
            second = 0;
            in_place = true;
        }
    }

    std::uint64_t used = groups_at(s.low);
    if (s.passing()) {
        // As stretch_step clears them.
        const std::uint64_t lowest = first_hash(s.edge * shape::groups, groups_at(s.low));
        std::uint64_t cleared =
            group_number(lowest, groups_at(s.high)) & ~std::uint64_t{shape::groups - 1};
        if (in_place) {
            cleared = std::max(cleared, used);
        } else {
            used = s.edge * shape::groups;
        }
        used += groups_at(s.high) - cleared;
    }
    o.memory = parts_of(entries, used, true, taken + second, shape::spares);
    o.add({sizeof(large_state), alignof(large_state), 1});
    if (taken != 0) o.add({taken, 64, 1});
    if (second != 0) o.add({second, 64, 1});
    o.add({shape::block_size, shape::alignment, shape::spares});
    add_nodes();
    o.clusters = used / shape::groups;
    o.slots = used * group_slots;
    o.grows_after = limit(s);
    const map_memory more = parts_of(entries, used, true, taken + second, shape::spares + 1);
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

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
