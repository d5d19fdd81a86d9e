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
//              segment i has 2^i clusters from 2^i - 1 on, and none ever moves
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
#include <array>
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
#include "steady/map/outlook.hpp"
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
inline constexpr unsigned group_slots = 15;
inline constexpr unsigned group_bytes = 16;
inline constexpr auto slot_tags = group16::mask::first(group_slots);

/// A group that is always empty: what a map without memory searches.
alignas(16) inline constexpr std::uint8_t empty_group[group_bytes] = {};

/// Sizes that follow from a slot's size and alignment.
template <class Slot>
struct cluster_shape {
    // A split touches the new cluster's pages and moves a share of three: large entries
    // have smaller clusters, so that both stay bounded in bytes.
    static constexpr unsigned groups = sizeof(Slot) <= 64 ? 16 : (sizeof(Slot) <= 128 ? 8 : 4);
    static constexpr unsigned slots = groups * group_slots;
    static constexpr unsigned group_bits = std::bit_width(groups) - 1;
    static constexpr unsigned block_groups = 4;
    static constexpr unsigned block_slots = block_groups * group_slots;
    static constexpr std::size_t alignment = std::max<std::size_t>(16, alignof(Slot));

    static constexpr std::size_t group_area = groups * group_bytes;
    static constexpr std::size_t header_offset(unsigned slot_count) noexcept {
        return round_up(slot_count * sizeof(Slot), alignof(cluster_header));
    }
    /// From one cluster's slots to the next one's: nothing between them.
    static constexpr std::size_t stride = slots * sizeof(Slot);
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

/// The slots of a group that begin in the same cache line as a preferred one.
template <class Slot>
struct near_slots {
    static constexpr std::size_t line = 64, grain = 8;
    using row = std::array<group16::mask, 8>;  // by preferred slot / 2

    static constexpr auto make() noexcept {
        std::array<row, line / grain> masks{};
        for (std::size_t offset = 0; offset < line; offset += grain) {
            for (unsigned wish = 0; wish < 16; wish += 2) {
                const std::size_t wanted = (offset + wish * sizeof(Slot)) / line;
                unsigned from = group_slots, to = 0;
                for (unsigned i = group_slots; i-- != 0;) {
                    if ((offset + i * sizeof(Slot)) / line != wanted) continue;
                    from = i;
                    to = to == 0 ? i + 1 : to;
                }
                masks[offset / grain][wish / 2] =
                    group16::mask::first(to).without(group16::mask::first(from));
            }
        }
        return masks;
    }
    static constexpr std::array<row, line / grain> masks = make();

    [[nodiscard, gnu::always_inline]] static group16::mask of(const Slot* slots,
                                                              unsigned wish) noexcept {
        return masks[reinterpret_cast<std::uintptr_t>(slots) % line / grain][wish / 2];
    }
};

/// Where an entry stands, or nowhere: two pointers, so that it travels in registers. Groups
/// are aligned to 16, so the tag's address is the group's and the index.
template <class Slot>
struct position {
    std::uint8_t* tag = nullptr;
    Slot* entry = nullptr;  // null: nowhere

    position() noexcept = default;
    [[gnu::always_inline]] position(std::uint8_t* group, Slot* slots, unsigned index) noexcept
        : tag{group + index}, entry{slots + index} {}

    [[nodiscard]] explicit operator bool() const noexcept { return entry != nullptr; }
    [[nodiscard]] Slot& slot() const noexcept { return *entry; }
    [[nodiscard]] unsigned index() const noexcept {
        return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(tag) % group_bytes);
    }
    [[nodiscard]] std::uint8_t* group() const noexcept { return tag - index(); }
    [[nodiscard]] Slot* slots() const noexcept { return entry - index(); }
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

    /// The home group of a hash and what a search needs there.
    struct home_place {
        std::uint8_t* group;
        Slot* slots;
    };

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
        return find_from(key, hash, home_at(hash));
    }

    /// The same for a place that was computed, and perhaps prefetched, before.
    template <class Q>
    [[nodiscard, gnu::always_inline]] position_type find_from(const Q& key, std::uint64_t hash,
                                                              const home_place& at) const {
        const position_type found = find_in_group<true>(key, hash, at.group, at.slots);
        if (found) [[likely]]
            return found;
        if ((at.group[group_slots] & overflow_bit(hash)) == 0) [[likely]]
            return {};
        return find_elsewhere(key, hash);
    }

    /// The slot may be none at all, in an empty map: hence no pointer arithmetic.
    [[gnu::always_inline]] static void prefetch_slot(const Slot* slots,
                                                     std::uint64_t hash) noexcept {
        __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(slots) +
                                                         preferred_slot(hash) * sizeof(Slot)));
    }

    /// Starts loading what a search for this hash reads.
    [[gnu::always_inline]] home_place prefetch_home(std::uint64_t hash) const noexcept {
        const home_place at = home_at(hash);
        __builtin_prefetch(at.group);
        prefetch_slot(at.slots, hash);
        return at;
    }

    // ---- Changing.

    /// Finds the key or makes an entry by `make(slot)`, which constructs it.
    ///
    /// Throws     what hashing, comparing, allocating and `make` throw; nothing has changed
    ///            then, except that a step of growth may have been made.
    template <class Q, class Make>
    [[gnu::always_inline]] std::pair<position_type, bool> find_or_make(const Q& key, Make&& make) {
        const std::uint64_t hash = hash_of(key);
        const home_place at = home_at(hash);
        if (const position_type found = find_from(key, hash, at)) return {found, false};
        const auto empty = group16{at.group}.match_empty(slot_tags);
        if (size_ < grow_at_ && empty) [[likely]] {
            const position_type fresh{at.group, at.slots, choose_slot(empty, at.slots, hash)};
            make_at(fresh, hash, make);
            return {fresh, true};
        }
        return {make_new(key, hash, make), true};
    }

    /// Makes an entry whose key is known to be absent.
    template <class Q, class Make>
    [[gnu::noinline]] position_type make_new(const Q& key, std::uint64_t hash, Make&& make) {
        if (size_ >= grow_at_) [[unlikely]] {
            grow();
            hash = hash_of(key);  // the first block brings the seed
        }
        const position_type at = free_slot(hash);
        make_at(at, hash, make);
        return at;
    }

    template <class Make>
    [[gnu::always_inline]] void make_at(const position_type& at, std::uint64_t hash, Make&& make) {
        make(at.slot());
        at.slot().keep_hash(hash);
        *at.tag = tag_of(hash);
        ++size_;
    }

    /// Destroys the entry. Nothing else moves.
    void erase_at(position_type at) noexcept {
        at.slot().destroy(alloc_);
        *at.tag = 0;
        --size_;
    }

    /// Destroys the entry and does a share of the tidying and shrinking that is due.
    void erase_and_tidy(position_type at) noexcept {
        // Added, not branched on: whether a group has overflowed cannot be predicted.
        credit_ += at.group()[group_slots] != 0;
        if (credit_ >= tidy_credit) [[unlikely]] {
            tidy_after_erase(at);
            return;
        }
        erase_at(at);
        if (size_ < shrink_at_) [[unlikely]]
            shrink_a_little();
    }

    /// Takes the entry out without destroying it: it has been moved away.
    void forget_at(position_type at) noexcept {
        *at.tag = 0;
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

    /// Large segments ask for huge pages, those that are there and those to come.
    void prefer_huge_pages() noexcept;
    /// Room for so many entries without growing.
    void reserve(std::size_t entries);
    /// One step towards the size the entries need. Returns false when there is none left.
    bool shrink_step() noexcept;
    [[nodiscard]] bool can_shrink() const noexcept;
    /// Fills an empty table with copies of the other's entries.
    void copy_entries(const table& other);

    // ---- Walking.

    /// A position on its way: which entries of its group are still to come, and how many
    /// groups of its cluster or block. Both are found out when the first step is made.
    struct walk_position {
        static constexpr unsigned unknown = ~0u;
        position_type at{};
        group16::mask rest{};
        unsigned groups_left = unknown;
    };
    [[nodiscard]] walk_position first() const noexcept;
    /// The next entry in the order of storage.
    void advance(walk_position& at) const noexcept;
    /// Calls `visit(slot)` for every entry of the family with this number.
    template <class Visit>
    void for_each_in_family(std::uint64_t family, Visit&& visit) const;
    template <class Visit>
    std::uint64_t for_each_from(std::uint64_t from, Visit&& visit) const;
    template <class Visit>
    scan_cursor scan(std::uint64_t from, std::size_t entries, Visit&& visit) const;

    // ---- Telling.

    [[nodiscard]] map_memory memory() const noexcept;
    /// What a table of so many entries takes, before there is one: outlook.hpp.
    [[nodiscard]] static map_outlook outlook(std::uint64_t entries,
                                             std::uint64_t reserved) noexcept;
    [[nodiscard]] map_statistics statistics() const;
    [[nodiscard]] std::size_t slot_count() const noexcept {
        if (large_ != nullptr) return large_->state.clusters() * shape::slots;
        return groups_ == empty_group_pointer() ? 0 : (last_group_ + 1u) * group_slots;
    }
    [[nodiscard]] const growth_state* state() const noexcept {
        return large_ == nullptr ? nullptr : &large_->state;
    }
    [[nodiscard]] std::size_t grow_limit() const noexcept { return grow_at_; }
    /// The order of families: the bits of the family number from the lowest up, so that the
    /// hashes of one family, at whatever level, are one interval. The home comes last.
    [[nodiscard]] static std::uint64_t order_of(std::uint64_t hash) noexcept {
        return reverse_bits(std::rotr(gray(hash), static_cast<int>(shape::group_bits)));
    }
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
    static constexpr std::size_t segment_line = 64;  // where the groups of a segment begin
    static constexpr unsigned splits_ahead = 4;      // before a segment is needed, it is taken
    // Erasures from groups with overflow after which one cluster is tidied.
    static constexpr unsigned tidy_credit = 192;

    /// Where cluster 0 would be, were it in this segment.
    struct segment_base {
        std::uintptr_t groups;
        std::uintptr_t slots;
    };

    struct large_state {
        address_function<shape::group_bits> address;  // of `state`: what searches read
        segment_base base[segments];
        growth_state state;
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
        unsigned last;              // group
        std::uint64_t cluster = 0;  // its number, in a large table
    };

    static std::uint8_t* empty_group_pointer() noexcept {
        return const_cast<std::uint8_t*>(empty_group);
    }
    static Slot* slots_of(std::uintptr_t address) noexcept {
        return reinterpret_cast<Slot*>(address);
    }

    /// The segment of a cluster: segment i has the 2^i clusters from 2^i - 1 on.
    [[nodiscard, gnu::always_inline]] static unsigned segment_of(std::uint64_t cluster) noexcept {
        return 63u ^ static_cast<unsigned>(__builtin_clzll(cluster + 1));
    }
    /// The same from a group's number: cluster + 1 is (number + groups) / groups.
    [[nodiscard, gnu::always_inline]] static unsigned segment_of_group(
        std::uint64_t number) noexcept {
        return (63u ^ static_cast<unsigned>(__builtin_clzll(number + shape::groups))) -
               shape::group_bits;
    }
    /// The bits of a hash that choose its position in the family.
    [[nodiscard]] static unsigned position_index(std::uint64_t hash, unsigned level) noexcept {
        return static_cast<unsigned>(hash >> (level + shape::group_bits)) & (position_indices - 1);
    }
    [[nodiscard, gnu::always_inline]] static cluster_place cluster_in(
        const large_state& large, std::uint64_t cluster) noexcept {
        const segment_base& base = large.base[segment_of(cluster)];
        return {reinterpret_cast<std::uint8_t*>(base.groups + cluster * shape::group_area),
                slots_of(base.slots + cluster * shape::stride), shape::groups - 1, cluster};
    }
    [[nodiscard, gnu::always_inline]] cluster_place cluster_at(
        std::uint64_t cluster) const noexcept {
        return cluster_in(*large_, cluster);
    }

    [[nodiscard, gnu::always_inline]] cluster_place place_of(std::uint64_t hash) const noexcept {
        if (large_ == nullptr) return {groups_, slots_, last_group_};
        return cluster_at(large_->address.cluster(hash));
    }

    /// Of a chained block, or of a small table of a whole cluster.
    [[nodiscard]] static cluster_header& header_behind(Slot* slots, unsigned slot_count) noexcept {
        return *std::launder(reinterpret_cast<cluster_header*>(reinterpret_cast<std::byte*>(slots) +
                                                               shape::header_offset(slot_count)));
    }
    [[nodiscard]] cluster_header& header_of(std::uint64_t cluster) const noexcept {
        const unsigned s = segment_of(cluster);
        return large_->block[s].headers[cluster + 1 - (std::uint64_t{1} << s)];
    }
    /// The cluster whose groups these are; no_cluster when they belong to a chained block.
    static constexpr std::uint64_t no_cluster = ~std::uint64_t{0};
    [[nodiscard]] std::uint64_t cluster_of(const std::uint8_t* group) const noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(group);
        const unsigned in_use = segment_of(large_->state.clusters() - 1);
        for (unsigned s = in_use + 1; s-- != 0;) {
            const std::uint64_t cluster = (address - large_->base[s].groups) / shape::group_area;
            if (address >= large_->base[s].groups && cluster + 1 >= std::uint64_t{1} << s &&
                cluster + 1 < std::uint64_t{2} << s) {
                return cluster;
            }
        }
        return no_cluster;
    }
    /// The header of the cluster or block in whose last group this position is.
    [[nodiscard]] cluster_header& header_after(const position_type& at) const noexcept {
        const std::uint64_t cluster = cluster_of(at.tag);
        if (cluster != no_cluster) return header_of(cluster);
        return header_behind(at.slots() - (shape::block_groups - 1) * group_slots,
                             shape::block_slots);
    }
    [[nodiscard]] bool has_chain(const cluster_place& at) const noexcept {
        return large_ != nullptr && header_of(at.cluster).overflow != nullptr;
    }
    [[nodiscard]] static cluster_place chained(std::byte* block) noexcept {
        return {reinterpret_cast<std::uint8_t*>(block),
                reinterpret_cast<Slot*>(block + shape::slots_at(shape::block_groups)),
                shape::block_groups - 1};
    }
    [[nodiscard]] static cluster_header& header_of_chained(std::byte* block) noexcept {
        return header_behind(chained(block).slots, shape::block_slots);
    }

    [[nodiscard, gnu::always_inline]] home_place home_at(std::uint64_t hash) const noexcept {
        const large_state* const large = large_;
        if (large == nullptr) {
            const std::size_t home = home_of(hash, last_group_);
            return {groups_ + home * group_bytes, slots_ + home * group_slots};
        }
        // Groups are numbered through all clusters, so that one product finds the slots.
        const std::uint64_t number = large->address.home(hash);
        const segment_base& base = large->base[segment_of_group(number)];
        return {reinterpret_cast<std::uint8_t*>(base.groups + number * group_bytes),
                slots_of(base.slots + number * (group_slots * sizeof(Slot)))};
    }

    /// The key in this group, or nowhere.
    ///
    /// Ahead      also fetch the line where the entry most likely is. The request stands
    ///            behind the branch on purpose: a processor that expects a match sends it
    ///            before the tags have come, one that expects a miss does not send it.
    template <bool Ahead, class Q>
    [[nodiscard, gnu::always_inline]] position_type find_in_group(const Q& key, std::uint64_t hash,
                                                                  std::uint8_t* group,
                                                                  Slot* slots) const {
        auto m = group16{group}.match_word(tag_word_of(hash), slot_tags);
        if (m) {
            if constexpr (Ahead) prefetch_slot(slots, hash);
            do {
                const unsigned i = m.lowest();
                if (is_key(slots[i], key, hash)) [[likely]] {
                    if (slots == nullptr) __builtin_unreachable();  // so `found` is known
                    return {group, slots, i};
                }
            } while (m.drop_lowest());
        }
        return {};
    }

    /// The key in the groups after its home, then in the chain.
    template <class Q>
    [[nodiscard, gnu::noinline]] position_type find_elsewhere(const Q& key,
                                                              std::uint64_t hash) const {
        const cluster_place at = place_of(hash);
        const unsigned home = home_of(hash, at.last);
        for (unsigned n = 1; n <= at.last; ++n) {
            const unsigned g = home ^ n;
            std::uint8_t* const group = at.groups + std::size_t{g} * group_bytes;
            if (const position_type found = find_in_group<false>(
                    key, hash, group, at.slots + std::size_t{g} * group_slots)) {
                return found;
            }
            if ((group[group_slots] & overflow_bit(hash)) == 0) return {};
        }
        return find_chained(key, hash, at);
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

    /// One of the empty slots of a group: where the line is that a search fetches ahead.
    [[nodiscard, gnu::always_inline]] static unsigned choose_slot(group16::mask empty,
                                                                  const Slot* slots,
                                                                  std::uint64_t hash) noexcept {
        const unsigned wish = preferred_slot(hash);
        const auto near = empty & near_slots<Slot>::of(slots, wish);
        // Both, then a conditional move: whether the line has room cannot be predicted.
        const unsigned nearest = near.lowest(), first = empty.lowest();
        return near ? nearest : first;
    }

    /// An empty slot for this hash, in the nearest group that has one; the groups passed
    /// over have the overflow bit set already, which does no harm if nothing is put there.
    ///
    /// Throws     std::bad_alloc when the cluster is full and no block can be had.
    position_type free_slot(std::uint64_t hash) {
        const cluster_place at = place_of(hash);
        if (const position_type found = free_slot_in_cluster(hash, at)) return found;
        return free_slot_chained(at);
    }
    [[gnu::always_inline]] static position_type free_slot_in_cluster(
        std::uint64_t hash, const cluster_place& at) noexcept {
        const unsigned home = home_of(hash, at.last);
        std::uint8_t* const group = at.groups + std::size_t{home} * group_bytes;
        if (const auto empty = group16{group}.match_empty(slot_tags)) [[likely]] {
            Slot* const slots = at.slots + std::size_t{home} * group_slots;
            return {group, slots, choose_slot(empty, slots, hash)};
        }
        return free_slot_beyond(hash, at);
    }
    [[gnu::noinline]] static position_type free_slot_beyond(std::uint64_t hash,
                                                            const cluster_place& at) noexcept;
    position_type free_slot_chained(const cluster_place& at);
    static unsigned count_entries(const cluster_place& at) noexcept;

    // growth.hpp
    struct cluster_plan;
    struct family_plan;
    using time_point = std::chrono::steady_clock::time_point;
    [[gnu::noinline]] void grow();
    void resize_small(unsigned group_count);
    void become_large();
    void become_small() noexcept;
    static constexpr std::size_t segment_bytes(unsigned index) noexcept;
    void prepare_segment(unsigned index);
    void release_segment(unsigned index) noexcept;
    void add_cluster(std::uint64_t cluster);
    void drop_pages_behind(std::uint64_t gone) noexcept;
    void split();
    void prepare_ahead() noexcept;
    bool merge() noexcept;
    std::uint64_t redistribute(std::uint64_t family, const rows::traffic& pass,
                               const std::uint8_t* next);
    unsigned plan_cluster(const cluster_place& at, unsigned pos, const std::uint8_t* next,
                          cluster_plan& plan) const;
    void reserve_chains(std::uint64_t family, const rows::traffic& pass, const std::uint8_t* next,
                        unsigned movers, const family_plan& plan);
    void move_out(const cluster_place& at, std::uint64_t family, unsigned pos,
                  const std::uint8_t* next, const cluster_plan& plan) noexcept;
    void tidy(const cluster_place& at, const cluster_plan& plan) noexcept;
    void trim_spare_blocks() noexcept;
    void drop_spare_blocks() noexcept;
    void tidy_chain(const cluster_place& at) noexcept;
    void drop_chain(const cluster_place& at) noexcept;
    std::byte* take_spare_block();
    void give_back_block(std::byte* block) noexcept;
    [[gnu::noinline]] void shrink_a_little() noexcept;
    [[gnu::noinline]] void tidy_after_erase(position_type at) noexcept;
    void set_limits() noexcept;
    static std::uint64_t limit_of(const growth_state& s) noexcept;
    static map_memory parts_of(std::size_t entries, unsigned small_groups, std::uint64_t clusters,
                               std::size_t segments_taken, std::uint64_t blocks_held) noexcept;
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
        std::swap(huge_pages_, other.huge_pages_);
        std::swap(credit_, other.credit_);
        ++relocations_, ++other.relocations_;
    }
    bool next_place(position_type& at, unsigned& groups_left) const noexcept;
    [[gnu::noinline]] unsigned count_groups_left(const position_type& at) const noexcept;
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
    std::uint64_t seed_ = default_seed;
    std::uint16_t last_group_ = 0;
    std::uint16_t small_floor_ = 1;  // groups that reserve() asked for
    std::uint32_t credit_ = 0;
    std::uint64_t relocations_ = 0;
    bool huge_pages_ = false;
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
    for (std::byte* block = header_of(at.cluster).overflow; block != nullptr;
         block = header_of_chained(block).overflow) {
        const cluster_place c = chained(block);
        for (unsigned g = 0; g <= c.last; ++g) {
            std::uint8_t* const group = c.groups + std::size_t{g} * group_bytes;
            Slot* const slots = c.slots + std::size_t{g} * group_slots;
            for (const unsigned i : group16{group}.match(tag, slot_tags)) {
                if (is_key(slots[i], key, hash)) {
                    return {group, slots, i};
                }
            }
        }
    }
    return {};
}

template <class Slot, class Hash, class Equal, class Alloc>
auto table<Slot, Hash, Equal, Alloc>::free_slot_beyond(std::uint64_t hash,
                                                       const cluster_place& at) noexcept
    -> position_type {
    const unsigned home = home_of(hash, at.last);
    for (unsigned n = 0; n <= at.last; ++n) {
        const unsigned g = home ^ n;
        std::uint8_t* const group = at.groups + std::size_t{g} * group_bytes;
        if (const auto empty = group16{group}.match_empty(slot_tags)) {
            Slot* const slots = at.slots + std::size_t{g} * group_slots;
            return {group, slots, choose_slot(empty, slots, hash)};
        }
        group[group_slots] |= overflow_bit(hash);
    }
    return {};
}

/// Only a cluster of a large table can be full: a small one grows first.
template <class Slot, class Hash, class Equal, class Alloc>
auto table<Slot, Hash, Equal, Alloc>::free_slot_chained(const cluster_place& at) -> position_type {
    STEADY_ASSERT(2, large_ != nullptr, "T5: a small table is full");
    cluster_header* header = &header_of(at.cluster);
    for (; header->overflow != nullptr; header = &header_of_chained(header->overflow)) {
        const cluster_place c = chained(header->overflow);
        for (unsigned g = 0; g <= c.last; ++g) {
            std::uint8_t* const group = c.groups + std::size_t{g} * group_bytes;
            if (const auto empty = group16{group}.match_empty(slot_tags)) {
                return {group, c.slots + std::size_t{g} * group_slots, empty.lowest()};
            }
        }
    }
    std::byte* const block = take_spare_block();
    header_of_chained(block) = {nullptr, at.cluster};
    header->overflow = block;
    ++large_->chained;
    const cluster_place c = chained(block);
    return {c.groups, c.slots, 0};
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
