// slice_slice_test.cpp - what one slice is and does: header, slicing, append, panics.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iterator>
#include <list>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "steady/slice/functions.hpp"
#include "steady/slice/search.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;
using ints = std::vector<int>;

template <class T, class G>
std::vector<std::remove_const_t<T>> values(const slice<T, G>& s) {
    return {s.begin(), s.end()};
}

template <class Exception, class Work>
std::string thrown(Work work) {
    try {
        work();
    } catch (const Exception& e) {
        return e.what();
    }
    return "nothing was thrown";
}
#define PANIC(expression, text) \
    EXPECT_EQ((thrown<bounds_error>([&] { static_cast<void>(expression); })), text)
#define SIZE_PANIC(expression, text) \
    EXPECT_EQ((thrown<size_error>([&] { static_cast<void>(expression); })), text)

struct nothing {
    friend bool operator==(nothing, nothing) { return true; }
};

// ---- the header

TEST(Header, IsGosThreeWords) {
    struct words {
        const void* data;
        std::ptrdiff_t len, cap;
    };
    const auto s = make_slice<int>(3, 7);
    const auto* w = reinterpret_cast<const words*>(&s);
    EXPECT_EQ(sizeof(s), 24u);
    EXPECT_EQ(w->data, s.data());
    EXPECT_EQ(w->len, 3);
    EXPECT_EQ(w->cap, 7);
}

TEST(Header, NilAndEmptyDiffer) {
    const slice<int> nil;
    const slice<int> also = nullptr;
    const auto empty = make_slice<int>(0);
    const auto cut = make_slice<int>(4).sub(2, 2);
    EXPECT_TRUE(nil.is_nil() && nil == nullptr && also == nullptr);
    EXPECT_FALSE(empty.is_nil());
    EXPECT_EQ(static_cast<void*>(empty.data()), &detail::zerobase);
    EXPECT_TRUE(empty != nullptr && empty.empty() && cut.empty());
    EXPECT_EQ(cut.cap(), 2);
    EXPECT_NE(static_cast<void*>(cut.data()), &detail::zerobase);
    EXPECT_TRUE(equal(nil, empty)) << "no elements are equal to no elements";
    EXPECT_TRUE(nil.sub(0, 0).is_nil()) << "nil[0:0] is nil";
    EXPECT_FALSE(empty.sub(0, 0).is_nil());
}

TEST(Header, LooksLikeAContainer) {
    slice<int> s{5, 6, 7};
    EXPECT_EQ(s.front(), 5);
    EXPECT_EQ(s.back(), 7);
    EXPECT_EQ(s.size(), 3u);
    EXPECT_EQ(s.capacity(), 3u) << "[]int{5, 6, 7} has room for no more";
    EXPECT_EQ((ints{s.rbegin(), s.rend()}), (ints{7, 6, 5}));
    std::span<int> all = s;
    all[1] = 60;
    EXPECT_EQ(s[1], 60);
    EXPECT_EQ(s.first<2>()[1], 60);
    static_assert(std::ranges::contiguous_range<slice<int>>);
    static_assert(std::same_as<slice<int>::value_type, int>);
    slice<int> other{1};
    swap(s, other);
    EXPECT_EQ(s.len(), 1);
    s.push_back(2);
    const int three = 3;
    s.push_back(three);
    EXPECT_EQ(values(s), (ints{1, 2, 3}));
    slice deduced{1.5, 2.5};
    EXPECT_EQ(deduced[1], 2.5);
}

TEST(Header, AConstantViewSharesToo) {
    slice<int> s{1, 2, 3};
    slice<const int> view = s;
    s[0] = 9;
    EXPECT_EQ(view[0], 9);
    s = nullptr;
    EXPECT_EQ(view.sub(1, 3)[1], 3);
    slice<int> grown;
    grown.append(view).append(view);
    EXPECT_EQ(values(grown), (ints{9, 2, 3, 9, 2, 3}));
    EXPECT_TRUE(view == grown.upto(3));
}

TEST(Header, MovingTakesTheViewAlong) {
    slice<int> s{1, 2, 3};
    const int* data = s.data();
    slice<int> t = std::move(s);
    EXPECT_EQ(t.data(), data);
    EXPECT_TRUE(s.is_nil() && s.len() == 0 && s.cap() == 0);
    s = std::move(t);
    EXPECT_EQ(s.data(), data);
    s = *&s;
    EXPECT_EQ(s.data(), data);
}

// ---- slicing

TEST(Slicing, SharesTheArray) {
    slice<int> s{0, 1, 2, 3, 4, 5};
    const auto t = s.sub(2, 4);
    EXPECT_EQ(values(t), (ints{2, 3}));
    EXPECT_EQ(t.cap(), 4);
    t[0] = 20;
    EXPECT_EQ(s[2], 20);
    EXPECT_EQ(values(t.sub(0, 4)), (ints{20, 3, 4, 5})) << "up to the capacity, not the length";
    EXPECT_EQ(t.sub(0, 1, 2).cap(), 2);
    EXPECT_EQ(values(s.from(4)), (ints{4, 5}));
    EXPECT_EQ(values(s.upto(2)), (ints{0, 1}));
    EXPECT_EQ(values(slice<int>(s).sub(1, 2)), (ints{1}));
    EXPECT_EQ(slice<int>(s).sub(1, 2, 3).cap(), 2);
    EXPECT_EQ(values(slice<int>(s).from(5)), (ints{5}));
    EXPECT_EQ(values(slice<int>(s).upto(1)), (ints{0}));
}

TEST(Slicing, WithoutCapacityStaysWhereItWas) {
    slice<int> s{1, 2, 3, 4};
    EXPECT_EQ(s.from(4).data(), s.data()) << "AR2: one past the end is somebody else's object";
    EXPECT_EQ(s.sub(2, 2, 2).data(), s.data());
    EXPECT_EQ(s.sub(2, 2).data(), s.data() + 2) << "there is capacity behind it";
}

TEST(Slicing, BoundsAreGosWords) {
    const auto s = make_slice<int>(3, 5);
    PANIC(s[3], "index out of range [3] with length 3");
    PANIC(s[-1], "index out of range [-1]");
    PANIC(s.sub(0, 6), "slice bounds out of range [:6] with capacity 5");
    PANIC(s.sub(0, -1), "slice bounds out of range [:-1]");
    PANIC(s.sub(3, 2), "slice bounds out of range [3:2]");
    PANIC(s.sub(-1, 2), "slice bounds out of range [-1:]");
    PANIC(s.from(4), "slice bounds out of range [4:3]");
    PANIC(s.sub(0, 1, 6), "slice bounds out of range [::6] with capacity 5");
    PANIC(s.sub(0, 1, -6), "slice bounds out of range [::-6]");
    PANIC(s.sub(0, 5, 4), "slice bounds out of range [:5:4]");
    PANIC(s.sub(0, -5, 4), "slice bounds out of range [:-5:]");
    PANIC(s.sub(3, 2, 4), "slice bounds out of range [3:2:]");
    PANIC(s.sub(-3, 2, 4), "slice bounds out of range [-3::]");
    PANIC(s.first<4>(), "cannot convert slice with length 3 to pointer to array with length 4");
    int array[4] = {1, 2, 3, 4};
    PANIC(slice_of(array, 0, 5), "slice bounds out of range [:5] with length 4");
    PANIC(slice_of(array, 0, 1, 5), "slice bounds out of range [::5] with length 4");
    PANIC(make_slice<int>(0).front(), "index out of range [0] with length 0");
    PANIC(make_slice<int>(0).sub(1, 1), "slice bounds out of range [:1] with capacity 0");
    EXPECT_THROW(static_cast<void>(s[9]), std::out_of_range);
}

// ---- make

TEST(Make, GivesZeroesUpToTheCapacity) {
    for (int round = 0; round < 20; ++round) {
        auto dirty = make_slice<std::int64_t>(100);
        for (auto& x : dirty) x = -1;
        dirty = nullptr;
        const auto s = make_slice<std::int64_t>(3, 100);
        for (const auto x : s.sub(0, 100)) ASSERT_EQ(x, 0) << "AR4";
    }
}

TEST(Make, StructsWithPointersToMembersGetNullOnes) {
    struct field {
        int nothing;
        int field::*member;
    };
    auto s = make_slice<field>(2, 4);
    EXPECT_EQ(s[1].member, nullptr) << "which is -1 in memory";
    s.extend(1).extend(100);
    EXPECT_EQ(s[2].member, nullptr);
    EXPECT_EQ(s[102].member, nullptr);
    s[0].member = &field::nothing;
    clear(s);
    EXPECT_EQ(s[0].member, nullptr);
}

TEST(Make, RefusesInGosWords) {
    constexpr std::ptrdiff_t much = std::ptrdiff_t{1} << 60;
    SIZE_PANIC(make_slice<int>(-1), "makeslice: len out of range");
    SIZE_PANIC(make_slice<int>(5, 4), "makeslice: cap out of range");
    SIZE_PANIC(make_slice<std::int64_t>(much), "makeslice: len out of range");
    SIZE_PANIC(make_slice<std::int64_t>(0, much), "makeslice: cap out of range");
    SIZE_PANIC(make_slice<char>((std::ptrdiff_t{1} << 48) + 1), "makeslice: len out of range");
    EXPECT_THROW(static_cast<void>(make_slice<int>(-1)), std::length_error);
    EXPECT_THROW(static_cast<void>(make_slice<char>(std::ptrdiff_t{1} << 48)), std::bad_alloc);
}

TEST(Make, TypesWithAnotherDefaultGetIt) {
    struct point {
        int x = 7, y = 8;
    };
    const auto s = make_slice<point>(2, 20);
    EXPECT_EQ(s.sub(0, 20)[19].y, 8);
    slice<point> t;
    t.append(point{1, 2});
    t.append(point{1, 2}, point{3, 4});
    EXPECT_EQ(t.sub(0, t.cap()).back().x, t.len() == t.cap() ? 3 : 7);
    t.extend(5);
    EXPECT_EQ(t.back().y, 8);
    clear(t);
    EXPECT_EQ(t[0].x, 7);
    const auto members = make_slice<int point::*>(3);
    EXPECT_TRUE(members[2] == nullptr) << "a null member pointer is not all zero bytes";
}

TEST(Make, OverAlignedElementsAreAligned) {
    struct alignas(64) line {
        char bytes[64];
    };
    slice<line> s;
    for (int i = 0; i < 100; ++i) {
        s.append(line{});
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(s.data()) % 64, 0u);
        ASSERT_GE(s.retained(), static_cast<std::size_t>(s.cap()) * 64);
    }
}

TEST(Make, EmptyStructsTakeNoMemory) {
    auto s = make_slice<nothing>(std::ptrdiff_t{1} << 50);
    EXPECT_EQ(s.retained(), 0u);
    EXPECT_EQ(static_cast<void*>(s.data()), &detail::zerobase);
    EXPECT_EQ(s[1'000'000'000], nothing());
    s = nullptr;
    s.append(nothing());
    EXPECT_EQ(s.cap(), 1);
    s.append(nothing(), nothing());
    EXPECT_EQ(s.cap(), 3) << "no more than needed";
    s.extend(4).append(s).append_range(std::vector<nothing>(2));
    EXPECT_EQ(s.len(), 16);
    EXPECT_EQ(s.sub(3, 5).data(), s.data());
    SIZE_PANIC(make_slice<nothing>(PTRDIFF_MAX).append(nothing()), "growslice: cap out of range");
}

// ---- append

TEST(Make, EmptyStructsAreNotContiguousMemory) {
    static_assert(std::ranges::random_access_range<slice<nothing>> &&
                  std::random_access_iterator<decltype(slice<const nothing>().begin())> &&
                  !std::ranges::contiguous_range<slice<nothing>> &&
                  !std::is_constructible_v<std::span<nothing>, slice<nothing>&>);
    static_assert(std::ranges::contiguous_range<slice<int>> &&
                  std::is_same_v<decltype(slice<int>().begin()), slice<int>::iterator>);
    // Bytes behind the one word that all of them share are somebody else's.
    std::vector<nothing> many(4096);
    std::memset(static_cast<void*>(many.data()), 0x55, many.size());
    const auto all = make_slice<nothing>(4096);
    EXPECT_EQ(std::copy(many.begin(), many.end(), all.begin()), all.end());
    std::sort(all.begin(), all.end(), [](nothing, nothing) { return false; });
    EXPECT_EQ(std::ranges::count(all, nothing()), 4096);
    EXPECT_EQ(std::distance(all.rbegin(), all.rend()), 4096);
    EXPECT_EQ(detail::zerobase & ~std::uint64_t{0xff}, 0u) << "one has a byte, 4096 no more";
    auto s = make_slice<nothing>(10);
    EXPECT_EQ(remove_func(s, [](nothing) { return true; }).len(), 0);
    EXPECT_EQ(remove(s, 2, 5).len(), 7);
    EXPECT_EQ(compact(s).len(), 1);
    EXPECT_EQ(slice<nothing>().append_range(s).len(), 10);
    EXPECT_TRUE(s == clone(s));
    EXPECT_EQ(index(s, nothing()), 0);
    clear(s);
}

TEST(Append, WithinTheCapacityOverwritesWhatOthersSee) {
    slice<int> s{1, 2, 3, 4};
    auto t = s.upto(2);
    t.append(30);
    EXPECT_EQ(values(s), (ints{1, 2, 30, 4}));
    t = append(s.sub(0, 2, 2), 40);
    EXPECT_EQ(values(s), (ints{1, 2, 30, 4})) << "the third index protects";
}

TEST(Append, BeyondTheCapacityLeavesTheOthersTheirArray) {
    slice<int> s{1, 2, 3};
    auto t = append(s, 4);
    t[0] = 100;
    EXPECT_EQ(values(s), (ints{1, 2, 3}));
    EXPECT_EQ(values(t), (ints{100, 2, 3, 4}));
    EXPECT_EQ(t.cap(), 6);
    EXPECT_EQ(values(append(std::move(t), 5, 6)), (ints{100, 2, 3, 4, 5, 6}));
    EXPECT_TRUE(t.is_nil());
}

TEST(Append, GrowthEventsNameTheSlice) {
    static std::vector<const void*> seen;
    seen.clear();
    growth_hook.install([](void*, const growth_event& e) { seen.push_back(e.container); }, nullptr);
    slice<int> ints;
    slice<std::string> strings;
    ints.append(1);
    strings.append("a");
    growth_hook.remove();
    EXPECT_EQ(seen, (std::vector<const void*>{&ints, &strings}));
}

TEST(Append, GrowsAsGoDoes) {
    EXPECT_EQ(append(make_slice<int>(0, 1), 1, 2, 3, 4, 5).cap(), 6) << "C-02";
    EXPECT_EQ(append(slice<std::int64_t>(), 1, 2, 3).cap(), 3);
    EXPECT_EQ(append(slice<std::uint8_t>(), std::uint8_t{1}, 2, 3, 4, 5).cap(), 8);
    EXPECT_EQ(append(make_slice<std::int64_t>(257), 1).cap(), 608);
    EXPECT_EQ(append(make_slice<std::int64_t>(10000), 1).cap(), 13312);
    slice<std::int64_t, growth::go117> old;
    slice<std::int64_t, growth::exact> tight;
    for (int i = 0; i < 1025; ++i) {
        old.append(i);
        tight.append(i);
        ASSERT_EQ(tight.cap(), i + 1);
    }
    EXPECT_EQ(old.cap(), 1280);
}

// A range that can be read once and does not know its size.
struct numbers_in {
    std::istream& text;
    [[nodiscard]] std::istream_iterator<int> begin() const { return {text}; }
    [[nodiscard]] std::istream_iterator<int> end() const { return {}; }
};

TEST(Append, TakesAnything) {
    slice<int> s;
    s.append(1).append(2, 3).append(slice<int>{4, 5}).append_range(ints{6, 7});
    s.append_range(std::list<int>{8, 9});
    std::istringstream words("10 11");
    s.append_range(numbers_in{words});
    s.append_range(std::deque<short>{12});
    s.emplace_back(13);
    s.extend(2);
    EXPECT_EQ(values(s), (ints{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0}));
    SIZE_PANIC(s.extend(-1), "makeslice: len out of range");
    EXPECT_TRUE(slice<int>().append(slice<int>()).is_nil()) << "append(nil, nil...) is nil";
}

TEST(Append, ItsOwnElementsAreSafe) {
    for (const std::ptrdiff_t n : {1, 2, 3, 8, 100, 5000, 200'000}) {
        auto s = make_slice<std::int64_t>(n);
        for (std::ptrdiff_t i = 0; i < n; ++i) s[i] = i;
        s.append(s[0]);
        s.append(s[n / 2], s[0]);
        s.append(s);
        s.append(s.from(n));
        s.append_range(std::span(s.data() + 1, 2));
        ASSERT_EQ(s.len(), 2 * (n + 3) + n + 6 + 2);
        ASSERT_EQ(s[2 * n + 3], 0);
        ASSERT_EQ(s[2 * n + 4], n / 2);
        ASSERT_EQ(s[n + 2 + n], n - 1) << n;
        for (std::ptrdiff_t i = 0; i < n; ++i) ASSERT_EQ(s[n + 3 + i], i);
    }
}

TEST(Append, WithinTheCapacityOverlappingPartsMoveAsMemmoveDoes) {
    slice<int> s{1, 2, 3, 4, 5, 6};
    s.upto(2).append(s.sub(1, 4));
    EXPECT_EQ(values(s), (ints{1, 2, 2, 3, 4, 6}));
}

TEST(Append, ExtendClearsWhatWasLeftThere) {
    slice<int> s{1, 2, 3, 4};
    EXPECT_EQ(values(s.upto(1).extend(2)), (ints{1, 0, 0}));
    EXPECT_EQ(values(s), (ints{1, 0, 0, 4}));
    s.extend(3);
    EXPECT_EQ(values(s), (ints{1, 0, 0, 4, 0, 0, 0}));
}

TEST(Append, GrowBringsAlongWhatLiesBehindTheLength) {
    slice<int> s{1, 2, 3, 4};
    auto t = s.upto(2).grow(1);
    EXPECT_EQ(t.data(), s.data()) << "there was room";
    t.grow(3);
    EXPECT_NE(t.data(), s.data());
    EXPECT_EQ(t.len(), 2);
    EXPECT_EQ(values(t.sub(0, 5)), (ints{1, 2, 3, 4, 0})) << "Go appends to s[:cap]";
    SIZE_PANIC(t.grow(-1), "cannot be negative");
    SIZE_PANIC(t.grow(PTRDIFF_MAX), "growslice: cap out of range");
    const int* before = t.clip().data();
    EXPECT_EQ(t.cap(), 2);
    EXPECT_NE(t.append(1).data(), before);
}

struct handle {  // plain, and only to be moved
    int number = 0;
    handle() = default;
    explicit handle(int n) : number(n) {}
    handle(handle&&) = default;
    handle& operator=(handle&&) = default;
};

TEST(Append, PlainElementsThatOnlyMoveAreTaken) {
    static_assert(detail::is_plain<handle> && !std::is_copy_constructible_v<handle>);
    slice<handle> s;
    for (int i = 0; i < 100; ++i) s.append(handle(i)).emplace_back(i);
    EXPECT_EQ(s.len(), 200);
    EXPECT_EQ(s[199].number, 99);
}

TEST(Append, ALengthThatOverflowsIsOutOfRange) {
    auto s = make_slice<nothing>(PTRDIFF_MAX - 1);
    auto t = s;
    SIZE_PANIC(t.append(s), "growslice: cap out of range");
    SIZE_PANIC(t.append(nothing(), nothing()), "growslice: cap out of range");
    SIZE_PANIC(t.extend(2), "growslice: cap out of range");
    struct endless {
        struct iterator {
            using value_type = nothing;
            using difference_type = std::ptrdiff_t;
            nothing operator*() const { return {}; }
            iterator& operator++() { return *this; }
            iterator operator++(int) { return *this; }
            bool operator==(const iterator&) const = default;
        };
        iterator begin() const { return {}; }
        iterator end() const { return {}; }
        std::size_t size() const { return std::size_t{1} << 62; }
    };
    SIZE_PANIC(t.append_range(endless()), "growslice: cap out of range");
    EXPECT_EQ(t.len(), PTRDIFF_MAX - 1) << "nothing has changed";
}

// ---- foreign memory

TEST(Foreign, AViewOwnsNothing) {
    int array[] = {1, 2, 3, 4, 5};
    std::vector<int> vector{1, 2, 3};
    auto s = slice_of(array);
    auto t = slice_of(vector);
    EXPECT_EQ(s.retained() + t.retained(), 0u);
    s.sub(1, 2).append(30);
    EXPECT_EQ(array[2], 30);
    t.append(4);
    t[0] = 100;
    EXPECT_EQ(vector[0], 1) << "it grew into an array of its own";
    EXPECT_GT(t.retained(), 0u);
    EXPECT_EQ(values(slice_of(array, 1, 3)), (ints{2, 30}));
    EXPECT_EQ(slice_of(array, 1, 3, 4).cap(), 3);
    const std::array<int, 2> constants{7, 8};
    EXPECT_EQ(values(slice_of(constants)), (ints{7, 8}));
    static_assert(std::same_as<decltype(slice_of(constants)), slice<const int>>);
    auto own = slice_of(array);
    own.append(own);
    EXPECT_EQ(own.len(), 10);
}

TEST(Foreign, AViewIntoASlicesArrayKeepsItAlive) {
    struct pair {
        int a, b;
    };
    slice<pair> pairs{{1, 2}, {3, 4}};
    auto field = slice_of(&pairs[1].b, 1);
    pairs = nullptr;
    EXPECT_EQ(field[0], 4);
    EXPECT_EQ(field.retained(), 16u);
}

// ---- comparing and hashing

TEST(Comparing, GoesByElements) {
    const slice<int> a{1, 2, 3}, b{1, 2, 3}, c{1, 3};
    EXPECT_TRUE(a == b && a != c && a < c && c > b && a <= b);
    EXPECT_EQ(std::hash<slice<int>>()(a), steady::hash<slice<int>>()(b));
    EXPECT_NE(std::hash<slice<int>>()(a), std::hash<slice<int>>()(c));
    const slice<std::string> words{"ab", "c"}, others{"a", "bc"};
    EXPECT_NE(std::hash<slice<std::string>>()(words), std::hash<slice<std::string>>()(others));
    EXPECT_EQ(std::hash<slice<std::string>>()(words),
              std::hash<slice<std::string>>()(clone(words)));
}

}  // namespace
