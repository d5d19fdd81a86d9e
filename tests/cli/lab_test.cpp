// lab_test.cpp - `steady lab`: every experiment with an exact reference agrees with it, and
// the command says what it does not have or cannot do.
//
// Experiments are tested by their own checks, which this file runs. What becomes of a check
// that fails is shown with experiments that go wrong on purpose (self_test.cpp).
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"

namespace {

using nlohmann::json;
using steady::test::command;
using steady::test::contains;
using steady::test::outcome;
using steady::test::read_file;
using steady::test::run;
using steady::test::scratch_directory;

json list() {
    const outcome said = run({"lab", "--list", "--json"});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    return json::parse(said.out, nullptr, false);
}

TEST(Lab, EveryExactReferenceIsMet) {
    const outcome said = run({"lab", "--all", "--check", "--json"});
    const json report = json::parse(said.out, nullptr, false);
    ASSERT_TRUE(report.is_object()) << said.out << said.err;
    std::size_t checks = 0;
    for (const json& each : report["experiments"]) {
        EXPECT_FALSE(each["checks"].empty()) << each["name"] << " calls itself exact";
        EXPECT_FALSE(each.contains("failure")) << each["name"] << each["failure"];
        for (const json& check : each["checks"]) {
            ++checks;
            EXPECT_TRUE(check["passed"].get<bool>()) << each["name"] << ": " << check.dump(2);
        }
    }
    EXPECT_GE(checks, 30u);
    EXPECT_EQ(said.exit_code, 0) << said.err;
}

TEST(Lab, ExperimentsHaveAnIdANameAndAQuestionOfTheirOwn) {
    std::set<std::string> ids;
    std::set<std::string> names;
    for (const json& each : list()) {
        EXPECT_TRUE(ids.insert(each["id"]).second) << each["id"];
        EXPECT_TRUE(names.insert(each["name"]).second) << each["name"];
        EXPECT_TRUE(each["question"].get<std::string>().ends_with('?')) << each["name"];
        EXPECT_NE(each["available"].get<bool>(), each.contains("missing")) << each["name"];
    }
    EXPECT_GE(ids.size(), 20u);
}

TEST(Lab, TheListShowsWhatAUserCanAskFor) {
    const outcome said = run({"lab", "--list"});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    for (const json& each : list()) EXPECT_TRUE(contains(said.out, each["name"]));
    EXPECT_EQ(said.out.find("self-test"), std::string::npos) << "those are for tests";
}

TEST(Lab, TheTextShowsWhatWasMeasuredBesideWhatOthersSay) {
    const outcome said = run({"lab", "map-objects"});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    for (const char* part : {"E-21", "reported", "ref", "12840", "impossible:", "ok "}) {
        EXPECT_TRUE(contains(said.out, part));
    }
}

TEST(Lab, AnExperimentIsFoundByItsNumberInEitherCase) {
    EXPECT_TRUE(contains(run({"lab", "e-11", "--check"}).out, "map-grow"));
}

TEST(Lab, AnExperimentNamedTwiceRunsOnce) {
    const outcome said = run({"lab", "map-grow", "E-11", "map-grow", "--check"});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    EXPECT_TRUE(contains(said.out, "1 experiment,"));
}

TEST(Lab, NamesAndAllExcludeEachOther) {
    const outcome said = run({"lab", "map-grow", "--all", "--check"});
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_TRUE(contains(said.err, "'map-grow' and --all"));
}

TEST(Lab, WhatDoesNotExistOrIsNotAvailableIsWrongUsage) {
    const outcome misspelt = run({"lab", "map-gro"});
    EXPECT_EQ(misspelt.exit_code, 2);
    EXPECT_TRUE(contains(misspelt.err, "but 'map-grow'"));
    const outcome nothing = run({"lab"});
    EXPECT_EQ(nothing.exit_code, 2);
    EXPECT_TRUE(contains(nothing.err, "--all"));
    for (const json& each : list()) {
        if (each["available"]) continue;
        const outcome later = run({"lab", each["name"]});
        EXPECT_EQ(later.exit_code, 2);
        EXPECT_TRUE(contains(later.err, each["missing"]));
        break;
    }
}

TEST(Lab, PagesAreWrittenWholeAndNeedNothingElse) {
    const scratch_directory files;
    const std::string folder = (files.path() / "pages").string();
    const outcome said = run({"lab", "slice-grow", "map-grow", "--html", folder});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    const std::string index = read_file(folder + "/index.html");
    EXPECT_TRUE(contains(index, "slice-grow.html"));
    EXPECT_TRUE(contains(index, "Not yet available"));
    const std::string page = read_file(folder + "/map-grow.html");
    EXPECT_TRUE(contains(page, "</html>"));
    EXPECT_TRUE(contains(page, "data-chart=\"curve0\""));
    for (const char* outside : {"<link", "src=\"http", "url(http", "@import"}) {
        EXPECT_EQ(page.find(outside), std::string::npos) << outside;
    }
}

TEST(Lab, AFolderThatCannotBeWrittenToIsWrongUsageBeforeAnythingRuns) {
    const scratch_directory files;
    const std::string file = files.write("a-file", "");
    const outcome said = run({"lab", "map-grow", "--html", file});
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_TRUE(said.out.empty()) << said.out;
}

TEST(Lab, RepeatingGivesSpreads) {
    const outcome said = run({"lab", "map-objects", "--repeat", "3", "--json"});
    const json report = json::parse(said.out, nullptr, false);
    ASSERT_EQ(report["repeat"], 3) << said.err;
    for (const json& each : report["experiments"][0]["figures"]) {
        EXPECT_EQ(each["values"].size(), 3u) << each["label"];
        EXPECT_LE(each["smallest"], each["median"]);
    }
}

TEST(Lab, ADeviationIsShownAndEndsWithExitCode1) {
    for (const bool only_checks : {true, false}) {
        std::vector<std::string> words{"lab", "self-test-deviates", "map-grow"};
        if (only_checks) words.push_back("--check");
        const outcome said = run(words);
        EXPECT_EQ(said.exit_code, 1) << said.err;
        for (const char* part :
             {"FAIL one and two", "seen      3", "expected  4", "FAIL two within three to four",
              "ok   one and one", "map-grow", "2 FAILED"}) {
            EXPECT_TRUE(contains(said.out, part));
        }
    }
    const json report = json::parse(run({"lab", "self-test-deviates", "--json"}).out);
    EXPECT_FALSE(report["passed"]);
    EXPECT_TRUE(report["experiments"][0]["checks"][0]["passed"]);
    EXPECT_FALSE(report["experiments"][0]["checks"][1]["passed"]);
}

TEST(Lab, AnExperimentThatCrashesIsAFailedOneAndTheOthersStillRun) {
    const outcome said = run({"lab", "self-test-crashes", "self-test-throws", "map-grow"});
    EXPECT_EQ(said.exit_code, 1);
    for (const char* part : {"self-test-crashes was ended by signal 9", "no <tape> left",
                             "the inserts that start a growth", "2 FAILED"}) {
        EXPECT_TRUE(contains(said.out, part));
    }
}

TEST(Lab, WhatAnExperimentSaysIsTextAndNoMarkupOnItsPage) {
    const scratch_directory files;
    const std::string folder = (files.path() / "pages").string();
    EXPECT_EQ(run({"lab", "self-test-throws", "--html", folder}).exit_code, 1);
    EXPECT_TRUE(contains(read_file(folder + "/self-test-throws.html"), "no &lt;tape&gt; left"));
}

TEST(Lab, CtrlCPrintsWhatWasFinished) {
    command lab({"lab", "map-grow", "growth-latency", "--repeat", "1000"});
    lab.start();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    while (!lab.ended() && steady::test::children_of(lab.process()).empty()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kill(lab.process(), SIGINT);
    const outcome said = lab.finish();
    EXPECT_EQ(said.exit_code, 130);
    EXPECT_TRUE(contains(said.err, "of 2 experiments"));
}

}  // namespace
