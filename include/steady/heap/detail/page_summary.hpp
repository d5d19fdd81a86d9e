// page_summary.hpp - what a search must know about a stretch of pages without
// reading its bits: the free run at its start, the longest inside, and the free
// run at its end.
//
//   pages     . . F F F . F . . F F      F: free
//             start = 0, max = 3, end = 2
//
// Two neighbours tell together whether a run crosses their border: the end of
// the left one plus the start of the right one. So eight summaries fold into one
// for the stretch that holds all eight, and five levels cover 1 TiB:
//
//   level 0   16 GiB an entry   64 entries, the root
//   level 1    2 GiB            8 for each entry above
//   level 2  256 MiB
//   level 3   32 MiB
//   level 4    4 MiB            one chunk of 512 pages; its bits lie beside it
//
//   packed    | all | end, 21 bits | max, 21 bits | start, 21 bits |
//               63   62          42 41          21 20            0
//
// 21 bits count to 2^21 - 1, one less than the pages of a root entry. The end of an
// entirely free one overflows into the top bit, which then speaks for all three.
//
// Invariants
//   Y1  All zero means "nothing free here". Fresh table memory reads as zero, so
//       the part of the slice that was never grown needs no initialising and a
//       search walks past it.
//
// Source  Go's mpagealloc.go, which also gave the figures.

#ifndef STEADY_HEAP_DETAIL_PAGE_SUMMARY_HPP
#define STEADY_HEAP_DETAIL_PAGE_SUMMARY_HPP

#include <cstdint>

#include <steady/heap/detail/page_bits.hpp>

namespace steady::detail {

inline constexpr unsigned summary_levels = 5;
inline constexpr unsigned leaf_level = summary_levels - 1;
inline constexpr unsigned summary_fanout = 8;

/// log2 of the pages one entry of a level stands for.
[[nodiscard]] constexpr unsigned level_shift(unsigned level) noexcept {
    return 9 + 3 * (leaf_level - level);
}

class page_summary {
public:
    constexpr page_summary() noexcept = default;
    constexpr page_summary(unsigned start, unsigned max, unsigned end) noexcept
        : packed_{start | std::uint64_t{max} << 21 | std::uint64_t{end} << 42} {}

    [[nodiscard]] static constexpr page_summary of(const page_bits& free) noexcept {
        const run_lengths r = free.lengths();
        return {r.start, r.longest, r.end};
    }

    [[nodiscard]] constexpr unsigned start() const noexcept { return field(0); }
    [[nodiscard]] constexpr unsigned max() const noexcept { return field(21); }
    [[nodiscard]] constexpr unsigned end() const noexcept { return field(42); }

    /// The three numbers of a summary below the root, where the top bit is never set.
    struct plain {
        unsigned start, max, end;
    };
    [[nodiscard]] constexpr plain below_root() const noexcept {
        constexpr unsigned mask = whole_root - 1;
        return {static_cast<unsigned>(packed_) & mask, static_cast<unsigned>(packed_ >> 21) & mask,
                static_cast<unsigned>(packed_ >> 42) & mask};
    }

    friend constexpr bool operator==(page_summary, page_summary) noexcept = default;

private:
    static constexpr unsigned whole_root = 1u << level_shift(0);
    static constexpr std::uint64_t all_free = std::uint64_t{1} << 63;

    [[nodiscard]] constexpr unsigned field(unsigned shift) const noexcept {
        if ((packed_ & all_free) != 0) [[unlikely]]
            return whole_root;
        return static_cast<unsigned>(packed_ >> shift) & (whole_root - 1);
    }

    std::uint64_t packed_ = 0;
};

static_assert(sizeof(page_summary) * summary_fanout == 64, "eight siblings fill one cache line");
static_assert(level_shift(leaf_level) == 9 && (1u << level_shift(leaf_level)) == chunk_pages,
              "a leaf is a chunk");
static_assert(level_shift(0) == 21, "21-bit fields: only a whole root entry needs the top bit");

/// Folds eight neighbours of 2^child_shift pages each into the one that holds them.
[[nodiscard]] constexpr page_summary fold(const page_summary* child,
                                          unsigned child_shift) noexcept {
    const unsigned whole = 1u << child_shift;
    unsigned start = 0, max = 0, end = 0;
    for (unsigned i = 0; i < summary_fanout; ++i) {
        const page_summary::plain c = child[i].below_root();
        if (start == i * whole) start += c.start;
        if (end + c.start > max) max = end + c.start;
        if (c.max > max) max = c.max;
        end = c.start == whole ? end + whole : c.end;
    }
    return {start, max, end};
}

/// True when a child that changed from `before` to `now` leaves the fold of its
/// family as it is, which then need not be computed: its borders are the same, and
/// its longest run neither was the family's longest nor becomes it.
[[nodiscard]] constexpr bool same_fold(page_summary before, page_summary now,
                                       page_summary family) noexcept {
    const page_summary::plain a = before.below_root(), b = now.below_root();
    if (a.start != b.start || a.end != b.end) return false;
    return a.max == b.max || (a.max < family.max() && b.max <= family.max());
}

}  // namespace steady::detail

#endif
