// page_scavenge.cpp - which dirty pages go back to the system, and in which
// order. The story of the rest is in page_heap.hpp.
//
// Giving back costs 223 ns per 4 KiB page, but 5 us for a whole huge page: 23 times
// less per byte. A huge page given back in parts falls into small pages, which
// every later access pays for. Hence the order:
//
//   1  whole   free units, the highest first. A unit of huge pages goes as one,
//              pages never used included: the kernel made all of it resident.
//   2  loose   runs of dirty pages beside pages in use, the highest first. A
//              huge page is broken for a run of 1 MiB and more, or when it is
//              broken already.
//   3  scrap   what is left, by force only.
//
//   chunk marks:          free()
//   (no mark) ------------------------> loose, and whole if a unit came free
//       ^                                 |
//       |  nothing dirty left             | nothing that may go without force
//       +---------- scrap <---------------+
//
// Before the first part of a huge page goes, the kernel is told to keep the unit
// in small pages; khugepaged would otherwise fill the hole again. When the unit
// goes as a whole later, the wish is taken back, and the mappings merge again.
//
// A candidate is taken out of the free pages, so nobody allocates it while the
// caller decommits it without the lock. Candidates never exceed a unit: no
// system call touches more than 2 MiB.
#include <steady/heap/detail/page_heap.hpp>

#include <steady/core/check.hpp>

namespace steady::detail {

namespace {

page_bits dirty_pages(const chunk_bits& bits) noexcept {
    page_bits both{};
    for (unsigned w = 0; w < chunk_words; ++w)
        both.word[w] = bits.free.word[w] & bits.resident.word[w];
    return both;
}

}  // namespace

bool page_heap::take_scavenge_candidate(pages max, bool force, scavenge_candidate& out) noexcept {
    if (max.count() >= unit_pages && take_whole(out)) return true;
    const auto most = static_cast<unsigned>(max.count() < unit_pages ? max.count() : unit_pages);
    return take_run(most, force, out);
}

bool page_heap::take_whole(scavenge_candidate& out) noexcept {
    unsigned chunk = marks_.highest(tables_, mark::whole, top_);
    for (; chunk != no_page; chunk = marks_.highest(tables_, mark::whole, chunk)) {
        chunk_bits& bits = tables_.chunk(chunk);
        page_notes& notes = tables_.notes(chunk / group_chunks);
        for (unsigned half = 2; half-- > 0;) {
            const unsigned at = half * unit_pages;
            if (!bits.free.all(at, unit_pages)) continue;
            const bit_run run = dirty_pages(bits).highest_run(at, at + unit_pages, grain_, grain_);
            if (run.count == 0) continue;
            const page_index first = chunk * chunk_pages + at;
            if ((notes.huge[half] & chunk_bit(chunk)) == 0) {
                hand_out(first - at + run.first, run.count, out);
                return true;
            }
            // In a heap too small for huge pages from the first touch on, one that was made of a
            // full unit ends here; otherwise one that was broken is whole again.
            const bytes unit_bytes = to_bytes(pages{unit_pages});
            const bool ends = !wants_huge_pages();
            if (ends && os::hint_no_huge(address(first), unit_bytes)) {
                notes.huge[half] &= ~chunk_bit(chunk);
                notes.broken[half] &= ~chunk_bit(chunk);
            } else if (!ends && (notes.broken[half] & chunk_bit(chunk)) != 0 &&
                       os::hint_huge(address(first), unit_bytes)) {
                notes.broken[half] &= ~chunk_bit(chunk);
            }
            // Pages never used share the huge page, so they are resident in truth.
            dirty_ += make_resident(chunk, at, unit_pages);
            hand_out(first, unit_pages, out);
            return true;
        }
        marks_.clear(tables_, mark::whole, chunk);
    }
    return false;
}

bool page_heap::take_run(unsigned max, bool force, scavenge_candidate& out) noexcept {
    if (max < grain_) return false;
    for (unsigned limit = top_;;) {
        const unsigned loose = marks_.highest(tables_, mark::loose, limit);
        const unsigned scrap = force ? marks_.highest(tables_, mark::scrap, limit) : no_page;
        if (loose == no_page && scrap == no_page) return false;
        const bool loose_first = scrap == no_page || (loose != no_page && loose > scrap);
        const unsigned chunk = loose_first ? loose : scrap;
        const mark kind = loose_first ? mark::loose : mark::scrap;

        bool keep = false;  // something may go, but not in such small pieces
        for (unsigned half = 2; half-- > 0;) {
            const bit_run run = run_to_take(chunk, half, max, force, keep);
            if (run.count == 0) continue;
            hand_out(chunk * chunk_pages + run.first, run.count, out);
            return true;
        }
        limit = chunk;
        if (keep) continue;
        if (dirty_pages(tables_.chunk(chunk)).any(0, chunk_pages)) {
            marks_.set(tables_, mark::scrap, chunk);
            if (loose_first) marks_.clear(tables_, mark::loose, chunk);
        } else {
            marks_.clear(tables_, kind, chunk);
        }
    }
}

// The highest run of this unit that may go, cut to `max`; count 0 when none may.
bit_run page_heap::run_to_take(unsigned chunk, unsigned half, unsigned max, bool force,
                               bool& too_small) noexcept {
    page_notes& notes = tables_.notes(chunk / group_chunks);
    const bool intact = (notes.huge[half] & ~notes.broken[half] & chunk_bit(chunk)) != 0;
    const unsigned least = intact && !force ? least_break : grain_;
    const unsigned at = half * unit_pages;
    bit_run run = dirty_pages(tables_.chunk(chunk)).highest_run(at, at + unit_pages, least, grain_);
    if (run.count > max) {
        const unsigned cut = max & ~(grain_ - 1);
        if (cut < least) {
            too_small = true;
            return {};
        }
        run = {run.first + run.count - cut, cut};
    }
    if (run.count == 0 || !intact) return run;
    // A refusal (too many mappings) leaves the huge page in one piece. `unsupported`
    // is none: the user wants huge pages everywhere, or there are none.
    const page_index unit = chunk * chunk_pages + at;
    const auto hint = os::hint_no_huge(address(unit), to_bytes(pages{unit_pages}));
    if (!hint && hint.error().code != errc::unsupported) return {};
    notes.broken[half] |= chunk_bit(chunk);
    return run;
}

// Takes dirty pages of one chunk out of the free ones. They stay dirty in the
// counters, for nobody uses them.
void page_heap::hand_out(page_index first, unsigned n, scavenge_candidate& out) noexcept {
    open_chunk(chunk_of(first));
    page_bits& free = tables_.chunk(chunk_of(first)).free;
    page_bits::for_each_word(first % chunk_pages, n,
                             [&](unsigned w, std::uint64_t mask) { free.word[w] &= ~mask; });
    in_flight_ += n;
    out = {first, n};
}

void page_heap::finish_scavenge(scavenge_candidate candidate, bool released) noexcept {
    in_flight_ -= candidate.count;
    if (released) {
        dirty_ -= candidate.count;
        // MADV_FREE keeps the contents until the system wants the memory: such pages
        // read as anything. Candidates come from the top, so one border suffices.
        const page_index end = candidate.first + candidate.count;
        if (!os::decommit_clears() && end > old_contents_end_) old_contents_end_ = end;
    }
    put_back(candidate.first, candidate.count, released);
}

}  // namespace steady::detail
