// replay_test.cpp - how `steady replay` answers: where its input comes from, and what
// it says to input it cannot understand. What it prints for good input is compared
// with Go's runtime in tests/go/golden_test.cpp and tests/oracle.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cli/command.hpp"

namespace {

using steady::test::command;
using steady::test::contains;
using steady::test::outcome;
using steady::test::run;
using steady::test::scratch_directory;

using words = std::vector<std::string>;

constexpr const char* script = "type u64:u64\nmake\nset 1 2\nget 1\n";
constexpr const char* printed =
    "type u64:u64 hash=fmix keysize=8 elemsize=8 bucketsize=144 flags=4 bucketptrdata=0\n"
    "make count=0 flags=0 B=0 noverflow=0 nevacuate=0 old=0 next=-\n"
    "get 0200000000000000\n";

TEST(Replay, ReadsAScriptFromAFileAndFromStandardInput) {
    const scratch_directory files;
    EXPECT_EQ(run({"replay", "map", files.write("x.in", script)}).out, printed);
    EXPECT_EQ(command({"replay", "map", "-"}).input(script).run().out, printed);
    EXPECT_EQ(command({"replay", "map"}).input(script).run().out, printed);
}

TEST(Replay, AnEmptyScriptIsDoneAtOnce) {
    for (const char* text : {"", "\n\n", "// nothing\n   \n", "// no line end"}) {
        const outcome said = command({"replay", "map", "-"}).input(text).run();
        EXPECT_EQ(said.exit_code, 0) << text;
        EXPECT_EQ(said.out, "");
        EXPECT_EQ(said.err, "");
    }
}

TEST(Replay, AFileThatCannotBeReadIsWrongUsageAndTheReasonIsNamed) {
    const scratch_directory files;
    const std::vector<std::pair<std::string, const char*>> unreadable{
        {"/no/such/script", "No such file"}, {files.path().string(), "Is a directory"}};
    for (const auto& [path, reason] : unreadable) {
        const outcome said = run({"replay", "map", path});
        EXPECT_EQ(said.exit_code, 2) << path;
        EXPECT_TRUE(contains(said.err, path));
        EXPECT_TRUE(contains(said.err, reason));
        EXPECT_EQ(said.out, "");
    }
}

TEST(Replay, AHintThatFindsNoMemoryEndsWithWhatWasPrintedAndItsLine) {
    const std::string text = std::string(script) + "// 2^39 buckets\nmake 1950000000000 // many\n";
    const outcome said = command({"replay", "map", "-"}).input(text).run();
    EXPECT_EQ(said.exit_code, 1);
    EXPECT_EQ(said.out, printed);
    EXPECT_TRUE(contains(said.err, "standard input:6: ")) << said.err;
    EXPECT_TRUE(contains(said.err, "`make 1950000000000`")) << said.err;
    EXPECT_TRUE(contains(said.err, "no memory")) << said.err;
}

TEST(Replay, ALineThatCannotBeUnderstoodIsNamedByItsNumber) {
    const std::string start = "type u64:u64\nmake\n";
    for (const char* wrong : {"frobnicate 1",
                              "set 1",
                              "set 1 2 3",
                              "set one 2",
                              "set 1 0x",
                              "set 18446744073709551616 1",
                              "del",
                              "get #",
                              "type u64",
                              "type u64:u65",
                              "type b0x:u8",
                              "type str:u64 id",
                              "type u8:u8 sha",
                              "rand -1",
                              "make many",
                              "iter 8",
                              "next 9 1",
                              "gen grow 1 2",
                              "gen fast 1 2 3",
                              "dump cooked",
                              "events maybe",
                              "api slow"}) {
        const outcome said =
            command({"replay", "map", "-"}).input(start + wrong + "\nget 1\n").run();
        EXPECT_EQ(said.exit_code, 2) << wrong;
        EXPECT_TRUE(contains(said.err, ":3: ")) << wrong;
        EXPECT_TRUE(contains(said.out, "make count=0")) << "what came before it stays printed";
        EXPECT_FALSE(contains(said.out, "get")) << "what comes after it is not done";
    }
}

TEST(Replay, AnOperationBeforeItsMapIsWrongUsage) {
    for (const char* early : {"set 1 2", "make", "type u8:u8\nget 1", "type u8:u8\ndump"}) {
        const outcome said = command({"replay", "map", "-"}).input(early).run();
        EXPECT_EQ(said.exit_code, 2) << early;
        EXPECT_TRUE(contains(said.err, "steady: replay: ")) << early;
    }
}

TEST(Replay, AnotherTypeOrMapStartsOverWithIteratorsOpen) {
    const outcome said = command({"replay", "map", "-"})
                             .input(
                                 "type u64:u64\nmake\nsetr 0 100\niter 3\nnext 3 5\nmake\n"
                                 "next 3 5\ntype str:str\nmake\ntrace\n")
                             .run();
    EXPECT_EQ(said.exit_code, 0) << said.err;
    EXPECT_TRUE(contains(said.out, "next 3 got=0 fnv=cbf29ce484222325 live=0"));
    EXPECT_TRUE(contains(said.out, "trace cbf29ce484222325 ops=0"));
}

TEST(Replay, WordsThatAreNoModeOrNoNumberAreWrongUsage) {
    const std::vector<std::pair<words, const char*>> wrong{
        {{}, "map, slice and heap"},
        {{"frobnicate"}, "frobnicate"},
        {{"map", "a", "b"}, "b"},
        {{"slice"}, "a mode is missing"},
        {{"slice", "sideways"}, "sideways"},
        {{"slice", "full"}, "ES"},
        {{"slice", "full", "0"}, "ES"},
        {{"slice", "full", "eight"}, "ES"},
        {{"heap", "one", "u64", "str"}, "N"},
        {{"heap", "one", "u64", "str", "-1", "0"}, "-1"},
        {{"heap", "one", "u64", "str", "10", "2"}, "HINT"},
        {{"heap", "one", "str", "str", "10", "0"}, "no integer key"},
        {{"heap", "one", "u64", "str9", "10", "0"}, "no elem type"},
        {{"heap", "one", "u8", "u8", "257", "0"}, "at most 256"},
    };
    for (const auto& [mode, named] : wrong) {
        words all{"replay"};
        all.insert(all.end(), mode.begin(), mode.end());
        const outcome said = run(all);
        EXPECT_EQ(said.exit_code, 2) << testing::PrintToString(mode) << said.out;
        EXPECT_TRUE(contains(said.err, named));
        EXPECT_EQ(said.out, "");
    }
}

TEST(Replay, ASampleLineThatIsNoneIsWrongUsage) {
    for (const char* wrong : {"8 1", "8 one 2", "-8 1 2", "8 5 5"}) {
        const outcome said = command({"replay", "slice", "sample"})
                                 .input(std::string("8 1 2\n") + wrong + "\n")
                                 .run();
        EXPECT_EQ(said.exit_code, 2) << wrong;
        EXPECT_TRUE(contains(said.err, "2")) << "the line is named: " << said.err;
    }
}

TEST(Replay, OutputThatCannotBeWrittenIsNotSuccess) {
    for (const words& mode : {words{"replay", "map", "-"}, words{"replay", "slice", "full", "8"},
                              words{"replay", "heap", "classes"}}) {
        const outcome said = command(mode).input(script).output_to("/dev/full").run();
        EXPECT_EQ(said.exit_code, 1) << testing::PrintToString(mode);
        EXPECT_TRUE(contains(said.err, "No space left on device"));
    }
}

TEST(Replay, HelpNamesTheModesAndWhereTheFormatsAre) {
    const outcome said = run({"help", "replay"});
    EXPECT_EQ(said.exit_code, 0);
    for (const char* part : {"map", "slice", "heap", "docs/guide/replay.md"}) {
        EXPECT_TRUE(contains(said.out, part));
    }
}

}  // namespace
