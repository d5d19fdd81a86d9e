// page_tables.hpp - where a page heap keeps its bits, summaries and notes: one
// array of cache lines that grows with the slice, so that a small heap touches
// one OS page of it and preparing more is always preparing the next bytes.
//
// Terms   line: 64 bytes.     block: 8 chunks, 32 MiB.     group: 64 chunks.
//         notes: what the scavenger remembers of a group.
//
//   header    8 lines      level 0 of the summaries, the root
//            24 lines      tops of the marks (page_marks.hpp)
//   then, for each block of 8 chunks, in the order of their addresses:
//             1 line       8 summaries of level 1     first block of 512 only
//             1 line       8 summaries of level 2     first block of 64 only
//             1 line       8 summaries of level 3     first block of 8 only
//             1 line       notes of this group        first block of 8 only
//             1 line       8 summaries of level 4, one a chunk
//            16 lines      for each chunk: `free`, `resident`
//
//   Every summary thus lies before the bits it speaks of, and a prefix of the
//   array is complete for a prefix of the slice. 32 MiB of heap: 53 lines, 3.3
//   KiB. 1 TiB of heap: 34.5 MiB, 0.0033 % of it.
//
// A page has two bits, and all four states mean something:
//
//   free  resident
//    0       0       not grown: the slice ends before it, or it is somebody else's
//    0       1       in use (or in the hands of the scavenger)
//    1       1       free, its memory still there: "dirty"
//    1       0       free and not resident: never used, or given back
//
// Invariants
//   T1  All-zero table memory describes a slice in which nothing has grown, so
//       the lines need no initialising (Y1 says the same of summaries).
//
// Tried   One array a level, as Go has it: five areas to prepare and five OS
//         pages touched by a program that allocates one object, 24 KiB for 4.

#ifndef STEADY_HEAP_DETAIL_PAGE_TABLES_HPP
#define STEADY_HEAP_DETAIL_PAGE_TABLES_HPP

#include <cstddef>
#include <cstdint>

#include <steady/core/units.hpp>
#include <steady/heap/detail/page_bits.hpp>
#include <steady/heap/detail/page_summary.hpp>

namespace steady::detail {

using page_index = std::uint32_t;  // number of a page inside its slice

inline constexpr unsigned unit_pages = 256;  // 2 MiB: what the kernel calls a huge page
inline constexpr unsigned block_chunks = 8;
inline constexpr unsigned group_chunks = 64;
inline constexpr unsigned root_entries = 64;
inline constexpr unsigned most_chunks = root_entries << 12;

static_assert(to_bytes(pages{unit_pages}) == 2_MiB && chunk_pages == 2 * unit_pages);
static_assert(to_bytes(pages{std::size_t{most_chunks} * chunk_pages}) == 1_TiB);

[[nodiscard]] constexpr unsigned chunk_of(page_index page) noexcept {
    return page / chunk_pages;
}

/// Why a chunk is worth the scavenger's visit.
enum class mark : unsigned {
    whole,  // may hold a free 2 MiB unit with resident pages in it
    loose,  // may hold resident free pages that may be given back without force
    scrap,  // holds resident free pages that only force gives back
};
inline constexpr unsigned mark_kinds = 3;

/// What is remembered of 64 chunks; bit c stands for chunk c of the group.
struct page_notes {
    std::uint64_t marked[mark_kinds];
    std::uint64_t huge[2];    // [0] lower, [1] upper unit of the chunk: asked to be a huge page
    std::uint64_t broken[2];  // such a unit, partly given back and asked to stay in small pages
    std::uint64_t unused;
};
static_assert(sizeof(page_notes) == 64, "one line for a group");
[[nodiscard]] constexpr std::uint64_t chunk_bit(unsigned chunk) noexcept {
    return std::uint64_t{1} << (chunk % group_chunks);
}

struct page_header {
    page_summary root[root_entries];
    std::uint64_t top[mark_kinds][most_chunks / group_chunks / 64];  // bit: the group has marks
};
static_assert(sizeof(page_header) == 32 * 64, "the picture says 8 + 24 lines");

struct chunk_bits {
    page_bits free;
    page_bits resident;
};

class page_tables {
public:
    constexpr page_tables() noexcept = default;
    explicit page_tables(std::byte* start) noexcept : start_{start} {}

    /// The bytes that must be readable for the first `chunks` chunks.
    [[nodiscard]] static constexpr bytes size_for(std::size_t chunks) noexcept {
        const std::size_t blocks = (chunks + block_chunks - 1) / block_chunks;
        return bytes{64 * (header_lines + 17 * blocks + 2 * ((blocks + 7) / 8) +
                           (blocks + 63) / 64 + (blocks + 511) / 512)};
    }

    [[nodiscard]] page_header& header() const noexcept {
        return *reinterpret_cast<page_header*>(start_);
    }
    [[nodiscard]] chunk_bits& chunk(std::size_t c) const noexcept {
        auto* first = reinterpret_cast<chunk_bits*>(line(leaf_line(c / block_chunks) + 1));
        return first[c % block_chunks];
    }
    [[nodiscard]] page_notes& notes(std::size_t group) const noexcept {
        return *reinterpret_cast<page_notes*>(line(leaf_line(group * 8) - 1));
    }

    /// The eight siblings with numbers 8 * family ... 8 * family + 7 of a level.
    [[nodiscard]] page_summary* siblings(unsigned level, std::size_t family) const noexcept {
        std::size_t at = family;  // level 0 lies in the header
        switch (level) {
            case 1: at = leaf_line(family * 512) - 4; break;
            case 2: at = leaf_line(family * 64) - 3; break;
            case 3: at = leaf_line(family * 8) - 2; break;
            case leaf_level: at = leaf_line(family); break;
        }
        return reinterpret_cast<page_summary*>(line(at));
    }
    [[nodiscard]] page_summary& summary(unsigned level, std::size_t entry) const noexcept {
        return siblings(level, entry / summary_fanout)[entry % summary_fanout];
    }

private:
    static constexpr std::size_t header_lines = sizeof(page_header) / 64;

    [[nodiscard]] static constexpr std::size_t leaf_line(std::size_t block) noexcept {
        return header_lines + 17 * block + 2 * (block / 8 + 1) + (block / 64 + 1) +
               (block / 512 + 1);
    }
    [[nodiscard]] std::byte* line(std::size_t number) const noexcept {
        return start_ + number * 64;
    }

    std::byte* start_ = nullptr;
};

static_assert(page_tables::size_for(block_chunks) == 53 * 64_B, "the 3.3 KiB of the story");
static_assert(page_tables::size_for(block_chunks) <= 4_KiB, "a small heap: one OS page of tables");

}  // namespace steady::detail

#endif
