// inspect.hpp - what a table says about itself, and the test of its invariants.

#pragma once

#include "steady/map/detail/growth.hpp"
#include "steady/map/detail/walk.hpp"

namespace steady::detail {

#define STEADY_TABLE template <class Slot, class Hash, class Equal, class Alloc>
#define STEADY_TABLE_TYPE table<Slot, Hash, Equal, Alloc>

STEADY_TABLE
map_memory STEADY_TABLE_TYPE::memory() const noexcept {
    std::uint64_t groups = 0;
    for (const run& r : runs()) groups += r.count;
    if (large_ == nullptr) return parts_of(facts(), size_, groups, false, 0, 0);
    std::size_t taken = 0;
    for (const region& r : large_->memory) {
        taken += r.taken().count();
    }
    std::uint64_t held = large_->chained;
    for (std::byte* b = spare_; b != nullptr; b = header_of(b).next) ++held;
    return parts_of(facts(), size_, groups, true, taken, held);
}

STEADY_TABLE
map_statistics STEADY_TABLE_TYPE::statistics() const {
    map_statistics s;
    s.entries = size_;
    s.slots = slot_count();
    if (large_ != nullptr) {
        s.clusters = s.slots / shape::slots;
        s.splits = large_->splits;
        s.merges = large_->merges;
        s.tidied = large_->tidied;
        s.moved = large_->moved;
        s.chained_blocks = large_->chained;
    }
    for_each_place([&](const run& place, bool is_chained) {
        place.for_each([&](const position_type& at) {
            const cluster_place owner = place_of(hash_of_slot(at.slot()));
            std::size_t read = 0;
            if (is_chained) {
                read = owner.count;
                bool reached = false;
                for_each_block(owner.groups, [&](const run& block) {
                    if (reached) return;
                    reached = block.contains(at.tag);
                    read += reached
                                ? static_cast<std::size_t>(at.tag - block.groups) / group_bytes + 1
                                : block.count;
                });
            } else {
                read = (owner.home ^ static_cast<unsigned>((at.tag - owner.groups) / group_bytes)) +
                       std::size_t{1};
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
    std::uint64_t blocks_seen = 0;
    for_each_place([&](const run& place, bool is_chained) {
        blocks_seen += is_chained;
        place.for_each([&](const position_type& at) {
            ++seen;
            const std::uint64_t hash = hash_of_slot(at.slot());
            if constexpr (Slot::caches_hash) {
                STEADY_ASSERT(0, hash == hash_of(at.slot().key()), "T2: the kept hash is another");
            }
            STEADY_ASSERT(0, *at.tag == tag_of(hash), "T2: a tag is not its hash's");
            const cluster_place owner = place_of(hash);
            unsigned steps = static_cast<unsigned>(owner.count);
            if (is_chained) {
                bool found = false;
                for_each_block(owner.groups,
                               [&](const run& block) { found |= block.contains(at.tag); });
                STEADY_ASSERT(0, found, "T1: a chained entry's block belongs to another cluster");
            } else {
                STEADY_ASSERT(0, owner.contains(at.tag),
                              "T1: an entry is in a cluster where no search looks");
                steps = owner.home ^ static_cast<unsigned>((at.tag - owner.groups) / group_bytes);
            }
            for (unsigned n = 0; n < steps; ++n) {
                STEADY_ASSERT(0,
                              (owner.group(owner.home ^ n)[group_slots] & overflow_bit(hash)) != 0,
                              "T1: a search would end before it reaches an entry");
            }
        });
    });
    STEADY_ASSERT(0, seen == size_, "T3: size() is not the number of entries");
    if (large_ != nullptr) {
        STEADY_ASSERT(0, blocks_seen == large_->chained, "T3: chained blocks are counted wrongly");
    }
}

#undef STEADY_TABLE
#undef STEADY_TABLE_TYPE

}  // namespace steady::detail
