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

/// Who goes where: for each slot of the family, position << 4 | home group.
STEADY_TABLE
struct STEADY_TABLE_TYPE::family_plan {
    family_plan() noexcept {}  // `where` is written before it is read
    std::uint8_t where[most_positions][shape::slots];
    unsigned arrivals[most_positions] = {};  // from other positions
};

namespace rows {

/// Bit p: between stage g and stage g + 1 some entries leave (or come back to) position p.
constexpr unsigned changed_positions(unsigned g, bool upwards) noexcept {
    const position_row& from = position_rows[upwards ? g : g + 1];
    const position_row& to = position_rows[upwards ? g + 1 : g];
    unsigned mask = 0;
    for (unsigned x = 0; x < 256; ++x) {
        if (from[x] != to[x]) mask |= 1u << from[x];
    }
    return mask;
}

constexpr auto make_leaving(bool upwards) noexcept {
    std::array<unsigned, most_positions> masks{};
    for (unsigned g = 1; g < most_positions; ++g) masks[g] = changed_positions(g, upwards);
    return masks;
}

}  // namespace rows

inline constexpr auto leaves_at_split = rows::make_leaving(true);
inline constexpr auto leaves_at_merge = rows::make_leaving(false);

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
        if (size_ >= grow_at_ / 5 * 4) large.shrinking = false;
        shrink_at_ = large.shrinking ? grow_at_ / 5 * 4 : grow_at_ / 4;
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
    if (group_count == shape::groups) header_of(to) = {nullptr, 0};
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
                at.group[at.index] = group[i];
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
    fresh->base[0] = {reinterpret_cast<std::uintptr_t>(groups_),
                      reinterpret_cast<std::uintptr_t>(slots_)};
    fresh->block[0] = {reinterpret_cast<std::byte*>(groups_), shape::block_size(shape::groups)};
    large_ = fresh;
    set_limits();
}

/// The other way round, when one cluster is left and nothing is chained to it.
STEADY_TABLE
void STEADY_TABLE_TYPE::become_small() noexcept {
    using state_source = block_source<Alloc, alignof(large_state)>;
    const cluster_place only = cluster_at(0);
    large_state* const old = large_;
    large_ = nullptr;
    groups_ = only.groups;
    slots_ = only.slots;
    last_group_ = shape::groups - 1;
    state_source::deallocate(alloc_, reinterpret_cast<std::byte*>(old), sizeof(large_state));
    set_limits();
}

/// Memory for segment `index`, unless it has some.
STEADY_TABLE
void STEADY_TABLE_TYPE::prepare_segment(unsigned index) {
    segment_block& segment = large_->block[index];
    if (segment.start != nullptr) return;
    constexpr std::size_t line = 64;
    const std::uint64_t first = std::uint64_t{1} << (index - 1), count = first;
    const std::size_t group_area = count * shape::group_area;
    const std::size_t size = group_area + count * shape::stride + line;
    segment.start = blocks::allocate(alloc_, size);
    segment.size = size;
    const std::uintptr_t start = round_up(reinterpret_cast<std::uintptr_t>(segment.start), line);
    large_->base[index] = {start - first * shape::group_area,
                           start + group_area - first * shape::stride};
}

STEADY_TABLE
void STEADY_TABLE_TYPE::release_segment(unsigned index) noexcept {
    segment_block& segment = large_->block[index];
    if (segment.start == nullptr) return;
    blocks::deallocate(alloc_, segment.start, segment.size);
    segment = {};
    large_->base[index] = {};
}

/// An empty cluster behind the last one; the state does not know it yet.
STEADY_TABLE
void STEADY_TABLE_TYPE::add_cluster(std::uint64_t cluster) {
    prepare_segment(static_cast<unsigned>(std::bit_width(cluster)));
    const cluster_place at = cluster_at(cluster);
    std::memset(at.groups, 0, shape::group_area);
    header_of(at) = {nullptr, cluster};
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
    const std::uint64_t moved = redistribute(s.split, s.stage, position_rows[s.stage + 1u].data(),
                                             leaves_at_split[s.stage], true);
    large.state.advance();
    large.shrinking = false;
    ++large.splits;
    large.moved += moved;
    ++relocations_;
    set_limits();
    if (watched) announce_growth(began, before, moved, shape::pages_of_cluster);
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
        moved = redistribute(s.split, s.stage + 1u, position_rows[s.stage].data(),
                             leaves_at_merge[s.stage], false);
    } catch (...) {
        large.state = old;  // no memory for chains: stay as large as we are
        return false;
    }
    const std::uint64_t gone = s.clusters();
    drop_chain(cluster_at(gone));
    if (std::has_single_bit(gone)) release_segment(static_cast<unsigned>(std::bit_width(gone)));
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

/// Puts every entry of the family's first `positions` clusters where row `next` says.
///
/// leaving    bit p: entries may leave position p.
/// Returns    the entries that moved to another cluster.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::redistribute(std::uint64_t family, unsigned positions,
                                              const std::uint8_t* next, unsigned leaving,
                                              bool upwards) {
    const unsigned level = large_->state.level;
    family_plan plan;
    for (unsigned p = 0; p < positions; ++p) {
        if ((leaving >> p & 1) == 0) continue;
        plan_cluster(cluster_at(family + (std::uint64_t{p} << level)), p, next, plan);
    }
    reserve_chains(family, plan);
    std::uint64_t moved = 0;
    for (unsigned i = 0; i < positions; ++i) {
        // Towards the higher positions from the highest one down, and back from the lowest
        // one up, so that room is made before it is needed.
        const unsigned p = upwards ? positions - 1 - i : i;
        if ((leaving >> p & 1) == 0) continue;
        const cluster_place at = cluster_at(family + (std::uint64_t{p} << level));
        moved += move_out(at, family, p, next, plan);
        tidy(at, plan.where[p]);
    }
    while (spare_ != nullptr && header_of_chained(spare_).overflow != nullptr) {
        std::byte* const second = header_of_chained(spare_).overflow;
        header_of_chained(spare_).overflow = header_of_chained(second).overflow;
        give_back_block(second);
    }
    return moved;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::plan_cluster(const cluster_place& at, unsigned pos,
                                     const std::uint8_t* next, family_plan& plan) const {
    const unsigned level = large_->state.level;
    for (unsigned g = 0; g < shape::groups; ++g) {
        const std::uint8_t* const group = at.groups + g * group_bytes;
        const Slot* const slots = at.slots + g * group_slots;
        std::uint8_t* const where = plan.where[pos] + g * group_slots;
        for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
            const std::uint64_t hash = hash_of_slot(slots[i]);
            const unsigned to = next[(hash >> level) & 255];
            where[i] = static_cast<std::uint8_t>(to << 4 | home_of(hash, shape::groups - 1));
            plan.arrivals[to] += to != pos;
        }
    }
    for (std::byte* block = header_of(at).overflow; block != nullptr;
         block = header_of_chained(block).overflow) {
        const cluster_place c = chained(block);
        for (unsigned g = 0; g <= c.last; ++g) {
            for (const unsigned i : group16{c.groups + g * group_bytes}.match_occupied(slot_tags)) {
                const std::uint64_t hash = hash_of_slot(c.slots[g * group_slots + i]);
                const unsigned to = next[(hash >> level) & 255];
                plan.arrivals[to] += to != pos;
            }
        }
    }
}

/// Takes the blocks that chains of this family could need, so that moving cannot fail.
STEADY_TABLE
void STEADY_TABLE_TYPE::reserve_chains(std::uint64_t family, const family_plan& plan) {
    std::size_t wanted = 0;
    for (unsigned p = 0; p < most_positions; ++p) {
        const unsigned arrivals = plan.arrivals[p];
        if (arrivals == 0) continue;
        const unsigned there =
            count_entries(cluster_at(family + (std::uint64_t{p} << large_->state.level)));
        if (there + arrivals <= shape::slots) continue;
        wanted += (there + arrivals - shape::slots + shape::block_slots - 1) / shape::block_slots;
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
std::uint64_t STEADY_TABLE_TYPE::move_out(const cluster_place& at, std::uint64_t family,
                                          unsigned pos, const std::uint8_t* next,
                                          family_plan& plan) noexcept {
    const unsigned level = large_->state.level;
    std::uint64_t moved = 0;
    const auto move_to = [&](unsigned to, std::uint64_t hash, Slot& slot, std::uint8_t& tag) {
        const cluster_place there = cluster_at(family + (std::uint64_t{to} << level));
        position_type place = free_slot_in_cluster(hash, there);
        if (place) {
            plan.where[to][(shape::groups - 1 - place.groups_left) * group_slots + place.index] =
                static_cast<std::uint8_t>(to << 4 | home_of(hash, shape::groups - 1));
        } else {
            place = free_slot_chained(there);
        }
        slot.relocate_to(place.slot());
        place.group[place.index] = tag;
        tag = 0;
        ++moved;
    };
    for (unsigned g = 0; g < shape::groups; ++g) {
        std::uint8_t* const group = at.groups + g * group_bytes;
        Slot* const slots = at.slots + g * group_slots;
        const std::uint8_t* const where = plan.where[pos] + g * group_slots;
        for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
            const unsigned to = where[i] >> 4;
            if (to != pos) move_to(to, hash_of_slot(slots[i]), slots[i], group[i]);
        }
    }
    for (std::byte* block = header_of(at).overflow; block != nullptr;
         block = header_of_chained(block).overflow) {
        const cluster_place c = chained(block);
        for (unsigned g = 0; g <= c.last; ++g) {
            std::uint8_t* const group = c.groups + g * group_bytes;
            for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
                Slot& slot = c.slots[g * group_slots + i];
                const std::uint64_t hash = hash_of_slot(slot);
                const unsigned to = next[(hash >> level) & 255];
                if (to != pos) move_to(to, hash, slot, group[i]);
            }
        }
    }
    return moved;
}

/// Makes the overflow bits of a cluster anew and brings strays nearer to home.
///
/// homes      the home group of each slot that is taken, in its low four bits.
STEADY_TABLE
void STEADY_TABLE_TYPE::tidy(const cluster_place& at, std::uint8_t* homes) noexcept {
    for (unsigned g = 0; g < shape::groups; ++g) at.groups[g * group_bytes + group_slots] = 0;
    for (unsigned g = 0; g < shape::groups; ++g) {
        std::uint8_t* const group = at.groups + g * group_bytes;
        for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
            const unsigned home = homes[g * group_slots + i] & 15;
            if (home == g) continue;
            Slot& slot = at.slots[g * group_slots + i];
            const std::uint8_t bit = overflow_bit(hash_of_slot(slot));
            for (unsigned n = 0;; ++n) {
                const unsigned t = home ^ n;
                if (t == g) break;  // nothing nearer has room
                std::uint8_t* const nearer = at.groups + t * group_bytes;
                if (const auto empty = group16{nearer}.match_empty(slot_tags)) {
                    const unsigned j = empty.lowest();
                    slot.relocate_to(at.slots[t * group_slots + j]);
                    nearer[j] = group[i];
                    group[i] = 0;
                    homes[t * group_slots + j] = homes[g * group_slots + i];
                    break;
                }
                nearer[group_slots] |= bit;
            }
        }
    }
    if (header_of(at).overflow != nullptr) [[unlikely]]
        tidy_chain(at);
}

/// Brings chained entries back into their cluster while it has room, and gives back the
/// blocks that are empty then.
STEADY_TABLE
void STEADY_TABLE_TYPE::tidy_chain(const cluster_place& at) noexcept {
    std::byte** link = &header_of(at).overflow;
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
                place.group[place.index] = group[i];
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
    std::byte*& first = header_of(at).overflow;
    while (first != nullptr) {
        std::byte* const next = header_of_chained(first).overflow;
        give_back_block(first);
        --large_->chained;
        first = next;
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

/// The cluster whose groups this position is in, or is chained to.
STEADY_TABLE
auto STEADY_TABLE_TYPE::owner_of(const position_type& at) const noexcept -> cluster_place {
    if (large_ == nullptr) return {groups_, slots_, last_group_};
    return cluster_at(header_behind(at).cluster);
}

STEADY_TABLE
void STEADY_TABLE_TYPE::tidy_after_erase(position_type at) noexcept {
    const cluster_place owner = owner_of(at);
    erase_at(at);
    credit_ = 0;
    if (owner.last != shape::groups - 1) return;  // few groups: a search is short anyway
    std::uint8_t homes[shape::slots];
    for (unsigned g = 0; g < shape::groups; ++g) {
        const std::uint8_t* const group = owner.groups + g * group_bytes;
        for (const unsigned i : group16{group}.match_occupied(slot_tags)) {
            const std::uint64_t hash = hash_of_slot(owner.slots[g * group_slots + i]);
            homes[g * group_slots + i] =
                static_cast<std::uint8_t>(home_of(hash, shape::groups - 1));
        }
    }
    tidy(owner, homes);
    if (large_ != nullptr) ++large_->tidied;
    ++relocations_;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::shrink_a_little() noexcept {
    constexpr std::uint32_t erasures_per_merge = 32;
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
    if (s.clusters() == 1) return header_of(cluster_at(0)).overflow == nullptr;
    s.retreat();
    return size_ < limit_of(s);
}

STEADY_TABLE
bool STEADY_TABLE_TYPE::shrink_step() noexcept {
    if (large_ != nullptr) {
        if (large_->state.clusters() > 1) return merge();
        if (header_of(cluster_at(0)).overflow != nullptr) return false;
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
