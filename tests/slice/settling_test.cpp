// slice_settling_test.cpp - a process of one thread counts slices by their address; when it
// comes to have two, the counts are where both find them. A program of its own: no other test
// may have started a thread here. Each test runs in a process of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "steady/heap/statistics.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;

std::vector<slice<std::int64_t>> counted_by_a_lone_thread() {
    std::vector<slice<std::int64_t>> all;
    for (int i = 0; i < 1000; ++i) {
        const auto s = make_slice<std::int64_t>(6);
        s[5] = i;
        for (int k = 0; k < 3; ++k) all.push_back(s);
        all.push_back(s.from(2));
    }
    return all;
}

void drop_every_second(std::vector<slice<std::int64_t>>& all) {
    for (std::size_t i = 0; i < all.size(); i += 2) all[i] = nullptr;
}

TEST(Settling, CountsOfALoneThreadAreThereForTheSecond) {
    if (!detail::one_thread_only()) GTEST_SKIP() << "a test before this one has started a thread";
    auto all = counted_by_a_lone_thread();
    ASSERT_TRUE(detail::lone_counts_used.load());
    const std::uint64_t before = read_statistics().heap_objects;
    std::thread([&] { drop_every_second(all); }).join();
    EXPECT_FALSE(detail::lone_counts_used.load()) << "LC3";
    EXPECT_EQ(read_statistics().heap_objects, before) << "two of four slices are left of each";
    for (int i = 0; i < 1000; ++i) {
        const auto& s = all[static_cast<std::size_t>(4 * i + 1)];
        ASSERT_EQ(s[5], i);
        ASSERT_EQ(detail::share_count(s.data())->load(), 2u);
    }
    all.clear();
    EXPECT_EQ(read_statistics().heap_objects, before - 1000);
}

TEST(Settling, TwoThreadsMaySettleAtOnce) {
    if (!detail::one_thread_only()) GTEST_SKIP() << "a test before this one has started a thread";
    auto some = counted_by_a_lone_thread(), others = counted_by_a_lone_thread();
    const std::uint64_t before = read_statistics().heap_objects;
    std::thread one([&] { some.clear(); });
    std::thread two([&] { others.clear(); });
    one.join();
    two.join();
    EXPECT_EQ(read_statistics().heap_objects, before - 2000);
}

TEST(Settling, AForkedChildHasTheCounts) {
    if (!detail::one_thread_only()) GTEST_SKIP() << "a test before this one has started a thread";
    for (const bool threads : {false, true}) {
        auto all = counted_by_a_lone_thread();
        const std::uint64_t before = read_statistics().heap_objects;
        if (threads) std::thread([] {}).join();  // the slots are full, and nobody has counted
        const pid_t child = fork();
        if (child == 0) {
            drop_every_second(all);
            const bool kept = read_statistics().heap_objects == before;
            all.clear();
            _exit(kept && read_statistics().heap_objects == before - 1000 ? 0 : 1);
        }
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << (threads ? "with threads" : "alone");
        all.clear();
        EXPECT_EQ(read_statistics().heap_objects, before - 1000);
    }
}

}  // namespace
