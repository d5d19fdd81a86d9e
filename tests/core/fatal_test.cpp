// fatal_test.cpp - messages fit, and the way out works from the worst places:
// before constructors, with SIGABRT ignored or blocked, and twice at once.

#include "steady/core/fatal.hpp"
#include "support/fatal_text.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>

#include <unistd.h>

namespace {

using namespace steady;
using steady::test::fatal_text;

message example() {
    message m{"heap"};
    m.text("freed ").hex(0x7f3a5c0011c0).text(" as ").size(48_B).text(".");
    m.line("Object ").number(71).text(" of ").number(128).text(".");
    return m;
}

constexpr const char* example_text =
    "steady: heap: freed 0x7f3a5c0011c0 as 48 bytes.\n  Object 71 of 128.";

TEST(Message, ReadsLikeTheSentenceItWasBuiltFrom) {
    EXPECT_STREQ(example().c_str(), example_text);
    EXPECT_EQ(example().length(), std::strlen(example_text));
}

TEST(Message, PrintsTheEndsOfItsNumberRanges) {
    message m{"t"};
    m.number(0).text(" ").number(UINT64_MAX).text(" ").hex(0).text(" ").hex(UINTPTR_MAX);
    EXPECT_STREQ(m.c_str(), "steady: t: 0 18446744073709551615 0x0 0xffffffffffffffff");
}

TEST(Message, SaysOneByteInTheSingular) {
    EXPECT_STREQ(message("t").size(1_B).text(", ").size(0_B).text(", ").size(8_KiB).c_str(),
                 "steady: t: 1 byte, 0 bytes, 8192 bytes");
}

TEST(Message, TakesTextWithoutAnEndMark) {
    EXPECT_STREQ(message("t").text("abcdef", 3).c_str(), "steady: t: abc");
}

TEST(Message, CutsWhatDoesNotFitAndShowsTheCut) {
    message m{"t"};
    for (int i = 0; i < 500; ++i) m.text("12345");
    EXPECT_EQ(m.length(), message::capacity - 1);
    EXPECT_EQ(std::strlen(m.c_str()), message::capacity - 1);
    EXPECT_STREQ(m.c_str() + m.length() - 5, "34...") << "F2";
}

TEST(Message, IsNotMarkedAsCutWhenItFitsExactly) {
    message m{"t"};
    while (m.length() < message::capacity - 1) m.text("x");
    EXPECT_STREQ(m.c_str() + m.length() - 3, "xxx");
    m.text("y");
    EXPECT_STREQ(m.c_str() + m.length() - 4, "x...");
}

TEST(Fatal, GivesTheHandlerTheWholeText) {
    EXPECT_EQ(fatal_text([] { fatal(example()); }), example_text);
}

TEST(Fatal, TakesTheHandlerOutSoThatASecondFailureFindsNone) {
    set_fatal_handler(test::leave_fatal);
    if (setjmp(test::back_to_test) == 0) fatal(example());
    EXPECT_EQ(set_fatal_handler(nullptr), nullptr) << "F4";
}

using FatalDeathTest = testing::Test;

TEST(FatalDeathTest, WritesTheTextAndStopsWithSigabrt) {
    EXPECT_EXIT(fatal(example()), testing::KilledBySignal(SIGABRT),
                "steady: heap: freed 0x7f3a5c0011c0 as 48 bytes");
}

TEST(FatalDeathTest, StopsWhenTheHandlerComesBack) {
    EXPECT_EXIT(
        {
            set_fatal_handler([](const char*) { warn(message("test").text("handler ran")); });
            fatal(example());
        },
        testing::KilledBySignal(SIGABRT), "handler ran");
}

TEST(FatalDeathTest, StopsWhenTheHandlerFailsItself) {
    EXPECT_EXIT(
        {
            set_fatal_handler([](const char*) { fatal(message("test").text("and again")); });
            fatal(example());
        },
        testing::KilledBySignal(SIGABRT), "and again");
}

TEST(FatalDeathTest, RunsTheProgramsOwnHandlerOfSigabrt) {
    EXPECT_EXIT(
        {
            std::signal(SIGABRT, [](int) { _exit(42); });
            fatal(example());
        },
        testing::ExitedWithCode(42), "freed");
}

TEST(FatalDeathTest, StopsEvenWhenSigabrtIsIgnoredAndBlocked) {
    EXPECT_EXIT(
        {
            std::signal(SIGABRT, SIG_IGN);
            sigset_t only_abort;
            sigemptyset(&only_abort);
            sigaddset(&only_abort, SIGABRT);
            sigprocmask(SIG_BLOCK, &only_abort, nullptr);
            fatal(example());
        },
        testing::KilledBySignal(SIGABRT), "freed");
}

TEST(FatalDeathTest, StopsWhenStderrIsClosed) {
    EXPECT_EXIT(
        {
            close(2);
            fatal(example());
        },
        testing::KilledBySignal(SIGABRT), "");
}

TEST(Warn, WritesAndGoesOn) {
    testing::internal::CaptureStderr();
    warn(example());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), std::string(example_text) + "\n");
}

// Runs before the constructors of this program and of the libraries it starts with.
bool early_message_was_right = false;

[[gnu::constructor(101)]] void before_constructors() {
    early_message_was_right = std::strcmp(example().c_str(), example_text) == 0;
}

TEST(Message, CanBeBuiltBeforeConstructors) {
    EXPECT_TRUE(early_message_was_right);
}

}  // namespace
