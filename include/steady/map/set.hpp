// set.hpp - steady::set: steady::map without values. The same table, the same promises;
// detail/container.hpp has the interface.

#pragma once

#include <initializer_list>
#include <memory>
#include <utility>

#include "steady/map/detail/container.hpp"
#include "steady/map/hash_policy.hpp"

namespace steady {

template <class K, class Hash = map_hash<K>, class Equal = map_equal<K>,
          class Alloc = std::allocator<K>, bool Stable = false>
class set : public detail::hash_container<detail::set_element<K>, Stable, Hash, Equal, Alloc> {
    using base = detail::hash_container<detail::set_element<K>, Stable, Hash, Equal, Alloc>;

public:
    using typename base::const_iterator;
    using typename base::iterator;
    using typename base::size_type;
    using typename base::value_type;

    set() = default;
    explicit set(size_type entries, const Hash& hash = Hash(), const Equal& equal = Equal(),
                 const Alloc& alloc = Alloc())
        : base(entries, hash, equal, alloc) {}
    set(size_type entries, const Alloc& alloc) : base(entries, Hash(), Equal(), alloc) {}
    set(size_type entries, const Hash& hash, const Alloc& alloc)
        : base(entries, hash, Equal(), alloc) {}
    explicit set(const Alloc& alloc) : base(alloc) {}
    template <std::input_iterator It>
    set(It from, It to, size_type entries = 0, const Hash& hash = Hash(),
        const Equal& equal = Equal(), const Alloc& alloc = Alloc())
        : base(entries, hash, equal, alloc) {
        this->insert(from, to);
    }
    template <std::input_iterator It>
    set(It from, It to, const Alloc& alloc) : set(from, to, 0, Hash(), Equal(), alloc) {}
    template <std::input_iterator It>
    set(It from, It to, size_type entries, const Alloc& alloc)
        : set(from, to, entries, Hash(), Equal(), alloc) {}
    template <std::input_iterator It>
    set(It from, It to, size_type entries, const Hash& hash, const Alloc& alloc)
        : set(from, to, entries, hash, Equal(), alloc) {}
    set(std::initializer_list<value_type> values, size_type entries = 0, const Hash& hash = Hash(),
        const Equal& equal = Equal(), const Alloc& alloc = Alloc())
        : set(values.begin(), values.end(), entries, hash, equal, alloc) {}
    set(std::initializer_list<value_type> values, const Alloc& alloc)
        : set(values.begin(), values.end(), 0, Hash(), Equal(), alloc) {}
    set(std::initializer_list<value_type> values, size_type entries, const Alloc& alloc)
        : set(values.begin(), values.end(), entries, Hash(), Equal(), alloc) {}
    set(std::initializer_list<value_type> values, size_type entries, const Hash& hash,
        const Alloc& alloc)
        : set(values.begin(), values.end(), entries, hash, Equal(), alloc) {}
    set(const set&) = default;
    set(set&&) noexcept = default;
    set(const set& other, const Alloc& alloc) : base(other, alloc) {}
    set(set&& other, const Alloc& alloc) : base(std::move(other), alloc) {}
    set& operator=(const set&) = default;
    set& operator=(set&&) = default;
    set& operator=(std::initializer_list<value_type> values) {
        set fresh(values, 0, this->hash_function(), this->key_eq(), this->get_allocator());
        this->swap(fresh);
        return *this;
    }

    /// Looks up all keys, with overlapping cache misses, and writes a pointer to each key
    /// of the set, or nullptr, to `out`.
    ///
    /// Returns    how many were found.
    template <std::ranges::forward_range Keys, std::output_iterator<const K*> Out>
    size_type find_many(const Keys& keys, Out out) const {
        size_type found = 0;
        detail::find_batches(*this, keys, [&](const auto* slot) {
            found += slot != nullptr;
            *out++ = slot != nullptr ? &slot->value() : nullptr;
        });
        return found;
    }

    /// The same keys: each found by Equal, then compared by ==, as in std::unordered_set.
    /// Keys without == count as equal when Equal says so.
    friend bool operator==(const set& a, const set& b) {
        if (a.size() != b.size()) return false;
        for (const K& key : a) {
            const auto other = b.find(key);
            if (other == b.end() || !detail::same_key<Equal>(*other, key)) return false;
        }
        return true;
    }
    friend void swap(set& a, set& b) noexcept { a.swap(b); }
};

/// A set whose entries never move: one allocation for each.
template <class K, class Hash = map_hash<K>, class Equal = map_equal<K>,
          class Alloc = std::allocator<K>>
using stable_set = set<K, Hash, Equal, Alloc, true>;

/// Erases the entries for which doomed(entry) is true.
///
/// Returns    how many.
template <class K, class H, class E, class A, bool S, class Predicate>
std::size_t erase_if(set<K, H, E, A, S>& s, Predicate doomed) {
    return detail::erase_entries_if(s, doomed);
}

template <std::input_iterator It>
set(It, It) -> set<typename std::iterator_traits<It>::value_type>;
template <class K>
set(std::initializer_list<K>) -> set<K>;

}  // namespace steady
