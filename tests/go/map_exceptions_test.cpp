// map_exceptions_test.cpp - an operation that fails leaves the entries as they were: out
// of the hash, the equality, a copy or an allocation, and in the middle of a growth.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "go/map_types.hpp"
#include "steady/core/hooks.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/heap.hpp"

namespace {

using steady::go::map;
using namespace steady::test;

template <class T>
class GoFailures : public testing::Test {
public:
    using table = map<T, T, hash_tracked>;
    using contents = std::map<std::uint64_t, std::uint64_t>;

    static contents read(const table& m) {
        contents all;
        for (auto& [key, elem] : m) all[key.value] = elem.value;
        return all;
    }
    /// Fails at the first chance, at the second, and so on until `work` completes.
    /// Returns how many times it failed.
    template <class Work>
    static int fail_everywhere(table& m, Work work) {
        const contents before = read(m);
        for (int chance = 0;; ++chance) {
            const auto living = T::living;
            chances_left = chance;
            try {
                work(m);
                chances_left = -1;
                m.check();
                return chance;
            } catch (const planned_failure&) {
                chances_left = -1;
                EXPECT_EQ(read(m), before) << "after failing at chance " << chance;
                EXPECT_EQ(T::living, living) << "something was made and not destroyed";
                EXPECT_EQ(m.header()->flags & 4, 0) << "the writing flag stayed";
                m.check();
            }
        }
    }
};
using kinds = testing::Types<tracked<true>, tracked<false>>;
TYPED_TEST_SUITE(GoFailures, kinds);

TYPED_TEST(GoFailures, LeaveTheEntriesAtEverySizeAndEveryStepOfAGrowth) {
    using table = typename TestFixture::table;
    {
        auto m = table::make();
        int failures = 0, growing = 0;
        for (std::uint64_t i = 0; i < 250; ++i) {
            const bool was_growing = m.header()->oldbuckets != nullptr;
            const int failed = TestFixture::fail_everywhere(
                m, [&](table& t) { t.try_emplace(TypeParam(i), std::uint64_t{i}); });
            failures += failed;
            if (was_growing) growing += failed;
            ASSERT_EQ(m.size(), i + 1);
        }
        EXPECT_GE(failures, 1000);
        EXPECT_GT(growing, 300) << "or failing while old buckets move was not tried";
        for (std::uint64_t i = 0; i < 250; i += 5) {
            TestFixture::fail_everywhere(m, [&](table& t) { t.erase(TypeParam(i)); });
        }
        EXPECT_EQ(m.size(), 200u);
        for (std::uint64_t i = 0; i < 250; i += 7) {
            TestFixture::fail_everywhere(
                m, [&](table& t) { static_cast<void>(t.contains(TypeParam(i))); });
            TestFixture::fail_everywhere(m, [&](table& t) { static_cast<void>(t.clone()); });
        }
    }
    EXPECT_EQ(TypeParam::living, 0);
}

TYPED_TEST(GoFailures, AssigningOverAnEntryKeepsItUntilTheNewElemIsThere) {
    using table = typename TestFixture::table;
    auto m = table::make();
    for (std::uint64_t i = 0; i < 60; ++i) m.try_emplace(TypeParam(i), std::uint64_t{i});
    for (std::uint64_t i = 0; i < 60; ++i) {
        const TypeParam key(i), elem(1000 + i);
        TestFixture::fail_everywhere(m, [&](table& t) { t.insert_or_assign(key, elem); });
        EXPECT_EQ(m.at(key).value, 1000 + i);
    }
}

/// The hash fails only while old buckets move: an insert of a plain key.
TEST(GoHashFailures, InTheMiddleOfAMovingBucketMoveNothing) {
    struct failing_hash {
        std::size_t operator()(std::uint64_t n) const {
            take_chance();
            return n & 3;  // four chains, many overflow buckets
        }
    };
    auto m = map<std::uint64_t, std::string, failing_hash>::make();
    std::uint64_t failures = 0;
    for (std::uint64_t i = 0; i < 120; ++i) {
        for (int chance = 0;; ++chance) {
            chances_left = chance;
            try {
                m.assign(i, "elem " + std::to_string(i));
                chances_left = -1;
                break;
            } catch (const planned_failure&) {
                chances_left = -1;
                ++failures;
                m.check();
                ASSERT_EQ(m.size(), i);
            }
        }
    }
    EXPECT_GT(failures, 200u);
    for (std::uint64_t i = 0; i < 120; ++i) EXPECT_EQ(m.get(i), "elem " + std::to_string(i));
}

/// No page more than there are now, until the end of the scope.
struct no_more_memory {
    no_more_memory() { steady::set_memory_limit(0, 1); }
    ~no_more_memory() { steady::set_memory_limit(0, 0); }
};

TEST(GoOutOfMemory, IsBadAllocAndTheMapGoesOnAfterwards) {
    auto m = map<std::uint64_t, std::array<std::uint64_t, 64>>::make();
    std::uint64_t failures = 0, n = 0;
    for (int round = 0; round < 40; ++round) {
        const std::uint64_t until = n + 4000;
        {
            const no_more_memory limit;
            try {
                for (; n < until; ++n) m[n][0] = n;
            } catch (const std::bad_alloc&) {
                ++failures;
                ASSERT_EQ(m.size(), n);
                m.check();
            }
        }
        for (const std::uint64_t more = n + 700; n < more; ++n) m[n][0] = n;
    }
    EXPECT_GT(failures, 30u);
    for (std::uint64_t i = 0; i < n; ++i) ASSERT_EQ(m.at(i)[0], i);
}

TEST(GoOutOfMemory, AGrowthOrAHintThatFindsNoRoomChangesNothing) {
    // Just before a growth into an array of many pages.
    auto m = map<std::uint64_t, std::uint64_t>::make();
    for (std::uint64_t i = 0; i < 106'496; ++i) m[i] = i;
    ASSERT_EQ(m.header()->B, 14);
    {
        const no_more_memory limit;
        EXPECT_THROW(m[1'000'000] = 1, std::bad_alloc);
        EXPECT_THROW(static_cast<void>(m.clone()), std::bad_alloc);
        EXPECT_THROW((static_cast<void>(map<int, int>::make(1'000'000))), std::bad_alloc);
        EXPECT_THROW((static_cast<void>(map<int, int>::make(std::size_t{1} << 40))),
                     std::bad_alloc);
    }
    EXPECT_EQ(m.header()->B, 14);
    EXPECT_EQ(m.header()->oldbuckets, nullptr);
    EXPECT_EQ(m.size(), 106'496u);
    m.check();
    m[1'000'000] = 1;
    EXPECT_EQ(m.header()->B, 15);
    m.check();
}

TEST(GoHeap, EverythingIsGivenBack) {
    const auto live = [] {
        std::uint64_t bytes = 0;
        steady::for_each_object(
            [](void* sum, const steady::object_info& o) {
                *static_cast<std::uint64_t*>(sum) += o.size;
            },
            &bytes);
        return bytes;
    };
    const auto before = live();
    {
        auto m = map<std::uint64_t, std::uint64_t>::make();
        std::vector<map<std::uint64_t, std::uint64_t>::iterator> walks;
        for (std::uint64_t i = 0; i < 50'000; ++i) {
            m[i] = i;
            if (i % 5000 == 0) walks.push_back(m.begin());
            if (i % 9000 == 0) walks.clear();
        }
        for (std::uint64_t i = 0; i < 50'000; i += 2) m.erase(i);
        auto s = map<std::uint64_t, std::array<char, 300>>::make(10);
        for (std::uint64_t i = 0; i < 5'000; ++i) s[i % 700];
        for (std::uint64_t i = 0; i < 5'000; ++i) {
            s[i];
            if (i > 100) s.erase(i - 100);
        }
        s.clear();
        s[1];
        const auto copy = s;
        m = std::move(m);
    }
    EXPECT_EQ(live(), before);
}

TEST(GoGrowth, IsAnnouncedStepByStepAndMovesAtMostTwoBucketsAWrite) {
    struct seen {
        std::uint64_t starts = 0, steps = 0, entries = 0, in_this_write = 0, most = 0;
        std::uint64_t pages_at_start = 0;
    } counts;
    steady::growth_hook.install(
        [](void* context, const steady::growth_event& e) {
            auto& c = *static_cast<seen*>(context);
            EXPECT_STREQ(e.kind, "go::map");
            EXPECT_GT(e.bytes_after, 0u);
            if (e.entries_moved == 0 && e.pages_touched <= 1) {
                ++c.starts;
                c.pages_at_start += e.pages_touched;
            } else {
                ++c.steps;
                ++c.in_this_write;
            }
            c.entries += e.entries_moved;
        },
        &counts);
    auto m = map<std::uint64_t, std::uint64_t>::make();
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        counts.in_this_write = 0;
        m.assign(i, i);
        counts.most = std::max(counts.most, counts.in_this_write);
    }
    steady::growth_hook.remove();
    EXPECT_EQ(counts.starts, 14u) << "B 0 to 14";
    EXPECT_EQ(counts.most, 2u);
    EXPECT_LE(counts.pages_at_start, counts.starts) << "a start touches the last spare only";
    EXPECT_GT(counts.entries, 50'000u);
}

}  // namespace
