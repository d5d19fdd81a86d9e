// map_test.cpp - go::map as its users meet it: nil, making, reading, writing, deleting.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "go/map_types.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/heap.hpp"

namespace {

using steady::go::map;
using namespace steady::test;

// ---- the layouts Go measures: keys and elems without padding, 128 bytes as the limit

static_assert(map<std::int32_t, std::int32_t>::bucket_size == 80);
static_assert(map<std::int64_t, std::int64_t>::bucket_size == 144);
static_assert(map<std::int64_t, std::int8_t>::bucket_size == 88);
static_assert(map<std::int64_t, std::string_view>::bucket_size == 208);
static_assert(map<std::string_view, std::int64_t>::bucket_size == 208);
static_assert(map<std::string_view, std::string_view>::bucket_size == 272);
static_assert(map<std::int32_t, std::monostate>::bucket_size == 48);
static_assert(map<std::int64_t, std::monostate>::bucket_size == 80);
static_assert(map<std::uint8_t, bool>::bucket_size == 32);
static_assert(map<int, std::array<char, 128>>::bucket_size == 8 + 8 * 132 + 8);
static_assert(!map<int, std::array<char, 128>>::elem_behind_pointer);
static_assert(map<int, std::array<char, 129>>::elem_behind_pointer);
static_assert(map<int, long double>::elem_behind_pointer, "cells are aligned to 8");
static_assert(sizeof(map<int, int>) == 16);

TEST(GoMap, NilReadsAsEmptyAndRefusesWrites) {
    map<std::string, int> m;
    EXPECT_TRUE(m.is_nil());
    EXPECT_TRUE(m == nullptr);
    EXPECT_EQ(m.size(), 0u);
    EXPECT_EQ(m.get("a"), 0);
    EXPECT_FALSE(m.get_ok("a").second);
    EXPECT_EQ(m.lookup("a"), nullptr);
    EXPECT_EQ(m.erase("a"), 0u);
    EXPECT_EQ(m.begin(), m.end());
    EXPECT_EQ(m.bucket_count(), 0u);
    EXPECT_EQ(m.header(), nullptr);
    m.clear();
    m.check();
    const auto refused = [&](auto write) {
        try {
            write();
            return std::string("it did not throw");
        } catch (const steady::go::nil_map_error& e) {
            return std::string(e.what());
        }
    };
    EXPECT_EQ(refused([&] { m["a"] = 1; }), "assignment to entry in nil map");
    EXPECT_EQ(refused([&] { m.assign("a", 1); }), "assignment to entry in nil map");
    EXPECT_EQ(refused([&] { m.try_emplace("a", 1); }), "assignment to entry in nil map");
    EXPECT_EQ(refused([&] { m.insert_or_assign("a", 1); }), "assignment to entry in nil map");
    EXPECT_TRUE(m.is_nil());
    const auto copy = m;
    EXPECT_TRUE(copy.is_nil());
}

TEST(GoMap, ReadingAndWritingAgreeThroughEveryDoor) {
    auto m = map<std::string, int>::make();
    EXPECT_FALSE(m.is_nil());
    m["one"] = 1;
    EXPECT_EQ(m.assign("two", 2), 2);
    EXPECT_TRUE(m.try_emplace("three", 3).second);
    EXPECT_FALSE(m.try_emplace("three", 33).second);
    EXPECT_TRUE(m.insert_or_assign("four", 4).second);
    EXPECT_FALSE(m.insert_or_assign("four", 44).second);
    EXPECT_TRUE(m.insert({"five", 5}).second);
    const std::pair<const std::string, int> six{"six", 6};
    EXPECT_TRUE(m.insert(six).second);
    EXPECT_TRUE(m.insert(std::pair<const std::string, int>{"seven", 7}).second);
    EXPECT_TRUE(m.emplace("eight", 8).second);
    m.insert({{"nine", 9}, {"nine", 99}});
    m.assign("two", 22);
    EXPECT_EQ(m.size(), 9u);
    EXPECT_EQ(m.get("one"), 1);
    EXPECT_EQ(m.at("two"), 22);
    EXPECT_EQ(m.get_ok("three"), std::pair(3, true));
    EXPECT_EQ(m.get_ok("ten"), std::pair(0, false));
    EXPECT_EQ(m.find("four")->second, 44);
    EXPECT_EQ((*m.find("five")).first, "five");
    EXPECT_EQ(m.get("nine"), 9);
    EXPECT_EQ(m.find("ten"), m.end());
    EXPECT_TRUE(m.contains("six"));
    EXPECT_EQ(m.count("ten"), 0u);
    EXPECT_THROW(static_cast<void>(m.at("ten")), std::out_of_range);
    const auto& constant = m;
    EXPECT_EQ(constant.at("seven"), 7);
    EXPECT_EQ(constant.find("eight")->second, 8);
    EXPECT_EQ(m.erase("one"), 1u);
    EXPECT_EQ(m.erase("one"), 0u);
    EXPECT_EQ(m.size(), 8u);
    m.check();
    m = nullptr;
    EXPECT_TRUE(m.is_nil());
}

TEST(GoMap, ElemsOfAbsentKeysAreMadeOnlyWhenNeeded) {
    auto m = map<int, std::unique_ptr<int>>::make();
    auto p = std::make_unique<int>(1);
    EXPECT_TRUE(m.try_emplace(1, std::move(p)).second);
    auto q = std::make_unique<int>(2);
    EXPECT_FALSE(m.try_emplace(1, std::move(q)).second);
    ASSERT_NE(q, nullptr) << "the key was there; its argument must be untouched";
    m[2] = std::move(q);
    EXPECT_EQ(*m.at(2), 2);
    m.assign(1, std::make_unique<int>(3));
    EXPECT_EQ(*m.at(1), 3);
}

TEST(GoMap, GrowsAtGosPointsAndNowhereElse) {
    // 9, 14, 27, 53, 105 ...: one more than 8, and than 13 * 2^B / 2.
    auto m = map<std::uint64_t, std::uint64_t>::make();
    std::vector<std::size_t> starts;
    unsigned B = 0;
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        m.assign(i, i);
        if (m.header()->B != B) {
            starts.push_back(i);
            B = m.header()->B;
        }
    }
    EXPECT_EQ(starts, (std::vector<std::size_t>{9, 14, 27, 53, 105, 209, 417, 833}));
    m.check();
}

TEST(GoMap, AHintTakesTheArrayThatHoldsIt) {
    using table = map<int, int>;
    for (const auto& [hint, B] : std::map<std::size_t, unsigned>{
             {0, 0}, {8, 0}, {9, 1}, {13, 1}, {14, 2}, {52, 3}, {53, 4}, {6656, 10}, {6657, 11}}) {
        auto m = table::make(hint);
        EXPECT_EQ(m.header()->B, B) << hint;
        for (int i = 0; i < static_cast<int>(hint); ++i) m.assign(i, i);
        EXPECT_EQ(m.header()->B, B) << hint;
        m.check();
    }
    EXPECT_EQ(table::make(std::numeric_limits<std::size_t>::max()).header()->B, 0)
        << "a hint no address space holds counts as none";
}

TEST(GoMap, FloatsFollowTheirOwnEquality) {
    auto m = map<double, std::string>::make();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int i = 0; i < 100; ++i) m.assign(nan, "lost");
    EXPECT_EQ(m.size(), 100u) << "each NaN is a key of its own";
    EXPECT_FALSE(m.contains(nan));
    EXPECT_EQ(m.erase(nan), 0u);
    m.assign(0.0, "plus");
    m.assign(-0.0, "minus");
    EXPECT_EQ(m.size(), 101u);
    EXPECT_EQ(m.get(0.0), "minus");
    EXPECT_TRUE(std::signbit(m.find(0.0)->first)) << "Go replaces the key as well";
    std::size_t seen = 0;
    for (auto& [key, elem] : m) seen += elem == "lost" && key != key;
    EXPECT_EQ(seen, 100u);
    m.check();
    EXPECT_FALSE(m == m) << "a NaN equals nothing";
    m.clear();
    EXPECT_TRUE(m.empty());
    auto f = map<float, int>{{1.5f, 1}};
    EXPECT_EQ(f.get(1.5f), 1);
    auto l = map<long double, int>{{1.5L, 1}};
    EXPECT_EQ(l.get(1.5L), 1);
    EXPECT_TRUE((map<long double, int>::key_behind_pointer));
}

TEST(GoMap, AStringViewIsReplacedByTheOneAssignedLast) {
    const std::string first = "key", second = "key";
    auto m = map<std::string_view, int>::make();
    m.assign(std::string_view(first), 1);
    m.assign(std::string_view(second), 2);
    EXPECT_EQ(m.find("key")->first.data(), second.data());
    m.insert_or_assign(std::string_view(first), 3);
    EXPECT_EQ(m.find("key")->first.data(), second.data());
    EXPECT_EQ(m.size(), 1u);
}

TEST(GoMap, StringsOfEveryLengthAreToldApart) {
    auto m = map<std::string, std::size_t>::make();
    const std::string letters(70, 'x');
    for (std::size_t n = 0; n <= letters.size(); ++n) {
        m.assign(letters.substr(0, n), n);
        for (std::size_t i = 0; i < n; ++i) {
            auto other = letters.substr(0, n);
            other[i] = 'y';
            EXPECT_FALSE(m.contains(other));
            EXPECT_FALSE(steady::go::equal_to{}(std::string_view(other), letters.substr(0, n)));
        }
    }
    for (std::size_t n = 0; n <= letters.size(); ++n) {
        const std::string same = letters.substr(0, n);  // the same characters elsewhere
        EXPECT_EQ(m.get(same), n);
        EXPECT_EQ(m.get(std::string_view(same)), n);
        EXPECT_EQ(m.get(same.c_str()), n);
    }
}

TEST(GoMap, EnormousAndAlignedEntriesStandBehindPointers) {
    struct alignas(64) wide {
        std::uint64_t n;
        bool operator==(const wide&) const = default;
    };
    struct hash_wide {
        std::size_t operator()(const wide& w) const noexcept { return w.n; }
    };
    using big = std::array<std::uint64_t, 40>;
    auto m = map<wide, big, hash_wide>::make();
    for (std::uint64_t i = 0; i < 1000; ++i) m.try_emplace(wide{i}, big{i, i + 1});
    for (auto& [key, elem] : m) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&key) % 64, 0u);
        EXPECT_EQ(elem[1], key.n + 1);
    }
    const wide* const stays = &m.find(wide{7})->first;
    for (std::uint64_t i = 1000; i < 5000; ++i) m[wide{i}] = big{};
    EXPECT_EQ(stays, &m.find(wide{7})->first) << "growing moves pointers, not what they point to";
    for (std::uint64_t i = 0; i < 5000; i += 2) m.erase(wide{i});
    EXPECT_EQ(m.size(), 2500u);
    m.check();
}

TEST(GoMap, ASetTakesNoRoomForItsElems) {
    auto set = map<std::uint32_t, std::monostate>::make();
    for (std::uint32_t i = 0; i < 1000; ++i) set[i];
    EXPECT_EQ(set.size(), 1000u);
    EXPECT_TRUE(set.contains(999u));
    EXPECT_FALSE(set.contains(1000u));
    set.check();
    auto just_one = map<std::monostate, int, decltype([](std::monostate) { return 1u; })>::make();
    just_one[{}] = 5;
    just_one[{}] = 6;
    EXPECT_EQ(just_one.size(), 1u);
}

struct point {
    std::int32_t x, y;
    bool operator==(const point&) const = default;
};
}  // namespace
template <>
inline constexpr bool steady::go::hash_as_bytes<point> = true;
namespace {

TEST(GoMap, PlainStructsMayBeHashedAsBytes) {
    map<point, int> m{{{1, 2}, 3}, {{2, 1}, 4}};
    EXPECT_EQ(m.get(point{1, 2}), 3);
    EXPECT_EQ(m.get(point{2, 1}), 4);
    EXPECT_EQ(m.get(point{2, 2}), 0);
}

TEST(GoMap, CopiesAreDeepAndMovesLeaveNil) {
    map<int, std::string> m{{1, "a"}, {2, "b"}};
    auto copy = m;
    copy[1] = "c";
    EXPECT_EQ(m.get(1), "a");
    EXPECT_FALSE(copy == m);
    copy = m;
    EXPECT_EQ(copy, m);
    copy = *&copy;
    auto moved = std::move(copy);
    EXPECT_TRUE(copy.is_nil());
    EXPECT_EQ(moved, m);
    moved[3] = "d";
    swap(moved, m);
    EXPECT_EQ(m.size(), 3u);
    EXPECT_EQ(moved.size(), 2u);
    EXPECT_FALSE(m == moved);
    moved = std::move(m);
    EXPECT_EQ(moved.get(3), "d");
    EXPECT_EQ((map<int, int>(nullptr) == nullptr), true);
    const std::vector<std::pair<int, std::string>> pairs{{7, "x"}, {7, "y"}};
    map<int, std::string> from(pairs.begin(), pairs.end());
    EXPECT_EQ(from.get(7), "x");
}

TEST(GoMap, MoveOnlyKeysAndElemsSurviveGrowth) {
    auto m = map<only_moves, std::unique_ptr<std::uint64_t>, hash_only_moves>::make();
    for (std::uint64_t i = 0; i < 10'000; ++i) m.try_emplace(only_moves(i), new std::uint64_t(i));
    for (std::uint64_t i = 0; i < 10'000; i += 3) EXPECT_EQ(m.erase(only_moves(i)), 1u);
    for (std::uint64_t i = 0; i < 10'000; ++i) {
        const auto* const elem = m.lookup(only_moves(i));
        ASSERT_EQ(elem != nullptr, i % 3 != 0);
        if (elem != nullptr) {
            EXPECT_EQ(**elem, i);
        }
    }
    m.check();
}

TEST(GoMap, ArgumentsMayLieInTheMap) {
    // A growth moves what the reference names; whoever reads it afterwards reads a hole.
    auto m = map<std::string, std::string>::make();
    m["key number 0, too long for a small string"] = "a value that is also too long for one";
    for (int i = 1; i < 3000; ++i) {
        const auto any = *m.find("key number 0, too long for a small string");
        m.assign(std::to_string(i), any.second);
        m.insert_or_assign("other", m.at(std::to_string(1 + i / 2)));
        ASSERT_EQ(m.at("other"), "a value that is also too long for one");
        m.try_emplace(m.at("other") + std::to_string(i), m.at("other"));
    }
    for (int i = 1; i < 3000; ++i) {
        EXPECT_EQ(m.at(std::to_string(i)), "a value that is also too long for one");
    }
    std::size_t left = m.size();
    while (!m.empty()) {
        const auto it = m.begin();
        EXPECT_EQ(m.erase(it->first), 1u);
        EXPECT_EQ(m.size(), --left);
    }
}

TEST(GoMap, AnElemOfTheMapMayBeGivenToAnotherKeyOfIt) {
    // While the map grows, the write moves the bucket in which the elem stands that it reads.
    const auto elem = [](int i) { return "elem " + std::to_string(i) + ", too long to be small"; };
    int given = 0;
    for (int entries : {14, 27, 53, 54, 105, 209, 210}) {
        for (int from = 0; from < entries; ++from) {
            auto m = map<int, std::string>::make();
            for (int i = 0; i < entries; ++i) m.assign(i, elem(i));
            if (m.header()->oldbuckets != nullptr) ++given;
            const int to = (from * 7 + 1) % entries;
            if (to == from) continue;
            m.assign(to, std::move(m.at(from)));
            ASSERT_EQ(m.at(to), elem(from)) << entries << " entries, " << from << " to " << to;
            for (int i = 0; i < entries; ++i) {
                if (i != to && i != from) {
                    ASSERT_EQ(m.at(i), elem(i));
                }
            }
            m.check();
        }
    }
    EXPECT_GT(given, 300) << "too few of them happened during a growth";
}

/// An elem whose assignment takes, and overwrites, memory of the size that was freed last.
struct scribbler {
    static inline std::size_t size = 0;
    int n = 0;
    scribbler() = default;
    scribbler(int number) : n{number} {}
    scribbler(const scribbler&) = default;
    scribbler& operator=(const scribbler& other) noexcept {
        n = other.n;
        void* taken[16];  // half of them may hold pointers
        for (void*& p : taken) {
            p = size == 0 ? nullptr : steady::go::internal::allocate_object(size, &p < taken + 8);
            if (p != nullptr) std::memset(p, 0x55, size);
        }
        for (void* const p : taken) steady::deallocate(p);
        return *this;
    }
};

TEST(GoMap, AKeyArgumentMayLieInAnArrayThatIsFreed) {
    // The last old bucket moves, its array goes, and the key is written over last.
    using table = map<double, scribbler>;
    int ended = 0;
    for (int round = 0; round < 100; ++round) {  // each with a seed of its own
        auto m = table::make();
        for (int i = 0; i < 200; ++i) {
            m.assign(i, -1);
            for (int k = 0; k <= i && m.header()->oldbuckets != nullptr; ++k) {
                const auto it = m.find(k);
                const unsigned old_B = m.header()->B - 1u;
                scribbler::size = steady::go::internal::array_buckets(table::bucket_size, old_B) *
                                  table::bucket_size;
                m.assign(it->first, k);
                scribbler::size = 0;
                ended += m.header()->oldbuckets == nullptr;
                ASSERT_TRUE(m.contains(k)) << k;
                ASSERT_EQ(m.at(k).n, k);
            }
            m.check();
        }
    }
    EXPECT_GE(ended, 300);
}

TEST(GoMap, ARangeThatIsGivenAwayIsMovedFrom) {
    using entry = std::pair<std::string, std::unique_ptr<int>>;
    std::vector<entry> source;
    for (int i = 0; i < 100; ++i) source.emplace_back(std::to_string(i), std::make_unique<int>(i));
    auto m = map<std::string, std::unique_ptr<int>>::make();
    m.insert(std::make_move_iterator(source.begin()), std::make_move_iterator(source.end()));
    ASSERT_EQ(m.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(*m.at(std::to_string(i)), i);
    // References in a pair are not the range's to give away.
    const std::string key = "key";
    std::string elem = "elem";
    std::vector<std::pair<const std::string&, std::string&>> pairs{{key, elem}};
    auto copies = map<std::string, std::string>::make();
    copies.insert(std::make_move_iterator(pairs.begin()), std::make_move_iterator(pairs.end()));
    EXPECT_EQ(copies.at("key"), "elem");
    EXPECT_EQ(elem, "elem");
}

TEST(GoMap, AHintThatWasNotUsedCostsNothingWhenItGoes) {
    const auto faults = [] {
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        return used.ru_minflt;
    };
    const auto before = faults();
    {
        auto few = map<std::uint64_t, std::uint64_t>::make(100'000'000);
        for (std::uint64_t i = 0; i < 10; ++i) few.assign(i, i);
        auto none = map<std::string, std::string>::make(20'000'000);
        const auto nothing = none.header()->buckets;
        EXPECT_NE(nothing, nullptr);
    }
    EXPECT_LT(faults() - before, 200) << "2^24 buckets were looked at";
}

TEST(GoMap, AHashThatWritesToItsMapIsAskedAgain) {
    static std::function<void()> meanwhile;
    struct busy_hash {
        std::uint64_t operator()(int key, std::uint64_t seed) const {
            if (meanwhile) std::exchange(meanwhile, nullptr)();
            return steady::hash<int>{}(key, seed);
        }
    };
    auto m = map<int, std::string, busy_hash>::make(100);
    const auto write = [&](auto door) {
        m.assign(1, "one");
        m.assign(2, "two");
        meanwhile = [&] {
            m.clear();  // draws a new seed
            m.assign(1, "in between");
        };
        door();
        meanwhile = nullptr;
        m.check();
    };
    write([&] { m.assign(3, "three"); });
    EXPECT_EQ(m.get(3), "three");
    write([&] { m[3] = "three"; });
    EXPECT_EQ(m.get(3), "three");
    write([&] { m.insert_or_assign(3, "three"); });
    EXPECT_EQ(m.get(3), "three");
    write([&] { m.try_emplace(3, "three"); });
    EXPECT_EQ(m.get(3), "three");
    write([&] { EXPECT_EQ(m.erase(1), 1u); });
    EXPECT_TRUE(m.empty());
}

TEST(GoMap, DeletingTheLastEntryDrawsANewSeedAndClearKeepsTheArray) {
    auto m = map<int, int>::make(1000);
    const auto seed = m.header()->hash0;
    const auto* const array = m.header()->buckets;
    m[1] = 1;
    m.erase(1);
    EXPECT_NE(m.header()->hash0, seed);
    for (int i = 0; i < 1000; ++i) m[i] = i;
    m.clear();
    EXPECT_EQ(m.size(), 0u);
    EXPECT_EQ(m.header()->buckets, array);
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE(m.contains(i));
    for (int i = 0; i < 1000; ++i) m[i] = -i;
    EXPECT_EQ(m.get(500), -500);
    m.check();
}

TEST(GoMap, AThreadsRandomSourceCanBePinned) {
    const auto seed_of_new_map = [] {
        steady::go::thread_random() = steady::wyrand{7};
        return map<int, int>::make().header()->hash0;
    };
    EXPECT_EQ(seed_of_new_map(), seed_of_new_map());
}

}  // namespace
