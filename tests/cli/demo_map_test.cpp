// demo_map_test.cpp - the demo's second table: steady::map beside std::unordered_map.
#include <gtest/gtest.h>

#include <string>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"

namespace {

using nlohmann::json;
using steady::test::contains;
using steady::test::outcome;
using steady::test::run;
using steady::test::scratch_directory;

std::string many_words() {
    std::string text;
    for (int i = 0; i < 30'000; ++i) text += "word_" + std::to_string(i % 9'000) + ' ';
    return text;
}

TEST(DemoMap, TheMapBuildsTheIdenticalIndexAndLeavesNothing) {
    const scratch_directory files;
    const outcome said = run({"demo", "--json", "--rounds", "2", files.write("t", many_words())});
    ASSERT_EQ(said.exit_code, 0) << said.err;
    const json report = json::parse(said.out);
    for (const json& round : report["rounds"]) {
        for (const char* pass : {"plain", "timed"}) {
            const json& map = round["map"][pass];
            EXPECT_EQ(map["index"]["checksum"], report["index"]["checksum"]);
            EXPECT_EQ(map["heap_freed"]["live_bytes"], 0);
            // Entries lie in the table, so words that fit a string cost no allocation.
            EXPECT_LT(map["heap_indexed"]["allocations"], 200);
            EXPECT_GT(map["heap_indexed"]["allocations"], 5);
        }
        EXPECT_EQ(round["map"]["timed"]["new_words"]["count"], report["index"]["distinct"]);
    }
    EXPECT_GT(report["map"]["index_nanoseconds"]["ratio"]["median"], 0);
    EXPECT_GT(report["map"]["new_words_max_nanoseconds"]["steady"]["median"], 0);
}

TEST(DemoMap, TheTableShowsBothMaps) {
    const scratch_directory files;
    const outcome said = run({"demo", "--rounds", "1", files.write("t", many_words())});
    ASSERT_EQ(said.exit_code, 0) << said.err;
    EXPECT_TRUE(contains(said.out, "the same index, on steady's heap")) << said.out;
    EXPECT_TRUE(contains(said.out, "steady::map")) << said.out;
}

}  // namespace
