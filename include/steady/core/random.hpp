// random.hpp - two small generators: the one Go's runtime draws from, and the one
// for seeds. Neither is for secrets.
//
//   wyrand      s += m1; high ^ low of s * (s ^ m2)      64 bits of state
//   splitmix64  s += 0x9e3779b97f4a7c15; finalise(s)     64 bits of state
//
// Both walk through all 2^64 states, so every seed, zero too, is as good as any
// other. splitmix64 gives every output once; use it to seed things that must
// differ. Both are standard generators (std::shuffle and <random> accept them).
//
// Source  wyrand: Wang Yi, wyhash; Go 1.19 runtime/stubs.go.
//         splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
//         generators", OOPSLA 2014.

#pragma once

#include "steady/core/detail/mix.hpp"

#include <cstdint>

namespace steady {

/// Go's generator, bit for bit: the same state gives the same draws.
class wyrand {
public:
    using result_type = std::uint64_t;

    constexpr explicit wyrand(std::uint64_t state = 0) noexcept : state_{state} {}

    /// Go's fastrand64.
    constexpr std::uint64_t fastrand64() noexcept {
        state_ += detail::m1;
        return detail::fold(state_, state_ ^ detail::m2);
    }

    /// Go's fastrand: the low half of the same draw.
    constexpr std::uint32_t fastrand() noexcept { return static_cast<std::uint32_t>(fastrand64()); }

    /// Go's fastrandn: 0..n-1 by a multiplication. Uneven by at most n / 2^32.
    constexpr std::uint32_t fastrandn(std::uint32_t n) noexcept {
        return static_cast<std::uint32_t>(static_cast<std::uint64_t>(fastrand()) * n >> 32);
    }

    constexpr result_type operator()() noexcept { return fastrand64(); }
    static constexpr result_type min() noexcept { return 0; }
    static constexpr result_type max() noexcept { return UINT64_MAX; }

    [[nodiscard]] constexpr std::uint64_t state() const noexcept { return state_; }

private:
    std::uint64_t state_;
};

/// A sequence of 2^64 different numbers, from any start.
class splitmix64 {
public:
    using result_type = std::uint64_t;

    constexpr explicit splitmix64(std::uint64_t seed = 0) noexcept : state_{seed} {}

    constexpr std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    constexpr result_type operator()() noexcept { return next(); }
    static constexpr result_type min() noexcept { return 0; }
    static constexpr result_type max() noexcept { return UINT64_MAX; }

    [[nodiscard]] constexpr std::uint64_t state() const noexcept { return state_; }

private:
    std::uint64_t state_;
};

}  // namespace steady
