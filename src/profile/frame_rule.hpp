// frame_rule.hpp - how to get from one frame to its caller, in one word, and the
// reader of .eh_frame that makes it. The layout is drawn in unwind.hpp.
#pragma once

#include <cstdint>

namespace steady::profile::detail {

struct frame_rule {
    enum kind_of_rule : unsigned {
        unknown,        // the walk ends here
        from_sp,        // CFA = rsp + offset
        from_bp,        // CFA = rbp + offset
        at_bp,          // CFA = *(rbp + offset): functions that align their stack
        signal,         // the kernel has saved all registers above
        frame_pointer,  // no description: believe rbp
    };
    enum kind_of_bp : unsigned { bp_unchanged, bp_from_cfa, bp_from_bp };

    std::uint64_t bits = 0;

    static constexpr int offset_bits = 20, bp_bits = 14, check_bits = 25;

    [[nodiscard]] constexpr kind_of_rule kind() const noexcept {
        return static_cast<kind_of_rule>(bits & 7);
    }
    /// In bytes; a multiple of 8.
    [[nodiscard]] constexpr std::int64_t offset() const noexcept {
        return (static_cast<std::int64_t>(bits << 41) >> 44) * 8;
    }
    [[nodiscard]] constexpr kind_of_bp bp_kind() const noexcept {
        return static_cast<kind_of_bp>(bits >> 23 & 3);
    }
    [[nodiscard]] constexpr std::int64_t bp_offset() const noexcept {
        return (static_cast<std::int64_t>(bits << 25) >> 50) * 8;
    }
    [[nodiscard]] constexpr std::uint64_t check() const noexcept { return bits >> 39; }
    [[nodiscard]] static constexpr std::uint64_t check_of(std::uint64_t hash) noexcept {
        return hash >> 20 & ((1u << check_bits) - 1);
    }

    /// False when an offset does not fit: the rule is then unknown.
    constexpr bool set(kind_of_rule k, std::int64_t off, kind_of_bp bp,
                       std::int64_t bp_off) noexcept {
        bits = 0;
        const auto fits = [](std::int64_t v, int n) {
            return v % 8 == 0 && v / 8 < (1 << (n - 1)) && v / 8 >= -(1 << (n - 1));
        };
        if (!fits(off, offset_bits) || !fits(bp_off, bp_bits)) return false;
        bits = k | (static_cast<std::uint64_t>(off / 8) & ((1u << offset_bits) - 1)) << 3 |
               static_cast<std::uint64_t>(bp) << 23 |
               (static_cast<std::uint64_t>(bp_off / 8) & ((1u << bp_bits) - 1)) << 25;
        return true;
    }
    constexpr void set_check(std::uint64_t check) noexcept {
        bits = (bits & ((std::uint64_t{1} << 39) - 1)) | check << 39;
    }
};

/// What .eh_frame says about `pc`. Reads mapped tables only: no lock, no allocation.
[[nodiscard]] frame_rule read_frame_rule(std::uintptr_t pc) noexcept;

}  // namespace steady::profile::detail
