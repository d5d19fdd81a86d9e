// plan_test.cpp - `steady plan` as a user meets it: its sums, its JSON, and what it says
// about words it cannot plan with.
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace {

using namespace steady::test;

outcome plan(std::vector<std::string> words) {
    words.insert(words.begin(), "plan");
    return command(std::move(words)).run();
}

void expect_refused(const std::vector<std::string>& words, const std::string& why) {
    const outcome o = plan(words);
    SCOPED_TRACE(why);
    EXPECT_EQ(o.exit_code, 2);
    EXPECT_EQ(o.out, "");
    EXPECT_TRUE(std::regex_search(o.err, std::regex(why))) << o.err;
}

/// The first number behind `name` in JSON.
std::uint64_t number(const std::string& json, const std::string& name) {
    std::smatch found;
    if (!std::regex_search(json, found, std::regex("\"" + name + "\": ([0-9]+)"))) return 0;
    return std::stoull(found[1]);
}

TEST(PlanCommand, PlansTheMapOfTheDocuments) {
    const outcome o = plan({"int64", "string", "100000", "--kind", "go-map", "--hint"});
    EXPECT_EQ(o.exit_code, 0) << o.err;
    EXPECT_NE(o.out.find("3,407,872"), std::string::npos) << o.out;  // 16384 buckets of 208
    const outcome json =
        plan({"int64", "string", "100_000", "--kind", "go-map", "--hint", "--json"});
    EXPECT_EQ(number(json.out, "entries"), 100'000u);
    const std::string total = json.out.substr(json.out.find("\"total\""));
    EXPECT_LE(number(total, "low"), 3'967'880u) << "what Go 1.19 measured";
    EXPECT_GE(number(total, "high"), 3'967'880u);
}

TEST(PlanCommand, TheSevenItemsSumToTheTotal) {
    const outcome o =
        plan({"int64", "string", "1e5", "--kind", "go-map", "--hint", "--view", "seven"});
    EXPECT_EQ(o.exit_code, 0) << o.err;
    for (const char* item : {"1 hmap", "2 bucket array head", "3 bucket array", "4 overflow head",
                             "5 overflow buckets", "6 keys and elems", "7 hash0"}) {
        EXPECT_NE(o.out.find(item), std::string::npos) << item;
    }
}

TEST(PlanCommand, KnowsEveryKindTypeAndAllocator) {
    for (const char* kind : {"map", "go-map", "slice", "std"}) {
        for (const char* type : {"int8", "uint16", "int32", "float64", "bool", "string", "bytes7",
                                 "48:16", "bytes300"}) {
            for (const char* count : {"0", "1", "2"}) {
                const outcome o = plan({type, "int32", count, "--kind", kind});
                EXPECT_EQ(o.exit_code, 0) << kind << ' ' << type << ": " << o.err;
            }
        }
    }
    for (const char* allocator : {"steady", "malloc", "glibc", "none"}) {
        EXPECT_EQ(plan({"u64", "void", "1M", "--allocator", allocator}).exit_code, 0);
    }
    EXPECT_EQ(plan({"int64", "int64", "281474976710656", "--kind", "map"}).exit_code, 2)
        << "2^48 entries of 16 bytes are more than a process can address";
    EXPECT_EQ(plan({"uint8", "void", "256"}).exit_code, 0);
}

TEST(PlanCommand, WhatWasEverAllocatedIsNoLessThanWhatIsThere) {
    for (const char* kind : {"map", "go-map", "slice", "std"}) {
        for (const char* count : {"10", "2000", "100000", "3M"}) {
            const outcome o = plan({"int64", "int64", count, "--kind", kind, "--json"});
            const std::string total = o.out.substr(o.out.find("\"total\""));
            EXPECT_GE(number(o.out, "allocated"), number(total, "low")) << kind << ' ' << count;
        }
    }
}

TEST(PlanCommand, CountsTextByItsLengths) {
    const outcome none = plan({"string", "int64", "1000", "--json"});
    EXPECT_EQ(none.out.find("\"text\""), std::string::npos);
    const auto text = [](const std::string& lengths) {
        const outcome o =
            plan({"string", "int64", "1000", "--json", "--length-distribution", lengths});
        EXPECT_EQ(o.exit_code, 0) << o.err;
        return o.out.substr(o.out.find("\"text\""));
    };
    EXPECT_EQ(number(text("fixed:15"), "expected"), 0u) << "inside the std::string";
    EXPECT_EQ(number(text("fixed:20"), "expected"), 24'000u) << "21 bytes aligned to 8";
    const scratch_directory folder;
    const std::string file = folder.write("lengths", "# LENGTH COUNT\n10 1\n20 1\n");
    EXPECT_EQ(number(text(file), "expected"), 12'000u);
    EXPECT_GT(number(text("mean:30"), "high"), number(text("mean:30"), "low"));
}

TEST(PlanCommand, SaysWhatIsWrongWithWordsItCannotPlanWith) {
    expect_refused({"int64", "string", "281474976710657"}, "2\\^48 = 281474976710656");
    expect_refused({"int64", "string", "1e30"}, "2\\^48");
    expect_refused({"int64", "string", "many"}, "'many' is no count");
    expect_refused({"int64", "string", "1.5"}, "not whole");
    expect_refused({"int64", "string", "12x"}, "more than a number");
    expect_refused({"int65", "string", "10"}, "'int65' is no type; there are int8..int64");
    expect_refused({"bytes0", "string", "10"}, "'bytes0' is no type");
    expect_refused({"bytes99999999", "string", "10"}, "from 1 to 1048576");
    expect_refused({"12:8", "string", "10"}, "multiple of its alignment; 16");
    expect_refused({"12:3", "string", "10"}, "power of two");
    expect_refused({"void", "int64", "10"}, "key of void");
    expect_refused({"int8", "int64", "257"}, "there are 256");
    expect_refused({"int64", "bytes1000000", "1e12"}, "2\\^47 bytes");
    expect_refused({"int64", "int64", "10", "--kind", "tree"}, "'tree' is no kind");
    expect_refused({"int64", "int64", "10", "--view", "seven"}, "add --kind go-map");
    expect_refused({"int64", "int64", "10", "--view", "eight"}, "'eight' is no view");
    expect_refused({"int64", "int64", "10", "--allocator", "x"}, "'x' is no allocator");
    expect_refused({"int64", "int64", "10", "--kind", "slice", "--allocator", "glibc"},
                   "live in the steady heap");
    expect_refused({"int64", "int64", "10", "--hint", "--grow"}, "exclude");
    expect_refused({"int64", "int64", "10", "--length-distribution", "fixed:3"}, "for strings");
    expect_refused({"string", "int64", "10", "--length-distribution", "fixed:x"},
                   "after the colon");
    expect_refused({"string", "int64", "10", "--length-distribution", "/no/such"}, "can be read");
    expect_refused({"string", "int64", "10", "--length-distribution", "/"}, "can be read");
    expect_refused({"string", "int64", "10", "--length-distribution", "fixed:1.5"},
                   "a whole number");
    expect_refused({"int64", "int64"}, "COUNT is required");
}

TEST(PlanCommand, RefusesAFileOfLengthsThatIsNone) {
    const scratch_directory folder;
    expect_refused(
        {"string", "int64", "10", "--length-distribution", folder.write("bad", "10 20\nlong 3\n")},
        "line 2: 'long 3' is not `LENGTH COUNT`");
    expect_refused({"string", "int64", "10", "--length-distribution", folder.write("none", "")},
                   "of no length");
}

}  // namespace
