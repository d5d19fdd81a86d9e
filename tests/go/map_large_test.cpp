// map_large_test.cpp - what happens in large maps only: overflow buckets counted by a
// coin, arrays that begin on small pages; and walks that begin in the middle of a growth.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <unordered_map>

#include "steady/go/map.hpp"

namespace {

using steady::go::map;

TEST(GoLarge, OverflowBucketsAreCountedByACoinFromSixteenBitsOn) {
    // Like 2^15 of 2^B where each counts with 1 / 2^(B - 15): about right, and repeatable.
    const auto counted = [](std::uint64_t state) {
        steady::go::thread_random() = steady::wyrand{state};
        auto m = map<std::uint64_t, std::uint64_t>::make();
        for (std::uint64_t i = 0; i < 800'000; ++i) m.assign(i, i);
        EXPECT_EQ(m.header()->B, 17);
        EXPECT_EQ(m.header()->oldbuckets, nullptr);
        m.check();
        std::uint64_t overflows = 0;
        const auto* const h = m.header();
        for (std::size_t i = 0; i < h->bucket_count(); ++i) {
            auto* b = steady::go::internal::forward(h->buckets, i * m.bucket_size);
            while ((b = steady::go::internal::overflow_of(b, m.bucket_size)) != nullptr)
                ++overflows;
        }
        EXPECT_GT(overflows, 10'000u);
        EXPECT_NEAR(static_cast<double>(h->noverflow) * 4, static_cast<double>(overflows),
                    static_cast<double>(overflows) / 5);
        return h->noverflow;
    };
    EXPECT_EQ(counted(1), counted(1));
}

TEST(GoLarge, AWalkThatBeginsInTheMiddleOfAGrowthShowsEveryNaNOnce) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (std::uint64_t round = 0; round < 50; ++round) {
        auto m = map<double, int>::make();
        int n = 0;
        while (n < 100 || m.header()->oldbuckets == nullptr) m.assign(nan, n++);
        std::unordered_map<int, int> seen;
        int more = 0;
        for (auto& [key, elem] : m) {
            ++seen[elem];
            if (more < 300) m.assign(more, 1'000'000 + more);
            ++more;
        }
        for (int i = 0; i < n; ++i) EXPECT_EQ(seen[i], 1) << i << " in round " << round;
        m.check();
    }
}

}  // namespace
