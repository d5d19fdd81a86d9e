// support_test.cpp - the header-only parts of the command: histogram, summary,
// and where words begin and end.
#include "../../tools/demo/words.hpp"
#include "../../tools/support/histogram.hpp"
#include "../../tools/support/summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "steady/core/random.hpp"

namespace {

using steady::cli::histogram;
using steady::cli::summarise;

TEST(Histogram, EveryTickHasOneBucketAndBucketsMeetWithoutGaps) {
    std::uint64_t next = 0;
    for (std::size_t bucket = 0; bucket < histogram::bucket_count; ++bucket) {
        const std::uint64_t last = histogram::upper_end(bucket);
        ASSERT_EQ(histogram::bucket_of(next), bucket);
        ASSERT_EQ(histogram::bucket_of(last), bucket);
        next = last + 1;
    }
    EXPECT_EQ(next, std::uint64_t{1} << histogram::largest_bits);
}

TEST(Histogram, PercentilesAreNeverTooLowAndAtMostOnePercentTooHigh) {
    steady::splitmix64 random(7);
    std::vector<std::uint64_t> values(100'000);
    histogram seen;
    for (std::uint64_t& value : values) {
        value = random() >> (24 + random() % 40);  // all orders of magnitude
        seen.record(value);
    }
    std::sort(values.begin(), values.end());
    for (const double fraction : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
        const auto rank = static_cast<std::size_t>(std::ceil(fraction * 100'000.0)) - 1;
        const auto exact = static_cast<double>(values[rank]);
        const auto found = static_cast<double>(seen.percentile(fraction));
        EXPECT_GE(found, exact) << fraction;
        EXPECT_LE(found, exact * 1.01) << fraction;
    }
    EXPECT_EQ(seen.percentile(1.0), values.back()) << "the maximum is exact";
    EXPECT_EQ(seen.largest(), values.back());
}

TEST(Histogram, OneValueIsEveryPercentileAndNoValueIsZero) {
    histogram seen;
    EXPECT_EQ(seen.percentile(0.5), 0u);
    seen.record(1'000'003);
    EXPECT_EQ(seen.percentile(0.0), 1'000'003u);
    EXPECT_EQ(seen.percentile(0.5), 1'000'003u);
    EXPECT_EQ(seen.percentile(1.0), 1'000'003u);
}

TEST(Histogram, AddingTwoIsRecordingBoth) {
    histogram one;
    histogram other;
    histogram both;
    for (std::uint64_t i = 0; i < 5'000; ++i) {
        (i % 3 == 0 ? one : other).record(i * i);
        both.record(i * i);
    }
    one.add(other);
    EXPECT_EQ(one.count(), both.count());
    for (const double fraction : {0.1, 0.5, 0.99, 1.0}) {
        EXPECT_EQ(one.percentile(fraction), both.percentile(fraction));
    }
}

TEST(Summary, TheMedianOfAnEvenNumberLiesBetweenTheTwoInTheMiddle) {
    EXPECT_EQ(summarise({3, 1, 2}).median, 2);
    EXPECT_EQ(summarise({4, 1, 3, 2}).median, 2.5);
    EXPECT_EQ(summarise({4, 1, 3, 2}).smallest, 1);
    EXPECT_EQ(summarise({4, 1, 3, 2}).largest, 4);
    EXPECT_EQ(summarise({}).median, 0);
}

TEST(Words, AreRunsOfLettersDigitsUnderscoresAndBytesBeyondAscii) {
    const auto words = [](std::string_view text) {
        std::vector<std::string> found;
        steady::cli::demo::word_reader reader(text);
        for (std::string_view word; reader.read(word);) found.emplace_back(word);
        return found;
    };
    using list = std::vector<std::string>;
    EXPECT_EQ(words("std::max<int>(gr\xc3\xb6\xc3\x9f"
                    "e, 0x7f)"),
              (list{"std", "max", "int",
                    "gr\xc3\xb6\xc3\x9f"
                    "e",
                    "0x7f"}));
    EXPECT_EQ(words(""), list{});
    EXPECT_EQ(words(" \n\t.,"), list{});
    EXPECT_EQ(words("one"), list{"one"});
    EXPECT_EQ(words("_a-b_"), (list{"_a", "b_"}));
}

}  // namespace
