// map.hpp - Go's map for C++: go::map<K, V>. The same header, buckets, growth and
// memory as the real runtime's, in a C++ container's clothes.
//
//   auto ages = steady::go::map<std::string, int>::make();
//   ages["Ada"] = 36;
//   if (auto [age, ok] = ages.get_ok("Ada"); ok) std::cout << age;
//   for (auto& [name, age] : ages) ++age;      // begins at a random place, as in Go
//
// Terms   nil: a map without a header, as `var m map[K]V` leaves it. Reading it finds
//         nothing; writing it throws. make() gives a map that can be written.
//         walk: an iteration. The map may be written while it is under way.
//
//   | operation       | absent key             | nil map        | cost              |
//   | get, m.at(k)    | V{}, std::out_of_range | as empty       | one chain         |
//   | m[k], assign    | is added               | nil_map_error  | one chain; while  |
//   | erase           | nothing happens        | nothing        |  growing, up to   |
//   | walk            |                        | empty          |  two more         |
//
// Growth. When an insert finds more than 6.5 entries a bucket, it takes an array twice
// as large and touches nothing of it; from then on each insert and each erase moves
// two old buckets (docs/design/go-map.md draws it). References into the map are valid
// until the next write, whichever it is.
//
// Exceptions. An operation that throws leaves the entries as they were, also when it
// throws in the middle of a growth: out of the hash, the equality, a constructor or an
// allocation. Moves are never the reason: a type whose move may throw stands behind a
// pointer, which moves instead. An elem whose assignment may throw is not assigned to:
// a new one is made and takes its place. So references to an elem end with a write to it.
//
// Misuse stops the program, as in Go, by steady's fatal handler: "concurrent map
// writes", "concurrent map read and map write", "concurrent map iteration and map
// write". It is detected by a plain flag, so not always. From inside one thread it is:
// an equality, a constructor or an assignment called by a write, and the hash of an entry
// that moves, may neither write to the map nor read it, and is caught every time. A key
// to be written is hashed before its write begins, as in Go; that hash may still write.
// What a read calls may read. If it writes, nothing notices, and the read is undefined.
//
// Choose it when code comes from Go and must behave the same, or when Go's rules for
// walks matter. Prefer steady::map when the slowest insert matters most, or the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "steady/go/detail/core.hpp"
#include "steady/go/detail/iterator.hpp"
#include "steady/go/detail/static_layout.hpp"
#include "steady/go/geometry.hpp"
#include "steady/go/hash.hpp"

namespace steady::go {

/// A write to a nil map. The text is Go's.
class nil_map_error : public std::logic_error {
public:
    nil_map_error() : std::logic_error("assignment to entry in nil map") {}
};

/// Go's classic map.
///
/// K      is compared by Eq and hashed by Hash, which may take a seed: hash(key, seed).
///        Keys and elems are moved when the map grows; both may be move-only.
/// Threads  one writer, or any number of readers and walks.
template <class K, class V, class Hash = go::hash<K>, class Eq = go::equal_to>
class map {
    static_assert(std::is_object_v<K> && !std::is_const_v<K> && std::is_object_v<V> &&
                      !std::is_const_v<V>,
                  "steady::go::map holds objects; K and V are neither const nor references");
    static_assert(std::is_nothrow_destructible_v<K> && std::is_nothrow_destructible_v<V>,
                  "steady::go::map destroys entries where nothing may fail; give K and V "
                  "destructors that do not throw");

    using layout = internal::static_layout<K, V, Hash, Eq>;
    using core = internal::map_core<layout>;
    using cell = internal::cell;
    using spot = internal::spot;

    /// What may be looked for without making a K of it.
    template <class Q>
    static constexpr bool searchable =
        internal::transparent<Hash, Eq> || std::same_as<std::remove_cvref_t<Q>, K>;

public:
    using key_type = K;
    using mapped_type = V;
    using value_type = std::pair<const K, V>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using hasher = Hash;
    using key_equal = Eq;
    using reference = const entry<K, V>&;
    using iterator = internal::map_iterator<layout, K, V>;
    using const_iterator = internal::map_iterator<layout, K, const V>;

    // ---- Making

    /// A nil map.
    map() noexcept(std::is_nothrow_default_constructible_v<Hash>&&
                       std::is_nothrow_default_constructible_v<Eq>) = default;
    map(std::nullptr_t) noexcept : map() {}
    explicit map(const Hash& hash, const Eq& same = Eq()) : core_{{hash, same}} {}

    /// Go's make(map[K]V): empty, and ready to be written. Costs one 48-byte object.
    [[nodiscard]] static map make(const Hash& hash = Hash(), const Eq& same = Eq()) {
        map m(hash, same);
        m.core_.make_small();
        return m;
    }
    /// Go's make(map[K]V, hint): an array for `hint` entries is there already.
    /// Throws   std::bad_alloc. A hint no address space could hold counts as none, as in Go.
    [[nodiscard]] static map make(size_type hint, const Hash& hash = Hash(),
                                  const Eq& same = Eq()) {
        map m(hash, same);
        m.core_.make(hint);
        return m;
    }
    /// Not nil, also when the list is empty. The first of equal keys stays.
    map(std::initializer_list<value_type> entries) : map(entries.begin(), entries.end()) {}
    template <std::input_iterator It, std::sentinel_for<It> End>
    map(It first, End last) : map(make()) {
        insert(first, last);
    }

    /// A deep copy, as clone(). Nil stays nil.
    map(const map& other) : map(other.clone()) {}
    map& operator=(const map& other) {
        if (this != &other) *this = other.clone();
        return *this;
    }
    /// Leaves `other` nil. Walks go on over the moved entries.
    map(map&& other) noexcept
        : core_{other.core_.t, std::exchange(other.core_.h, nullptr),
                std::exchange(other.core_.side, nullptr)} {}
    map& operator=(map&& other) noexcept {
        if (this != &other) {
            core_.destroy();
            core_.t = other.core_.t;
            core_.h = std::exchange(other.core_.h, nullptr);
            core_.side = std::exchange(other.core_.side, nullptr);
        }
        return *this;
    }
    /// Frees everything; the map is nil. Go's `m = nil`, at once.
    map& operator=(std::nullptr_t) noexcept {
        core_.destroy();
        return *this;
    }
    ~map() { core_.destroy(); }

    void swap(map& other) noexcept {
        using std::swap;
        swap(core_, other.core_);
    }
    friend void swap(map& a, map& b) noexcept { a.swap(b); }

    /// Go's maps.Clone: the same entries, in an array for their number.
    /// Throws   what copying throws, std::bad_alloc; then nothing was made.
    [[nodiscard]] map clone() const;

    // ---- Size

    [[nodiscard]] bool is_nil() const noexcept { return core_.h == nullptr; }
    friend bool operator==(const map& m, std::nullptr_t) noexcept { return m.is_nil(); }
    /// Go's len(m).
    [[nodiscard]] size_type size() const noexcept {
        return core_.h == nullptr ? 0 : static_cast<size_type>(core_.h->count);
    }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    // ---- Reading. Never moves an entry. Throws what hash and equality throw.

    /// Go's m[k]: a copy of the elem, or V{}.
    template <class Q>
    [[nodiscard]] V get(const Q& key) const {
        const V* const elem = lookup(key);
        return elem != nullptr ? *elem : V{};
    }
    /// Go's v, ok := m[k].
    template <class Q>
    [[nodiscard]] std::pair<V, bool> get_ok(const Q& key) const {
        const V* const elem = lookup(key);
        return elem != nullptr ? std::pair<V, bool>{*elem, true} : std::pair<V, bool>{V{}, false};
    }
    /// The elem itself, or nullptr: the fastest way to look.
    template <class Q>
    [[nodiscard]] V* lookup(const Q& key) {
        const cell c = search(key);
        return c ? static_cast<V*>(core_.elem_at(c.b, c.i)) : nullptr;
    }
    template <class Q>
    [[nodiscard]] const V* lookup(const Q& key) const {
        return const_cast<map*>(this)->lookup(key);
    }
    /// Throws std::out_of_range for an absent key.
    template <class Q>
    [[nodiscard]] V& at(const Q& key) {
        V* const elem = lookup(key);
        if (elem == nullptr) throw_absent();
        return *elem;
    }
    template <class Q>
    [[nodiscard]] const V& at(const Q& key) const {
        return const_cast<map*>(this)->at(key);
    }
    template <class Q>
    [[nodiscard]] bool contains(const Q& key) const {
        return lookup(key) != nullptr;
    }
    template <class Q>
    [[nodiscard]] size_type count(const Q& key) const {
        return contains(key) ? 1 : 0;
    }
    /// Stands at the entry, until the next write; or end().
    template <class Q>
    [[nodiscard]] iterator find(const Q& key) {
        const cell c = search(key);
        return iterator::at(core_, c, c ? hash_of(key) : 0);
    }
    template <class Q>
    [[nodiscard]] const_iterator find(const Q& key) const {
        return const_cast<map*>(this)->find(key);
    }

    // ---- Writing. Invalidates references; walks go on.
    // Throws   nil_map_error, std::bad_alloc, what K, V, Hash and Eq throw; then the
    //          entries are as before.

    /// Go's m[k] = v. An equal key is replaced where the difference shows: +0 by -0, a
    /// string_view by one that points elsewhere. A NaN is added every time.
    template <class Q, class W = V>
    [[gnu::always_inline]] V& assign(Q&& key, W&& elem) {
        if constexpr (!searchable<Q>) {
            return assign(K(std::forward<Q>(key)), std::forward<W>(elem));
        } else {
            expect_not_nil();
            std::uint64_t hash = hash_for_write(key);
            if constexpr (layout::update_key()) {
                // Written over the equal key at the end, when `key`, which may be in this
                // map, has moved.
                const K own(key);
                return elem_of(put<true>(own, hash, std::forward<W>(elem)));
            } else {
                return elem_of(put<true>(std::forward<Q>(key), hash, std::forward<W>(elem)));
            }
        }
    }
    /// Go's m[k] where it is written to: adds V{} for an absent key.
    [[gnu::always_inline]] V& operator[](const K& key) { return refer(key); }
    [[gnu::always_inline]] V& operator[](K&& key) { return refer(std::move(key)); }
    template <class Q>
        requires(internal::transparent<Hash, Eq> && !std::same_as<std::remove_cvref_t<Q>, K>)
    [[gnu::always_inline]] V& operator[](Q&& key) { return refer(std::forward<Q>(key)); }

    /// Adds the entry if the key is absent; the arguments are untouched if it is not.
    template <class Q, class... Args>
    std::pair<iterator, bool> try_emplace(Q&& key, Args&&... args) {
        if constexpr (!searchable<Q>) {
            return try_emplace(K(std::forward<Q>(key)), std::forward<Args>(args)...);
        } else {
            expect_not_nil();
            std::uint64_t hash = hash_for_write(key);
            const spot s = add(std::forward<Q>(key), hash, std::forward<Args>(args)...);
            return told(s, hash);
        }
    }
    template <class Q, class W>
    std::pair<iterator, bool> insert_or_assign(Q&& key, W&& elem) {
        if constexpr (!searchable<Q>) {
            return insert_or_assign(K(std::forward<Q>(key)), std::forward<W>(elem));
        } else {
            expect_not_nil();
            std::uint64_t hash = hash_for_write(key);
            const spot s = put<false>(std::forward<Q>(key), hash, std::forward<W>(elem));
            return told(s, hash);
        }
    }
    std::pair<iterator, bool> insert(const value_type& e) { return try_emplace(e.first, e.second); }
    std::pair<iterator, bool> insert(value_type&& e) {
        return try_emplace(e.first, std::move(e.second));
    }
    template <class Q, class W>
    std::pair<iterator, bool> insert(std::pair<Q, W>&& e) {
        return try_emplace(std::forward<Q>(e.first), std::forward<W>(e.second));
    }
    template <std::input_iterator It, std::sentinel_for<It> End>
    void insert(It first, End last) {
        for (; first != last; ++first) {
            auto&& [key, elem] = *first;
            if constexpr (std::is_lvalue_reference_v<std::iter_reference_t<It>>) {
                try_emplace(key, elem);
            } else {
                // Moves out of a pair that is given away, not through references in it.
                try_emplace(std::forward<decltype(key)>(key), std::forward<decltype(elem)>(elem));
            }
        }
    }
    void insert(std::initializer_list<value_type> entries) {
        insert(entries.begin(), entries.end());
    }
    /// Makes the pair first, as std::unordered_map does.
    template <class... Args>
    std::pair<iterator, bool> emplace(Args&&... args) {
        return insert(std::pair<K, V>(std::forward<Args>(args)...));
    }

    /// Go's delete(m, k). Returns the number of entries deleted, 0 or 1.
    template <class Q>
        requires(!std::same_as<std::remove_cvref_t<Q>, iterator> &&
                 !std::same_as<std::remove_cvref_t<Q>, const_iterator>)
    [[gnu::always_inline]] size_type erase(const Q& key) { return remove(key); }
    /// Deletes the entry an iterator is at. Returns the iterator, one step on.
    ///
    /// The iterator must have come there after the last write: one that is returned by
    /// erase() has. A write may move or delete the entry, and the key with it; steady's
    /// checks find most such iterators (STEADY_CHECK=1).
    /// Throws   also std::bad_alloc at a map's first walk.
    iterator erase(iterator at);
    /// Go's clear: no entries, the same array, a new seed. Also walks end.
    /// Cost     the whole array is zeroed.
    void clear() {
        if (empty()) return;
        const typename core::writing w(core_);
        core_.clear();
    }

    // ---- Walking. The order is random; entries deleted meanwhile do not come, those
    //      added meanwhile may. Throws std::bad_alloc at a map's first walk.

    [[nodiscard]] iterator begin() { return iterator::begin(core_); }
    [[nodiscard]] const_iterator begin() const { return const_iterator::begin(core_); }
    [[nodiscard]] const_iterator cbegin() const { return begin(); }
    [[nodiscard]] iterator end() noexcept { return {}; }
    [[nodiscard]] const_iterator end() const noexcept { return {}; }
    [[nodiscard]] const_iterator cend() const noexcept { return {}; }

    // ---- Looking inside

    /// Go's hmap: count, flags, B, noverflow ... nullptr of a nil map.
    [[nodiscard]] const internal::hmap* header() const noexcept { return core_.h; }
    [[nodiscard]] size_type bucket_count() const noexcept {
        return core_.h == nullptr ? 0 : core_.h->bucket_count();
    }
    /// Every byte of the map, by where it lies and what it holds; of text and other memory
    /// that keys and elems own, nothing. What running walks keep alive is not counted.
    /// Cost     O(1) when keys and elems hold no pointers and nothing grows, and whenever the
    ///          array has spare buckets left. Otherwise a look at the overflow pointer of each
    ///          bucket: Go's 48 bytes do not count them. A growth adds the buckets it leaves.
    [[nodiscard]] memory_parts memory() const noexcept;
    /// Bytes of a bucket, and whether keys and elems stand behind pointers.
    static constexpr size_type bucket_size = layout::bucket_size();
    static constexpr bool key_behind_pointer = layout::indirect_key();
    static constexpr bool elem_behind_pointer = layout::indirect_elem();
    [[nodiscard]] hasher hash_function() const { return core_.t.hasher; }
    [[nodiscard]] key_equal key_eq() const { return core_.t.same; }
    /// Tests every invariant of the whole map and stops the program at a broken one.
    /// Cost     as a walk with a hash for each entry.
    void check() const {
        if (!is_nil()) core_.check();
    }

    /// Equal keys with equal elems (operator==), in any order. A NaN equals nothing.
    friend bool operator==(const map& a, const map& b) requires std::equality_comparable<V> {
        if (a.size() != b.size()) return false;
        for (auto& [key, elem] : a) {
            const V* const other = b.lookup(key);
            if (other == nullptr || !(elem == *other)) return false;
        }
        return true;
    }

private:
    template <class Q>
    [[nodiscard]] auto same_as(const Q& key) const {
        return [this, &key](const void* stored) -> bool {
            return core_.t.same(*static_cast<const K*>(stored), key);
        };
    }
    template <class Q>
    [[nodiscard]] std::uint64_t hash_of(const Q& key) const {
        return core_.t.hash_of(key, core_.h->hash0);
    }
    /// The hash of a key to be written. It runs before the write begins, and if it wrote
    /// to the map itself, the seed may be a new one. The compiler sees that steady's own
    /// hashes do not.
    template <class Q>
    [[nodiscard]] [[gnu::always_inline]] std::uint64_t hash_for_write(const Q& key) const {
        for (;;) {
            const std::uint32_t seed = core_.h->hash0;
            const std::uint64_t hash = core_.t.hash_of(key, seed);
            if (core_.h->hash0 == seed) [[likely]]
                return hash;
        }
    }
    void expect_not_nil() const {
        if (core_.h == nullptr) [[unlikely]]
            throw_nil();
    }
    template <class Q>
    [[nodiscard]] cell search(const Q& key) const;
    template <class Q, class MakeElem>
    spot place(Q&& key, std::uint64_t hash, MakeElem&& make_elem);
    template <class Q, class MakeElem>
    spot place_with_work(Q&& key, std::uint64_t hash, MakeElem&& make_elem);
    template <class Q, class... Args>
    spot add(Q&& key, std::uint64_t hash, Args&&... args);
    template <bool AsGo, class Q, class W>
    spot put(Q&& key, std::uint64_t& hash, W&& elem);
    template <bool AsGo, class Q>
    spot put_moved(Q&& key, std::uint64_t hash, V&& elem);
    template <bool AsGo, class Q, class W>
    void replace(const spot& s, const Q& key, W&& elem);
    template <class W>
    void replace_elem(const spot& s, W&& elem);
    template <class Q>
    V& refer(Q&& key);
    template <class Q>
    size_type remove(const Q& key);
    template <class Q>
    size_type remove_growing(const Q& key, std::uint64_t hash);
    [[nodiscard]] V& elem_of(const spot& s) const noexcept {
        return *static_cast<V*>(core_.elem_at(s.b, s.i));
    }
    [[nodiscard]] std::pair<iterator, bool> told(const spot& s, std::uint64_t hash) const noexcept {
        return {iterator::at(core_, cell{s.b, s.i}, hash), !s.present};
    }
    [[noreturn, gnu::cold]] static void throw_nil() { throw nil_map_error(); }
    [[noreturn, gnu::cold]] static void throw_absent() {
        throw std::out_of_range("steady::go::map::at: the key is absent; find() and get_ok() ask");
    }

    // A walk over a const map sets Go's iterator flags and may make the keeper, both
    // safe from several threads.
    mutable core core_;
};

}  // namespace steady::go

#include "steady/go/detail/map_impl.hpp"
