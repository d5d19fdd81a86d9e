// demo_map_test.cpp - the maps of the demo side by side, insert by insert, and the page.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

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
    const outcome said =
        run({"demo", "--no-report", "--rounds", "1", files.write("t", many_words())});
    ASSERT_EQ(said.exit_code, 0) << said.err;
    EXPECT_TRUE(contains(said.out, "the same index in other maps")) << said.out;
    EXPECT_TRUE(contains(said.out, "steady::map")) << said.out;
}

json report_of_many_words() {
    const scratch_directory files;
    const outcome said = run({"demo", "--json", "--rounds", "1", files.write("t", many_words())});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    return json::parse(said.out, nullptr, false);
}

TEST(DemoMap, EveryNewWordIsFollowedInEveryMap) {
    const json report = report_of_many_words();
    ASSERT_GE(report["maps"].size(), 3u);
    for (const auto& [key, map] : report["maps"].items()) {
        EXPECT_EQ(map["insert_nanoseconds"].size(), 9'000u) << key;
        EXPECT_EQ(map["slowest"].size(), 10u) << key;
        std::uint64_t slowest = 0;
        for (const json& each : map["insert_nanoseconds"]) {
            slowest = std::max(slowest, each.get<std::uint64_t>());
        }
        EXPECT_EQ(map["slowest"][0]["nanoseconds"], slowest) << key;
        EXPECT_EQ(map["memory"].back()["entries"].get<int>() > 8'900, true) << key;
    }
}

TEST(DemoMap, GrowthStepsAreSeenAndOnlyOurMapsMoveFewEntries) {
    const json report = report_of_many_words();
    const json& mine = report["maps"]["steady_map"]["growth"];
    EXPECT_GE(mine["inserts"], 10);
    EXPECT_EQ(mine["steps"].size(), mine["inserts"]);
    EXPECT_LT(mine["most_entries_moved"], 1'000);
    const json& theirs = report["maps"]["unordered_map"]["growth"];
    EXPECT_GE(theirs["inserts"], 5);
    // libstdc++'s last growth before 9000 is beyond half of it.
    EXPECT_GT(theirs["most_entries_moved"], 4'000);
}

TEST(DemoMap, ACauseIsWhatTheCountersOfThatInsertSay) {
    const json report = report_of_many_words();
    for (const auto& [key, map] : report["maps"].items()) {
        for (const json& each : map["slowest"]) {
            const std::string cause = each["cause"];
            const bool grew =
                each["entries_moved"] != 0 || each["capacity_before"] != each["capacity_after"];
            if (cause == "preempted") {
                EXPECT_GT(each["forced_switches"], 0) << key << each;
                EXPECT_LE(2 * each["cpu_nanoseconds"].get<std::uint64_t>(),
                          each["nanoseconds"].get<std::uint64_t>())
                    << key << each;
            }
            if (cause == "page fault") {
                EXPECT_GT(
                    each["minor_page_faults"].get<int>() + each["major_page_faults"].get<int>(), 0)
                    << key << each;
            }
            if (cause == "page fault" || cause == "outside") {
                EXPECT_FALSE(grew) << key << each;
            }
            if (cause == "outside") {
                EXPECT_EQ(each["minor_page_faults"], 0) << key << each;
            }
        }
    }
}

TEST(DemoMap, TheBytesOfAMapAreItsOwnCountAndTheAllocators) {
    const json report = report_of_many_words();
    const json& mine = report["maps"]["steady_map"]["bytes"];
    std::uint64_t sum = 0;
    for (const auto& [part, bytes] : mine["memory"].items()) sum += bytes.get<std::uint64_t>();
    EXPECT_EQ(sum, mine["table"].get<std::uint64_t>() + mine["nodes"].get<std::uint64_t>());
    EXPECT_EQ(mine["entries"], 9'000 * 40) << "a string of 32 bytes and a count";
    const json& theirs = report["maps"]["unordered_map"]["bytes"];
    EXPECT_EQ(theirs["nodes"], 9'000 * 48) << "the entry and a link";
    EXPECT_GE(theirs["peak"],
              theirs["table"].get<std::uint64_t>() + theirs["nodes"].get<std::uint64_t>());
}

TEST(DemoPage, IsOneFileThatNeedsNothingElse) {
    const scratch_directory files;
    const std::string page = (files.path() / "page.html").string();
    const outcome said =
        run({"demo", "--rounds", "1", "--report", page, files.write("t", many_words())});
    ASSERT_EQ(said.exit_code, 0) << said.err;
    EXPECT_TRUE(contains(said.out, page));
    const std::string html = steady::test::read_file(page);
    EXPECT_TRUE(html.starts_with("<!doctype html>"));
    EXPECT_TRUE(html.ends_with("</html>\n"));
    for (const char* outside : {"<link", "src=", "url(", "@import", "<img"}) {
        EXPECT_EQ(html.find(outside), std::string::npos) << outside;
    }
    const std::string from = "id=\"data\">";
    const std::size_t begin = html.find(from) + from.size();
    const json data = json::parse(html.substr(begin, html.find("</script>", begin) - begin));
    for (const char* name :
         {"slowest", "wall", "p99", "median", "new", "every", "resident", "faults"}) {
        const json& chart = data["charts"][name];
        ASSERT_GE(chart["lines"].size(), 3u) << name;
        for (const json& line : chart["lines"]) {
            EXPECT_EQ(line["values"].size(), chart["values"].size()) << name << line["name"];
        }
    }
}

TEST(DemoPage, IsWrittenWholeOrNotAtAll) {
    const scratch_directory files;
    const std::string page = files.write("out/page.html", "the old page");
    const std::string folder = (files.path() / "out").string();
    const std::string text = files.write("t", many_words());
    if (geteuid() != 0) {  // root may write anywhere
        chmod(folder.c_str(), 0555);
        const outcome refused = run({"demo", "--rounds", "1", "--report", page, text});
        EXPECT_EQ(refused.exit_code, 2);
        chmod(folder.c_str(), 0755);
    }
    const outcome directory = run({"demo", "--rounds", "1", "--report", folder, text});
    EXPECT_EQ(directory.exit_code, 2);
    EXPECT_TRUE(contains(directory.err, "a directory"));
    const outcome nowhere = run({"demo", "--report", folder + "/none/page.html", text});
    EXPECT_EQ(nowhere.exit_code, 2);
    EXPECT_TRUE(nowhere.out.empty()) << "said before anything was measured";
    EXPECT_EQ(steady::test::read_file(page), "the old page");
    EXPECT_EQ(run({"demo", "--rounds", "1", "--report", "/dev/full", text}).exit_code, 1);
    // And when it worked, nothing else lies there.
    EXPECT_EQ(run({"demo", "--rounds", "1", "--report", page, text}).exit_code, 0);
    std::size_t entries = 0;
    for (const auto& each : std::filesystem::directory_iterator(folder)) {
        EXPECT_EQ(each.path(), page);
        ++entries;
    }
    EXPECT_EQ(entries, 1u);
}

TEST(DemoPage, AFileNameIsTextAndNoMarkup) {
    const scratch_directory files;
    const std::string page = (files.path() / "page.html").string();
    const std::string text = files.write("<b>&co", many_words());
    ASSERT_EQ(run({"demo", "--rounds", "1", "--report", page, text}).exit_code, 0);
    EXPECT_TRUE(contains(steady::test::read_file(page), "&lt;b&gt;&amp;co"));
}

TEST(DemoPage, CtrlCAfterTheFirstRoundLeavesAReportThatSaysSo) {
    const scratch_directory files;
    const std::string page = (files.path() / "page.html").string();
    const std::string text = files.write("t", many_words());
    // How long one round and all that follows it take here, three times over.
    const auto start = std::chrono::steady_clock::now();
    ASSERT_EQ(run({"demo", "--rounds", "1", "--no-report", text}).exit_code, 0);
    const auto one = std::chrono::steady_clock::now() - start;
    steady::test::command demo({"demo", "--rounds", "1000", "--report", page, text});
    demo.start();
    std::this_thread::sleep_for(3 * one + std::chrono::seconds(1));
    ASSERT_FALSE(demo.ended());
    kill(demo.process(), SIGINT);
    const outcome said = demo.finish();
    EXPECT_EQ(said.exit_code, 130);
    EXPECT_TRUE(contains(said.err, "of 1000 rounds"));
    EXPECT_TRUE(contains(said.out, "(stopped)"));
    EXPECT_TRUE(contains(steady::test::read_file(page), "Stopped early"));
}

}  // namespace
