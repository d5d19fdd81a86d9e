// page_marks.hpp - sets of chunks of which the highest member is found in four
// loads, however large the heap: the scavenger works from the top downwards and
// must not walk a terabyte of bits under the lock.
//
//   summit   one word here        bit h: top word h has a bit         (64 x 16 GiB)
//   top      64 words, header     bit g: group g has a marked chunk   (64 x 256 MiB)
//   notes    a word a group       bit c: chunk c is marked            (64 x 4 MiB)
//
// Invariants
//   M1  A bit above is set exactly when some bit below it is.
//
// A mark is a hint that errs to one side: freeing pages sets it, allocating them
// leaves it, and the scavenger clears it when it comes by and finds nothing. So
// the paths that programs wait for only ever test one bit.
//
// Cost    set: one load and test when already set. highest: 4 loads.

#ifndef STEADY_HEAP_DETAIL_PAGE_MARKS_HPP
#define STEADY_HEAP_DETAIL_PAGE_MARKS_HPP

#include <bit>
#include <cstdint>

#include <steady/heap/detail/page_tables.hpp>

namespace steady::detail {

class page_marks {
public:
    constexpr page_marks() noexcept = default;

    void set(const page_tables& tables, mark kind, unsigned chunk) noexcept {
        const unsigned k = static_cast<unsigned>(kind), group = chunk / group_chunks;
        std::uint64_t& bits = tables.notes(group).marked[k];
        const std::uint64_t bit = std::uint64_t{1} << (chunk % group_chunks);
        if ((bits & bit) != 0) return;
        bits |= bit;
        tables.header().top[k][group / 64] |= std::uint64_t{1} << (group % 64);
        summit_[k] |= std::uint64_t{1} << (group / 64);
    }

    void clear(const page_tables& tables, mark kind, unsigned chunk) noexcept {
        const unsigned k = static_cast<unsigned>(kind), group = chunk / group_chunks;
        std::uint64_t& bits = tables.notes(group).marked[k];
        bits &= ~(std::uint64_t{1} << (chunk % group_chunks));
        if (bits != 0) return;
        std::uint64_t& top = tables.header().top[k][group / 64];
        top &= ~(std::uint64_t{1} << (group % 64));
        if (top == 0) summit_[k] &= ~(std::uint64_t{1} << (group / 64));
    }

    [[nodiscard]] bool test(const page_tables& tables, mark kind, unsigned chunk) const noexcept {
        return (tables.notes(chunk / group_chunks).marked[static_cast<unsigned>(kind)] >>
                    (chunk % group_chunks) &
                1) != 0;
    }

    /// The highest marked chunk below `limit`; no_page when there is none.
    [[nodiscard]] unsigned highest(const page_tables& tables, mark kind,
                                   unsigned limit) const noexcept {
        const unsigned k = static_cast<unsigned>(kind);
        if (limit == 0 || summit_[k] == 0) return no_page;
        unsigned group = (limit - 1) / group_chunks;
        std::uint64_t bits = tables.notes(group).marked[k] & up_to((limit - 1) % group_chunks);
        if (bits != 0) return group * group_chunks + highest_bit(bits);
        unsigned word = group / 64;
        bits = tables.header().top[k][word] & below(group % 64);
        if (bits == 0) {
            bits = summit_[k] & below(word);
            if (bits == 0) return no_page;
            word = highest_bit(bits);
            bits = tables.header().top[k][word];
        }
        group = word * 64 + highest_bit(bits);
        return group * group_chunks + highest_bit(tables.notes(group).marked[k]);
    }

    /// M1, for the groups [0, groups).
    [[nodiscard]] bool check(const page_tables& tables, unsigned groups) const noexcept {
        for (unsigned k = 0; k < mark_kinds; ++k) {
            for (unsigned word = 0; word < 64; ++word) {
                std::uint64_t expected = 0;
                for (unsigned bit = 0; bit < 64 && word * 64 + bit < groups; ++bit) {
                    const bool some = tables.notes(word * 64 + bit).marked[k] != 0;
                    expected |= std::uint64_t{some} << bit;
                }
                if (tables.header().top[k][word] != expected) return false;
                if ((summit_[k] >> word & 1) != (expected != 0)) return false;
            }
        }
        return true;
    }

private:
    static constexpr std::uint64_t up_to(unsigned bit) noexcept {
        return ~std::uint64_t{0} >> (63 - bit);
    }
    static constexpr std::uint64_t below(unsigned bit) noexcept {
        return (std::uint64_t{1} << bit) - 1;
    }
    static constexpr unsigned highest_bit(std::uint64_t bits) noexcept {
        return 63 - static_cast<unsigned>(std::countl_zero(bits));
    }

    std::uint64_t summit_[mark_kinds] = {};
};

}  // namespace steady::detail

#endif
