// huge_slots_test.cpp - address space is handed out once at a time, merges again, and
// lasts: the promise is that a program may take and give back for ever.
#include "steady/heap/detail/huge_slots.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

namespace steady::test {
namespace {

using detail::huge_slots;

struct slot {
    std::size_t granule;
    unsigned order;
};

class HugeSlots : public ::testing::Test {
protected:
    void open(unsigned order) {
        tree.assign(huge_slots::tree_size(order).count(), 0);
        taken.assign(std::size_t{1} << order, false);
        slots.open(tree.data(), order);
    }

    // Takes a slot and tests that it is aligned and nobody else's.
    bool take(unsigned order) {
        const std::size_t granule = slots.take(order);
        if (granule == huge_slots::none) return false;
        EXPECT_EQ(granule % (std::size_t{1} << order), 0u);
        for (std::size_t i = 0; i < std::size_t{1} << order; ++i) {
            EXPECT_FALSE(taken[granule + i])
                << "granule " << granule + i << " was handed out twice";
            taken[granule + i] = true;
        }
        live.push_back({granule, order});
        return true;
    }

    void give_back(std::size_t index) {
        const slot s = live[index];
        live[index] = live.back();
        live.pop_back();
        for (std::size_t i = 0; i < std::size_t{1} << s.order; ++i) taken[s.granule + i] = false;
        slots.give_back(s.granule, s.order);
    }

    void expect_sound() {
        const char* broken = slots.check();
        EXPECT_EQ(broken, nullptr) << broken;
    }

    std::vector<std::uint8_t> tree;
    std::vector<bool> taken;
    std::vector<slot> live;
    huge_slots slots;
};

TEST_F(HugeSlots, AnAreaOfOneGranuleCanBeTakenOnce) {
    open(0);
    EXPECT_TRUE(take(0));
    EXPECT_FALSE(take(0));
    EXPECT_FALSE(take(1)) << "larger than the area";
    give_back(0);
    EXPECT_TRUE(take(0));
    expect_sound();
}

TEST_F(HugeSlots, AllOfTheAreaCanBeUsedInAnySizeOfSlot) {
    for (unsigned order = 0; order <= 6; ++order) {
        open(6);
        live.clear();
        for (std::size_t i = 0; i < std::size_t{1} << (6 - order); ++i) EXPECT_TRUE(take(order));
        EXPECT_FALSE(take(0));
        expect_sound();
        EXPECT_EQ(slots.taken(), huge_slots::granule * 64);
    }
}

TEST_F(HugeSlots, SmallSlotsGatherSoThatLargeRunsStayWhole) {
    open(6);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(take(0));
    give_back(2);
    give_back(4);
    ASSERT_TRUE(take(0));
    ASSERT_TRUE(take(0));
    for (const slot& s : live) EXPECT_LT(s.granule, 8u) << "the holes were there, and fit";
    EXPECT_TRUE(take(5));
    expect_sound();
}

TEST_F(HugeSlots, WhatIsGivenBackMergesUntilTheWholeAreaIsFree) {
    open(10);
    std::mt19937_64 random(1);
    for (int round = 0; round < 20; ++round) {
        while (take(static_cast<unsigned>(random() % 4))) {
        }
        while (!live.empty()) give_back(random() % live.size());
        EXPECT_EQ(slots.taken(), 0_B);
        ASSERT_TRUE(take(10)) << "one slot of the whole area must fit again";
        give_back(0);
        for (const std::uint8_t deficit : tree) EXPECT_EQ(deficit, 0);
    }
}

TEST_F(HugeSlots, ALongRunOfMixedSizesNeverRunsOutWhileThreeQuartersAreFree) {
    open(18);  // 16 TiB
    std::mt19937_64 random(7);
    std::size_t in_use = 0;
    const std::size_t quarter = std::size_t{1} << 16;
    for (int i = 0; i < 400'000; ++i) {
        const auto order = static_cast<unsigned>(std::countr_zero(random() | 1 << 10));
        const std::size_t granules = std::size_t{1} << order;
        if (in_use + granules <= quarter) {
            ASSERT_TRUE(take(order)) << "step " << i << ", order " << order;
            in_use += granules;
        }
        while (!live.empty() && (in_use + 1024 > quarter || random() % 2 == 0)) {
            const std::size_t victim = random() % live.size();
            in_use -= std::size_t{1} << live[victim].order;
            give_back(victim);
        }
        if (i % 50'000 == 0) expect_sound();
    }
    expect_sound();
}

TEST_F(HugeSlots, CheckFindsATreeThatWasOverwritten) {
    open(4);
    ASSERT_TRUE(take(1));
    ASSERT_TRUE(take(0));
    expect_sound();
    for (const std::size_t node : {1, 2, 3, 4, 5, 8, 9}) {  // the others lie below free ones
        const std::uint8_t good = tree[node];
        tree[node] = 99;
        EXPECT_NE(slots.check(), nullptr) << "node " << node;
        tree[node] = good;
    }
    expect_sound();
}

}  // namespace
}  // namespace steady::test
