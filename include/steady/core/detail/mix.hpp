// mix.hpp - the multiplication all of steady's random numbers and hashes are made
// of: 64 x 64 -> 128 bits, the two halves folded onto each other. Every input bit
// reaches the middle of the product, and folding brings the middle to both ends.

#pragma once

#include <cstdint>
#include <cstring>

namespace steady::detail {

__extension__ using wide = unsigned __int128;

struct product {
    std::uint64_t low, high;
};

[[nodiscard]] constexpr product multiply(std::uint64_t a, std::uint64_t b) noexcept {
    const wide p = static_cast<wide>(a) * b;
    return {static_cast<std::uint64_t>(p), static_cast<std::uint64_t>(p >> 64)};
}

/// high ^ low of the product: Go's mix.
[[nodiscard]] constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
    const product p = multiply(a, b);
    return p.low ^ p.high;
}

// Reads of unaligned memory; memcpy of a constant size is one load.
[[nodiscard]] inline std::uint64_t read8(const unsigned char* p) noexcept {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
[[nodiscard]] inline std::uint64_t read4(const unsigned char* p) noexcept {
    std::uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

// wyhash's constants: odd, 32 bits set each, pairwise differing in 32 bits. Go
// calls them m1 to m5.
inline constexpr std::uint64_t m1 = 0xa0761d6478bd642f;
inline constexpr std::uint64_t m2 = 0xe7037ed1a0b428db;
inline constexpr std::uint64_t m3 = 0x8ebc6af09c88c6e3;
inline constexpr std::uint64_t m4 = 0x589965cc75374cc3;
inline constexpr std::uint64_t m5 = 0x1d8e4e27c47d124f;

}  // namespace steady::detail
