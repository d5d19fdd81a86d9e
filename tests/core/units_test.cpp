// units_test.cpp - quantities count, compare and convert, and kinds never mix.

#include "steady/core/units.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>

namespace {

using namespace steady;

template <class A, class B>
concept addable = requires(A a, B b) {
    a + b;
};

TEST(Units, BytesAndPagesDoNotMix) {
    static_assert(addable<bytes, bytes>);
    static_assert(!addable<bytes, pages>);
    static_assert(!addable<bytes, std::size_t>);
    static_assert(!std::convertible_to<std::size_t, bytes>);
    static_assert(!std::convertible_to<bytes, std::size_t>);
    static_assert(!std::constructible_from<bytes, pages>);
}

TEST(Units, ArithmeticIsThatOfNumbers) {
    bytes b = 6_B;
    EXPECT_EQ(b + 2_B, 8_B);
    EXPECT_EQ(b - 2_B, 4_B);
    EXPECT_EQ(b * 3, 18_B);
    EXPECT_EQ(3 * b, 18_B);
    EXPECT_EQ(b / 2, 3_B);
    EXPECT_EQ(b / 4_B, 1u) << "bytes by bytes is a plain number";
    EXPECT_EQ(b % 4_B, 2_B);
    EXPECT_EQ(b += 4_B, 10_B);
    EXPECT_EQ(b -= 1_B, 9_B);
    EXPECT_EQ(b *= 2, 18_B);
    EXPECT_EQ(b /= 3, 6_B);
    EXPECT_EQ(++b, 7_B);
    EXPECT_EQ(b++, 7_B);
    EXPECT_EQ(--b, 7_B);
    EXPECT_EQ(b--, 7_B);
    EXPECT_EQ(b, 6_B);
    EXPECT_LT(6_B, 7_B);
    EXPECT_EQ(bytes{}, 0_B);
}

TEST(Units, LiteralsMeanWhatTheySay) {
    static_assert((1_KiB).count() == 1024);
    static_assert(1_MiB == 1024 * 1_KiB);
    static_assert(1_GiB == 1024 * 1_MiB);
    static_assert(1_TiB == 1024 * 1_GiB);
    static_assert((3_pages).count() == 3);
}

TEST(Units, WholePagesRoundsUpAndToBytesIsExact) {
    EXPECT_EQ(whole_pages(0_B), 0_pages);
    EXPECT_EQ(whole_pages(1_B), 1_pages);
    EXPECT_EQ(whole_pages(8192_B), 1_pages);
    EXPECT_EQ(whole_pages(8193_B), 2_pages);
    EXPECT_EQ(to_bytes(2_pages), 16_KiB);
    EXPECT_EQ(whole_pages(bytes{SIZE_MAX}).count(), (SIZE_MAX >> page_shift) + 1)
        << "the largest size does not wrap to zero pages";
}

TEST(Units, RoundingGoesToMultiplesOfAPowerOfTwo) {
    for (std::size_t v = 0; v < 300; ++v) {
        EXPECT_EQ(round_up(v, 64), (v + 63) / 64 * 64);
        EXPECT_EQ(round_down(v, 64), v / 64 * 64);
    }
    EXPECT_EQ(round_up(5_KiB, 4_KiB), 8_KiB);
    EXPECT_EQ(round_down(5_KiB, 4_KiB), 4_KiB);
    EXPECT_EQ(round_up(5_KiB, 4096), 8_KiB);
    EXPECT_EQ(round_up(SIZE_MAX, 64), 0u) << "wraps, as documented";
    EXPECT_TRUE(is_power_of_two(64));
    EXPECT_FALSE(is_power_of_two(0));
    EXPECT_FALSE(is_power_of_two(96));
}

}  // namespace
