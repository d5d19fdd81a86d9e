// maps_test.cpp - Go's package maps, function by function.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "steady/go/maps.hpp"

namespace {

using steady::go::map;
namespace maps = steady::go::maps;

TEST(GoMaps, KeysAndValuesAreAllOfThem) {
    map<int, std::string> m{{1, "a"}, {2, "b"}, {3, "c"}};
    auto keys = maps::keys(m);
    auto values = maps::values(m);
    std::sort(keys.begin(), keys.end());
    std::sort(values.begin(), values.end());
    EXPECT_EQ(keys, (std::vector{1, 2, 3}));
    EXPECT_EQ(values, (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_TRUE(maps::keys(map<int, int>()).empty());
}

TEST(GoMaps, CollectAndInsertKeepTheLastOfEqualKeys) {
    const std::vector<std::pair<int, int>> pairs{{1, 1}, {2, 2}, {1, 3}};
    auto m = maps::collect<int, int>(pairs);
    EXPECT_EQ(m.size(), 2u);
    EXPECT_EQ(m.get(1), 3);
    maps::insert(m, std::vector<std::pair<int, int>>{{2, 5}, {7, 7}});
    EXPECT_EQ(m.get(2), 5);
    EXPECT_EQ(m.get(7), 7);
    map<int, int> nil;
    EXPECT_THROW(maps::insert(nil, pairs), steady::go::nil_map_error);
    EXPECT_FALSE((maps::collect<int, int>(std::vector<std::pair<int, int>>{}).is_nil()));
}

TEST(GoMaps, CloneCopyAndEqualSpeakOfContents) {
    map<std::string, int> m{{"a", 1}, {"b", 2}};
    auto other = maps::clone(m);
    EXPECT_TRUE(maps::equal(m, other));
    other.assign("c", 3);
    EXPECT_FALSE(maps::equal(m, other));
    maps::copy(m, other);
    EXPECT_TRUE(maps::equal(m, other));
    m.assign("a", 9);
    EXPECT_FALSE(maps::equal(m, other));
    EXPECT_TRUE(maps::clone(map<int, int>()).is_nil());
    EXPECT_TRUE(maps::equal(map<int, int>(), map<int, int>::make()));
    EXPECT_FALSE(maps::equal(map<int, int>{{1, 1}}, map<int, int>{{2, 1}}));
    map<std::string, int> nil;
    EXPECT_THROW(maps::copy(nil, m), steady::go::nil_map_error);
}

TEST(GoMaps, DeleteFuncAndEqualFuncAskTheCaller) {
    auto m = map<int, int>::make();
    for (int i = 0; i < 1000; ++i) m.assign(i, i);
    maps::delete_func(m, [](int key, int elem) { return (key + elem) % 4 == 0; });
    EXPECT_EQ(m.size(), 500u);
    m.check();
    map<int, std::string> texts;
    texts = texts.make();
    for (auto& [key, elem] : m) texts.assign(key, std::to_string(elem));
    const auto same = [](int n, const std::string& s) { return std::to_string(n) == s; };
    EXPECT_TRUE(maps::equal_func(m, texts, same));
    texts.assign(1, "2");
    EXPECT_FALSE(maps::equal_func(m, texts, same));
    texts.erase(1);
    EXPECT_FALSE(maps::equal_func(m, texts, same));
    texts.assign(2000, "1");
    EXPECT_FALSE(maps::equal_func(m, texts, same));
}

}  // namespace
