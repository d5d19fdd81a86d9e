// result_test.cpp - a result carries a value or an error, and asking for the wrong
// one stops the program with a message.

#include "steady/core/result.hpp"
#include "support/fatal_text.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <type_traits>

namespace {

using namespace steady;
using steady::test::fatal_text;

constexpr error no_memory{errc::out_of_memory, ENOMEM, "mprotect 4 MiB at commit"};

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

result<int> half(int n) {
    if (n % 2 != 0) return error{errc::invalid_argument, 0, "halving an odd number"};
    return n / 2;
}

result<void> quarter(int n) {
    const auto h = half(n);
    if (!h) return h.error();  // an error converts to any result
    return {};
}

struct point {
    int x, y;
};

TEST(Result, HoldsTheValueOrTheError) {
    ASSERT_TRUE(half(8));
    EXPECT_EQ(*half(8), 4);
    EXPECT_EQ(half(8).value(), 4);
    ASSERT_FALSE(half(7));
    EXPECT_EQ(half(7).error().code, errc::invalid_argument);
    EXPECT_STREQ(half(7).error().action, "halving an odd number");
    EXPECT_EQ(half(7).value_or(-1), -1);
    EXPECT_EQ(half(8).value_or(-1), 4);
}

TEST(Result, ErrorsTravelThroughResultsOfOtherTypes) {
    EXPECT_TRUE(quarter(4));
    EXPECT_EQ(quarter(3).error().code, errc::invalid_argument);
}

TEST(Result, ReachesMembersAndLetsThemChange) {
    result<point> p = point{1, 2};
    p->x = 7;
    EXPECT_EQ((*p).x + p->y, 9);
}

TEST(Result, WorksAtCompileTimeAndCopiesAsPlainMemory) {
    constexpr result<int> r = 5;
    static_assert(r && *r == 5);
    static_assert(std::is_trivially_copyable_v<result<point>>);
    static_assert(std::is_trivially_copyable_v<result<void>>);
}

TEST(Result, TheValueOfAnErrorIsFatalAndSaysWhatFailed) {
    static result<int> failed = no_memory;
    const std::string text = fatal_text([] { static_cast<void>(*failed); });
    EXPECT_TRUE(contains(text, "mprotect 4 MiB at commit failed with errno 12")) << text;
    EXPECT_TRUE(contains(text, "vm.overcommit_memory")) << text << "says what to do";
}

TEST(Result, TheValueOfAVoidErrorIsFatalToo) {
    static result<void> failed = no_memory;
    EXPECT_TRUE(contains(fatal_text([] { failed.value(); }), "mprotect 4 MiB"));
}

TEST(Result, TheErrorOfASuccessIsFatal) {
    static result<int> good = 1;
    static result<void> done;
    EXPECT_TRUE(contains(fatal_text([] { static_cast<void>(good.error()); }), "successful"));
    EXPECT_TRUE(contains(fatal_text([] { static_cast<void>(done.error()); }), "successful"));
}

TEST(Result, EveryCodeHasADescriptionOfItsOwn) {
    constexpr int codes = static_cast<int>(errc::memory_limit) + 1;
    for (int a = 0; a < codes; ++a) {
        const std::string text = describe(static_cast<errc>(a));
        EXPECT_FALSE(contains(text, "unknown")) << a;
        for (int b = 0; b < a; ++b) EXPECT_NE(text, describe(static_cast<errc>(b)));
    }
    EXPECT_STREQ(describe(static_cast<errc>(codes)), "unknown error code")
        << "a new code needs a description";
}

}  // namespace
