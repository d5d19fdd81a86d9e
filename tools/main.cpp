// main.cpp - the command `steady`: hands over to one folder per subcommand.
//
// Each command adds itself to the parser and runs while the command line is
// being parsed. What it throws is turned into a message and an exit code here
// and nowhere else (support/exit_code.hpp).
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "demo/demo.hpp"
#include "lab/lab.hpp"
#include "plan/plan.hpp"
#include "replay/replay.hpp"
#include "run/run.hpp"
#include "steady/core/version.hpp"
#include "support/exit_code.hpp"
#include "support/terminal.hpp"

namespace steady::cli {
namespace {

/// `steady help [COMMAND]`, for whoever does not think of --help.
void add_help_command(CLI::App& app) {
    const auto topic = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("help", "Explain a command");
    command->add_option("COMMAND", *topic, "The command to explain");
    command->callback([&app, topic] {
        // Not app.help(): while `help` is being parsed that would explain `help`.
        if (topic->empty()) {
            return write_stdout(
                app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal));
        }
        for (CLI::App* each : app.get_subcommands(nullptr)) {
            if (each->get_name() == *topic) return write_stdout(each->help(app.get_name()));
        }
        throw usage_error(
            fmt::format("there is no command '{}'; `steady help` lists them", *topic));
    });
}

int run(int count, char** arguments) {
    int exit_code = exit_done;
    CLI::App app("steady: a heap that explains itself and gives memory back on time", "steady");
    app.set_version_flag("--version", build_description());
    app.set_help_all_flag("--help-all", "Explain all commands");
    app.require_subcommand(0, 1);
    add_demo_command(app, exit_code);
    add_run_command(app, exit_code);
    add_lab_command(app, exit_code);
    add_plan_command(app, exit_code);
    add_replay_command(app, exit_code);
    add_help_command(app);
    try {
        app.parse(count, arguments);
    } catch (const CLI::Success& answer) {  // --help, --version
        std::ostringstream text;
        app.exit(answer, text, text);
        write_stdout(text.str());
        return exit_done;
    } catch (const CLI::ParseError& problem) {
        throw usage_error(
            fmt::format("{}\n  `steady help` lists the commands, `steady help "
                        "COMMAND` explains one",
                        problem.what()));
    }
    if (app.get_subcommands().empty()) {
        throw usage_error("name a command; `steady help` lists them");
    }
    return exit_code;
}

}  // namespace
}  // namespace steady::cli

int main(int count, char** arguments) {
    using namespace steady::cli;
    try {
        return run(count, arguments);
    } catch (const stopped_by_signal& stop) {
        warn("stopped; nothing was reported");
        return exit_signal_base + stop.signal;
    } catch (const usage_error& problem) {
        warn(problem.what());
        return exit_wrong_usage;
    } catch (const std::bad_alloc&) {
        warn("out of memory; a smaller --limit-mb may help");
        return exit_check_failed;
    } catch (const std::exception& problem) {
        warn(problem.what());
        return exit_check_failed;
    }
}
