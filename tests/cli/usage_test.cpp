// usage_test.cpp - how `steady` answers: help, version, wrong usage, and the
// exit codes 0 (done), 1 (a check failed, output lost), 2 (wrong usage).
#include <gtest/gtest.h>

#include "cli/command.hpp"
#include "steady/core/version.hpp"

namespace {

using steady::test::command;
using steady::test::contains;
using steady::test::outcome;
using steady::test::run;

TEST(Usage, VersionNamesTheVersionAndTheBuild) {
    const outcome said = run({"--version"});
    EXPECT_EQ(said.exit_code, 0);
    EXPECT_TRUE(contains(said.out, std::string("steady ") + steady::version()));
    EXPECT_EQ(said.err, "");
}

TEST(Usage, HelpListsTheCommands) {
    for (const char* way : {"help", "--help", "-h"}) {
        const outcome said = run({way});
        EXPECT_EQ(said.exit_code, 0) << way;
        EXPECT_TRUE(contains(said.out, "demo")) << way;
        EXPECT_TRUE(contains(said.out, "help")) << way;
    }
}

TEST(Usage, HelpExplainsOneCommandByEitherSpelling) {
    for (const std::vector<std::string>& way :
         {std::vector<std::string>{"help", "demo"}, std::vector<std::string>{"demo", "--help"}}) {
        const outcome said = run(way);
        EXPECT_EQ(said.exit_code, 0);
        EXPECT_TRUE(contains(said.out, "steady demo [OPTIONS]"));
        EXPECT_TRUE(contains(said.out, "--rounds N"));
        EXPECT_TRUE(contains(said.out, "--limit-mb N"));
    }
}

TEST(Usage, NoCommandAndUnknownCommandsAndOptionsAreWrongUsage) {
    const std::vector<std::pair<std::vector<std::string>, const char*>> wrong{
        {{}, "name a command"},
        {{"frobnicate"}, "frobnicate"},
        {{"help", "frobnicate"}, "no command 'frobnicate'"},
        {{"demo", "--frobnicate"}, "--frobnicate"},
        {{"demo", "--rounds", "0"}, "--rounds"},
        {{"demo", "--rounds", "many"}, "--rounds"},
        {{"demo", "--limit-mb", "0"}, "--limit-mb"},
        {{"demo", "--limit-mb", "-3"}, "--limit-mb"},
    };
    for (const auto& [arguments, named] : wrong) {
        const outcome said = run(arguments);
        EXPECT_EQ(said.exit_code, 2) << said.err;
        EXPECT_TRUE(contains(said.err, "steady: "));
        EXPECT_TRUE(contains(said.err, named));
        EXPECT_TRUE(contains(said.err, "steady help")) << "what to do next";
        EXPECT_EQ(said.out, "");
    }
}

TEST(Usage, OutputThatCannotBeWrittenIsNotSuccess) {
    const outcome said = command({"help"}).output_to("/dev/full").run();
    EXPECT_EQ(said.exit_code, 1);
    EXPECT_TRUE(contains(said.err, "No space left on device"));
}

}  // namespace
