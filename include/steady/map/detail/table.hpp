// table.hpp - the table under steady::map and steady::set: groups of tags, clusters of
// groups, and where an entry may stand. Growing and shrinking are in growth.hpp, walking
// is in walk.hpp, the addresses are in address.hpp.
//
//   group      | 15 tags | overflow |      | 15 slots |      16 B of tags; slots elsewhere
//   cluster    16 groups (fewer for large entries), their slots and a header
//
//   nothing    no memory; `groups_` is one constant empty group
//   small      1, 2, 4, 8 or 16 groups in one block; doubling moves at most 225 entries
//   large      the block of 16 groups is cluster 0; the others lie in segments that double:
//              segment i has the clusters 2^(i-1) .. 2^i - 1, and none ever moves
//
//   An entry stands in its home group, or, when that is full, in one of the groups
//   home ^ 1, home ^ 2, ... of the cluster, or, when the cluster is full, in a block of 60
//   slots chained to the cluster. Each group passed over has the entry's bit set in its
//   overflow byte: a search that does not find it set ends there.
//
// Invariants (check() tests each one; tests/bugs/ breaks each one)
//   T1  An entry is in the cluster its hash belongs to, in the n-th group of its home's
//       order, and has its bit set in the n groups before. In a block: in all of them.
//   T2  A tag is 0 exactly where the slot holds no entry; otherwise it is its hash's tag.
//   T3  size() is the number of tags that are not 0.
//   T4  Slots and groups of clusters that exist never move; an entry moves only when its
//       own family is split, merged or tidied.
//   T5  size() is at most grow_at_, unless a growth failed for want of memory.
//
// Cost    a search reads the group (16 B), then the slots whose tag agrees, 1.04 on average.
// Tried   see docs/design/map.md.

#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "steady/core/check.hpp"
#include "steady/core/group.hpp"
#include "steady/core/hooks.hpp"
#include "steady/map/detail/address.hpp"
#include "steady/map/detail/blocks.hpp"
#include "steady/map/detail/slot.hpp"
#include "steady/map/hash_policy.hpp"
#include "steady/map/statistics.hpp"

namespace steady {

/// How far a scan has come; 0 is the beginning and, when returned, the end. Valid for the
/// map's life, whatever grows, shrinks or is erased meanwhile; not across clear().
enum class scan_cursor : std::uint64_t {};

}  // namespace steady

namespace steady::detail {

[[nodiscard]] constexpr std::uint64_t reverse_bits(std::uint64_t x) noexcept {
    x = ((x >> 1) & 0x5555555555555555) | ((x & 0x5555555555555555) << 1);
    x = ((x >> 2) & 0x3333333333333333) | ((x & 0x3333333333333333) << 2);
    x = ((x >> 4) & 0x0f0f0f0f0f0f0f0f) | ((x & 0x0f0f0f0f0f0f0f0f) << 4);
    return __builtin_bswap64(x);
}
/// The order of families: the bits of the family number from the lowest up, so that the
/// hashes of one family, at whatever level, are one interval.
[[nodiscard]] constexpr std::uint64_t family_order(std::uint64_t hash) noexcept {
    return reverse_bits(hash ^ (hash >> expansion_bits));
}

inline constexpr unsigned group_slots = 15;
inline constexpr unsigned group_bytes = 16;
inline constexpr auto slot_tags = group16::mask::first(group_slots);

/// A group that is always empty: what a map without memory searches.
alignas(16) inline constexpr std::uint8_t empty_group[group_bytes] = {};

/// Behind the slots of a cluster, and of each block chained to it.
struct cluster_header {
    std::byte* overflow;    // the next block of the chain, or null
    std::uint64_t cluster;  // whose chain this is
};

/// Sizes that follow from a slot's size and alignment.
template <class Slot>
struct cluster_shape {
    // A split touches the new cluster's pages and moves a share of three: large entries
    // have smaller clusters, so that both stay bounded in bytes.
    static constexpr unsigned groups = sizeof(Slot) <= 64 ? 16 : (sizeof(Slot) <= 128 ? 8 : 4);
    static constexpr unsigned slots = groups * group_slots;
    static constexpr unsigned block_groups = 4;
    static constexpr unsigned block_slots = block_groups * group_slots;
    static constexpr std::size_t alignment = std::max<std::size_t>(16, alignof(Slot));

    static constexpr std::size_t group_area = groups * group_bytes;
    static constexpr std::size_t header_offset(unsigned slot_count) noexcept {
        return round_up(slot_count * sizeof(Slot), alignof(cluster_header));
    }
    /// From one cluster's slots to the next one's.
    static constexpr std::size_t stride =
        round_up(header_offset(slots) + sizeof(cluster_header), alignment);
    /// Groups first, then slots, then a header: small tables and chained blocks.
    static constexpr std::size_t slots_at(unsigned group_count) noexcept {
        return round_up(group_count * group_bytes, alignment);
    }
    static constexpr std::size_t block_size(unsigned group_count) noexcept {
        return slots_at(group_count) + header_offset(group_count * group_slots) +
               sizeof(cluster_header);
    }
    /// Entries of the fullest family, per cluster, at which it is split.
    static constexpr std::uint64_t full = slots * map_options::fullest_load / 1000;

    /// Fresh pages that a new cluster can touch.
    static constexpr std::uint64_t pages_of_cluster = (stride + 4095) / 4096 + 2;

    static constexpr std::uint64_t small_limit(unsigned group_count) noexcept {
        if (group_count == 1) return group_slots;
        return group_count == groups ? full : group_count * group_slots * 7 / 8;
    }
};

/// Where an entry stands, or nowhere.
template <class Slot>
struct position {
    std::uint8_t* group = nullptr;
    Slot* slots = nullptr;  // of the group; null: nowhere
    std::uint16_t index = 0;
    std::uint16_t groups_left = 0;  // behind this one, in its cluster or block

    [[nodiscard]] explicit operator bool() const noexcept { return slots != nullptr; }
    [[nodiscard]] Slot& slot() const noexcept { return slots[index]; }
};

template <class Slot, class Hash, class Equal, class Alloc>
class table {
public:
    using slot_type = Slot;
    using element = typename Slot::element;
    using key_type = typename element::key_type;
    using value_type = typename Slot::value_type;
    using position_type = position<Slot>;
    using shape = cluster_shape<Slot>;
    using value_allocator =
        typename std::allocator_traits<Alloc>::template rebind_alloc<value_type>;
    using allocator_traits = std::allocator_traits<value_allocator>;

    table() noexcept(noexcept(Hash()) && noexcept(Equal()) && noexcept(Alloc())) = default;
    table(const Hash& hash, const Equal& equal, const Alloc& alloc)
        : hash_{hash}, equal_{equal}, alloc_{alloc} {}
    table(table&& other) noexcept
        : hash_{std::move(other.hash_)},
          equal_{std::move(other.equal_)},
          alloc_{std::move(other.alloc_)} {
        steal(other);
    }
    table(const table&) = delete;
    table& operator=(const table&) = delete;
    ~table() { release_all(); }

    // ---- Looking.

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    template <class Q>
    [[nodiscard, gnu::always_inline]] std::uint64_t hash_of(const Q& key) const {
        return hash_with_seed(hash_, key, seed_);
    }
    [[nodiscard, gnu::always_inline]] std::uint64_t hash_of_slot(const Slot& slot) const {
        if constexpr (Slot::caches_hash) {
            return slot.hash;
        } else {
            return hash_of(slot.key());
        }
    }

    /// The entry with this key.
    template <class Q>
    [[nodiscard, gnu::always_inline]] position_type find(const Q& key) const {
        return find(key, hash_of(key));
    }

    template <class Q>
    [[nodiscard, gnu::always_inline]] position_type find(const Q& key, std::uint64_t hash) const {
        const cluster_place at = place_of(hash);
        return find_in(key, hash, at);
    }

    /// Starts loading what find() of this hash reads first.
    [[gnu::always_inline]] void prefetch_tags(std::uint64_t hash) const noexcept {
        const cluster_place at = place_of(hash);
        __builtin_prefetch(at.groups + std::size_t{home_of(hash, at.last)} * group_bytes);
    }

    /// The first slot whose tag agrees; with prefetch_tags some time before.
    [[gnu::always_inline]] void prefetch_candidate(std::uint64_t hash) const noexcept {
        const cluster_place at = place_of(hash);
        const std::size_t home = home_of(hash, at.last);
        const auto m = group16{at.groups + home * group_bytes}.match(tag_of(hash), slot_tags);
        if (m) __builtin_prefetch(at.slots + home * group_slots + m.lowest());
    }
    /// What an insertion reads and writes: tags, and the middle of the home group's slots.
    void prefetch_place(std::uint64_t hash) const noexcept {
        const cluster_place at = place_of(hash);
        const std::size_t home = home_of(hash, at.last);
        __builtin_prefetch(at.groups + home * group_bytes, 1);
        __builtin_prefetch(at.slots + home * group_slots + group_slots / 2, 1);
    }

    // ---- Changing.

    /// Finds the key or makes an entry by `make(slot)`, which constructs it.
    ///
    /// Throws     what hashing, comparing, allocating and `make` throw; nothing has changed
    ///            then, except that a step of growth may have been made.
    template <class Q, class Make>
    [[gnu::always_inline]] std::pair<position_type, bool> find_or_make(const Q& key, Make&& make) {
        std::uint64_t hash = hash_of(key);
        if (const position_type found = find(key, hash)) return {found, false};
        return {make_new(key, hash, std::forward<Make>(make)), true};
    }

    /// Makes an entry whose key is known to be absent.
    template <class Q, class Make>
    position_type make_new(const Q& key, std::uint64_t hash, Make&& make) {
        if (size_ >= grow_at_) [[unlikely]] {
            grow();
            hash = hash_of(key);  // the first block brings the seed
        }
        const position_type at = free_slot(hash);
        make(at.slot());
        at.slot().keep_hash(hash);
        at.group[at.index] = tag_of(hash);
        ++size_;
        return at;
    }

    /// Destroys the entry. Nothing else moves.
    void erase_at(position_type at) noexcept {
        at.slot().destroy(alloc_);
        at.group[at.index] = 0;
        --size_;
    }

    /// Destroys the entry and does a share of the tidying and shrinking that is due.
    void erase_and_tidy(position_type at) noexcept {
        const std::uint8_t overflow = at.group[group_slots];
        if (overflow != 0) [[unlikely]] {
            credit_ += 1;
            if (credit_ >= tidy_credit) {
                tidy_after_erase(at);
                return;
            }
        }
        erase_at(at);
        if (size_ < shrink_at_) [[unlikely]]
            shrink_a_little();
    }

    /// Takes the entry out without destroying it: it has been moved away.
    void forget_at(position_type at) noexcept {
        at.group[at.index] = 0;
        --size_;
    }

    void clear() noexcept {
        release_all();
        reset();
    }
    void swap(table& other) noexcept {
        using std::swap;
        swap(hash_, other.hash_);
        swap(equal_, other.equal_);
        if constexpr (allocator_traits::propagate_on_container_swap::value) {
            swap(alloc_, other.alloc_);
        }
        swap_contents(other);
    }

    /// Room for so many entries without growing.
    void reserve(std::size_t entries);
    /// One step towards the size the entries need. Returns false when there is none left.
    bool shrink_step() noexcept;
    [[nodiscard]] bool can_shrink() const noexcept;
    /// Fills an empty table with copies of the other's entries.
    void copy_entries(const table& other);

    // ---- Walking.

    [[nodiscard]] position_type first() const noexcept;
    /// The next entry in the order of storage.
    void advance(position_type& at) const noexcept;
    /// Calls `visit(slot)` for every entry of the family with this number.
    template <class Visit>
    void for_each_in_family(std::uint64_t family, Visit&& visit) const;
    template <class Visit>
    scan_cursor scan(std::uint64_t from, std::size_t entries, Visit&& visit) const;

    // ---- Telling.

    [[nodiscard]] map_memory memory() const noexcept;
    [[nodiscard]] map_statistics statistics() const;
    [[nodiscard]] std::size_t slot_count() const noexcept {
        if (large_ != nullptr) return large_->state.clusters() * shape::slots;
        return groups_ == empty_group_pointer() ? 0 : (last_group_ + 1u) * group_slots;
    }
    [[nodiscard]] const growth_state* state() const noexcept {
        return large_ == nullptr ? nullptr : &large_->state;
    }
    [[nodiscard]] std::size_t grow_limit() const noexcept { return grow_at_; }
    /// Changes whenever entries may have moved.
    [[nodiscard]] std::uint64_t relocations() const noexcept { return relocations_; }
    /// Tests every invariant; stops the program at the first that is broken.
    void check() const;

    [[nodiscard]] Hash& hasher() noexcept { return hash_; }
    [[nodiscard]] const Hash& hasher() const noexcept { return hash_; }
    [[nodiscard]] Equal& equal() noexcept { return equal_; }
    [[nodiscard]] const Equal& equal() const noexcept { return equal_; }
    [[nodiscard]] value_allocator& alloc() noexcept { return alloc_; }
    [[nodiscard]] const value_allocator& alloc() const noexcept { return alloc_; }
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

    /// Takes everything but hasher, comparison and allocator from a table with an equal
    /// allocator; it is empty afterwards.
    void steal(table& other) noexcept {
        reset();
        swap_contents(other);
    }

private:
    using blocks = block_source<Alloc, shape::alignment>;

    static constexpr unsigned segments = 40;
    // Erasures from groups with overflow after which one cluster is tidied.
    static constexpr unsigned tidy_credit = 96;

    struct segment_base {
        std::uintptr_t groups;  // where cluster 0 would be, were it in this segment
        std::uintptr_t slots;
    };

    struct large_state {
        growth_state state;
        segment_base base[segments];
        segment_block block[segments];
        std::uint64_t chained = 0;   // blocks in chains
        std::uint64_t floor = 1;     // clusters that reserve() asked for
        std::uint32_t erasures = 0;  // while shrinking
        bool shrinking = false;
        std::uint64_t splits = 0, merges = 0, tidied = 0, moved = 0;
    };

    /// A cluster, or a table that is not one yet.
    struct cluster_place {
        std::uint8_t* groups;
        Slot* slots;
        unsigned last;  // group
    };

    static std::uint8_t* empty_group_pointer() noexcept {
        return const_cast<std::uint8_t*>(empty_group);
    }
    static Slot* slots_of(std::uintptr_t address) noexcept {
        return reinterpret_cast<Slot*>(address);
    }

    [[nodiscard, gnu::always_inline]] cluster_place cluster_at(
        std::uint64_t cluster) const noexcept {
        const segment_base& base = large_->base[std::bit_width(cluster)];
        return {reinterpret_cast<std::uint8_t*>(base.groups + cluster * shape::group_area),
                slots_of(base.slots + cluster * shape::stride), shape::groups - 1};
    }

    [[nodiscard, gnu::always_inline]] cluster_place place_of(std::uint64_t hash) const noexcept {
        if (large_ == nullptr) return {groups_, slots_, last_group_};
        return cluster_at(large_->state.cluster(hash));
    }

    [[nodiscard]] static cluster_header& header_of(Slot* slots, unsigned slot_count) noexcept {
        return *std::launder(reinterpret_cast<cluster_header*>(reinterpret_cast<std::byte*>(slots) +
                                                               shape::header_offset(slot_count)));
    }
    [[nodiscard]] static cluster_header& header_of(const cluster_place& at) noexcept {
        return header_of(at.slots, shape::slots);
    }
    /// The header behind the cluster or block in which this position is.
    [[nodiscard]] static cluster_header& header_behind(const position_type& at) noexcept {
        const Slot* const end = at.slots + (at.groups_left + std::size_t{1}) * group_slots;
        return *std::launder(reinterpret_cast<cluster_header*>(
            round_up(reinterpret_cast<std::uintptr_t>(end), alignof(cluster_header))));
    }
    [[nodiscard]] static cluster_place chained(std::byte* block) noexcept {
        return {reinterpret_cast<std::uint8_t*>(block),
                reinterpret_cast<Slot*>(block + shape::slots_at(shape::block_groups)),
                shape::block_groups - 1};
    }
    [[nodiscard]] static cluster_header& header_of_chained(std::byte* block) noexcept {
        return header_of(chained(block).slots, shape::block_slots);
    }

    template <class Q>
    [[nodiscard, gnu::always_inline]] position_type find_in(const Q& key, std::uint64_t hash,
                                                            const cluster_place& at) const {
        const std::uint8_t tag = tag_of(hash);
        const unsigned home = home_of(hash, at.last);
        for (unsigned n = 0;; ++n) {
            const unsigned g = home ^ n;
            std::uint8_t* const group = at.groups + std::size_t{g} * group_bytes;
            Slot* const slots = at.slots + std::size_t{g} * group_slots;
            for (auto m = group16{group}.match(tag, slot_tags); m; m.drop_lowest()) {
                const unsigned i = m.lowest();
                if (is_key(slots[i], key, hash)) [[likely]] {
                    return {group, slots, static_cast<std::uint16_t>(i),
                            static_cast<std::uint16_t>(at.last - g)};
                }
            }
            if ((group[group_slots] & overflow_bit(hash)) == 0) [[likely]]
                return {};
            if (n == at.last) [[unlikely]]
                return find_chained(key, hash, at);
        }
    }

    template <class Q>
    [[nodiscard, gnu::always_inline]] bool is_key(const Slot& slot, const Q& key,
                                                  [[maybe_unused]] std::uint64_t hash) const {
        if constexpr (Slot::caches_hash) {
            if (slot.hash != hash) return false;
        }
        return equal_(slot.key(), key);
    }

    template <class Q>
    [[gnu::noinline]] position_type find_chained(const Q& key, std::uint64_t hash,
                                                 const cluster_place& at) const;

    /// An empty slot for this hash, in the nearest group that has one; the groups passed
    /// over have the overflow bit set already, which does no harm if nothing is put there.
    ///
    /// Throws     std::bad_alloc when the cluster is full and no block can be had.
    position_type free_slot(std::uint64_t hash) {
        const cluster_place at = place_of(hash);
        const unsigned home = home_of(hash, at.last);
        std::uint8_t* const group = at.groups + std::size_t{home} * group_bytes;
        if (const auto empty = group16{group}.match_empty(slot_tags)) [[likely]] {
            return {group, at.slots + std::size_t{home} * group_slots,
                    static_cast<std::uint16_t>(empty.lowest()),
                    static_cast<std::uint16_t>(at.last - home)};
        }
        return free_slot_elsewhere(hash, at);
    }
    [[gnu::noinline]] position_type free_slot_elsewhere(std::uint64_t hash,
                                                        const cluster_place& at);
    position_type free_slot_in_cluster(std::uint64_t hash, const cluster_place& at) noexcept;
    position_type free_slot_chained(const cluster_place& at);
    static unsigned count_entries(const cluster_place& at) noexcept;

    // growth.hpp
    struct family_plan;
    using time_point = std::chrono::steady_clock::time_point;
    [[gnu::noinline]] void grow();
    void resize_small(unsigned group_count);
    void become_large();
    void become_small() noexcept;
    void prepare_segment(unsigned index);
    void release_segment(unsigned index) noexcept;
    void add_cluster(std::uint64_t cluster);
    void split();
    bool merge() noexcept;
    std::uint64_t redistribute(std::uint64_t family, unsigned positions, const std::uint8_t* next,
                               unsigned leaving, bool upwards);
    void plan_cluster(const cluster_place& at, unsigned pos, const std::uint8_t* next,
                      family_plan& plan) const;
    void reserve_chains(std::uint64_t family, const family_plan& plan);
    std::uint64_t move_out(const cluster_place& at, std::uint64_t family, unsigned pos,
                           const std::uint8_t* next, family_plan& plan) noexcept;
    void tidy(const cluster_place& at, std::uint8_t* homes) noexcept;
    void tidy_chain(const cluster_place& at) noexcept;
    void drop_chain(const cluster_place& at) noexcept;
    std::byte* take_spare_block();
    void give_back_block(std::byte* block) noexcept;
    [[gnu::noinline]] void shrink_a_little() noexcept;
    [[gnu::noinline]] void tidy_after_erase(position_type at) noexcept;
    cluster_place owner_of(const position_type& at) const noexcept;
    void set_limits() noexcept;
    static std::uint64_t limit_of(const growth_state& s) noexcept;
    void announce_growth(time_point began, bytes before, std::uint64_t moved,
                         std::uint64_t pages) noexcept;

    void release_all() noexcept;
    void destroy_entries() noexcept;
    void reset() noexcept {
        groups_ = empty_group_pointer();
        slots_ = nullptr;
        large_ = nullptr;
        spare_ = nullptr;
        size_ = grow_at_ = shrink_at_ = 0;
        last_group_ = 0;
        small_floor_ = 1;
        credit_ = 0;
        ++relocations_;
    }
    void swap_contents(table& other) noexcept {
        std::swap(groups_, other.groups_);
        std::swap(slots_, other.slots_);
        std::swap(large_, other.large_);
        std::swap(spare_, other.spare_);
        std::swap(size_, other.size_);
        std::swap(grow_at_, other.grow_at_);
        std::swap(shrink_at_, other.shrink_at_);
        std::swap(seed_, other.seed_);
        std::swap(last_group_, other.last_group_);
        std::swap(small_floor_, other.small_floor_);
        std::swap(credit_, other.credit_);
        ++relocations_, ++other.relocations_;
    }
    bool next_place(position_type& at) const noexcept;
    template <class Do>
    void for_each_place(Do&& action) const;
    template <class Do>
    void for_each_chained(const cluster_place& at, Do&& action) const;
    template <class Do>
    static void for_each_entry(const cluster_place& at, Do&& action);

    std::uint8_t* groups_ = empty_group_pointer();  // of a small table
    Slot* slots_ = nullptr;
    large_state* large_ = nullptr;
    std::size_t size_ = 0;
    std::size_t grow_at_ = 0;
    std::size_t shrink_at_ = 0;
    std::uint64_t seed_ = default_seed | 1;
    std::uint16_t last_group_ = 0;
    std::uint16_t small_floor_ = 1;  // groups that reserve() asked for
    std::uint32_t credit_ = 0;
    std::uint64_t relocations_ = 0;
    std::byte* spare_ = nullptr;  // one block for a chain, kept from one split to the next
    [[no_unique_address]] Hash hash_{};
    [[no_unique_address]] Equal equal_{};
    [[no_unique_address]] value_allocator alloc_{};
};

// ---- Places beyond the home group.

template <class Slot, class Hash, class Equal, class Alloc>
template <class Q>
auto table<Slot, Hash, Equal, Alloc>::find_chained(const Q& key, std::uint64_t hash,
                                                   const cluster_place& at) const -> position_type {
    if (large_ == nullptr) return {};
    const std::uint8_t tag = tag_of(hash);
    for (std::byte* block = header_of(at).overflow; block != nullptr;
         block = header_of_chained(block).overflow) {
        const cluster_place c = chained(block);
        for (unsigned g = 0; g <= c.last; ++g) {
            std::uint8_t* const group = c.groups + std::size_t{g} * group_bytes;
            Slot* const slots = c.slots + std::size_t{g} * group_slots;
            for (const unsigned i : group16{group}.match(tag, slot_tags)) {
                if (is_key(slots[i], key, hash)) {
                    return {group, slots, static_cast<std::uint16_t>(i),
                            static_cast<std::uint16_t>(c.last - g)};
                }
            }
        }
    }
    return {};
}

template <class Slot, class Hash, class Equal, class Alloc>
auto table<Slot, Hash, Equal, Alloc>::free_slot_in_cluster(std::uint64_t hash,
                                                           const cluster_place& at) noexcept
    -> position_type {
    const unsigned home = home_of(hash, at.last);
    for (unsigned n = 0; n <= at.last; ++n) {
        const unsigned g = home ^ n;
        std::uint8_t* const group = at.groups + std::size_t{g} * group_bytes;
        if (const auto empty = group16{group}.match_empty(slot_tags)) {
            return {group, at.slots + std::size_t{g} * group_slots,
                    static_cast<std::uint16_t>(empty.lowest()),
                    static_cast<std::uint16_t>(at.last - g)};
        }
        group[group_slots] |= overflow_bit(hash);
    }
    return {};
}

template <class Slot, class Hash, class Equal, class Alloc>
auto table<Slot, Hash, Equal, Alloc>::free_slot_elsewhere(std::uint64_t hash,
                                                          const cluster_place& at)
    -> position_type {
    if (const position_type found = free_slot_in_cluster(hash, at)) return found;
    return free_slot_chained(at);
}

/// Only a cluster of a large table can be full: a small one grows first.
template <class Slot, class Hash, class Equal, class Alloc>
auto table<Slot, Hash, Equal, Alloc>::free_slot_chained(const cluster_place& at) -> position_type {
    STEADY_ASSERT(2, large_ != nullptr, "T5: a small table is full");
    cluster_header* header = &header_of(at);
    const std::uint64_t cluster = header->cluster;
    for (; header->overflow != nullptr; header = &header_of_chained(header->overflow)) {
        const cluster_place c = chained(header->overflow);
        for (unsigned g = 0; g <= c.last; ++g) {
            std::uint8_t* const group = c.groups + std::size_t{g} * group_bytes;
            if (const auto empty = group16{group}.match_empty(slot_tags)) {
                return {group, c.slots + std::size_t{g} * group_slots,
                        static_cast<std::uint16_t>(empty.lowest()),
                        static_cast<std::uint16_t>(c.last - g)};
            }
        }
    }
    std::byte* const block = take_spare_block();
    header_of_chained(block) = {nullptr, cluster};
    header->overflow = block;
    ++large_->chained;
    const cluster_place c = chained(block);
    return {c.groups, c.slots, 0, static_cast<std::uint16_t>(c.last)};
}

template <class Slot, class Hash, class Equal, class Alloc>
unsigned table<Slot, Hash, Equal, Alloc>::count_entries(const cluster_place& at) noexcept {
    unsigned n = 0;
    for (unsigned g = 0; g <= at.last; ++g) {
        n += group16{at.groups + std::size_t{g} * group_bytes}.match_occupied(slot_tags).count();
    }
    return n;
}

}  // namespace steady::detail
