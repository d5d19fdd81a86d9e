// slot.hpp - what stands in a slot: an entry, or a pointer to one; with its hash
// beside it when hashing again would be dear.
//
//   inline           | entry |            small entries that move without throwing
//   node             | * ---> entry       large ones, those whose move may throw, and
//                                         every entry of a stable_map
//   ... with hash    | hash | entry |     keys that are not plain bytes (strings), and those
//                                         whose Hash is not noexcept: growing must not
//                                         hash them again
//
// So an entry moves between slots without throwing, always: what could throw stays where
// it is, and only its pointer moves. That is why a split needs no way back.
//
// A map's entry is pair<const K, V>; to move it, the same bytes are taken for pair<K, V>,
// as the flat maps before us do: both have the same layout in every compiler we know.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "steady/core/relocatable.hpp"
#include "steady/map/hash_policy.hpp"
#include "steady/map/options.hpp"

namespace steady {

namespace detail {

template <class K, class V>
struct map_element {
    using key_type = K;
    using value_type = std::pair<const K, V>;
    using movable_type = std::pair<K, V>;
    static_assert(sizeof(value_type) == sizeof(movable_type), "one layout for both pairs");
    static constexpr bool is_map = true;
    static constexpr std::size_t payload = sizeof(K) + sizeof(V);
    static const K& key(const value_type& v) noexcept { return v.first; }
};

template <class K>
struct set_element {
    using key_type = K;
    using value_type = K;
    using movable_type = K;
    static constexpr bool is_map = false;
    static constexpr std::size_t payload = sizeof(K);
    static const K& key(const K& v) noexcept { return v; }
};

struct no_hash {
    static constexpr bool caches_hash = false;
    void keep_hash(std::uint64_t) noexcept {}
};

struct kept_hash {
    static constexpr bool caches_hash = true;
    std::uint64_t hash;
    void keep_hash(std::uint64_t h) noexcept { hash = h; }
};

/// The entry itself.
template <class Element, class Hash>
struct inline_slot : Hash {
    using element = Element;
    using value_type = typename Element::value_type;
    using movable_type = typename Element::movable_type;
    static constexpr bool is_node = false;
    static constexpr bool bytes_only = is_trivially_relocatable<movable_type>;

    alignas(value_type) std::byte bytes[sizeof(value_type)];

    [[nodiscard]] value_type& value() noexcept {
        return *std::launder(reinterpret_cast<value_type*>(bytes));
    }
    [[nodiscard]] const value_type& value() const noexcept {
        return *std::launder(reinterpret_cast<const value_type*>(bytes));
    }
    [[nodiscard]] const auto& key() const noexcept { return Element::key(value()); }

    template <class Alloc, class... Args>
    void construct(Alloc& alloc, Args&&... args) {
        std::allocator_traits<Alloc>::construct(alloc, reinterpret_cast<value_type*>(bytes),
                                                std::forward<Args>(args)...);
    }
    template <class Alloc>
    void destroy(Alloc& alloc) noexcept {
        std::allocator_traits<Alloc>::destroy(alloc, &value());
    }
    /// Moves the entry to an empty slot; this one becomes empty.
    void relocate_to(inline_slot& to) noexcept {
        if constexpr (bytes_only) {
            std::memcpy(static_cast<void*>(&to), static_cast<const void*>(this), sizeof *this);
        } else {
            auto* from = std::launder(reinterpret_cast<movable_type*>(bytes));
            ::new (static_cast<void*>(to.bytes)) movable_type(std::move(*from));
            from->~movable_type();
            if constexpr (Hash::caches_hash) to.hash = this->hash;
        }
    }
};

/// A pointer to the entry, which never moves.
template <class Element, class Hash>
struct node_slot : Hash {
    using element = Element;
    using value_type = typename Element::value_type;
    using movable_type = typename Element::movable_type;
    static constexpr bool is_node = true;
    static constexpr bool bytes_only = true;

    value_type* node;

    [[nodiscard]] value_type& value() noexcept { return *node; }
    [[nodiscard]] const value_type& value() const noexcept { return *node; }
    [[nodiscard]] const auto& key() const noexcept { return Element::key(*node); }

    template <class Alloc, class... Args>
    void construct(Alloc& alloc, Args&&... args) {
        using traits = std::allocator_traits<Alloc>;
        value_type* fresh = std::to_address(traits::allocate(alloc, 1));
        try {
            traits::construct(alloc, fresh, std::forward<Args>(args)...);
        } catch (...) {
            traits::deallocate(alloc, pointer_of<Alloc>(fresh), 1);
            throw;
        }
        node = fresh;
    }
    template <class Alloc>
    void destroy(Alloc& alloc) noexcept {
        using traits = std::allocator_traits<Alloc>;
        traits::destroy(alloc, node);
        traits::deallocate(alloc, pointer_of<Alloc>(node), 1);
    }
    void relocate_to(node_slot& to) noexcept { to = *this; }

private:
    template <class Alloc>
    static auto pointer_of(value_type* p) noexcept {
        return std::pointer_traits<typename std::allocator_traits<Alloc>::pointer>::pointer_to(*p);
    }
};

/// Moving an entry into a slot cannot throw.
template <class Element>
inline constexpr bool moves_quietly =
    std::is_nothrow_move_constructible_v<typename Element::movable_type>;

/// Hashing such a key again reads nothing but the slot, and little of it, and cannot throw:
/// a split must not.
template <class Key, class Hash>
inline constexpr bool cheap_to_hash = std::is_trivially_copyable_v<Key> &&
                                      sizeof(Key) <= 16 && quiet_hash<Hash, Key>;

template <class Element, class Hash, bool Stable>
struct slot_choice {
    using value_type = typename Element::value_type;
    using hash_part =
        std::conditional_t<cheap_to_hash<typename Element::key_type, Hash>, no_hash, kept_hash>;
    static constexpr bool out_of_line =
        Stable || !moves_quietly<Element> || sizeof(value_type) > map_options::largest_inline_entry;
    // A node is a cache miss away, so its slot keeps the hash whatever the key.
    using type = std::conditional_t<out_of_line, node_slot<Element, kept_hash>,
                                    inline_slot<Element, hash_part>>;
};

}  // namespace detail
}  // namespace steady
