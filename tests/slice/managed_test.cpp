// slice_managed_test.cpp - elements with constructors: every one made is destroyed once,
// and an exception leaves every view as it was.
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slice/tracked.hpp"
#include "steady/slice/functions.hpp"
#include "steady/slice/search.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;
using test::throwing_after;
using test::tracked;

std::string text(const slice<tracked>& s) {
    std::string all;
    for (const tracked& t : s) {
        EXPECT_TRUE(t.sound());
        all += t.text.empty() ? "-" : t.text;
    }
    return all;
}

class Managed : public testing::Test {
protected:
    void TearDown() override { EXPECT_EQ(tracked::alive, 0); }
};

TEST_F(Managed, EveryElementMadeIsDestroyedOnce) {
    slice<tracked> s;
    for (int i = 0; i < 1000; ++i) s.append(std::to_string(i));
    EXPECT_EQ(tracked::alive, 1000);
    const auto part = s.sub(10, 20);
    s = nullptr;
    EXPECT_EQ(tracked::alive, 1000) << "a part keeps the array and all that is in it";
    EXPECT_EQ(part[0].text, "10");
}

TEST_F(Managed, ASoleArrayMovesItsElementsAndASharedOneCopies) {
    slice<tracked> s;
    tracked::copies = 0;
    for (int i = 0; i < 100; ++i) s.emplace_back("x");
    EXPECT_EQ(tracked::copies, 0);
    auto t = s.clip();
    t.append("y");
    EXPECT_EQ(tracked::copies, 100);
    EXPECT_EQ(s.len(), 100);
    EXPECT_EQ(text(s), std::string(100, 'x'));
}

TEST_F(Managed, AppendAssignsWhatAnotherViewHasMade) {
    slice<tracked> s{"a", "b", "c"};
    auto t = s.upto(1);
    t.append("B");
    EXPECT_EQ(text(s), "aBc");
    EXPECT_EQ(tracked::alive, 3);
    s.grow(5);
    auto u = s;
    s.append("d");
    u.append("e", "f");
    EXPECT_EQ(text(s), "aBce") << "the same place, written twice";
    EXPECT_EQ(text(u), "aBcef");
    const int before = tracked::alive;
    s.append(slice<tracked>{"1", "2"});
    EXPECT_EQ(tracked::alive, before + 1) << "one was assigned to, one was made";
    EXPECT_EQ(text(s.sub(0, 6)), "aBce12");
    EXPECT_EQ(text(u), "aBce1");
}

TEST_F(Managed, SlicingPastTheLengthMakesTheElements) {
    auto s = make_slice<tracked>(2, 10);
    EXPECT_EQ(tracked::alive, 2) << "EL1: made when a length reaches them";
    const auto t = s.sub(1, 7);
    EXPECT_EQ(tracked::alive, 7);
    EXPECT_EQ(text(t), "------");
    s.append("x");
    EXPECT_EQ(text(t), "-x----");
    s.extend(3);
    EXPECT_EQ(s.len(), 6);
    s.extend(20);
    EXPECT_EQ(text(s), "--x" + std::string(23, '-'));
}

TEST_F(Managed, TypesWithoutADefaultCannotBeSlicedPastWhatWasMade) {
    struct named {
        explicit named(std::string n) : name(std::move(n)) {}
        std::string name;
    };
    slice<named> s;
    for (int i = 0; i < 5; ++i) s.emplace_back("n");
    ASSERT_EQ(s.cap(), 8);
    EXPECT_EQ(s.upto(2).sub(0, 5).len(), 5) << "they were made";
    try {
        static_cast<void>(s.upto(7));
        FAIL();
    } catch (const bounds_error& e) {
        EXPECT_STREQ(e.what(),
                     "slice bounds out of range [:7] with 5 elements made: the type has no default "
                     "constructor");
    }
    s = remove(s, 1, 3);
    EXPECT_EQ(s.len(), 3);
}

TEST_F(Managed, OwnElementsCanBeAppended) {
    slice<tracked> s{"a", "b"};
    std::string expected = "ab";
    for (int i = 0; i < 6; ++i) {
        s.append(s[0]).append(s.sub(0, 2)).append(s);
        expected += expected[0];
        expected += expected.substr(0, 2);
        expected += expected;
        ASSERT_EQ(text(s), expected);
    }
    slice<tracked> t{"1", "2", "3", "4", "5", "6"};
    t.upto(2).append(t.sub(1, 4));
    EXPECT_EQ(text(t), "122346") << "as memmove";
}

TEST_F(Managed, ElementsOfTheSameArrayOutsideTheViewCanBeAppended) {
    slice<tracked> s{"a", "b", "c", "d"};
    const std::span<const tracked> behind(&s[2], 2);
    auto t = std::move(s).sub(0, 2, 2);  // the only slice, and it does not see them
    tracked::copies_of_dead = 0;
    t.append_range(behind);
    EXPECT_EQ(text(t), "abcd");
    EXPECT_EQ(tracked::copies_of_dead, 0) << "copied before the array went";
    auto ints = make_slice<int>(4000);
    for (std::ptrdiff_t i = 0; i < 4000; ++i) ints[i] = 7;
    const std::span<const int> rest(&ints[2000], 2000);
    auto half = std::move(ints).sub(0, 10, 10);
    half.append_range(rest);
    EXPECT_EQ(half.len(), 2010);
    for (const int i : half) ASSERT_EQ(i, 7);
}

TEST_F(Managed, ForeignElementsBelongToTheirOwner) {
    std::vector<tracked> vector{"a", "b", "c"};
    {
        auto s = slice_of(vector);
        s.upto(1).append("B");
        EXPECT_EQ(text(s.upto(2).sub(0, 3)), "aBc");
        s.append("d");
        EXPECT_EQ(text(s), "aBcd");
        s.upto(0).append(slice<tracked>{"x"});
    }
    EXPECT_EQ(vector[0].text + vector[2].text, "ac");
    EXPECT_EQ(tracked::alive, 3);
    vector.clear();
}

TEST_F(Managed, AViewOfAMemberLeavesTheArraysElementsAlone) {
    struct pair {
        tracked a, b;
    };
    slice<pair> array;
    for (int i = 0; i < 3; ++i) array.append(pair{"a", "b"});
    auto view = slice_of(&array[1].a, 2);  // a and b of array[1]
    view.upto(1).append("B");
    EXPECT_EQ(array[1].b.text, "B") << "assigned: it was alive";
    EXPECT_EQ(tracked::alive, 6) << "3 pairs made are not 3 members";
    auto last = slice_of(&array[2].b, 1);
    last.upto(0).append("L");
    EXPECT_EQ(array[2].b.text, "L");
    EXPECT_EQ(tracked::alive, 6);
    array = nullptr;
    view = nullptr;
    EXPECT_EQ(tracked::alive, 6) << "a member keeps all";
    last.append("M");  // sole: takes its element along
    EXPECT_EQ(text(last), "LM");
    EXPECT_EQ(tracked::alive, 2);
}

TEST_F(Managed, AViewOfAPlainMemberDoesNotGrowTheArrayInPlace) {
    struct page {
        std::byte bytes[40'000];
        tracked name = "page";
    };
    auto array = make_slice<page>(2);
    auto bytes = slice_of(array[0].bytes);
    array = nullptr;
    ASSERT_EQ(tracked::alive, 2);
    bytes.append(std::byte{1});
    EXPECT_EQ(bytes.len(), 40'001);
    EXPECT_EQ(tracked::alive, 0) << "the view has moved out, and the array went";
}

TEST_F(Managed, ThingsThatOnlyMoveWork) {
    slice<std::unique_ptr<int>> s;
    for (int i = 0; i < 5000; ++i) s.append(std::make_unique<int>(i));
    EXPECT_EQ(*s[4999], 4999);
    s = remove(std::move(s), 0, 4990);
    EXPECT_EQ(*s[0], 4990);
    s = insert(std::move(s), 1, std::make_unique<int>(-1));
    EXPECT_EQ(*s[1], -1);
    s.append(std::make_unique<int>(1), std::make_unique<int>(2));
    s = replace(std::move(s), 1, 3, std::make_unique<int>(-2), std::make_unique<int>(-3),
                std::make_unique<int>(-4));
    EXPECT_EQ(*s[0] + *s[3], 4990 - 4);
    auto t = s.clip();
    const std::string said = [&] {
        try {
            t.append(nullptr);
        } catch (const sharing_error& e) {
            return std::string(e.what());
        }
        return std::string();
    }();
    EXPECT_NE(said.find("another slice sees"), std::string::npos);
    EXPECT_EQ(t.len(), s.len());
    s = nullptr;
    t.append(nullptr);
    EXPECT_EQ(*t[0], 4990);
    slice<std::unique_ptr<int>> none;
    auto also = none;
    also.append(std::make_unique<int>(3));
    EXPECT_EQ(*also[0], 3);
}

TEST_F(Managed, AFailedAppendLeavesItsArgument) {
    slice<std::unique_ptr<int>> s;
    for (int i = 0; i < 4; ++i) s.append(std::make_unique<int>(i));
    auto other = s.clip();
    auto value = std::make_unique<int>(7);
    EXPECT_THROW(other.append(std::move(value)), sharing_error);
    ASSERT_NE(value, nullptr);
    EXPECT_THROW(other.emplace_back(value.get()), sharing_error);
    ASSERT_EQ(*value, 7) << "refused before an owner was made";
    // A copy of the others that fails: the element was made by then, and goes back.
    slice<tracked> t{"a", "b"};
    auto u = t;
    tracked c("c");
    for (int steps = 0; steps < 2; ++steps) {
        const throwing_after limit(steps);
        EXPECT_THROW(u.append(std::move(c)), std::runtime_error);
        EXPECT_EQ(c.text, "c") << steps;
    }
    EXPECT_EQ(text(u), "ab");
    u.append(std::move(c));
    EXPECT_EQ(text(u), "abc");
}

TEST_F(Managed, RelocatableElementsMoveAsBytes) {
    slice<std::shared_ptr<int>> s;
    const auto shared = std::make_shared<int>(5);
    for (int i = 0; i < 300'000; ++i) s.append(shared);
    EXPECT_EQ(shared.use_count(), 300'001);
    auto part = s.from(100'000);
    part.clip().append(shared);
    EXPECT_EQ(shared.use_count(), 300'001 + 200'001);
    s = nullptr;
    EXPECT_EQ(shared.use_count(), 200'002);
    part = part.sub(10, part.len());
    part.append_range(
        std::vector<std::shared_ptr<int>>(static_cast<std::size_t>(part.cap()), shared));
    part = nullptr;
    EXPECT_EQ(shared.use_count(), 1);
}

TEST_F(Managed, PlainArraysInTheSamePlaceDestroyNothing) {
    for (int round = 0; round < 100; ++round) {
        slice<tracked> s{"a"};
        const void* place = s.data();
        s = nullptr;
        const auto plain = make_slice<void*>(sizeof(tracked) / sizeof(void*));
        if (static_cast<const void*>(plain.data()) != place) continue;
        static_cast<void>(slice<void*>(plain));
    }
    EXPECT_EQ(tracked::alive, 0);
}

TEST_F(Managed, ASoleTreeOfSlicesGoesAtOnce) {
    struct node {
        tracked name;
        slice<node> children;
    };
    slice<node> root;
    for (int i = 0; i < 10; ++i) {
        root.append(node{"c", {}});
        for (int j = 0; j < 10; ++j) root.back().children.append(node{"g", {}});
    }
    EXPECT_EQ(tracked::alive, 110);
    const auto branch = root[3].children;
    root = nullptr;
    EXPECT_EQ(tracked::alive, 10);
}

// Every constructor and assignment fails once, wherever it stands, until the work is
// done: views show what they showed, and nothing is lost or destroyed twice.
template <class Work>
void fail_everywhere(Work work) {
    for (int steps = 0;; ++steps) {
        slice<tracked> s{"a", "b", "c", "d"};
        auto other = s.sub(1, 3);
        bool done = true;
        {
            const throwing_after limit(steps);
            try {
                work(s, other);
            } catch (const std::runtime_error&) {
                done = false;
            }
        }
        if (done) break;
        ASSERT_EQ(text(s), "abcd") << "EL3 after " << steps;
        ASSERT_EQ(text(other), "bc") << "EL3 after " << steps;
        s.append("e");
        ASSERT_EQ(text(s), "abcde");
        ASSERT_LT(steps, 1000);
    }
}

TEST_F(Managed, AnExceptionAnywhereLeavesEveryViewAsItWas) {
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) { s.append("e"); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) { s.append("e", "f", "g"); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) { s.append(s); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>& o) { s.append(o); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) {
        s.append_range(std::vector<const char*>{"1", "2"});
    });
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) { s.extend(10); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) { s.grow(10); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>&) { static_cast<void>(clone(s)); });
    fail_everywhere([](slice<tracked>& s, slice<tracked>& o) { static_cast<void>(concat(s, o)); });
    fail_everywhere([](slice<tracked>&, slice<tracked>&) { slice<tracked> made{"x", "y"}; });
    fail_everywhere(
        [](slice<tracked>& s, slice<tracked>&) { static_cast<void>(insert(s, 1, tracked("x"))); });
}

TEST_F(Managed, FunctionsThatCollectLeaveNothingBehindWhenTheyFail) {
    const std::vector<const char*> texts{"b", "a"};
    const std::vector<tracked> values{"b", "a"};
    const slice<tracked> s{"a", "b"};
    const auto fails = [](int steps, auto work) {
        const throwing_after limit(steps);
        EXPECT_THROW(work(), std::runtime_error);
    };
    fails(1, [&] { static_cast<void>(collect(values)); });
    fails(1, [&] { static_cast<void>(sorted(values)); });
    fails(1, [&] {
        static_cast<void>(
            sorted_func(values, [](const auto& a, const auto& b) { return a <=> b; }));
    });
    fails(1, [&] { static_cast<void>(append(s, tracked())); });
    fails(1, [&] { static_cast<void>(repeat(s, 2)); });
    EXPECT_EQ(tracked::alive, 4);
}

struct moves_throw {
    static inline int left = -1, alive = 0;
    int value;
    explicit moves_throw(int v = 0) : value(v) { ++alive; }
    moves_throw(const moves_throw& other) : value(other.value) { ++alive; }
    moves_throw(moves_throw&& other) : value(other.value) {
        if (left >= 0 && left-- == 0) throw std::runtime_error("told to");
        ++alive;
    }
    moves_throw& operator=(const moves_throw&) = default;
    ~moves_throw() { --alive; }
};

TEST_F(Managed, MovesThatThrowLeaveTheViewAsItWas) {
    for (int steps = 0; steps < 12; ++steps) {
        slice<moves_throw> s;
        for (int i = 0; i < 4; ++i) s.append(moves_throw(i));
        moves_throw::left = steps;
        try {
            s.append(moves_throw(7), moves_throw(8), moves_throw(9));
        } catch (const std::runtime_error&) {
            moves_throw::left = -1;
            ASSERT_EQ(s.len(), 4);
            for (int i = 0; i < 4; ++i)
                ASSERT_EQ(s[i].value, i) << "copied, because a move may throw";
        }
        moves_throw::left = -1;
    }
    EXPECT_EQ(moves_throw::alive, 0);
}

struct default_throws {
    static inline int left = 0;
    static inline int alive = 0;
    default_throws() {
        if (left-- == 0) throw std::runtime_error("told to");
        ++alive;
    }
    default_throws(const default_throws&) { ++alive; }
    default_throws& operator=(const default_throws&) = default;
    ~default_throws() { --alive; }
};

TEST_F(Managed, MakeAndSlicingMayThrowHalfway) {
    default_throws::left = 3;
    EXPECT_THROW(static_cast<void>(make_slice<default_throws>(5)), std::runtime_error);
    EXPECT_EQ(default_throws::alive, 0);
    default_throws::left = 100;
    auto s = make_slice<default_throws>(2, 10);
    default_throws::left = 3;
    EXPECT_THROW(static_cast<void>(s.sub(0, 8)), std::runtime_error);
    EXPECT_EQ(default_throws::alive, 5) << "made, not shown, destroyed with the array";
    EXPECT_EQ(s.len(), 2);
    s = nullptr;
    EXPECT_EQ(default_throws::alive, 0);
}

}  // namespace
