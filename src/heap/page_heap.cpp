// page_heap.cpp - finding, taking and freeing pages. The story is in
// page_heap.hpp; growing is in page_growth.cpp, giving back in page_scavenge.cpp.
#include <steady/heap/detail/page_heap.hpp>

#include <bit>

#include <steady/core/check.hpp>
#include <steady/core/result.hpp>

namespace steady::detail {

namespace {

constexpr error too_many{errc::out_of_memory, 0, "finding more pages than the slice has"};

// Calls visit(chunk, first page in it, count) for each chunk of [first, first + n).
template <class Visit>
void for_each_chunk(page_index first, unsigned n, Visit visit) noexcept {
    for (unsigned c = chunk_of(first), at = first % chunk_pages; n != 0; ++c, at = 0) {
        const unsigned here = n < chunk_pages - at ? n : chunk_pages - at;
        visit(c, at, here);
        n -= here;
    }
}

}  // namespace

result<page_run> page_heap::allocate(pages wanted) noexcept {
    if (wanted == pages{0}) return error{errc::invalid_argument, 0, "allocating 0 pages"};
    if (wanted.count() > std::size_t{capacity_} * chunk_pages) return too_many;
    const auto n = static_cast<unsigned>(wanted.count());

    page_index first = no_page;
    const unsigned hint = hint_[n < hinted_runs ? n - 1 : hinted_runs - 1];
    if (n <= chunk_pages && hint < chunk_of(high_water_)) {
        // A leaf can be asked unless its chunk is open (G2); then the bits are.
        if (hint == open_ || tables_.summary(leaf_level, hint).max() >= n) {
            const unsigned at = tables_.chunk(hint).free.find_run(n);
            if (at != chunk_pages) first = hint * chunk_pages + at;
        }
    }
    if (first == no_page) {
        first = find(n, hint * chunk_pages);
        if (first == no_page) {
            const auto grown = grow(n, 1);
            if (!grown) return grown.error();
            first = *grown;
        }
        if (n <= hinted_runs) raise_hints(n, chunk_of(first));
    }
    const bool zeroed = claim(first, n);
    return page_run{first, n, zeroed};
}

result<page_run> page_heap::allocate_aligned(pages wanted, pages alignment) noexcept {
    if (!is_power_of_two(alignment.count())) {
        return error{errc::invalid_argument, 0, "aligning pages to what is no power of two"};
    }
    if (alignment == pages{1}) return allocate(wanted);
    if (wanted == pages{0}) return error{errc::invalid_argument, 0, "allocating 0 pages"};
    const std::size_t all = std::size_t{capacity_} * chunk_pages;
    if (wanted.count() > all || alignment.count() > all) return too_many;
    const auto n = static_cast<unsigned>(wanted.count());
    const auto a = static_cast<unsigned>(alignment.count());

    page_index first = find_aligned(n, a);
    if (first == no_page) {
        const auto grown = grow(n, a);
        if (!grown) return grown.error();
        first = *grown;
    }
    const bool zeroed = claim(first, n);
    return page_run{first, n, zeroed};
}

bool page_heap::extend(page_index end, pages wanted, bool& zeroed) noexcept {
    zeroed = true;
    if (wanted == pages{0}) return true;
    if (end > high_water_ || wanted.count() > std::size_t{capacity_} * chunk_pages) return false;
    const auto n = static_cast<unsigned>(wanted.count());
    const unsigned grown_part = n < high_water_ - end ? n : high_water_ - end;
    if (!all_free(end, grown_part)) return false;
    if (grown_part < n) {
        // The run ends where the slice does: what is missing can follow, unless a
        // foreign mapping lies there.
        const unsigned missing = (n - grown_part + chunk_pages - 1) / chunk_pages;
        if (top_ != chunk_of(high_water_) || missing > capacity_ - top_) return false;
        if (!prepare_chunks(top_, missing)) return false;
    }
    zeroed = claim(end, n);
    return true;
}

bool page_heap::extend(page_index end, pages n) noexcept {
    bool zeroed = false;
    return extend(end, n, zeroed);
}

void page_heap::free(page_index first, pages count) noexcept {
    const auto n = static_cast<unsigned>(count.count());
    if (n == 0) return;
    STEADY_ASSERT(1, first < high_water_ && n <= high_water_ - first,
                  "G1 every page is grown once: freed pages lie outside of the slice");
    in_use_ -= n;
    dirty_ += n;
    put_back(first, n, false);
}

// The lowest run of n pages that starts at or after `from`. Walks the siblings to
// the right, climbs when they end, and descends into the first that has room. A
// run that crosses borders is seen as the sum of an end and the starts after it.
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
        carry = 0;
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

bool page_heap::all_free(page_index first, unsigned n) const noexcept {
    bool every = true;
    for_each_chunk(first, n, [&](unsigned c, unsigned at, unsigned here) {
        every = every && tables_.chunk(c).free.all(at, here);
    });
    return every;
}

// Takes free pages into use and tells whether all of them read as zero.
bool page_heap::claim(page_index first, unsigned n) noexcept {
    const unsigned first_chunk = chunk_of(first), last_chunk = chunk_of(first + n - 1);
    if (first_chunk == last_chunk) changed(first_chunk, last_chunk);
    const unsigned fresh = make_resident(first, n);
    for_each_chunk(first, n, [&](unsigned c, unsigned at, unsigned here) {
        page_bits& free = tables_.chunk(c).free;
        page_bits::for_each_word(at, here, [&](unsigned w, std::uint64_t mask) {
            STEADY_ASSERT(2, (free.word[w] & mask) == mask,
                          "G1 the bits tell the truth: a page to be taken is not free");
            free.word[w] &= ~mask;
        });
    });
    if (first_chunk != last_chunk) changed(first_chunk, last_chunk);
    in_use_ += n;
    dirty_ -= n - fresh;
    return fresh == n && first >= old_contents_end_;
}

// Returns how many of these pages were not resident. os hears of them in exactly
// the runs they form (G4).
unsigned page_heap::make_resident(page_index first, unsigned n) noexcept {
    unsigned fresh = 0;
    page_index run_first = 0, run_end = 0;  // the run that os has not heard of
    const auto use_run = [&] {
        if (run_end == run_first) return;
        os::use(address(run_first), to_bytes(pages{run_end - run_first}));
        fresh += run_end - run_first;
    };
    for_each_chunk(first, n, [&](unsigned c, unsigned at, unsigned here) {
        page_bits& resident = tables_.chunk(c).resident;
        page_bits::for_each_word(at, here, [&](unsigned w, std::uint64_t mask) {
            std::uint64_t absent = mask & ~resident.word[w];
            resident.word[w] |= mask;
            while (absent != 0) {
                const auto bit = static_cast<unsigned>(std::countr_zero(absent));
                const auto length = static_cast<unsigned>(std::countr_one(absent >> bit));
                const page_index page = c * chunk_pages + w * word_pages + bit;
                if (page != run_end || run_end == run_first) {
                    use_run();
                    run_first = page;
                }
                run_end = page + length;
                absent &= ~ones(bit, length);
            }
        });
    });
    use_run();
    return fresh;
}

// The common half of freeing and of ending a scavenge; counters are the caller's.
void page_heap::put_back(page_index first, unsigned n, bool released) noexcept {
    const unsigned first_chunk = chunk_of(first), last_chunk = chunk_of(first + n - 1);
    if (first_chunk == last_chunk) changed(last_chunk, last_chunk);
    for_each_chunk(first, n, [&](unsigned c, unsigned at, unsigned here) {
        chunk_bits& bits = tables_.chunk(c);
        page_bits::for_each_word(at, here, [&](unsigned w, std::uint64_t mask) {
            STEADY_ASSERT(1,
                          (bits.free.word[w] & mask) == 0 && (~bits.resident.word[w] & mask) == 0,
                          "G1 a page is freed once: it is not in use");
            bits.free.word[w] |= mask;
            if (released) bits.resident.word[w] &= ~mask;
        });
    });
    if (first_chunk != last_chunk) changed(first_chunk, last_chunk);
    lower_hints(first_chunk);
    note_free(first, n, !released);
}

// Bits of these chunks change. One chunk is left open: its summaries follow when
// another chunk changes or a search wants them (G2). Several are folded at once,
// so the caller changes the bits of one after this call, those of several before.
void page_heap::changed(unsigned first_chunk, unsigned last_chunk) noexcept {
    if (first_chunk == last_chunk) {
        if (open_ == last_chunk) return;
        settle();
        open_ = last_chunk;
        return;
    }
    settle();
    for (unsigned c = first_chunk; c <= last_chunk; ++c) {
        tables_.summary(leaf_level, c) = page_summary::of(tables_.chunk(c).free);
    }
    refold(first_chunk, last_chunk);
}

void page_heap::settle() noexcept {
    if (open_ == no_page) return;
    const unsigned c = open_;
    open_ = no_page;
    page_summary& leaf = tables_.summary(leaf_level, c);
    const page_summary now = page_summary::of(tables_.chunk(c).free);
    if (leaf == now) return;
    leaf = now;
    refold(c, c);
}

// Folds the leaves of these chunks into every level above, as far as it matters.
void page_heap::refold(unsigned first_chunk, unsigned last_chunk) noexcept {
    std::size_t first = first_chunk, last = last_chunk;
    for (unsigned level = leaf_level; level-- > 0;) {
        first /= summary_fanout;
        last /= summary_fanout;
        bool differs = false;
        for (std::size_t i = first; i <= last; ++i) {
            const page_summary now = fold(tables_.siblings(level + 1, i), level_shift(level + 1));
            page_summary& entry = tables_.summary(level, i);
            differs |= entry != now;
            entry = now;
        }
        if (!differs) return;
    }
}

// Pages of this chunk became free: longer runs may start here now, or in the chunk
// before if its last page is free. No earlier: a whole free chunk between would
// hold a run longer than any hint speaks of.
void page_heap::lower_hints(unsigned chunk) noexcept {
    if (hint_[hinted_runs - 1] < chunk) return;  // the highest of them (G3)
    if (chunk > 0 && tables_.chunk(chunk - 1).free.test(chunk_pages - 1)) --chunk;
    for (unsigned& hint : hint_) hint = hint < chunk ? hint : chunk;
}

// The lowest run of n pages starts in this chunk, so no longer one starts below.
void page_heap::raise_hints(unsigned n, unsigned chunk) noexcept {
    for (unsigned i = n - 1; i < hinted_runs; ++i) {
        hint_[i] = hint_[i] > chunk ? hint_[i] : chunk;
    }
}

}  // namespace steady::detail
