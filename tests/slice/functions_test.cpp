// slice_functions_test.cpp - Go's `slices` package: what each function returns, what it
// leaves in the array that others see, and its panics.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <list>
#include <string>
#include <vector>

#include "slice/tracked.hpp"
#include "steady/slice/functions.hpp"
#include "steady/slice/search.hpp"

namespace {

using namespace steady;
using ints = std::vector<int>;
using test::tracked;

ints values(const slice<int>& s) {
    return {s.begin(), s.end()};
}

template <class Work>
std::string panic(Work work) {
    try {
        work();
    } catch (const std::logic_error& e) {
        return e.what();
    }
    return "nothing was thrown";
}

const double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Functions, RepeatingNothingTakesNoTime) {
    EXPECT_EQ(repeat(slice<int>(), PTRDIFF_MAX).len(), 0);
    EXPECT_FALSE(repeat(slice<int>(), PTRDIFF_MAX).is_nil());
    EXPECT_EQ(repeat(slice<int>{1}, 0).len(), 0);
    struct empty {};
    EXPECT_EQ(repeat(make_slice<empty>(3), std::ptrdiff_t{1} << 50).len(), std::ptrdiff_t{3} << 50);
    const auto five = repeat(slice<int>{1, 2, 3}, 5);
    EXPECT_EQ(values(five), (ints{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}));
    EXPECT_EQ(five.cap(), 15);
}

TEST(Functions, MinAndMaxTellZeroesApart) {
    for (const auto& s : {slice<double>{0.0, -0.0}, slice<double>{-0.0, 0.0}}) {
        EXPECT_TRUE(std::signbit(steady::min(s)));
        EXPECT_FALSE(std::signbit(steady::max(s)));
    }
    EXPECT_TRUE(std::isnan(steady::min(slice<double>{-0.0, nan})));
    EXPECT_TRUE(std::isnan(steady::max(slice<double>{nan, 0.0})));
}

TEST(Functions, ReplaceCopiesEachElementOnce) {
    slice<tracked> s{"a", "b", "c"};
    s.grow(4);
    const tracked x("x"), y("y");
    tracked::copies = 0;
    s = replace(std::move(s), 1, 2, x, y);
    EXPECT_EQ(tracked::copies, 2);
    EXPECT_EQ(s.len(), 4);
}

TEST(Functions, CopyTakesTheShorterLengthAndMayOverlap) {
    slice<int> s{1, 2, 3, 4, 5};
    EXPECT_EQ(copy(s, slice<int>{9}), 1);
    EXPECT_EQ(copy(s.from(1), s), 4);
    EXPECT_EQ(values(s), (ints{9, 9, 2, 3, 4}));
    EXPECT_EQ(copy(s, s.from(2)), 3);
    EXPECT_EQ(values(s), (ints{2, 3, 4, 3, 4}));
    EXPECT_EQ(copy(slice<int>(), s), 0);
    const slice<const int> fixed = s;
    auto to = make_slice<int>(2);
    EXPECT_EQ(copy(to, fixed), 2);
    EXPECT_EQ(values(to), (ints{2, 3}));
}

TEST(Functions, ClearGivesZeroValues) {
    slice<int> s{1, 2, 3};
    clear(s.upto(2));
    EXPECT_EQ(values(s), (ints{0, 0, 3}));
    slice<std::string> t{"a", "b"};
    clear(t);
    EXPECT_EQ(t[1], "");
    clear(slice<int>());
}

TEST(Functions, CloneIsAnotherArray) {
    slice<int> s{1, 2, 3};
    auto t = clone(s);
    t[0] = 9;
    EXPECT_EQ(values(s), (ints{1, 2, 3}));
    EXPECT_EQ(t.cap(), 4) << "append's rounding: 12 bytes take 16";
    EXPECT_TRUE(clone(slice<int>()).is_nil());
    EXPECT_FALSE(clone(make_slice<int>(0)).is_nil());
    EXPECT_EQ(clone(s.from(3)).retained(), 0u);
    EXPECT_EQ(clone(slice<const int>(s)).len(), 3);
}

TEST(Functions, ClipAndGrowReturnTheView) {
    const auto s = make_slice<int>(2, 10);
    EXPECT_EQ(clip(s).cap(), 2);
    EXPECT_EQ(s.cap(), 10);
    EXPECT_EQ(grow(s, 8).data(), s.data());
    EXPECT_GE(grow(s, 9).cap(), 11);
    EXPECT_EQ(panic([&] { static_cast<void>(grow(s, -1)); }), "cannot be negative");
}

TEST(Functions, InsertMovesTheTailUp) {
    slice<int> s{1, 2, 3};
    EXPECT_EQ(values(insert(s, 0, 7, 8)), (ints{7, 8, 1, 2, 3}));
    EXPECT_EQ(values(insert(s, 3, 9)), (ints{1, 2, 3, 9}));
    EXPECT_EQ(values(insert(s, 1)), (ints{1, 2, 3}));
    EXPECT_EQ(values(s), (ints{1, 2, 3})) << "it grew: the old array is untouched";
    s.grow(3);
    const auto t = insert_range(s, 1, s);
    EXPECT_EQ(values(t), (ints{1, 1, 2, 3, 2, 3}));
    EXPECT_EQ(values(s), (ints{1, 1, 2})) << "there was room: the array is shared";
    EXPECT_EQ(panic([&] { static_cast<void>(insert(s, 4, 1)); }),
              "slice bounds out of range [4:3]");
    EXPECT_EQ(panic([&] { static_cast<void>(insert(s, -1, 1)); }),
              "slice bounds out of range [-1:]");
    EXPECT_EQ(panic([&] { static_cast<void>(insert_range(s, 9, s)); }),
              "slice bounds out of range [9:3]");
    EXPECT_EQ(insert(slice<int>(), 0, 5).len(), 1);
}

TEST(Functions, RemoveZeroesWhatFallsFree) {
    slice<int> s{1, 2, 3, 4, 5};
    auto t = remove(s, 1, 3);
    EXPECT_EQ(values(t), (ints{1, 4, 5}));
    EXPECT_EQ(values(s), (ints{1, 4, 5, 0, 0}));
    EXPECT_EQ(values(remove(t, 2, 2)), (ints{1, 4, 5}));
    t = remove(std::move(t), 0, 3);
    EXPECT_EQ(t.len(), 0);
    EXPECT_EQ(panic([&] { static_cast<void>(remove(s, 1, 9)); }),
              "slice bounds out of range [:9:5]");
    EXPECT_EQ(panic([&] { static_cast<void>(remove(s, 3, 2)); }),
              "slice bounds out of range [3:2:]");
    EXPECT_EQ(panic([&] { static_cast<void>(remove(s.upto(2), 1, 3)); }),
              "slice bounds out of range [:3:2]");
}

TEST(Functions, RemoveFuncAndCompactKeepTheOrder) {
    slice<int> s{1, 2, 2, 3, 3, 3, 4};
    EXPECT_EQ(values(compact(clone(s))), (ints{1, 2, 3, 4}));
    EXPECT_EQ(values(compact_func(clone(s), [](int a, int b) { return a / 2 == b / 2; })),
              (ints{1, 2, 4}));
    const auto odd = remove_func(s, [](int x) { return x % 2 == 0; });
    EXPECT_EQ(values(odd), (ints{1, 3, 3, 3}));
    EXPECT_EQ(values(s), (ints{1, 3, 3, 3, 0, 0, 0}));
}

TEST(Functions, ReplaceGrowsOnceAndSparesAnArrayThatIsTooSmall) {
    slice<int> s{1, 2, 3, 4};
    EXPECT_EQ(values(replace(s, 1, 3, 7, 8, 9)), (ints{1, 7, 8, 9, 4}));
    EXPECT_EQ(values(s), (ints{1, 2, 3, 4}));
    EXPECT_EQ(values(replace(s, 1, 3, 7)), (ints{1, 7, 4}));
    EXPECT_EQ(values(s), (ints{1, 7, 4, 0})) << "it was large enough";
    EXPECT_EQ(values(replace(s, 0, 4)), (ints{}));
    slice<int> t{1, 2, 3, 4};
    EXPECT_EQ(values(replace_range(t, 0, 1, t)), (ints{1, 2, 3, 4, 2, 3, 4}));
    EXPECT_EQ(values(replace_range(t, 3, 4, std::list<int>{8})), (ints{1, 2, 3, 8}));
    EXPECT_EQ(panic([&] { static_cast<void>(replace(t, 1, 9)); }),
              "slice bounds out of range [:9] with capacity 4");
    EXPECT_EQ(panic([&] { static_cast<void>(replace(t, 3, 2)); }),
              "slice bounds out of range [3:2]");
    EXPECT_EQ(panic([&] { static_cast<void>(replace(t.upto(2), 1, 3)); }),
              "slice bounds out of range [3:2]");
}

TEST(Functions, ConcatAndRepeatMakeOneArray) {
    const slice<int> a{1}, b{2, 3};
    EXPECT_EQ(values(concat(a, b, a)), (ints{1, 2, 3, 1}));
    EXPECT_TRUE(concat(slice<int>()).is_nil());
    EXPECT_EQ(values(repeat(b, 3)), (ints{2, 3, 2, 3, 2, 3}));
    EXPECT_EQ(repeat(b, 3).cap(), 6);
    EXPECT_EQ(repeat(b, 0).len(), 0);
    EXPECT_EQ(panic([&] { static_cast<void>(repeat(b, -1)); }), "cannot be negative");
    EXPECT_EQ(panic([&] { static_cast<void>(repeat(b, PTRDIFF_MAX)); }),
              "the result of (len(x) * count) overflows");
    struct nothing {};
    const auto many = make_slice<nothing>(PTRDIFF_MAX);
    EXPECT_EQ(panic([&] { static_cast<void>(concat(many, many)); }), "len out of range");
}

TEST(Functions, ChunksHaveNoRoomBehindThem) {
    slice<int> s{1, 2, 3, 4, 5};
    std::vector<ints> all;
    for (auto part : chunk(s, 2)) {
        EXPECT_EQ(part.cap(), part.len());
        all.push_back(values(part));
        part.append(100);
    }
    EXPECT_EQ(all, (std::vector<ints>{{1, 2}, {3, 4}, {5}}));
    EXPECT_EQ(values(s), (ints{1, 2, 3, 4, 5}));
    for (const auto& part : chunk(slice<int>(), 3)) ADD_FAILURE() << part.len();
    const auto whole = chunk(s, PTRDIFF_MAX);
    auto it = whole.begin();
    EXPECT_EQ((*it++).len(), 5);
    EXPECT_TRUE(it == whole.end());
    EXPECT_EQ(panic([&] { static_cast<void>(chunk(s, 0)); }), "cannot be less than 1");
}

TEST(Functions, ReverseAndCollect) {
    auto s = collect(std::list<int>{3, 1, 2});
    reverse(s);
    EXPECT_EQ(values(s), (ints{2, 1, 3}));
    EXPECT_EQ(values(sorted(s)), (ints{1, 2, 3}));
    EXPECT_EQ(values(sorted_func(s, [](int a, int b) { return b - a; })), (ints{3, 2, 1}));
    EXPECT_EQ(values(s), (ints{2, 1, 3}));
}

TEST(Search, IndexAndContains) {
    const slice<std::string> s{"a", "b", "b"};
    EXPECT_EQ(index(s, "b"), 1);
    EXPECT_EQ(index(s, "z"), -1);
    EXPECT_TRUE(contains(s, "a"));
    EXPECT_FALSE(contains_func(s, [](const std::string& x) { return x.size() > 1; }));
    EXPECT_EQ(index_func(s, [](const std::string& x) { return x > "a"; }), 1);
    EXPECT_EQ(index(slice<double>{nan}, nan), -1);
}

TEST(Search, EqualAndCompare) {
    const slice<int> a{1, 2}, b{1, 2, 0}, c{1, 3};
    EXPECT_EQ(compare(a, a), 0);
    EXPECT_EQ(compare(a, b), -1);
    EXPECT_EQ(compare(b, a), 1);
    EXPECT_EQ(compare(c, b), 1);
    EXPECT_EQ(compare(b, c), -1);
    EXPECT_EQ(compare_func(a, b, [](int, int) { return 5; }), 1);
    EXPECT_FALSE(equal(a, b));
    EXPECT_FALSE(equal(a, c));
    EXPECT_TRUE(equal_func(a, slice<std::string>{"x", "yy"}, [](int n, const std::string& s) {
        return static_cast<std::size_t>(n) == s.size();
    }));
    const slice<double> n{nan};
    EXPECT_FALSE(equal(n, n));
    EXPECT_EQ(compare(n, n), 0);
    EXPECT_EQ(compare(n, slice<double>{-1e300}), -1);
}

TEST(Search, MinAndMax) {
    EXPECT_EQ(min(slice<int>{3, 1, 2}), 1);
    EXPECT_EQ(max(slice<int>{3, 1, 2}), 3);
    EXPECT_TRUE(std::isnan(min(slice<double>{1, nan, 2})));
    EXPECT_TRUE(std::isnan(max(slice<double>{1, nan, 2})));
    EXPECT_EQ(max(slice<double>{1, 5, 2}), 5);
    const auto length = [](const std::string& a, const std::string& b) {
        return static_cast<int>(a.size()) - static_cast<int>(b.size());
    };
    const slice<std::string> words{"bb", "aa", "c", "d"};
    EXPECT_EQ(min_func(words, length), "c") << "the first of the least";
    EXPECT_EQ(max_func(words, length), "bb") << "the first of the greatest";
    EXPECT_EQ(panic([] { static_cast<void>(min(slice<int>())); }), "slices.Min: empty list");
    EXPECT_EQ(panic([] { static_cast<void>(max(slice<int>())); }), "slices.Max: empty list");
    EXPECT_EQ(panic([&] { static_cast<void>(min_func(slice<std::string>(), length)); }),
              "slices.MinFunc: empty list");
    EXPECT_EQ(panic([&] { static_cast<void>(max_func(slice<std::string>(), length)); }),
              "slices.MaxFunc: empty list");
}

TEST(Search, SortAndBinarySearch) {
    slice<double> s{3, nan, 1, 2};
    EXPECT_FALSE(is_sorted(s));
    sort(s);
    EXPECT_TRUE(std::isnan(s[0]));
    EXPECT_TRUE(is_sorted(s));
    EXPECT_EQ(binary_search(s, 2.0), (std::pair<std::ptrdiff_t, bool>{2, true}));
    EXPECT_EQ(binary_search(s, 2.5), (std::pair<std::ptrdiff_t, bool>{3, false}));
    EXPECT_EQ(binary_search(s, 9.0), (std::pair<std::ptrdiff_t, bool>{4, false}));
    EXPECT_EQ(binary_search(s, nan), (std::pair<std::ptrdiff_t, bool>{0, true}));
    slice<std::pair<int, int>> pairs{{2, 0}, {1, 1}, {2, 2}, {1, 3}};
    const auto first = [](const auto& a, const auto& b) { return a.first <=> b.first; };
    sort_stable_func(pairs, first);
    EXPECT_EQ(pairs[0].second + 10 * pairs[1].second + 100 * pairs[3].second, 1 + 30 + 200);
    EXPECT_TRUE(is_sorted_func(pairs, first));
    sort_func(pairs, [](const auto& a, const auto& b) { return b.second - a.second; });
    EXPECT_EQ(pairs[0].second, 3);
    EXPECT_TRUE(binary_search_func(
                    slice<std::string>{"a", "bb", "ccc"}, 2,
                    [](const std::string& s, int n) { return static_cast<int>(s.size()) - n; })
                    .second);
}

TEST(Functions, ManagedElementsAreNeitherLostNorDoubled) {
    {
        slice<tracked> s{"a", "b", "c", "d"};
        s = insert(s, 1, tracked("x"), tracked("y"));
        s = remove(s, 0, 1);
        s = replace(s, 1, 2, tracked("1"), tracked("2"), tracked("3"));
        std::string all;
        for (const auto& t : s) all += t.text;
        EXPECT_EQ(all, "x123bcd");
        s = remove_func(s, [](const tracked& t) { return t.text < "a"; });
        s = compact(s);
        clear(s);
        EXPECT_EQ(s.len(), 4);
        EXPECT_EQ(copy(s, slice<tracked>{"q"}), 1);
        slice<tracked> o{"a", "b", "c", "d"};
        EXPECT_EQ(copy(o.from(1), o), 3);
        EXPECT_TRUE(equal(o, slice<tracked>{"a", "a", "b", "c"}));
        EXPECT_EQ(copy(o, o.from(2)), 2);
        EXPECT_TRUE(equal(o, slice<tracked>{"b", "c", "b", "c"}));
        reverse(s);
        EXPECT_EQ(s[3].text, "q");
        static_cast<void>(repeat(s, 3));
    }
    EXPECT_EQ(tracked::alive, 0);
}

}  // namespace
