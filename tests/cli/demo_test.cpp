// demo_test.cpp - `steady demo` on small files: what it reads, what it finds,
// what it says when there is nothing to do, and how it stops.
//
// The command is run as users run it. Its counts are compared with an index
// built here, in another container, from the same text.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>
#include <pty.h>
#include <sys/stat.h>

#include "cli/command.hpp"

namespace {

using nlohmann::json;
using steady::test::command;
using steady::test::contains;
using steady::test::outcome;
using steady::test::run;
using steady::test::scratch_directory;

json report_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"demo", "--json"});
    const outcome said = run(std::move(arguments));
    EXPECT_EQ(said.exit_code, 0) << said.err;
    return json::parse(said.out, nullptr, false);
}

/// Words with many repetitions, and some longer than any small-string buffer.
std::string sample_text() {
    std::string text;
    for (int i = 0; i < 20'000; ++i) {
        text += "word_" + std::to_string(i % 5'000) + " (the, a); ";
        if (i % 7 == 0) text += "a_rather_long_identifier_number_" + std::to_string(i) + "\n";
    }
    return text +
           "gr\xc3\xb6\xc3\x9f"
           "e Gr\xc3\xb6\xc3\x9f"
           "e\n";
}

std::map<std::string, std::uint64_t> words_of(const std::string& text) {
    std::map<std::string, std::uint64_t> index;
    std::string word;
    for (const char c : text + ' ') {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x80 || std::isalnum(byte) != 0 || c == '_') {
            word += c;
        } else if (!word.empty()) {
            ++index[word];
            word.clear();
        }
    }
    return index;
}

TEST(Demo, CountsTheWordsAsAnIndependentIndexDoes) {
    const scratch_directory files;
    const std::string text = sample_text();
    const json report = report_of({"--rounds", "2", files.write("sample.txt", text)});
    const auto expected = words_of(text);
    std::uint64_t words = 0;
    for (const auto& [word, count] : expected) words += count;
    EXPECT_EQ(report["index"]["words"], words);
    EXPECT_EQ(report["index"]["distinct"], expected.size());
    EXPECT_EQ(report["input"]["files"], 1);
    EXPECT_EQ(report["input"]["bytes"], text.size() + 1) << "a line end follows each file";
}

TEST(Demo, TheChecksumKnowsTheWordsAndTheirCountsAndNotTheirOrder) {
    const scratch_directory files;
    const auto checksum = [&](const std::string& text) {
        return report_of({"--rounds", "1", files.write("t", text)})["index"]["checksum"];
    };
    const json first = checksum("one two two three");
    EXPECT_EQ(first, checksum("three, two; two / one"));
    EXPECT_NE(first, checksum("one one two three")) << "other counts";
    EXPECT_NE(first, checksum("one two two Three")) << "another word";
}

TEST(Demo, BothHeapsBuildTheIdenticalIndexInEveryRound) {
    const scratch_directory files;
    const json report = report_of({"--rounds", "3", files.write("sample.txt", sample_text())});
    ASSERT_EQ(report["rounds"].size(), 3u);
    for (const json& round : report["rounds"]) {
        for (const char* heap : {"steady", "system"}) {
            for (const char* pass : {"plain", "timed"}) {
                const json& index = round[heap][pass]["index"];
                EXPECT_EQ(index["checksum"], report["index"]["checksum"]) << heap << ' ' << pass;
                EXPECT_EQ(index["words"], report["index"]["words"]) << heap << ' ' << pass;
            }
        }
    }
    EXPECT_EQ(report["rounds"][0]["first"], "steady");
    EXPECT_EQ(report["rounds"][1]["first"], "system") << "the heaps take turns in going first";
    EXPECT_TRUE(report["passed"]);
    ASSERT_GE(report["checks"].size(), 3u);
    for (const json& check : report["checks"]) EXPECT_TRUE(check["passed"]) << check;
}

TEST(Demo, TheHeapCountsEveryAllocationTheIndexMade) {
    const scratch_directory files;
    const json report = report_of({"--rounds", "1", files.write("sample.txt", sample_text())});
    const json& requested = report["index"]["requested"];
    EXPECT_GE(requested["allocations"], report["index"]["distinct"]) << "a node for each word";
    for (const char* pass : {"plain", "timed"}) {
        const json& heap = report["rounds"][0]["steady"][pass]["heap_indexed"];
        EXPECT_EQ(heap["allocations"], requested["allocations"]);
        EXPECT_EQ(heap["frees"], requested["frees"]);
        EXPECT_GE(heap["live_bytes"], requested["live_bytes"]) << "classes round up";
        const json& after = report["rounds"][0]["steady"][pass]["heap_freed"];
        EXPECT_EQ(after["allocations"], after["frees"]);
        EXPECT_EQ(after["live_bytes"], 0);
    }
}

TEST(Demo, EveryInsertIsInTheLatencies) {
    const scratch_directory files;
    const json report = report_of({"--rounds", "2", files.write("sample.txt", sample_text())});
    for (const json& round : report["rounds"]) {
        for (const char* heap : {"steady", "system"}) {
            const json& pass = round[heap]["timed"];
            EXPECT_EQ(pass["every_word"]["count"], report["index"]["words"]);
            EXPECT_EQ(pass["new_words"]["count"], report["index"]["distinct"]);
            double previous = 0;
            for (const char* key : {"p50", "p90", "p99", "p99_9", "p99_99", "max"}) {
                const double value = pass["every_word"][std::string(key) + "_nanoseconds"];
                EXPECT_GE(value, previous) << key;
                previous = value;
            }
            EXPECT_GT(previous, 0);
        }
        EXPECT_EQ(round["control"]["count"], report["index"]["words"]) << "the same loop";
    }
    std::uint64_t counted = 0;
    for (const json& bucket : report["histograms"]["steady"]["every_word"]) {
        counted += bucket[1].get<std::uint64_t>();
    }
    EXPECT_EQ(counted, 2 * report["index"]["words"].get<std::uint64_t>());
}

TEST(Demo, MemoryAndPageFaultsAreReportedForBothHeaps) {
    const scratch_directory files;
    const json report = report_of({"--rounds", "1", files.write("sample.txt", sample_text())});
    for (const char* heap : {"steady", "system"}) {
        const json& pass = report["rounds"][0][heap]["plain"];
        // 8,000 words need more than 100 pages of 4 KiB; 64 KiB pages give fewer faults.
        EXPECT_GT(pass["indexed_resident_bytes"], 200'000) << heap;
        EXPECT_GT(pass["peak_resident_bytes"], 200'000) << heap;
        EXPECT_GT(pass["minor_page_faults"], 0) << heap;
        EXPECT_GT(pass["index_nanoseconds"], 0) << heap;
    }
    for (const char* key : {"index_nanoseconds", "words_per_second", "peak_resident_bytes",
                            "indexed_resident_bytes", "minor_page_faults", "live_bytes"}) {
        const json& row = report["results"][key];
        EXPECT_TRUE(row["steady"].contains("median")) << key;
        EXPECT_LE(row["system"]["smallest"], row["system"]["largest"]) << key;
    }
    for (const char* key : {"processor", "kernel", "build", "system_heap"}) {
        EXPECT_NE(report["machine"][key].get<std::string>(), "") << key;
    }
}

TEST(Demo, BinaryAndCompressedAndSpecialFilesAreLeftOutAndCounted) {
    const scratch_directory files;
    files.write("tree/b/text.txt", "alpha beta\n");
    files.write("tree/a/more.txt", "gamma\n");
    files.write("tree/a/data.bin", std::string("alpha\0delta", 11));
    files.write("tree/a/log.gz", "not really compressed");
    files.write("tree/empty.txt", "");
    files.write("outside.txt", "unseen");
    std::filesystem::create_symlink(files.path() / "outside.txt", files.path() / "tree/link");
    ASSERT_EQ(mkfifo((files.path() / "tree/pipe").c_str(), 0600), 0);
    const json report = report_of({"--rounds", "1", (files.path() / "tree").string()});
    EXPECT_EQ(report["index"]["words"], 3);
    EXPECT_EQ(report["input"]["files"], 3) << "two with words and the empty one";
    EXPECT_EQ(report["input"]["binary_files"], 1);
    EXPECT_EQ(report["input"]["compressed_files"], 1);
    EXPECT_EQ(report["input"]["special_files"], 2) << "the link and the pipe";
    EXPECT_TRUE(report["input"]["unreadable_files"].empty());
}

TEST(Demo, UnreadableFilesAreReportedAndTheRestIsIndexed) {
    const scratch_directory files;
    const std::string good = files.write("good.txt", "some words\n");
    // Readable by nobody, root included: its first address is never mapped.
    const outcome said = run({"demo", "--json", "--rounds", "1", "/proc/self/mem", good});
    EXPECT_EQ(said.exit_code, 0);
    EXPECT_TRUE(contains(said.err, "cannot read /proc/self/mem: Input/output error"));
    const json report = json::parse(said.out);
    ASSERT_EQ(report["input"]["unreadable_files"].size(), 1u);
    EXPECT_EQ(report["input"]["unreadable_files"][0]["path"], "/proc/self/mem");
    EXPECT_EQ(report["index"]["words"], 2);
}

TEST(Demo, AFileNameThatIsNotUtf8StillGivesValidJson) {
    const scratch_directory files;
    const json report = report_of({"--rounds", "1", files.write("caf\xe9.txt", "word")});
    EXPECT_FALSE(report.is_discarded());
    EXPECT_EQ(report["index"]["words"], 1);
}

TEST(Demo, InputWithoutAnyWordIsWrongUsage) {
    const scratch_directory files;
    const std::vector<std::pair<std::string, const char*>> inputs{
        {files.write("empty.txt", ""), "1 file read"},
        {files.write("punctuation.txt", " .,;\n"), "1 file read"},
        {files.write("binary", std::string(64, '\0')), "1 binary"},
        {files.write("text.gz", "words"), "1 compressed"},
    };
    for (const auto& [path, counted] : inputs) {
        const outcome said = run({"demo", path});
        EXPECT_EQ(said.exit_code, 2) << path;
        EXPECT_TRUE(contains(said.err, "no words to index"));
        EXPECT_TRUE(contains(said.err, counted));
        EXPECT_EQ(said.out, "");
    }
}

TEST(Demo, AnArgumentThatDoesNotExistIsWrongUsage) {
    const outcome said = run({"demo", "/no/such/file"});
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_TRUE(contains(said.err, "'/no/such/file' is neither a file nor a directory"));
    EXPECT_EQ(said.out, "");
}

TEST(Demo, StandardInputIsReadForADash) {
    const outcome said =
        command({"demo", "--json", "--rounds", "1", "-"}).input("to be or not to be").run();
    ASSERT_EQ(said.exit_code, 0) << said.err;
    const json report = json::parse(said.out);
    EXPECT_EQ(report["index"]["words"], 6);
    EXPECT_EQ(report["index"]["distinct"], 4);
}

TEST(Demo, TheLimitIsSharedEvenlyAmongTheArguments) {
    const scratch_directory files;
    std::string large;
    while (large.size() < 1'500'000) large += "alpha ";
    const std::string first = files.write("first.txt", large);
    const std::string second = files.write("second.txt", "beta\n");
    const json report = report_of({"--rounds", "1", "--limit-mb", "1", first, second});
    EXPECT_TRUE(report["input"]["limit_reached"]);
    EXPECT_EQ(report["input"]["limit_bytes"], 1'000'000);
    EXPECT_NEAR(report["input"]["bytes"].get<double>(), 500'000, 100);
    EXPECT_EQ(report["input"]["files"], 2) << "the large first file did not starve the second";
}

TEST(Demo, WithoutArgumentsItReadsWhatTheMachineHas) {
    if (!std::filesystem::exists("/usr/include/stdio.h")) GTEST_SKIP() << "no C headers here";
    const json report = report_of({"--rounds", "1", "--limit-mb", "1"});
    EXPECT_EQ(report["input"]["sources"][0], "/usr/include");
    EXPECT_GT(report["index"]["words"], 1'000);
}

TEST(Demo, TheTableIsPlainTextWhenItGoesToAFile) {
    const scratch_directory files;
    const outcome said =
        run({"demo", "--no-report", "--rounds", "2", files.write("sample.txt", sample_text())});
    EXPECT_EQ(said.exit_code, 0);
    EXPECT_EQ(said.err, "") << "progress is for terminals";
    EXPECT_FALSE(contains(said.out, "\x1b"));
    for (const char* row : {"time to index", "words indexed per second", "peak resident memory",
                            "page faults without disk", "p99.99", "control", "checksum"}) {
        EXPECT_TRUE(contains(said.out, row));
    }
    EXPECT_FALSE(contains(said.out, "FAIL"));
}

/// Everything `steady demo` writes to a terminal of 80 columns, stderr included.
std::string seen_on_a_terminal(const std::string& file, bool no_colour) {
    int terminal = -1;
    winsize size{24, 80, 0, 0};
    const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        no_colour ? setenv("NO_COLOR", "1", 1) : unsetenv("NO_COLOR");
        execl(STEADY_COMMAND_PATH, "steady", "demo", "--no-report", "--rounds", "2", file.c_str(),
              nullptr);
        _exit(127);
    }
    std::string text;
    char block[4096];
    // The kernel answers EIO when the last writer has closed its end.
    for (ssize_t got; (got = read(terminal, block, sizeof block)) > 0;) {
        text.append(block, static_cast<std::size_t>(got));
    }
    close(terminal);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    return text;
}

TEST(Demo, ATerminalGetsProgressAndColour) {
    const scratch_directory files;
    const std::string file = files.write("sample.txt", sample_text());
    const std::string seen = seen_on_a_terminal(file, false);
    EXPECT_TRUE(contains(seen, "% round 1 of 2: steady heap, time and memory"));
    EXPECT_TRUE(contains(seen, "\r\x1b[KIndexing the words of")) << "progress is wiped first";
    EXPECT_TRUE(contains(seen, "\x1b[32mok  \x1b[0m"));
    const std::string plain = seen_on_a_terminal(file, true);
    EXPECT_TRUE(contains(plain, "round 2 of 2: control loop"));
    EXPECT_FALSE(contains(plain, "\x1b[32m")) << "NO_COLOR is respected";
}

TEST(Demo, AReportThatCannotBeWrittenIsNotSuccess) {
    const scratch_directory files;
    const std::string text = files.write("t", "some words");
    const outcome said =
        command({"demo", "--no-report", "--rounds", "1", text}).output_to("/dev/full").run();
    EXPECT_EQ(said.exit_code, 1);
    EXPECT_TRUE(contains(said.err, "No space left on device"));
}

// ---- how it stops

/// Enough text for passes that last, and as many rounds as it takes.
class StoppedDemo : public testing::Test {
protected:
    void SetUp() override {
        std::string text;
        for (int i = 0; text.size() < 4'000'000; ++i) text += "word" + std::to_string(i) + '\n';
        demo_.emplace(std::vector<std::string>{"demo", "--no-report", "--rounds", "1000",
                                               files_.write("t", text)});
        demo_->start();
    }

    /// Waits until a measured child runs and returns it.
    pid_t wait_for_child() {
        while (!demo_->ended()) {
            const std::vector<pid_t> children = steady::test::children_of(demo_->process());
            if (!children.empty()) return children.front();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return 0;
    }

    scratch_directory files_;
    std::optional<command> demo_;
};

TEST_F(StoppedDemo, EndsCleanlyOnCtrlCWithExitCode130) {
    const pid_t child = wait_for_child();
    ASSERT_NE(child, 0);
    ASSERT_EQ(kill(demo_->process(), SIGINT), 0);
    const outcome said = demo_->finish();
    EXPECT_EQ(said.exit_code, 130);
    EXPECT_TRUE(contains(said.err, "stopped"));
    EXPECT_EQ(said.out, "") << "half a result looks like a whole one";
    EXPECT_NE(kill(child, 0), 0) << "the measured child must not outlive the command";
}

TEST_F(StoppedDemo, SaysWhichPassDiedWhenAChildIsKilled) {
    // A child that has just sent its result may be gone before the signal; the next one is
    // not. Once the command has spoken it is leaving, and a child seen then would be the
    // leak checker of a sanitizer, which must live: so the order is look, ask, kill.
    while (!demo_->ended()) {
        const pid_t child = wait_for_child();
        if (child == 0 || !demo_->said_so_far().empty()) break;
        kill(child, SIGKILL);
    }
    const outcome said = demo_->finish();
    EXPECT_EQ(said.exit_code, 1);
    EXPECT_TRUE(contains(said.err, "was ended by signal 9"));
    EXPECT_TRUE(contains(said.err, "pass on the"));
    EXPECT_EQ(said.out, "");
}

}  // namespace
