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

/// small_groups  of a small table; 0 with clusters 0: no memory at all
/// segments_taken  bytes of all segments, the first included
/// blocks_held     chained ones and spare ones
STEADY_TABLE
map_memory STEADY_TABLE_TYPE::parts_of(std::size_t entries, unsigned small_groups,
                                       std::uint64_t clusters, std::size_t segments_taken,
                                       std::uint64_t blocks_held) noexcept {
    map_memory m;
    std::uint64_t places = 0;  // slots, of clusters and chained blocks
    if constexpr (Slot::is_node) m.nodes = bytes{entries * sizeof(value_type)};
    if (clusters != 0) {
        const bytes headers{clusters * sizeof(cluster_header)};
        m.groups = bytes{clusters * shape::group_area};
        m.slots = bytes{clusters * shape::slots * sizeof(Slot)};
        m.unused = bytes{segments_taken} - m.groups - m.slots - headers;
        m.control = bytes{sizeof(large_state)} + headers;
        m.header = bytes{sizeof(large_state)};
        m.array = m.groups + m.slots + headers;
        m.spare = m.unused;
        m.overflow = bytes{blocks_held * shape::block_size(shape::block_groups)};
        m.links = bytes{(clusters + blocks_held) * sizeof(cluster_header)};
        m.metadata = m.groups + bytes{blocks_held * shape::block_groups * group_bytes};
        places = clusters * shape::slots + blocks_held * shape::block_slots;
    } else if (small_groups != 0) {
        m.groups = bytes{small_groups * group_bytes};
        m.slots = bytes{small_groups * group_slots * sizeof(Slot)};
        m.control = bytes{shape::block_size(small_groups)} - m.groups - m.slots;
        m.array = m.groups + m.slots + m.control;
        m.links = bytes{sizeof(cluster_header)};
        m.metadata = m.groups;
        places = small_groups * group_slots;
    }
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
    o.chained = {shape::block_size(shape::block_groups), shape::alignment, 0};
    o.chained_slots = shape::block_slots;
    const std::uint64_t wanted = entries > reserved ? entries : reserved;
    const auto add_nodes = [&] {
        if constexpr (Slot::is_node) o.add({sizeof(value_type), alignof(value_type), entries});
    };
    if (wanted == 0) return o;

    // Small: one block. Growing doubles it; reserve() takes the right one at once.
    const auto small_groups_for = [](std::uint64_t n) {
        unsigned groups = 1;
        while (groups < shape::groups && shape::small_limit(groups) < n) groups *= 2;
        return groups;
    };
    const unsigned first = reserved == 0 ? 1 : small_groups_for(reserved);
    const unsigned groups = small_groups_for(wanted);
    for (unsigned g = first; g < groups; g *= 2) {
        o.doubling_at = shape::small_limit(g) + 1;
        o.doubling_bytes = shape::block_size(g) + shape::block_size(2 * g);
        o.moved_by_doubling += shape::small_limit(g);
        if constexpr (Slot::is_node) o.doubling_bytes += shape::small_limit(g) * sizeof(value_type);
    }
    if (wanted <= shape::small_limit(shape::groups)) {
        o.memory = parts_of(entries, groups, 0, 0, 0);
        o.slots = groups * group_slots;
        o.grows_after = shape::small_limit(groups);
        o.add({shape::block_size(groups), shape::alignment, 1});
        add_nodes();
        return o;
    }

    // Large: the fewest clusters whose limit is not below the entries.
    const auto clusters_for = [](std::uint64_t n) {
        std::uint64_t low = 1, high = 2;
        while (limit_of(growth_state::with_clusters(high)) < n) high *= 2;
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            if (limit_of(growth_state::with_clusters(middle)) < n) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    };
    const std::uint64_t clusters = clusters_for(wanted);
    // Made by reserve(), which takes nothing ahead.
    const std::uint64_t made = reserved > shape::full ? clusters_for(reserved) : 1;
    const growth_state state = growth_state::with_clusters(clusters);
    o.add({sizeof(large_state), alignof(large_state), 1});
    o.add({shape::block_size(shape::groups), shape::alignment, 1});
    std::size_t taken = shape::block_size(shape::groups);
    for (unsigned i = 1; i < segments; ++i) {
        const std::uint64_t first_cluster = (std::uint64_t{1} << i) - 1;
        const bool needed = clusters > first_cluster;
        const bool ahead =
            first_cluster > made + splits_ahead && clusters + splits_ahead >= first_cluster;
        if (!needed && !ahead) continue;
        taken += segment_bytes(i);
        o.add({segment_bytes(i), shape::alignment, 1});
    }
    o.memory = parts_of(entries, 0, clusters, taken, 0);
    const map_memory one_more = parts_of(entries, 0, clusters, taken, 1);
    o.of_chained.overflow = one_more.overflow - o.memory.overflow;
    o.of_chained.vacant = one_more.vacant - o.memory.vacant;
    o.of_chained.padding = one_more.padding - o.memory.padding;
    o.of_chained.metadata = one_more.metadata - o.memory.metadata;
    o.of_chained.links = one_more.links - o.memory.links;
    add_nodes();
    o.clusters = clusters;
    o.slots = clusters * shape::slots;
    o.grows_after = limit_of(state);

    // A family's entries, and how its positions share them.
    const auto add_loads = [&](std::uint64_t families, unsigned stage) {
        if (families == 0) return;
        unsigned indices[most_positions] = {};
        for (const unsigned p : position_rows[stage]) ++indices[p];
        for (unsigned p = 0; p < stage; ++p) {
            o.loads[o.load_count++] = {families, static_cast<double>(indices[p]) /
                                                     position_indices /
                                                     static_cast<double>(state.families())};
        }
    };
    add_loads(state.split, state.stage + 1u);
    add_loads(state.families() - state.split, state.stage);

    // Pass by pass: the share of a family's entries that leaves, of those that are there.
    for (growth_state s = growth_state::with_clusters(made); s.clusters() < clusters;) {
        unsigned movers = 0;
        for (unsigned x = 0; x < position_indices; ++x) {
            movers += position_rows[s.stage][x] != position_rows[s.stage + 1u][x];
        }
        growth_state end = s;
        end.split = s.families() - 1;  // before its last split
        if (end.clusters() >= clusters) end = growth_state::with_clusters(clusters - 1);
        const double splits = static_cast<double>(end.split - s.split + 1);
        const double there = static_cast<double>(limit_of(s) + limit_of(end)) / 2;
        o.moved_by_splits +=
            splits * there / static_cast<double>(s.families()) * movers / position_indices;
        s = end;
        s.advance();
    }
    return o;
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
