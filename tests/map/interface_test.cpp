// interface_test.cpp - what std::unordered_map's users expect, function by function, and
// what steady adds: text found without making a string, batches, extraction, allocators.
#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "steady/map/map.hpp"
#include "steady/map/set.hpp"

namespace {

using words = steady::map<std::string, int>;
using numbers = steady::map<std::uint64_t, std::uint64_t>;

static_assert(std::forward_iterator<numbers::iterator>);
static_assert(std::forward_iterator<numbers::const_iterator>);
static_assert(std::is_convertible_v<numbers::iterator, numbers::const_iterator>);
static_assert(!std::is_convertible_v<numbers::const_iterator, numbers::iterator>);
static_assert(std::is_nothrow_move_constructible_v<words>);
static_assert(std::is_nothrow_move_assignable_v<words>);
static_assert(std::is_nothrow_swappable_v<words>);

TEST(Interface, InsertionReportsWhetherAnEntryWasMade) {
    words m;
    EXPECT_TRUE(m.insert({"one", 1}).second);
    EXPECT_FALSE(m.insert({"one", 2}).second);
    EXPECT_TRUE(m.emplace("two", 2).second);
    EXPECT_TRUE(m.try_emplace("three", 3).second);
    EXPECT_FALSE(m.try_emplace("three", 4).second);
    EXPECT_FALSE(m.insert_or_assign("three", 5).second);
    EXPECT_TRUE(m.insert_or_assign("four", 4).second);
    EXPECT_EQ(m.at("one"), 1);
    EXPECT_EQ(m.at("three"), 5);
    EXPECT_EQ(m["five"], 0);
    EXPECT_EQ(++m["five"], 1);
    EXPECT_EQ(m.emplace_hint(m.end(), "six", 6)->second, 6);
    EXPECT_EQ(m.insert(m.begin(), {"seven", 7})->second, 7);
    EXPECT_EQ(m.size(), 7u);
    EXPECT_TRUE(
        m.emplace(std::piecewise_construct, std::forward_as_tuple(3, 'x'), std::forward_as_tuple(8))
            .second);
    EXPECT_EQ(m.at("xxx"), 8);
}

TEST(Interface, AKeyThatIsPresentIsNotMovedFrom) {
    steady::map<std::string, std::unique_ptr<int>> m;
    m.try_emplace("key", std::make_unique<int>(1));
    std::string key = "key";
    auto value = std::make_unique<int>(2);
    m.try_emplace(std::move(key), std::move(value));
    EXPECT_EQ(key, "key");
    ASSERT_NE(value, nullptr);
    EXPECT_EQ(*m.at("key"), 1);
}

TEST(Interface, TextIsFoundWithoutMakingAString) {
    words m = {{"apple", 1}, {"pear", 2}};
    const std::string_view view = "pear";
    EXPECT_EQ(m.find(view)->second, 2);
    EXPECT_TRUE(m.contains("apple"));
    EXPECT_EQ(m.count(view), 1u);
    EXPECT_EQ(m.at(view), 2);
    EXPECT_EQ(m.erase(view), 1u);
    EXPECT_FALSE(m.contains(view));
    EXPECT_TRUE(m.try_emplace(std::string_view("plum"), 3).second);
    const auto range = m.equal_range("plum");
    EXPECT_EQ(std::distance(range.first, range.second), 1);
}

TEST(Interface, RangesAndListsFillAMap) {
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> source = {{1, 2}, {3, 4}, {1, 9}};
    const numbers from_range(source.begin(), source.end());
    EXPECT_EQ(from_range, (numbers{{3, 4}, {1, 2}}));
    numbers assigned;
    assigned = {{5, 6}};
    EXPECT_EQ(assigned.size(), 1u);
    assigned.insert({{7, 8}, {9, 10}});
    EXPECT_EQ(assigned.size(), 3u);
    EXPECT_NE(assigned, from_range);
    const steady::map deduced{std::pair{1, std::string("one")}, std::pair{2, std::string("two")}};
    static_assert(std::is_same_v<decltype(deduced)::mapped_type, std::string>);
    EXPECT_EQ(deduced.size(), 2u);
}

TEST(Interface, CopiesAreEqualAndIndependentAtEverySize) {
    for (const std::uint64_t n : {0u, 1u, 15u, 16u, 300u, 20000u}) {
        steady::map<std::string, std::string> m;
        for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(std::to_string(i), "value");
        auto copy = m;
        copy.check();
        EXPECT_EQ(copy, m);
        copy["another"] = "entry";
        EXPECT_NE(copy, m);
        auto moved = std::move(copy);
        EXPECT_EQ(moved.size(), n + 1);
        EXPECT_TRUE(copy.empty());  // NOLINT: empty is what steady promises
        copy = moved;
        EXPECT_EQ(copy, moved);
        copy = std::move(m);
        EXPECT_EQ(copy.size(), n);
        swap(copy, moved);
        EXPECT_EQ(copy.size(), n + 1);
        moved.check();
        auto& same = copy;
        copy = same;
        EXPECT_EQ(copy.size(), n + 1);
        copy.clear();
        EXPECT_TRUE(copy.empty());
        EXPECT_EQ(copy.begin(), copy.end());
        copy["again"] = "usable";
        EXPECT_EQ(copy.size(), 1u);
    }
}

TEST(Interface, ExtractedEntriesKeepTheirValueAndMayChangeTheirKey) {
    steady::map<std::string, std::unique_ptr<int>> m;
    m.try_emplace("old name", std::make_unique<int>(7));
    const int* const value = m.at("old name").get();
    auto node = m.extract("old name");
    EXPECT_TRUE(m.empty());
    ASSERT_FALSE(node.empty());
    node.key() = "new name";
    const auto done = m.insert(std::move(node));
    EXPECT_TRUE(done.inserted);
    EXPECT_EQ(m.at("new name").get(), value);
    EXPECT_TRUE(m.extract("old name").empty());
    auto kept = m.extract(m.begin());
    m.try_emplace("new name", nullptr);
    auto refused = m.insert(std::move(kept));
    EXPECT_FALSE(refused.inserted);
    ASSERT_FALSE(refused.node.empty());
    EXPECT_EQ(*refused.node.mapped(), 7);
}

TEST(Interface, MergeMovesOnlyKeysThatAreMissing) {
    numbers a, b;
    for (std::uint64_t i = 0; i < 1000; ++i) a.try_emplace(i, 1);
    for (std::uint64_t i = 500; i < 3000; ++i) b.try_emplace(i, 2);
    a.merge(b);
    EXPECT_EQ(a.size(), 3000u);
    EXPECT_EQ(b.size(), 500u);
    EXPECT_EQ(a.at(700), 1u);
    EXPECT_EQ(a.at(2000), 2u);
    EXPECT_EQ(b.at(700), 2u);
    a.check();
    b.check();
}

TEST(Interface, EraseIfReturnsHowManyWent) {
    numbers m;
    for (std::uint64_t i = 0; i < 5000; ++i) m.try_emplace(i, i);
    EXPECT_EQ(steady::erase_if(m, [](const auto& e) { return e.first % 5 != 0; }), 4000u);
    EXPECT_EQ(m.size(), 1000u);
    m.check();
}

TEST(Interface, FindManyGivesWhatFindGives) {
    for (const std::uint64_t n : {0u, 10u, 200u, 30000u}) {
        numbers m;
        for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i * 7);
        std::vector<std::uint64_t> keys;
        for (std::uint64_t i = 0; i < 2 * n + 3; ++i) keys.push_back(i * 7919 % (2 * n + 3));
        std::vector<std::uint64_t*> found(keys.size());
        EXPECT_EQ(m.find_many(keys, found.begin()), n);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            ASSERT_EQ(found[i] != nullptr, keys[i] < n);
            if (found[i] != nullptr) {
                ASSERT_EQ(*found[i], keys[i] * 7);
            }
        }
    }
}

TEST(Interface, FindManyGivesWhatFindGivesInLongTables) {
    numbers m;
    std::uint64_t n = 0;
    // From below 3 MiB of slots to far beyond: whole tables and tables in the middle of a pass.
    for (const std::uint64_t size : {150000u, 300000u, 330000u, 380000u, 450000u, 520000u}) {
        for (; n < size; ++n) m.try_emplace(n, n * 7);
        for (const std::size_t count : {0u, 1u, 31u, 32u, 33u, 63u, 64u, 65u, 66u, 1000u}) {
            std::vector<std::uint64_t> keys;
            for (std::uint64_t i = 0; i < count; ++i) keys.push_back(i * 7919 * 31 % (2 * n));
            if (count > 40) keys[40] = keys[3];
            std::vector<std::uint64_t*> found(keys.size());
            const auto there =
                std::count_if(keys.begin(), keys.end(), [&](std::uint64_t k) { return k < n; });
            EXPECT_EQ(m.find_many(keys, found.begin()), static_cast<std::size_t>(there));
            for (std::size_t i = 0; i < keys.size(); ++i) {
                ASSERT_EQ(found[i] != nullptr, keys[i] < n) << n << ' ' << count << ' ' << i;
                if (found[i] != nullptr) {
                    ASSERT_EQ(*found[i], keys[i] * 7);
                }
            }
        }
    }
}

TEST(Interface, WhatIsEmptiedAndFilledInTurnKeepsItsRoom) {
    for (const std::uint64_t n : {20000u, 400000u}) {
        numbers m;
        for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
        const auto full = m.memory().total();
        for (int turn = 0; turn < 8; ++turn) {
            for (std::uint64_t i = 0; i < n; ++i) ASSERT_EQ(m.erase(i), 1u);
            EXPECT_EQ(m.memory().total(), full) << n << " entries, emptied for the " << turn;
            for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
        }
        m.check();
    }
}

TEST(Interface, InsertManyInsertsEachKeyOnce) {
    std::vector<std::pair<const std::uint64_t, std::uint64_t>> values;
    for (std::uint64_t i = 0; i < 10000; ++i) values.emplace_back(i % 7000, i);
    numbers m;
    EXPECT_EQ(m.insert_many(values), 7000u);
    EXPECT_EQ(m.size(), 7000u);
    EXPECT_EQ(m.at(100), 100u);
    m.check();
}

struct pmr_text_hash {
    using is_avalanching = void;
    std::uint64_t operator()(const std::pmr::string& t, std::uint64_t seed) const noexcept {
        return steady::hash_bytes(t.data(), t.size(), seed);
    }
};

TEST(Interface, AllMemoryComesFromTheAllocatorAndStringsUseItToo) {
    std::array<std::byte, 1 << 20> room;
    std::pmr::monotonic_buffer_resource resource(room.data(), room.size(),
                                                 std::pmr::null_memory_resource());
    using text = std::pmr::string;
    using map = steady::map<text, text, pmr_text_hash, std::equal_to<text>,
                            std::pmr::polymorphic_allocator<std::pair<const text, text>>>;
    map m{&resource};
    for (int i = 0; i < 1000; ++i) {
        m.try_emplace(text("a key that is longer than a small string " + std::to_string(i)),
                      "a value that is longer than a small string as well");
    }
    EXPECT_EQ(m.begin()->second.get_allocator().resource(), &resource);
    const map copy(m, std::pmr::new_delete_resource());
    EXPECT_EQ(copy, m);
    map moved(std::move(m), std::pmr::new_delete_resource());
    EXPECT_EQ(copy, moved);
    EXPECT_EQ(moved.begin()->second.get_allocator().resource(), std::pmr::new_delete_resource());
}

TEST(Interface, StableEntriesStayWhereTheyAre) {
    steady::stable_map<std::uint64_t, std::uint64_t> m;
    std::vector<std::pair<std::uint64_t, const std::uint64_t*>> places;
    for (std::uint64_t i = 0; i < 20000; ++i) {
        places.emplace_back(i, &m.try_emplace(i, i).first->second);
    }
    for (std::uint64_t i = 0; i < 20000; ++i) {
        if (i % 16 != 0) m.erase(i);
    }
    m.shrink_to_fit();
    for (const auto& [key, place] : places) {
        if (key % 16 == 0) {
            ASSERT_EQ(&m.at(key), place);
        }
    }
    m.check();
}

TEST(Interface, ASetHasTheSameInterface) {
    steady::set<std::string> s = {"a", "b", "c"};
    EXPECT_TRUE(s.contains(std::string_view("a")));
    EXPECT_FALSE(s.insert("a").second);
    EXPECT_TRUE(s.emplace("d").second);
    EXPECT_EQ(s.erase("b"), 1u);
    EXPECT_EQ(s, (steady::set<std::string>{"d", "c", "a"}));
    auto node = s.extract("a");
    node.value() = "z";
    s.insert(std::move(node));
    EXPECT_TRUE(s.contains("z"));
    EXPECT_EQ(steady::erase_if(s, [](const std::string& e) { return e == "z"; }), 1u);
    steady::set<std::unique_ptr<int>> owners;
    owners.insert(std::make_unique<int>(3));
    EXPECT_EQ(owners.size(), 1u);
    std::vector<std::string> keys = {"c", "nothing", "d"};
    std::vector<const std::string*> found(3);
    EXPECT_EQ(s.find_many(keys, found.begin()), 2u);
    EXPECT_EQ(found[1], nullptr);
}

/// Takes keys for the same that == tells apart.
struct same_last_digit {
    bool operator()(int a, int b) const noexcept { return a % 10 == b % 10; }
};
struct hash_of_last_digit {
    std::size_t operator()(int n) const noexcept { return static_cast<std::size_t>(n % 10); }
};

TEST(Interface, EqualContainersHaveEqualKeysNotOnlyEquivalentOnes) {
    using digits = steady::set<int, hash_of_last_digit, same_last_digit>;
    EXPECT_EQ((digits{1, 2}), (digits{2, 1}));
    EXPECT_NE((digits{1, 2}), (digits{2, 11}));
    using named = steady::map<int, int, hash_of_last_digit, same_last_digit>;
    EXPECT_EQ((named{{1, 5}}), (named{{1, 5}}));
    EXPECT_NE((named{{1, 5}}), (named{{11, 5}}));
}

template <class Container>
void constructors_of(const std::vector<typename Container::value_type>& all,
                     std::initializer_list<typename Container::value_type> list) {
    std::pmr::monotonic_buffer_resource memory;
    const typename Container::allocator_type alloc(&memory);
    const typename Container::hasher hash;
    const typename Container::key_equal equal;
    const auto expect = [&](const Container& made, std::size_t entries) {
        EXPECT_EQ(made.size(), entries);
        EXPECT_EQ(made.get_allocator(), alloc);
    };
    expect(Container(alloc), 0);
    expect(Container(9, alloc), 0);
    expect(Container(9, hash, alloc), 0);
    expect(Container(9, hash, equal, alloc), 0);
    expect(Container(all.begin(), all.end(), alloc), all.size());
    expect(Container(all.begin(), all.end(), 9, alloc), all.size());
    expect(Container(all.begin(), all.end(), 9, hash, alloc), all.size());
    expect(Container(all.begin(), all.end(), 9, hash, equal, alloc), all.size());
    expect(Container(list, alloc), list.size());
    expect(Container(list, 9, alloc), list.size());
    expect(Container(list, 9, hash, alloc), list.size());
    expect(Container(list, 9, hash, equal, alloc), list.size());
}

TEST(Interface, EveryConstructorOfTheStandardContainersTakesAnAllocator) {
    using key = std::uint64_t;
    constructors_of<steady::map<key, key, std::hash<key>, std::equal_to<key>,
                                std::pmr::polymorphic_allocator<std::pair<const key, key>>>>(
        {{1, 2}, {3, 4}}, {{5, 6}, {7, 8}, {9, 10}});
    constructors_of<
        steady::set<key, std::hash<key>, std::equal_to<key>, std::pmr::polymorphic_allocator<key>>>(
        {1, 2}, {3, 4, 5});
}

/// Counts what is taken from it.
struct counting_resource : std::pmr::memory_resource {
    long held = 0;
    void* do_allocate(std::size_t n, std::size_t a) override {
        held += static_cast<long>(n);
        return std::pmr::new_delete_resource()->allocate(n, a);
    }
    void do_deallocate(void* p, std::size_t n, std::size_t a) override {
        held -= static_cast<long>(n);
        std::pmr::new_delete_resource()->deallocate(p, n, a);
    }
    bool do_is_equal(const memory_resource& o) const noexcept override { return this == &o; }
};

TEST(Interface, MemoryIsWhatTheAllocatorGave) {
    counting_resource source;
    {
        steady::map<std::uint64_t, std::uint64_t, steady::map_hash<std::uint64_t>,
                    std::equal_to<std::uint64_t>,
                    std::pmr::polymorphic_allocator<std::pair<const std::uint64_t, std::uint64_t>>>
            m{&source};
        for (std::uint64_t i = 0; i < 50000; ++i) {
            m.try_emplace(i, i);
            if (i % 97 == 0) {
                // Blocks are taken in units of 16 bytes.
                const auto told = static_cast<long>(m.memory().total().count());
                ASSERT_GE(source.held, told);
                ASSERT_LE(source.held, told + 32 * 16);
            }
        }
    }
    EXPECT_EQ(source.held, 0);
}

TEST(Interface, AMapThatBecameSmallAgainOwnsNothingButItsGroups) {
    using map =
        steady::map<std::uint64_t, std::uint64_t, steady::map_hash<std::uint64_t>,
                    std::equal_to<std::uint64_t>,
                    std::pmr::polymorphic_allocator<std::pair<const std::uint64_t, std::uint64_t>>>;
    for (std::uint64_t n = 100; n < 6000; n += n / 8) {
        counting_resource source;
        {
            map m{&source};
            for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
            for (std::uint64_t i = 0; i < n; ++i) m.erase(i);
            m.shrink_to_fit();
            EXPECT_LE(source.held, 2 * (16 + 15 * 16)) << n;
        }
        ASSERT_EQ(source.held, 0) << n;
    }
}

TEST(Interface, APassThatTurnsBackLeavesNoMemoryBehind) {
    using map =
        steady::map<std::uint64_t, std::uint64_t, steady::map_hash<std::uint64_t>,
                    std::equal_to<std::uint64_t>,
                    std::pmr::polymorphic_allocator<std::pair<const std::uint64_t, std::uint64_t>>>;
    counting_resource source;
    {
        map m{&source};
        for (std::uint64_t i = 0; i < 51'000; ++i) m.try_emplace(i, i);
        const auto full = m.raw_table().state()->low;
        ASSERT_TRUE(m.raw_table().state()->passing());
        for (std::uint64_t i = 0; i < 50'000; ++i) m.erase(i);
        for (int i = 0; i < 40'000; ++i) {
            m.erase(50'000);
            m.try_emplace(50'000);
        }
        m.check();
        ASSERT_LT(m.raw_table().state()->low, full) << "or it has not turned back";
    }
    EXPECT_EQ(source.held, 0);
}

}  // namespace
