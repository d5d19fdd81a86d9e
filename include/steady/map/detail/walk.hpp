// walk.hpp - the table from end to end.
//
//   order of storage    the groups of one run or, while a pass is under way, of two; then the
//                       chained blocks. What begin() to end() follow.
//   order of hashes     cluster by cluster of whichever scale it is at. A hash does not
//                       change when the table is stretched. What scan() follows.

#pragma once

#include "steady/map/detail/table.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

/// Where entries can be, chains apart.
STEADY_TABLE
auto STEADY_TABLE_TYPE::runs() const noexcept -> std::array<run, 2> {
    const run low{tags_[0], slots_[0], groups_in_[0]};
    if (slots_[0] == nullptr) return {};
    if (large_ == nullptr || !large_->state.passing()) return {low, run{}};
    const std::uint64_t cleared = large_->cleared;
    const run high{tags_[1] + cleared * group_bytes, slots_[1] + cleared * group_slots,
                   groups_in_[1] - cleared};
    if (!large_->memory[1]) return {low, high};
    return {run{low.groups, low.slots, large_->state.edge * shape::groups}, high};
}

// ---- Iteration.

STEADY_TABLE
auto STEADY_TABLE_TYPE::first() const noexcept -> walk_position {
    if (size_ == 0) return {};
    const run start = runs()[0];
    walk_position w{{start.groups, start.slots, 0}, {}, start.count - 1};
    const auto occupied = group16{start.groups}.match_occupied(slot_tags);
    if (!occupied) {
        advance(w);
    } else {
        w.enter(occupied);
    }
    return w;
}

STEADY_TABLE
inline void STEADY_TABLE_TYPE::advance(walk_position& w) const noexcept {
    if (w.groups_left == walk_position::unknown) [[unlikely]]
        w = with_rest(w.at);
    while (w.rest) {
        const unsigned ahead = w.rest.lowest() + 1;
        w.at.tag += ahead;
        w.at.entry += ahead;
        w.rest = w.rest.from(ahead);
        if (*w.at.tag != 0) [[likely]]
            return;  // else erased since the group was looked at
    }
    const unsigned index = w.at.index();
    w.at.tag -= index;
    w.at.entry -= index;
    for (;;) {
        if (w.groups_left != 0) [[likely]] {
            w.at.tag += group_bytes;
            w.at.entry += group_slots;
            --w.groups_left;
        } else {
            w = next_run(w.at);
            if (!w.at) return;
        }
        if (const auto occupied = group16{w.at.tag}.match_occupied(slot_tags)) {
            w.enter(occupied);
            return;
        }
    }
}

/// From the last group of a run or block to the first one of the next.
STEADY_TABLE
auto STEADY_TABLE_TYPE::next_run(position_type at) const noexcept -> walk_position {
    const auto begin_of = [](const run& r) {
        return walk_position{{r.groups, r.slots, 0}, {}, r.count - 1};
    };
    const auto [low, high] = runs();
    if (low.contains(at.tag) && high.count != 0) return begin_of(high);
    if (large_ == nullptr || large_->chained == 0) return {};
    unsigned bucket = 0;
    if (!low.contains(at.tag) && !high.contains(at.tag)) {
        auto* const block =
            reinterpret_cast<std::byte*>(at.tag - (shape::block_groups - 1) * group_bytes);
        const chain_header& header = header_of(block);
        if (header.next != nullptr) return begin_of(chained(header.next));
        bucket = static_cast<unsigned>(&chain_of(header.cluster) - large_->chains) + 1;
    }
    for (; bucket < large_state::buckets; ++bucket) {
        if (large_->chains[bucket] != nullptr) return begin_of(chained(large_->chains[bucket]));
    }
    return {};
}

/// For an iterator that a search returned: searches do not count.
STEADY_TABLE
auto STEADY_TABLE_TYPE::with_rest(position_type at) const noexcept -> walk_position {
    const auto occupied = group16{at.group()}.match_occupied(slot_tags);
    walk_position w{at, occupied.from(at.index() + 1), 0};
    const auto behind = [&](const run& r) {
        return r.count - 1 - static_cast<std::uint64_t>(at.tag - r.groups) / group_bytes;
    };
    for (const run& r : runs()) {
        if (!r.contains(at.tag)) continue;
        w.groups_left = behind(r);
        return w;
    }
    for_each_block(place_of(hash_of_slot(at.slot())).groups, [&](const run& block) {
        if (block.contains(at.tag)) w.groups_left = behind(block);
    });
    return w;
}

/// Calls action(run, chained) for every run and chained block.
STEADY_TABLE
template <class Do>
void STEADY_TABLE_TYPE::for_each_place(Do&& action) const {
    for (const run& r : runs()) {
        if (r.count != 0) action(r, false);
    }
    if (large_ == nullptr || large_->chained == 0) return;
    for (std::byte* block : large_->chains) {
        for (; block != nullptr; block = header_of(block).next) action(chained(block), true);
    }
}

// ---- In the order of hashes.

/// Calls visit(position, hash) for the entries from the hash `from` on, of the cluster that
/// has it.
///
/// Returns    where the next cluster begins; 0 after the last.
STEADY_TABLE
template <class Visit>
std::uint64_t STEADY_TABLE_TYPE::for_each_from(std::uint64_t from, Visit&& visit) const {
    if (slots_[0] == nullptr) return 0;
    const unsigned scale = scale_of(from);
    const cluster_place place = place_of(from);
    std::uint64_t end = 0;  // of the cluster's hashes
    const std::uint64_t next = (number_of(from, scale) | last_) + 1;
    if (next < groups_in_[scale]) end = first_hash(next, groups_in_[scale]);
    // While a pass is under way, the low scale ends at the frontier.
    if (scale == 0 && (end == 0 || end - 1 > frontier_)) end = frontier_ + 1;
    // The place may hold entries of the other scale too, and some that come before.
    const auto look = [&](const position_type& at) {
        const std::uint64_t hash = hash_of_slot(at.slot());
        if (hash - from <= end - 1 - from) visit(at, hash);
    };
    place.for_each(look);
    if (large_ != nullptr && large_->chained != 0) {
        for_each_block(place.groups, [&](const run& block) { block.for_each(look); });
    }
    return end;
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

// ---- Emptying.

STEADY_TABLE
void STEADY_TABLE_TYPE::destroy_entries() noexcept {
    if constexpr (Slot::is_node || !std::is_trivially_destructible_v<value_type>) {
        if (size_ == 0) return;
        for_each_place([&](const run& place, bool) {
            place.for_each([&](const position_type& at) { at.slot().destroy(alloc_); });
        });
    }
}

STEADY_TABLE
void STEADY_TABLE_TYPE::release_all() noexcept {
    if (slots_[0] == nullptr) return;
    destroy_entries();
    if (large_ == nullptr) {
        blocks::deallocate(alloc_, reinterpret_cast<std::byte*>(tags_[0]),
                           shape::area(groups_in_[0]));
        return;
    }
    for (std::byte*& first : large_->chains) {
        while (first != nullptr) give_back_block(std::exchange(first, header_of(first).next));
    }
    while (spare_ != nullptr) give_back_block(std::exchange(spare_, header_of(spare_).next));
    for (unsigned s = 0; s < 2; ++s) {
        large_->memory[s].release(alloc_, std::max(groups_in_[0], groups_in_[1]));
    }
    using state_source = block_source<Alloc, alignof(large_state)>;
    state_source::deallocate(alloc_, reinterpret_cast<std::byte*>(large_), sizeof(large_state));
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
