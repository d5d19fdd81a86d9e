// slice_growth_test.cpp - the growth function against the real runtime's answers, and
// the policies against their own words.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "steady/heap/heap.hpp"
#include "steady/slice/growth.hpp"

namespace {

using namespace steady;

std::ptrdiff_t grown(std::size_t size, std::ptrdiff_t cap, std::ptrdiff_t need) {
    return growth::capacity<>(size, cap, need).cap;
}

std::ifstream golden(const char* name) {
    std::ifstream file(std::string(STEADY_SOURCE_DIR "/tests/golden/") + name);
    EXPECT_TRUE(file) << name;
    return file;
}

template <class Policy>
std::vector<std::ptrdiff_t> chain(std::size_t size, std::size_t steps) {
    std::vector<std::ptrdiff_t> caps;
    for (std::ptrdiff_t cap = 0; caps.size() < steps; caps.push_back(cap))
        cap = growth::capacity<Policy>(size, cap, cap + 1).cap;
    return caps;
}

TEST(Growth, ThreeThousandRandomGrowthsEqualTheRealRuntimes) {
    auto file = golden("slice-sample.txt");
    std::size_t size = 0, lines = 0;
    for (std::ptrdiff_t cap = 0, need = 0, expected = 0; file >> size >> cap >> need >> expected;
         ++lines)
        ASSERT_EQ(grown(size, cap, need), expected) << size << ' ' << cap << ' ' << need;
    EXPECT_EQ(lines, 3000u);
}

TEST(Growth, OneMoreThanEveryCapacityUpTo5000EqualsTheRealRuntime) {
    auto file = golden("slice-full-8.txt");
    std::size_t size = 0, lines = 0;
    for (std::ptrdiff_t cap = 0, expected = 0; file >> size >> cap >> expected; ++lines)
        ASSERT_EQ(grown(size, cap, cap + 1), expected) << cap;
    EXPECT_EQ(lines, 5001u);
}

TEST(Growth, ChainsOf56ElementSizesEqualTheRealRuntimes) {
    auto file = golden("slice-chain.txt");
    std::size_t chains = 0;
    for (std::string line; std::getline(file, line); ++chains) {
        std::istringstream words(line);
        std::string word;
        words >> word >> word;
        const std::size_t size = std::stoul(word.substr(3));
        std::ptrdiff_t cap = 0;
        for (std::ptrdiff_t expected = 0; words >> expected;) {
            cap = grown(size, cap, cap + 1);
            ASSERT_EQ(cap, expected) << line.substr(0, 20);
        }
    }
    EXPECT_EQ(chains, 56u);
}

TEST(Growth, SingleGrowthsUpToABillionElementsEqualTheRealRuntimes) {
    auto file = golden("slice-big.txt");
    std::size_t lines = 0;
    for (std::string word, es, cap, need, result; file >> word >> es >> cap >> need >> result;
         ++lines) {
        const std::ptrdiff_t c = std::stol(cap.substr(4));
        const std::string rule = need.substr(5);
        const std::ptrdiff_t n = rule == "c+1"         ? c + 1
                                 : rule == "c+c/4+193" ? c + c / 4 + 193
                                 : rule == "2c"        ? 2 * c
                                                       : 2 * c + 1;
        ASSERT_EQ(grown(std::stoul(es.substr(3)), c, n), std::stol(result.substr(7)))
            << es << ' ' << cap << ' ' << need;
    }
    EXPECT_EQ(lines, 1315u);
}

TEST(Growth, AppendIsNotMonotonic) {
    EXPECT_EQ(grown(1, 1'000'000'000, 2'000'000'000), 2441412608);
    EXPECT_EQ(grown(1, 1'000'000'000, 2'000'000'001), 2000003072);
}

TEST(Growth, BeforeGo118ItDoubledUpTo1024Elements) {
    const std::vector<std::ptrdiff_t> expected{512,  1024, 1280, 1696,  2304,  3072,  4096,
                                               5120, 7168, 9216, 12288, 15360, 19456, 24576};
    const auto caps = chain<growth::go117>(8, 9 + expected.size());
    EXPECT_EQ(std::vector(caps.begin() + 9, caps.begin() + 9 + static_cast<long>(expected.size())),
              expected);
}

TEST(Growth, TheOtherPoliciesDoWhatTheirNamesSay) {
    EXPECT_EQ((chain<growth::doubling>(8, 6)), (std::vector<std::ptrdiff_t>{1, 2, 4, 8, 16, 32}));
    EXPECT_EQ((growth::capacity<growth::doubling>(8, 100, 300).cap), 336)
        << "2400 bytes take a class of 2688";
    EXPECT_EQ((chain<growth::exact>(24, 4)), (std::vector<std::ptrdiff_t>{1, 2, 3, 4}));
    EXPECT_EQ((growth::capacity<growth::exact>(3, 5, 100).bytes), 300u);
}

TEST(Growth, ElementsWithoutSizeNeedNoMemory) {
    const growth::room room = growth::capacity<>(0, 10, 1'000'000'000'000);
    EXPECT_EQ(room.cap, 1'000'000'000'000);
    EXPECT_EQ(room.bytes, 0u);
}

// GR3, with Go's words.
TEST(Growth, WhatCannotBeIsOutOfRange) {
    constexpr std::ptrdiff_t most = PTRDIFF_MAX;
    const auto refused = [](std::size_t size, std::ptrdiff_t cap, std::ptrdiff_t need) {
        try {
            static_cast<void>(growth::capacity<>(size, cap, need));
        } catch (const std::length_error& e) {
            return std::string(e.what()) == "growslice: cap out of range";
        }
        return false;
    };
    EXPECT_TRUE(refused(8, 10, 9)) << "a length that has overflowed";
    EXPECT_TRUE(refused(8, 10, -5));
    EXPECT_TRUE(refused(0, 10, 9));
    EXPECT_TRUE(refused(8, 0, most)) << "the product overflows";
    EXPECT_TRUE(refused(1, 0, most)) << "rounding up would overflow";
    EXPECT_TRUE(refused(1, most - 1, most));
    EXPECT_TRUE(refused(std::size_t{1} << 27, 4, std::ptrdiff_t{1} << 40));
    EXPECT_TRUE(refused(1, 0, (std::ptrdiff_t{1} << 48) + 1));
    EXPECT_FALSE(refused(1, 0, std::ptrdiff_t{1} << 48)) << "the limit itself is allowed";
}

// GR2: the rounding is the heap's own, for every alignment.
TEST(Growth, RoundedSizesAreWhatTheHeapHandsOut) {
    for (const std::size_t alignment : {1, 2, 4, 8, 16, 32, 64, 128, 1024, 4096, 8192, 16384}) {
        for (std::size_t size = alignment; size <= 70'000;
             size += alignment < 64 ? 56 + alignment : alignment) {
            size = size / alignment * alignment;
            void* p = allocate(size, alignment);
            ASSERT_EQ(usable_size(p), growth::round_up_size(size, alignment))
                << size << '@' << alignment;
            deallocate(p);
        }
    }
}

static_assert(growth::capacity<>(8, 256, 257).cap == 512, "known when compiling, where it helps");
static_assert(growth::policy<growth::go> && !growth::policy<int>);

}  // namespace
