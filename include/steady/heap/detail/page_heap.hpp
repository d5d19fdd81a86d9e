// page_heap.hpp - which pages of a slice of address space are free, found in the
// order of their addresses: Go's page allocator.
//
// Terms   slice: [base, base + capacity): up to 2^27 pages, 1 TiB.
//         chunk: 512 pages, 4 MiB, the piece by which the slice grows.
//         unit: 256 pages, 2 MiB, aligned: one huge page of the kernel.
//         resident: its memory is there (os state Ready); dirty: free and resident.
//         grain: pages of an OS page, where that is the larger (AArch64: up to 8). All
//         of a grain is resident or nothing, because first touch brings all of it.
//         open chunk: the one whose summaries may lag behind its bits.
//
//                   grow               allocate, extend
//   (not grown) ----------> scavenged -------------------> in use
//                 prepare      ^          os::use          |   ^
//                              |                      free |   | allocate,
//           take, decommit,    |                           v   | extend
//           finish             +-------------------------- dirty
//
//   An allocation asks for the lowest n free pages in a row. The bits of a chunk
//   answer for runs inside it; eight summaries fold into one, five levels up
//   (page_summary.hpp), so a search reads the siblings to its right, climbs,
//   and descends into the first entry that has room: a few lines, at any size.
//
//   hint(n), n = 1..16      everything below it has no run of n pages
//   |########|#.#######|#..#.####|....####|........|
//                 ^ hint(1)  ^ hint(2)  ^ hint(4)
//
//   Most requests want few pages and find them in the chunk of their hint. As
//   long as one chunk is worked on, only its bits change: the five summaries
//   above it follow when somebody needs them. Go takes a word of 64 pages out
//   of the bitmap for this; here nothing is taken out, so the answer stays the
//   lowest address and every ledger stays exact.
//
// Invariants (check() tests all but G4, where os has a say)
//   G1  grown = in use + dirty + scavenged, and each equals the bits.
//   G2  A leaf is the summary of its chunk's bits, but for the open chunk; every
//       other summary is the fold of the eight below it, without exception.
//   G3  No run of n free pages starts in a chunk below hint(n); hint(n) never
//       falls with n, and hint(16) also serves longer runs.
//   G4  The bytes of in use + dirty pages are in the os ledger `ready`. Between
//       the decommit of a candidate and finish_scavenge() they have left it.
//       os hears of whole grains only.
//   G5  A chunk with dirty pages is marked loose or scrap; one with a free unit
//       that has dirty pages is marked whole.
//
// Cost    allocate or free in the open chunk: 10 ns. In another: 45 to 110 ns, for
//         the summaries of both. Fresh pages: an os::use more, 15 ns. Growing: two
//         system calls per 4 MiB. Measured in docs/design/page-heap.md.
// Threads one caller at a time: the node's `pages` lock (lock_order.hpp).

#ifndef STEADY_HEAP_DETAIL_PAGE_HEAP_HPP
#define STEADY_HEAP_DETAIL_PAGE_HEAP_HPP

#include <cstddef>
#include <cstdint>

#include <steady/core/fatal.hpp>
#include <steady/core/options.hpp>
#include <steady/core/result.hpp>
#include <steady/core/units.hpp>
#include <steady/heap/detail/page_marks.hpp>
#include <steady/heap/detail/page_tables.hpp>
#include <steady/os/memory.hpp>

namespace steady::detail {

struct page_run {
    page_index first;
    std::uint32_t count;
    bool zeroed;  // every page is known to read as zero: never used, or decommitted since
};

class page_heap {
public:
    constexpr page_heap() noexcept = default;

    /// Takes charge of [offset, offset + capacity) of `memory`, and of the part of
    /// `tables` that starts at tables_offset. Prepares nothing yet.
    ///
    /// os_page    the OS page; tests make one up.
    /// Returns    invalid_argument unless the slice starts at a multiple of 2 MiB and
    ///            is a whole number of chunks, at most 1 TiB.
    /// Threads    before any other call. Both areas must outlive the page heap.
    result<void> open(os::area& memory, bytes offset, pages capacity, os::area& tables,
                      bytes tables_offset, bytes os_page = os::os_page()) noexcept;

    /// The address space to set aside for the tables: a multiple of 64 KiB.
    [[nodiscard]] static bytes tables_size(pages capacity) noexcept;

    /// The lowest n free pages in a row; grows the slice when there are none.
    ///
    /// Returns    the run, or why the slice could not grow; then nothing has changed,
    ///            except that pieces beside a foreign mapping may have been added.
    /// Cost       see above. A growth prepares the missing pages, rounded up to chunks.
    result<page_run> allocate(pages n) noexcept;

    /// The same for a start at a multiple of `alignment` pages of the address (a
    /// power of two). Looks into the 16 lowest runs of n pages for an aligned place,
    /// then for a run of n + alignment - 1, which always has one.
    result<page_run> allocate_aligned(pages n, pages alignment) noexcept;

    /// Takes exactly [end, end + n), growing the slice if that is what ends there.
    ///
    /// Returns    false when a page of it is taken or the slice cannot grow.
    bool extend(page_index end, pages n, bool& zeroed) noexcept;
    bool extend(page_index end, pages n) noexcept;

    /// Frees pages in use: a whole allocation or any part of one.
    void free(page_index first, pages n) noexcept;

    struct scavenge_candidate {
        page_index first;
        std::uint32_t count;
    };

    /// Picks dirty pages to give back, at most `max` and at most one unit: whole free
    /// units first, then single runs, each time the highest. The pages belong to the
    /// caller, who decommits them without the lock and then calls finish_scavenge().
    ///
    /// A huge page is broken only for a run of 1 MiB and more, unless `force`.
    ///
    /// Returns    false when nothing qualifies. With `max` below 256 pages that also
    ///            means: not in such small pieces.
    /// Cost       constant but for marks that turn out to be stale, each once. May
    ///            make one huge page hint, which touches no page.
    bool take_scavenge_candidate(pages max, bool force, scavenge_candidate& out) noexcept;

    /// Frees the candidate's pages again. `released`: the decommit succeeded.
    void finish_scavenge(scavenge_candidate candidate, bool released) noexcept;

    using huge_page_policy = debug_options::huge_page_policy;

    /// Decides about huge pages for what grows from now on, in place of
    /// STEADY_DEBUG=hugepages. `adaptive` asks for them once `threshold` is in dense use and
    /// more than half of what has grown is.
    void advise(huge_page_policy policy, pages threshold = huge_threshold) noexcept;

    /// The unit around `page`, when all of it is in use in small pages and the heap is large
    /// enough that one huge page would be better; or no_page. Cost: a few loads.
    [[nodiscard]] page_index filled_unit(page_index page) const noexcept;
    /// The caller makes a huge page of a filled unit, and says afterwards when it could not.
    void note_collapse(page_index unit) noexcept;
    void note_no_collapse(page_index unit) noexcept;

    /// Says that `more` of the pages in use (or fewer, when negative) may never be
    /// touched: one large object each. They give no reason to ask for huge pages.
    void note_sparse(std::ptrdiff_t more) noexcept {
        sparse_ += static_cast<std::size_t>(more);  // may wrap, as it should
    }

    [[nodiscard]] pages grown() const noexcept { return pages{grown_}; }
    [[nodiscard]] pages in_use() const noexcept { return pages{in_use_}; }
    /// Dirty pages, those in the hands of the scavenger included.
    [[nodiscard]] pages free_resident() const noexcept { return pages{dirty_}; }
    [[nodiscard]] pages free_scavenged() const noexcept { return pages{grown_ - in_use_ - dirty_}; }
    /// Bytes of tables in use.
    [[nodiscard]] bytes tables() const noexcept { return tables_ready_; }
    /// The index after the last page ever grown.
    [[nodiscard]] pages high_water() const noexcept { return pages{high_water_}; }

    /// Recomputes every summary, hint, mark and counter from the bits.
    ///
    /// Returns    false for the first difference, which it adds to `why` if given.
    /// Cost       O(grown pages / 64).
    bool check(message* why) const noexcept;

private:
    static constexpr unsigned hinted_runs = 16;
    static constexpr unsigned aligned_tries = 16;
    static constexpr pages huge_threshold{std::size_t{256_MiB / page_size}};
    static constexpr pages collapse_threshold{std::size_t{8_MiB / page_size}};
    static constexpr unsigned least_break = unit_pages / 2;  // 1 MiB

    // page_search.cpp
    [[nodiscard]] unsigned find(unsigned n, page_index from) noexcept;
    [[nodiscard]] unsigned find_aligned(unsigned n, unsigned alignment) noexcept;
    [[nodiscard]] page_index aligned_up(page_index page, unsigned alignment) const noexcept;
    void lower_hints(unsigned chunk) noexcept;
    void raise_hints(unsigned n, unsigned chunk) noexcept;

    // page_heap.cpp
    [[nodiscard]] bool all_free(page_index first, unsigned n) const noexcept;
    bool claim(page_index first, unsigned n) noexcept;
    unsigned take_in(unsigned chunk, unsigned at, unsigned n) noexcept;
    unsigned make_resident(unsigned chunk, unsigned at, unsigned n) noexcept;
    unsigned make_grains_resident(unsigned chunk, unsigned at, unsigned n) noexcept;
    void put_back(page_index first, unsigned n, bool released) noexcept;
    void put_in(unsigned chunk, unsigned at, unsigned n, bool released) noexcept;
    void open_chunk(unsigned chunk) noexcept;
    void summarise(unsigned first_chunk, unsigned last_chunk) noexcept;
    void settle() noexcept;
    void refold(unsigned first_chunk, unsigned last_chunk) noexcept;

    // page_growth.cpp
    result<page_index> grow(unsigned n, unsigned alignment) noexcept;
    result<void> prepare_chunks(unsigned first, unsigned count) noexcept;
    result<void> prepare_tables(unsigned chunks) noexcept;
    [[nodiscard]] unsigned free_at_top() const noexcept;
    [[nodiscard]] bool wants_huge_pages() const noexcept;

    // page_scavenge.cpp
    bool take_whole(scavenge_candidate& out) noexcept;
    bool take_run(unsigned max, bool force, scavenge_candidate& out) noexcept;
    [[nodiscard]] bit_run run_to_take(unsigned chunk, unsigned half, unsigned max, bool force,
                                      bool& too_small) noexcept;
    void hand_out(page_index first, unsigned n, scavenge_candidate& out) noexcept;

    // page_check.cpp
    bool check_counters(message* why) const noexcept;
    bool check_summaries(message* why) const noexcept;
    bool check_hints(message* why) const noexcept;
    bool check_marks(message* why) const noexcept;

    [[nodiscard]] std::byte* address(page_index page) const noexcept {
        return base_ + (std::size_t{page} << page_shift);
    }

    page_tables tables_;
    std::byte* base_ = nullptr;
    os::area* memory_ = nullptr;
    os::area* tables_area_ = nullptr;
    bytes memory_offset_;
    bytes tables_offset_;
    bytes tables_ready_;       // a prefix of the tables
    unsigned capacity_ = 0;    // chunks
    unsigned top_ = 0;         // the chunk to grow next; foreign mappings are skipped
    unsigned open_ = no_page;  // G2
    page_index high_water_ = 0;
    unsigned hint_[hinted_runs] = {};  // chunks; [n - 1] is hint(n)

    std::size_t grown_ = 0, in_use_ = 0, dirty_ = 0;
    std::size_t in_flight_ = 0;        // dirty pages taken as candidates: not free in the bits
    page_index old_contents_end_ = 0;  // pages below may have been given back by MADV_FREE
    unsigned grain_ = 1;               // pages of an OS page, where that is the larger

    page_marks marks_;
    bool advised_ = false;
    huge_page_policy policy_ = huge_page_policy::adaptive;
    pages threshold_ = huge_threshold;
    std::size_t sparse_ = 0;
};

}  // namespace steady::detail

#endif
