// go_hash.hpp - the hash Go's maps use where the processor has no AES
// instructions, bit for bit (runtime/hash64.go, go1.19).
//
// Go draws hashkey at program start; here it is an argument, so that a run can be
// repeated. Note what steady's own hash does differently (hash.hpp): a word equal
// to m2 makes a product zero here whatever the seed is, and memhash64 gives every
// key one partner with the same hash.

#pragma once

#include "steady/core/detail/mix.hpp"

#include <cstddef>
#include <cstdint>

namespace steady::go {

/// Go's memhashFallback: the bytes p[0..size).
///
/// `hashkey` is hashkey[0] of the runtime, an odd number there.
/// Cost       two multiplications, and one for each further 16 bytes.
[[nodiscard]] inline std::uint64_t memhash_fallback(const void* p, std::uint64_t seed,
                                                    std::size_t size,
                                                    std::uint64_t hashkey) noexcept {
    using namespace detail;
    const auto* at = static_cast<const unsigned char*>(p);
    std::uint64_t a, b;
    seed ^= hashkey ^ m1;
    if (size == 0) return seed;
    if (size < 4) {
        a = at[0] | std::uint64_t{at[size >> 1]} << 8 | std::uint64_t{at[size - 1]} << 16;
        b = 0;
    } else if (size == 4) {
        a = b = read4(at);
    } else if (size < 8) {
        a = read4(at);
        b = read4(at + size - 4);
    } else if (size == 8) {
        a = b = read8(at);
    } else if (size <= 16) {
        a = read8(at);
        b = read8(at + size - 8);
    } else {
        std::size_t left = size;
        if (left > 48) {
            std::uint64_t seed1 = seed, seed2 = seed;
            for (; left > 48; left -= 48, at += 48) {
                seed = fold(read8(at) ^ m2, read8(at + 8) ^ seed);
                seed1 = fold(read8(at + 16) ^ m3, read8(at + 24) ^ seed1);
                seed2 = fold(read8(at + 32) ^ m4, read8(at + 40) ^ seed2);
            }
            seed ^= seed1 ^ seed2;
        }
        for (; left > 16; left -= 16, at += 16) {
            seed = fold(read8(at) ^ m2, read8(at + 8) ^ seed);
        }
        a = read8(at + left - 16);
        b = read8(at + left - 8);
    }
    return fold(m5 ^ size, fold(a ^ m2, b ^ seed));
}

/// Go's memhash32Fallback: a key of 4 bytes.
[[nodiscard]] constexpr std::uint64_t memhash32_fallback(std::uint32_t key, std::uint64_t seed,
                                                         std::uint64_t hashkey) noexcept {
    using namespace detail;
    return fold(m5 ^ 4, fold(key ^ m2, key ^ seed ^ hashkey ^ m1));
}

/// Go's memhash64Fallback: a key of 8 bytes.
[[nodiscard]] constexpr std::uint64_t memhash64_fallback(std::uint64_t key, std::uint64_t seed,
                                                         std::uint64_t hashkey) noexcept {
    using namespace detail;
    return fold(m5 ^ 8, fold(key ^ m2, key ^ seed ^ hashkey ^ m1));
}

}  // namespace steady::go
