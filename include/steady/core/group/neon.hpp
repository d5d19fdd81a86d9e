// neon.hpp - a group in a NEON register. NEON has no movemask; what it has is a
// narrowing shift, which packs a comparison of 16 bytes into 64 bits, four for each
// tag. A comparison of 8 bytes is 64 bits as it stands, eight for each tag. The
// stride of tag_mask takes both.
//
//   cmeq   00 ff 00 00 ff ...   (16 bytes)
//   shrn   0   f  0  0  f ...   (16 nibbles: each 16-bit lane >> 4, low byte kept)

#pragma once

#include "steady/core/group/mask.hpp"

#include <cstdint>
#include <type_traits>

#include <arm_neon.h>

namespace steady {

template <unsigned Tags>
class group_neon {
public:
    static constexpr unsigned tags = Tags;
    using mask = tag_mask<Tags, 64 / Tags>;

    /// Reads Tags bytes; no alignment needed.
    explicit group_neon(const std::uint8_t* from) noexcept {
        if constexpr (Tags == 16) {
            bytes_ = vld1q_u8(from);
        } else {
            bytes_ = vld1_u8(from);
        }
    }

    /// The tags equal to `tag`, among those in `only`.
    [[nodiscard]] mask match(std::uint8_t tag, mask only = mask::all()) const noexcept {
        return equal_to(tag) & only;
    }
    /// The same for a tag given four times in a word.
    [[nodiscard]] mask match_word(std::uint32_t four, mask only = mask::all()) const noexcept {
        return match(static_cast<std::uint8_t>(four), only);
    }
    [[nodiscard]] mask match_empty(mask only = mask::all()) const noexcept {
        return equal_to(0) & only;
    }
    [[nodiscard]] mask match_occupied(mask only = mask::all()) const noexcept {
        return only.without(equal_to(0));
    }

private:
    [[nodiscard]] mask equal_to(std::uint8_t tag) const noexcept {
        if constexpr (Tags == 16) {
            const uint8x16_t same = vceqq_u8(bytes_, vdupq_n_u8(tag));
            const uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8(same), 4);
            return mask{vget_lane_u64(vreinterpret_u64_u8(nibbles), 0)};
        } else {
            const uint8x8_t same = vceq_u8(bytes_, vdup_n_u8(tag));
            return mask{vget_lane_u64(vreinterpret_u64_u8(same), 0)};
        }
    }

    std::conditional_t<Tags == 16, uint8x16_t, uint8x8_t> bytes_;
};

static_assert(tag_group<group_neon<8>> && tag_group<group_neon<16>>);

}  // namespace steady
