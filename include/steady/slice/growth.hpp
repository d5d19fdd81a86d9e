// growth.hpp - how large the array becomes when append needs more room than there
// is: Go's rule and its relatives, as types.
//
//   append needs `needed` elements, the array has room for `old`
//
//     policy::next(old, needed)        how many elements it would like
//            |
//     round_up_size(elements * size)   what the heap hands out for that: its size class,
//            |                         or whole pages of 8 KiB
//     bytes / size                     the new capacity: rounding is not wasted
//
// Go's rule since 1.18 (growth::go):
//
//     needed > 2 * old  -> needed
//     old < 256         -> 2 * old
//     otherwise         -> old += (old + 768) / 4, until it is enough
//
//   old      256     512     1000    4096    65536    1e6
//   factor   2.00    1.63    1.44    1.30    1.26     1.25     a smooth way from 2 to 1.25
//
// Invariants
//   GR1  The new capacity is at least `needed`.
//   GR2  Its bytes are what the heap occupies for them: capacity * size + rest, where
//        rest < size, is a size class or a multiple of 8 KiB (policies that round).
//   GR3  Nothing overflows silently: beyond 2^48 bytes `growslice: cap out of range`.
//
// Surprise  append is not monotonic. From 10^9 bytes, a need of 2 * 10^9 gives
//           2441412608 (the loop overshoots), a need of one more gives 2000003072.
// Source    Go 1.19 runtime/slice.go growslice, runtime/msize.go roundupsize.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "steady/heap/size_classes.gen.hpp"
#include "steady/slice/errors.hpp"

namespace steady::growth {

/// Go's limit for one allocation on 64-bit machines: the address space.
inline constexpr std::size_t max_alloc = std::size_t{1} << 48;

namespace detail {

// 2 * old below `threshold`, then steps of (old + extra) / 4. Unsigned arithmetic wraps
// where Go's wraps, and the wrapped value is negative: Go's "overflow: take what is needed".
constexpr std::ptrdiff_t step_up(std::ptrdiff_t old, std::ptrdiff_t needed,
                                 std::ptrdiff_t threshold, std::uint64_t extra) noexcept {
    const auto twice = static_cast<std::ptrdiff_t>(2 * static_cast<std::uint64_t>(old));
    if (needed > twice) return needed;
    if (old < threshold) return twice;
    std::ptrdiff_t cap = old;
    while (0 < cap && cap < needed) {
        const auto wide = static_cast<std::uint64_t>(cap);
        cap = static_cast<std::ptrdiff_t>(wide + (wide + extra) / 4);
    }
    return cap <= 0 ? needed : cap;
}

}  // namespace detail

/// Go 1.18 and later. The default.
struct go {
    static constexpr bool rounds = true;
    static constexpr std::ptrdiff_t next(std::ptrdiff_t old, std::ptrdiff_t needed) noexcept {
        return detail::step_up(old, needed, 256, 3 * 256);
    }
};

/// Go up to 1.17: twice below 1024 elements, 1.25 times from there.
struct go117 {
    static constexpr bool rounds = true;
    static constexpr std::ptrdiff_t next(std::ptrdiff_t old, std::ptrdiff_t needed) noexcept {
        return detail::step_up(old, needed, 1024, 0);
    }
};

/// Twice, always, as std::vector does in libstdc++; what the heap rounds up is used.
struct doubling {
    static constexpr bool rounds = true;
    static constexpr std::ptrdiff_t next(std::ptrdiff_t old, std::ptrdiff_t needed) noexcept {
        const auto twice = static_cast<std::ptrdiff_t>(2 * static_cast<std::uint64_t>(old));
        return twice < needed ? needed : twice;
    }
};

/// What is needed and nothing more: for arrays whose final size is known piece by piece.
/// Appending one by one costs quadratic time, unless the array can grow in place.
struct exact {
    static constexpr bool rounds = false;
    static constexpr std::ptrdiff_t next(std::ptrdiff_t, std::ptrdiff_t needed) noexcept {
        return needed;
    }
};

/// A named rule: how many elements the array would like to hold next, and whether the
/// memory that the heap rounds up becomes capacity.
template <class Policy>
concept policy = requires(std::ptrdiff_t n) {
    { Policy::next(n, n) }
    noexcept->std::same_as<std::ptrdiff_t>;
    { Policy::rounds } -> std::convertible_to<bool>;
};

/// The bytes the heap occupies for a request of `size` bytes aligned to `alignment`.
///
/// Returns    Go's roundupsize for alignments up to 8. Objects are aligned as their size
///            is divisible, so a larger alignment takes the next class that it divides.
/// Cost       two table loads; for alignments above 8 a walk over the classes.
/// Threads    any.
[[nodiscard]] constexpr std::size_t round_up_size(std::size_t size,
                                                  std::size_t alignment = 8) noexcept {
    constexpr std::size_t largest_small = 32768, page = 8192;
    if (size <= largest_small && alignment <= page) {
        if (alignment <= 8) {
            return class_size[size <= 1024 ? size_to_class8[(size + 7) >> 3]
                                           : size_to_class128[(size - 1024 + 127) >> 7]];
        }
        for (const auto candidate : class_size) {
            if (candidate != 0 && candidate >= size && candidate % alignment == 0) return candidate;
        }
    }
    if (size + page < size) return size;
    return (size + page - 1) & ~(page - 1);
}

/// What an array becomes.
struct room {
    std::ptrdiff_t cap;  // elements
    std::size_t bytes;   // to ask the heap for
};

/// The room for `needed` elements of `size` bytes in the place of an array that holds
/// `old_cap`. The element type matters through its size and alignment only, so the size
/// may be known at run time. Elements of size 0 need no memory: cap = needed.
///
/// Returns    GR1, GR2.
/// Cost       O(1) but for the 1.25 steps: one for each quarter that `needed` is above.
/// Throws     size_error "growslice: cap out of range" beyond 2^48 bytes, and when `needed`
///            is below old_cap, as it is when a length has overflowed.
/// Threads    any.
/// Source     growslice, Go 1.19.
template <policy Policy = go>
[[nodiscard]] constexpr room capacity(std::size_t size, std::ptrdiff_t old_cap,
                                      std::ptrdiff_t needed, std::size_t alignment = 8) {
    if (needed < old_cap) steady::detail::throw_growslice();
    if (size == 0) return {needed, 0};
    const auto wanted = static_cast<std::size_t>(Policy::next(old_cap, needed));
    std::size_t bytes = 0;
    const bool overflow = __builtin_mul_overflow(wanted, size, &bytes);
    if constexpr (Policy::rounds) bytes = round_up_size(bytes, alignment);
    if (overflow || bytes > max_alloc) steady::detail::throw_growslice();
    return {static_cast<std::ptrdiff_t>(bytes / size), bytes};
}

}  // namespace steady::growth
