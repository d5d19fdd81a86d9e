// hash.hpp - what go::map hashes and compares with when nobody says otherwise.
//
//   integers, enums, pointers, strings   steady::hash, seeded with the map's hash0
//   float, double, long double           by value: +0 and -0 are one key; a NaN is a
//                                        new key each time, for it equals nothing
//   structs without padding              their bytes, when they ask for it:
//                                        go::hash_as_bytes<point> = true
//
// Go draws a random hash for every NaN, so that a thousand of them do not share a
// bucket. So do we, from the thread's generator.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "steady/core/hash.hpp"
#include "steady/core/random.hpp"

namespace steady::go {

/// The random source of this thread's maps: seeds, where walks begin, the coins of
/// large maps. Give it a state to repeat a run: go::thread_random() = wyrand{1}.
///
/// Cost     one thread-local load. The first call of a thread asks the system.
[[nodiscard]] wyrand& thread_random() noexcept;

/// Set it to true for a type whose bytes decide whether two values are equal.
template <class T>
inline constexpr bool hash_as_bytes = false;

/// The default hash of go::map.
template <class K>
struct hash : steady::hash<K> {};

template <class K>
    requires hash_as_bytes<K>
struct hash<K> {
    static_assert(std::has_unique_object_representations_v<K>,
                  "steady::go::hash_as_bytes is for types without padding whose equal values have "
                  "equal bytes; give the map a Hash instead");
    using is_avalanching = void;
    [[nodiscard]] std::uint64_t operator()(const K& key, std::uint64_t seed) const noexcept {
        return hash_bytes(&key, sizeof key, seed);
    }
};

/// Transparent, as steady::hash. Strings of 8 to 16 bytes, the most common keys of all,
/// take half of its instructions: how many searches wait for memory side by side depends
/// on how many instructions there are between two of them.
template <>
struct hash<std::string_view> {
    using is_avalanching = void;
    using is_transparent = void;

    [[nodiscard]] std::uint64_t operator()(std::string_view key,
                                           std::uint64_t seed) const noexcept {
        using namespace steady::detail;
        const std::size_t size = key.size();
        if (size - 8 > 8) [[unlikely]]
            return hash_bytes(key.data(), size, seed);
        // Both factors depend on the seed (core/hash.hpp, A2).
        const auto* const at = reinterpret_cast<const unsigned char*>(key.data());
        const product both =
            multiply(read8(at) ^ seed * m2 ^ m1, read8(at + size - 8) ^ seed * m4 ^ m3);
        return fold(both.low ^ m4 ^ size, both.high ^ m5);
    }
};

template <class Allocator>
struct hash<std::basic_string<char, std::char_traits<char>, Allocator>> : hash<std::string_view> {};

template <std::floating_point K>
struct hash<K> {
    using is_avalanching = void;
    [[nodiscard]] std::uint64_t operator()(K key, std::uint64_t seed) const noexcept {
        if (key != key) return hash_integer(thread_random().fastrand64(), seed);
        // Every value of a long double that is no double shares a hash with one that
        // is: rare, and padding bytes stay out of it.
        const double number = static_cast<double>(key);
        return hash_integer(number == 0 ? 0 : std::bit_cast<std::uint64_t>(number), seed);
    }
};

/// The default equality of go::map: ==. Strings are equal at once when they are the
/// same characters at the same address, which spares a look at them.
struct equal_to {
    using is_transparent = void;

    template <class A, class B>
    [[nodiscard]] constexpr bool operator()(const A& a, const B& b) const
        noexcept(noexcept(a == b)) {
        return a == b;
    }
    [[nodiscard]] bool operator()(std::string_view a, std::string_view b) const noexcept {
        return a.size() == b.size() &&
               (a.data() == b.data() || same_bytes(a.data(), b.data(), a.size()));
    }
    [[nodiscard]] bool operator()(const std::string& a, const std::string& b) const noexcept {
        return (*this)(std::string_view{a}, std::string_view{b});
    }
    [[nodiscard]] bool operator()(const std::string& a, std::string_view b) const noexcept {
        return (*this)(std::string_view{a}, b);
    }
    [[nodiscard]] bool operator()(const std::string& a, const char* b) const noexcept {
        return (*this)(std::string_view{a}, std::string_view{b});
    }

private:
    /// Up to 32 bytes, four reads that may overlap; a call only above.
    static bool same_bytes(const char* a, const char* b, std::size_t n) noexcept {
        const auto* x = reinterpret_cast<const unsigned char*>(a);
        const auto* y = reinterpret_cast<const unsigned char*>(b);
        using steady::detail::read4;
        using steady::detail::read8;
        if (n > 32) return std::memcmp(a, b, n) == 0;
        if (n >= 16) {
            return ((read8(x) ^ read8(y)) | (read8(x + 8) ^ read8(y + 8)) |
                    (read8(x + n - 16) ^ read8(y + n - 16)) |
                    (read8(x + n - 8) ^ read8(y + n - 8))) == 0;
        }
        if (n >= 8) {
            return ((read8(x) ^ read8(y)) | (read8(x + n - 8) ^ read8(y + n - 8))) == 0;
        }
        if (n >= 4) return ((read4(x) ^ read4(y)) | (read4(x + n - 4) ^ read4(y + n - 4))) == 0;
        return n == 0 || (x[0] == y[0] && x[n / 2] == y[n / 2] && x[n - 1] == y[n - 1]);
    }
};

}  // namespace steady::go

#include "steady/go/detail/thread_random.hpp"
