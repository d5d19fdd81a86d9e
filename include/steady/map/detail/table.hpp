// table.hpp - the table under steady::map and steady::set: groups of tags in the order of
// hashes, and where an entry may stand. Addresses are in address.hpp, sizes in shape.hpp,
// full clusters in chains.hpp, growing and shrinking in growth.hpp and steps.hpp, walking in
// walk.hpp, what a table says about itself in inspect.hpp.
//
//   nothing    no memory; the only group is one constant empty group
//   small      1 or 2, 4, 8, ... groups in one block; doubling moves at most 840 entries
//   large      a region that is longer than the table and whose pages become resident as it
//              grows; when it is full, the next pass goes to a longer one
//
//   An entry stands in its home group, or, when that is full, in one of the groups
//   home ^ 1, home ^ 2, ... of the cluster (of a small table: of the table), or, when the
//   cluster is full, in a block of 60 slots chained to it. Each group passed over has the
//   entry's bit set in its overflow byte: a search that does not find it set ends there.
//
// Invariants (check() tests each one; tests/bugs/ breaks each one)
//   T1  An entry is in the cluster its hash belongs to, in the n-th group of its home's
//       order, and has its bit set in the n groups before. In a block: in all of them.
//   T2  A tag is 0 exactly where the slot holds no entry; otherwise it is its hash's tag.
//   T3  size() is the number of tags that are not 0.
//   T4  Entries move only in steps of growth, and when their own cluster is tidied.
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
#include "steady/map/detail/outlook.hpp"
#include "steady/map/detail/region.hpp"
#include "steady/map/detail/shape.hpp"
#include "steady/map/detail/slot.hpp"
#include "steady/map/hash_policy.hpp"
#include "steady/map/statistics.hpp"

namespace steady {

/// How far a scan has come; 0 is the beginning and, when returned, the end. Valid for the
/// map's life, whatever grows, shrinks or is erased meanwhile; not across clear().
enum class scan_cursor : std::uint64_t {};

}  // namespace steady

namespace steady::detail {

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
        std::uint64_t tags_before;  // bytes, of the groups before this one
        Slot* const* table_slots;

        /// Computed when a tag agrees, and not before. The slots may be none at all, in an
        /// empty map: hence no pointer arithmetic.
        [[nodiscard, gnu::always_inline]] Slot* slots() const noexcept {
            std::uint64_t before = tags_before * (shape::group_stride / group_bytes);
            if constexpr (shape::group_stride % group_bytes != 0) {
                before = tags_before / group_bytes * shape::group_stride;
            }
            return reinterpret_cast<Slot*>(reinterpret_cast<std::uintptr_t>(*table_slots) + before);
        }
    };
    /// Any other group.
    struct group_place {
        std::uint8_t* group;
        Slot* first;
        [[nodiscard]] Slot* slots() const noexcept { return first; }
    };

    // ---- Looking.

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard, gnu::always_inline]] home_place home_at(std::uint64_t hash) const noexcept {
        const table* const self = in_a_register(this);
        const int addressing = self->addressing_;
        if (addressing > 0) [[likely]]
            return self->plain_home(hash, addressing);
        return self->home_of_scale(hash, addressing);
    }
    /// In a table whose addressing_ is a shift.
    [[nodiscard, gnu::always_inline]] home_place plain_home(std::uint64_t hash,
                                                            int shift) const noexcept {
        const std::uint64_t before = hash >> shift & ~std::uint64_t{group_bytes - 1};
        return {tags_[0] + before, before, &slots_[0]};
    }
    /// In any other. While a pass is under way, which scale it is cannot be predicted.
    [[nodiscard, gnu::always_inline]] home_place home_of_scale(std::uint64_t hash,
                                                               int addressing) const noexcept {
        if (addressing == in_one_region) [[likely]] {
            const std::uint64_t groups =
                second_if_above(hash, frontier_, groups_in_[0], groups_in_[1]);
            const std::uint64_t before = group_number(hash, groups) * group_bytes;
            return {tags_[0] + before, before, &slots_[0]};
        }
        const unsigned scale = scale_of(hash);
        const std::uint64_t before = number_of(hash, scale) * group_bytes;
        return {tags_[scale] + before, before, &slots_[scale]};
    }

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
        const table* const self = in_a_register(this);
        const int addressing = self->addressing_;
        if (addressing > 0) [[likely]]
            return find_from<false>(key, hash, self->plain_home(hash, addressing));
        return find_from<true>(key, hash, self->home_of_scale(hash, addressing));
    }

    /// The same for a place that was computed before. Ahead: see find_in_group().
    template <bool Ahead, class Q>
    [[nodiscard, gnu::always_inline]] position_type find_from(const Q& key, std::uint64_t hash,
                                                              const home_place& at) const {
        position_type found;
        if (find_in_group<Ahead>(key, hash, at, found)) [[likely]]
            return found;
        if ((at.group[group_slots] & overflow_bit(hash)) == 0) [[likely]]
            return {};
        return find_elsewhere(key, hash);
    }

    /// The same for a place that was prefetched, or need not be: the slot, or nullptr.
    template <class Q>
    [[nodiscard, gnu::always_inline]] Slot* find_slot(const Q& key, std::uint64_t hash,
                                                      const home_place& at) const {
        const auto* const aligned =
            static_cast<const std::uint8_t*>(__builtin_assume_aligned(at.group, group_bytes));
        if (auto m = group16{aligned}.match_word(tag_word_of(hash), slot_tags)) {
            Slot* const slots = at.slots();
            do {
                Slot* const slot = slots + m.lowest();
                if (is_key(*slot, key, hash)) [[likely]] {
                    if (slot == nullptr) __builtin_unreachable();
                    return slot;
                }
            } while (m.drop_lowest());
        }
        if ((at.group[group_slots] & overflow_bit(hash)) == 0) [[likely]]
            return nullptr;
        return find_elsewhere(key, hash).entry;
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
        prefetch_slot(at.slots(), hash);
        return at;
    }

    // ---- Looking in three steps (batches.hpp).

    /// What is known of a key under way.
    struct search {
        std::uint64_t hash;
        const std::uint8_t* group;
        Slot* slot;  // the first of the group, then the first whose tag agrees
        group16::mask matches;
    };
    /// What the caches hold needs no steps.
    [[nodiscard]] bool is_worth_asking_ahead() const noexcept {
        constexpr std::size_t cached_somewhere = std::size_t{3} << 20;
        return groups_in_[0] * shape::group_stride > cached_somewhere;
    }
    /// Asks for the tags.
    template <class Q>
    [[gnu::always_inline]] void begin_search(search& s, const Q& key) const {
        s.hash = hash_of(key);
        const home_place home = home_of_scale(s.hash, addressing_);
        s.group = home.group;
        s.slot = home.slots();
        __builtin_prefetch(s.group);
    }
    /// Compares them and asks for the entry.
    [[gnu::always_inline]] static void go_on_with_search(search& s) noexcept {
        const auto* const aligned =
            static_cast<const std::uint8_t*>(__builtin_assume_aligned(s.group, group_bytes));
        s.matches = group16{aligned}.match_word(tag_word_of(s.hash), slot_tags);
        // Where none agrees, a slot that is there.
        s.slot += (s.matches | group16::mask::all().without(slot_tags)).lowest();
        __builtin_prefetch(s.slot);
    }
    template <class Q>
    [[nodiscard, gnu::always_inline]] Slot* end_search(const search& s, const Q& key) const {
        if (s.matches) {
            if (is_key(*s.slot, key, s.hash)) [[likely]] {
                if (s.slot == nullptr) __builtin_unreachable();
                return s.slot;
            }
        } else if ((s.group[group_slots] & overflow_bit(s.hash)) == 0) {
            return nullptr;
        }
        return search_again(key, s.hash);
    }
    template <class Q>
    [[nodiscard, gnu::noinline]] Slot* search_again(const Q& key, std::uint64_t hash) const {
        return find(key, hash).entry;
    }

    // ---- Changing.

    /// Finds the key or makes an entry by `make(slot)`, which constructs it.
    ///
    /// Throws     what hashing, comparing, allocating and `make` throw; nothing has changed
    ///            then, except that a step of growth may have been made.
    template <class Q, class Make>
    [[gnu::always_inline]] std::pair<position_type, bool> find_or_make(const Q& key, Make&& make) {
        const std::uint64_t hash = hash_of(key);
        const int addressing = in_a_register(this)->addressing_;
        const home_place at =
            addressing > 0 ? plain_home(hash, addressing) : home_of_scale(hash, addressing);
        if (const position_type found = find_from<true>(key, hash, at)) return {found, false};
        const auto empty = group16{at.group}.match_empty(slot_tags);
        new_place fresh;
        if (size_ < grow_at_ && empty) [[likely]] {
            Slot* const slots = at.slots();
            const unsigned i = addressing > 0 ? empty.lowest() : choose_slot(empty, slots, hash);
            fresh = {{at.group, slots, i}, hash};
        } else {
            fresh = place_new(key, hash);
        }
        make_at(fresh.at, fresh.hash, make);
        return {fresh.at, true};
    }

    /// Where a new entry is to be made.
    struct new_place {
        position_type at;
        std::uint64_t hash;
    };
    /// Grows if that is due. What makes the entry is not passed on: a caller's loop counter
    /// in it would have to live in memory, and its reload would wait for the slot's store.
    template <class Q>
    [[gnu::noinline]] new_place place_new(const Q& key, std::uint64_t hash) {
        if (size_ >= grow_at_) [[unlikely]] {
            grow();
            hash = hash_of(key);  // the first block brings the seed
        }
        return {free_slot(hash), hash};
    }

    /// Makes an entry whose key is known to be absent.
    template <class Q, class Make>
    position_type make_new(const Q& key, std::uint64_t hash, Make&& make) {
        const new_place fresh = place_new(key, hash);
        make_at(fresh.at, fresh.hash, make);
        return fresh.at;
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
    [[gnu::always_inline]] void erase_and_tidy(position_type at, std::uint8_t overflow) noexcept {
        // Added, not branched on: whether a group has overflowed cannot be predicted.
        credit_ += overflow != 0;
        if (credit_ >= tidy_credit) [[unlikely]] {
            tidy_after_erase(at);
            return;
        }
        erase_at(at);
        if (size_ < shrink_at_) [[unlikely]]
            shrink_a_little();
    }

    /// Erases the entry with this key.
    ///
    /// Returns    whether there was one.
    template <class Q>
    [[gnu::always_inline]] bool erase_key(const Q& key) {
        const std::uint64_t hash = hash_of(key);
        const int addressing = in_a_register(this)->addressing_;
        if (addressing > 0) [[likely]]
            return erase_from<false>(key, hash, plain_home(hash, addressing));
        return erase_from<true>(key, hash, home_of_scale(hash, addressing));
    }
    /// As find_from(), but what is found at home stays in registers.
    template <bool Ahead, class Q>
    [[gnu::always_inline]] bool erase_from(const Q& key, std::uint64_t hash,
                                           const home_place& home) {
        const auto* const aligned =
            static_cast<const std::uint8_t*>(__builtin_assume_aligned(home.group, group_bytes));
        if (auto m = group16{aligned}.match_word(tag_word_of(hash), slot_tags)) {
            Slot* const slots = home.slots();
            if constexpr (Ahead) prefetch_slot(slots, hash);
            do {
                const unsigned i = m.lowest();
                if (is_key(slots[i], key, hash)) [[likely]] {
                    erase_and_tidy({home.group, slots, i}, home.group[group_slots]);
                    return true;
                }
            } while (m.drop_lowest());
        }
        if ((home.group[group_slots] & overflow_bit(hash)) == 0) [[likely]]
            return false;
        return erase_elsewhere(key, hash);
    }
    template <class Q>
    [[gnu::noinline]] bool erase_elsewhere(const Q& key, std::uint64_t hash) {
        const position_type found = find_elsewhere(key, hash);
        if (found) erase_and_tidy(found, found.group()[group_slots]);
        return bool(found);
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

    /// A large region asks for huge pages, the one that is there and those to come.
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
        static constexpr std::uint64_t unknown = ~std::uint64_t{0};
        position_type at{};
        group16::mask rest{};  // the slot after this one is its first
        std::uint64_t groups_left = unknown;

        /// The first entry of a group at whose first slot it stands.
        void enter(group16::mask occupied) noexcept {
            const unsigned index = occupied.lowest();
            at.tag += index;
            at.entry += index;
            rest = occupied.from(index + 1);
        }
    };
    [[nodiscard]] walk_position first() const noexcept;
    /// The next entry in the order of storage.
    void advance(walk_position& at) const noexcept;
    template <class Visit>
    std::uint64_t for_each_from(std::uint64_t from, Visit&& visit) const;
    template <class Visit>
    scan_cursor scan(std::uint64_t from, std::size_t entries, Visit&& visit) const;

    // ---- Telling.

    [[nodiscard]] map_memory memory() const noexcept;
    /// What memory() and plans calculate with.
    [[nodiscard]] static constexpr table_facts facts() noexcept {
        return {.regions = region::sizes,
                .large_state = sizeof(large_state),
                .large_state_alignment = alignof(large_state),
                .payload = element::payload,
                .node = Slot::is_node ? sizeof(value_type) : 0,
                .node_alignment = alignof(value_type),
                .keeps_hash = Slot::caches_hash};
    }
    [[nodiscard]] map_statistics statistics() const;
    [[nodiscard]] std::size_t slot_count() const noexcept {
        if (large_ == nullptr) return slots_[0] == nullptr ? 0 : groups_in_[0] * group_slots;
        const growth_state& s = large_->state;
        // While a pass is under way, as if each cluster it has reached were already longer.
        const std::uint64_t done = s.passing() ? s.low_clusters() - s.edge : 0;
        return (s.low_clusters() - done) * shape::slots +
               (s.passing() ? s.high_clusters() * done / s.low_clusters() : 0) * shape::slots;
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
    using run = group_run<Slot>;
    using region = table_region<Alloc, shape>;

    // Bytes of slots that a core's own cache holds: there an entry is found sooner than asked for.
    static constexpr std::size_t cached_bytes = std::size_t{1} << 19;
    // Erasures from groups with overflow after which one cluster is tidied.
    static constexpr unsigned tidy_credit = 192;
    // Entries for which a small table has room enough.
    static constexpr std::uint64_t fits_small_at = shape::small_limit(shape::small_groups) / 4 * 3;

    struct large_state {
        growth_state state;
        region memory[2];  // of the low and the high scale; the second only while they differ
        std::uint64_t cleared = 0;  // groups of the high scale from here on have been made
        page_frontier fresh_tags, fresh_slots;  // of a growing pass
        std::uint64_t chained = 0;              // blocks in chains
        std::uint64_t floor = 0;                // entries that reserve() asked room for
        std::uint64_t erasures = 0;             // of which shrinking is to take note
        std::uint64_t patience = 0;             // so many it does not; 0: not found out
        std::uint64_t fewest = 0;               // entries at the last of these erasures
        bool shrinking = false;
        std::uint64_t splits = 0, merges = 0, tidied = 0, moved = 0;
        static constexpr unsigned buckets = 64;
        std::byte* chains[buckets] = {};  // blocks, by the cluster they belong to
    };

    /// A cluster, or a whole small table, and a home in it.
    struct cluster_place : run {
        unsigned home = 0;
        [[nodiscard]] unsigned last() const noexcept {
            return static_cast<unsigned>(this->count) - 1;
        }
    };

    static std::uint8_t* empty_group_pointer() noexcept {
        return const_cast<std::uint8_t*>(empty_group);
    }

    /// 1 when the hash is found with the high scale.
    [[nodiscard, gnu::always_inline]] unsigned scale_of(std::uint64_t hash) const noexcept {
        return hash > frontier_;
    }
    [[nodiscard, gnu::always_inline]] std::uint64_t number_of(std::uint64_t hash,
                                                              unsigned scale) const noexcept {
        return group_number(hash, groups_in_[scale]);
    }
    /// The cluster of a hash at a scale.
    [[nodiscard, gnu::always_inline]] cluster_place place_at(std::uint64_t hash,
                                                             unsigned scale) const noexcept {
        const std::uint64_t number = number_of(hash, scale);
        const std::uint64_t first = number & ~std::uint64_t{last_};
        return {{tags_[scale] + first * group_bytes, slots_[scale] + first * group_slots,
                 last_ + std::uint64_t{1}},
                static_cast<unsigned>(number) & last_};
    }
    [[nodiscard, gnu::always_inline]] cluster_place place_of(std::uint64_t hash) const noexcept {
        return place_at(hash, scale_of(hash));
    }
    /// A cluster by its number.
    [[nodiscard]] run cluster_at(std::uint64_t cluster, unsigned scale) const noexcept {
        const std::uint64_t first = cluster * shape::groups;
        return {tags_[scale] + first * group_bytes, slots_[scale] + first * group_slots,
                shape::groups};
    }

    /// Whether the key is in this group, and where.
    ///
    /// Ahead      also fetch the line where the entry most likely is. The request stands
    ///            behind the branch on purpose: a processor that expects a match sends it
    ///            before the tags have come, one that expects a miss does not send it.
    template <bool Ahead, class Q, class Place>
    [[nodiscard, gnu::always_inline]] bool find_in_group(const Q& key, std::uint64_t hash,
                                                         const Place& place,
                                                         position_type& found) const {
        // Groups are aligned, which lets the comparison read memory itself.
        const auto* const aligned =
            static_cast<const std::uint8_t*>(__builtin_assume_aligned(place.group, group_bytes));
        auto m = group16{aligned}.match_word(tag_word_of(hash), slot_tags);
        if (m) {
            Slot* const slots = place.slots();
            if constexpr (Ahead) prefetch_slot(slots, hash);
            do {
                const unsigned i = m.lowest();
                const position_type at{place.group, slots, i};
                if (is_key(*at.entry, key, hash)) [[likely]] {
                    if (at.entry == nullptr) __builtin_unreachable();  // != end() is known
                    found = at;
                    return true;
                }
            } while (m.drop_lowest());
        }
        return false;
    }

    /// The key in the groups after its home, then in the chain.
    template <class Q>
    [[nodiscard, gnu::noinline]] position_type find_elsewhere(const Q& key,
                                                              std::uint64_t hash) const {
        const cluster_place at = place_of(hash);
        for (unsigned n = 1; n <= at.last(); ++n) {
            const unsigned g = at.home ^ n;
            position_type found;
            if (find_in_group<false>(key, hash, group_place{at.group(g), at.slots_of(g)}, found))
                return found;
            if ((at.group(g)[group_slots] & overflow_bit(hash)) == 0) return {};
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
        // A conditional move: whether the line has room cannot be predicted.
        return (near ? near : empty).lowest();
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
        std::uint8_t* const group = at.group(at.home);
        if (const auto empty = group16{group}.match_empty(slot_tags)) [[likely]] {
            Slot* const slots = at.slots_of(at.home);
            return {group, slots, choose_slot(empty, slots, hash)};
        }
        return free_slot_beyond(hash, at);
    }
    [[gnu::noinline]] static position_type free_slot_beyond(std::uint64_t hash,
                                                            const cluster_place& at) noexcept;
    position_type free_slot_chained(const cluster_place& at);
    // chains.hpp
    [[nodiscard]] std::byte*& chain_of(const std::uint8_t* cluster) const noexcept {
        return large_->chains[reinterpret_cast<std::uintptr_t>(cluster) / shape::group_area %
                              large_state::buckets];
    }
    [[nodiscard]] static run chained(std::byte* block) noexcept {
        return {reinterpret_cast<std::uint8_t*>(block),
                reinterpret_cast<Slot*>(block + shape::slots_at(shape::block_groups)),
                shape::block_groups};
    }
    [[nodiscard]] static chain_header& header_of(std::byte* block) noexcept {
        return *std::launder(reinterpret_cast<chain_header*>(block + shape::header_at));
    }
    template <class Do>
    void for_each_block(const std::uint8_t* cluster, Do&& action) const;
    void ensure_spares(std::size_t wanted);
    void trim_spares(std::size_t kept) noexcept;
    std::byte* take_spare_block();
    void give_back_block(std::byte* block) noexcept;
    void drop_empty_blocks(const std::uint8_t* cluster) noexcept;
    void tidy(const run& cluster) noexcept;
    [[gnu::noinline]] void tidy_after_erase(position_type at) noexcept;

    // growth.hpp
    using time_point = std::chrono::steady_clock::time_point;
    [[gnu::noinline]] void grow();
    void resize_small(unsigned group_count);
    void move_all(const run& from) noexcept;
    void become_large(unsigned scale);
    void become_small();
    void begin_pass();
    void end_pass() noexcept;
    void set_limits() noexcept;
    [[nodiscard]] static std::uint64_t limit(const growth_state& s) noexcept {
        return limit_of(s, shape::full);
    }
    [[nodiscard]] unsigned scales_down() const noexcept;
    [[nodiscard]] bool compresses() const noexcept;
    [[nodiscard]] std::uint64_t patience() noexcept;
    [[nodiscard]] bool fits_small() const noexcept;
    [[gnu::noinline]] void shrink_a_little() noexcept;
    void announce_growth(time_point began, bytes before, std::uint64_t moved,
                         std::uint64_t pages) noexcept;

    // steps.hpp
    void stretch_step();
    bool compress_step() noexcept;
    std::uint64_t move_cluster(const run& from, std::uint64_t first) noexcept;
    std::uint64_t lift_and_move_cluster(const run& from, std::uint64_t first) noexcept;
    std::uint64_t move_range(const run& from, std::uint64_t lowest, std::uint64_t highest,
                             unsigned to_scale) noexcept;
    void move_entry(std::uint64_t hash, Slot& slot, std::uint8_t tag, unsigned to_scale) noexcept;
    std::uint64_t move_chain(const std::uint8_t* cluster, std::uint64_t lowest,
                             std::uint64_t highest, unsigned to_scale) noexcept;
    void prefetch_step() const noexcept;
    /// The slots of clusters, or their tags, as memory that can be given back.
    struct page_part {
        std::uintptr_t start;
        std::size_t size;       // of a cluster
        std::size_t kept;       // bytes from the start that are not worth it
        std::uint64_t at_once;  // clusters: with those of one step no more than 256 KiB

        void drop(std::uint64_t from, std::uint64_t to, std::uint64_t first,
                  std::uint64_t end) const noexcept;
    };
    [[nodiscard]] std::array<page_part, 2> parts() const noexcept;
    void drop_behind(std::uint64_t before, std::uint64_t to, bool last) noexcept;

    void release_all() noexcept;
    void destroy_entries() noexcept;
    void reset() noexcept {
        for (unsigned s = 0; s < 2; ++s) {
            groups_in_[s] = 1;
            tags_[s] = empty_group_pointer();
            slots_[s] = nullptr;
        }
        frontier_ = ~std::uint64_t{0};
        addressing_ = shift_for(1);
        large_ = nullptr;
        spare_ = nullptr;
        size_ = grow_at_ = shrink_at_ = 0;
        last_ = 0;
        small_floor_ = shape::first_groups;
        credit_ = 0;
        ++relocations_;
    }
    void swap_contents(table& other) noexcept {
        for (unsigned s = 0; s < 2; ++s) {
            std::swap(groups_in_[s], other.groups_in_[s]);
            std::swap(tags_[s], other.tags_[s]);
            std::swap(slots_[s], other.slots_[s]);
        }
        std::swap(frontier_, other.frontier_);
        std::swap(addressing_, other.addressing_);
        std::swap(large_, other.large_);
        std::swap(spare_, other.spare_);
        std::swap(size_, other.size_);
        std::swap(grow_at_, other.grow_at_);
        std::swap(shrink_at_, other.shrink_at_);
        std::swap(seed_, other.seed_);
        std::swap(last_, other.last_);
        std::swap(small_floor_, other.small_floor_);
        std::swap(huge_pages_, other.huge_pages_);
        std::swap(credit_, other.credit_);
        ++relocations_, ++other.relocations_;
    }
    // Other values of addressing_.
    static constexpr int in_one_region = 0, in_two_regions = -1;
    /// The bits of a hash that a table of so many groups does not need to find the tags of a
    /// group: `hash >> shift` without its lowest four bits is where they are. Only where the groups
    /// are a power of two, all at one scale, and a core's own cache holds the slots.
    [[nodiscard]] static constexpr int shift_for(std::uint64_t groups) noexcept {
        const bool plain =
            std::has_single_bit(groups) && groups * shape::group_stride <= cached_bytes;
        return plain ? 60 - std::countr_zero(groups) : in_one_region;
    }
    /// Both scales are this run.
    void set_scales(const run& r) noexcept {
        for (unsigned s = 0; s < 2; ++s) {
            groups_in_[s] = r.count;
            tags_[s] = r.groups;
            slots_[s] = r.slots;
        }
        frontier_ = ~std::uint64_t{0};
        addressing_ = shift_for(r.count);
    }

    // walk.hpp
    [[nodiscard]] std::array<run, 2> runs() const noexcept;
    // By value: what a loop's iterator holds can then be in registers.
    [[gnu::noinline]] walk_position next_run(position_type at) const noexcept;
    [[gnu::noinline]] walk_position with_rest(position_type at) const noexcept;
    template <class Do>
    void for_each_place(Do&& action) const;

    // What a search reads comes first: of each scale its length, tags and slots.
    std::uint64_t groups_in_[2] = {1, 1};
    std::uint64_t frontier_ = ~std::uint64_t{0};  // the highest hash of the low scale
    std::uint64_t seed_ = default_seed;
    int addressing_ = shift_for(1);  // how a home is found: by this shift, or one of the above
    std::uint8_t* tags_[2] = {empty_group_pointer(), empty_group_pointer()};
    Slot* slots_[2] = {nullptr, nullptr};
    std::size_t size_ = 0;
    std::size_t grow_at_ = 0;
    std::size_t shrink_at_ = 0;
    large_state* large_ = nullptr;
    std::uint16_t last_ = 0;                           // groups that share their overflow, less one
    std::uint16_t small_floor_ = shape::first_groups;  // or groups that reserve() asked for
    std::uint32_t credit_ = 0;
    std::uint64_t relocations_ = 0;
    bool huge_pages_ = false;
    std::byte* spare_ = nullptr;  // blocks for chains, kept from one step to the next
    [[no_unique_address]] Hash hash_{};
    [[no_unique_address]] Equal equal_{};
    [[no_unique_address]] value_allocator alloc_{};
};

}  // namespace steady::detail
