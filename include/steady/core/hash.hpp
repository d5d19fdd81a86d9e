// hash.hpp - steady's default hash: fast, seeded, and good in every bit, so that a
// map may take tags from the top, homes from the bottom, and trust both.
//
// Terms   seed: 64 bits, secret where keys come from strangers.
//         fold: high ^ low of a 64 x 64 -> 128 bit product (detail/mix.hpp).
//         keys: a, b, c, expanded from the seed by one multiplication.
//
//   integer   (low, high) = (x ^ seed) * m2;   fold(low ^ m3, high ^ seed ^ m4)
//   1..16 B   two words from the ends, overlapping;  multiply, fold
//   17 B..    16 bytes a step into one lane; above 48 bytes into three lanes side
//             by side, so that the multiplications overlap; the last 16 as above
//
// Invariants (tests/core/hash_test.cpp)
//   A1  Avalanche: flipping any input bit flips any output bit in half of the
//       cases, for integers and for strings of every length class.
//   A2  No factor that data can reach is known without the seed. Where wyhash (and Go)
//       multiply by data ^ constant, anyone can make that factor zero and so build
//       any number of colliding keys for every seed at once. Here the factors are
//       data ^ key, and the three lanes start from different keys, so that
//       exchanging blocks between lanes changes the sum as well.
//   A3  The same bytes and seed hash alike on every machine and at every address.
//
// Cost    measured one after another (latency) on a Xeon at about 3.6 GHz: integer
//         4.4 ns, 1..16 bytes 4.9 ns, 64 bytes 7.9 ns, 4 KiB 175 ns. finalise(),
//         for comparison, 3.5 ns.
// Tried   One fold for integers (2.1 ns): flipping a low bit of sequential keys
//         then leaves some output bits alone in every case (A1: bias 0.50, here
//         at most 0.013, which is the noise of 40000 samples).
// Source  the block structure is Wang Yi's wyhash; keyed factors as in the analyses
//         that followed it.

#pragma once

#include "steady/core/detail/mix.hpp"
#include "steady/core/go_hash.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace steady {

/// Used when nobody gives a seed: good mixing, no defence against chosen keys.
inline constexpr std::uint64_t default_seed = 0x2d358dccaa6c78a5;

/// A bijection on 64 bits that mixes well: different integers stay different. For
/// spreading addresses and counters; hash_integer is better against chosen keys.
///
/// Source     Stafford's "Mix13", the finaliser of splitmix64.
[[nodiscard]] constexpr std::uint64_t finalise(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

[[nodiscard]] constexpr std::uint64_t hash_integer(std::uint64_t x,
                                                   std::uint64_t seed = default_seed) noexcept {
    const detail::product p = detail::multiply(x ^ seed, detail::m2);
    return detail::fold(p.low ^ detail::m3, p.high ^ seed ^ detail::m4);
}

/// Hashes size bytes at p. p may be nullptr when size is 0.
///
/// Threads    any.
[[nodiscard]] inline std::uint64_t hash_bytes(const void* p, std::size_t size,
                                              std::uint64_t seed = default_seed) noexcept {
    using namespace detail;
    const product expanded = multiply(seed ^ m1, m2);
    const std::uint64_t key_a = expanded.low ^ m3;
    const std::uint64_t key_b = expanded.high ^ seed;

    const auto* at = static_cast<const unsigned char*>(p);
    std::uint64_t first = 0, last = 0, state = key_b;
    if (size <= 16) {
        if (size >= 4) {
            // Four reads cover 4..16 bytes: two from each end, inner ones moved by
            // 0 bytes below a size of 8 and by 4 from there on.
            const std::size_t inner = (size >> 3) << 2;
            first = read4(at) << 32 | read4(at + inner);
            last = read4(at + size - 4) << 32 | read4(at + size - 4 - inner);
        } else if (size != 0) {
            first = std::uint64_t{at[0]} << 16 | std::uint64_t{at[size >> 1]} << 8 | at[size - 1];
        }
    } else {
        std::size_t left = size;
        if (left > 48) {
            const std::uint64_t key_c = key_a ^ (key_b << 32 | key_b >> 32);
            std::uint64_t lane1 = key_c, lane2 = key_a;
            for (; left > 48; left -= 48, at += 48) {
                state = fold(read8(at) ^ key_a, read8(at + 8) ^ state);
                lane1 = fold(read8(at + 16) ^ key_b, read8(at + 24) ^ lane1);
                lane2 = fold(read8(at + 32) ^ key_c, read8(at + 40) ^ lane2);
            }
            state ^= lane1 ^ lane2;
        }
        for (; left > 16; left -= 16, at += 16) {
            state = fold(read8(at) ^ key_a, read8(at + 8) ^ state);
        }
        first = read8(at + left - 16);
        last = read8(at + left - 8);
    }
    const product both = multiply(first ^ key_a, last ^ state);
    return fold(both.low ^ m4 ^ size, both.high ^ m5);
}

template <class T>
concept hashed_as_integer = sizeof(T) <= sizeof(std::uint64_t) &&
                            (std::integral<T> || std::is_enum_v<T>);

/// The default hash of steady's containers.
///
/// Each specialisation is called with a key, or with a key and a seed, never
/// throws, and is avalanching (A1): a container need not mix the result again.
template <class T>
struct hash {
    static_assert(sizeof(T) == 0,
                  "steady::hash<T> knows integers, enums, pointers and strings of char; specialise "
                  "it for T (hash_bytes and hash_integer help) or give the container a Hash");
};

template <hashed_as_integer T>
struct hash<T> {
    using is_avalanching = void;

    [[nodiscard]] constexpr std::size_t operator()(
        T key, std::uint64_t seed = default_seed) const noexcept {
        return hash_integer(static_cast<std::uint64_t>(key), seed);
    }
};

template <class T>
struct hash<T*> {
    using is_avalanching = void;

    /// The address, not what it points to.
    [[nodiscard]] std::size_t operator()(const T* key,
                                         std::uint64_t seed = default_seed) const noexcept {
        return hash_integer(reinterpret_cast<std::uintptr_t>(key), seed);
    }
};

/// Transparent: a map of std::string is searched with a literal or a string_view
/// without making a string.
template <>
struct hash<std::string_view> {
    using is_avalanching = void;
    using is_transparent = void;

    [[nodiscard]] std::size_t operator()(std::string_view key,
                                         std::uint64_t seed = default_seed) const noexcept {
        return hash_bytes(key.data(), key.size(), seed);
    }
};

template <class Allocator>
struct hash<std::basic_string<char, std::char_traits<char>, Allocator>> : hash<std::string_view> {};

}  // namespace steady
