// hash_policy_test.cpp - seeds, and what bad and hostile hashing costs: counted in groups
// that a search reads, because that is what a flood makes worse.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "steady/map/map.hpp"
#include "steady/map/set.hpp"

namespace {

using keys = steady::set<std::uint64_t>;

TEST(HashPolicy, H1_MapsHaveDifferentSeeds) {
    std::set<std::uint64_t> seeds;
    for (int i = 0; i < 1000; ++i) {
        keys k;
        k.insert(1);
        seeds.insert(k.raw_table().seed());
    }
    EXPECT_EQ(seeds.size(), 1000u);
}

TEST(HashPolicy, H1_KeysChosenToCollideInOneMapAreOrdinaryInAnother) {
    keys victim;
    victim.insert(0);
    // Keys that share twelve high bits with key 1 of this map: one group of 4,096.
    std::vector<std::uint64_t> flood;
    const std::uint64_t like = victim.raw_table().hash_of(std::uint64_t{1}) >> 52;
    for (std::uint64_t i = 1; flood.size() < 3000; ++i) {
        const std::uint64_t key = steady::finalise(i);
        if (victim.raw_table().hash_of(key) >> 52 == like) flood.push_back(key);
    }
    keys other;
    for (const std::uint64_t key : flood) {
        victim.insert(key);
        other.insert(key);
    }
    const auto bad = victim.stats(), good = other.stats();
    EXPECT_GT(bad.displaced, flood.size() / 2) << "or the flood is none";
    EXPECT_LT(good.displaced, flood.size() / 8);
    EXPECT_EQ(good.chained_blocks, 0u);
}

/// One multiplication does not hide every stride from every seed: about one map in two hundred
/// displaces more than a tenth of its entries or chains a twentieth to a fifth of its clusters.
/// So of five maps the middle one must be nearly even, and none may be bad.
template <class Make>
void expect_even(Make make, const char* what) {
    constexpr std::size_t maps = 5;
    std::vector<double> displaced, chained;
    for (std::size_t m = 0; m < maps; ++m) {
        keys k;
        for (std::uint64_t i = 0; i < 50000; ++i) k.insert(make(i));
        const auto s = k.stats();
        displaced.push_back(static_cast<double>(s.displaced) / static_cast<double>(s.entries));
        chained.push_back(static_cast<double>(s.chained_blocks) / static_cast<double>(s.clusters));
    }
    std::sort(displaced.begin(), displaced.end());
    std::sort(chained.begin(), chained.end());
    EXPECT_LT(displaced[maps / 2], 0.15) << what;
    EXPECT_LT(chained[maps / 2], 0.10) << what;
    EXPECT_LT(displaced.back(), 0.40) << what;
    EXPECT_LT(chained.back(), 0.40) << what;
}

TEST(HashPolicy, KeysWithPatternsAreSpread) {
    for (int shift = 0; shift < 47; ++shift) {
        expect_even([=](std::uint64_t i) { return i << shift; }, "multiples of a power of two");
        expect_even([=](std::uint64_t i) { return 0x7f3a'1234'5000 + (i << (shift % 20)); },
                    "addresses");
    }
    for (const std::uint64_t step : {3u, 5u, 7u, 10u, 12u, 24u, 40u, 48u, 56u, 72u, 100u, 1000u,
                                     3600u, 86400u, 1'000'000u, 86'400'000u, 1'000'000'007u}) {
        expect_even([=](std::uint64_t i) { return i * step; }, "multiples");
    }
    expect_even([](std::uint64_t i) { return ~i; }, "from the top down");
    expect_even([](std::uint64_t i) { return (i % 448) << 32 | i / 448; }, "two coordinates");
    expect_even([](std::uint64_t i) { return steady::finalise(i); }, "random");
}

TEST(HashPolicy, H2_StandardHashesOfEveryKindAreSpread) {
    steady::map<double, int> reals;
    for (int i = 0; i < 50000; ++i) reals.try_emplace(i * 0.5, i);
    EXPECT_LT(reals.stats().chained_blocks, reals.stats().clusters / 20);
    EXPECT_EQ(reals.at(100.5), 201);
    EXPECT_TRUE(reals.contains(-0.0));
    steady::map<const int*, int> addresses;
    std::vector<int> targets(50000);
    for (const int& target : targets) addresses.try_emplace(&target, 1);
    EXPECT_LT(addresses.stats().chained_blocks, addresses.stats().clusters / 20);
    enum class colour : std::uint8_t { red, green };
    steady::set<colour> colours = {colour::red, colour::green};
    EXPECT_EQ(colours.size(), 2u);
}

TEST(HashPolicy, AMapTellsThatItsHashIsBad) {
    struct four_values {
        std::size_t operator()(std::uint64_t n) const noexcept { return n % 4; }
    };
    steady::map<std::uint64_t, int, four_values> m;
    for (std::uint64_t i = 0; i < 3000; ++i) m.try_emplace(i, 1);
    const auto s = m.stats();
    EXPECT_GT(s.chained_blocks, s.clusters / 8);
    EXPECT_GT(s.longest_search, 16u);
    for (std::uint64_t i = 0; i < 3000; ++i) ASSERT_TRUE(m.contains(i));
}

}  // namespace
