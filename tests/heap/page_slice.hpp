// page_slice.hpp - what the tests of the page heap share: a slice of real address
// space with its tables, and a model that answers the same questions by walking
// one byte a page.
#ifndef STEADY_TESTS_HEAP_PAGE_SLICE_HPP
#define STEADY_TESTS_HEAP_PAGE_SLICE_HPP

#include <steady/core/fatal.hpp>
#include <steady/heap/detail/page_heap.hpp>
#include <steady/os/memory.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace steady::test {

using detail::chunk_pages;
using detail::no_page;
using detail::page_heap;
using detail::page_index;
using detail::page_run;
using detail::unit_pages;

/// A page heap over an area of its own. The destructor gives everything back.
class slice {
public:
    explicit slice(pages capacity, bytes os_page = os::os_page())
        : capacity_{capacity}, ready_before_{os::ledgers().ready.value()} {
        memory = os::area::open(to_bytes(capacity), 4_MiB, 0, false, bytes{}).value();
        tables =
            os::area::open(page_heap::tables_size(capacity), 64_KiB, 0, false, bytes{}).value();
        heap.open(memory, bytes{}, capacity, tables, bytes{}, os_page).value();
    }
    ~slice() {
        drop(memory, to_bytes(heap.in_use() + heap.free_resident()));
        drop(tables, tables.prepared());
        EXPECT_EQ(os::ledgers().ready.value(), ready_before_) << "the ledgers do not close";
    }
    slice(const slice&) = delete;
    slice& operator=(const slice&) = delete;

    std::byte* address(page_index page) const {
        return memory.base() + (std::size_t{page} << page_shift);
    }

    /// check() and the ledgers: G1 from outside, and G4.
    void expect_consistent() {
        message why("test");
        EXPECT_TRUE(heap.check(&why)) << why.c_str();
        EXPECT_EQ(heap.grown(), heap.in_use() + heap.free_resident() + heap.free_scavenged());
        EXPECT_EQ(os::ledgers().ready.value() - ready_before_,
                  to_bytes(heap.in_use() + heap.free_resident()) + tables.prepared());
        EXPECT_EQ(memory.prepared(), to_bytes(heap.grown()));
    }

    /// Takes one candidate and gives it back to the system. Returns its pages, 0 when
    /// there is none.
    page_heap::scavenge_candidate scavenge(pages max, bool force = false) {
        page_heap::scavenge_candidate taken{0, 0};
        if (!heap.take_scavenge_candidate(max, force, taken)) return {0, 0};
        const auto done = os::decommit(address(taken.first), to_bytes(pages{taken.count}), true);
        heap.finish_scavenge(taken, static_cast<bool>(done));
        return taken;
    }

    os::area memory, tables;
    page_heap heap;

private:
    // Every prepared part lies in a prefix, up to holes that nobody prepared.
    void drop(os::area& area, bytes ready) {
        if (area.prepared() == bytes{}) {
            area.close().value();
            return;
        }
        const bool whole = &area == &tables || heap.grown() == heap.high_water();
        if (whole) {
            area.unprepare(bytes{}, area.prepared(), ready).value();
            area.close().value();
            return;
        }
        for (bytes at; at < to_bytes(heap.high_water()); at += to_bytes(pages{chunk_pages})) {
            if (skipped.empty() || !is_skipped(at)) {
                const bytes size = to_bytes(pages{chunk_pages});
                area.unprepare(at, size, ready < size ? ready : size).value();
                ready -= ready < size ? ready : size;
            }
        }
        area.close().value();
    }
    bool is_skipped(bytes at) const {
        for (const unsigned chunk : skipped) {
            if (to_bytes(pages{std::size_t{chunk} * chunk_pages}) == at) return true;
        }
        return false;
    }

public:
    std::vector<unsigned>
        skipped;  // chunks under foreign mappings; the test that makes them says so

private:
    pages capacity_;
    bytes ready_before_;
};

/// The page heap's promise in its plainest form: one byte a page, walked.
class model {
public:
    enum state : char { absent, used, dirty, clean };

    explicit model(pages capacity) : page_(capacity.count(), absent) {}

    /// The lowest n free pages in a row, growing as the page heap promises to.
    page_run allocate(unsigned n) {
        page_index first = lowest(n, 0);
        if (first == no_page) {
            grow(free_at_top(), n);
            first = lowest(n, 0);
        }
        return take(first, n);
    }

    page_run allocate_aligned(unsigned n, unsigned alignment, std::size_t first_page) {
        const auto up = [&](page_index page) {
            return static_cast<page_index>(round_up(first_page + page, alignment) - first_page);
        };
        page_index from = 0;
        for (unsigned tries = 0; tries < 16; ++tries) {
            const page_index run = lowest(n, from);
            if (run == no_page) break;
            if (up(run) + n <= run_end(run)) return take(up(run), n);
            from = run_end(run);
        }
        const page_index run = lowest(n + alignment - 1, from);
        if (run != no_page) return take(up(run), n);
        const page_index start = up(top_ - free_at_top());
        if (start + n > top_) grow(top_ - start, n);
        return take(start, n);
    }

    /// Returns whether it worked, and whether what it took was zero.
    bool extend(page_index end, unsigned n, bool& zeroed) {
        unsigned there = 0;
        while (there < n && end + there < top_ && page_[end + there] >= dirty) ++there;
        if (there < n && end + there < top_) return false;
        const std::size_t missing = round_up(std::size_t{n - there}, chunk_pages);
        if (top_ + missing > page_.size()) return false;
        if (there < n) grow(there, n);
        zeroed = take(end, n).zeroed;
        return true;
    }

    void free(page_index first, unsigned n) { fill(first, n, dirty); }
    void released(page_index first, unsigned n) { fill(first, n, clean); }

    bool fits(unsigned n) const {  // as a growth, for tests that stay inside the slice
        return top_ - free_at_top() + round_up(std::size_t{n}, chunk_pages) + chunk_pages <=
               page_.size();
    }
    state at(page_index page) const { return static_cast<state>(page_[page]); }
    page_index top() const { return top_; }
    std::size_t count(state which) const {
        return static_cast<std::size_t>(
            std::count(page_.begin(), page_.begin() + top_, char{which}));
    }

private:
    page_index lowest(unsigned n, page_index from) const {
        for (page_index page = from; page < top_;) {
            if (page_[page] < dirty) {
                ++page;
                continue;
            }
            page_index end = page;
            while (end < top_ && end - page < n && page_[end] >= dirty) ++end;
            if (end - page == n) return page;
            page = end;
        }
        return no_page;
    }
    page_index run_end(page_index page) const {
        while (page < top_ && page_[page] >= dirty) ++page;
        return page;
    }
    unsigned free_at_top() const {
        unsigned n = 0;
        while (n < top_ && page_[top_ - n - 1] >= dirty) ++n;
        return n;
    }
    void grow(unsigned there, unsigned n) {
        const auto more = static_cast<unsigned>(round_up(std::size_t{n - there}, chunk_pages));
        fill(top_, more, clean);
        top_ += more;
    }
    page_run take(page_index first, unsigned n) {
        bool zeroed = true;
        for (page_index page = first; page < first + n; ++page)
            zeroed = zeroed && page_[page] == clean;
        fill(first, n, used);
        return {first, n, zeroed};
    }
    void fill(page_index first, unsigned n, state what) { std::memset(&page_[first], what, n); }

    std::vector<char> page_;
    page_index top_ = 0;
};

}  // namespace steady::test

#endif
