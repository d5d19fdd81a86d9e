// command.cpp - the command line of `steady run`.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "run/environment.hpp"
#include "run/program.hpp"
#include "run/run.hpp"
#include "support/exit_code.hpp"
#include "steady/core/fatal.hpp"
#include "steady/core/options.hpp"
#include "support/terminal.hpp"

namespace steady::cli {
namespace {

constexpr int exit_no_library = 125;
constexpr int exit_not_executable = 126;
constexpr int exit_not_found = 127;

struct run_options {
    std::string statistics;  // empty, text or json
    std::string statistics_file;
    std::string report;  // empty: none; "-": text; else a file for the page as well
    run::profile_wish profile;
};

int report_not_found(const std::string& name, const run::found_program& program) {
    if (program.searched.empty()) {
        warn(fmt::format("run: there is no file '{}'", name));
    } else {
        warn(fmt::format("run: there is no program '{}' in PATH ({})", name,
                         fmt::join(program.searched, ":")));
    }
    return exit_not_found;
}

int report_not_executable(const std::string& path, int reason) {
    warn(fmt::format("run: '{}' cannot be executed: {}", path, std::strerror(reason)));
    return exit_not_executable;
}

int report_no_library(const run::found_library& library) {
    if (library.searched.empty()) {
        warn(
            "run: /proc/self/exe cannot be read, so the libsteady_malloc.so beside this command "
            "cannot be\n  found. Mount /proc, or name the library in STEADY_MALLOC_LIBRARY.");
        return exit_no_library;
    }
    warn(fmt::format(
        "run: libsteady_malloc.so was not found. Looked for\n    {}\n  Build or install "
        "it (target steady_malloc), or name it in STEADY_MALLOC_LIBRARY.",
        fmt::join(library.searched, "\n    ")));
    return exit_no_library;
}

int report_no_profiler(const run::found_library& profiler) {
    warn(fmt::format(
        "run: libsteady_profile.so was not found. Looked for\n    {}\n  Build or install "
        "it (target steady_profile_preload), or name it in STEADY_PROFILE_LIBRARY.",
        fmt::join(profiler.searched, "\n    ")));
    return exit_no_library;
}

CLI::Validator rate_validator() {
    return {[](std::string& text) -> std::string {
                static bool understood = true;
                understood = true;
                static_cast<void>(parse_debug_options(("profilerate=" + text).c_str(),
                                                      [](const message&) { understood = false; }));
                const bool pair_ends = text.find(',') != std::string::npos;
                if (understood && !pair_ends) return {};
                return fmt::format(
                    "'{}' is no number of bytes: digits, with KiB or MiB behind "
                    "them if you like",
                    text);
            },
            ""};
}

/// Becomes the program. Returns only when that failed, with the exit code.
int run_program(const run_options& options, std::vector<std::string> words) {
    if (words.empty()) throw usage_error("run: name a program: `steady run -- PROGRAM`");

    const run::found_program program = run::find_program(words.front());
    if (program.path.empty()) return report_not_found(words.front(), program);
    if (program.reason != 0) return report_not_executable(program.path, program.reason);

    const run::statistics_wish wish{!options.statistics.empty() || !options.statistics_file.empty(),
                                    options.statistics == "json", options.statistics_file};
    const std::string debug = run::debug_list(wish, options.profile, std::getenv("STEADY_DEBUG"));
    const run::found_library library = run::find_library();
    if (library.path.empty()) return report_no_library(library);
    std::string preload;
    if (options.profile.wanted()) {
        const run::found_library profiler = run::find_profiler(library.path);
        if (profiler.path.empty()) return report_no_profiler(profiler);
        preload = run::preload_list(profiler.path, std::getenv("LD_PRELOAD"));
        preload = run::preload_list(library.path, preload.c_str());
    } else {
        preload = run::preload_list(library.path, std::getenv("LD_PRELOAD"));
    }

    if (const std::string reason = run::why_preload_fails(program.path); !reason.empty()) {
        warn(fmt::format("run: {}, so preloading has no effect: it keeps its own heap", reason));
    }
    setenv("LD_PRELOAD", preload.c_str(), 1);
    if (!debug.empty()) setenv("STEADY_DEBUG", debug.c_str(), 1);

    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp(program.path.c_str(), arguments.data());
    return report_not_executable(program.path, errno);
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_code) {
    const auto options = std::make_shared<run_options>();
    CLI::App* command = app.add_subcommand("run", "Run an unmodified program on steady's heap");
    command->footer(
        "steady run [OPTIONS] -- PROGRAM [ARGUMENT...]\n"
        "The program replaces this process: its exit code and signals are its own.\n"
        "125: no library; 126: the program cannot be executed; 127: it was not found.\n"
        "STEADY_MALLOC_LIBRARY names another libsteady_malloc.so; STEADY_DEBUG is passed on.");
    command
        ->add_flag("--stats{text}", options->statistics,
                   "Write the heap's statistics when the program ends; --stats=json as JSON")
        ->check(CLI::IsMember({"text", "json"}).description(""));
    command
        ->add_option("--stats-file", options->statistics_file,
                     "Write them to FILE in place of stderr; %p in it stands for the process id")
        ->type_name("FILE");
    command
        ->add_option("--profile", options->profile.heap_file,
                     "Write a heap profile to FILE when the program ends, for go tool pprof; %p "
                     "stands for the process id")
        ->type_name("FILE");
    command
        ->add_option("--allocs", options->profile.allocs_file,
                     "Write a profile of all allocations to FILE when the program ends")
        ->type_name("FILE");
    command
        ->add_option("--rate", options->profile.rate,
                     "Sample once in N bytes on average; 1 samples everything, 0 nothing "
                     "[512KiB]")
        ->type_name("N")
        ->check(rate_validator());
    command
        ->add_option("--http", options->profile.http,
                     "Serve a debug page, profiles and metrics at ADDRESS:PORT; port 0: any free "
                     "one, which is told on stderr")
        ->type_name("ADDRESS:PORT");
    command
        ->add_flag("--http-any", options->profile.http_any,
                   "Allow an address that other machines reach")
        ->needs("--http");
    command
        ->add_flag("--report{-}", options->report,
                   "Print the top allocators when the program ends; --report=FILE.html also "
                   "writes a page with a flame graph")
        ->type_name("FILE");
    // The program's words are not ours to parse. Without a separator they start at
    // the first word that is no option of ours and stay with this command. With
    // one, CLI11 hands what follows to the parent, which must then take it.
    command->prefix_command();
    command->preparse_callback([&app](std::size_t) { app.allow_extras(); });
    command->callback([&app, command, options, &exit_code] {
        options->profile.report = !options->report.empty();
        if (options->report != "-") options->profile.report_file = options->report;
        std::vector<std::string> words = command->remaining();
        if (!words.empty() && words.front().starts_with('-')) {
            throw usage_error(fmt::format("run: there is no option {}", words.front()));
        }
        for (std::string& word : app.remaining()) words.push_back(std::move(word));
        exit_code = run_program(*options, std::move(words));
    });
}

}  // namespace steady::cli
