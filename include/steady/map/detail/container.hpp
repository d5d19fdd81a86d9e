// container.hpp - what map, set and their stable forms have in common: the interface of
// std::unordered_map and std::unordered_set over table.hpp, and what they lack: batches,
// a walk that allows every change, a scan that can be resumed, exact memory.
//
// Iterators, pointers and references of map and set
//   are invalidated by    any insertion that makes an entry, erase(key), rehash, reserve,
//                         shrink_to_fit, merge, clear, assignment
//   are not, except for   erase(iterator), extract(iterator): those of the entry itself
// Of the stable forms pointers and references stay valid as long as the entry exists;
// iterators follow the rule above.

#pragma once

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include "steady/map/detail/batches.hpp"
#include "steady/map/detail/entries.hpp"
#include "steady/map/detail/growth.hpp"
#include "steady/map/detail/inspect.hpp"
#include "steady/map/detail/outlook.hpp"
#include "steady/map/detail/table.hpp"
#include "steady/map/detail/walk.hpp"
#include "steady/map/detail/walker.hpp"

namespace steady {

namespace detail {

template <class Hash, class Equal>
concept transparent_lookup = requires {
    typename Hash::is_transparent;
    typename Equal::is_transparent;
};

/// A key of another type than the container's.
template <class Q, class Key, class Hash, class Equal>
concept foreign_key = transparent_lookup<Hash, Equal> && !std::same_as<std::remove_cvref_t<Q>, Key>;

template <class Element, bool Stable, class Hash, class Equal, class Alloc>
class hash_container {
public:
    using key_type = typename Element::key_type;
    using value_type = typename Element::value_type;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using hasher = Hash;
    using key_equal = Equal;
    using allocator_type = Alloc;
    using reference = value_type&;
    using const_reference = const value_type&;
    using pointer = typename std::allocator_traits<Alloc>::pointer;
    using const_pointer = typename std::allocator_traits<Alloc>::const_pointer;
    using table_type = table<typename slot_choice<Element, Hash, Stable>::type, Hash, Equal, Alloc>;
    using iterator = table_iterator<table_type, false>;
    using const_iterator = table_iterator<table_type, true>;
    using node_type = extracted_entry<table_type>;
    struct insert_return_type {
        iterator position;
        bool inserted;
        node_type node;
    };

    static_assert(std::is_same_v<typename std::allocator_traits<Alloc>::value_type, value_type>,
                  "the allocator's value_type is pair<const Key, Value>, or Key in a set");
    static_assert(std::is_invocable_v<const Hash&, const key_type&> || seeded_hash<Hash, key_type>,
                  "Hash must be callable with a const Key&; give the container a Hash");
    static_assert(std::is_invocable_r_v<bool, const Equal&, const key_type&, const key_type&>,
                  "Equal must be callable with two const Key&; give Key operator== or the "
                  "container an Equal");
    static_assert(std::is_destructible_v<value_type>, "entries must be destructible");

protected:
    using slot = typename table_type::slot_type;
    using traits = std::allocator_traits<Alloc>;
    using position_type = typename table_type::position_type;

public:
    hash_container() = default;
    explicit hash_container(size_type entries, const Hash& hash = Hash(),
                            const Equal& equal = Equal(), const Alloc& alloc = Alloc())
        : table_(hash, equal, alloc) {
        table_.reserve(entries);
    }
    explicit hash_container(const Alloc& alloc) : table_(Hash(), Equal(), alloc) {}
    hash_container(const hash_container& other)
        : table_(other.table_.hasher(), other.table_.equal(),
                 traits::select_on_container_copy_construction(Alloc(other.table_.alloc()))) {
        table_.copy_entries(other.table_);
    }
    hash_container(const hash_container& other, const Alloc& alloc)
        : table_(other.table_.hasher(), other.table_.equal(), alloc) {
        table_.copy_entries(other.table_);
    }
    hash_container(hash_container&& other) noexcept = default;
    hash_container(hash_container&& other, const Alloc& alloc)
        : table_(other.table_.hasher(), other.table_.equal(), alloc) {
        if (table_.alloc() == other.table_.alloc()) {
            table_.steal(other.table_);
        } else {
            move_entries(other);
        }
    }
    ~hash_container() = default;

    hash_container& operator=(const hash_container& other) {
        if (this == &other) return *this;
        constexpr bool propagate = traits::propagate_on_container_copy_assignment::value;
        hash_container copy(other, propagate ? Alloc(other.table_.alloc()) : get_allocator());
        take_over(copy, propagate);
        return *this;
    }
    hash_container& operator=(hash_container&& other) noexcept(
        traits::is_always_equal::value || traits::propagate_on_container_move_assignment::value) {
        if (this == &other) return *this;
        constexpr bool propagate = traits::propagate_on_container_move_assignment::value;
        if (propagate || table_.alloc() == other.table_.alloc()) {
            take_over(other, propagate);
        } else {
            hash_container moved(std::move(other), get_allocator());
            take_over(moved, false);
        }
        return *this;
    }

    // ---- What is there.

    [[nodiscard]] iterator begin() noexcept { return {&table_, table_.first()}; }
    [[nodiscard]] const_iterator begin() const noexcept { return {&table_, table_.first()}; }
    [[nodiscard]] const_iterator cbegin() const noexcept { return begin(); }
    [[nodiscard]] iterator end() noexcept { return {&table_, position_type{}}; }
    [[nodiscard]] const_iterator end() const noexcept { return {&table_, position_type{}}; }
    [[nodiscard]] const_iterator cend() const noexcept { return end(); }
    [[nodiscard]] bool empty() const noexcept { return table_.size() == 0; }
    [[nodiscard]] size_type size() const noexcept { return table_.size(); }
    [[nodiscard]] size_type max_size() const noexcept {
        return (std::size_t{1} << 37) * cluster_shape<slot>::slots;
    }
    [[nodiscard]] allocator_type get_allocator() const noexcept { return Alloc(table_.alloc()); }
    [[nodiscard]] hasher hash_function() const { return table_.hasher(); }
    [[nodiscard]] key_equal key_eq() const { return table_.equal(); }

    // ---- Looking up.

    /// Returns    the entry with this key, or end().
    /// Cost       two cache misses in a large map, which overlap with those of other lookups.
    /// Throws     what hashing and comparing throw.
    /// Threads    any number of readers, as long as nobody writes.
    [[nodiscard, gnu::always_inline]] iterator find(const key_type& key) {
        return {&table_, table_.find(key)};
    }
    [[nodiscard, gnu::always_inline]] const_iterator find(const key_type& key) const {
        return {&table_, table_.find(key)};
    }
    template <foreign_key<key_type, Hash, Equal> Q>
    [[nodiscard]] iterator find(const Q& key) {
        return {&table_, table_.find(key)};
    }
    template <foreign_key<key_type, Hash, Equal> Q>
    [[nodiscard]] const_iterator find(const Q& key) const {
        return {&table_, table_.find(key)};
    }
    [[nodiscard]] bool contains(const key_type& key) const { return bool(table_.find(key)); }
    template <foreign_key<key_type, Hash, Equal> Q>
    [[nodiscard]] bool contains(const Q& key) const {
        return bool(table_.find(key));
    }
    [[nodiscard]] size_type count(const key_type& key) const { return contains(key); }
    template <foreign_key<key_type, Hash, Equal> Q>
    [[nodiscard]] size_type count(const Q& key) const {
        return contains(key);
    }
    [[nodiscard]] std::pair<iterator, iterator> equal_range(const key_type& key) {
        return range_at(find(key));
    }
    [[nodiscard]] std::pair<const_iterator, const_iterator> equal_range(const key_type& key) const {
        return range_at(find(key));
    }
    template <foreign_key<key_type, Hash, Equal> Q>
    [[nodiscard]] std::pair<iterator, iterator> equal_range(const Q& key) {
        return range_at(find(key));
    }
    template <foreign_key<key_type, Hash, Equal> Q>
    [[nodiscard]] std::pair<const_iterator, const_iterator> equal_range(const Q& key) const {
        return range_at(find(key));
    }

    /// Starts loading what find(key) will read; worth it when there is other work meanwhile.
    void prefetch(const key_type& key) const { table_.prefetch_home(table_.hash_of(key)); }

    // ---- Inserting.

    /// Returns    the entry with the value's key, and whether it was made now.
    /// Cost       a lookup; every 40th insertion or so, on average, moves a cluster of some 190
    ///            entries of 8 + 8 bytes, and never more than 1,024 with a hash that spreads.
    /// Throws     std::bad_alloc and what copying throws; the container is as before.
    std::pair<iterator, bool> insert(const value_type& value) {
        return make(Element::key(value), [&](slot& s) { s.construct(table_.alloc(), value); });
    }
    std::pair<iterator, bool> insert(value_type&& value) {
        return make(Element::key(value),
                    [&](slot& s) { s.construct(table_.alloc(), std::move(value)); });
    }
    template <class P>
        requires(Element::is_map&& std::is_constructible_v<value_type, P&&> &&
                 !std::same_as<std::remove_cvref_t<P>, value_type> &&
                 !std::same_as<std::remove_cvref_t<P>, node_type>)
    std::pair<iterator, bool> insert(P&& value) { return emplace(std::forward<P>(value)); }
    iterator insert(const_iterator, const value_type& value) { return insert(value).first; }
    iterator insert(const_iterator, value_type&& value) { return insert(std::move(value)).first; }
    template <class P>
        requires(Element::is_map&& std::is_constructible_v<value_type, P&&> &&
                 !std::same_as<std::remove_cvref_t<P>, value_type> &&
                 !std::same_as<std::remove_cvref_t<P>, node_type>)
    iterator insert(const_iterator, P&& value) { return emplace(std::forward<P>(value)).first; }
    template <std::input_iterator It>
    void insert(It from, It to) {
        if constexpr (std::forward_iterator<It>) {
            const auto more = static_cast<size_type>(std::distance(from, to));
            if (empty()) table_.reserve(more);
        }
        for (; from != to; ++from) emplace(*from);
    }
    void insert(std::initializer_list<value_type> values) { insert(values.begin(), values.end()); }

    /// Puts an extracted entry back.
    insert_return_type insert(node_type&& node) {
        if (node.empty()) return {end(), false, {}};
        const std::uint64_t hash = table_.hash_of(node.const_key());
        if (const position_type found = table_.find(node.const_key(), hash)) {
            return {iterator{&table_, found}, false, std::move(node)};
        }
        const position_type at =
            table_.make_new(node.const_key(), hash, [&](slot& s) { node.give_to(s); });
        return {iterator{&table_, at}, true, {}};
    }
    iterator insert(const_iterator, node_type&& node) {
        insert_return_type done = insert(std::move(node));
        node = std::move(done.node);
        return done.position;
    }

    /// As insert, constructing the entry from the arguments; when the first of two is the
    /// key, only if the key is absent.
    template <class... Args>
    std::pair<iterator, bool> emplace(Args&&... args) {
        if constexpr (Element::is_map && sizeof...(Args) == 2) {
            return emplace_pair(std::forward<Args>(args)...);
        } else if constexpr (!Element::is_map && sizeof...(Args) == 1 &&
                             (std::same_as<std::remove_cvref_t<Args>, key_type> && ...)) {
            return make((args, ...),
                        [&](slot& s) { s.construct(table_.alloc(), std::forward<Args>(args)...); });
        } else {
            return emplace_whole(std::forward<Args>(args)...);
        }
    }
    template <class... Args>
    iterator emplace_hint(const_iterator, Args&&... args) {
        return emplace(std::forward<Args>(args)...).first;
    }

    /// Inserts values in batches whose cache misses overlap.
    ///
    /// Returns    how many entries were made.
    template <std::ranges::forward_range Values>
    size_type insert_many(const Values& values) {
        const size_type before = size();
        auto next = std::ranges::begin(values);
        const auto end = std::ranges::end(values);
        while (next != end) {
            auto ahead = next;
            for (unsigned i = 0; i < batch && ahead != end; ++i, ++ahead) {
                table_.prefetch_home(table_.hash_of(Element::key(*ahead)));
            }
            for (; next != ahead; ++next) insert(*next);
        }
        return size() - before;
    }

    // ---- Erasing.

    /// Erases the entry with this key. Entries may move, because the memory of a map that
    /// became empty shrinks step by step.
    ///
    /// Returns    how many were erased: 0 or 1.
    /// Cost       a lookup; after many erasures a share of tidying (one cluster) or shrinking
    ///            (one cluster), bounded as for insert.
    size_type erase(const key_type& key) { return table_.erase_key(key); }
    template <foreign_key<key_type, Hash, Equal> Q>
        requires(!std::convertible_to<Q, iterator> && !std::convertible_to<Q, const_iterator>)
    size_type erase(const Q& key) { return table_.erase_key(key); }
    /// Erases this entry; nothing else moves.
    ///
    /// Returns    the entry after it.
    iterator erase(const_iterator at) noexcept {
        iterator after{&table_, at.walk_};
        ++after;
        table_.erase_at(at.where());
        return after;
    }
    iterator erase(iterator at) noexcept requires(!std::same_as<iterator, const_iterator>) {
        return erase(const_iterator(at));
    }
    iterator erase(const_iterator from, const_iterator to) noexcept {
        while (from != to) from = erase(from);
        return {&table_, to.walk_};
    }

    /// Takes an entry out without copying it.
    node_type extract(const_iterator at) noexcept {
        node_type node(at.where().slot(), table_.alloc());
        table_.forget_at(at.where());
        return node;
    }
    node_type extract(const key_type& key) {
        const const_iterator at = find(key);
        return at == end() ? node_type{} : extract(at);
    }

    /// Moves those entries of the other container here whose keys are not here yet.
    template <class OtherHash, class OtherEqual>
    void merge(hash_container<Element, Stable, OtherHash, OtherEqual, Alloc>& other) {
        for (auto it = other.begin(); it != other.end();) {
            const auto at = it.where();
            ++it;
            const auto& key = at.slot().key();
            const std::uint64_t hash = table_.hash_of(key);
            if (table_.find(key, hash)) continue;
            table_.make_new(key, hash, [&](slot& s) { at.slot().relocate_to(s); });
            other.raw_table().forget_at(at);
        }
    }
    template <class OtherHash, class OtherEqual>
    void merge(hash_container<Element, Stable, OtherHash, OtherEqual, Alloc>&& other) {
        merge(other);
    }

    void clear() noexcept { table_.clear(); }
    void swap(hash_container& other) noexcept { table_.swap(other.table_); }

    // ---- Size.

    /// Makes room, so that the map does not grow, and nothing moves by inserting, before it
    /// has so many entries.
    ///
    /// Cost       O(entries / 240) for an empty map; otherwise as growing there, in one go.
    /// Throws     std::bad_alloc; the entries are as before.
    void reserve(size_type entries) { table_.reserve(entries); }
    void rehash(size_type slots) { table_.reserve(slots * map_options::fullest_load / 1000); }
    /// Gives back memory that the entries do not need, all of it.
    void shrink_to_fit() noexcept {
        while (shrink_some(1024)) {
        }
    }
    /// The same in steps, for a program that must not stop: at most `steps` clusters.
    ///
    /// Returns    true while there is more to give back.
    bool shrink_some(size_type steps = 1) noexcept {
        for (; steps != 0; --steps) {
            if (!table_.can_shrink() || !table_.shrink_step()) return false;
        }
        return table_.can_shrink();
    }
    /// Asks the system for huge pages from now on, where the map is large enough: lookups of
    /// millions of entries become faster by a fifth, and an insertion now and then clears two
    /// megabytes (some 100 us). Off by default, because bounded insertions are the promise.
    void prefer_huge_pages() noexcept { table_.prefer_huge_pages(); }
    [[nodiscard]] size_type capacity() const noexcept { return table_.grow_limit(); }
    [[nodiscard]] size_type bucket_count() const noexcept { return table_.slot_count(); }
    [[nodiscard]] float load_factor() const noexcept {
        return bucket_count() == 0
                   ? 0.0f
                   : static_cast<float>(size()) / static_cast<float>(bucket_count());
    }
    /// The load is steady's to keep; asking for another has no effect.
    [[nodiscard]] float max_load_factor() const noexcept {
        return static_cast<float>(map_options::fullest_load) / 1000.0f;
    }
    void max_load_factor(float) noexcept {}

    // ---- Walking.

    /// Calls visit(entry) for at least `entries` entries from the cursor on, if there are so
    /// many, and at most for a cluster more. Between calls everything may happen to the map:
    /// an entry that is there throughout is visited exactly once.
    ///
    /// Returns    where to go on; scan_cursor{} at the end.
    /// Cost       O(entries visited + the slots of one cluster).
    template <class Visit>
    scan_cursor scan(scan_cursor from, size_type entries, Visit&& visit) {
        return table_.scan(static_cast<std::uint64_t>(from), entries, [&](const position_type& at) {
            visit(iterator{&table_, at}.operator*());
        });
    }
    template <class Visit>
    scan_cursor scan(scan_cursor from, size_type entries, Visit&& visit) const {
        return table_.scan(static_cast<std::uint64_t>(from), entries, [&](const position_type& at) {
            visit(const_iterator{&table_, at}.operator*());
        });
    }

    /// A walk during which entries may be inserted and erased: see detail/walker.hpp.
    [[nodiscard]] auto walk() noexcept {
        using value = std::conditional_t<Element::is_map, value_type, const value_type>;
        return table_walker<table_type, value>(table_);
    }
    [[nodiscard]] auto walk() const noexcept {
        return table_walker<table_type, const value_type>(table_);
    }

    // ---- Telling.

    /// Exact bytes, by part.     Cost  O(1).
    [[nodiscard]] map_memory memory() const noexcept { return table_.memory(); }
    /// The same of a container of this type with so many entries, before there is one.
    /// `reserved`: what reserve() was called with; 0: grown from nothing.
    [[nodiscard]] static map_outlook outlook(std::uint64_t entries,
                                             std::uint64_t reserved = 0) noexcept {
        return outlook_of(table_type::facts(), entries, reserved);
    }
    /// How full and how orderly.  Cost  O(slots).
    [[nodiscard]] map_statistics stats() const { return table_.statistics(); }
    /// Tests every invariant; stops the program with its name when one is broken. O(slots).
    void check() const { table_.check(); }

    [[nodiscard]] table_type& raw_table() noexcept { return table_; }
    [[nodiscard]] const table_type& raw_table() const noexcept { return table_; }

protected:
    static constexpr unsigned batch = 16;

    template <class Q, class Make>
    [[gnu::always_inline]] std::pair<iterator, bool> make(const Q& key, Make&& construct) {
        const auto [at, made] = table_.find_or_make(key, construct);
        return {iterator{&table_, at}, made};
    }

    template <class K, class V>
    std::pair<iterator, bool> emplace_pair(K&& key, V&& value) {
        if constexpr (std::same_as<std::remove_cvref_t<K>, key_type>) {
            return make(key, [&](slot& s) {
                s.construct(table_.alloc(), std::forward<K>(key), std::forward<V>(value));
            });
        } else {
            return emplace_whole(std::forward<K>(key), std::forward<V>(value));
        }
    }

    /// The entry is made before its key is known.
    template <class... Args>
    std::pair<iterator, bool> emplace_whole(Args&&... args) {
        slot made{};
        made.construct(table_.alloc(), std::forward<Args>(args)...);
        struct owner {
            slot* held;
            typename table_type::value_allocator& alloc;
            ~owner() {
                if (held != nullptr) held->destroy(alloc);
            }
        } guard{&made, table_.alloc()};
        return make(made.key(), [&](slot& s) {
            made.relocate_to(s);
            guard.held = nullptr;
        });
    }

    template <class It>
    [[nodiscard]] std::pair<It, It> range_at(It found) const {
        It after = found;
        if (found.where()) ++after;
        return {found, after};
    }
    void move_entries(hash_container& other) {
        table_.reserve(other.size());
        for (auto it = other.begin(); it != other.end(); ++it) {
            auto& slot_there = it.where().slot();
            const auto& key = slot_there.key();
            table_.make_new(key, table_.hash_of(key), [&](slot& s) {
                s.construct(table_.alloc(), std::move(slot_there.value()));
            });
        }
        other.clear();
    }
    void take_over(hash_container& other, bool with_allocator) noexcept {
        table_.clear();
        table_.hasher() = other.table_.hasher();
        table_.equal() = other.table_.equal();
        if (with_allocator) {
            if constexpr (std::is_copy_assignable_v<typename table_type::value_allocator>) {
                table_.alloc() = other.table_.alloc();
            }
        }
        table_.steal(other.table_);
    }

    table_type table_;
};

template <class E, bool S, class H, class Q, class A, class Predicate>
std::size_t erase_entries_if(hash_container<E, S, H, Q, A>& container, Predicate&& doomed) {
    const std::size_t before = container.size();
    for (auto it = container.begin(); it != container.end();) {
        if (doomed(*it)) {
            it = container.erase(it);
        } else {
            ++it;
        }
    }
    return before - container.size();
}

}  // namespace detail

/// Gives back what destroyed maps have left for the next ones: addresses, and 64 MiB of pages
/// at most (detail/reservations.hpp).
///
/// Threads    at any time, from any thread.
inline void release_spare_map_memory() noexcept {
    detail::kept_reservations::release();
}

}  // namespace steady
