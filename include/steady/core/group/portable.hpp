// portable.hpp - a group in plain C++, eight tags to a word. This is the
// specification: the other variants are tested against it, tag by tag.
//
// Which bytes of x are zero? For each byte, (b & 0x7f) + 0x7f reaches 0x80 exactly
// when one of the low seven bits is set, and never carries into the next byte:
//
//   zero(x) = ~(((x & 7f..7f) + 7f..7f) | x | 7f..7f)      0x80 in each zero byte
//
// Tried   (x - 01..01) & ~x & 80..80, two operations less: it also reports a 1 that
//         stands above a zero, so its bits differ from the other variants'.

#pragma once

#include "steady/core/group/mask.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace steady {

static_assert(std::endian::native == std::endian::little, "tag 0 is the lowest byte of its word");

template <unsigned Tags>
class group_portable {
public:
    static constexpr unsigned tags = Tags;
    using mask = tag_mask<Tags, 1>;

    /// Reads Tags bytes; no alignment needed.
    explicit group_portable(const std::uint8_t* from) noexcept {
        std::memcpy(words_, from, sizeof words_);
    }

    /// The tags equal to `tag`, among those in `only`.
    [[nodiscard]] mask match(std::uint8_t tag, mask only = mask::all()) const noexcept {
        return zero_bytes(every_byte * tag) & only;
    }
    /// The same for a tag given four times in a word.
    [[nodiscard]] mask match_word(std::uint32_t four, mask only = mask::all()) const noexcept {
        return match(static_cast<std::uint8_t>(four), only);
    }
    [[nodiscard]] mask match_empty(mask only = mask::all()) const noexcept {
        return zero_bytes(0) & only;
    }
    [[nodiscard]] mask match_occupied(mask only = mask::all()) const noexcept {
        return only.without(zero_bytes(0));
    }

private:
    static constexpr std::uint64_t every_byte = 0x0101010101010101;
    static constexpr std::uint64_t low_seven = 0x7f * every_byte;

    /// The bytes that become zero when `flip` is applied to each word.
    [[nodiscard]] mask zero_bytes(std::uint64_t flip) const noexcept {
        std::uint32_t found = 0;
        for (unsigned i = 0; i < Tags / 8; ++i) {
            const std::uint64_t x = words_[i] ^ flip;
            const std::uint64_t zero = ~(((x & low_seven) + low_seven) | x | low_seven);
            // Bit 7 of byte k moves to bit 56 + k: one addend of the product each.
            const std::uint64_t gathered = (zero >> 7) * 0x0102040810204080 >> 56;
            found |= static_cast<std::uint32_t>(gathered) << (8 * i);
        }
        return mask{found};
    }

    std::uint64_t words_[Tags / 8];
};

static_assert(tag_group<group_portable<8>> && tag_group<group_portable<16>>);

}  // namespace steady
