// random_test.cpp - both generators give the published sequences, and wyrand is
// Go's: the vectors were read out of go1.19's runtime with its state pinned.

#include "steady/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <set>

namespace {

using namespace steady;

TEST(Wyrand, DrawsWhatGosRuntimeDraws) {
    wyrand r{0};
    EXPECT_EQ(r.fastrand64(), 0x111cb3a78f59a58eu);
    EXPECT_EQ(r.fastrand64(), 0xceabd938ff4e856du);
    EXPECT_EQ(r.fastrand64(), 0x61fb51318f47d2a4u);
}

TEST(Wyrand, FastrandIsTheLowHalfOfTheSameDraw) {
    wyrand r{0};
    EXPECT_EQ(r.fastrand(), 0x8f59a58eu);
    EXPECT_EQ(r.fastrand(), 0xff4e856du);
    EXPECT_EQ(r.fastrand(), 0x8f47d2a4u);
    EXPECT_EQ(r.state(), 3 * 0xa0761d6478bd642f);
}

TEST(Wyrand, FastrandnMultipliesAndShifts) {
    wyrand a{7}, b{7};
    for (std::uint32_t n : {1u, 2u, 3u, 100u, 1u << 31, UINT32_MAX}) {
        const std::uint64_t draw = b.fastrand();
        const std::uint32_t got = a.fastrandn(n);
        EXPECT_EQ(got, draw * n >> 32);
        EXPECT_LT(got, n);
    }
}

TEST(Splitmix64, GivesThePublishedSequence) {
    splitmix64 r{1};
    EXPECT_EQ(r.next(), 0x910a2dec89025cc1u);
    EXPECT_EQ(r.next(), 0xbeeb8da1658eec67u);
    EXPECT_EQ(r.next(), 0xf893a2eefb32555eu);
}

TEST(Generators, AreDeterminedByTheirSeedAndWorkAtCompileTime) {
    static_assert(splitmix64{1}.next() == 0x910a2dec89025cc1);
    static_assert(wyrand{0}.fastrand() == 0x8f59a58e);
    splitmix64 a{9}, b{9};
    for (int i = 0; i < 100; ++i) EXPECT_EQ(a(), b());
}

TEST(Generators, ServeTheStandardAlgorithms) {
    static_assert(std::uniform_random_bit_generator<wyrand>);
    static_assert(std::uniform_random_bit_generator<splitmix64>);
    std::array<int, 100> numbers;
    std::iota(numbers.begin(), numbers.end(), 0);
    auto shuffled = numbers;
    wyrand r{3};
    std::shuffle(shuffled.begin(), shuffled.end(), r);
    EXPECT_NE(shuffled, numbers);
    std::sort(shuffled.begin(), shuffled.end());
    EXPECT_EQ(shuffled, numbers);
}

}  // namespace
