// model_test.cpp - steady::map beside std::unordered_map: the same operations, the same
// answers, and every invariant tested on the way. Sizes go up and down again, so that
// splits, merges, chains and small tables all take part.
#include <cstdint>
#include <random>
#include <string>
#include <unordered_map>

#include <gtest/gtest.h>

#include "steady/map/map.hpp"
#include "steady/map/set.hpp"

namespace {

template <class Value>
struct big_value {
    Value first = 0;
    Value rest[40] = {};
    big_value() = default;
    explicit big_value(std::uint64_t n) : first(static_cast<Value>(n)) { rest[39] = first; }
    friend bool operator==(const big_value& a, const big_value& b) {
        return a.first == b.first && a.rest[39] == b.rest[39] && a.first == a.rest[39];
    }
};

struct alignas(64) aligned_value {
    std::uint64_t n = 0;
    aligned_value() = default;
    explicit aligned_value(std::uint64_t v) : n(v) {}
    friend bool operator==(const aligned_value& a, const aligned_value& b) {
        return a.n == b.n && reinterpret_cast<std::uintptr_t>(&a) % 64 == 0;
    }
};

/// Everything collides: one cluster with a long chain.
struct constant_hash {
    std::size_t operator()(std::uint64_t) const noexcept { return 42; }
};

/// Copies of a small integer, as std::hash makes them.
struct identity_hash {
    std::size_t operator()(std::uint64_t n) const noexcept { return n; }
};

template <class Map, class MakeKey, class MakeValue>
class model {
public:
    using key = typename Map::key_type;
    model(MakeKey make_key, MakeValue make_value) : make_key_(make_key), make_value_(make_value) {}

    void run(std::uint64_t keys, int operations) {
        std::mt19937_64 random(7);
        for (int phase = 0; phase < 4; ++phase) {
            const unsigned inserts = phase % 2 == 0 ? 6 : 2;
            for (int i = 0; i < operations / 4; ++i) {
                const std::uint64_t n = random() % keys;
                const key k = make_key_(n);
                const unsigned choice = static_cast<unsigned>(random() % 10);
                if (choice < inserts) {
                    insert(k, random());
                } else if (choice < 9) {
                    ASSERT_EQ(map.erase(k), standard.erase(k));
                } else {
                    look_up(k);
                }
                if (i % (operations / 16) == 0) compare();
            }
            compare();
        }
        while (!standard.empty()) {
            const key k = standard.begin()->first;
            standard.erase(k);
            ASSERT_EQ(map.erase(k), 1u);
        }
        compare();
    }

    Map map;

private:
    void insert(const key& k, std::uint64_t n) {
        const auto ours = map.try_emplace(k, make_value_(n));
        const auto theirs = standard.try_emplace(k, make_value_(n));
        ASSERT_EQ(ours.second, theirs.second);
        ASSERT_TRUE(ours.first->second == theirs.first->second);
    }
    void look_up(const key& k) {
        const auto ours = map.find(k);
        const auto theirs = standard.find(k);
        ASSERT_EQ(ours == map.end(), theirs == standard.end());
        if (theirs != standard.end()) {
            ASSERT_TRUE(ours->second == theirs->second);
        }
    }
    void compare() {
        map.check();
        ASSERT_EQ(map.size(), standard.size());
        std::size_t seen = 0;
        for (const auto& [k, v] : map) {
            ++seen;
            const auto there = standard.find(k);
            ASSERT_NE(there, standard.end());
            ASSERT_TRUE(there->second == v);
        }
        ASSERT_EQ(seen, standard.size());
        std::size_t scanned = 0;
        steady::scan_cursor cursor{};
        do {
            cursor = map.scan(cursor, 100, [&](const auto&) { ++scanned; });
        } while (cursor != steady::scan_cursor{});
        ASSERT_EQ(scanned, standard.size());
    }

    std::unordered_map<key, typename Map::mapped_type> standard;
    MakeKey make_key_;
    MakeValue make_value_;
};

const auto number = [](std::uint64_t n) { return n; };
const auto text = [](std::uint64_t n) { return "a key of some length: " + std::to_string(n); };

TEST(MapModel, NumbersAnswerLikeTheStandardMapAtEverySize) {
    for (const std::uint64_t keys : {3u, 20u, 100u, 400u, 2000u, 20000u, 200000u}) {
        model<steady::map<std::uint64_t, std::uint64_t>, decltype(number), decltype(number)> m(
            number, number);
        m.run(keys, keys < 1000 ? 40000 : 400000);
    }
}

TEST(MapModel, AMapThatIsEmptiedAndUsedOnShrinksAgain) {
    steady::map<std::uint64_t, std::uint64_t> m;
    for (std::uint64_t n = 0; n < 100000; ++n) m.try_emplace(n, n);
    const auto full = m.memory().total();
    for (std::uint64_t n = 0; n < 100000; ++n) ASSERT_EQ(m.erase(n), 1u);
    m.check();
    EXPECT_EQ(m.memory().total(), full);
    for (std::uint64_t n = 0; n < 60000; ++n) {
        m.try_emplace(n, n);
        ASSERT_EQ(m.erase(n), 1u);
    }
    m.check();
    EXPECT_LT(m.memory().total().count(), full.count() / 50);
    EXPECT_EQ(m.find(5), m.end());
}

TEST(MapModel, StringsAnswerLikeTheStandardMap) {
    for (const std::uint64_t keys : {50u, 5000u}) {
        model<steady::map<std::string, std::string>, decltype(text), decltype(text)> m(text, text);
        m.run(keys, 100000);
    }
}

TEST(MapModel, StableEntriesAnswerLikeTheStandardMap) {
    model<steady::stable_map<std::string, std::uint64_t>, decltype(text), decltype(number)> m(
        text, number);
    m.run(3000, 100000);
}

TEST(MapModel, LargeEntriesLieOutOfLineAndAnswerLikeTheStandardMap) {
    const auto make = [](std::uint64_t n) { return big_value<std::uint64_t>(n); };
    model<steady::map<std::uint64_t, big_value<std::uint64_t>>, decltype(number), decltype(make)> m(
        number, make);
    m.run(3000, 100000);
    using slot = steady::map<std::uint64_t, big_value<std::uint64_t>>::table_type::slot_type;
    static_assert(slot::is_node);
}

TEST(MapModel, EntriesOfEverySizeAndAlignmentAnswerLikeTheStandardMap) {
    const auto tiny = [](std::uint64_t n) { return static_cast<std::uint8_t>(n); };
    model<steady::map<std::uint8_t, std::uint8_t>, decltype(tiny), decltype(tiny)> small(tiny,
                                                                                         tiny);
    small.run(256, 50000);
    const auto middle = [](std::uint64_t n) { return big_value<std::uint32_t>(n); };  // 164 bytes
    model<steady::map<std::uint64_t, big_value<std::uint32_t>>, decltype(number), decltype(middle)>
        large(number, middle);
    large.run(3000, 100000);
    const auto aligned = [](std::uint64_t n) { return aligned_value(n); };
    model<steady::map<std::uint64_t, aligned_value>, decltype(number), decltype(aligned)> wide(
        number, aligned);
    wide.run(3000, 100000);
}

TEST(MapModel, AHashThatCopiesItsKeyIsSpread) {
    model<steady::map<std::uint64_t, std::uint64_t, identity_hash>, decltype(number),
          decltype(number)>
        m(number, number);
    m.run(20000, 200000);
    steady::map<std::uint64_t, int, identity_hash> shifted;
    for (std::uint64_t n = 0; n < 100000; ++n) shifted.try_emplace(n << 24, 1);
    EXPECT_LT(shifted.stats().chained_blocks, shifted.stats().clusters / 8);
}

TEST(MapModel, AHashThatIsConstantIsSlowButRight) {
    model<steady::map<std::uint64_t, std::uint64_t, constant_hash>, decltype(number),
          decltype(number)>
        m(number, number);
    m.run(1500, 20000);
}

}  // namespace
