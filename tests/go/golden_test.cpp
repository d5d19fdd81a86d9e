// golden_test.cpp - `steady replay` prints what Go's real runtime printed, byte for
// byte: every map script, every growth of a slice, every byte a map costs.
//
// The files in tests/golden came out of the runtime of go1.19.8. Nothing is left
// out of the comparison: stale keys, iterator flags and random states are in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace {

using steady::test::command;
using steady::test::outcome;
using steady::test::read_file;

const std::filesystem::path golden = STEADY_SOURCE_DIR "/tests/golden";

/// The first line in which two outputs differ, for the reader of a failure.
std::string first_difference(const std::string& said, const std::string& expected) {
    const auto [ours, theirs] =
        std::mismatch(said.begin(), said.end(), expected.begin(), expected.end());
    const auto line_of = [](const std::string& text, std::size_t at) {
        const std::size_t before = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
        const std::size_t start = before == std::string::npos ? 0 : before + 1;
        return text.substr(start, text.find('\n', at) - start).substr(0, 400);
    };
    const auto at = static_cast<std::size_t>(ours - said.begin());
    return "line " + std::to_string(1 + std::count(said.begin(), ours, '\n')) + "\n  steady  " +
           line_of(said, at) + "\n  Go      " + line_of(expected, at);
}

testing::AssertionResult prints(const std::vector<std::string>& words,
                                const std::string& expected_file) {
    const outcome said = steady::test::run(words);
    const std::string expected = read_file(golden / expected_file);
    if (expected.empty()) return testing::AssertionFailure() << expected_file << " is missing";
    if (said.exit_code != 0) {
        return testing::AssertionFailure() << "exit code " << said.exit_code << ": " << said.err;
    }
    if (said.out == expected) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << expected_file << ", " << first_difference(said.out, expected);
}

// ---- maps: one test for each script

class MapScript : public testing::TestWithParam<std::string> {};

TEST_P(MapScript, PrintsWhatTheRuntimePrinted) {
    const std::string name = GetParam();
    EXPECT_TRUE(prints({"replay", "map", (golden / (name + ".in")).string()}, name + ".txt"));
}

std::vector<std::string> script_names() {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(golden)) {
        if (file.path().extension() == ".in") names.push_back(file.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

INSTANTIATE_TEST_SUITE_P(Goldens, MapScript, testing::ValuesIn(script_names()),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(MapScripts, AreAllHere) {
    EXPECT_EQ(script_names().size(), 80u) << "or the tests above proved less than they say";
}

// ---- slices and the heap

struct listing {
    std::vector<std::string> words;
    const char* file;
};

void PrintTo(const listing& wanted, std::ostream* out) {
    *out << wanted.file;
}

class Listing : public testing::TestWithParam<listing> {};

TEST_P(Listing, IsWhatTheRuntimePrinted) {
    std::vector<std::string> words{"replay"};
    words.insert(words.end(), GetParam().words.begin(), GetParam().words.end());
    EXPECT_TRUE(prints(words, GetParam().file));
}

INSTANTIATE_TEST_SUITE_P(Goldens, Listing,
                         testing::Values(listing{{"slice", "chain"}, "slice-chain.txt"},
                                         listing{{"slice", "grid"}, "slice-grid.txt"},
                                         listing{{"slice", "big"}, "slice-big.txt"},
                                         listing{{"slice", "full", "8"}, "slice-full-8.txt"},
                                         listing{{"slice", "make"}, "slice-make.txt"},
                                         listing{{"heap", "classes"}, "heap-classes.txt"},
                                         listing{{"heap", "maps"}, "heap-maps.txt"}),
                         [](const auto& info) {
                             return info.param.words[0] + "_" + info.param.words[1];
                         });

TEST(SliceSample, GrowsThreeThousandRandomSlicesAsTheRuntimeDid) {
    // The golden has ES C NEED NEWCAP; the question is the line without its end.
    const std::string answers = read_file(golden / "slice-sample.txt");
    std::string questions;
    for (std::size_t at = 0; at < answers.size();) {
        const std::size_t end = answers.find('\n', at);
        const std::string line = answers.substr(at, end - at);
        questions += line.substr(0, line.rfind(' ')) + '\n';
        at = end + 1;
    }
    command run({"replay", "slice", "sample"});
    const outcome said = run.input(questions).run();
    EXPECT_EQ(said.exit_code, 0) << said.err;
    EXPECT_TRUE(said.out == answers) << first_difference(said.out, answers);
}

}  // namespace
