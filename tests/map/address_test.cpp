// address_test.cpp - the arithmetic of stretching: even shares, order, and that the state can
// be walked both ways.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "steady/core/random.hpp"
#include "steady/map/detail/address.hpp"

namespace {

using namespace steady::detail;

constexpr std::uint64_t some_sizes[] = {1, 2, 3, 5, 16, 80, 100, 1616, 4096, 104'208, 1'048'577};

TEST(Address, A1_AllGroupsHaveTheSameShareOfTheHashes) {
    for (const std::uint64_t groups : some_sizes) {
        const std::uint64_t share = groups == 1 ? 0 : ~std::uint64_t{0} / groups;
        for (std::uint64_t n = 0; n + 1 < groups; ++n) {
            const std::uint64_t width = first_hash(n + 1, groups) - first_hash(n, groups);
            ASSERT_GE(width, share) << n << " of " << groups;
            ASSERT_LE(width, share + 1) << n << " of " << groups;
        }
    }
}

TEST(Address, A2_ALargerScaleIsAStretchedOne) {
    steady::splitmix64 random(1);
    for (int i = 0; i < 100'000; ++i) {
        const std::uint64_t hash = random.next();
        std::uint64_t before = 0;
        for (unsigned s = 0; s < 40; ++s) {
            const std::uint64_t groups = clusters_at(s) * 16;
            const std::uint64_t number = group_number(hash, groups);
            ASSERT_LT(number, groups);
            ASSERT_GE(number, before);
            before = number;
        }
    }
}

TEST(Address, A3_TheFirstHashOfAGroupIsTheFirst) {
    for (const std::uint64_t groups : some_sizes) {
        EXPECT_EQ(first_hash(0, groups), 0u);
        for (std::uint64_t n = 1; n < groups; ++n) {
            const std::uint64_t first = first_hash(n, groups);
            ASSERT_EQ(group_number(first, groups), n);
            ASSERT_EQ(group_number(first - 1, groups), n - 1);
        }
        EXPECT_EQ(group_number(~std::uint64_t{0}, groups), groups - 1);
    }
}

TEST(Address, A4_StepsAreWalkedBothWays) {
    growth_state s;
    std::vector<growth_state> states;
    for (int i = 0; i < 5000; ++i) {
        states.push_back(s);
        s.advance();
    }
    EXPECT_GT(s.low, doublings + 3);
    while (!states.empty()) {
        s.retreat();
        ASSERT_EQ(s, states.back());
        states.pop_back();
    }
    EXPECT_EQ(s, growth_state{});
}

TEST(Address, NoPassMoreThanDoublesAndLongOnesStretchByAQuarter) {
    constexpr unsigned thirds = steady::detail::doublings;  // from this scale on
    for (unsigned s = 0; s < 80; ++s) {
        EXPECT_GT(clusters_at(s + 1), clusters_at(s));
        EXPECT_LE(clusters_at(s + 1), 2 * clusters_at(s)) << s;
    }
    for (unsigned s = thirds; s < 80; ++s) {
        EXPECT_LE(32 * clusters_at(s + 1), 41 * clusters_at(s)) << s;
        EXPECT_EQ(clusters_at(s + 3), 2 * clusters_at(s));
        EXPECT_EQ(scales_to_half(s + 3), 3u);
    }
    EXPECT_EQ(scales_to_half(0), 0u);
    EXPECT_EQ(scales_to_half(1), 1u);
}

TEST(Address, LimitsRiseWithEveryStepAndEndWhenTheLowScaleIsFull) {
    constexpr std::uint64_t full = 200;
    growth_state s;
    std::uint64_t before = 0;
    for (int i = 0; i < 5000; ++i) {
        const std::uint64_t limit = limit_of(s, full);
        ASSERT_GE(limit, before);
        ASSERT_LE(limit, s.low_clusters() * full);
        before = limit;
        s.advance();
    }
}

TEST(Address, NoTagMeansEmpty) {
    for (std::uint64_t low = 0; low < 256; ++low) {
        EXPECT_NE(tag_of(low), 0);
        EXPECT_EQ(tag_word_of(low), tag_of(low) * 0x01010101u);
    }
}

}  // namespace
