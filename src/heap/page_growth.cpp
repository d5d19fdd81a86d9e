// page_growth.cpp - how a page heap's slice grows, and which pieces become huge
// pages. The story of the rest is in page_heap.hpp.
//
//   ... |##..| free at top |<- missing, rounded up to chunks ->|
//                          ^ top_
//
// Only what is missing behind the free pages at the top is prepared, so that a
// run of n pages never costs more than n pages of new memory plus a chunk.
//
// Where the address space could not be reserved, somebody else's mapping may lie
// in the way (errc::occupied). The chunks before it join the heap one by one,
// its chunk is skipped for good, and the run starts afresh behind it.
//
// Huge pages make first touch 4.5 times cheaper per byte (174 us per 2 MiB
// against 1.5 us per 4 KiB), but one object then costs 2 MiB: a heap that asks for
// them from the start needs 58 MiB where 11 would do. So the policy `adaptive`
// waits until the heap has shown that it is big (256 MiB in use, of which a chunk of
// slack is 1.6 % at worst) and dense (more than half of it in use). Until then it
// refuses them, for on a system that is set to `always` (Debian is) the first object
// would cost 2 MiB. Only spans of small objects count: of the large ones many are never
// touched to their end (a compiler's: 61 of 69 MiB). In smaller heaps units become huge once
// they are full of small objects (filled_unit), which makes nothing resident.
#include <steady/heap/detail/page_heap.hpp>

#include <steady/core/check.hpp>

namespace steady::detail {

result<void> page_heap::open(os::area& memory, bytes offset, pages capacity, os::area& tables,
                             bytes tables_offset, bytes os_page) noexcept {
    std::byte* const base = memory.base() + offset.count();
    const std::size_t chunks = capacity.count() / chunk_pages;
    if (reinterpret_cast<std::uintptr_t>(base) % (std::size_t{unit_pages} << page_shift) != 0) {
        return error{errc::invalid_argument, 0, "opening a page heap off a 2 MiB boundary"};
    }
    if (capacity.count() % chunk_pages != 0 || chunks == 0 || chunks > most_chunks) {
        return error{errc::invalid_argument, 0,
                     "opening a page heap of no whole chunks of 4 MiB, or above 1 TiB"};
    }
    memory_ = &memory;
    memory_offset_ = offset;
    tables_area_ = &tables;
    tables_offset_ = tables_offset;
    base_ = base;
    tables_ = page_tables{tables.base() + tables_offset.count()};
    capacity_ = static_cast<unsigned>(chunks);
    if (os_page > page_size) grain_ = static_cast<unsigned>(os_page / page_size);
    return {};
}

bytes page_heap::tables_size(pages capacity) noexcept {
    return round_up(page_tables::size_for(capacity.count() / chunk_pages), 64_KiB);
}

void page_heap::advise(huge_page_policy policy, pages threshold) noexcept {
    advised_ = true;
    policy_ = policy;
    threshold_ = threshold;
}

bool page_heap::wants_huge_pages() const noexcept {
    const huge_page_policy policy = advised_ ? policy_ : options().hugepages;
    if (policy == huge_page_policy::off) return false;
    const std::size_t dense = in_use_ - sparse_;
    const bool big = dense >= threshold_.count() && dense > grown_ / 2;
    if (policy == huge_page_policy::adaptive && !big) return false;
    return os::huge_pages_available();
}

page_index page_heap::filled_unit(page_index page) const noexcept {
    const unsigned chunk = chunk_of(page), half = page % chunk_pages / unit_pages;
    if (tables_.chunk(chunk).free.any(half * unit_pages, unit_pages)) return no_page;
    const page_notes& notes = tables_.notes(chunk / group_chunks);
    if ((notes.huge[half] & chunk_bit(chunk)) != 0) return no_page;
    const huge_page_policy policy = advised_ ? policy_ : options().hugepages;
    if (policy != huge_page_policy::adaptive || in_use_ - sparse_ < collapse_threshold.count())
        return no_page;
    return os::huge_pages_available() ? chunk * chunk_pages + half * unit_pages : no_page;
}

void page_heap::note_collapse(page_index unit) noexcept {
    tables_.notes(chunk_of(unit) / group_chunks).huge[unit % chunk_pages / unit_pages] |=
        chunk_bit(chunk_of(unit));
}

// As if it had been broken: it is to stay in small pages until it is given back as a whole.
void page_heap::note_no_collapse(page_index unit) noexcept {
    tables_.notes(chunk_of(unit) / group_chunks).broken[unit % chunk_pages / unit_pages] |=
        chunk_bit(chunk_of(unit));
}

// Free pages that end where the slice would grow. A skipped chunk has none (T1).
unsigned page_heap::free_at_top() const noexcept {
    unsigned length = 0;
    for (unsigned c = top_; c-- > 0;) {
        const unsigned here = tables_.chunk(c).free.run_at_end();
        length += here;
        if (here != chunk_pages) break;
    }
    return length;
}

// Makes room for n pages at an aligned place.
//
// Returns    where the room starts: the lowest such place, for the caller has
//            looked everywhere below.
result<page_index> page_heap::grow(unsigned n, unsigned alignment) noexcept {
    unsigned carry = free_at_top();
    for (;;) {
        const page_index top = top_ * chunk_pages;
        const page_index first = aligned_up(top - carry, alignment);
        const std::size_t end = std::size_t{first} + n;
        if (end <= top) return first;
        const std::size_t missing = (end - top + chunk_pages - 1) / chunk_pages;
        if (missing > capacity_ - top_) {
            return error{errc::out_of_memory, 0, "growing a page heap beyond its slice"};
        }
        auto count = static_cast<unsigned>(missing);
        auto done = prepare_chunks(top_, count);
        if (!done && done.error().code == errc::occupied && count > 1) {
            count = 1;
            done = prepare_chunks(top_, count);
        }
        if (done) {
            carry += count * chunk_pages;
        } else if (done.error().code == errc::occupied) {
            ++top_;
            carry = 0;
        } else {
            return done.error();
        }
    }
}

// Adds chunks at the top of the slice: all of their pages free, none resident.
result<void> page_heap::prepare_chunks(unsigned first, unsigned count) noexcept {
    if (const auto ready = prepare_tables(first + count); !ready) {
        // A stranger among the chunks is stepped over, which takes tables to say so; a
        // stranger among the tables leaves nowhere to go.
        error why = ready.error();
        if (why.code == errc::occupied) why.code = errc::out_of_memory;
        return why;
    }
    const page_index first_page = first * chunk_pages;
    const pages size{std::size_t{count} * chunk_pages};
    const auto done =
        memory_->prepare(memory_offset_ + to_bytes(pages{first_page}), to_bytes(size));
    if (!done) return done;

    // A refused hint is no failure: the pages are then as the system makes them.
    const bool wanted = wants_huge_pages();
    const auto hint = wanted ? os::hint_huge(address(first_page), to_bytes(size))
                             : os::hint_no_huge(address(first_page), to_bytes(size));
    const bool huge = wanted && hint;
    for (unsigned c = first; c < first + count; ++c) {
        tables_.chunk(c).free.fill();
        if (!huge) continue;
        page_notes& notes = tables_.notes(c / group_chunks);
        for (std::uint64_t& units : notes.huge) units |= chunk_bit(c);
    }
    grown_ += size.count();
    top_ = first + count;
    high_water_ = top_ * chunk_pages;
    summarise(first, top_ - 1);
    lower_hints(first);
    STEADY_ASSERT(3, check(nullptr), "G1..G5 the page heap is consistent after it has grown");
    return {};
}

// The tables grow in front of the slice, by OS pages: what is prepared of them is
// what the grown part needs, and no more is ever touched.
result<void> page_heap::prepare_tables(unsigned chunks) noexcept {
    const bytes needed = round_up(page_tables::size_for(chunks), os::os_page());
    if (needed <= tables_ready_) return {};
    const bytes more = needed - tables_ready_;
    const bytes at = tables_offset_ + tables_ready_;
    if (const auto done = tables_area_->prepare(at, more); !done) return done;
    os::use(tables_area_->base() + at.count(), more);
    tables_ready_ = needed;
    return {};
}

}  // namespace steady::detail
