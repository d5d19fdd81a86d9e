// page_grain_test.cpp - heap pages on a system whose own pages are larger: 16 and 64 KiB
// on AArch64. What the OS hears of, and what it is given back, are whole pages of its own.

#include <random>

#include "heap/page_slice.hpp"

namespace {

using namespace steady;
using namespace steady::test;

class PageGrain : public testing::TestWithParam<std::size_t> {
protected:
    const std::size_t grain = GetParam();  // heap pages in an OS page
    const bytes os_page = to_bytes(pages{grain});
};

TEST_P(PageGrain, AnAllocationMakesWholeOsPagesResident) {
    slice s(2048_pages, os_page);
    const page_run first = *s.heap.allocate(1_pages);
    EXPECT_TRUE(first.zeroed);
    EXPECT_EQ(s.heap.free_resident(), pages{grain - 1}) << "they came with the first one";
    s.expect_consistent();
    const page_run rest = *s.heap.allocate(pages{grain - 1});
    EXPECT_EQ(s.heap.free_resident(), 0_pages);
    EXPECT_EQ(rest.first, first.first + 1);
    s.expect_consistent();
    const page_run next = *s.heap.allocate(pages{grain + 1});
    EXPECT_EQ(s.heap.free_resident(), pages{grain - 1});
    EXPECT_EQ(next.first, grain);
    s.expect_consistent();
}

TEST_P(PageGrain, WhatCameWithAnAllocationGoesBackWithIt) {
    slice s(2048_pages, os_page);
    const page_run run = *s.heap.allocate(1_pages);
    EXPECT_EQ(s.scavenge(256_pages, true).count, 0u) << "its neighbour is in use";
    s.heap.free(run.first, 1_pages);
    EXPECT_EQ(s.scavenge(256_pages, true).count, grain);
    EXPECT_EQ(s.heap.free_resident(), 0_pages);
    s.expect_consistent();
}

TEST_P(PageGrain, RandomOperationsKeepToWholeOsPages) {
    slice s(8192_pages, os_page);
    std::mt19937 random(7);
    std::vector<page_run> live;
    for (int i = 0; i < 20'000; ++i) {
        const unsigned choice = random() % 8;
        if (choice < 4 && s.heap.in_use() < 4000_pages) {
            const pages n{1 + random() % (random() % 16 == 0 ? 600 : 12)};
            const page_run run = *s.heap.allocate(n);
            for (page_index p = run.first; p < run.first + run.count; ++p) {
                auto* word = reinterpret_cast<unsigned*>(s.address(p) + 4096);
                ASSERT_TRUE(!run.zeroed || *word == 0) << "page " << p;
                *word = 1;
            }
            live.push_back(run);
        } else if (choice < 7 && !live.empty()) {
            const std::size_t at = random() % live.size();
            s.heap.free(live[at].first, pages{live[at].count});
            live[at] = live.back();
            live.pop_back();
        } else if (choice == 7) {
            const auto taken = s.scavenge(pages{1 + random() % 256}, random() % 2 == 0);
            ASSERT_EQ(taken.first % grain, 0u);
            ASSERT_EQ(taken.count % grain, 0u);
        }
        const std::size_t resident = (s.heap.in_use() + s.heap.free_resident()).count();
        ASSERT_EQ(resident % grain, 0u) << "part of an OS page is resident";
        if (i % 256 == 0) s.expect_consistent();
    }
    s.expect_consistent();
}

INSTANTIATE_TEST_SUITE_P(OsPagesOf16And64KiB, PageGrain, testing::Values(2, 8));

}  // namespace
