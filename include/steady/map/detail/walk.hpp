// walk.hpp - the table from end to end: iteration, copying, counting, checking, freeing.
//
//   order of storage    cluster 0 and the blocks chained to it, cluster 1, ...; in each the
//                       groups, in each group the slots. What begin() to end() follow.
//   order of families   family 0, 1, 2, ...: a family is a set of hashes, so this order
//                       survives splits and merges. What scan() follows.

#pragma once

#include "steady/map/detail/table.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

// ---- Iteration.

STEADY_TABLE
auto STEADY_TABLE_TYPE::first() const noexcept -> walk_position {
    if (size_ == 0) return {};
    const cluster_place start =
        large_ == nullptr ? cluster_place{groups_, slots_, last_group_} : cluster_at(0);
    walk_position w{{start.groups, start.slots, 0},
                    group16{start.groups}.match_occupied(slot_tags),
                    start.last};
    advance(w);
    return w;
}

STEADY_TABLE
inline void STEADY_TABLE_TYPE::advance(walk_position& w) const noexcept {
    const unsigned index = w.at.index();
    std::uint8_t* group = w.at.tag - index;
    Slot* slots = w.at.entry - index;
    if (w.groups_left == walk_position::unknown) [[unlikely]] {
        w.groups_left = count_groups_left(w.at);
        w.rest = group16{group}.match_occupied(slot_tags).without(group16::mask::first(index + 1u));
    }
    for (;;) {
        while (w.rest) {
            const unsigned next = w.rest.lowest();
            w.rest.drop_lowest();
            if (group[next] == 0) [[unlikely]]
                continue;  // erased since the group was looked at
            w.at = {group, slots, next};
            return;
        }
        if (w.groups_left != 0) [[likely]] {
            group += group_bytes;
            slots += group_slots;
            --w.groups_left;
        } else {
            w.at = {group, slots, 0};
            if (!next_place(w.at, w.groups_left)) {
                w = {};
                return;
            }
            group = w.at.tag;
            slots = w.at.entry;
        }
        w.rest = group16{group}.match_occupied(slot_tags);
    }
}

/// Moves from the last group of a cluster or block to the first one of the next.
STEADY_TABLE
bool STEADY_TABLE_TYPE::next_place(position_type& at, unsigned& groups_left) const noexcept {
    if (large_ == nullptr) return false;
    const cluster_header& header = header_after(at);
    cluster_place next;
    if (header.overflow != nullptr) {
        next = chained(header.overflow);
    } else {
        const std::uint64_t cluster = header.cluster + 1;
        if (cluster >= large_->state.clusters()) return false;
        next = cluster_at(cluster);
    }
    at = {next.groups, next.slots, 0};
    groups_left = next.last;
    return true;
}

/// For an iterator that a search returned: searches do not count.
STEADY_TABLE
unsigned STEADY_TABLE_TYPE::count_groups_left(const position_type& at) const noexcept {
    const auto behind = [&](const cluster_place& place) {
        return place.last - static_cast<unsigned>((at.tag - place.groups) / group_bytes);
    };
    if (large_ == nullptr) return behind({groups_, slots_, last_group_});
    const std::uint64_t cluster = cluster_of(at.tag);
    if (cluster != no_cluster) return behind(cluster_at(cluster));
    for (std::byte* block = header_of(large_->address.cluster(hash_of_slot(at.slot()))).overflow;;
         block = header_of_chained(block).overflow) {
        const cluster_place place = chained(block);
        if (at.tag >= place.groups && at.tag < place.groups + shape::block_groups * group_bytes) {
            return behind(place);
        }
    }
}

/// Calls action(place, chained) for every cluster and chained block.
STEADY_TABLE
template <class Do>
void STEADY_TABLE_TYPE::for_each_place(Do&& action) const {
    if (large_ == nullptr) {
        if (groups_ != empty_group_pointer()) {
            action(cluster_place{groups_, slots_, last_group_}, false);
        }
        return;
    }
    for (std::uint64_t c = 0; c < large_->state.clusters(); ++c) {
        const cluster_place at = cluster_at(c);
        action(at, false);
        for_each_chained(at, [&](const cluster_place& block) { action(block, true); });
    }
}

STEADY_TABLE
template <class Do>
void STEADY_TABLE_TYPE::for_each_chained(const cluster_place& at, Do&& action) const {
    for (std::byte* block = header_of(at.cluster).overflow; block != nullptr;) {
        std::byte* const next = header_of_chained(block).overflow;  // the action may free it
        action(chained(block));
        block = next;
    }
}

STEADY_TABLE
template <class Do>
void STEADY_TABLE_TYPE::for_each_entry(const cluster_place& at, Do&& action) {
    for (unsigned g = 0; g <= at.last; ++g) {
        std::uint8_t* const group = at.groups + g * group_bytes;
        Slot* const slots = at.slots + g * group_slots;
        for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
            action(position_type{group, slots, i});
        }
    }
}

STEADY_TABLE
template <class Visit>
void STEADY_TABLE_TYPE::for_each_in_family(std::uint64_t family, Visit&& visit) const {
    if (large_ == nullptr) {
        if (size_ != 0) for_each_entry({groups_, slots_, last_group_}, visit);
        return;
    }
    const growth_state& s = large_->state;
    const unsigned count = s.stage + (family < s.split);
    for (unsigned p = 0; p < count; ++p) {
        const cluster_place at = cluster_at(family + (std::uint64_t{p} << s.level));
        for_each_entry(at, visit);
        for_each_chained(at, [&](const cluster_place& block) { for_each_entry(block, visit); });
    }
}

/// Calls visit(position, hash) for the entries from `from` on, in the order of families, of
/// the family in whose interval it is.
///
/// Returns    where the next family's interval begins; 0 after the last.
STEADY_TABLE
template <class Visit>
std::uint64_t STEADY_TABLE_TYPE::for_each_from(std::uint64_t from, Visit&& visit) const {
    const unsigned level = large_ == nullptr ? 0 : large_->state.level;
    // If the map has shrunk since, `from` may be in the middle of the interval: what lies
    // before has been visited.
    const std::uint64_t width = level == 0 ? 0 : std::uint64_t{1} << (64 - level);
    const std::uint64_t start = level == 0 ? 0 : from / width * width;
    for_each_in_family(reverse_bits(start), [&](const position_type& at) {
        const std::uint64_t hash = hash_of_slot(at.slot());
        if (order_of(hash) >= from) visit(at, hash);
    });
    return start + width;
}

STEADY_TABLE
template <class Visit>
scan_cursor STEADY_TABLE_TYPE::scan(std::uint64_t from, std::size_t entries, Visit&& visit) const {
    std::size_t seen = 0;
    do {
        from = for_each_from(from, [&](const position_type& at, std::uint64_t) {
            visit(at);
            ++seen;
        });
    } while (from != 0 && seen < entries);
    return static_cast<scan_cursor>(from);
}

// ---- Filling.

STEADY_TABLE
void STEADY_TABLE_TYPE::reserve(std::size_t entries) {
    if (entries <= grow_at_) return;
    if (large_ == nullptr) {
        unsigned wanted = 1;
        while (wanted < shape::groups && shape::small_limit(wanted) < entries) wanted *= 2;
        if (groups_ == empty_group_pointer() || wanted > last_group_ + 1u) resize_small(wanted);
        small_floor_ = static_cast<std::uint16_t>(wanted);
        set_limits();
        if (entries <= grow_at_) return;
        become_large();
    }
    if (size_ == 0 && large_->chained == 0) {
        // Nothing to move: clusters are made, and the state jumps to their number.
        growth_state s = large_->state;
        std::uint64_t clusters = s.clusters();
        for (; limit_of(s) < entries; s.advance()) add_cluster(clusters++);
        large_->state = s;
        large_->address.set(s);
        ++relocations_;
    }
    while (limit_of(large_->state) < entries) split();
    large_->floor = large_->state.clusters();
    set_limits();
}

STEADY_TABLE
void STEADY_TABLE_TYPE::copy_entries(const table& other) {
    reserve(other.size());
    small_floor_ = 1;
    if (large_ != nullptr) large_->floor = 1;
    if (slot_count() != 0) set_limits();
    other.for_each_place([&](const cluster_place& place, bool) {
        for_each_entry(place, [&](const position_type& at) {
            const value_type& value = at.slot().value();
            const auto& key = element::key(value);
            make_new(key, hash_of(key), [&](Slot& slot) { slot.construct(alloc_, value); });
        });
    });
}

// ---- Emptying.

STEADY_TABLE
void STEADY_TABLE_TYPE::destroy_entries() noexcept {
    if constexpr (Slot::is_node || !std::is_trivially_destructible_v<value_type>) {
        if (size_ == 0) return;
        for_each_place([&](const cluster_place& place, bool) {
            for_each_entry(place, [&](const position_type& at) { at.slot().destroy(alloc_); });
        });
    }
}

STEADY_TABLE
void STEADY_TABLE_TYPE::release_all() noexcept {
    if (groups_ == empty_group_pointer()) return;
    destroy_entries();
    if (large_ == nullptr) {
        blocks::deallocate(alloc_, reinterpret_cast<std::byte*>(groups_),
                           shape::block_size(last_group_ + 1u));
        return;
    }
    if (large_->chained != 0) {
        std::uint64_t cluster = 0;
        for (unsigned i = 0; large_->chained != 0; ++i) {
            // Headers of a segment lie side by side: 1/256 of the memory.
            for (std::uint64_t k = 0; k < std::uint64_t{1} << i && large_->chained != 0; ++k) {
                if (large_->block[i].headers[k].overflow != nullptr)
                    drop_chain(cluster_at(cluster));
                ++cluster;
            }
        }
    }
    drop_spare_blocks();
    for (unsigned i = 0; i < segments; ++i) release_segment(i);
    using state_source = block_source<Alloc, alignof(large_state)>;
    state_source::deallocate(alloc_, reinterpret_cast<std::byte*>(large_), sizeof(large_state));
}

// ---- Telling.

STEADY_TABLE
map_memory STEADY_TABLE_TYPE::memory() const noexcept {
    const bool none = groups_ == empty_group_pointer();
    if (large_ == nullptr) return parts_of(size_, none ? 0 : last_group_ + 1u, 0, 0, 0);
    std::size_t taken = 0;
    for (const segment_block& segment : large_->block) taken += segment.size;
    std::uint64_t blocks_held = large_->chained;
    for (std::byte* b = spare_; b != nullptr; b = header_of_chained(b).overflow) ++blocks_held;
    return parts_of(size_, 0, large_->state.clusters(), taken, blocks_held);
}

STEADY_TABLE
map_statistics STEADY_TABLE_TYPE::statistics() const {
    map_statistics s;
    s.entries = size_;
    s.slots = slot_count();
    if (large_ != nullptr) {
        s.clusters = large_->state.clusters();
        s.families = large_->state.families();
        s.splits = large_->splits;
        s.merges = large_->merges;
        s.tidied = large_->tidied;
        s.moved = large_->moved;
        s.chained_blocks = large_->chained;
    }
    std::size_t chain = 0;  // groups of the chain before the block in hand
    for_each_place([&](const cluster_place& place, bool is_chained) {
        chain = is_chained ? chain + place.last + 1 : 0;
        for_each_entry(place, [&](const position_type& at) {
            const auto g = static_cast<unsigned>((at.tag - place.groups) / group_bytes);
            std::size_t read = 0;
            if (is_chained) {
                read = shape::groups + chain - place.last + g;
            } else {
                read = (home_of(hash_of_slot(at.slot()), place.last) ^ g) + 1;
            }
            s.displaced += read != 1;
            s.longest_search = std::max(s.longest_search, read);
        });
    });
    return s;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::check() const {
    std::size_t seen = 0;
    std::uint64_t cluster = 0, next_cluster = 0, blocks_seen = 0;
    cluster_place owner{};
    for_each_place([&](const cluster_place& place, bool is_chained) {
        if (!is_chained) {
            owner = place;
            cluster = next_cluster++;
        } else {
            ++blocks_seen;
        }
        if (large_ != nullptr) {
            const cluster_header& header =
                is_chained ? header_behind(place.slots, shape::block_slots) : header_of(cluster);
            STEADY_ASSERT(0, header.cluster == cluster, "T4: a header names another cluster");
        }
        for_each_entry(place, [&](const position_type& at) {
            ++seen;
            const std::uint64_t hash = hash_of_slot(at.slot());
            if constexpr (Slot::caches_hash) {
                STEADY_ASSERT(0, hash == hash_of(at.slot().key()), "T2: the kept hash is another");
            }
            STEADY_ASSERT(0, *at.tag == tag_of(hash), "T2: a tag is not its hash's");
            if (large_ != nullptr) {
                STEADY_ASSERT(0, large_->address.cluster(hash) == cluster,
                              "T1: an entry is in a cluster where no search looks");
            }
            const unsigned home = home_of(hash, owner.last);
            const unsigned steps =
                is_chained ? owner.last + 1u
                           : home ^ static_cast<unsigned>((at.tag - place.groups) / group_bytes);
            for (unsigned n = 0; n < steps; ++n) {
                STEADY_ASSERT(0,
                              (owner.groups[(home ^ n) * group_bytes + group_slots] &
                               overflow_bit(hash)) != 0,
                              "T1: a search would end before it reaches an entry");
            }
        });
    });
    STEADY_ASSERT(0, seen == size_, "T3: size() is not the number of entries");
    if (large_ != nullptr) {
        STEADY_ASSERT(0, blocks_seen == large_->chained, "T3: chained blocks are counted wrongly");
        STEADY_ASSERT(0, next_cluster == large_->state.clusters(), "T4: clusters are missing");
    }
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
