// huge_cache.hpp - freed huge blocks whose pages are still in memory, found again
// by size. malloc and free of 8 MiB in a loop then costs no page fault.
//
// Terms   need: bytes asked for.   resident: bytes of a cached block with pages.
//         bin: cached blocks whose resident bytes agree in the four leading bits.
//
//   resident  8 MiB      9        10        11   ...   15      16       18      20 MiB
//   bins       | b       | b+1     | b+2     |    ...  | b+7   | b+8    | b+9   |
//
//   For need = 10 MiB:   b+2 upwards, to 4 * need:   a block that holds it all; what
//                        is left over stays with it as idle bytes
//                        then b+1 downwards, to need / 2:   the resident part is used,
//                        the rest comes fresh
//
// Invariants (check() tests each one)
//   HC1  A block is in the bin of its resident bytes; whoever changes them takes it
//       out before and puts it back after.
//   HC2  A bin's bit is set exactly when the bin holds a block.
//
// Cost    at most `looks` blocks per bin, and a bit search over the bins: constant.
// Why     four times and one half: a fault costs ten times what giving a page back
//         costs, so taking a block that is too large beats fresh pages as long as
//         most of what is returned was not going to be used anyway.
#pragma once

#include "steady/heap/detail/huge_block.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace steady::detail {

class huge_cache {
public:
    void insert(huge_block* block) noexcept {
        const std::size_t bin = bin_of(block->ready);
        bins_[bin].push_back(block);
        occupied_[bin / 64] |= std::uint64_t{1} << (bin % 64);
        ++count_;
    }

    void remove(huge_block* block) noexcept {
        const std::size_t bin = bin_of(block->ready);
        bins_[bin].remove(block);
        if (bins_[bin].first() == nullptr) occupied_[bin / 64] &= ~(std::uint64_t{1} << (bin % 64));
        --count_;
    }

    /// The cached block that serves `need` bytes best; it stays in the cache.
    ///
    /// most_room  slots larger than this are too good for the purpose.
    /// Returns    nullptr when none is close enough in size, lies on a multiple of
    ///            `alignment` and has the room.
    [[nodiscard]] huge_block* find(std::size_t need, std::size_t alignment,
                                   std::size_t most_room) const noexcept {
        huge_block* found = nullptr;
        const std::size_t home = bin_of(need);
        const auto try_bin = [&](std::size_t bin) {
            huge_block* block = bins_[bin].last();  // the most recently freed: warm
            for (unsigned look = 0; block != nullptr && look < looks; ++look) {
                if (block->slot_size <= most_room && serves(block, need, alignment) &&
                    closer(block, found, need))
                    found = block;
                block = block->previous;
            }
            return found != nullptr && found->ready >= need;
        };
        for (std::size_t bin = first_from(home); bin <= home + bins_per_doubling * 2;
             bin = first_from(bin + 1)) {
            if (try_bin(bin)) return found;
        }
        const std::size_t lowest = home > bins_per_doubling ? home - bins_per_doubling : 0;
        for (std::size_t bin = home; found == nullptr && bin-- > lowest;) {
            if (occupied(bin)) try_bin(bin);
        }
        return found;
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    template <class Visit>
    void for_each(Visit&& visit) const noexcept {
        for (const huge_list& bin : bins_) {
            for (huge_block* b = bin.first(); b != nullptr; b = b->next) visit(*b);
        }
    }

    /// Returns    nullptr, or the text of the broken invariant.
    [[nodiscard]] const char* check() const noexcept {
        std::size_t seen = 0;
        for (std::size_t bin = 0; bin < bin_count; ++bin) {
            if (occupied(bin) != (bins_[bin].first() != nullptr)) {
                return "HC2 a bin's bit differs from the bin";
            }
            for (huge_block* b = bins_[bin].first(); b != nullptr; b = b->next, ++seen) {
                if (bin_of(b->ready) != bin) return "HC1 a cached block is in the wrong bin";
                if (b->is != huge_block::state::cached) return "HC1 a bin holds a block in use";
            }
        }
        return seen == count_ ? nullptr : "HC1 the bins hold more or fewer blocks than counted";
    }

private:
    static constexpr std::size_t bins_per_doubling = 8;
    static constexpr std::size_t smallest_shift = 12;  // an OS page is 4 KiB or more
    static constexpr std::size_t bin_count = 320;      // up to 2^52 bytes, whole words of bits
    static constexpr unsigned looks = 8;

    [[nodiscard]] static std::size_t bin_of(std::size_t resident) noexcept {
        const std::size_t shift = static_cast<std::size_t>(std::bit_width(resident)) - 1;
        const std::size_t step = (resident >> (shift - 3)) & (bins_per_doubling - 1);
        return (shift - smallest_shift) * bins_per_doubling + step;
    }

    // A block that is being decommitted at its end may be taken, but not extended.
    [[nodiscard]] static bool serves(const huge_block* block, std::size_t need,
                                     std::size_t alignment) noexcept {
        const auto base =
            reinterpret_cast<std::uintptr_t>(block->base.load(std::memory_order_relaxed));
        return (base & (alignment - 1)) == 0 && block->slot_size >= need &&
               (block->ready >= need || (!block->releasing && block->ready >= need / 2));
    }

    [[nodiscard]] static bool closer(const huge_block* block, const huge_block* than,
                                     std::size_t need) noexcept {
        if (than == nullptr) return true;
        const bool holds = block->ready >= need, other_holds = than->ready >= need;
        if (holds != other_holds) return holds;
        return holds ? block->ready < than->ready : block->ready > than->ready;
    }

    [[nodiscard]] bool occupied(std::size_t bin) const noexcept {
        return (occupied_[bin / 64] >> (bin % 64) & 1) != 0;
    }

    /// The first bin from `bin` on that holds a block; bin_count or more when none.
    [[nodiscard]] std::size_t first_from(std::size_t bin) const noexcept {
        for (std::size_t word = bin / 64; word < bin_count / 64; ++word) {
            std::uint64_t bits = occupied_[word];
            if (word == bin / 64) bits &= ~std::uint64_t{0} << (bin % 64);
            if (bits != 0) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
        }
        return bin_count;
    }

    huge_list bins_[bin_count];
    std::uint64_t occupied_[bin_count / 64] = {};
    std::size_t count_ = 0;
};

}  // namespace steady::detail
