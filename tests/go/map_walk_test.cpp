// map_walk_test.cpp - walks with Go's rules: random beginnings, and a map that is
// written, grown, cleared, moved and destroyed while somebody walks it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "go/map_types.hpp"
#include "steady/core/random.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/heap.hpp"
#include "support/fatal_text.hpp"

namespace {

using steady::splitmix64;
using steady::go::map;
using namespace steady::test;

template <class K>
K key_of(std::uint64_t n) {
    if constexpr (std::is_same_v<K, std::string>) {
        return "a key that no small string holds: " + std::to_string(n);
    } else {
        return K(n);
    }
}
template <class K>
std::uint64_t number_of(const K& key) {
    if constexpr (std::is_same_v<K, std::string>) {
        return std::stoull(key.substr(key.find(':') + 2));
    } else if constexpr (std::is_same_v<K, only_moves>) {
        return *key.p;
    } else {
        return static_cast<std::uint64_t>(key);
    }
}

template <class Map>
class GoWalk : public testing::Test {};
using walked_maps =
    testing::Types<map<std::uint64_t, std::uint64_t>, map<std::uint32_t, std::string>,
                   map<std::string, std::uint64_t>, map<double, std::uint64_t>,
                   map<only_moves, std::uint64_t, hash_only_moves>,
                   map<std::uint64_t, std::array<char, 200>>>;
TYPED_TEST_SUITE(GoWalk, walked_maps);

template <class Map>
void add(Map& m, std::uint64_t n) {
    m.try_emplace(key_of<typename Map::key_type>(n));
}
template <class Map>
std::size_t drop(Map& m, std::uint64_t n) {
    return m.erase(key_of<typename Map::key_type>(n));
}

/// Walks while writing: no entry twice, none that was deleted before, and every one
/// that was there from start to end.
TYPED_TEST(GoWalk, SeesWhatStaysOnceAndNothingThatWent) {
    splitmix64 draws{5};
    std::uint64_t growths_seen = 0;
    for (int round = 0; round < 300; ++round) {
        auto m = TypeParam::make();
        const std::uint64_t n = draws.next() % 400;
        for (std::uint64_t i = 0; i < n; ++i) add(m, i);
        std::unordered_set<std::uint64_t> gone, seen;
        std::uint64_t fresh = 1'000'000;
        const unsigned B = m.header()->B;
        for (auto& [key, elem] : m) {
            const std::uint64_t now = number_of(key);
            EXPECT_TRUE(seen.insert(now).second) << now << " came twice";
            EXPECT_FALSE(gone.contains(now)) << now << " was deleted";
            static_cast<void>(elem);
            for (std::uint64_t i = draws.next() % 7; i != 0; --i) {
                if (draws.next() % 2 == 0) {
                    const std::uint64_t victim = draws.next() % (n + 1);
                    if (drop(m, victim) != 0) gone.insert(victim);
                } else if (fresh < 1'000'000 + 3 * n) {
                    add(m, fresh++);
                }
            }
        }
        growths_seen += m.header()->B - B;
        for (std::uint64_t i = 0; i < n; ++i) {
            EXPECT_TRUE(seen.contains(i) || gone.contains(i)) << i << " never came";
        }
        m.check();
    }
    EXPECT_GT(growths_seen, 100u) << "or growing under a walk was not tried";
}

/// Several walks at once over several growths: old arrays stay as long as they are needed.
TYPED_TEST(GoWalk, MayBeManyAndOutliveSeveralGrowths) {
    auto m = TypeParam::make();
    for (std::uint64_t i = 0; i < 20; ++i) add(m, i);
    std::vector<typename TypeParam::iterator> walks;
    std::vector<std::unordered_set<std::uint64_t>> seen;
    splitmix64 draws{9};
    for (std::uint64_t i = 20; i < 4000; ++i) {
        if (i % 400 == 0) {
            walks.push_back(m.begin());
            seen.push_back({number_of(walks.back()->first)});
        }
        add(m, i);
        for (std::size_t w = 0; w < walks.size(); ++w) {
            if (walks[w] == m.end() || draws.next() % 3 != 0) continue;
            // The entry it stood at may have moved by now: step first, then look.
            if (++walks[w] != m.end()) {
                EXPECT_TRUE(seen[w].insert(number_of(walks[w]->first)).second);
            }
        }
    }
    for (std::size_t w = 0; w < walks.size(); ++w) {
        auto copy = walks[w];  // a copy goes its own way, over the same entries
        std::size_t in_copy = 0;
        for (; copy != m.end(); ++copy) ++in_copy;
        std::size_t in_walk = 0;
        while (walks[w] != m.end()) {
            ++in_walk;
            if (++walks[w] == m.end()) break;
            EXPECT_TRUE(seen[w].insert(number_of(walks[w]->first)).second);
        }
        EXPECT_EQ(in_copy, in_walk);
        for (std::uint64_t i = 0; i < 400 * (w + 1); ++i) EXPECT_TRUE(seen[w].contains(i)) << i;
    }
    m.check();
}

TYPED_TEST(GoWalk, EndsAtAClearAndOutlivesItsMap) {
    auto m = std::make_unique<TypeParam>(TypeParam::make());
    for (std::uint64_t i = 0; i < 300; ++i) add(*m, i);
    for (std::uint64_t i = 300; m->header()->oldbuckets == nullptr; ++i) add(*m, i);
    auto walk = m->begin(), other = m->begin();
    ++walk;
    m->clear();
    for (std::uint64_t i = 0; i < 50; ++i) add(*m, i);
    ++walk;
    EXPECT_EQ(walk, m->end()) << "everything it began with is gone";
    auto moved = std::move(*m);
    std::size_t steps = 0;
    for (auto& e : moved) {
        static_cast<void>(e);
        ++steps;
    }
    EXPECT_EQ(steps, 50u);
    auto last = moved.begin();
    m.reset();
    moved = nullptr;
    other = last;  // destroying walks of a dead map is all that is allowed
}

TYPED_TEST(GoWalk, ErasesWhereItStands) {
    auto m = TypeParam::make();
    for (std::uint64_t i = 0; i < 1000; ++i) add(m, i);
    std::size_t kept = 0;
    for (auto it = m.begin(); it != m.end();) {
        if (number_of(it->first) % 2 == 0) {
            it = m.erase(it);
        } else {
            ++kept;
            ++it;
        }
    }
    EXPECT_EQ(kept, 500u);
    EXPECT_EQ(m.size(), 500u);
    EXPECT_EQ(erase_if(m, [](auto& e) { return number_of(e.first) % 3 == 0; }), 167u);
    m.check();
}

TEST(GoWalkOrder, BeginsAtEveryCellOfASingleBucket) {
    auto m = map<int, int>::make();
    for (int i = 0; i < 8; ++i) m[i] = i;
    std::set<std::vector<int>> orders;
    for (int i = 0; i < 1000; ++i) {
        std::vector<int> order;
        for (auto& [key, elem] : m) order.push_back(key);
        std::vector<int> turned(8);
        std::rotate_copy(order.begin(), std::find(order.begin(), order.end(), 0), order.end(),
                         turned.begin());
        EXPECT_TRUE(std::is_sorted(turned.begin(), turned.end())) << "a rotation, as in Go";
        orders.insert(order);
    }
    EXPECT_EQ(orders.size(), 8u);
}

TEST(GoWalkOrder, IsRepeatedWithTheSameRandomState) {
    auto m = map<int, int>::make();
    for (int i = 0; i < 1000; ++i) m[i] = i;
    const auto order = [&](std::uint64_t state) {
        steady::go::thread_random() = steady::wyrand{state};
        std::vector<int> keys;
        for (auto& [key, elem] : m) keys.push_back(key);
        return keys;
    };
    EXPECT_EQ(order(1), order(1));
    EXPECT_NE(order(1), order(2));
}

TEST(GoWalkOrder, GoesOnFromAFoundEntry) {
    auto m = map<std::string, int>::make();
    for (int i = 0; i < 500; ++i) m[std::to_string(i)] = i;
    for (int from = 0; from < 500; ++from) {
        std::unordered_set<std::string> seen;
        for (auto it = m.find(std::to_string(from)); it != m.end(); ++it) {
            EXPECT_TRUE(seen.insert(it->first).second);
        }
        EXPECT_TRUE(seen.contains(std::to_string(from)));
        EXPECT_GE(seen.size(), 500u - 15) << "only entries before it in its own chain are left out";
    }
    // Also in the middle of a growth, where the entry may be in its old bucket.
    for (int i = 500; m.header()->oldbuckets == nullptr; ++i) m[std::to_string(i)] = i;
    for (int from = 0; from < 500; ++from) {
        std::unordered_set<std::string> seen;
        for (auto it = m.find(std::to_string(from)); it != m.end(); ++it) {
            EXPECT_TRUE(seen.insert(it->first).second);
        }
        EXPECT_GE(seen.size(), 500u - 15);
    }
    const auto& constant = m;
    map<std::string, int>::const_iterator it = m.find("7");
    EXPECT_EQ(it, constant.find("7"));
    EXPECT_EQ(std::distance(constant.cbegin(), constant.cend()),
              static_cast<std::ptrdiff_t>(m.size()));
    EXPECT_TRUE(it != std::default_sentinel);
}

TEST(GoWalkOrder, NaNsComeOnceEachWhileTheMapGrows) {
    auto m = map<double, int>::make();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int i = 0; i < 300; ++i) m.assign(nan, i);
    for (int i = 0; i < 120; ++i) m.assign(i, -1);
    std::unordered_map<int, int> seen;
    int added = 0;
    for (auto& [key, elem] : m) {
        if (key != key) ++seen[elem];
        if (added < 2000) m.assign(1000 + added++, -1);
    }
    EXPECT_EQ(seen.size(), 300u);
    for (const auto& [elem, times] : seen) EXPECT_EQ(times, 1) << elem;
    m.check();
}

TEST(GoWalkOrder, ErasingWhereItStandsReachesEveryEntryOfAGrowingMap) {
    auto m = map<std::string, int>::make();
    for (int i = 0; i < 420; ++i)
        m["a key that is too long for a small string " + std::to_string(i)];
    ASSERT_NE(m.header()->oldbuckets, nullptr);
    std::size_t left = m.size();
    for (auto it = m.begin(); it != m.end();) {
        EXPECT_EQ(it->first.substr(0, 5), "a key") << "erase moved the entry it went on to";
        it = m.erase(it);
        ASSERT_EQ(m.size(), --left);
    }
    EXPECT_EQ(left, 0u);
    m.check();
    m["one"] = 1;
    EXPECT_TRUE(m.erase(m.find("one")) == m.end());
    EXPECT_TRUE(m.empty());
}

#if STEADY_CHECK >= 1
TEST(GoWalkOrder, ErasingAnEntryThatAWriteMovedIsSaid) {
    auto m = map<std::string, int>::make();
    for (int i = 0; i < 417; ++i)
        m["a key that is too long for a small string " + std::to_string(i)];
    const auto moved = m.begin();
    const auto deleted = std::next(m.begin(), 5);
    m.erase(std::string(deleted->first));
    EXPECT_NE(steady::test::fatal_text([&] { m.erase(deleted); }).find("erase(iterator)"),
              std::string::npos);
    for (int i = 0; i < 2000; ++i) m["more " + std::to_string(i)];
    EXPECT_NE(steady::test::fatal_text([&] { m.erase(moved); }).find("erase(iterator)"),
              std::string::npos);
}
#endif

TEST(GoWalkOrder, EndsWhenItsMapGoesAway) {
    auto m = map<int, int>::make();
    for (int i = 0; i < 1000; ++i) m[i] = i;
    std::size_t steps = 0;
    std::vector<void*> taken;
    for ([[maybe_unused]] auto& e : m) {
        if (++steps != 10) continue;
        m = nullptr;
        // Whoever gets the header's memory may look as if it wrote.
        for (int i = 0; i < 100; ++i) {
            taken.push_back(steady::allocate(48));
            std::memset(taken.back(), 0xff, 48);
        }
    }
    EXPECT_EQ(steps, 10u);
    for (void* const p : taken) steady::deallocate(p);
}

struct doubtful_hash {
    static inline int until_failure = -1;
    std::size_t operator()(std::uint64_t n) const {
        if (until_failure >= 0 && until_failure-- == 0) throw std::runtime_error("planned");
        return n * 0x9e3779b97f4a7c15;
    }
};

TEST(GoWalkOrder, AStepThatFailedIsTakenAgain) {
    auto m = map<std::uint64_t, int, doubtful_hash>::make();
    // In the middle of a growth, where a walk hashes what it meets.
    std::uint64_t n = 0;
    for (; n < 1000 || m.header()->oldbuckets == nullptr; ++n) m[n] = 1;
    int failures = 0;
    for (int round = 0; round < 50; ++round) {
        std::unordered_set<std::uint64_t> seen;
        auto it = m.begin();
        for (int steps = 0; it != m.end(); ++steps) {
            EXPECT_TRUE(seen.insert(it->first).second) << it->first;
            doubtful_hash::until_failure = steps % 3;
            const auto here = it->first;
            try {
                ++it;
            } catch (const std::runtime_error&) {
                ++failures;
                EXPECT_EQ(it->first, here);
                doubtful_hash::until_failure = -1;
                ++it;
            }
            doubtful_hash::until_failure = -1;
        }
        EXPECT_EQ(seen.size(), n);
    }
    EXPECT_GT(failures, 1000);
}

TEST(GoWalkThreads, ReadersMayWalkTheSameMapTogether) {
    map<std::uint64_t, std::string> m;
    m = m.make();
    for (std::uint64_t i = 0; i < 2000; ++i) m[i] = std::to_string(i);
    const auto& constant = m;
    std::vector<std::thread> readers;
    std::atomic<std::uint64_t> found{0};
    for (int r = 0; r < 4; ++r) {
        readers.emplace_back([&] {
            for (int i = 0; i < 20; ++i) {
                std::uint64_t sum = 0;
                for (auto& [key, elem] : constant) sum += key == std::stoull(elem);
                found += sum;
                found += constant.contains(7u) ? 0 : 1;
            }
        });
    }
    for (std::thread& r : readers) r.join();
    EXPECT_EQ(found, 4u * 20 * 2000);
}

}  // namespace
