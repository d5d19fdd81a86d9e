// static_layout.hpp - the layout of a map whose types the compiler knows.
//
// A key or elem stands in its cell unless it is larger than 128 bytes (Go's rule),
// or needs an alignment above 8, or may throw while being moved. Those stand behind
// a pointer: then growing moves pointers, and nothing on the way can fail.
//
//   go::map<K, V>                bucket           Go's
//   uint64, uint64               144 bytes        map[uint64]uint64       144
//   string_view, int64           208              map[string]int          208
//   int, std::monostate           48              map[int32]struct{}       48
//   int64, std::array<char,200>  144, behind      map[int64][200]byte     144
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "steady/core/hash.hpp"
#include "steady/core/random.hpp"
#include "steady/go/detail/header.hpp"
#include "steady/go/hash.hpp"
#include "steady/heap/allocator.hpp"

namespace steady::go::internal {

template <class T>
inline constexpr bool behind_pointer = sizeof(T) > largest_inline || alignof(T) > 8 ||
                                       !std::is_nothrow_move_constructible_v<T>;

/// A value that takes no room: Go's struct{}.
template <class T>
inline constexpr bool takes_no_room = std::is_empty_v<T>&& std::is_trivially_copyable_v<T>&&
    std::is_trivially_default_constructible_v<T>;

/// Small plain values: copied rather than referred to.
template <class T>
inline constexpr bool in_registers = std::is_trivially_copyable_v<T> &&
                                     sizeof(T) <= 16 && std::is_copy_constructible_v<T>;

template <class Hash, class Eq>
concept transparent = requires {
    typename Hash::is_transparent;
    typename Eq::is_transparent;
};

template <class K, class V, class Hash, class Eq>
struct static_layout {
    static constexpr bool as_go = false;
    /// Old cells stay readable when they have moved; else walks follow entries.
    static constexpr bool cells_survive = std::is_scalar_v<K> && !behind_pointer<K> &&
                                          std::is_trivially_copyable_v<V> && !behind_pointer<V>;
    static constexpr bool plain_key = std::is_trivially_copyable_v<K> && !behind_pointer<K>;
    static constexpr bool plain_elem = std::is_trivially_copyable_v<V> && !behind_pointer<V>;

    [[no_unique_address]] Hash hasher;
    [[no_unique_address]] Eq same;

    static constexpr std::size_t key_size() noexcept {
        return behind_pointer<K> ? sizeof(void*) : takes_no_room<K> ? 0 : sizeof(K);
    }
    static constexpr std::size_t elem_size() noexcept {
        return behind_pointer<V> ? sizeof(void*) : takes_no_room<V> ? 0 : sizeof(V);
    }
    static constexpr std::size_t bucket_size() noexcept {
        return data_offset + cells * (key_size() + elem_size()) + sizeof(bmap*);
    }
    static constexpr bool indirect_key() noexcept { return behind_pointer<K>; }
    static constexpr bool indirect_elem() noexcept { return behind_pointer<V>; }
    static constexpr bool pointers() noexcept {
        return indirect_key() || indirect_elem() || !(holds_no_pointers<K> || takes_no_room<K>) ||
               !(holds_no_pointers<V> || takes_no_room<V>);
    }
    static constexpr bool reflexive() noexcept { return !std::floating_point<K>; }
    /// An assignment replaces an equal key: +0 by -0, a string by one stored elsewhere.
    static constexpr bool update_key() noexcept {
        return std::floating_point<K> || std::same_as<K, std::string_view>;
    }
    static constexpr bool trivial_cells() noexcept {
        return std::is_trivially_destructible_v<K> && std::is_trivially_destructible_v<V> &&
               !indirect_key() && !indirect_elem();
    }

    static wyrand& random() noexcept { return thread_random(); }

    /// Hashes anything that is looked for; a hash without a seed is mixed with it.
    template <class Q>
    [[nodiscard]] std::uint64_t hash_of(const Q& key, std::uint32_t seed) const {
        if constexpr (std::is_invocable_v<const Hash&, const Q&, std::uint64_t>) {
            return hasher(key, std::uint64_t{seed});
        } else {
            return hash_integer(static_cast<std::uint64_t>(hasher(key)), seed);
        }
    }
    static constexpr bool hash_is_noexcept =
        std::is_nothrow_invocable_v<const Hash&, const K&, std::uint64_t> ||
        std::is_nothrow_invocable_v<const Hash&, const K&>;

    [[nodiscard]] std::uint64_t hash(const void* key, std::uint32_t seed) const {
        return hash_of(*static_cast<const K*>(key), seed);
    }
    /// Asks for what the hash of this key will read beyond its cell.
    static void fetch_key(const void* key) noexcept {
        if constexpr (behind_pointer<K>) {
            __builtin_prefetch(key);
        } else if constexpr (std::same_as<K, std::string_view> || std::same_as<K, std::string>) {
            __builtin_prefetch(static_cast<const K*>(key)->data());
        }
    }
    [[nodiscard]] bool equal(const void* a, const void* b) const {
        return same(*static_cast<const K*>(a), *static_cast<const K*>(b));
    }
    [[nodiscard]] bool equals_itself(const void* key) const { return equal(key, key); }

    template <class T>
    static void relocate(void* to, void* from) noexcept {
        if constexpr (takes_no_room<T>) {
        } else if constexpr (std::is_trivially_copyable_v<T>) {
            std::memcpy(to, from, sizeof(T));
        } else {
            T* const old = static_cast<T*>(from);
            ::new (to) T(std::move(*old));
            old->~T();
        }
    }
    static void relocate_key(void* to, void* from) noexcept { relocate<K>(to, from); }
    static void relocate_elem(void* to, void* from) noexcept { relocate<V>(to, from); }

    static void destroy_key(void* k) noexcept { std::destroy_at(static_cast<K*>(k)); }
    static void destroy_elem(void* e) noexcept { std::destroy_at(static_cast<V*>(e)); }
    static void clear_key(void* k) noexcept {
        if constexpr (!std::is_trivially_destructible_v<K>) destroy_key(k);
    }
    static void clear_elem(void* e) noexcept {
        if constexpr (!std::is_trivially_destructible_v<V>) destroy_elem(e);
    }
};

}  // namespace steady::go::internal
