// iterator.hpp - a walk over a go::map in the clothes of a C++ iterator.
//
// Keys and elems lie apart in a bucket, so there is no pair to refer to. An iterator
// therefore carries an entry, two references, and hands that out:
//
//   for (auto& [key, elem] : m) elem += 1;      // key is const, elem is the map's
//
// An iterator from begin() is a walk: it holds the map's keeper, and the map may be
// written meanwhile. One from find() stands still and is valid until the next write;
// advancing makes it a walk from there on.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>

#include "steady/go/detail/core.hpp"

namespace steady::go {

template <class K, class V, class Hash, class Eq>
class map;

/// What an iterator shows.
template <class K, class V>
struct entry {
    const K& first;
    V& second;
};

namespace internal {

/// The keeper of a map, made at the first walk. Several threads may begin a walk at
/// the same time. Throws std::bad_alloc.
template <class Layout>
keeper& keeper_of(map_core<Layout>& m) {
    keeper* k = __atomic_load_n(&m.side, __ATOMIC_ACQUIRE);
    if (k == nullptr) {
        keeper* const fresh = keeper::make();
        // acq_rel; pairs with the load above in the thread that comes second.
        if (__atomic_compare_exchange_n(&m.side, &k, fresh, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            k = fresh;
        } else {
            fresh->orphan();
        }
    }
    k->have_spare();
    return *k;
}

template <class Layout, class K, class V>
class map_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using iterator_concept = std::input_iterator_tag;
    using value_type = entry<K, V>;
    using difference_type = std::ptrdiff_t;
    using pointer = const entry<K, V>*;
    using reference = const entry<K, V>&;

    map_iterator() noexcept {}
    map_iterator(const map_iterator& other) noexcept { take(other); }
    map_iterator& operator=(const map_iterator& other) noexcept {
        if (this != &other) {
            give_up();
            take(other);
        }
        return *this;
    }
    ~map_iterator() { give_up(); }
    /// A const_iterator of an iterator.
    template <class W>
        requires(std::is_const_v<V>&& std::same_as<const W, V>)
    map_iterator(const map_iterator<Layout, K, W>& other)
    noexcept { take(other); }

    [[nodiscard]] reference operator*() const noexcept { return now_; }
    [[nodiscard]] pointer operator->() const noexcept { return &now_; }

    /// Cost     a few cells; up to all empty buckets of a map that was nearly emptied.
    /// Throws   what hash and equality throw while the map grows; std::bad_alloc at the
    ///          first step of an iterator from find(). The iterator is where it was.
    map_iterator& operator++() {
        if (walk_ == nullptr) begin_here();
        core_.next(it_);
        arrive();
        return *this;
    }
    map_iterator operator++(int) {
        map_iterator before = *this;
        ++*this;
        return before;
    }

    /// Two iterators are equal at the same entry, or at the end.
    friend bool operator==(const map_iterator& a, const map_iterator& b) noexcept {
        return a.key_ == b.key_;
    }
    friend bool operator==(const map_iterator& a, std::default_sentinel_t) noexcept {
        return a.key_ == nullptr;
    }

private:
    template <class, class, class, class>
    friend class steady::go::map;
    template <class, class, class>
    friend class map_iterator;

    /// A walk over `m` from a random place.
    static map_iterator begin(map_core<Layout>& m) {
        map_iterator w;
        if (m.h == nullptr || m.h->count == 0) return w;
        keeper& k = keeper_of(m);
        k.enter();
        w.walk_ = &k;
        w.core_ = m;
        std::construct_at(&w.it_);
        w.core_.start_walk(w.it_);
        w.arrive();
        return w;
    }
    /// Stands at a cell of `m`, whose key hashes to `hash`.
    static map_iterator at(map_core<Layout>& m, cell c, std::uint64_t hash) noexcept {
        map_iterator w;
        if (!c) return w;
        w.owner_ = &m;
        w.here_ = c;
        w.hash_ = hash;
        w.stand(m.key_at(c.b, c.i), m.elem_at(c.b, c.i));
        return w;
    }

    void stand(void* key, void* elem) noexcept {
        key_ = static_cast<const K*>(key);
        ::new (static_cast<void*>(&now_)) entry<K, V>{*key_, *static_cast<V*>(elem)};
    }
    void arrive() noexcept {
        if (it_.key == nullptr) return give_up();
        stand(it_.key, it_.elem);
    }
    void give_up() noexcept {
        if (walk_ != nullptr) walk_->leave();
        walk_ = nullptr;
        key_ = nullptr;
    }
    template <class W>
    void take(const map_iterator<Layout, K, W>& other) noexcept {
        if (other.key_ == nullptr) return;
        key_ = other.key_;
        ::new (static_cast<void*>(&now_)) entry<K, V>{other.now_.first, other.now_.second};
        owner_ = other.owner_;
        here_ = other.here_;
        hash_ = other.hash_;
        core_ = other.core_;
        walk_ = other.walk_;
        if (walk_ == nullptr) return;
        std::construct_at(&it_, other.it_);
        walk_->enter();
    }
    /// Turns a standing iterator into a walk that goes on behind its cell.
    void begin_here() {
        keeper& k = keeper_of(*owner_);
        k.enter();
        walk_ = &k;
        core_ = *owner_;
        std::construct_at(&it_, core_.walk_from(hash_, here_));
    }

    [[no_unique_address]] map_core<Layout> core_;  // of a walk
    keeper* walk_ = nullptr;
    map_core<Layout>* owner_ = nullptr;  // of one that stands
    cell here_;
    std::uint64_t hash_ = 0;
    const K* key_ = nullptr;  // null: the end
    union {
        hiter it_;
    };
    union {
        entry<K, V> now_;
    };
};

}  // namespace internal
}  // namespace steady::go
