// The map against std::map, one thread and many.
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "steady/concurrent/concurrent_map.hpp"

namespace {

struct tiny : steady::concurrent_map_options {
    static constexpr unsigned largest_log_groups = 2;  // 28 entries a segment
};
template <class K, class V>
using small_segments =
    steady::concurrent_map<K, V, steady::map_hash<K>, steady::map_equal<K>, tiny>;

template <class K>
K make(std::uint64_t n);
template <>
std::uint64_t make(std::uint64_t n) {
    return n;
}
template <>
std::string make(std::uint64_t n) {
    return "a key long enough to own memory: " + std::to_string(n);
}

template <class Map>
void model(std::uint64_t seed, std::uint64_t keys, int operations) {
    using K = typename Map::key_type;
    using V = typename Map::mapped_type;
    Map map;
    std::map<K, V> reference;
    std::mt19937_64 random(seed);
    for (int i = 0; i < operations; ++i) {
        // The working set breathes, so that segments split and merge.
        const bool growing = (i / 5000) % 2 == 0;
        const K key = make<K>(random() % keys);
        const V value = make<V>(random());
        switch (random() % (growing ? 8 : 12)) {
            case 0:
            case 1:
            case 2:
                ASSERT_EQ(map.try_emplace(key, value), reference.try_emplace(key, value).second);
                break;
            case 3:
                ASSERT_EQ(map.insert_or_assign(key, value),
                          reference.insert_or_assign(key, value).second);
                break;
            case 4: {
                const auto there = reference.find(key);
                const bool visited = map.visit(key, [&](V& v) { v = value; });
                ASSERT_EQ(visited, there != reference.end());
                if (visited) there->second = value;
                break;
            }
            case 5: {
                const auto got = map.find(key);
                const auto there = reference.find(key);
                ASSERT_EQ(got.has_value(), there != reference.end());
                if (got) {
                    ASSERT_EQ(*got, there->second);
                }
                break;
            }
            case 6: {
                const auto left = map.compute(key, [&](std::optional<V>& v) {
                    if (v)
                        v.reset();
                    else
                        v = value;
                });
                if (reference.erase(key) == 0) reference.emplace(key, value);
                ASSERT_EQ(left.has_value(), reference.contains(key));
                break;
            }
            default: ASSERT_EQ(map.erase(key), reference.erase(key) == 1); break;
        }
        if (i % 997 == 0) {
            ASSERT_EQ(map.size(), reference.size());
            ASSERT_EQ(map.size_exact(), reference.size());
            std::map<K, V> seen;
            map.cvisit_all([&](const K& k, const V& v) { ASSERT_TRUE(seen.emplace(k, v).second); });
            ASSERT_EQ(seen, reference);
        }
    }
    const auto odd = [](const K&, const V& v) { return std::hash<V>()(v) % 2 == 1; };
    const std::size_t expected =
        std::erase_if(reference, [&](const auto& e) { return odd(e.first, e.second); });
    ASSERT_EQ(map.erase_if(odd), expected);
    ASSERT_EQ(map.size(), reference.size());
    map.clear();
    ASSERT_TRUE(map.empty());
}

TEST(concurrent_map, answers_like_std_map) {
    model<steady::concurrent_map<std::uint64_t, std::uint64_t>>(1, 20000, 60000);
}
TEST(concurrent_map, answers_like_std_map_with_small_segments) {
    model<small_segments<std::uint64_t, std::uint64_t>>(2, 5000, 60000);
}
TEST(concurrent_map, strings_answer_like_std_map) {
    model<small_segments<std::string, std::uint64_t>>(3, 2000, 30000);
    model<small_segments<std::uint64_t, std::string>>(4, 2000, 30000);
}

TEST(concurrent_map, grows_to_a_million_in_steps_of_at_most_896) {
    steady::concurrent_map<std::uint64_t, std::uint64_t> map;
    for (std::uint64_t i = 0; i < 1'000'000; ++i) ASSERT_TRUE(map.insert(i, i * 3));
    ASSERT_EQ(map.size(), 1'000'000u);
    for (std::uint64_t i = 0; i < 1'000'000; ++i) ASSERT_EQ(map.find(i), i * 3);
    for (std::uint64_t i = 1'000'000; i < 1'100'000; ++i) ASSERT_FALSE(map.find(i));
    const auto s = map.stats();
    EXPECT_LE(s.most_moved_at_once, 896u);
    EXPECT_GT(s.segments_split, 1000u);
    EXPECT_EQ(s.spilled, 0u);
    for (std::uint64_t i = 0; i < 1'000'000; ++i) ASSERT_TRUE(map.erase(i));
    EXPECT_EQ(map.size(), 0u);
    EXPECT_GT(map.stats().segments_merged, 900u);
    EXPECT_LT(map.memory().segments.count(), 2u << 20);
}

TEST(concurrent_map, threads_keep_what_is_theirs) {
    small_segments<std::uint64_t, std::uint64_t> map;
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            std::map<std::uint64_t, std::uint64_t> mine;
            for (int i = 0; i < 30000; ++i) {
                const std::uint64_t key = random() % 1000 * 4 + t;
                switch (random() % 4) {
                    case 0:
                        ASSERT_EQ(map.insert_or_assign(key, i),
                                  mine.insert_or_assign(key, i).second);
                        break;
                    case 1: ASSERT_EQ(map.erase(key), mine.erase(key) == 1); break;
                    default: {
                        const auto got = map.find(key);
                        const auto there = mine.find(key);
                        ASSERT_EQ(got.has_value(), there != mine.end());
                        if (got) {
                            ASSERT_EQ(*got, there->second);
                        }
                    }
                }
            }
            for (const auto& [k, v] : mine) ASSERT_EQ(map.find(k), v);
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_GT(map.stats().segments_split, 10u);
}

TEST(concurrent_map, no_increment_is_lost) {
    small_segments<std::uint64_t, std::uint64_t> map;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (std::uint64_t i = 0; i < 40000; ++i) map.fetch_add(i % 700, 1);
        });
    }
    for (auto& t : threads) t.join();
    std::uint64_t sum = 0;
    map.cvisit_all([&](std::uint64_t, std::uint64_t v) { sum += v; });
    EXPECT_EQ(sum, 160000u);
}

}  // namespace
