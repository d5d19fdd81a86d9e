// page_heap.cpp - taking and freeing pages. The story is in page_heap.hpp; the
// search is in page_search.cpp, growing in page_growth.cpp, giving back in
// page_scavenge.cpp.
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
        raise_hints(n, chunk_of(first));
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
    unsigned fresh = 0;
    if (first_chunk == last_chunk) {
        open_chunk(first_chunk);
        fresh = take_in(first_chunk, first % chunk_pages, n);
    } else {
        for_each_chunk(first, n, [&](unsigned c, unsigned at, unsigned here) {
            fresh += take_in(c, at, here);
        });
        summarise(first_chunk, last_chunk);
    }
    in_use_ += n;
    dirty_ -= n - fresh;
    return fresh == n && first >= old_contents_end_;
}

// Takes pages of one chunk; returns how many of them were not resident.
unsigned page_heap::take_in(unsigned chunk, unsigned at, unsigned n) noexcept {
    chunk_bits& bits = tables_.chunk(chunk);
    std::uint64_t absent = 0;
    page_bits::for_each_word(at, n, [&](unsigned w, std::uint64_t mask) {
        STEADY_ASSERT(2, (bits.free.word[w] & mask) == mask,
                      "G1 the bits tell the truth: a page to be taken is not free");
        bits.free.word[w] &= ~mask;
        absent |= mask & ~bits.resident.word[w];
    });
    if (absent == 0) return 0;
    return grain_ == 1 ? make_resident(chunk, at, n) : make_grains_resident(chunk, at, n);
}

// The same for pages that are parts of OS pages. The rest of a grain comes with them and
// is dirty: free, and resident.
unsigned page_heap::make_grains_resident(unsigned chunk, unsigned at, unsigned n) noexcept {
    const page_bits& resident = tables_.chunk(chunk).resident;
    unsigned absent = 0;
    page_bits::for_each_word(at, n, [&](unsigned w, std::uint64_t mask) {
        absent += static_cast<unsigned>(std::popcount(mask & ~resident.word[w]));
    });
    const unsigned first = at & ~(grain_ - 1), end = (at + n + grain_ - 1) & ~(grain_ - 1);
    const unsigned fresh = make_resident(chunk, first, end - first);
    if (fresh != absent) {
        dirty_ += fresh - absent;
        marks_.set(tables_, mark::loose, chunk);  // G5; no unit around them is free
    }
    return absent;
}

// Returns how many of these pages, whole grains, were not resident. os hears of them in
// exactly the runs they form (G4).
unsigned page_heap::make_resident(unsigned chunk, unsigned at, unsigned n) noexcept {
    page_bits& resident = tables_.chunk(chunk).resident;
    unsigned fresh = 0;
    unsigned first = 0, end = 0;  // the run that os has not heard of
    const auto use_run = [&] {
        if (end == first) return;
        os::use(address(chunk * chunk_pages + first), to_bytes(pages{end - first}));
        fresh += end - first;
    };
    page_bits::for_each_word(at, n, [&](unsigned w, std::uint64_t mask) {
        std::uint64_t absent = mask & ~resident.word[w];
        resident.word[w] |= mask;
        while (absent != 0) {
            const auto bit = static_cast<unsigned>(std::countr_zero(absent));
            const auto length = static_cast<unsigned>(std::countr_one(absent >> bit));
            if (w * word_pages + bit != end || end == first) {
                use_run();
                first = w * word_pages + bit;
            }
            end = w * word_pages + bit + length;
            absent &= ~ones(bit, length);
        }
    });
    use_run();
    return fresh;
}

// The common half of freeing and of ending a scavenge; counters are the caller's.
void page_heap::put_back(page_index first, unsigned n, bool released) noexcept {
    const unsigned first_chunk = chunk_of(first), last_chunk = chunk_of(first + n - 1);
    if (first_chunk == last_chunk) {
        open_chunk(first_chunk);
        put_in(first_chunk, first % chunk_pages, n, released);
    } else {
        for_each_chunk(first, n, [&](unsigned c, unsigned at, unsigned here) {
            put_in(c, at, here, released);
        });
        summarise(first_chunk, last_chunk);
    }
    lower_hints(first_chunk);
}

void page_heap::put_in(unsigned chunk, unsigned at, unsigned n, bool released) noexcept {
    chunk_bits& bits = tables_.chunk(chunk);
    page_bits::for_each_word(at, n, [&](unsigned w, std::uint64_t mask) {
        STEADY_ASSERT(1, (bits.free.word[w] & mask) == 0 && (~bits.resident.word[w] & mask) == 0,
                      "G1 a page is freed once: it is not in use");
        bits.free.word[w] |= mask;
        if (released) bits.resident.word[w] &= ~mask;
    });
    if (!released) marks_.set(tables_, mark::loose, chunk);  // G5
    for (unsigned unit = at / unit_pages; unit <= (at + n - 1) / unit_pages; ++unit) {
        const unsigned start = unit * unit_pages;
        // One look at the first word says "no" nearly always.
        if (bits.free.word[start / word_pages] != ~std::uint64_t{0}) continue;
        if (!bits.free.all(start, unit_pages)) continue;
        if (!released || bits.resident.any(start, unit_pages)) {
            marks_.set(tables_, mark::whole, chunk);
        }
    }
}

// Bits of this chunk are about to change. Its summaries follow when another chunk
// is opened or a search wants them (G2).
void page_heap::open_chunk(unsigned chunk) noexcept {
    if (open_ == chunk) return;
    settle();
    open_ = chunk;
}

// Bits of these chunks have changed: their summaries follow at once.
void page_heap::summarise(unsigned first_chunk, unsigned last_chunk) noexcept {
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
    const page_summary before = leaf, now = page_summary::of(tables_.chunk(c).free);
    if (before == now) return;
    leaf = now;
    if (!same_fold(before, now, tables_.summary(leaf_level - 1, c / summary_fanout))) refold(c, c);
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

}  // namespace steady::detail
