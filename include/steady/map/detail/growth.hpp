// growth.hpp - growing and shrinking by one cluster, and putting one cluster in order.
//
//   split   cluster C = number of clusters is added to family `split`; the entries whose
//           position in the family is now another one move
//   merge   the same backwards: the last cluster's entries move to where the row of the
//           stage before says, and the cluster is gone
//   tidy    one cluster: overflow bits are made anew, strays go home where there is room
//
//   Both go in two steps, and only the first can fail:
//     plan    hash every entry of the family, note its new position and its home, count
//             arrivals; allocate the blocks for chains that could be needed
//     move    relocate; no allocation, nothing that throws
//
// Invariants
//   G1  A split or merge that throws has changed nothing that a search can see.
//   G2  After a split or merge every entry of the family is where its hash says (T1), and
//       overflow bits are set only for entries that stand elsewhere.
//   G3  One operation moves entries of one family only: at most 2K clusters and what is
//       chained to them; with a hash that spreads, fewer than 1,024 entries.

#pragma once

#include <chrono>

#include "steady/map/detail/table.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

/// What a pass over one cluster found out: which slots' entries belong to another position,
/// and which stand outside their home group. A slot is group * 16 + index.
STEADY_TABLE
struct STEADY_TABLE_TYPE::cluster_plan {
    cluster_plan() noexcept {}  // lists are written before they are read
    unsigned movers = 0;
    unsigned strays = 0;
    std::uint8_t mover[shape::slots + 1];
    std::uint8_t mover_to[shape::slots + 1];
    std::uint8_t stray[shape::slots + 1];
};

STEADY_TABLE
struct STEADY_TABLE_TYPE::family_plan {
    cluster_plan at[most_positions];
};

// ---- Limits.

/// Entries at which the next family is split: a line from the load at the beginning of the
/// pass to `full` entries in every cluster that has not been split at its end.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::limit_of(const growth_state& s) noexcept {
    constexpr std::uint64_t u = shape::full;
    const std::uint64_t families = s.families(), g = s.stage;
    if (s.level != 0 && g == partial_expansions) {  // the pass before had half the families
        return (families * (2 * g - 1) * u + (s.split + 1) * u) / 2;
    }
    return families * (g - 1) * u + (s.split + 1) * u;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::set_limits() noexcept {
    if (large_ == nullptr) {
        const unsigned count = last_group_ + 1u;
        grow_at_ = shape::small_limit(count);
        shrink_at_ = count > small_floor_ ? grow_at_ / 4 : 0;
        return;
    }
    large_state& large = *large_;
    grow_at_ = limit_of(large.state);
    if (large.state.clusters() <= large.floor) {
        large.shrinking = false;
        shrink_at_ = 0;
    } else {
        // Begins late and then goes on: a map that loses a little keeps its room.
        if (size_ >= grow_at_ / 10 * 9) large.shrinking = false;
        shrink_at_ = large.shrinking ? grow_at_ / 10 * 9 : grow_at_ / 8;
    }
}

// ---- Growing.

STEADY_TABLE
void STEADY_TABLE_TYPE::grow() {
    if (large_ == nullptr) {
        if (groups_ == empty_group_pointer()) return resize_small(1);
        if (last_group_ + 1u < shape::groups) return resize_small(2 * (last_group_ + 1u));
        become_large();
    }
    split();
}

/// One block of so many groups; all entries move there.
STEADY_TABLE
void STEADY_TABLE_TYPE::resize_small(unsigned group_count) {
    std::byte* const block = blocks::allocate(alloc_, shape::block_size(group_count));
    std::memset(block, 0, std::size_t{group_count} * group_bytes);
    const cluster_place to{reinterpret_cast<std::uint8_t*>(block),
                           reinterpret_cast<Slot*>(block + shape::slots_at(group_count)),
                           group_count - 1};
    if (groups_ == empty_group_pointer()) {
        seed_ = new_seed(block);
    } else {
        const cluster_place from{groups_, slots_, last_group_};
        for (unsigned g = 0; g <= from.last; ++g) {
            std::uint8_t* const group = from.groups + g * group_bytes;
            for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
                Slot& slot = from.slots[g * group_slots + i];
                const position_type at = free_slot_in_cluster(hash_of_slot(slot), to);
                slot.relocate_to(at.slot());
                *at.tag = group[i];
            }
        }
        blocks::deallocate(alloc_, reinterpret_cast<std::byte*>(groups_),
                           shape::block_size(last_group_ + 1u));
    }
    groups_ = to.groups;
    slots_ = to.slots;
    last_group_ = static_cast<std::uint16_t>(to.last);
    ++relocations_;
    set_limits();
}

/// The block of a small table becomes cluster 0.
STEADY_TABLE
void STEADY_TABLE_TYPE::become_large() {
    using state_source = block_source<Alloc, alignof(large_state)>;
    auto* const fresh = ::new (state_source::allocate(alloc_, sizeof(large_state))) large_state;
    fresh->state = growth_state::with_clusters(1);
    fresh->address.set(fresh->state);
    fresh->base[0] = {reinterpret_cast<std::uintptr_t>(groups_),
                      reinterpret_cast<std::uintptr_t>(slots_)};
    cluster_header& header = header_behind(slots_, shape::slots);
    header = {nullptr, 0};
    fresh->block[0] = {reinterpret_cast<std::byte*>(groups_), shape::block_size(shape::groups),
                       &header};
    large_ = fresh;
    set_limits();
}

/// The other way round, when one cluster is left and nothing is chained to it.
STEADY_TABLE
void STEADY_TABLE_TYPE::become_small() noexcept {
    using state_source = block_source<Alloc, alignof(large_state)>;
    const cluster_place only = cluster_at(0);
    // Some were taken ahead of splits that never came.
    for (unsigned i = 1; i < segments; ++i) release_segment(i);
    drop_spare_blocks();
    large_state* const old = large_;
    large_ = nullptr;
    groups_ = only.groups;
    slots_ = only.slots;
    last_group_ = shape::groups - 1;
    state_source::deallocate(alloc_, reinterpret_cast<std::byte*>(old), sizeof(large_state));
    set_limits();
}

/// Of a segment: its groups from a cache line's start on, its slots, its headers.
STEADY_TABLE
constexpr std::size_t STEADY_TABLE_TYPE::segment_bytes(unsigned index) noexcept {
    const std::uint64_t count = std::uint64_t{1} << index;
    return segment_line + count * shape::group_area +
           round_up(count * shape::stride, alignof(cluster_header)) +
           count * sizeof(cluster_header);
}

/// Memory for segment `index`, unless it has some.
STEADY_TABLE
void STEADY_TABLE_TYPE::prepare_segment(unsigned index) {
    segment_block& segment = large_->block[index];
    if (segment.start != nullptr) return;
    constexpr std::size_t line = segment_line;
    const std::uint64_t count = std::uint64_t{1} << index, first = count - 1;
    const std::size_t group_area = count * shape::group_area;
    const std::size_t slot_area = round_up(count * shape::stride, alignof(cluster_header));
    const std::size_t size = segment_bytes(index);
    segment.start = blocks::allocate(alloc_, size);
    segment.size = size;
    const std::uintptr_t start = round_up(reinterpret_cast<std::uintptr_t>(segment.start), line);
    segment.headers = reinterpret_cast<cluster_header*>(start + group_area + slot_area);
    large_->base[index] = {start - first * shape::group_area,
                           start + group_area - first * shape::stride};
    if (huge_pages_) ask_for_huge_pages(start, start + size - line);
}

STEADY_TABLE
void STEADY_TABLE_TYPE::prefer_huge_pages() noexcept {
    huge_pages_ = true;
    if (large_ == nullptr) return;
    for (unsigned i = 1; i < segments; ++i) {
        const segment_block& segment = large_->block[i];
        const auto start = reinterpret_cast<std::uintptr_t>(segment.start);
        if (segment.start != nullptr) ask_for_huge_pages(start, start + segment.size);
    }
}

STEADY_TABLE
void STEADY_TABLE_TYPE::release_segment(unsigned index) noexcept {
    segment_block& segment = large_->block[index];
    if (segment.start == nullptr) return;
    blocks::deallocate(alloc_, segment.start, segment.size);
    segment = {};
    large_->base[index] = {};
}

/// Clusters from `gone` on are dead. Their pages go back a few at a time, so that nothing
/// is left to walk when the segment goes.
STEADY_TABLE
void STEADY_TABLE_TYPE::drop_pages_behind(std::uint64_t gone) noexcept {
    constexpr std::size_t small_segment = std::size_t{1} << 20, chunk = std::size_t{1} << 15;
    constexpr std::uint64_t clusters_of_slots = std::max<std::size_t>(1, chunk / shape::stride);
    constexpr std::uint64_t clusters_of_groups = chunk / shape::group_area;
    const unsigned s = segment_of(gone);
    if (large_->block[s].size < small_segment) return;
    const std::uint64_t end = (std::uint64_t{2} << s) - 1;  // of the segment
    const segment_base& base = large_->base[s];
    // A page more than the chunk on each side: its ends need not be at pages.
    if (gone % clusters_of_slots == 0) {
        const std::uint64_t last = std::min(end, gone + clusters_of_slots + 1);
        drop_pages(base.slots + gone * shape::stride, base.slots + last * shape::stride);
    }
    if (gone % clusters_of_groups == 0) {
        const std::uint64_t last = std::min(end, gone + clusters_of_groups + 16);
        drop_pages(base.groups + gone * shape::group_area, base.groups + last * shape::group_area);
    }
}

/// An empty cluster behind the last one; the state does not know it yet.
STEADY_TABLE
void STEADY_TABLE_TYPE::add_cluster(std::uint64_t cluster) {
    prepare_segment(segment_of(cluster));
    const cluster_place at = cluster_at(cluster);
    std::memset(at.groups, 0, shape::group_area);
    header_of(cluster) = {nullptr, cluster};
}

/// Throws     std::bad_alloc; then nothing has changed (G1).
STEADY_TABLE
void STEADY_TABLE_TYPE::split() {
    large_state& large = *large_;
    const growth_state s = large.state;
    const bool watched = growth_hook.armed();
    const auto began =
        watched ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const bytes before = watched ? memory().total() : bytes{};

    add_cluster(s.clusters());
    const std::uint64_t moved =
        redistribute(s.split, split_traffic[s.stage], position_rows[s.stage + 1u].data());
    large.state.advance();
    large.address.set(large.state);
    prepare_ahead();
    large.shrinking = false;
    ++large.splits;
    large.moved += moved;
    ++relocations_;
    set_limits();
    if (watched) announce_growth(began, before, moved, shape::pages_of_cluster);
}

/// What the first split of a new segment would have to do all at once, done by the four
/// splits before it: taking the memory, and the first page of each of its three parts.
STEADY_TABLE
void STEADY_TABLE_TYPE::prepare_ahead() noexcept {
    const std::uint64_t next = large_->state.clusters();
    const std::uint64_t ahead = next + splits_ahead;
    const unsigned index = segment_of(ahead);
    const std::uint64_t first = (std::uint64_t{1} << index) - 1;
    if (first <= next || first > ahead) return;
    const auto touch = [](std::uintptr_t address) {
        *reinterpret_cast<volatile std::uint8_t*>(address) = 0;  // nobody has been here yet
    };
    if (first == ahead) {
        try {
            prepare_segment(index);
        } catch (...) {
            // The split that needs it will ask again and say so.
        }
    } else if (large_->block[index].start != nullptr) {
        const segment_base& base = large_->base[index];
        if (first == next + 3) touch(base.groups + first * shape::group_area);
        if (first == next + 2) touch(base.slots + first * shape::stride);
        if (first == next + 1) {
            touch(reinterpret_cast<std::uintptr_t>(large_->block[index].headers));
        }
    }
}

STEADY_TABLE
bool STEADY_TABLE_TYPE::merge() noexcept {
    large_state& large = *large_;
    growth_state s = large.state;
    if (s.clusters() == 1) return false;
    const bool watched = growth_hook.armed();
    const auto began =
        watched ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const bytes before = watched ? memory().total() : bytes{};

    s.retreat();
    growth_state old = std::exchange(large.state, s);
    std::uint64_t moved = 0;
    try {
        moved = redistribute(s.split, merge_traffic[s.stage], position_rows[s.stage].data());
    } catch (...) {
        large.state = old;  // no memory for chains: stay as large as we are
        return false;
    }
    large.address.set(large.state);
    const std::uint64_t gone = s.clusters();
    drop_chain(cluster_at(gone));
    if (std::has_single_bit(gone + 1)) {
        release_segment(segment_of(gone));
        // One that was prepared ahead goes too.
        release_segment(segment_of(gone) + 1);
    } else {
        drop_pages_behind(gone);
    }
    ++large.merges;
    large.moved += moved;
    ++relocations_;
    set_limits();
    if (watched) announce_growth(began, before, moved, 0);
    return true;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::announce_growth(std::chrono::steady_clock::time_point began, bytes before,
                                        std::uint64_t moved, std::uint64_t pages) noexcept {
    const auto took = std::chrono::steady_clock::now() - began;
    growth_hook.announce({this, element::is_map ? "map" : "set", moved, pages, before.count(),
                          memory().total().count(),
                          static_cast<std::uint64_t>(
                              std::chrono::duration_cast<std::chrono::nanoseconds>(took).count())});
}

// ---- Both directions.

/// Puts every entry of the family where row `next` says.
///
/// Returns    the entries that moved to another cluster.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::redistribute(std::uint64_t family, const rows::traffic& pass,
                                              const std::uint8_t* next) {
    const unsigned level = large_->state.level;
    family_plan plan;
    unsigned movers = 0;
    // All of it at once: the processor's own prefetching stops at each page.
    for (unsigned p = 0; p < pass.positions; ++p) {
        if ((pass.leaving >> p & 1) == 0) continue;
        const cluster_place at = cluster_at(family + (std::uint64_t{p} << level));
        constexpr std::size_t line = 64;
        for (std::size_t i = 0; i < shape::group_area; i += line) {
            __builtin_prefetch(at.groups + i);
        }
        for (std::size_t i = 0; i < shape::stride; i += line) {
            __builtin_prefetch(reinterpret_cast<const std::byte*>(at.slots) + i);
        }
    }
    for (unsigned p = 0; p < pass.positions; ++p) {
        if ((pass.leaving >> p & 1) == 0) continue;
        movers +=
            plan_cluster(cluster_at(family + (std::uint64_t{p} << level)), p, next, plan.at[p]);
    }
    reserve_chains(family, pass, next, movers, plan);
    for (unsigned i = 0; i < pass.positions; ++i) {
        // Towards the higher positions from the highest one down, and back from the lowest
        // one up, so that room is made before it is needed.
        const unsigned p = pass.upwards ? pass.positions - 1 - i : i;
        if ((pass.leaving >> p & 1) == 0) continue;
        const cluster_place at = cluster_at(family + (std::uint64_t{p} << level));
        move_out(at, family, p, next, plan.at[p]);
        tidy(at, plan.at[p]);
    }
    trim_spare_blocks();
    return movers;
}

/// Hashes every entry of a cluster and its chain.
///
/// Returns    how many belong to other positions.
STEADY_TABLE
unsigned STEADY_TABLE_TYPE::plan_cluster(const cluster_place& at, unsigned pos,
                                         const std::uint8_t* next, cluster_plan& plan) const {
    // Everything the loop needs is in locals: it writes bytes, which could be anything.
    const unsigned level = large_ == nullptr ? 0 : large_->state.level;
    const std::uint64_t seed = seed_;
    std::uint8_t* const mover = plan.mover;
    std::uint8_t* const mover_to = plan.mover_to;
    std::uint8_t* const stray = plan.stray;
    unsigned movers = 0, strays = 0;
    const std::uint8_t* group = at.groups;
    const Slot* slots = at.slots;
    for (unsigned g = 0; g < shape::groups; ++g, group += group_bytes, slots += group_slots) {
        for (auto m = group16{group}.match_occupied(slot_tags); m; m.drop_lowest()) {
            const unsigned i = m.lowest();
            std::uint64_t hash;
            if constexpr (Slot::caches_hash) {
                hash = slots[i].hash;
            } else {
                hash = hash_with_seed(hash_, slots[i].key(), seed);
            }
            const unsigned to = next[position_index(hash, level)];
            // No branches: which of the three it is cannot be predicted.
            const auto slot = static_cast<std::uint8_t>(g * 16 + i);
            mover[movers] = slot;
            mover_to[movers] = static_cast<std::uint8_t>(to);
            stray[strays] = slot;
            const unsigned moves = to != pos;
            movers += moves;
            strays += (moves ^ 1u) & unsigned{home_of(hash, shape::groups - 1) != g};
        }
    }
    plan.movers = movers;
    plan.strays = strays;
    if (has_chain(at)) [[unlikely]] {
        for_each_chained(at, [&](const cluster_place& block) {
            for_each_entry(block, [&](const position_type& entry) {
                movers += next[position_index(hash_of_slot(entry.slot()), level)] != pos;
            });
        });
    }
    return movers;
}

/// Takes the blocks that chains of this family could need, so that moving cannot fail.
STEADY_TABLE
void STEADY_TABLE_TYPE::reserve_chains(std::uint64_t family, const rows::traffic& pass,
                                       const std::uint8_t* next, unsigned movers,
                                       const family_plan& plan) {
    const unsigned level = large_->state.level;
    if (pass.receiving == 0 && movers <= shape::slots) return;  // an empty cluster takes them all
    unsigned arrivals[most_positions] = {};
    for (unsigned from = 0; from < pass.positions; ++from) {
        if ((pass.leaving >> from & 1) == 0) continue;
        const cluster_plan& c = plan.at[from];
        for (unsigned i = 0; i < c.movers; ++i) ++arrivals[c.mover_to[i]];
        const cluster_place at = cluster_at(family + (std::uint64_t{from} << level));
        if (!has_chain(at)) continue;
        for_each_chained(at, [&](const cluster_place& block) {
            for_each_entry(block, [&](const position_type& entry) {
                const unsigned to = next[position_index(hash_of_slot(entry.slot()), level)];
                arrivals[to] += to != from;
            });
        });
    }
    std::size_t wanted = 0;
    for (unsigned p = 0; p < most_positions; ++p) {
        unsigned there = arrivals[p];
        if (there == 0) continue;
        if (p < pass.positions) {
            there += count_entries(cluster_at(family + (std::uint64_t{p} << level)));
        }
        if (there <= shape::slots) continue;
        wanted += (there - shape::slots + shape::block_slots - 1) / shape::block_slots;
    }
    if (wanted == 0) return;
    for (std::byte* b = spare_; b != nullptr && wanted != 0; b = header_of_chained(b).overflow) {
        --wanted;
    }
    for (; wanted != 0; --wanted) {
        std::byte* const block = blocks::allocate(alloc_, shape::block_size(shape::block_groups));
        header_of_chained(block) = {spare_, 0};
        spare_ = block;
    }
}

/// Moves the entries that belong to other positions there.
STEADY_TABLE
void STEADY_TABLE_TYPE::move_out(const cluster_place& at, std::uint64_t family, unsigned pos,
                                 const std::uint8_t* next, const cluster_plan& plan) noexcept {
    const unsigned level = large_->state.level;
    const auto move_to = [&](const cluster_place& there, Slot& slot, std::uint8_t& tag) {
        position_type place = free_slot_in_cluster(hash_of_slot(slot), there);
        if (!place) [[unlikely]]
            place = free_slot_chained(there);
        slot.relocate_to(place.slot());
        *place.tag = tag;
        tag = 0;
    };
    cluster_place target[most_positions];
    for (unsigned p = 0; p < most_positions; ++p) target[p] = {nullptr, nullptr, 0};
    const auto target_at = [&](unsigned p) -> const cluster_place& {
        if (target[p].groups == nullptr) {
            target[p] = cluster_at(family + (std::uint64_t{p} << level));
        }
        return target[p];
    };
    for (unsigned n = 0; n < plan.movers; ++n) {
        const unsigned g = plan.mover[n] / 16, i = plan.mover[n] % 16;
        move_to(target_at(plan.mover_to[n]), at.slots[g * group_slots + i],
                at.groups[g * group_bytes + i]);
    }
    if (has_chain(at)) [[unlikely]] {
        for_each_chained(at, [&](const cluster_place& block) {
            for_each_entry(block, [&](const position_type& entry) {
                const unsigned to = next[position_index(hash_of_slot(entry.slot()), level)];
                if (to != pos) move_to(target_at(to), entry.slot(), *entry.tag);
            });
        });
    }
}

/// Makes the overflow bits of a cluster anew and brings strays nearer to home.
STEADY_TABLE
void STEADY_TABLE_TYPE::tidy(const cluster_place& at, const cluster_plan& plan) noexcept {
    for (unsigned g = 0; g < shape::groups; ++g) at.groups[g * group_bytes + group_slots] = 0;
    for (unsigned s = 0; s < plan.strays; ++s) {
        const unsigned g = plan.stray[s] / 16, i = plan.stray[s] % 16;
        Slot& slot = at.slots[g * group_slots + i];
        std::uint8_t& tag = at.groups[g * group_bytes + i];
        const std::uint64_t hash = hash_of_slot(slot);
        const unsigned home = home_of(hash, shape::groups - 1);
        for (unsigned n = 0;; ++n) {
            const unsigned t = home ^ n;
            if (t == g) break;  // nothing nearer has room
            std::uint8_t* const nearer = at.groups + t * group_bytes;
            if (const auto empty = group16{nearer}.match_empty(slot_tags)) {
                Slot* const slots = at.slots + t * group_slots;
                const unsigned j = choose_slot(empty, slots, hash);
                slot.relocate_to(slots[j]);
                nearer[j] = tag;
                tag = 0;
                break;
            }
            nearer[group_slots] |= overflow_bit(hash);
        }
    }
    if (has_chain(at)) [[unlikely]]
        tidy_chain(at);
}

STEADY_TABLE
void STEADY_TABLE_TYPE::trim_spare_blocks() noexcept {
    while (spare_ != nullptr && header_of_chained(spare_).overflow != nullptr) {
        std::byte* const second = header_of_chained(spare_).overflow;
        header_of_chained(spare_).overflow = header_of_chained(second).overflow;
        give_back_block(second);
    }
}

/// Brings chained entries back into their cluster while it has room, and gives back the
/// blocks that are empty then.
STEADY_TABLE
void STEADY_TABLE_TYPE::tidy_chain(const cluster_place& at) noexcept {
    std::byte** link = &header_of(at.cluster).overflow;
    while (*link != nullptr) {
        std::byte* const block = *link;
        const cluster_place c = chained(block);
        for (unsigned g = 0; g <= c.last; ++g) {
            std::uint8_t* const group = c.groups + g * group_bytes;
            for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
                Slot& slot = c.slots[g * group_slots + i];
                const position_type place = free_slot_in_cluster(hash_of_slot(slot), at);
                if (!place) continue;  // its bits are set in every group now
                slot.relocate_to(place.slot());
                *place.tag = group[i];
                group[i] = 0;
            }
        }
        if (count_entries(c) == 0) {
            *link = header_of_chained(block).overflow;
            give_back_block(block);
            --large_->chained;
        } else {
            link = &header_of_chained(block).overflow;
        }
    }
}

STEADY_TABLE
void STEADY_TABLE_TYPE::drop_chain(const cluster_place& at) noexcept {
    std::byte*& first = header_of(at.cluster).overflow;
    while (first != nullptr) {
        std::byte* const next = header_of_chained(first).overflow;
        give_back_block(first);
        --large_->chained;
        first = next;
    }
}

STEADY_TABLE
void STEADY_TABLE_TYPE::drop_spare_blocks() noexcept {
    while (spare_ != nullptr) {
        give_back_block(std::exchange(spare_, header_of_chained(spare_).overflow));
    }
}

STEADY_TABLE
std::byte* STEADY_TABLE_TYPE::take_spare_block() {
    std::byte* block = spare_;
    if (block != nullptr) {
        spare_ = header_of_chained(block).overflow;
    } else {
        block = blocks::allocate(alloc_, shape::block_size(shape::block_groups));
    }
    std::memset(block, 0, shape::block_groups * group_bytes);
    return block;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::give_back_block(std::byte* block) noexcept {
    blocks::deallocate(alloc_, block, shape::block_size(shape::block_groups));
}

// ---- After erasures.

STEADY_TABLE
void STEADY_TABLE_TYPE::tidy_after_erase(position_type at) noexcept {
    const cluster_place owner = place_of(hash_of_slot(at.slot()));
    erase_at(at);
    credit_ = 0;
    if (owner.last != shape::groups - 1) return;  // few groups: a search is short anyway
    cluster_plan plan;
    plan_cluster(owner, 0, position_rows[1].data(), plan);  // row 1: nobody leaves
    tidy(owner, plan);
    if (large_ != nullptr) ++large_->tidied;
    ++relocations_;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::shrink_a_little() noexcept {
    constexpr std::uint32_t erasures_per_merge = 16;
    if (large_ != nullptr) {
        large_->shrinking = true;
        if (++large_->erasures % erasures_per_merge != 0) {
            set_limits();
            return;
        }
    }
    if (!shrink_step()) shrink_at_ = 0;
}

/// Whether a smaller table would hold the entries, with some room to spare.
STEADY_TABLE
bool STEADY_TABLE_TYPE::can_shrink() const noexcept {
    if (large_ == nullptr) {
        const unsigned count = last_group_ + 1u;
        return count > 1 && size_ <= shape::small_limit(count / 2);
    }
    growth_state s = large_->state;
    if (s.clusters() == 1) return header_of(std::uint64_t{0}).overflow == nullptr;
    s.retreat();
    return size_ < limit_of(s);
}

STEADY_TABLE
bool STEADY_TABLE_TYPE::shrink_step() noexcept {
    if (large_ != nullptr) {
        if (large_->state.clusters() > 1) return merge();
        if (header_of(std::uint64_t{0}).overflow != nullptr) return false;
        become_small();
        return true;
    }
    const unsigned count = last_group_ + 1u;
    if (count == 1 || size_ > shape::small_limit(count / 2)) return false;
    try {
        resize_small(count / 2);
    } catch (...) {
        return false;
    }
    return true;
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
