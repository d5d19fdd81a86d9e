// walk_test.cpp - walking while the map changes: Go's rules, and a scan that can be
// resumed after anything.
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <gtest/gtest.h>

#include "steady/map/map.hpp"
#include "steady/map/set.hpp"

namespace {

using numbers = steady::map<std::uint64_t, std::uint64_t>;

numbers filled(std::uint64_t n) {
    numbers m;
    for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
    return m;
}

class WalkAtSize : public testing::TestWithParam<std::uint64_t> {};

TEST_P(WalkAtSize, VisitsEveryEntryOnceWhenNothingChanges) {
    numbers m = filled(GetParam());
    std::unordered_set<std::uint64_t> seen;
    for (auto& [key, value] : m.walk()) EXPECT_TRUE(seen.insert(key).second);
    EXPECT_EQ(seen.size(), GetParam());
}

TEST_P(WalkAtSize, W1_EntriesThatStayAreVisitedOnceWhileTheMapGrowsEightfold) {
    const std::uint64_t n = GetParam();
    numbers m = filled(n);
    std::unordered_map<std::uint64_t, int> visits;
    std::uint64_t fresh = 1u << 30;
    for (auto walk = m.walk(); walk.next();) {
        ++visits[walk->first];
        for (int i = 0; i < 8 && fresh < (1u << 30) + 8 * n; ++i) m.try_emplace(fresh++, 0);
    }
    for (std::uint64_t i = 0; i < n; ++i) ASSERT_EQ(visits[i], 1) << "key " << i;
    for (const auto& [key, times] : visits) ASSERT_EQ(times, 1) << "W3: key " << key;
}

TEST_P(WalkAtSize, W2_ErasedEntriesAreNotVisitedWhileTheMapShrinks) {
    const std::uint64_t n = GetParam();
    numbers m = filled(n);
    std::mt19937_64 random(3);
    std::unordered_set<std::uint64_t> erased;
    std::unordered_map<std::uint64_t, int> visits;
    std::uint64_t steps = 0;
    for (auto walk = m.walk(); walk.next(); ++steps) {
        ASSERT_FALSE(erased.contains(walk->first)) << "key " << walk->first;
        ++visits[walk->first];
        // Nine of ten keys go, most of them at the beginning, so that merges happen.
        for (int i = 0; i < 40; ++i) {
            const std::uint64_t key = random() % n;
            if (key % 10 != 0 && m.erase(key) == 1) erased.insert(key);
        }
    }
    for (std::uint64_t i = 0; i < n; i += 10) ASSERT_EQ(visits[i], 1) << "key " << i;
    for (const auto& [key, times] : visits) ASSERT_EQ(times, 1);
    m.check();
}

TEST_P(WalkAtSize, EveryEntryMayBeErasedWhenItIsReached) {
    numbers m = filled(GetParam());
    std::uint64_t visited = 0;
    for (auto walk = m.walk(); walk.next(); ++visited) EXPECT_EQ(m.erase(walk->first), 1u);
    EXPECT_EQ(visited, GetParam());
    EXPECT_TRUE(m.empty());
}

TEST_P(WalkAtSize, AScanSurvivesGrowthAndShrinkingBetweenItsSteps) {
    const std::uint64_t n = GetParam();
    numbers m = filled(n);
    std::unordered_map<std::uint64_t, int> visits;
    std::uint64_t fresh = 1u << 30;
    steady::scan_cursor cursor{};
    int step = 0;
    do {
        cursor = m.scan(cursor, 50, [&](const auto& entry) { ++visits[entry.first]; });
        if (++step % 40 < 20) {
            for (int i = 0; i < 2000; ++i) m.try_emplace(fresh++, 0);
        } else {
            for (int i = 0; i < 1900; ++i) m.erase(--fresh);
            m.shrink_some(100);
        }
    } while (cursor != steady::scan_cursor{});
    for (std::uint64_t i = 0; i < n; ++i) ASSERT_EQ(visits[i], 1) << "key " << i;
}

TEST_P(WalkAtSize, ErasingByIteratorGoesOnWithTheNextEntry) {
    numbers m = filled(GetParam());
    std::uint64_t visited = 0;
    for (auto it = m.begin(); it != m.end(); ++visited) {
        if (it->first % 3 == 0) {
            it = m.erase(it);
        } else {
            ++it;
        }
    }
    EXPECT_EQ(visited, GetParam());
    for (std::uint64_t i = 0; i < GetParam(); ++i) ASSERT_EQ(m.contains(i), i % 3 != 0);
}

TEST_P(WalkAtSize, AnIteratorPassesOverWhatIsErasedAheadOfIt) {
    numbers m = filled(GetParam());
    std::set<std::uint64_t> gone;
    for (auto it = m.begin(); it != m.end(); ++it) {
        ASSERT_FALSE(gone.contains(it->first));
        for (std::uint64_t k = 1; k <= 8; ++k) {
            const auto other = m.find(it->first + k);
            if (other == m.end()) continue;
            gone.insert(other->first);
            m.erase(other);
        }
    }
    EXPECT_EQ(m.size(), GetParam() - gone.size());
}

INSTANTIATE_TEST_SUITE_P(Sizes, WalkAtSize,
                         testing::Values(0u, 1u, 15u, 16u, 200u, 300u, 5000u, 60000u));

TEST(Walk, AWalkIsOverWhenTheMapIsCleared) {
    numbers m = filled(1000);
    int visited = 0;
    for (auto walk = m.walk(); walk.next(); ++visited) {
        if (visited == 10) m.clear();
    }
    EXPECT_EQ(visited, 11);
}

TEST(Walk, ASetIsWalkedTheSameWay) {
    steady::set<std::string> words;
    for (int i = 0; i < 3000; ++i) words.insert("word " + std::to_string(i));
    std::set<std::string> seen;
    for (const std::string& word : words.walk()) {
        seen.insert(word);
        words.insert(word + " again " + std::to_string(seen.size()));
        if (seen.size() > 20000) break;
    }
    for (int i = 0; i < 3000; ++i) ASSERT_TRUE(seen.contains("word " + std::to_string(i)));
}

}  // namespace
