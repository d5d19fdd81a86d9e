// page_search.cpp - the search through the summaries, and the hints that mostly
// spare it. The story of the rest is in page_heap.hpp.
//
// The search goes right, up and down: it reads the siblings to the right of where
// it stands, climbs to their parent when they end, and descends into the first
// entry that has room. A run that crosses borders never needs a descent: it is
// seen as the free pages that reach up to an entry plus the entry's own start.
//
// Nine pages, from the leaf at 1:
//
//   level 3                 |  full  |      max 9      |     2  climb: the next has room
//   level 4   ... | max 2 |          | end 4 | start 5 |     3  descend: 4 + 5 across a
//                     1                      ^ found            border
//
// Why the first place seen is the lowest: entries are read in the order of their
// addresses, a crossing run is tested before the run inside the entry it enters,
// and what was left behind had no room.
#include <steady/heap/detail/page_heap.hpp>

namespace steady::detail {

// The lowest run of n pages that starts at or after `from`; no_page if there is none.
unsigned page_heap::find(unsigned n, page_index from) noexcept {
    if (from >= high_water_) return no_page;
    settle();
    unsigned level = leaf_level;
    std::size_t i = chunk_of(from);  // the entry of `level` being looked at
    unsigned carry = 0;              // free pages that reach up to it...
    page_index start = 0;            // ...and where they begin
    if (const unsigned at = from % chunk_pages; at != 0) {
        const page_bits& free = tables_.chunk(i).free;
        if (const unsigned found = free.find_run(n, at); found != chunk_pages) {
            return static_cast<page_index>(i * chunk_pages + found);
        }
        carry = free.run_at_end(at);
        ++i;
        start = static_cast<page_index>(i * chunk_pages - carry);
    }
    for (bool came_down = false;;) {
        while (!came_down && level > 0 && i % summary_fanout == 0) {
            i /= summary_fanout;
            --level;
        }
        came_down = false;
        const unsigned shift = level_shift(level);
        if (i << shift >= high_water_) return no_page;
        const page_summary* family = tables_.siblings(level, i / summary_fanout);
        do {
            const page_summary here = family[i % summary_fanout];
            if (carry + here.start() >= n) {
                return carry != 0 ? start : static_cast<page_index>(i << shift);
            }
            if (here.max() >= n) {
                came_down = true;
                break;
            }
            if (here.start() == 1u << shift) {
                if (carry == 0) start = static_cast<page_index>(i << shift);
                carry += 1u << shift;
            } else {
                carry = here.end();
                start = static_cast<page_index>(((i + 1) << shift) - carry);
            }
            ++i;
        } while (i % summary_fanout != 0);
        if (!came_down) continue;
        if (level == leaf_level) {
            return static_cast<page_index>(i * chunk_pages + tables_.chunk(i).free.find_run(n));
        }
        ++level;
        i *= summary_fanout;
    }
}

page_index page_heap::aligned_up(page_index page, unsigned alignment) const noexcept {
    const std::size_t first = reinterpret_cast<std::uintptr_t>(base_) >> page_shift;
    return static_cast<page_index>(round_up(first + page, alignment) - first);
}

unsigned page_heap::find_aligned(unsigned n, unsigned alignment) noexcept {
    page_index from = hint_[n < hinted_runs ? n - 1 : hinted_runs - 1] * chunk_pages;
    for (unsigned tries = 0; tries < aligned_tries; ++tries) {
        const page_index run = find(n, from);
        if (run == no_page) return no_page;
        const page_index first = aligned_up(run, alignment);
        // The run has n pages; it must also reach from there to first + n.
        page_index reached = run + n;
        while (reached < first + n && reached < high_water_ && all_free(reached, 1)) ++reached;
        if (reached >= first + n) return first;
        from = reached;
    }
    const page_index run = find(n + alignment - 1, from);
    return run == no_page ? no_page : aligned_up(run, alignment);
}

// Pages of this chunk became free: longer runs may start here now, or in the chunk
// before if its last page is free. No earlier: a whole free chunk between would
// hold a run longer than any hint speaks of.
void page_heap::lower_hints(unsigned chunk) noexcept {
    const unsigned highest = hint_[hinted_runs - 1];  // G3
    if (highest < chunk) return;
    if (chunk > 0 && tables_.chunk(chunk - 1).free.test(chunk_pages - 1)) --chunk;
    if (highest <= chunk) return;
    for (unsigned& hint : hint_) hint = hint < chunk ? hint : chunk;
}

// The lowest run of n pages starts in this chunk, so no longer one starts below.
// Runs beyond the hints teach nothing.
void page_heap::raise_hints(unsigned n, unsigned chunk) noexcept {
    for (unsigned i = n - 1; i < hinted_runs; ++i) {
        hint_[i] = hint_[i] > chunk ? hint_[i] : chunk;
    }
}

}  // namespace steady::detail
