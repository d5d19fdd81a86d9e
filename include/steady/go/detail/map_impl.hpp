// map_impl.hpp - the bodies of go::map: how typed keys and elems meet the core.
//
// Aliases. m.assign(k, m.at(j)) and m.erase(it->first) pass references into the map
// that a growth would leave behind. So an operation that is about to move entries
// searches first, then makes what it will store, then moves, and last puts it in place.
// Nine of ten inserts move nothing and build the entry in its cell.
#pragma once

#include <memory>
#include <string>

#include "steady/go/map.hpp"

namespace steady::go {
namespace internal {

// The hot paths are inlined by force. A call saves registers on the stack, and reading
// them back waits for the addresses of all earlier stores, the elem's too, which is known
// only when its bucket has arrived: writes to string keys then took 100 ns instead of 50.

/// Whether assigning a W to a T that lives leaves it as it was when it throws.
/// std::string promises that, and keeps its memory when it can.
template <class T, class W>
inline constexpr bool assigned_whole =
    std::is_nothrow_assignable_v<T&, W> || std::same_as<T, std::string>;

/// A T made before its cell is known, in the form in which cells store it.
template <class T>
class ready {
public:
    template <class Make>
    explicit ready(Make&& make) {
        if constexpr (behind_pointer<T>) {
            object_ = static_cast<T*>(allocate_aligned());
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
    /// Takes the place of the object behind the pointer in a cell; that one dies with this.
    void exchange(void* cell) noexcept requires behind_pointer<T> {
        T* const old = static_cast<T*>(*static_cast<void**>(cell));
        *static_cast<void**>(cell) = std::exchange(object_, old);
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
    static void* allocate_aligned() {
        constexpr bool pointers = !holds_no_pointers<T>;
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
inline auto map<K, V, Hash, Eq>::search(const Q& key) const -> cell {
    if constexpr (!searchable<Q>) {
        return search(K(key));
    } else {
        if (core_.h == nullptr || core_.h->count == 0) return {};
        core_.expect_no_writer("concurrent map read and map write");
        return core_.find(hash_of(key), same_as(key));
    }
}

/// Finds the key, or adds it: the key itself is made from `key`, the elem by
/// make_elem(void* where).
template <class K, class V, class Hash, class Eq>
template <class Q, class MakeElem>
[[gnu::always_inline]] inline auto map<K, V, Hash, Eq>::place(Q&& key, std::uint64_t hash,
                                                              MakeElem&& make_elem) -> spot {
    const typename core::writing w(core_);
    if (core_.placing_is_work()) [[unlikely]] {
        if constexpr (internal::in_registers<std::remove_cvref_t<Q>> &&
                      std::is_trivially_copyable_v<std::remove_cvref_t<MakeElem>>) {
            // Copies, so that the originals may stay in registers.
            auto copy = key;
            auto make = make_elem;
            return place_with_work(copy, hash, make);
        } else {
            return place_with_work(std::forward<Q>(key), hash, make_elem);
        }
    }
    spot s = core_.look(hash, same_as(key));
    if (s.present) return s;
    if (s.b == nullptr) [[unlikely]]
        s = core_.lengthen(hash);
    void* const k = core_.key_cell(s.b, s.i);
    void* const e = core_.elem_cell(s.b, s.i);
    if constexpr (internal::behind_pointer<K> || internal::behind_pointer<V> ||
                  internal::takes_no_room<K> || internal::takes_no_room<V>) {
        internal::ready<K> new_key([&](void* to) { ::new (to) K(std::forward<Q>(key)); });
        internal::ready<V> new_elem(make_elem);
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
    core_.fill(s);
    return s;
}

/// The same when entries move, or the first bucket is missing.
template <class K, class V, class Hash, class Eq>
template <class Q, class MakeElem>
[[gnu::noinline]] auto map<K, V, Hash, Eq>::place_with_work(Q&& key, std::uint64_t hash,
                                                            MakeElem&& make_elem) -> spot {
    if (core_.h->growing()) core_.fetch_growth(hash & core_.h->bucket_mask());
    if (core_.h->count != 0) {
        cell c = core_.find(hash, same_as(key));
        if (c && core_.h->growing()) c = core_.grow_work_with(hash, c);
        if (c) return {c.b, c.i, true, 0};
    }
    internal::ready<K> new_key([&](void* to) { ::new (to) K(std::forward<Q>(key)); });
    internal::ready<V> new_elem(make_elem);
    const spot s = core_.place(hash, [](const void*) { return false; });
    new_key.give(core_.key_cell(s.b, s.i));
    new_elem.give(core_.elem_cell(s.b, s.i));
    core_.fill(s);
    return s;
}

template <class K, class V, class Hash, class Eq>
template <class Q, class... Args>
[[gnu::always_inline]] inline auto map<K, V, Hash, Eq>::add(Q&& key, std::uint64_t hash,
                                                            Args&&... args) -> spot {
    if constexpr (sizeof...(Args) == 0) {
        return place(
            std::forward<Q>(key), hash,
            [](void* to) noexcept(std::is_nothrow_default_constructible_v<V>) { ::new (to) V(); });
    } else {
        return place(std::forward<Q>(key), hash,
                     [&](void* to) noexcept(std::is_nothrow_constructible_v<V, Args...>) {
                         ::new (to) V(std::forward<Args>(args)...);
                     });
    }
}

template <class K, class V, class Hash, class Eq>
template <class Q>
[[gnu::always_inline]] inline V& map<K, V, Hash, Eq>::refer(Q&& key) {
    expect_not_nil();
    return elem_of(add(std::forward<Q>(key), hash_for_write(key)));
}

/// put() of an elem whose cell is about to move: it is taken out first.
template <class K, class V, class Hash, class Eq>
template <bool AsGo, class Q>
[[gnu::noinline]] auto map<K, V, Hash, Eq>::put_moved(Q&& key, std::uint64_t hash, V&& elem)
    -> spot {
    V made(std::move(elem));
    const spot s = place(std::forward<Q>(key), hash,
                         [&](void* to) noexcept { ::new (to) V(std::move(made)); });
    if (s.present) replace<AsGo>(s, key, std::move(made));
    return s;
}

template <class K, class V, class Hash, class Eq>
template <bool AsGo, class Q, class W>
[[gnu::always_inline]] inline auto map<K, V, Hash, Eq>::put(Q&& key, std::uint64_t& hash, W&& elem)
    -> spot {
    if constexpr (internal::in_registers<std::remove_cvref_t<W>>) {
        const auto value = elem;
        const spot s =
            place(std::forward<Q>(key), hash,
                  [value](void* to) noexcept(
                      std::is_nothrow_constructible_v<V, const std::remove_cvref_t<W>&>) {
                      ::new (to) V(value);
                  });
        if (s.present) replace<AsGo>(s, key, value);
        return s;
    } else {
        if constexpr (std::is_lvalue_reference_v<W> || !std::same_as<std::remove_cvref_t<W>, V>) {
            // `elem` may be in this map, and about to move.
            if (core_.placing_is_work()) [[unlikely]] {
                const std::uint32_t seed = core_.h->hash0;
                V made(std::forward<W>(elem));
                if (core_.h->hash0 != seed) [[unlikely]]
                    hash = hash_for_write(key);
                return put<AsGo>(std::forward<Q>(key), hash, std::move(made));
            }
        } else if constexpr (!internal::behind_pointer<V>) {
            // The same for an elem that is given away: it moves out before its bucket moves.
            if (core_.about_to_move(hash & core_.h->bucket_mask(), &elem)) [[unlikely]]
                return put_moved<AsGo>(std::forward<Q>(key), hash, std::move(elem));
        }
        const spot s = place(std::forward<Q>(key), hash,
                             [&](void* to) noexcept(std::is_nothrow_constructible_v<V, W>) {
                                 ::new (to) V(std::forward<W>(elem));
                             });
        if (s.present) replace<AsGo>(s, key, std::forward<W>(elem));
        return s;
    }
}

/// The key is there already. An elem whose assignment may throw halfway is made anew,
/// and then takes the place of the old one by steps that cannot fail. The key comes last.
template <class K, class V, class Hash, class Eq>
template <bool AsGo, class Q, class W>
inline void map<K, V, Hash, Eq>::replace(const spot& s, const Q& key, W&& elem) {
    if constexpr (std::is_trivially_assignable_v<V&, W>) {
        elem_of(s) = std::forward<W>(elem);
    } else {
        // What an elem's constructor, assignment or destructor does to this map is misuse.
        const typename core::writing w(core_);
        replace_elem(s, std::forward<W>(elem));
    }
    if constexpr (AsGo && layout::update_key()) {
        K& stored = *static_cast<K*>(core_.key_at(s.b, s.i));
        if constexpr (std::same_as<K, std::string_view>) {
            const K now(key);
            if (stored.data() != now.data()) stored = now;
        } else {
            stored = key;
        }
    }
}

template <class K, class V, class Hash, class Eq>
template <class W>
inline void map<K, V, Hash, Eq>::replace_elem(const spot& s, W&& elem) {
    if constexpr (internal::assigned_whole<V, W>) {
        elem_of(s) = std::forward<W>(elem);
    } else if constexpr (!internal::behind_pointer<V>) {
        V made(std::forward<W>(elem));
        V& old = elem_of(s);
        if constexpr (std::is_nothrow_move_assignable_v<V>) {
            old = std::move(made);
        } else {
            std::destroy_at(&old);
            ::new (static_cast<void*>(&old)) V(std::move(made));
        }
    } else {
        internal::ready<V> made([&](void* to) { ::new (to) V(std::forward<W>(elem)); });
        made.exchange(core_.elem_cell(s.b, s.i));
    }
}

template <class K, class V, class Hash, class Eq>
template <class Q>
[[gnu::always_inline]] inline auto map<K, V, Hash, Eq>::remove(const Q& key) -> size_type {
    if constexpr (!searchable<Q>) {
        return remove(K(key));
    } else {
        if (empty()) return 0;
        const std::uint64_t hash = hash_for_write(key);
        const typename core::writing w(core_);
        if (core_.h->growing()) [[unlikely]]
            return remove_growing(key, hash);
        return core_.erase_here(hash, same_as(key)) ? 1 : 0;
    }
}

/// The same while the map grows. The key is found first: it may be one of the map's own,
/// and about to move.
template <class K, class V, class Hash, class Eq>
template <class Q>
[[gnu::noinline]] auto map<K, V, Hash, Eq>::remove_growing(const Q& key, std::uint64_t hash)
    -> size_type {
    core_.fetch_growth(hash & core_.h->bucket_mask());
    const cell c = core_.grow_work_with(hash, core_.find(hash, same_as(key)));
    if (!c) return 0;
    core_.remove(hash, c);
    return 1;
}

/// The walk steps on while its entry is still there: removing it moves nothing, but the
/// part of a growth before that does, and may throw.
template <class K, class V, class Hash, class Eq>
auto map<K, V, Hash, Eq>::erase(iterator at) -> iterator {
    if (at.walk_ == nullptr) {
        at.begin_here();
    } else {
        STEADY_ASSERT(1, core_.stays(at.it_),
                      "go::map::erase(iterator): the entry was moved or deleted after the "
                      "iterator came to it; erase by key, or advance the iterator first");
    }
    const K& key = at->first;
    const std::uint64_t hash = hash_for_write(key);
    cell c;
    {
        const typename core::writing w(core_);
        c = core_.find(hash, same_as(key));
        if (core_.h->growing()) c = core_.grow_work_with(hash, c);
    }
    ++at;
    if (c) {
        const typename core::writing w(core_);
        core_.remove(hash, c);
    }
    return at;
}

template <class K, class V, class Hash, class Eq>
auto map<K, V, Hash, Eq>::clone() const -> map {
    if (is_nil()) return map(core_.t.hasher, core_.t.same);
    map copy = make(size(), core_.t.hasher, core_.t.same);
    for (auto& [key, elem] : *this) copy.try_emplace(key, elem);
    return copy;
}

template <class K, class V, class Hash, class Eq>
memory_parts map<K, V, Hash, Eq>::memory() const noexcept {
    if (is_nil()) return {};
    const internal::hmap& h = *core_.h;
    map_state s{.count = static_cast<std::uint64_t>(h.count),
                .B = h.B,
                .old_B = core_.old_B(),
                .array = h.buckets != nullptr,
                .growing = h.growing(),
                .extra = h.extra != nullptr};
    const auto count_outside = [this](internal::bmap* array, unsigned B) {
        const internal::bmap* const end = core_.bucket(array, core_.all_buckets(B));
        std::uint64_t n = 0;
        for (std::size_t i = 0; i < std::size_t{1} << B; ++i) {
            for (const internal::bmap* b = core_.bucket(array, i);
                 (b = core_.overflow(const_cast<internal::bmap*>(b))) != nullptr;) {
                n += b < array || b >= end;
            }
        }
        return n;
    };
    if (s.growing) s.old_outside = count_outside(h.oldbuckets, s.old_B);
    // While a spare is left, no overflow bucket was allocated: see destroy(). A map without
    // pointers lists all that were taken, spares first.
    if (s.array && (h.extra == nullptr || h.extra->nextOverflow == nullptr)) {
        if (core_.t.pointers()) {
            s.outside = count_outside(h.buckets, h.B);
        } else if (h.extra != nullptr && h.extra->overflow != nullptr) {
            s.outside = static_cast<std::uint64_t>(h.extra->overflow->len) -
                        (core_.all_buckets(h.B) - h.bucket_count());
        }
    }
    if (h.extra != nullptr) {
        const std::size_t all = core_.all_buckets(h.B);
        s.spares_used = all - h.bucket_count();
        if (const internal::bmap* const next = h.extra->nextOverflow; next != nullptr) {
            const auto before = static_cast<std::size_t>(reinterpret_cast<const char*>(next) -
                                                         reinterpret_cast<const char*>(h.buckets));
            s.spares_used = before / bucket_size - h.bucket_count();
        }
        const auto add = [&s](const internal::bucket_list* list, std::uint64_t& capacity) {
            if (list == nullptr) return;
            ++s.lists;
            capacity = static_cast<std::uint64_t>(list->cap);
        };
        add(h.extra->overflow, s.list);
        add(h.extra->oldoverflow, s.old_list);
    }
    return bytes_of(bucket_of<K, V>, s).parts;
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
