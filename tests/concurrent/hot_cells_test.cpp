// Hot keys are found, and nothing is lost on the way to their cells and back.
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "steady/concurrent/hot_cells.hpp"

namespace {

TEST(hot_cells, a_key_with_a_third_of_the_writes_becomes_hot_and_cools_again) {
    steady::hot_cells<std::uint64_t> cells;
    std::mt19937_64 random(1);
    std::int64_t hot = 0;
    for (int i = 0; i < 400'000; ++i) {
        const bool is_hot = random() % 100 < 37;
        cells.add(is_hot ? 10001 : random() % 100'000 + 20'000, 1);
        hot += is_hot;
    }
    EXPECT_TRUE(cells.is_hot(10001));
    EXPECT_EQ(cells.stats().hot_keys, 1u);
    EXPECT_EQ(cells.read(10001), hot);
    EXPECT_EQ(cells.read_fast(10001), hot);
    for (int i = 0; i < 3'000'000; ++i) cells.add(random() % 100'000 + 20'000, 1);
    EXPECT_FALSE(cells.is_hot(10001));
    EXPECT_EQ(cells.read(10001), hot);
    EXPECT_EQ(cells.map().find(10001), hot);
}

TEST(hot_cells, nothing_becomes_hot_under_even_traffic) {
    steady::hot_cells<std::uint64_t> cells;
    for (std::uint64_t i = 0; i < 500'000; ++i) cells.add(i % 1000, 1);
    EXPECT_EQ(cells.stats().promotions, 0u);
    EXPECT_GT(cells.stats().samples, 1500u);
}

TEST(hot_cells, keys_that_would_share_a_counter_modulo_1024_do_not) {
    steady::hot_cells<std::uint64_t> cells;
    cells.add(10001, 1);
    cells.add(10001 + 1024, 5);
    ASSERT_TRUE(cells.promote(10001));
    ASSERT_TRUE(cells.promote(10001 + 1024));
    for (int i = 0; i < 100; ++i) {
        cells.add(10001, 1);
        cells.add(10001 + 1024, 5);
    }
    EXPECT_EQ(cells.read(10001), 101);  // K1, and the cold value is part of it
    EXPECT_EQ(cells.read(10001 + 1024), 505);
}

TEST(hot_cells, a_full_set_of_cells_leaves_the_rest_cold) {
    steady::hot_cells<std::uint64_t> cells;
    for (std::uint64_t k = 0; k < 20; ++k) {
        cells.add(k, 1);
        EXPECT_EQ(cells.promote(k), k < 16);
    }
    EXPECT_FALSE(cells.promote(1000));  // has no value
    EXPECT_TRUE(cells.demote(3));
    EXPECT_TRUE(cells.promote(17));
    cells.cool();
    EXPECT_EQ(cells.stats().hot_keys, 0u);
    for (std::uint64_t k = 0; k < 20; ++k) EXPECT_EQ(cells.read(k), 1);
}

TEST(hot_cells, no_add_is_lost_while_a_key_heats_and_cools_and_reads_never_go_back) {
    steady::hot_cells<std::uint64_t> cells;
    cells.add(1, 1);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 100'000; ++i) cells.add(1, 1);
        });
    }
    std::thread reader([&] {
        std::int64_t last = 0;
        while (!stop) {
            const auto v = cells.read(1);
            ASSERT_TRUE(v.has_value());
            ASSERT_GE(*v, last);  // K3
            last = *v;
        }
    });
    for (int i = 0; i < 300; ++i) {
        cells.promote(1);
        std::this_thread::yield();
        cells.demote(1);
    }
    for (auto& t : threads) t.join();
    stop = true;
    reader.join();
    EXPECT_EQ(cells.read(1), 300'001);  // K2
    cells.cool();
    EXPECT_EQ(cells.map().find(1), 300'001);
}

TEST(hot_cells, the_last_value_written_is_read_across_promotions) {
    steady::hot_cells<std::uint64_t, std::uint64_t, steady::hot_kind::last_value> cells;
    cells.store(1, 0);
    std::atomic<bool> stop{false};
    std::thread control([&] {
        while (!stop) {
            cells.promote(1);
            std::this_thread::yield();
            cells.demote(1);
        }
    });
    for (std::uint64_t i = 1; i < 50'000; ++i) {
        cells.store(1, i);
        ASSERT_EQ(cells.read(1), i);
    }
    stop = true;
    control.join();
}

}  // namespace
