// page_scavenge_test.cpp - what goes back to the system, in which order, in which
// pieces; and that check() notices every kind of damage.

#include <steady/core/hooks.hpp>
#include <steady/heap/detail/page_tables.hpp>
#include <steady/os/detail/syscall.hpp>

#include "heap/page_slice.hpp"

namespace {

using namespace steady;
using namespace steady::test;
using detail::page_tables;

struct hint_counter {
    hint_counter() {
        os_hook.install(
            [](void* self, const os_event& e) {
                if (e.call == os_call::huge_page_hint) ++static_cast<hint_counter*>(self)->hints;
            },
            this);
    }
    ~hint_counter() { os_hook.remove(); }
    unsigned hints = 0;
};

TEST(PageScavenge, NothingDirtyIsNothingToGiveBack) {
    slice s(2048_pages);
    EXPECT_EQ(s.scavenge(256_pages, true).count, 0u) << "before the first growth";
    const page_run run = *s.heap.allocate(300_pages);
    EXPECT_EQ(s.scavenge(256_pages, true).count, 0u) << "in use, or never used";
    s.heap.free(run.first, 300_pages);
    EXPECT_EQ(s.scavenge(0_pages, true).count, 0u);
    EXPECT_EQ(s.heap.free_resident(), 300_pages);
}

TEST(PageScavenge, WholeUnitsGoFirstAndTheHighestOfThemFirst) {
    slice s(8192_pages);
    ASSERT_TRUE(s.heap.allocate(2048_pages));  // units 0..7
    s.heap.free(0, 256_pages);                 // unit 0
    s.heap.free(3 * 256, 256_pages);           // unit 3
    s.heap.free(4 * 256 + 10, 200_pages);      // part of unit 4
    s.heap.free(2000, 40_pages);               // part of unit 7
    const page_index expected[][2] = {{3 * 256, 256}, {0, 256}, {2000, 40}, {4 * 256 + 10, 200}};
    for (const auto& [first, count] : expected) {
        const auto taken = s.scavenge(256_pages);
        EXPECT_EQ(taken.first, first);
        EXPECT_EQ(taken.count, count);
        s.expect_consistent();
    }
    EXPECT_EQ(s.scavenge(256_pages, true).count, 0u);
    EXPECT_EQ(s.heap.free_resident(), 0_pages);
    EXPECT_EQ(s.heap.free_scavenged(), 752_pages);
}

TEST(PageScavenge, ACandidateNeverExceedsItsBudgetNorAUnit) {
    slice s(8192_pages);
    ASSERT_TRUE(s.heap.allocate(3000_pages));
    s.heap.free(0, 3000_pages);
    for (const unsigned budget : {1u, 7u, 64u, 255u, 256u, 5000u}) {
        const auto taken = s.scavenge(pages{budget});
        EXPECT_LE(taken.count, budget);
        EXPECT_LE(taken.count, unit_pages);
        EXPECT_GE(taken.count, 1u);
    }
    std::size_t given = 3000 - s.heap.free_resident().count();
    while (const auto more = s.scavenge(100_pages).count) given += more;
    EXPECT_EQ(given, 3000u) << "all of it goes in the end";
    s.expect_consistent();
}

TEST(PageScavenge, ASmallBudgetTakesTheTopOfTheHighestRun) {
    slice s(1024_pages);
    ASSERT_TRUE(s.heap.allocate(400_pages));
    s.heap.free(100, 100_pages);
    const auto taken = s.scavenge(8_pages);
    EXPECT_EQ(taken.first, 192u);
    EXPECT_EQ(taken.count, 8u);
}

TEST(PageScavenge, CandidatesAreNobodysUntilTheyAreFinished) {
    slice s(1024_pages);
    ASSERT_TRUE(s.heap.allocate(512_pages));
    s.heap.free(0, 512_pages);
    page_heap::scavenge_candidate taken{};
    ASSERT_TRUE(s.heap.take_scavenge_candidate(256_pages, false, taken));
    EXPECT_EQ(taken.first, 256u);
    EXPECT_EQ(s.heap.free_resident(), 512_pages) << "still there, still nobody's";
    s.expect_consistent();
    EXPECT_EQ(s.heap.allocate(300_pages)->first, 512u) << "not through the candidate";
    EXPECT_FALSE(s.heap.extend(256, 1_pages));
    s.heap.finish_scavenge(taken, false);
    s.expect_consistent();
    const page_run run = *s.heap.allocate(512_pages);
    EXPECT_EQ(run.first, 0u);
    EXPECT_FALSE(run.zeroed) << "the system had refused: contents are what they were";
}

TEST(PageScavenge, PagesFreedBesideACandidateAreFoundWhenItComesBack) {
    slice s(1024_pages);
    ASSERT_TRUE(s.heap.allocate(512_pages));
    s.heap.free(0, 200_pages);
    page_heap::scavenge_candidate taken{};
    ASSERT_TRUE(s.heap.take_scavenge_candidate(256_pages, false, taken));
    EXPECT_EQ(taken.count, 200u);
    s.heap.free(200, 56_pages);  // completes unit 0, but for the candidate
    os::decommit(s.address(taken.first), to_bytes(pages{taken.count}), true).value();
    s.heap.finish_scavenge(taken, true);
    s.expect_consistent();
    const auto rest = s.scavenge(256_pages);
    EXPECT_EQ(rest.first, 200u);
    EXPECT_EQ(rest.count, 56u);
}

/// A slice whose pieces are all asked to be huge pages.
struct huge_slice : slice {
    huge_slice() : slice(4096_pages) {
        heap.advise(page_heap::huge_page_policy::on);
        EXPECT_TRUE(heap.allocate(1024_pages));
    }
};

TEST(PageScavenge, AHugePageIsBrokenForAMebibyteOrByForce) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    huge_slice s;
    hint_counter hints;
    s.heap.free(300, 127_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 0u) << "less than 1 MiB";
    s.heap.free(427, 1_pages);
    EXPECT_EQ(s.scavenge(127_pages).count, 0u) << "1 MiB, but not in such pieces";
    EXPECT_EQ(hints.hints, 0u);
    const auto taken = s.scavenge(256_pages);
    EXPECT_EQ(taken.first, 300u);
    EXPECT_EQ(taken.count, 128u);
    EXPECT_EQ(hints.hints, 1u) << "khugepaged must not fill the hole";
    s.heap.free(450, 3_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 3u) << "it is broken already";
    EXPECT_EQ(hints.hints, 1u);

    s.heap.free(700, 5_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 0u);
    EXPECT_EQ(s.scavenge(256_pages, true).count, 5u) << "by force";
    EXPECT_EQ(hints.hints, 2u);
    s.expect_consistent();
}

TEST(PageScavenge, ARefusedHintLeavesTheHugePageInOnePiece) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    huge_slice s;
    s.heap.free(300, 150_pages);
    os::detail::fail_nth_call(1);
    page_heap::scavenge_candidate taken{};
    EXPECT_FALSE(s.heap.take_scavenge_candidate(256_pages, false, taken));
    EXPECT_EQ(os::detail::fail_nth_call(0), 1u);
    s.expect_consistent();
    EXPECT_EQ(s.scavenge(256_pages, true).count, 150u) << "force finds it again";
    s.expect_consistent();
}

TEST(PageScavenge, ABrokenUnitThatComesFreeIsWholeAgain) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    huge_slice s;
    hint_counter hints;
    s.heap.free(256, 200_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 200u);
    EXPECT_EQ(hints.hints, 1u);
    s.heap.free(456, 56_pages);
    const auto taken = s.scavenge(256_pages);
    EXPECT_EQ(taken.first, 256u);
    EXPECT_EQ(taken.count, 256u) << "as one huge page, the part given back before included";
    EXPECT_EQ(hints.hints, 2u);
    s.expect_consistent();
    EXPECT_EQ(s.heap.free_resident(), 0_pages);
    EXPECT_TRUE(s.heap.allocate(256_pages)->zeroed);
    s.heap.free(256, 256_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 256u);
    EXPECT_EQ(hints.hints, 2u) << "nothing to ask for a second time";
}

TEST(PageScavenge, PagesNeverUsedGoWithTheHugePageTheyShare) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    slice s(4096_pages);
    s.heap.advise(page_heap::huge_page_policy::on);
    ASSERT_TRUE(s.heap.allocate(10_pages));
    s.heap.free(0, 10_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 256u);
    EXPECT_EQ(s.heap.free_scavenged(), 512_pages);
    s.expect_consistent();
}

TEST(PageScavenge, CheckNoticesDamage) {
    slice s(4096_pages);
    ASSERT_TRUE(s.heap.allocate(1000_pages));
    s.heap.free(100, 300_pages);
    ASSERT_TRUE(s.heap.allocate(2000_pages));  // a search: nothing is left open below
    const page_tables tables{s.tables.base()};
    const auto says = [&](const char* invariant) {
        message why("test");
        return !s.heap.check(&why) && std::strstr(why.c_str(), invariant) != nullptr;
    };
    ASSERT_TRUE(s.heap.check(nullptr));

    auto& free = tables.chunk(0).free.word[3];
    const auto free_before = free;
    free ^= 1;
    EXPECT_TRUE(says("G1"));
    free = free_before;

    auto& leaf = tables.summary(detail::leaf_level, 0);
    const auto leaf_before = leaf;
    leaf = {1, 1, 1};
    EXPECT_TRUE(says("G2 a leaf"));
    leaf = leaf_before;

    auto& root = tables.summary(0, 0);
    const auto root_before = root;
    root = {};
    EXPECT_TRUE(says("G2 a summary"));
    root = root_before;

    auto& loose = tables.notes(0).marked[static_cast<unsigned>(detail::mark::loose)];
    const auto loose_before = loose;
    loose &= ~std::uint64_t{1};
    EXPECT_TRUE(says("G5") || says("M1"));
    loose = loose_before;
    tables.header().top[0][0] ^= 2;
    EXPECT_TRUE(says("M1"));
    tables.header().top[0][0] ^= 2;
    EXPECT_TRUE(s.heap.check(nullptr));
}

}  // namespace
