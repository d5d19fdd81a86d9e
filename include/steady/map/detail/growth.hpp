// growth.hpp - when a table grows and shrinks: from nothing to a block of one or two groups, from group to
// group while it is small, and then in passes of which each operation makes one step.
//
//   nothing -> 1 or 2 -> 4 -> ... -> small_groups -> large: 8 clusters -> pass -> 16 ->
//
//   A pass begins when the load has grown for a while (address.hpp, limit_of) and makes its
//   steps so that the last one is due when the clusters at the low scale are as full as
//   allowed. Shrinking begins late, when seven eighths are gone and erasing goes on for as
//   long as emptying the table would take, and then goes on. A table of up to 512 KiB (64 KiB
//   in a mapped region), or in a region of less than 1 MiB, is left as it is until its entries
//   fit a small one.
//
// Invariants
//   G1  A step that throws has changed nothing that a search can see.
//   G2  After a step every entry is where its hash says (T1).
//   G3  One step moves the entries of one low cluster, and what is chained to it: with a
//       hash that spreads, fewer than 1,024.

#pragma once

#include "steady/map/detail/steps.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

STEADY_TABLE
void STEADY_TABLE_TYPE::set_limits() noexcept {
    if (large_ == nullptr) {
        const auto count = static_cast<unsigned>(groups_in_[0]);
        grow_at_ = shape::small_limit(count);
        shrink_at_ = count > small_floor_ ? grow_at_ / 8 : 0;
        return;
    }
    grow_at_ = limit(large_->state);
    if (!compresses()) {
        shrink_at_ = large_->floor == 0 ? fits_small_at / 3 : 0;
        return;
    }
    // Begins late and then goes on: a map that loses a little keeps its room.
    if (large_->shrinking && size_ >= grow_at_ / 10 * 9 && !large_->state.passing()) {
        large_->shrinking = false;
        large_->erasures = large_->patience = 0;
    }
    shrink_at_ = !large_->shrinking        ? grow_at_ / 8
                 : large_->state.passing() ? grow_at_
                                           : grow_at_ / 10 * 9;
    if (grow_at_ <= large_->floor) shrink_at_ = 0;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::grow() {
    if (large_ != nullptr) return stretch_step();
    const bool watched = growth_hook.armed();
    const auto began =
        watched ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const bytes before = watched ? memory().total() : bytes{};
    const auto count = static_cast<unsigned>(groups_in_[0]);
    if (slots_[0] == nullptr) {
        resize_small(shape::first_groups);
    } else if (count < shape::small_groups) {
        resize_small(2 * count);
    } else {
        become_large(shape::first_scale);
    }
    if (watched) {
        const std::uint64_t pages = groups_in_[0] * (group_slots * sizeof(Slot) + group_bytes);
        announce_growth(began, before, size_, pages / 4096 + 2);
    }
}

/// Moves all entries of a small table to one that is empty.
STEADY_TABLE
void STEADY_TABLE_TYPE::move_all(const run& from) noexcept {
    const auto move = [&](const position_type& at) {
        move_entry(hash_of_slot(at.slot()), at.slot(), *at.tag, 0);
    };
    constexpr std::uint64_t longest = std::max<std::uint64_t>(
        shape::small_groups, clusters_at(shape::first_scale) * shape::groups);
    const std::uint64_t groups = groups_in_[0], seed = seed_;
    if (groups > longest) return from.for_each(move);  // reserve() with entries

    // What is free is kept in masks, and any slot will do: the table is in the caches. Copies
    // of members: a tag that is written could be any of them.
    group16::mask free[longest];
    std::fill_n(free, groups, slot_tags);
    std::uint8_t* const tags = tags_[0];
    Slot* const slots = slots_[0];
    std::uint16_t homeless[shape::small_groups * group_slots];
    unsigned left_over = 0;
    std::uint8_t* group = from.groups;
    Slot* here = from.slots;
    const std::uint64_t count = from.count;
    for (std::uint64_t g = 0; g < count; ++g, group += group_bytes, here += group_slots) {
        for (auto m = group16{group}.match_occupied(slot_tags); m; m.drop_lowest()) {
            const unsigned i = m.lowest();
            std::uint64_t number;
            if constexpr (Slot::caches_hash) {
                number = group_number(here[i].hash, groups);
            } else {
                number = group_number(hash_with_seed(hash_, here[i].key(), seed), groups);
            }
            group16::mask left = free[number];
            if (!left) [[unlikely]] {
                homeless[left_over++] = static_cast<std::uint16_t>(g * group_bytes + i);
                continue;
            }
            const unsigned n = left.lowest();
            free[number] = left.drop_lowest();
            tags[number * group_bytes + n] = group[i];
            here[i].relocate_to(slots[number * group_slots + n]);
        }
    }
    for (unsigned n = 0; n < left_over; ++n) {
        const unsigned g = homeless[n] / group_bytes;
        move({from.group(g), from.slots_of(g), homeless[n] % group_bytes});
    }
}

/// One block of so many groups; all entries move there.
STEADY_TABLE
void STEADY_TABLE_TYPE::resize_small(unsigned group_count) {
    std::byte* const block = blocks::allocate(alloc_, shape::area(group_count));
    std::memset(block, 0, std::size_t{group_count} * group_bytes);
    const run to{reinterpret_cast<std::uint8_t*>(block),
                 reinterpret_cast<Slot*>(block + shape::slots_at(group_count)), group_count};
    const run from{tags_[0], slots_[0], groups_in_[0]};
    if (from.slots == nullptr) seed_ = new_seed(block);
    last_ = static_cast<std::uint16_t>(group_count - 1);
    set_scales(to);
    if (from.slots != nullptr) {
        move_all(from);
        blocks::deallocate(alloc_, reinterpret_cast<std::byte*>(from.groups),
                           shape::area(from.count));
    }
    ++relocations_;
    set_limits();
}

/// From a small table, or none, to a large one of so many clusters.
STEADY_TABLE
void STEADY_TABLE_TYPE::become_large(unsigned scale) {
    using state_source = block_source<Alloc, alignof(large_state)>;
    const run from{tags_[0], slots_[0], groups_in_[0]};
    const std::uint64_t groups = clusters_at(scale) * shape::groups;
    region memory = region::make(alloc_, groups);
    if (!huge_pages_) memory.populate(groups);  // they would be small ones
    std::byte* state = nullptr;
    try {
        // Small tables have no chains, so a bad hash shows here.
        ensure_spares(size_ / shape::block_slots + shape::spares);
        state = state_source::allocate(alloc_, sizeof(large_state));
    } catch (...) {
        trim_spares(0);
        memory.release(alloc_, 0);
        throw;
    }
    large_ = ::new (static_cast<void*>(state)) large_state;
    large_->state.low = large_->state.high = scale;
    large_->memory[0] = memory;
    if (huge_pages_) prefer_huge_pages();
    std::memset(memory.tags(), 0, groups * group_bytes);
    set_scales({reinterpret_cast<std::uint8_t*>(memory.tags()),
                reinterpret_cast<Slot*>(memory.slots()), groups});
    last_ = shape::groups - 1;
    if (from.slots == nullptr) {
        seed_ = new_seed(memory.tags());
    } else {
        move_all(from);
        blocks::deallocate(alloc_, reinterpret_cast<std::byte*>(from.groups),
                           shape::area(from.count));
    }
    trim_spares(shape::spares);
    ++relocations_;
    set_limits();
}

/// The other way round, when few enough entries are left, wherever a pass has come.
STEADY_TABLE
void STEADY_TABLE_TYPE::become_small() {
    using state_source = block_source<Alloc, alignof(large_state)>;
    unsigned group_count = shape::small_groups;
    while (group_count > shape::first_groups && size_ <= shape::small_limit(group_count) / 8 * 3)
        group_count /= 2;
    std::byte* const block = blocks::allocate(alloc_, shape::area(group_count));
    std::memset(block, 0, std::size_t{group_count} * group_bytes);
    large_state* const old = large_;
    const std::array<run, 2> from = runs();
    const std::uint64_t used[] = {std::max(groups_in_[0], groups_in_[1]), groups_in_[1]};
    last_ = static_cast<std::uint16_t>(group_count - 1);
    set_scales({reinterpret_cast<std::uint8_t*>(block),
                reinterpret_cast<Slot*>(block + shape::slots_at(group_count)), group_count});
    const auto move = [&](const position_type& at) {
        move_entry(hash_of_slot(at.slot()), at.slot(), *at.tag, 0);
    };
    for (const run& r : from) r.for_each(move);
    for (std::byte*& first : old->chains) {
        while (first != nullptr) {
            chained(first).for_each(move);
            give_back_block(std::exchange(first, header_of(first).next));
        }
    }
    trim_spares(0);
    large_ = nullptr;
    for (unsigned s = 0; s < 2; ++s) old->memory[s].release(alloc_, used[s]);
    state_source::deallocate(alloc_, reinterpret_cast<std::byte*>(old), sizeof(large_state));
    ++relocations_;
    set_limits();
}

STEADY_TABLE
void STEADY_TABLE_TYPE::prefer_huge_pages() noexcept {
    huge_pages_ = true;
    if (large_ == nullptr) return;
    for (region& r : large_->memory) {
        if (!r) continue;
        r.do_not_keep();
        const auto start = reinterpret_cast<std::uintptr_t>(r.tags());
        ask_for_huge_pages(start, start + r.size().count());
    }
}

// ---- After erasures.

STEADY_TABLE
void STEADY_TABLE_TYPE::shrink_a_little() noexcept {
    if (large_ != nullptr) {
        constexpr std::uint32_t erasures_per_step = 16;
        // Filled again meanwhile: what follows is another emptying.
        if (!large_->shrinking && size_ > large_->fewest + shrink_at_ / 2) large_->erasures = 0;
        large_->fewest = size_;
        if (++large_->erasures < large_->patience) [[likely]]
            return;
        if (!large_->shrinking) {
            large_->patience = patience();
            if (large_->erasures < large_->patience) return;
            large_->shrinking = true;
            set_limits();
        }
        if (compresses() && !fits_small() && large_->erasures % erasures_per_step != 0) return;
    }
    if (can_shrink() && shrink_step()) return;
    // As small as may be, or no memory for less: not again before much more is gone.
    if (large_ != nullptr) {
        large_->shrinking = false;
        large_->erasures = large_->patience = 0;
    }
    set_limits();
    if (size_ < shrink_at_) shrink_at_ = 0;
}

/// Whether a smaller table would hold the entries, with some room to spare.
STEADY_TABLE
bool STEADY_TABLE_TYPE::can_shrink() const noexcept {
    if (large_ == nullptr) {
        const auto count = static_cast<unsigned>(groups_in_[0]);
        return count > small_floor_ && size_ <= shape::small_limit(count / 2);
    }
    if (fits_small()) return true;
    growth_state s = large_->state;
    if (!s.passing() && s.low == shape::first_scale) return false;
    // A pass is begun only if it can be finished: halfway it holds the memory of both scales.
    if (s.passing()) {
        s.retreat();
    } else {
        s.low = s.high = s.low - scales_down();
    }
    return size_ < limit(s) && limit(s) >= large_->floor;
}

/// Whether erasing compresses a table pass by pass. It gives memory back only where pages
/// can be, and is worth it only where there are many: others wait until they can be small.
STEADY_TABLE
bool STEADY_TABLE_TYPE::compresses() const noexcept {
    // What is left of a region that is not kept is unmapped in one operation: it must be little.
    const region& memory = large_->memory[0];
    const bool kept = !memory.mapped() || memory.kept_anyway().total() != 0;
    const std::size_t least = std::size_t{kept ? 512u : 64u} << 10;
    return large_->memory[0].is_long() &&
           shape::area(large_->state.high_clusters() * shape::groups) > least;
}

/// Erasures from a table with few entries after which it begins to shrink. What is just being
/// emptied ends before, an eighth of what it can hold: its memory is not worth the work, as long
/// as it can be given back in one quick operation when the table goes.
STEADY_TABLE
std::uint64_t STEADY_TABLE_TYPE::patience() noexcept {
    constexpr std::uint64_t of_short_tables = 2 * fits_small_at;
    if (!compresses()) return of_short_tables;
    const std::uint64_t groups = large_->state.high_clusters() * shape::groups;
    return large_->memory[0].will_be_kept(groups) ? grow_at_ / 4 : 0;
}

/// Whether the few entries left of a large table can go to a small one at once: the clusters
/// are few, or no passes will make them fewer.
STEADY_TABLE
bool STEADY_TABLE_TYPE::fits_small() const noexcept {
    if (size_ > fits_small_at || large_->floor != 0) return false;
    const growth_state& s = large_->state;
    if (!compresses() || (!s.passing() && s.low == shape::first_scale)) return true;
    const region& memory = large_->memory[0];
    return (!memory.mapped() || memory.kept_anyway().total() != 0) &&
           shape::area(s.high_clusters() * shape::groups) <= kept_reservations::least_share;
}

/// By how many scales a pass goes down that begins now.
STEADY_TABLE
unsigned STEADY_TABLE_TYPE::scales_down() const noexcept {
    const growth_state& s = large_->state;
    if (s.passing()) return 1;
    const unsigned most = std::min(scales_to_half(s.low), s.low - shape::first_scale);
    growth_state half;
    half.low = half.high = s.low - most;
    const std::uint64_t room = limit(half);
    return size_ < room / 4 * 3 && room >= large_->floor ? most : 1;
}

STEADY_TABLE
bool STEADY_TABLE_TYPE::shrink_step() noexcept {
    if (large_ != nullptr && !fits_small()) return compress_step();
    const bool watched = growth_hook.armed();
    const auto began =
        watched ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const bytes before = watched ? memory().total() : bytes{};
    try {
        if (large_ == nullptr) {
            const auto count = static_cast<unsigned>(groups_in_[0]);
            if (count <= shape::first_groups || size_ > shape::small_limit(count / 2)) return false;
            // A map that is being emptied goes by quarters.
            const bool quarter = count / 4 >= small_floor_ && size_ <= grow_at_ / 8;
            resize_small(quarter ? count / 4 : count / 2);
        } else {
            become_small();
        }
        if (watched) {
            announce_growth(began, before, size_, shape::area(groups_in_[0]) / 4096 + 2);
        }
        return true;
    } catch (...) {
        return false;  // no memory for a smaller table: stay as large as we are
    }
}

STEADY_TABLE
void STEADY_TABLE_TYPE::reserve(std::size_t entries) {
    if (entries <= grow_at_) {
        return;
    }
    if (large_ == nullptr) {
        unsigned wanted = shape::first_groups;
        while (wanted < shape::small_groups && shape::small_limit(wanted) < entries) wanted *= 2;
        if (shape::small_limit(wanted) >= entries) {
            if (slots_[0] == nullptr || wanted > groups_in_[0]) resize_small(wanted);
            small_floor_ = static_cast<std::uint16_t>(wanted);
            return set_limits();
        }
        growth_state s;
        s.low = s.high = shape::first_scale;
        // Entries that are there must be few, or their moving is not one step.
        while (limit(s) < entries) s.low = ++s.high;
        become_large(s.low);
    }
    while (limit(large_->state) < entries) stretch_step();
    large_->floor = limit(large_->state);
    set_limits();
}

STEADY_TABLE
void STEADY_TABLE_TYPE::copy_entries(const table& other) {
    reserve(other.size());
    small_floor_ = shape::first_groups;
    if (large_ != nullptr) large_->floor = 0;
    if (slots_[0] != nullptr) set_limits();
    other.for_each_place([&](const run& place, bool) {
        place.for_each([&](const position_type& at) {
            const value_type& value = at.slot().value();
            const auto& key = element::key(value);
            make_new(key, hash_of(key), [&](Slot& slot) { slot.construct(alloc_, value); });
        });
    });
}

STEADY_TABLE
void STEADY_TABLE_TYPE::announce_growth(time_point began, bytes before, std::uint64_t moved,
                                        std::uint64_t pages) noexcept {
    const auto took = std::chrono::steady_clock::now() - began;
    growth_hook.announce({this, element::is_map ? "map" : "set", moved, pages, before.count(),
                          memory().total().count(),
                          static_cast<std::uint64_t>(
                              std::chrono::duration_cast<std::chrono::nanoseconds>(took).count())});
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
