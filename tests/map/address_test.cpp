// address_test.cpp - the arithmetic of growing: shares, continuity, and that the state
// can be walked forwards, backwards and reached directly.
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "steady/core/random.hpp"
#include "steady/map/detail/address.hpp"

namespace {

using namespace steady::detail;

TEST(Address, A1_PositionsShareTheIndicesEvenly) {
    for (unsigned g = 1; g <= most_positions; ++g) {
        std::vector<unsigned> count(g);
        for (const unsigned p : position_rows[g]) {
            ASSERT_LT(p, g);
            ++count[p];
        }
        for (const unsigned n : count) {
            EXPECT_GE(n, position_indices / g);
            EXPECT_LE(n, position_indices / g + 1);
        }
    }
}

TEST(Address, A2_TheEndOfOneLevelIsTheBeginningOfTheNext) {
    steady::splitmix64 random(1);
    growth_state end, begin;
    while (begin.level < 3) begin.advance();
    end = begin;
    end.retreat();
    ASSERT_EQ(end.level + 1, begin.level);
    // One family short of the end: all others are where the next level wants them.
    auto before = std::make_unique<address_function<4>>(),
         after = std::make_unique<address_function<4>>();
    before->set(end);
    after->set(begin);
    for (int i = 0; i < 100000; ++i) {
        const std::uint64_t hash = random.next();
        const std::uint64_t f = (gray(hash) >> 4) & end.family_mask;
        if (f < end.split) {
            ASSERT_EQ(before->cluster(hash), after->cluster(hash));
        }
    }
}

TEST(Address, A3_HalfOfTheEntriesStayThroughADoubling) {
    unsigned stay = 0, moved = 0;
    for (unsigned x = 0; x < position_indices; ++x) {
        stay += position_rows[partial_expansions][x] == position_rows[most_positions][x];
        for (unsigned g = partial_expansions; g < most_positions; ++g) {
            moved += position_rows[g][x] != position_rows[g + 1][x];
        }
    }
    EXPECT_EQ(stay, position_indices / 2);
    EXPECT_LE(moved, position_indices * 7 / 10);  // 7/12 for K = 2 is the least possible
}

TEST(Address, A4_SplitsMoveEntriesUpwardsOnly) {
    for (unsigned g = 1; g < most_positions; ++g) {
        for (unsigned x = 0; x < position_indices; ++x) {
            EXPECT_GE(position_rows[g + 1][x], position_rows[g][x]);
        }
    }
}

TEST(Address, ClustersAreNumberedWithoutGapsAndWalkedBothWays) {
    growth_state s;
    std::vector<growth_state> states;
    for (std::uint64_t n = 1; n < 5000; ++n) {
        ASSERT_EQ(s.clusters(), n);
        const growth_state direct = growth_state::with_clusters(n);
        ASSERT_EQ(direct.split, s.split);
        ASSERT_EQ(direct.level, s.level);
        ASSERT_EQ(direct.stage, s.stage);
        ASSERT_EQ(direct.family_mask, s.family_mask);
        // The new cluster is the one the family that is split gets.
        ASSERT_EQ(s.split + (std::uint64_t{s.stage} << s.level), n);
        s.advance();
    }
    for (std::uint64_t n = 4999; n >= 1; --n) {
        s.retreat();
        ASSERT_EQ(s.clusters(), n);
        ASSERT_EQ(s.level, growth_state::with_clusters(n).level);
        ASSERT_EQ(s.stage, growth_state::with_clusters(n).stage);
    }
}

TEST(Address, RandomHashesFillAllClustersOfAStageEvenly) {
    steady::splitmix64 random(2);
    for (const std::uint64_t clusters : {1u, 2u, 3u, 4u, 16u, 24u, 32u, 192u}) {
        auto f = std::make_unique<address_function<4>>();
        f->set(growth_state::with_clusters(clusters));
        std::vector<unsigned> count(clusters);
        constexpr unsigned each = 10000;
        for (std::uint64_t i = 0; i < clusters * each; ++i) {
            const std::uint64_t c = f->cluster(random.next());
            ASSERT_LT(c, clusters);
            ++count[c];
        }
        for (const unsigned n : count) {
            EXPECT_GT(n, each * 93 / 100) << clusters;  // 1.6 % from the rows, and noise
            EXPECT_LT(n, each * 107 / 100) << clusters;
        }
    }
}

TEST(Address, NoTagMeansEmpty) {
    for (std::uint64_t top = 0; top < 256; ++top) {
        EXPECT_NE(tag_of(top << 56), 0);
        EXPECT_EQ(tag_word_of(top << 56), tag_of(top << 56) * 0x01010101u);
    }
}

}  // namespace
