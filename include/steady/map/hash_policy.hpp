// hash_policy.hpp - how a map turns a key into 64 good bits with a seed of its own.
//
//   Hash takes (key, seed)        called with the map's seed
//   Hash says is_avalanching      called with the key, taken as it is
//   any other Hash (std::hash)    called with the key, then mixed with the seed
//
// The default, map_hash, is of the first kind: integers take one multiplication, strings
// steady::hash, everything else std::hash and a multiplication.
//
//   integer     (low, high) = (key ^ seed) * m;   low ^ high turned by 32 bits
//
// One multiplication is less than steady::hash does (see core/hash.hpp, A1): single
// output bits follow single input bits too often for a general hash. A map takes its tag
// from the bottom and the group from the top, both far from where that shows, and
// sequential keys spread more evenly than random ones.
//
// Tried   A secret factor for each map instead of a secret to add: one map in a hundred got
//         a factor under which some stride of keys filled single groups (80 % of the entries
//         displaced, against 2 %).
//
// Invariants (tests/map/hash_policy_test.cpp)
//   H1  Two maps have different seeds, so keys that collide in one do not in the other.
//   H2  A hash that only copies its key (std::hash<int>) fills all parts of a map evenly.

#pragma once

#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sys/auxv.h>

#include "steady/core/hash.hpp"

namespace steady {

namespace detail {

/// Found by trying: of six odd numbers the one with which every pattern of keys in
/// tests/map/hash_policy_test.cpp (all strides of powers of two, primes, days, coordinates)
/// spreads about as well as random keys.
inline constexpr std::uint64_t map_multiplier = 0x9fb21c651e98df25;

/// The two halves of a 128-bit product, one turned by half: every bit of the key reaches
/// both ends, and the ends do not come from one half each.
[[nodiscard, gnu::always_inline]] inline std::uint64_t fold_product(std::uint64_t key,
                                                                    std::uint64_t seed) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide p = static_cast<wide>(key ^ seed) * map_multiplier;
    return static_cast<std::uint64_t>(p) ^ std::rotl(static_cast<std::uint64_t>(p >> 64), 32);
}

template <class Hash, class Key>
concept seeded_hash = requires(const Hash& hash, const Key& key, std::uint64_t seed) {
    { hash(key, seed) } -> std::convertible_to<std::uint64_t>;
};

/// Hash does not throw for such keys.
template <class Hash, class Key>
inline constexpr bool quiet_hash = [] {
    if constexpr (seeded_hash<Hash, Key>) {
        return noexcept(std::declval<const Hash&>()(std::declval<const Key&>(), std::uint64_t{}));
    } else {
        return noexcept(std::declval<const Hash&>()(std::declval<const Key&>()));
    }
}();

template <class Hash>
concept avalanching_hash = requires {
    typename Hash::is_avalanching;
};

template <class K>
concept has_std_hash = std::is_default_constructible_v<std::hash<K>>;

template <class K>
concept character_text = std::same_as<K, std::string_view> || requires {
    typename K::traits_type;
    typename K::allocator_type;
    requires std::same_as < K, std::basic_string < char, std::char_traits<char>,
    typename K::allocator_type >> ;
};

/// 64 bits the kernel drew for this process.
inline std::uint64_t process_secret() noexcept {
    static constinit std::atomic<std::uint64_t> secret{0};
    // relaxed: every thread computes the same value from the same sixteen bytes.
    std::uint64_t s = secret.load(std::memory_order_relaxed);
    if (s == 0) [[unlikely]] {
        const auto* drawn = reinterpret_cast<const unsigned char*>(getauxval(AT_RANDOM));
        s = drawn == nullptr ? default_seed : hash_bytes(drawn, 16) | 1;
        secret.store(s, std::memory_order_relaxed);
    }
    return s;
}

/// A seed for the map whose first block is at this address.
inline std::uint64_t new_seed(const void* block) noexcept {
    static constinit thread_local std::uint64_t drawn = 0;
    drawn += default_seed;
    const std::uint64_t here =
        reinterpret_cast<std::uintptr_t>(&drawn) ^ reinterpret_cast<std::uintptr_t>(block) << 24;
    return finalise(process_secret() ^ drawn ^ here);
}

}  // namespace detail

/// The default hash of steady's maps and sets.
template <class K>
struct map_hash : std::conditional_t<detail::has_std_hash<K>, std::hash<K>, steady::hash<K>> {};

template <class K>
    requires hashed_as_integer<K> || std::is_pointer_v<K>
struct map_hash<K> {
    using is_avalanching = void;

    [[nodiscard, gnu::always_inline]] std::uint64_t operator()(
        K key, std::uint64_t seed = default_seed) const noexcept {
        if constexpr (std::is_pointer_v<K>) {
            return detail::fold_product(reinterpret_cast<std::uintptr_t>(key), seed);
        } else {
            return detail::fold_product(static_cast<std::uint64_t>(key), seed);
        }
    }
};

/// Transparent: string_view, literals and strings hash alike.
template <detail::character_text K>
struct map_hash<K> : steady::hash<std::string_view> {};

/// The default comparison: transparent for text.
template <class K>
struct map_equal : std::equal_to<K> {};
template <detail::character_text K>
struct map_equal<K> : std::equal_to<> {};

namespace detail {

/// Whether two keys that Equal takes for the same are so by == as well, where they have it.
template <class Equal, class K>
[[nodiscard]] constexpr bool same_key(const K& a, const K& b) {
    if constexpr (std::equality_comparable<K> && !std::same_as<Equal, map_equal<K>> &&
                  !std::same_as<Equal, std::equal_to<K>> && !std::same_as<Equal, std::equal_to<>>) {
        return a == b;
    } else {
        return true;
    }
}

}  // namespace detail

namespace detail {

template <class Hash, class Key>
[[nodiscard, gnu::always_inline]] inline std::uint64_t hash_with_seed(const Hash& hash,
                                                                      const Key& key,
                                                                      std::uint64_t seed) {
    if constexpr (seeded_hash<Hash, Key>) {
        return hash(key, seed);
    } else if constexpr (avalanching_hash<Hash>) {
        static_assert(sizeof(hash(key)) >= 8, "an avalanching hash for steady::map has 64 bits");
        return hash(key);
    } else {
        return fold_product(static_cast<std::uint64_t>(hash(key)), seed);
    }
}

}  // namespace detail
}  // namespace steady
