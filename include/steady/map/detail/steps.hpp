// steps.hpp - one step of a pass: the entries of one cluster of the low scale go to where the
// high scale wants them (stretching), or come back (compressing).
//
//   stretching, last cluster first         compressing, first cluster first
//
//     [ 0 ][ 1 ][ 2 ][ 3 ]                   [ 0 ][ 1 ]      [ 3 ][ 4 ][ 5 ]
//                   \    \                          \__       |
//     [ 0 ][ 1 ][ 2 ]  [ 3 ][ 4 ]            [ 0 ][ 1 ][ 2 ]   [ 4 ][ 5 ]
//
//   The place an entry goes to is free of others that have to go: it lies behind the cluster
//   (stretching) or before what has not come back. Only at the beginning of the table do both
//   overlap: stretching lifts such a cluster out first, compressing tidies it afterwards.
//
// Whatever could fail is done first: the region of the high scale, and blocks for chains.
// Then entries are relocated, which does not throw (slot.hpp).

#pragma once

#include "steady/map/detail/chains.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

/// Puts an entry where a scale wants it. The old place is the caller's to empty.
STEADY_TABLE
[[gnu::always_inline]] inline void STEADY_TABLE_TYPE::move_entry(std::uint64_t hash, Slot& slot,
                                                                 std::uint8_t tag,
                                                                 unsigned to_scale) noexcept {
    const cluster_place place = place_at(hash, to_scale);
    position_type to = free_slot_in_cluster(hash, place);
    if (!to) [[unlikely]]
        to = free_slot_chained(place);  // takes a spare block: ensured before the step
    slot.relocate_to(to.slot());
    *to.tag = tag;
}

/// Moves all entries of a cluster to the groups of the high scale from `first` on, none of
/// which is in the cluster. Its tags are left as they are.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::move_cluster(const run& from, std::uint64_t first) noexcept {
    // What is free there is kept in masks: a tag just written cannot be read at once.
    struct target {
        group16::mask free;
        const typename near_slots<Slot>::row* near;
        std::uint8_t* tags;
        Slot* slots;
    };
    constexpr unsigned most_groups = 2 * shape::groups + 2;
    target targets[most_groups];
    const auto count =
        static_cast<unsigned>(std::min<std::uint64_t>(most_groups, groups_in_[1] - first));
    std::uint8_t* tags = tags_[1] + first * group_bytes;
    Slot* slots = slots_[1] + first * group_slots;
    for (unsigned t = 0; t < count; ++t, tags += group_bytes, slots += group_slots) {
        targets[t] = {group16{tags}.match_empty(slot_tags), &near_slots<Slot>::row_of(slots), tags,
                      slots};
    }
    const std::uint64_t seed = seed_, groups = groups_in_[1];
    struct {
        std::uint64_t hash;
        std::uint8_t slot;
    } homeless[shape::slots + 1];
    unsigned left_over = 0;
    std::uint64_t moved = 0;
    for (unsigned g = 0; g < shape::groups; ++g) {
        std::uint8_t* const group = from.group(g);
        Slot* const here = from.slots_of(g);
        const auto occupied = group16{group}.match_occupied(slot_tags);
        moved += occupied.count();
        for (auto m = occupied; m; m.drop_lowest()) {
            const unsigned i = m.lowest();
            std::uint64_t hash;
            if constexpr (Slot::caches_hash) {
                hash = here[i].hash;
            } else {
                hash = hash_with_seed(hash_, here[i].key(), seed);
            }
            target& to = targets[group_number(hash, groups) - first];
            const auto near = to.free & (*to.near)[preferred_slot(hash) / 2];
            const auto wanted = near ? near : to.free;
            if (!wanted) [[unlikely]] {
                homeless[left_over++] = {hash, static_cast<std::uint8_t>(g * 16 + i)};
                continue;
            }
            const unsigned n = wanted.lowest();
            to.free = to.free.without(single_slots[n]);
            to.tags[n] = group[i];
            here[i].relocate_to(to.slots[n]);
        }
    }
    for (unsigned n = 0; n < left_over; ++n) {
        const unsigned g = homeless[n].slot / 16, i = homeless[n].slot % 16;
        move_entry(homeless[n].hash, from.slots_of(g)[i], from.group(g)[i], 1);
    }
    return moved;
}

/// The same for a cluster that is among the places its entries go to.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::lift_and_move_cluster(const run& from,
                                                       std::uint64_t first) noexcept {
    Slot slots[shape::slots];
    alignas(group_bytes) std::uint8_t tags[shape::group_area];
    std::memcpy(tags, from.groups, shape::group_area);
    const run lifted{tags, slots, shape::groups};
    lifted.for_each([&](const position_type& at) {
        const auto n = at.entry - slots;
        from.slots[n].relocate_to(slots[n]);
    });
    std::memset(from.groups, 0, shape::group_area);
    return move_cluster(lifted, first);
}

/// Moves the entries of a cluster whose hashes lie between these two.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::move_range(const run& from, std::uint64_t lowest,
                                            std::uint64_t highest, unsigned to_scale) noexcept {
    struct mover {
        std::uint64_t hash;
        position_type at;
    };
    mover movers[shape::slots];
    unsigned count = 0;
    for (unsigned g = 0; g < shape::groups; ++g) {
        for (auto m = group16{from.group(g)}.match_occupied(slot_tags); m; m.drop_lowest()) {
            const position_type at{from.group(g), from.slots_of(g), m.lowest()};
            const std::uint64_t hash = hash_of_slot(at.slot());
            movers[count] = {hash, at};
            count += hash - lowest <= highest - lowest;
        }
    }
    for (unsigned n = 0; n < count; ++n) {
        const position_type at = movers[n].at;
        move_entry(movers[n].hash, at.slot(), *at.tag, to_scale);
        *at.tag = 0;
    }
    return count;
}

STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::move_chain(const std::uint8_t* cluster, std::uint64_t lowest,
                                            std::uint64_t highest, unsigned to_scale) noexcept {
    std::uint64_t moved = 0;
    for_each_block(cluster, [&](const run& block) {
        block.for_each([&](const position_type& at) {
            const std::uint64_t hash = hash_of_slot(at.slot());
            if (hash - lowest > highest - lowest) return;
            move_entry(hash, at.slot(), *at.tag, to_scale);
            *at.tag = 0;
            ++moved;
        });
    });
    drop_empty_blocks(cluster);
    return moved;
}

/// The high scale, and memory for it.
///
/// Throws     std::bad_alloc; nothing has changed.
STEADY_TABLE
void STEADY_TABLE_TYPE::begin_pass() {
    large_state& large = *large_;
    const std::uint64_t groups = clusters_at(large.state.low + 1) * shape::groups;
    if (large.memory[0].groups() < groups) {
        large.memory[1] = region::make(alloc_, groups);
        if (huge_pages_) prefer_huge_pages();
        tags_[1] = reinterpret_cast<std::uint8_t*>(large.memory[1].tags());
        slots_[1] = reinterpret_cast<Slot*>(large.memory[1].slots());
    }
    groups_in_[1] = groups;
    large.cleared = groups;
    const region& to = large.memory[large.memory[1] ? 1 : 0];
    const std::uint64_t backed = to.backed(large.memory[1] ? 0 : groups_in_[0], groups);
    large.fresh_tags = large.fresh_slots = {};
    if (backed >= groups) return;
    large.fresh_tags =
        page_frontier::between(to.tags() + backed * group_bytes, to.tags() + groups * group_bytes);
    large.fresh_slots = page_frontier::between(to.slots() + backed * shape::group_stride,
                                               to.slots() + groups * shape::group_stride);
}

/// All entries are at the high scale.
STEADY_TABLE
void STEADY_TABLE_TYPE::end_pass() noexcept {
    large_state& large = *large_;
    if (large.memory[1]) {
        large.memory[0].release(alloc_, groups_in_[0]);
        large.memory[0] = std::exchange(large.memory[1], {});
    }
    large.memory[0].note_paged(groups_in_[1]);
    large.memory[0].narrow_share();
    set_scales({tags_[1], slots_[1], groups_in_[1]});
}

/// Throws     std::bad_alloc; then nothing has changed (G1).
STEADY_TABLE
void STEADY_TABLE_TYPE::stretch_step() {
    large_state& large = *large_;
    const bool watched = growth_hook.armed();
    const auto began =
        watched ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const bytes before = watched ? memory().total() : bytes{};

    growth_state next = large.state;
    next.advance();
    const bool last = !next.passing();
    const std::uint64_t c = last ? 0 : next.edge;
    const run from = cluster_at(c, 0);
    std::size_t blocks_wanted = shape::spares;
    if (large.chained != 0) for_each_block(from.groups, [&](const run&) { ++blocks_wanted; });
    ensure_spares(blocks_wanted);
    if (!large.state.passing()) begin_pass();

    const bool in_place = !large.memory[1];
    const std::uint64_t lowest = first_hash(c * shape::groups, groups_in_[0]);
    const std::uint64_t target = group_number(lowest, groups_in_[1]);
    std::uint64_t first = target & ~std::uint64_t{shape::groups - 1};
    if (in_place) first = std::max(first, groups_in_[0]);
    if (first < large.cleared) {
        large.fresh_tags.go_below(tags_[1] + first * group_bytes, page_frontier::page);
        large.fresh_slots.go_below(slots_[1] + first * group_slots, shape::populated_at_once);
        std::memset(tags_[1] + first * group_bytes, 0, (large.cleared - first) * group_bytes);
        large.cleared = first;
    }
    const bool overlapping = in_place && target < (c + 1) * shape::groups;
    std::uint64_t moved =
        overlapping ? lift_and_move_cluster(from, target) : move_cluster(from, target);
    if (large.chained != 0) [[unlikely]]
        moved += move_chain(from.groups, 0, ~std::uint64_t{0}, 1);
    if (!overlapping) std::memset(from.groups, 0, shape::group_area);
    large.state = next;
    if (!in_place && !last && large.memory[0].gives_back_early()) {
        const std::uint64_t all = next.low_clusters();
        for (const page_part& p : parts()) {
            if (c % p.at_once == 0) p.drop(c, std::min(c + p.at_once, all), c, all);
        }
    }
    if (last) {
        end_pass();
    } else {
        frontier_ = lowest - 1;
        addressing_ = large.memory[1] ? in_two_regions : in_one_region;
    }
    if (spare_ != nullptr) trim_spares(shape::spares);
    large.shrinking = false;
    large.erasures = large.patience = 0;
    ++large.splits;
    large.moved += moved;
    ++relocations_;
    set_limits();
    prefetch_step();
    if (watched) announce_growth(began, before, moved, shape::pages_of_step);
}

/// The cluster that the next step moves: all of it at once, because the processor's own
/// prefetching stops at each page.
STEADY_TABLE
void STEADY_TABLE_TYPE::prefetch_step() const noexcept {
    const growth_state& s = large_->state;
    if (!s.passing()) return;
    const run next = cluster_at(s.edge - 1, 0);
    constexpr std::size_t line = 64;
    for (std::size_t i = 0; i < shape::group_area; i += line) __builtin_prefetch(next.groups + i);
    for (std::size_t i = 0; i < shape::stride; i += line) {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(next.slots) + i);
    }
}

/// Throws     std::bad_alloc; then nothing has changed.
STEADY_TABLE
bool STEADY_TABLE_TYPE::compress_step() noexcept {
    large_state& large = *large_;
    const bool watched = growth_hook.armed();
    const auto began =
        watched ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const bytes before = watched ? memory().total() : bytes{};

    growth_state next = large.state;
    next.retreat(scales_down());
    const bool last = !next.passing();
    const std::uint64_t clusters = next.low_clusters(), c = (last ? clusters : next.edge) - 1;
    const std::uint64_t low_groups = clusters * shape::groups;
    const std::uint64_t lowest = first_hash(c * shape::groups, low_groups);
    const std::uint64_t highest =
        last ? ~std::uint64_t{0} : first_hash((c + 1) * shape::groups, low_groups) - 1;
    const std::uint64_t from = number_of(lowest, 1) / shape::groups;
    const std::uint64_t to = number_of(highest, 1) / shape::groups;
    try {
        std::size_t blocks_wanted = 0;
        std::uint64_t arriving = cluster_at(c, 0).entries();
        for (std::uint64_t s = from; s <= to; ++s) {
            arriving += cluster_at(s, 1).entries();
            if (large.chained == 0) continue;
            for_each_block(cluster_at(s, 1).groups, [&](const run&) { ++blocks_wanted; });
        }
        if (arriving > shape::slots) {
            blocks_wanted += (arriving - shape::slots) / shape::block_slots + 1;
        }
        ensure_spares(blocks_wanted);
    } catch (...) {
        return false;  // stay as large as we are
    }
    if (!large.state.passing()) {
        groups_in_[0] = low_groups;
        large.cleared = low_groups;
    }
    std::uint64_t moved = 0;
    for (std::uint64_t s = from; s <= to; ++s) {
        const run source = cluster_at(s, 1);
        moved += move_range(source, lowest, highest, 0);
        if (large.chained != 0) moved += move_chain(source.groups, lowest, highest, 0);
    }
    frontier_ = highest;
    addressing_ = large.memory[1] ? in_two_regions : in_one_region;
    large.state = next;
    for (std::uint64_t s = from; s <= to; ++s) tidy(cluster_at(s, 1));
    const bool in_place = !large.memory[1];
    if (in_place) {
        drop_behind(c == 0 ? 0 : number_of(lowest - 1, 1) / shape::groups, to, last);
    }
    if (last) {
        large.memory[1].release(alloc_, groups_in_[1]);
        set_scales({tags_[0], slots_[0], low_groups});
        large.memory[0].narrow_share();
    }
    if (spare_ != nullptr) trim_spares(shape::spares);
    ++large.merges;
    large.moved += moved;
    ++relocations_;
    set_limits();
    if (watched) announce_growth(began, before, moved, 0);
    return true;
}

// ---- Pages of dead clusters. A system call for many pages takes little more than one for few:
// from 33 pages on the kernel flushes all translations instead of each one.

STEADY_TABLE
auto STEADY_TABLE_TYPE::parts() const noexcept -> std::array<page_part, 2> {
    constexpr std::size_t most = 62 * page_frontier::page, of_one_step = 4;
    const paged_parts kept = large_->memory[0].kept_anyway();
    return {{{reinterpret_cast<std::uintptr_t>(slots_[0]), shape::stride, kept.slots,
              most / shape::stride - of_one_step},
             {reinterpret_cast<std::uintptr_t>(tags_[0]), shape::group_area, kept.tags,
              most / shape::group_area - of_one_step}}};
}

/// Gives back the pages of these clusters, which are dead like all others between `first` and
/// `end`: with the pages they share with those.
STEADY_TABLE
void STEADY_TABLE_TYPE::page_part::drop(std::uint64_t from, std::uint64_t to, std::uint64_t first,
                                        std::uint64_t end) const noexcept {
    constexpr std::uintptr_t page = page_frontier::page;
    drop_pages(std::max(start + first * size, round_down(start + from * size, page)),
               std::min(start + end * size, round_up(start + to * size, page)));
}

/// A compressing step has emptied the clusters from `before` to `to`, which lie behind the
/// table: their pages go back, some clusters at a time.
STEADY_TABLE
void STEADY_TABLE_TYPE::drop_behind(std::uint64_t before, std::uint64_t to, bool last) noexcept {
    region& memory = large_->memory[0];
    if (!memory.is_long()) return;
    const std::uint64_t clusters = large_->state.low_clusters();
    const std::uint64_t all = groups_in_[1] / shape::groups;
    for (const page_part& p : parts()) {
        const std::uint64_t first = std::max(clusters, (p.kept + p.size - 1) / p.size);
        const std::uint64_t from = std::max(first, before / p.at_once * p.at_once);
        const std::uint64_t end = last ? all : to / p.at_once * p.at_once;
        if (from < end) p.drop(from, end, first, end);
    }
    if (last) memory.note_dropped(clusters * shape::groups, groups_in_[1]);
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
