// map_impl.hpp - the bodies of go::map: how typed keys and elems meet the core.
//
// Aliases. m.assign(k, m.at(j)) and m.erase(it->first) pass references into the map
// that a growth would leave behind. So an operation that is about to move entries
// searches first, then makes what it will store, then moves, and last puts it in place.
// Nine of ten inserts move nothing and build the entry in its cell.
#pragma once

#include <memory>

#include "steady/go/map.hpp"

namespace steady::go {
namespace internal {

/// A T made before its cell is known, in the form in which cells store it.
template <class T>
class ready {
public:
    template <class Make>
    explicit ready(bool pointers, Make&& make) {
        if constexpr (behind_pointer<T>) {
            object_ = static_cast<T*>(allocate_aligned(pointers));
            try {
                make(static_cast<void*>(object_));
            } catch (...) {
                free_object(object_);
                throw;
            }
        } else {
            make(static_cast<void*>(&value_));
        }
    }
    ready(const ready&) = delete;
    ready& operator=(const ready&) = delete;
    ~ready() {
        if constexpr (behind_pointer<T>) {
            if (object_ != nullptr) {
                std::destroy_at(object_);
                free_object(object_);
            }
        } else if (!given_) {
            std::destroy_at(&value_);
        }
    }
    /// Moves it into a cell.
    void give(void* to) noexcept {
        if constexpr (behind_pointer<T>) {
            *static_cast<void**>(to) = std::exchange(object_, nullptr);
        } else {
            if constexpr (!takes_no_room<T>) ::new (to) T(std::move(value_));
            std::destroy_at(&value_);
            given_ = true;
        }
    }

private:
    static void* allocate_aligned(bool pointers) {
        if constexpr (alignof(T) <= 8) {
            return allocate_object(sizeof(T), pointers);
        } else {
            void* const p =
                steady::allocate(sizeof(T), alignof(T),
                                 pointers ? contents::may_hold_pointers : contents::no_pointers);
            if (p == nullptr) throw_out_of_memory();
            return p;
        }
    }

    T* object_ = nullptr;
    bool given_ = false;
    union {
        T value_;
    };
};

}  // namespace internal

template <class K, class V, class Hash, class Eq>
template <class Q>
inline auto map<K, V, Hash, Eq>::search(const Q& key, std::uint64_t* hash_out) const -> cell {
    if constexpr (!searchable<Q>) {
        const K made(key);
        return search(made, hash_out);
    } else {
        if (core_.h == nullptr || core_.h->count == 0) return {};
        core_.expect_no_writer("concurrent map read and map write");
        const std::uint64_t hash = core_.t.hash_of(key, core_.h->hash0);
        if (hash_out != nullptr) *hash_out = hash;
        return core_.find(hash, same_as(key));
    }
}

/// Finds the key, or adds it: the key itself is made from `key`, the elem by
/// make_elem(void* where).
template <class K, class V, class Hash, class Eq>
template <class Q, class MakeElem>
inline auto map<K, V, Hash, Eq>::place(Q&& key, MakeElem&& make_elem) -> placed {
    if (core_.h == nullptr) [[unlikely]]
        throw nil_map_error();
    const std::uint64_t hash = core_.t.hash_of(key, core_.h->hash0);
    typename core::writing w(core_);
    if (core_.placing_moves()) [[unlikely]] {
        const placed p = place_while_moving(std::forward<Q>(key), hash, make_elem);
        w.end();
        return p;
    }
    const internal::found_cell f = core_.place(hash, same_as(key));
    if (!f.present) {
        void* const k = core_.key_cell(f.at.b, f.at.i);
        void* const e = core_.elem_cell(f.at.b, f.at.i);
        if constexpr (internal::behind_pointer<K> || internal::behind_pointer<V> ||
                      internal::takes_no_room<K> || internal::takes_no_room<V>) {
            internal::ready<K> new_key(!holds_no_pointers<K>,
                                       [&](void* to) { ::new (to) K(std::forward<Q>(key)); });
            internal::ready<V> new_elem(!holds_no_pointers<V>, make_elem);
            new_key.give(k);
            new_elem.give(e);
        } else {
            ::new (k) K(std::forward<Q>(key));
            if constexpr (noexcept(make_elem(e))) {
                make_elem(e);
            } else {
                try {
                    make_elem(e);
                } catch (...) {
                    std::destroy_at(static_cast<K*>(k));
                    throw;
                }
            }
        }
        core_.fill(f);
    }
    w.end();
    return {f.at, hash, !f.present};
}

/// The same while entries move.
template <class K, class V, class Hash, class Eq>
template <class Q, class MakeElem>
[[gnu::noinline]] auto map<K, V, Hash, Eq>::place_while_moving(Q&& key, std::uint64_t hash,
                                                               MakeElem&& make_elem) -> placed {
    cell c = core_.h->count == 0 ? cell{} : core_.find(hash, same_as(key));
    if (c) {
        if (core_.h->growing()) core_.grow_work(hash & core_.h->bucket_mask(), &c);
        return {c, hash, false};
    }
    internal::ready<K> new_key(!holds_no_pointers<K>,
                               [&](void* to) { ::new (to) K(std::forward<Q>(key)); });
    internal::ready<V> new_elem(!holds_no_pointers<V>, make_elem);
    const internal::found_cell f = core_.place(hash, [](const void*) { return false; });
    new_key.give(core_.key_cell(f.at.b, f.at.i));
    new_elem.give(core_.elem_cell(f.at.b, f.at.i));
    core_.fill(f);
    return {f.at, hash, true};
}

template <class K, class V, class Hash, class Eq>
template <class Q, class... Args>
inline auto map<K, V, Hash, Eq>::try_emplace_cell(Q&& key, Args&&... args) -> placed {
    if constexpr (!searchable<Q>) {
        return try_emplace_cell(K(std::forward<Q>(key)), std::forward<Args>(args)...);
    } else {
        return place(std::forward<Q>(key),
                     [&](void* to) noexcept(std::is_nothrow_constructible_v<V, Args...>) {
                         ::new (to) V(std::forward<Args>(args)...);
                     });
    }
}

template <class K, class V, class Hash, class Eq>
template <bool AsGo, class Q, class W>
inline auto map<K, V, Hash, Eq>::put(Q&& key, W&& elem) -> placed {
    if constexpr (!searchable<Q>) {
        return put<AsGo>(K(std::forward<Q>(key)), std::forward<W>(elem));
    } else {
        if (!is_nil() && core_.placing_moves()) [[unlikely]] {
            // `elem` may be an elem of this map, which is about to move.
            if constexpr (!std::is_rvalue_reference_v<W&&> || !std::same_as<W, V>) {
                return put<AsGo>(std::forward<Q>(key), V(std::forward<W>(elem)));
            }
        }
        const placed p = place(std::forward<Q>(key),
                               [&](void* to) noexcept(std::is_nothrow_constructible_v<V, W>) {
                                   ::new (to) V(std::forward<W>(elem));
                               });
        if (!p.added) {
            if constexpr (AsGo && layout::update_key()) {
                *static_cast<K*>(core_.key_at(p.at.b, p.at.i)) = K(key);
            }
            elem_of(p) = std::forward<W>(elem);
        }
        return p;
    }
}

template <class K, class V, class Hash, class Eq>
template <class Q>
    requires(!std::same_as<std::remove_cvref_t<Q>, typename map<K, V, Hash, Eq>::iterator> &&
             !std::same_as<std::remove_cvref_t<Q>, typename map<K, V, Hash, Eq>::const_iterator>)
inline auto map<K, V, Hash, Eq>::erase(const Q& key) -> size_type {
    if constexpr (!searchable<Q>) {
        return erase(K(key));
    } else {
        if (empty()) return 0;
        const std::uint64_t hash = core_.t.hash_of(key, core_.h->hash0);
        typename core::writing w(core_);
        cell c = core_.find(hash, same_as(key));
        if (core_.h->growing()) [[unlikely]]
            core_.grow_work(hash & core_.h->bucket_mask(), &c);
        if (c) core_.remove(hash, c);
        w.end();
        return c ? 1 : 0;
    }
}

template <class K, class V, class Hash, class Eq>
auto map<K, V, Hash, Eq>::clone() const -> map {
    if (is_nil()) return map(core_.t.hasher, core_.t.same);
    map copy = make(size(), core_.t.hasher, core_.t.same);
    for (auto& [key, elem] : *this) copy.try_emplace(key, elem);
    return copy;
}

/// Deletes the entries for which wanted(entry) is true. Returns how many.
template <class K, class V, class Hash, class Eq, class Predicate>
std::size_t erase_if(map<K, V, Hash, Eq>& m, Predicate wanted) {
    const std::size_t before = m.size();
    for (auto& e : m) {
        if (wanted(e)) m.erase(e.first);
    }
    return before - m.size();
}

}  // namespace steady::go
