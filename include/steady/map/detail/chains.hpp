// chains.hpp - where entries go that do not fit their home: other groups of the cluster, then
// blocks chained to it; and putting one cluster in order.
//
// Blocks hang in 64 lists, chosen by the cluster's address; each says whose it is. With a
// hash that spreads one cluster in thousands has one.

#pragma once

#include "steady/map/detail/table.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

STEADY_TABLE
template <class Do>
void STEADY_TABLE_TYPE::for_each_block(const std::uint8_t* cluster, Do&& action) const {
    for (std::byte* block = chain_of(cluster); block != nullptr;) {
        std::byte* const next = header_of(block).next;  // the action may free it
        if (header_of(block).cluster == cluster) action(chained(block));
        block = next;
    }
}

STEADY_TABLE
template <class Q>
auto STEADY_TABLE_TYPE::find_chained(const Q& key, std::uint64_t hash,
                                     const cluster_place& at) const -> position_type {
    if (large_ == nullptr) return {};
    for (std::byte* block = chain_of(at.groups); block != nullptr; block = header_of(block).next) {
        if (header_of(block).cluster != at.groups) continue;
        const run r = chained(block);
        for (unsigned g = 0; g < r.count; ++g) {
            position_type found;
            if (find_in_group<false>(key, hash, group_place{r.group(g), r.slots_of(g)}, found))
                return found;
        }
    }
    return {};
}

STEADY_TABLE
auto STEADY_TABLE_TYPE::free_slot_beyond(std::uint64_t hash, const cluster_place& at) noexcept
    -> position_type {
    for (unsigned n = 0; n <= at.last(); ++n) {
        const unsigned g = at.home ^ n;
        if (const auto empty = group16{at.group(g)}.match_empty(slot_tags)) {
            return {at.group(g), at.slots_of(g), choose_slot(empty, at.slots_of(g), hash)};
        }
        at.group(g)[group_slots] |= overflow_bit(hash);
    }
    return {};
}

/// Only a cluster of a large table can be full: a small one grows first.
STEADY_TABLE
auto STEADY_TABLE_TYPE::free_slot_chained(const cluster_place& at) -> position_type {
    STEADY_ASSERT(2, large_ != nullptr, "T5: a small table is full");
    std::byte*& first = chain_of(at.groups);
    for (std::byte* block = first; block != nullptr; block = header_of(block).next) {
        if (header_of(block).cluster != at.groups) continue;
        const run r = chained(block);
        for (unsigned g = 0; g < r.count; ++g) {
            if (const auto empty = group16{r.group(g)}.match_empty(slot_tags)) {
                return {r.group(g), r.slots_of(g), empty.lowest()};
            }
        }
    }
    std::byte* const block = take_spare_block();
    header_of(block) = {first, at.groups};
    first = block;
    ++large_->chained;
    const run r = chained(block);
    return {r.groups, r.slots, 0};
}

// ---- Blocks.

/// Throws     std::bad_alloc.
STEADY_TABLE
void STEADY_TABLE_TYPE::ensure_spares(std::size_t wanted) {
    for (std::byte* b = spare_; b != nullptr && wanted != 0; b = header_of(b).next) --wanted;
    for (; wanted != 0; --wanted) {
        std::byte* const block = blocks::allocate(alloc_, shape::block_size);
        ::new (static_cast<void*>(block + shape::header_at)) chain_header{spare_, nullptr};
        spare_ = block;
    }
}

/// Gives back spare blocks but for so many.
STEADY_TABLE
void STEADY_TABLE_TYPE::trim_spares(std::size_t kept) noexcept {
    std::byte** link = &spare_;
    for (; *link != nullptr && kept != 0; --kept) link = &header_of(*link).next;
    while (*link != nullptr) give_back_block(std::exchange(*link, header_of(*link).next));
}

STEADY_TABLE
std::byte* STEADY_TABLE_TYPE::take_spare_block() {
    if (spare_ == nullptr) ensure_spares(1);
    std::byte* const block = std::exchange(spare_, header_of(spare_).next);
    std::memset(block, 0, shape::block_groups * group_bytes);
    return block;
}

STEADY_TABLE
void STEADY_TABLE_TYPE::give_back_block(std::byte* block) noexcept {
    blocks::deallocate(alloc_, block, shape::block_size);
}

/// Blocks of this cluster without entries become spares.
STEADY_TABLE
void STEADY_TABLE_TYPE::drop_empty_blocks(const std::uint8_t* cluster) noexcept {
    for (std::byte** link = &chain_of(cluster); *link != nullptr;) {
        std::byte* const block = *link;
        if (header_of(block).cluster == cluster && chained(block).entries() == 0) {
            *link = header_of(block).next;
            header_of(block).next = std::exchange(spare_, block);
            --large_->chained;
        } else {
            link = &header_of(block).next;
        }
    }
}

// ---- Order.

/// Makes the overflow bits of a cluster, or of a small table, anew; brings strays nearer to
/// home, and chained entries back while there is room.
STEADY_TABLE
void STEADY_TABLE_TYPE::tidy(const run& cluster) noexcept {
    struct stray {
        std::uint64_t hash;
        position_type at;
    };
    // Who stands elsewhere has left a bit at home.
    unsigned marked = 0;
    for (unsigned g = 0; g < cluster.count; ++g) marked |= cluster.group(g)[group_slots];
    if (marked == 0) return;
    stray strays[std::max(shape::slots, shape::small_groups * group_slots)];
    unsigned count = 0;
    for (unsigned g = 0; g < cluster.count; ++g) {
        std::uint8_t* const group = cluster.group(g);
        Slot* const slots = cluster.slots_of(g);
        group[group_slots] = 0;
        for (auto m = group16{group}.match_occupied(slot_tags); m; m.drop_lowest()) {
            const unsigned i = m.lowest();
            const std::uint64_t hash = hash_of_slot(slots[i]);
            strays[count] = {hash, {group, slots, i}};  // a branch could not be predicted
            count += place_of(hash).home != g;
        }
    }
    for (unsigned s = 0; s < count; ++s) {
        const std::uint64_t hash = strays[s].hash;
        const position_type at = strays[s].at;
        const std::uint8_t tag = *at.tag;
        const cluster_place place = place_of(hash);
        for (unsigned n = 0;; ++n) {
            const unsigned g = place.home ^ n;
            std::uint8_t* const nearer = place.group(g);
            if (nearer == at.group()) break;  // nothing nearer has room
            if (const auto empty = group16{nearer}.match_empty(slot_tags)) {
                const unsigned i = choose_slot(empty, place.slots_of(g), hash);
                at.slot().relocate_to(place.slots_of(g)[i]);
                nearer[i] = tag;
                *at.tag = 0;
                break;
            }
            nearer[group_slots] |= overflow_bit(hash);
        }
    }
    if (large_ == nullptr || large_->chained == 0) return;
    for_each_block(cluster.groups, [&](const run& block) {
        block.for_each([&](const position_type& at) {
            const std::uint64_t hash = hash_of_slot(at.slot());
            const position_type place = free_slot_in_cluster(hash, place_of(hash));
            if (!place) return;  // its bits are set in every group now
            at.slot().relocate_to(place.slot());
            *place.tag = *at.tag;
            *at.tag = 0;
        });
    });
    drop_empty_blocks(cluster.groups);
    trim_spares(shape::spares);
}

/// Erases the entry and puts its cluster in order.
STEADY_TABLE
void STEADY_TABLE_TYPE::tidy_after_erase(position_type at) noexcept {
    const cluster_place owner = place_of(hash_of_slot(at.slot()));
    erase_at(at);
    credit_ = 0;
    tidy(owner);
    if (large_ != nullptr) ++large_->tidied;
    ++relocations_;
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
