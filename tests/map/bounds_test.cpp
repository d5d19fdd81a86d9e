// bounds_test.cpp - the promise, counted: whatever the size, one operation moves few
// entries, touches few fresh pages, and holds no second table.
#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "steady/core/hooks.hpp"
#include "steady/map/map.hpp"
#include "steady/map/set.hpp"

namespace {

/// Adds up what the growth hook tells about one operation, and keeps the worst.
class growth_watch {
public:
    growth_watch() {
        steady::growth_hook.install(
            [](void* self, const steady::growth_event& event) {
                auto& watch = *static_cast<growth_watch*>(self);
                watch.moved_ += event.entries_moved;
                watch.pages_ += event.pages_touched;
                ++watch.events_;
            },
            this);
    }
    ~growth_watch() { steady::growth_hook.remove(); }
    growth_watch(const growth_watch&) = delete;
    growth_watch& operator=(const growth_watch&) = delete;

    void end_of_operation() {
        worst_moved = std::max(worst_moved, moved_);
        worst_pages = std::max(worst_pages, pages_);
        steps += events_;
        moved_ = pages_ = events_ = 0;
    }

    std::uint64_t worst_moved = 0, worst_pages = 0, steps = 0;

private:
    std::uint64_t moved_ = 0, pages_ = 0, events_ = 0;
};

constexpr std::uint64_t most_moved = 1024, most_pages = 16;

template <class Map>
void grow_and_shrink(std::uint64_t n) {
    Map m;
    growth_watch watch;
    using key = typename Map::key_type;
    for (std::uint64_t i = 0; i < n; ++i) {
        m.try_emplace(static_cast<key>(i));
        watch.end_of_operation();
    }
    EXPECT_LE(watch.worst_moved, most_moved);
    EXPECT_LE(watch.worst_pages, most_pages);
    EXPECT_GE(watch.steps, n / 300) << "or nothing has grown";
    const std::uint64_t grown = watch.steps;
    const auto erase = [&](std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t i = from; i < to; ++i) {
            m.erase(static_cast<key>(i));
            watch.end_of_operation();
        }
    };
    const std::uint64_t last = n - n / 10;
    erase(0, last);
    for (std::uint64_t i = 0; i < n / 2; ++i) {  // a map that is only emptied does not shrink
        erase(n - 1, n);
        m.try_emplace(static_cast<key>(n - 1));
        watch.end_of_operation();
    }
    erase(last, n);
    EXPECT_LE(watch.worst_moved, most_moved);
    EXPECT_GE(watch.steps, grown + n / 600) << "or nothing has shrunk";
}

TEST(Bounds, NoOperationOnNumbersMovesMoreThanItsShare) {
    grow_and_shrink<steady::map<std::uint64_t, std::uint64_t>>(2'000'000);
}
struct wide {
    std::uint64_t words[8] = {};
};
TEST(Bounds, NoOperationOnWideEntriesMovesMoreThanItsShare) {
    grow_and_shrink<steady::map<std::uint64_t, wide>>(200'000);
}
struct widest_inline {
    std::uint64_t words[31] = {};
};
TEST(Bounds, NoOperationOnTheWidestInlineEntriesMovesMoreThanItsShare) {
    static_assert(!steady::map<std::uint64_t, widest_inline>::table_type::slot_type::is_node);
    grow_and_shrink<steady::map<std::uint64_t, widest_inline>>(50'000);
}
TEST(Bounds, NoOperationOnStableEntriesMovesMoreThanItsShare) {
    grow_and_shrink<steady::stable_map<std::uint64_t, std::uint64_t>>(200'000);
}

TEST(Bounds, TheWorstOperationOfAMillionEntriesIsTheWorstOfTenThousand) {
    const auto worst = [](std::uint64_t n) {
        steady::map<std::uint64_t, std::uint64_t> m;
        growth_watch watch;
        for (std::uint64_t i = 0; i < n; ++i) {
            m.try_emplace(steady::finalise(i), i);
            watch.end_of_operation();
        }
        return watch.worst_moved;
    };
    const std::uint64_t small = worst(10'000), large = worst(1'000'000);
    EXPECT_GE(small, 50u);
    EXPECT_LE(large, small * 2);
}

TEST(Bounds, MemoryFollowsTheDataWithinATenthOverAnOctave) {
    steady::map<std::uint64_t, std::uint64_t> m;
    double sum = 0, highest = 0;
    int samples = 0;
    for (std::uint64_t i = 0; i < 400'000; ++i) {
        m.try_emplace(steady::finalise(i), i);
        if (i >= 200'000 && i % 1000 == 0) {
            const steady::map_memory used = m.memory();
            const double bytes = static_cast<double>((used.total() - used.unused).count()) /
                                 static_cast<double>(m.size());
            sum += bytes;
            highest = std::max(highest, bytes);
            ++samples;
        }
    }
    EXPECT_LE(sum / samples, 25.0);
    EXPECT_LE(highest, 1.10 * sum / samples);
}

TEST(Bounds, AfterLosingNineTenthsAMapThatIsUsedOnFitsItsDataAgain) {
    steady::map<std::uint64_t, std::uint64_t> m, fresh;
    const std::uint64_t n = 200'000;
    for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
    for (std::uint64_t i = 0; i < n / 10 * 9; ++i) m.erase(i);
    for (std::uint64_t i = 0; i < n; ++i) {  // the program runs on
        m.erase(n - n / 10 + i);
        m.try_emplace(n + i, i);
    }
    for (std::uint64_t i = 0; i < n / 10; ++i) fresh.try_emplace(i, i);
    const auto used = [](const auto& map) {
        const steady::map_memory memory = map.memory();
        return static_cast<double>((memory.total() - memory.unused).count());
    };
    EXPECT_EQ(m.size(), fresh.size());
    EXPECT_LE(used(m), 1.3 * used(fresh));
    m.check();
}

TEST(Bounds, ShrinkToFitCanBeHadInSteps) {
    steady::map<std::uint64_t, std::uint64_t> m;
    for (std::uint64_t i = 0; i < 100'000; ++i) m.try_emplace(i, i);
    for (auto it = m.begin(); it != m.end();)
        it = it->first % 20 != 0 ? m.erase(it) : std::next(it);
    growth_watch watch;
    int steps = 0;
    while (m.shrink_some()) {
        watch.end_of_operation();
        ++steps;
    }
    EXPECT_GT(steps, 300);
    EXPECT_LE(watch.worst_moved, most_moved);
    m.check();
    EXPECT_GT(m.load_factor(), 0.5f);
    for (std::uint64_t i = 0; i < 100'000; ++i) ASSERT_EQ(m.contains(i), i % 20 == 0);
}

TEST(Bounds, AMapThatFitsACacheKeepsItsRoomUntilFewAreLeft) {
    steady::map<std::uint64_t, std::uint64_t> m;
    for (std::uint64_t i = 0; i < 14'000; ++i) m.try_emplace(i, i);
    const auto slots = m.bucket_count();
    growth_watch watch;
    while (m.size() > 300) m.erase(m.size() - 1);
    watch.end_of_operation();
    EXPECT_EQ(watch.steps, 0u);
    EXPECT_EQ(m.bucket_count(), slots);
    while (m.size() > 100) m.erase(m.size() - 1);
    watch.end_of_operation();
    EXPECT_EQ(watch.steps, 0u);
    for (int i = 0; i < 2000; ++i) {  // it is used on with few entries
        m.erase(99);
        m.try_emplace(99);
        watch.end_of_operation();
    }
    m.check();
    EXPECT_EQ(watch.steps, 1u) << "or nothing was given back";
    while (!m.empty()) {
        m.erase(m.size() - 1);
        watch.end_of_operation();
        m.check();
    }
    EXPECT_GE(watch.steps, 2u);
    EXPECT_LE(watch.worst_moved, most_moved);
    EXPECT_LE(m.bucket_count(), 60u);
}

TEST(Bounds, ErasingAndInsertingInTurnNeitherGrowsNorShrinks) {
    for (const std::uint64_t n : {1'000, 14'000, 150'000, 300'000}) {
        steady::map<std::uint64_t, std::uint64_t> m;
        for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
        growth_watch watch;
        for (std::uint64_t i = 0; i < n; ++i) {
            m.erase(i);
            m.try_emplace(n + i, i);
        }
        watch.end_of_operation();
        EXPECT_EQ(watch.steps, 0u) << n;
    }
}

TEST(Bounds, AnEmptyMapOwnsNoMemory) {
    const steady::map<std::string, std::string> m;
    EXPECT_EQ(m.memory().total().count(), 0u);
    EXPECT_EQ(m.bucket_count(), 0u);
    EXPECT_FALSE(m.contains("anything"));
}

TEST(Bounds, AFewEntriesCostOneGroupOrHalfAKiB) {
    steady::map<std::uint64_t, std::uint64_t> m;
    steady::map<std::uint64_t, std::array<std::uint64_t, 3>> wider;
    for (std::uint64_t i = 0; i < 15; ++i) m.try_emplace(i, i), wider.try_emplace(i);
    EXPECT_LE(m.memory().total().count(), 2 * (16u + 15 * 16) + 16);
    EXPECT_LE(wider.memory().total().count(), 16u + 15 * 32 + 16);
}

TEST(Bounds, ReservedRoomIsNotGivenUpByErasing) {
    steady::map<std::uint64_t, std::uint64_t> m;
    m.reserve(50'000);
    const auto slots = m.bucket_count();
    EXPECT_GE(m.capacity(), 50'000u);
    growth_watch watch;
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t i = 0; i < 50'000; ++i) m.try_emplace(i, i);
        for (std::uint64_t i = 0; i < 50'000; ++i) m.erase(i);
    }
    watch.end_of_operation();
    EXPECT_EQ(watch.steps, 0u);
    EXPECT_EQ(m.bucket_count(), slots);
}

}  // namespace
