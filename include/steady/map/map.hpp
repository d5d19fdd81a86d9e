// map.hpp - steady::map, the hash map that never stops: growing moves some 75 entries
// every now and then instead of all of them at once, and memory follows the data.
//
//   steady::map<std::string, int> words;
//   ++words["steady"];
//   if (auto found = words.find("steady"); found != words.end()) use(found->second);
//
// The interface is std::unordered_map's (without buckets), with what the flat maps added
// and what both lack: find_many, insert_many, scan, memory, stats. How it grows is told in
// detail/address.hpp and detail/growth.hpp; what is invalidated when, in
// detail/container.hpp.
//
//   map          entries lie in the table; fastest
//   stable_map   entries lie alone; pointers and references to them stay valid

#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "steady/map/detail/container.hpp"
#include "steady/map/hash_policy.hpp"

namespace steady {

namespace detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_no_such_key() {
    throw std::out_of_range(
        "steady::map::at: there is no entry with this key; find() and "
        "contains() ask without throwing");
}

}  // namespace detail

template <class K, class V, class Hash = map_hash<K>, class Equal = map_equal<K>,
          class Alloc = std::allocator<std::pair<const K, V>>, bool Stable = false>
class map : public detail::hash_container<detail::map_element<K, V>, Stable, Hash, Equal, Alloc> {
    using base = detail::hash_container<detail::map_element<K, V>, Stable, Hash, Equal, Alloc>;
    using slot = typename base::slot;
    using base::table_;

    template <class Q>
    static constexpr bool foreign = detail::foreign_key<Q, K, Hash, Equal>;

public:
    using mapped_type = V;
    using typename base::const_iterator;
    using typename base::iterator;
    using typename base::size_type;
    using typename base::value_type;

    map() = default;
    explicit map(size_type entries, const Hash& hash = Hash(), const Equal& equal = Equal(),
                 const Alloc& alloc = Alloc())
        : base(entries, hash, equal, alloc) {}
    map(size_type entries, const Alloc& alloc) : base(entries, Hash(), Equal(), alloc) {}
    map(size_type entries, const Hash& hash, const Alloc& alloc)
        : base(entries, hash, Equal(), alloc) {}
    explicit map(const Alloc& alloc) : base(alloc) {}
    template <std::input_iterator It>
    map(It from, It to, size_type entries = 0, const Hash& hash = Hash(),
        const Equal& equal = Equal(), const Alloc& alloc = Alloc())
        : base(entries, hash, equal, alloc) {
        this->insert(from, to);
    }
    template <std::input_iterator It>
    map(It from, It to, const Alloc& alloc) : map(from, to, 0, Hash(), Equal(), alloc) {}
    template <std::input_iterator It>
    map(It from, It to, size_type entries, const Alloc& alloc)
        : map(from, to, entries, Hash(), Equal(), alloc) {}
    template <std::input_iterator It>
    map(It from, It to, size_type entries, const Hash& hash, const Alloc& alloc)
        : map(from, to, entries, hash, Equal(), alloc) {}
    map(std::initializer_list<value_type> values, size_type entries = 0, const Hash& hash = Hash(),
        const Equal& equal = Equal(), const Alloc& alloc = Alloc())
        : map(values.begin(), values.end(), entries, hash, equal, alloc) {}
    map(std::initializer_list<value_type> values, const Alloc& alloc)
        : map(values.begin(), values.end(), 0, Hash(), Equal(), alloc) {}
    map(std::initializer_list<value_type> values, size_type entries, const Alloc& alloc)
        : map(values.begin(), values.end(), entries, Hash(), Equal(), alloc) {}
    map(std::initializer_list<value_type> values, size_type entries, const Hash& hash,
        const Alloc& alloc)
        : map(values.begin(), values.end(), entries, hash, Equal(), alloc) {}
    map(const map&) = default;
    map(map&&) noexcept = default;
    map(const map& other, const Alloc& alloc) : base(other, alloc) {}
    map(map&& other, const Alloc& alloc) : base(std::move(other), alloc) {}
    map& operator=(const map&) = default;
    map& operator=(map&&) = default;
    map& operator=(std::initializer_list<value_type> values) {
        map fresh(values, 0, this->hash_function(), this->key_eq(), this->get_allocator());
        this->swap(fresh);
        return *this;
    }

    // ---- Values by key.

    /// Returns    the value of this key, made by V() when there was none.
    V& operator[](const K& key) { return try_emplace(key).first->second; }
    V& operator[](K&& key) { return try_emplace(std::move(key)).first->second; }
    /// Throws     std::out_of_range when there is no such key.
    [[nodiscard]] V& at(const K& key) { return value_at(table_.find(key)); }
    [[nodiscard]] const V& at(const K& key) const { return value_at(table_.find(key)); }
    template <class Q>
        requires foreign<Q>
    [[nodiscard]] V& at(const Q& key) { return value_at(table_.find(key)); }
    template <class Q>
        requires foreign<Q>
    [[nodiscard]] const V& at(const Q& key) const { return value_at(table_.find(key)); }

    /// Makes the entry from key and arguments if the key is absent; otherwise touches none.
    template <class... Args>
    [[gnu::always_inline]] std::pair<iterator, bool> try_emplace(const K& key, Args&&... args) {
        return make_value(key, std::forward<Args>(args)...);
    }
    template <class... Args>
    [[gnu::always_inline]] std::pair<iterator, bool> try_emplace(K&& key, Args&&... args) {
        return make_value(std::move(key), std::forward<Args>(args)...);
    }
    template <class Q, class... Args>
        requires(foreign<Q>&& std::is_constructible_v<K, Q&&> &&
                 !std::convertible_to<Q, const_iterator>)
    std::pair<iterator, bool> try_emplace(Q&& key, Args&&... args) {
        return make_value(std::forward<Q>(key), std::forward<Args>(args)...);
    }
    template <class... Args>
    iterator try_emplace(const_iterator, const K& key, Args&&... args) {
        return make_value(key, std::forward<Args>(args)...).first;
    }
    template <class... Args>
    iterator try_emplace(const_iterator, K&& key, Args&&... args) {
        return make_value(std::move(key), std::forward<Args>(args)...).first;
    }

    template <class M>
    std::pair<iterator, bool> insert_or_assign(const K& key, M&& value) {
        return assign_value(key, std::forward<M>(value));
    }
    template <class M>
    std::pair<iterator, bool> insert_or_assign(K&& key, M&& value) {
        return assign_value(std::move(key), std::forward<M>(value));
    }
    template <class M>
    iterator insert_or_assign(const_iterator, const K& key, M&& value) {
        return assign_value(key, std::forward<M>(value)).first;
    }
    template <class M>
    iterator insert_or_assign(const_iterator, K&& key, M&& value) {
        return assign_value(std::move(key), std::forward<M>(value)).first;
    }

    // ---- Batches.

    /// Looks up all keys, with overlapping cache misses, and writes a pointer to each value,
    /// or nullptr, to `out`.
    ///
    /// Returns    how many were found.
    /// Cost       per key at large sizes about two thirds of find()'s.
    template <std::ranges::forward_range Keys, std::output_iterator<V*> Out>
    size_type find_many(const Keys& keys, Out out) {
        size_type found = 0;
        detail::find_batches(*this, keys, [&](auto* slot) {
            found += slot != nullptr;
            *out++ = slot != nullptr ? &slot->value().second : nullptr;
        });
        return found;
    }
    template <std::ranges::forward_range Keys, std::output_iterator<const V*> Out>
    size_type find_many(const Keys& keys, Out out) const {
        size_type found = 0;
        detail::find_batches(*this, keys, [&](auto* slot) {
            found += slot != nullptr;
            *out++ = slot != nullptr ? &slot->value().second : nullptr;
        });
        return found;
    }

    /// The same entries: each found by Equal, then keys and values compared by ==, as in
    /// std::unordered_map. Keys without == count as equal when Equal says so.
    friend bool operator==(const map& a, const map& b) {
        if (a.size() != b.size()) return false;
        for (const auto& [key, value] : a) {
            const const_iterator other = b.find(key);
            if (other == b.end() || !detail::same_key<Equal>(other->first, key) ||
                !(other->second == value))
                return false;
        }
        return true;
    }
    friend void swap(map& a, map& b) noexcept { a.swap(b); }

private:
    template <class P>
    static auto& value_at(const P& at) {
        if (!at) [[unlikely]]
            detail::throw_no_such_key();
        return at.slot().value().second;
    }
    template <class Q, class... Args>
    [[gnu::always_inline]] std::pair<iterator, bool> make_value(Q&& key, Args&&... args) {
        return this->make(key, [&](slot& s) {
            s.construct(table_.alloc(), std::piecewise_construct,
                        std::forward_as_tuple(std::forward<Q>(key)),
                        std::forward_as_tuple(std::forward<Args>(args)...));
        });
    }
    template <class Q, class M>
    std::pair<iterator, bool> assign_value(Q&& key, M&& value) {
        const auto done = make_value(std::forward<Q>(key), std::forward<M>(value));
        if (!done.second) done.first->second = std::forward<M>(value);
        return done;
    }
};

/// A map whose entries never move: one allocation for each.
template <class K, class V, class Hash = map_hash<K>, class Equal = map_equal<K>,
          class Alloc = std::allocator<std::pair<const K, V>>>
using stable_map = map<K, V, Hash, Equal, Alloc, true>;

/// Erases the entries for which doomed(entry) is true.
///
/// Returns    how many.
template <class K, class V, class H, class E, class A, bool S, class Predicate>
std::size_t erase_if(map<K, V, H, E, A, S>& m, Predicate doomed) {
    return detail::erase_entries_if(m, doomed);
}

template <std::input_iterator It>
map(It, It) -> map<std::remove_const_t<typename std::iterator_traits<It>::value_type::first_type>,
                   typename std::iterator_traits<It>::value_type::second_type>;
template <class K, class V>
map(std::initializer_list<std::pair<K, V>>) -> map<std::remove_const_t<K>, V>;

}  // namespace steady
