// sse2.hpp - a group in one SSE2 register: compare all tags, take a bit of each.
// Every x86-64 has these instructions. Eight tags use half of the register; the
// other half is zero, which match_empty must not report.

#pragma once

#include "steady/core/group/mask.hpp"

#include <cstdint>

#include <emmintrin.h>

namespace steady {

template <unsigned Tags>
class group_sse2 {
public:
    static constexpr unsigned tags = Tags;
    using mask = tag_mask<Tags, 1>;

    /// Reads Tags bytes; no alignment needed.
    explicit group_sse2(const std::uint8_t* from) noexcept {
        const auto* at = reinterpret_cast<const __m128i*>(from);
        if constexpr (Tags == 16) {
            bytes_ = _mm_loadu_si128(at);
        } else {
            bytes_ = _mm_loadl_epi64(at);
        }
    }

    /// The tags equal to `tag`, among those in `only`.
    [[nodiscard]] mask match(std::uint8_t tag, mask only = mask::all()) const noexcept {
        return equal_to(_mm_set1_epi8(static_cast<char>(tag))) & only;
    }
    /// The same for a tag given four times in a word: one instruction spreads it.
    [[nodiscard]] mask match_word(std::uint32_t four, mask only = mask::all()) const noexcept {
        return equal_to(_mm_set1_epi32(static_cast<int>(four))) & only;
    }
    [[nodiscard]] mask match_empty(mask only = mask::all()) const noexcept {
        return equal_to(_mm_setzero_si128()) & only;
    }
    [[nodiscard]] mask match_occupied(mask only = mask::all()) const noexcept {
        return only.without(equal_to(_mm_setzero_si128()));
    }

private:
    [[nodiscard]] mask equal_to(__m128i wanted) const noexcept {
        const int found = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes_, wanted));
        return mask{static_cast<std::uint32_t>(found) & mask::every_tag};
    }

    __m128i bytes_;
};

static_assert(tag_group<group_sse2<8>> && tag_group<group_sse2<16>>);

}  // namespace steady
