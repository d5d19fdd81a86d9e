// page_bits.hpp - one bit for each of the 512 pages of a chunk, and the searches
// on them: the lowest run of n ones, the longest run, the highest run.
//
// Terms   chunk: 512 pages, 4 MiB, the piece by which a page heap grows.
//         run: consecutive ones. In the map `free` a run is room for a span, in
//         `free & resident` it is memory that can be given back.
//
//   page   0      63 64                          448    511
//          | word 0 | word 1 | ... | word 6 | word 7      |    bit b of word w is page 64 w + b
//
// How runs of a length are found in one word without looking at every bit:
// ANDing a word with itself shifted keeps the bits whose neighbours are set too.
//
//   word            0 1 1 1 1 0 1 1        bit 0 on the right
//   starts of >= 2  0 0 1 1 1 0 0 1        word & word >> 1
//   starts of >= 4  0 0 0 0 1 0 0 0        that & that >> 2: doubling, so 6 steps reach 64
//
// Runs cross words, so a search carries the ones that end at the top of the
// word before. It does not cross chunks: that is the summaries' work.
//
// Cost    a chunk is one cache line. Searches read it once, 5..20 ns.

#ifndef STEADY_HEAP_DETAIL_PAGE_BITS_HPP
#define STEADY_HEAP_DETAIL_PAGE_BITS_HPP

#include <bit>
#include <cstdint>

namespace steady::detail {

inline constexpr unsigned chunk_pages = 512;
inline constexpr unsigned word_pages = 64;
inline constexpr unsigned chunk_words = chunk_pages / word_pages;
inline constexpr unsigned no_page = ~0u;  // "there is none", for page and chunk numbers alike

/// `count` ones from bit `from` upwards; 1 <= count, from + count <= 64.
[[nodiscard]] constexpr std::uint64_t ones(unsigned from, unsigned count) noexcept {
    return (~std::uint64_t{0} >> (word_pages - count)) << from;
}

/// The bits at which a run of at least n ones starts; 1 <= n <= 64.
[[nodiscard]] constexpr std::uint64_t run_starts(std::uint64_t word, unsigned n) noexcept {
    for (unsigned length = 1; length < n;) {
        const unsigned step = length < n - length ? length : n - length;
        word &= word >> step;
        length += step;
    }
    return word;
}

static_assert(run_starts(0b01111011, 2) == 0b00111001, "the picture above, second row");
static_assert(run_starts(0b01111011, 4) == 0b00001000, "the picture above, third row");
static_assert(run_starts(~std::uint64_t{0}, 64) == 1, "a full word holds one run of 64");

/// A run inside a chunk; count 0 means none.
struct bit_run {
    unsigned first = 0;
    unsigned count = 0;
};

/// Lengths of the runs of a chunk: at its start, the longest, and at its end.
struct run_lengths {
    unsigned start;
    unsigned longest;
    unsigned end;
};

struct alignas(64) page_bits {
    std::uint64_t word[chunk_words];

    /// Calls visit(word number, mask) for each word that [first, first + count) meets.
    template <class Visit>
    static constexpr void for_each_word(unsigned first, unsigned count, Visit visit) noexcept {
        for (unsigned w = first / word_pages, bit = first % word_pages; count != 0; ++w, bit = 0) {
            const unsigned here = count < word_pages - bit ? count : word_pages - bit;
            visit(w, ones(bit, here));
            count -= here;
        }
    }

    constexpr void fill() noexcept {
        for (std::uint64_t& w : word) w = ~std::uint64_t{0};
    }

    [[nodiscard]] constexpr bool test(unsigned page) const noexcept {
        return (word[page / word_pages] >> (page % word_pages) & 1) != 0;
    }

    [[nodiscard]] constexpr bool all(unsigned first, unsigned count) const noexcept {
        bool every = true;
        for_each_word(first, count,
                      [&](unsigned w, std::uint64_t mask) { every &= (word[w] & mask) == mask; });
        return every;
    }

    [[nodiscard]] constexpr bool any(unsigned first, unsigned count) const noexcept {
        bool some = false;
        for_each_word(first, count,
                      [&](unsigned w, std::uint64_t mask) { some |= (word[w] & mask) != 0; });
        return some;
    }

    [[nodiscard]] constexpr unsigned count_ones() const noexcept {
        unsigned sum = 0;
        for (const std::uint64_t w : word) sum += static_cast<unsigned>(std::popcount(w));
        return sum;
    }

    /// The lowest start of n consecutive ones at or above `from`.
    ///
    /// Returns    chunk_pages when there is none.
    [[nodiscard]] constexpr unsigned find_run(unsigned n, unsigned from = 0) const noexcept {
        unsigned carry = 0;  // ones that reach up to the word being looked at
        for (unsigned w = from / word_pages; w < chunk_words; ++w) {
            std::uint64_t bits = word[w];
            if (w == from / word_pages) bits &= ~std::uint64_t{0} << (from % word_pages);
            if (bits == 0) {
                carry = 0;
                continue;
            }
            if (carry + static_cast<unsigned>(std::countr_one(bits)) >= n) {
                return w * word_pages - carry;
            }
            if (bits == ~std::uint64_t{0}) {
                carry += word_pages;
                continue;
            }
            if (n <= word_pages) {
                const std::uint64_t starts = run_starts(bits, n);
                if (starts != 0) {
                    return w * word_pages + static_cast<unsigned>(std::countr_zero(starts));
                }
            }
            carry = static_cast<unsigned>(std::countl_one(bits));
        }
        return chunk_pages;
    }

    /// The run that ends at the top of the chunk, counting nothing below `from`.
    [[nodiscard]] constexpr unsigned run_at_end(unsigned from = 0) const noexcept {
        unsigned length = 0;
        for (unsigned w = chunk_words; w-- > 0;) {
            const auto here = static_cast<unsigned>(std::countl_one(word[w]));
            length += here;
            if (here < word_pages) break;
        }
        return length < chunk_pages - from ? length : chunk_pages - from;
    }

    [[nodiscard]] constexpr run_lengths lengths() const noexcept {
        run_lengths r{0, 0, 0};
        bool from_start = true;
        for (const std::uint64_t bits : word) {
            if (bits == ~std::uint64_t{0}) {
                r.end += word_pages;
                continue;
            }
            r.end += static_cast<unsigned>(std::countr_one(bits));
            if (from_start) r.start = r.end;
            from_start = false;
            if (r.end > r.longest) r.longest = r.end;
            r.end = static_cast<unsigned>(std::countl_one(bits));
            // A run inside the word matters only when it beats the longest so far.
            // Runs of n + 1 start where runs of n start twice in a row.
            std::uint64_t starts = r.longest < word_pages ? run_starts(bits, r.longest + 1) : 0;
            for (; starts != 0; starts &= starts >> 1) ++r.longest;
        }
        if (from_start) r.start = r.end;
        if (r.end > r.longest) r.longest = r.end;
        return r;
    }

    /// The highest whole run of at least `least` ones inside [from, to). Both ends of
    /// what is found are multiples of `grain`, a power of two that divides 64.
    [[nodiscard]] constexpr bit_run highest_run(unsigned from, unsigned to, unsigned least,
                                                unsigned grain) const noexcept {
        for (unsigned end = to; end > from;) {
            if (!test(end - 1)) {
                const std::uint64_t below =
                    word[(end - 1) / word_pages] & ones(0, (end - 1) % word_pages + 1);
                end =
                    (end - 1) / word_pages * word_pages +
                    (below == 0 ? 0 : word_pages - static_cast<unsigned>(std::countl_zero(below)));
                continue;
            }
            unsigned first = end - 1;
            while (first > from && test(first - 1)) {
                // Whole words at a time where the run is long.
                const bool word_below = first % word_pages == 0 && first - from >= word_pages &&
                                        word[first / word_pages - 1] == ~std::uint64_t{0};
                first -= word_below ? word_pages : 1;
            }
            const unsigned low = (first + grain - 1) & ~(grain - 1), high = end & ~(grain - 1);
            if (high > low && high - low >= least) return {low, high - low};
            end = first;
        }
        return {};
    }
};

static_assert(sizeof(page_bits) == 64, "one cache line holds the bits of one chunk");

}  // namespace steady::detail

#endif
