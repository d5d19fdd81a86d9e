// options_test.cpp - STEADY_DEBUG: every name is read, every mistake is reported
// once with what was seen and expected, and nothing wrong changes anything.

#include "steady/core/options.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace steady;
using policy = debug_options::huge_page_policy;

std::vector<std::string> reports;

void collect(const message& m) {
    reports.emplace_back(m.c_str());
}

debug_options parse(const char* text) {
    reports.clear();
    return parse_debug_options(text, collect);
}

/// The only report, or all of them with a complaint.
std::string report_for(const char* text) {
    parse(text);
    if (reports.size() == 1) return reports[0];
    std::string all = "not one report but " + std::to_string(reports.size());
    for (const auto& r : reports) all += "\n" + r;
    return all;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(Options, AnEmptyTextGivesTheDefaults) {
    for (const char* text : {static_cast<const char*>(nullptr), "", ",", " , ,"}) {
        const debug_options o = parse(text);
        EXPECT_EQ(o.profilerate, 524288u);
        EXPECT_FALSE(o.scavtrace);
        EXPECT_FALSE(o.stats_at_exit);
        EXPECT_FALSE(o.stats_json);
        EXPECT_STREQ(o.stats_file, "");
        EXPECT_EQ(o.memory_limit, 0u);
        EXPECT_EQ(o.hard_memory_limit, 0u);
        EXPECT_EQ(o.check, 0);
        EXPECT_EQ(o.hugepages, policy::adaptive);
        EXPECT_TRUE(o.background);
        EXPECT_EQ(o.pretend_nodes, 0u);
        EXPECT_EQ(o.guard_rate, 0u);
        EXPECT_FALSE(o.junk);
        EXPECT_FALSE(o.madvfree);
        EXPECT_TRUE(reports.empty());
    }
}

TEST(Options, EveryNameReachesItsField) {
    const debug_options o = parse(
        "profilerate=1,scavtrace=1,stats_at_exit=1,stats_json=1,stats_file=/tmp/a=b.txt,"
        "memory_limit=2GiB,hard_memory_limit=3GiB,check=2,hugepages=off,background=0,"
        "pretend_nodes=4,guard_rate=1000,junk=1,madvfree=1");
    EXPECT_TRUE(reports.empty()) << reports[0];
    EXPECT_EQ(o.profilerate, 1u);
    EXPECT_TRUE(o.scavtrace);
    EXPECT_TRUE(o.stats_at_exit);
    EXPECT_TRUE(o.stats_json);
    EXPECT_STREQ(o.stats_file, "/tmp/a=b.txt") << "only the first = ends the name";
    EXPECT_EQ(o.memory_limit, std::uint64_t{2} << 30);
    EXPECT_EQ(o.hard_memory_limit, std::uint64_t{3} << 30);
    EXPECT_EQ(o.check, 2);
    EXPECT_EQ(o.hugepages, policy::off);
    EXPECT_FALSE(o.background);
    EXPECT_EQ(o.pretend_nodes, 4u);
    EXPECT_EQ(o.guard_rate, 1000u);
    EXPECT_TRUE(o.junk);
    EXPECT_TRUE(o.madvfree);
}

TEST(Options, SizesTakeEveryUnitAndOff) {
    const struct {
        const char* text;
        std::uint64_t value;
    } good[] = {
        {"0", 0},
        {"off", 0},
        {"100", 100},
        {"100B", 100},
        {"3KiB", 3 << 10},
        {"64MiB", 64 << 20},
        {"5GiB", std::uint64_t{5} << 30},
        {"7TiB", std::uint64_t{7} << 40},
        {"18446744073709551615", UINT64_MAX},
        {"16777215TiB", UINT64_MAX - (std::uint64_t{1} << 40) + 1},
    };
    for (const auto& g : good) {
        const std::string text = std::string("memory_limit=") + g.text;
        EXPECT_EQ(parse(text.c_str()).memory_limit, g.value) << g.text;
        EXPECT_TRUE(reports.empty()) << reports[0];
    }
}

TEST(Options, ABadSizeIsRejectedWithWhatWasSeenAndExpected) {
    for (const char* bad :
         {"", "MiB", "-1", "+1", "1.5GiB", "1 GiB", "0x10", "64MB", "64M", "64mib", "64MiBx",
          "18446744073709551616", "16777216TiB", "99999999999999999999GiB", "Off", "none"}) {
        const std::string text = std::string("memory_limit=1MiB,memory_limit=") + bad;
        EXPECT_EQ(parse(text.c_str()).memory_limit, 1u << 20) << bad << " changed the value";
        ASSERT_EQ(reports.size(), 1u) << bad;
        EXPECT_TRUE(contains(reports[0], std::string("the value `") + bad + "` of `memory_limit`"))
            << reports[0];
        EXPECT_TRUE(contains(reports[0], "Expected: memory_limit=digits and B, KiB, MiB"))
            << reports[0];
    }
}

TEST(Options, SwitchesTakeThreeWordsForEachState) {
    for (const char* on : {"junk=1", "junk=on", "junk=true"}) EXPECT_TRUE(parse(on).junk) << on;
    for (const char* off : {"junk=0", "junk=off", "junk=false"}) {
        const std::string text = std::string("junk=1,") + off;
        EXPECT_FALSE(parse(text.c_str()).junk) << off;
        EXPECT_TRUE(reports.empty());
    }
    for (const char* bad : {"junk=yes", "junk=2", "junk=", "junk", "junk=ON"}) {
        EXPECT_FALSE(parse(bad).junk) << bad;
        EXPECT_EQ(reports.size(), 1u) << bad;
    }
    EXPECT_TRUE(contains(report_for("junk"), "no value in `junk`; it is ignored"));
    EXPECT_TRUE(contains(report_for("junk=yes"), "Expected: junk=1, on or true; 0, off or false"));
}

TEST(Options, NumbersStayInTheirRange) {
    EXPECT_EQ(parse("check=3").check, 3);
    EXPECT_EQ(parse("check=4").check, 0);
    EXPECT_TRUE(contains(reports.at(0), "Expected: check=0, 1, 2 or 3"));
    EXPECT_EQ(parse("pretend_nodes=64").pretend_nodes, 64u);
    EXPECT_EQ(parse("pretend_nodes=65").pretend_nodes, 0u);
    EXPECT_EQ(parse("guard_rate=4294967295").guard_rate, UINT32_MAX);
    EXPECT_EQ(parse("guard_rate=4294967296").guard_rate, 0u) << "must not wrap to 0 silently";
    EXPECT_EQ(reports.size(), 1u);
    EXPECT_EQ(parse("guard_rate=1KiB").guard_rate, 0u) << "a count has no unit";
    EXPECT_EQ(reports.size(), 1u);
}

TEST(Options, HugePagesHaveThreePolicies) {
    EXPECT_EQ(parse("hugepages=on").hugepages, policy::on);
    EXPECT_EQ(parse("hugepages=1").hugepages, policy::on);
    EXPECT_EQ(parse("hugepages=0").hugepages, policy::off);
    EXPECT_EQ(parse("hugepages=off,hugepages=adaptive").hugepages, policy::adaptive);
    EXPECT_TRUE(
        contains(report_for("hugepages=always"), "Expected: hugepages=adaptive, on or off"));
}

TEST(Options, TextsFitOrAreRejectedWhole) {
    const std::string path255(255, 'p'), path256(256, 'p');
    EXPECT_EQ(parse(("stats_file=" + path255).c_str()).stats_file, path255);
    EXPECT_TRUE(reports.empty());
    EXPECT_STREQ(parse(("stats_file=" + path256).c_str()).stats_file, "") << "no half of a path";
    EXPECT_EQ(reports.size(), 1u);
    EXPECT_STREQ(parse("stats_file=a,stats_file=").stats_file, "") << "an empty text takes it back";
}

TEST(Options, TheLastOfTwoWins) {
    EXPECT_EQ(parse("check=1,check=3,check=2").check, 2);
}

TEST(Options, SpacesAroundNamesAndValuesDoNotCount) {
    const debug_options o = parse(" check = 2 ,\tjunk=1 ");
    EXPECT_EQ(o.check, 2);
    EXPECT_TRUE(o.junk);
    EXPECT_TRUE(reports.empty());
}

TEST(Options, AMistakeLeavesTheOtherPairsAlone) {
    const debug_options o = parse("check=2,nonsense=1,memory_limit=lots,junk=1");
    EXPECT_EQ(reports.size(), 2u);
    EXPECT_EQ(o.check, 2);
    EXPECT_TRUE(o.junk);
}

TEST(Options, AnUnknownNameIsReportedOnceWithTheNearestKnownOne) {
    const std::string text = report_for("memory_limt=1GiB,check=1,memory_limt=2GiB");
    EXPECT_TRUE(contains(text, "STEADY_DEBUG: unknown name `memory_limt`; it is ignored.")) << text;
    EXPECT_TRUE(contains(text, "Did you mean `memory_limit`?")) << text;

    EXPECT_TRUE(contains(report_for("hard_memory_limits=1"), "`hard_memory_limit`?"));
    EXPECT_TRUE(contains(report_for("hugepage=1"), "`hugepages`?"));
    EXPECT_TRUE(contains(report_for("profile_rate=1"), "`profilerate`?"));
    EXPECT_TRUE(contains(report_for("scavtrce=1"), "`scavtrace`?"));
    EXPECT_TRUE(contains(report_for("Junk=1"), "`junk`?"));
}

TEST(Options, TwoUnknownNamesAreTwoReports) {
    parse("abcde=1,vwxyz=1,abcde=2");
    EXPECT_EQ(reports.size(), 2u);
}

TEST(Options, ANameLikeNoneGetsTheListOfAll) {
    const std::string text = report_for("qqqqqqqqqq=1");
    EXPECT_FALSE(contains(text, "Did you mean")) << text;
    for (const char* name : {"profilerate", "memory_limit", "hugepages", "madvfree"}) {
        EXPECT_TRUE(contains(text, name)) << name << " is missing in\n" << text;
    }
}

TEST(Options, AVeryLongMistakeIsCutInTheReport) {
    const std::string text = report_for((std::string(5000, 'x') + "=1").c_str());
    EXPECT_TRUE(contains(text, std::string(80, 'x') + "...`")) << text;
    EXPECT_FALSE(contains(text, std::string(81, 'x')));
    EXPECT_TRUE(contains(text, "Known names")) << "the end of the report survived";
}

TEST(Options, AValueWithoutANameIsReported) {
    EXPECT_TRUE(contains(report_for("=5"), "unknown name ``"));
}

TEST(Options, EveryOptionOfTheHeaderIsInTheTable) {
    // The header is the documentation: each field of debug_options must be a name
    // that STEADY_DEBUG knows. An unknown one would be reported.
    std::ifstream header{STEADY_SOURCE_DIR "/include/steady/core/options.hpp"};
    ASSERT_TRUE(header.is_open());
    int fields = 0;
    bool inside = false;
    for (std::string line; std::getline(header, line);) {
        if (line == "struct debug_options {") inside = true;
        if (line == "};") inside = false;
        const auto assigned = line.substr(0, line.find("//")).find(" = ");
        if (!inside || assigned == std::string::npos) continue;
        std::string name = line.substr(0, assigned);
        name = name.substr(name.rfind(' ') + 1);
        name = name.substr(0, name.find('['));
        ++fields;
        parse((name + "=?").c_str());
        for (const auto& r : reports) EXPECT_FALSE(contains(r, "unknown name")) << r;
    }
    EXPECT_GE(fields, 19) << "the loop above no longer recognises the fields";
}

TEST(Options, ProfilesGoWhereAndWhenTheTextSays) {
    const debug_options o = parse(
        "profile_file=/tmp/heap-%p.pb.gz,profile_signal=on,profile_limit=1GiB,"
        "profile_on_failure=0,allocs_file=a.pb.gz");
    EXPECT_STREQ(o.profile_file, "/tmp/heap-%p.pb.gz");
    EXPECT_STREQ(o.allocs_file, "a.pb.gz");
    EXPECT_EQ(o.profile_signal, SIGUSR2);
    EXPECT_EQ(o.profile_limit, std::uint64_t{1} << 30);
    EXPECT_FALSE(o.profile_on_failure);
    EXPECT_EQ(parse("profile_signal=usr1").profile_signal, SIGUSR1);
    EXPECT_TRUE(reports.empty());
    parse("profile_signal=hup");
    EXPECT_EQ(reports.size(), 1u);
}

// ---- The options of a process, each case in a process of its own.

struct outcome {
    int status;
    std::string errors;
};

template <class Body>
outcome in_child(const char* environment, Body body) {
    int ends[2];
    if (pipe(ends) != 0) return {-1, "no pipe"};
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        if (environment != nullptr) {
            setenv("STEADY_DEBUG", environment, 1);
        } else {
            unsetenv("STEADY_DEBUG");
        }
        _exit(body() ? 0 : 1);
    }
    close(ends[1]);
    std::string errors;
    char buffer[512];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
        errors.append(buffer, static_cast<std::size_t>(n));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return {status, errors};
}

TEST(ProcessOptions, ComeFromTheEnvironment) {
    const auto got = in_child("check=3,memory_limit=1GiB", [] {
        return options().check == 3 && options().memory_limit == std::uint64_t{1} << 30;
    });
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.errors, "");
}

TEST(ProcessOptions, AreTheDefaultsWithoutTheVariable) {
    const auto got = in_child(nullptr, [] { return options().profilerate == 524288; });
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.errors, "");
}

TEST(ProcessOptions, AreNotTakenFromAVariableWithALongerName) {
    const auto got = in_child(nullptr, [] {
        setenv("STEADY_DEBUG_TOO", "check=3", 1);
        setenv("XSTEADY_DEBUG", "check=3", 1);
        return options().check == 0;
    });
    EXPECT_EQ(got.status, 0);
}

TEST(ProcessOptions, ReportAMistakeOnceHoweverOftenTheyAreAsked) {
    const auto got = in_child("nonsense=1", [] {
        for (int i = 0; i < 10; ++i) static_cast<void>(options());
        return true;
    });
    EXPECT_EQ(got.status, 0);
    const auto first = got.errors.find("unknown name `nonsense`");
    EXPECT_NE(first, std::string::npos) << got.errors;
    EXPECT_EQ(got.errors.find("unknown name", first + 1), std::string::npos) << got.errors;
}

TEST(ProcessOptions, AreReadOnceEvenWhenManyThreadsAskFirst) {
    const auto got = in_child("check=2,nonsense=1", [] {
        std::atomic<int> wrong{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&] { wrong += options().check != 2; });
        }
        for (auto& t : threads) t.join();
        return wrong == 0;
    });
    EXPECT_EQ(got.status, 0);
    const auto first = got.errors.find("unknown name");
    EXPECT_EQ(got.errors.find("unknown name", first + 1), std::string::npos) << got.errors;
}

TEST(ProcessOptions, DoNotChangeWhenTheEnvironmentDoes) {
    const auto got = in_child("check=2", [] {
        const debug_options& o = options();
        setenv("STEADY_DEBUG", "check=1", 1);
        return o.check == 2 && options().check == 2;
    });
    EXPECT_EQ(got.status, 0);
}

TEST(ProcessOptions, AreTheDefaultsUntilTheEnvironmentExists) {
    const auto got = in_child("check=2", [] {
        char** const there = environ;
        environ = nullptr;  // as it is while the loader still sets up libc
        const bool defaults = options().check == 0;
        environ = there;
        return defaults && options().check == 2;
    });
    EXPECT_EQ(got.status, 0);
}

}  // namespace
