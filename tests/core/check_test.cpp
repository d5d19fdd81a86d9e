// check_test.cpp - assertions run up to the build's level and no further, and a
// broken one names the invariant, the condition, the room and the place.

#undef STEADY_CHECK
#define STEADY_CHECK 2  // this file is about the levels, whatever the build has

#include "steady/core/check.hpp"
#include "support/fatal_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using steady::detail::room_of;
using steady::test::fatal_text;

std::string room(const char* path) {
    const auto part = room_of(path);
    return {part.start, part.length};
}

TEST(Check, EvaluatesConditionsUpToTheLevelOfTheBuild) {
    int evaluated = 0;
    STEADY_ASSERT(0, ++evaluated > 0, "T1");
    STEADY_ASSERT(1, ++evaluated > 0, "T1");
    STEADY_ASSERT(2, ++evaluated > 0, "T1");
    EXPECT_EQ(evaluated, 3);
    STEADY_ASSERT(3, ++evaluated < 0, "T1: not even looked at");
    EXPECT_EQ(evaluated, 3);
}

TEST(Check, ABrokenInvariantPrintsNameConditionAndPlace) {
    const std::string text = fatal_text(
        [] { STEADY_ASSERT(2, 1 + 1 == 3, "E3 growth ends: the frontier ran past the end"); });
    EXPECT_NE(text.find("broken invariant E3 growth ends: the frontier ran past the end"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("Expected: 1 + 1 == 3"), std::string::npos) << text;
    EXPECT_NE(text.find("check_test.cpp:"), std::string::npos) << text;
    EXPECT_EQ(text.find("steady: core: "), 0u) << "the folder of this file\n" << text;
}

TEST(Check, TheRoomIsTheFolderOfTheFile) {
    EXPECT_EQ(room("/home/x/steady/src/heap/span.cpp"), "heap");
    EXPECT_EQ(room("/usr/include/steady/heap/detail/span.hpp"), "heap");
    EXPECT_EQ(room("include/steady/map/evacuate.hpp"), "map");
    EXPECT_EQ(room("span.cpp"), "steady");
    EXPECT_EQ(room("detail/span.cpp"), "steady");
    EXPECT_EQ(room(""), "steady");
}

TEST(Check, IsAStatementThatFitsAnywhere) {
    if (true)
        STEADY_ASSERT(1, true, "T2");
    else
        FAIL();
}

}  // namespace
