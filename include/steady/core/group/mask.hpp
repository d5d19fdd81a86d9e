// mask.hpp - which tags of a group matched. Processors answer with one bit per tag
// (SSE2), four (NEON, 16 tags) or eight (NEON, 8 tags); the stride hides that, and
// the indices that come out are the same everywhere.
//
//   stride 1   bit  0 1 2 3 ...        stride 4   bit  0..3  4..7  8..11 ...
//              tag  0 1 2 3 ...                   tag   0     1     2    ...
//
// A mask has either all bits of a tag or none: each variant makes it so, and `&`,
// `|` and `without` keep it so.

#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace steady {

/// Zero bits below the lowest that is set; there must be one.
[[nodiscard, gnu::always_inline]] constexpr unsigned trailing_zeros(std::uint64_t word) noexcept {
    return static_cast<unsigned>(std::countr_zero(word));
}
[[nodiscard, gnu::always_inline]] constexpr unsigned trailing_zeros(std::uint32_t word) noexcept {
#if defined(__x86_64__) && !defined(STEADY_PORTABLE)
    // Compilers put a zeroing before this instruction and a sign extension behind it, one in four
    // instructions of a search. What is above the 32 bits does not matter: one of these is set.
    if (!std::is_constant_evaluated()) {
        std::uint64_t n;
        asm("rep bsf{q %q1, %0| %0, %q1}" : "=r"(n) : "r"(word) : "cc");
        if (n >= 32) __builtin_unreachable();
        return static_cast<unsigned>(n);
    }
#endif
    return static_cast<unsigned>(std::countr_zero(word));
}

template <unsigned Tags, unsigned Stride>
class tag_mask {
public:
    using word = std::conditional_t<(Tags * Stride > 32), std::uint64_t, std::uint32_t>;

    static constexpr word every_tag = static_cast<word>(~word{0}) >>
                                      (sizeof(word) * 8 - Tags * Stride);

    constexpr tag_mask() noexcept = default;
    constexpr explicit tag_mask(word raw) noexcept : raw_{raw} {}

    static constexpr tag_mask all() noexcept { return tag_mask{every_tag}; }

    /// The first n tags: what to look at when the rest of a group is not tags.
    static constexpr tag_mask first(unsigned n) noexcept {
        return n >= Tags ? all() : tag_mask{(word{1} << (n * Stride)) - 1};
    }

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return raw_ != 0; }
    [[nodiscard]] constexpr bool any() const noexcept { return raw_ != 0; }

    /// The index of the first match; there must be one.
    [[nodiscard]] constexpr unsigned lowest() const noexcept {
        return trailing_zeros(raw_) / Stride;
    }
    [[nodiscard]] constexpr unsigned count() const noexcept {
        return static_cast<unsigned>(std::popcount(raw_)) / Stride;
    }
    [[nodiscard]] constexpr bool has(unsigned tag) const noexcept {
        return (raw_ >> (tag * Stride) & 1) != 0;
    }
    /// Takes the first match out.
    constexpr tag_mask& drop_lowest() noexcept {
        if constexpr (Stride == 1) {
            raw_ &= raw_ - 1;
        } else {
            raw_ &= ~(((word{1} << Stride) - 1) << (lowest() * Stride));
        }
        return *this;
    }

    /// The tags from the n-th on, which becomes the first; n is less than Tags.
    [[nodiscard]] constexpr tag_mask from(unsigned n) const noexcept {
        return tag_mask{static_cast<word>(raw_ >> (n * Stride))};
    }

    /// One bit per tag, whatever the stride: for tests and for printing.
    [[nodiscard]] constexpr std::uint32_t bits() const noexcept {
        std::uint32_t out = 0;
        for (unsigned i = 0; i < Tags; ++i) out |= static_cast<std::uint32_t>(has(i)) << i;
        return out;
    }

    [[nodiscard]] constexpr tag_mask without(tag_mask other) const noexcept {
        return tag_mask{static_cast<word>(raw_ & ~other.raw_)};
    }
    friend constexpr tag_mask operator&(tag_mask a, tag_mask b) noexcept {
        return tag_mask{a.raw_ & b.raw_};
    }
    friend constexpr tag_mask operator|(tag_mask a, tag_mask b) noexcept {
        return tag_mask{a.raw_ | b.raw_};
    }
    friend constexpr bool operator==(tag_mask, tag_mask) noexcept = default;

    /// for (unsigned slot : group.match(tag)) ...
    class iterator {
    public:
        constexpr explicit iterator(tag_mask left) noexcept : left_{left} {}
        constexpr unsigned operator*() const noexcept { return left_.lowest(); }
        constexpr iterator& operator++() noexcept { return left_.drop_lowest(), *this; }
        friend constexpr bool operator==(iterator, iterator) noexcept = default;

    private:
        tag_mask left_;
    };
    [[nodiscard]] constexpr iterator begin() const noexcept { return iterator{*this}; }
    [[nodiscard]] constexpr iterator end() const noexcept { return iterator{tag_mask{}}; }

private:
    word raw_ = 0;
};

/// What a group can be asked. A tag of 0 means empty, so that fresh zero pages are
/// empty groups.
template <class Group>
concept tag_group = requires(const std::uint8_t* tags, const Group& g, typename Group::mask only) {
    Group{tags};
    requires Group::tags == 8 || Group::tags == 16;
    { g.match(std::uint8_t{}) }
    noexcept->std::same_as<typename Group::mask>;
    { g.match(std::uint8_t{}, only) }
    noexcept->std::same_as<typename Group::mask>;
    { g.match_empty(only) }
    noexcept->std::same_as<typename Group::mask>;
    { g.match_occupied(only) }
    noexcept->std::same_as<typename Group::mask>;
};

}  // namespace steady
