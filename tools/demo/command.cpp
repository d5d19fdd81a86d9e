// command.cpp - the command line of `steady demo`.
#include "demo/demo.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "demo/corpus.hpp"
#include "demo/experiment.hpp"
#include "demo/report.hpp"
#include "demo/words.hpp"
#include "support/exit_code.hpp"
#include "support/format.hpp"
#include "support/interrupt.hpp"
#include "support/terminal.hpp"
#include "web/page.hpp"

namespace steady::cli {
namespace {

using namespace demo;

constexpr unsigned default_rounds = 5;
constexpr std::uint64_t default_limit_mb = 64;           // nobody named a file: be quick
constexpr std::uint64_t default_limit_mb_named = 1'000;  // the user's own files: all of them
constexpr std::size_t unreadable_shown = 5;

struct demo_options {
    std::vector<std::string> files;
    bool json = false;
    std::string report;  // empty: report.html beside a table, none beside JSON
    bool no_report = false;
    unsigned rounds = default_rounds;
    std::uint64_t limit_mb = 0;  // 0: one of the defaults above
};

void report_unreadable(const corpus& input) {
    const std::size_t shown = std::min(unreadable_shown, input.unreadable.size());
    for (std::size_t i = 0; i < shown; ++i) {
        warn(fmt::format("cannot read {}: {}", input.unreadable[i].path.c_str(),
                         input.unreadable[i].reason));
    }
    if (input.unreadable.size() > shown) {
        warn(fmt::format("cannot read {} more; --json lists them all",
                         count_of(input.unreadable.size() - shown, "file")));
    }
}

/// An empty index would measure nothing and look like a result.
void require_words(const corpus& input) {
    std::string_view word;
    if (word_reader(input.text.view()).read(word)) return;
    throw usage_error(fmt::format(
        "no words to index: {} read, {} binary, {} compressed, {} unreadable; name text files, "
        "such as `steady demo /usr/include`",
        count_of(input.files, "file"), input.binary, input.compressed, input.unreadable.size()));
}

std::string report_path(const demo_options& options) {
    if (options.no_report) return {};
    if (!options.report.empty()) return options.report;
    return options.json ? std::string() : "report.html";
}

int run_demo(const demo_options& options) {
    const interrupt_scope interrupts;
    const std::string report = report_path(options);
    if (!report.empty()) web::require_writable(report);
    progress_line progress;
    const std::vector<std::string> sources =
        options.files.empty() ? default_sources() : options.files;
    const std::uint64_t limit_mb = options.limit_mb != 0   ? options.limit_mb
                                   : options.files.empty() ? default_limit_mb
                                                           : default_limit_mb_named;
    corpus input;
    read_corpus(sources, limit_mb * 1'000'000, progress, input);
    report_unreadable(input);
    require_words(input);

    experiment done(&input.memory);
    run_experiment(input.text.view(), options.rounds, progress, done);
    if (!report.empty()) web::write_file(report, to_page(input, done));
    write_stdout(options.json ? to_json(input, done) : to_table(input, done, colour_on_stdout()));
    if (!report.empty() && !options.json) write_stdout(fmt::format("\n  report: {}\n", report));
    if (done.stopped_by != 0) {
        warn(fmt::format("stopped after {} of {} rounds; what is reported is of these",
                         done.rounds.size(), done.rounds_wanted));
        return exit_signal_base + done.stopped_by;
    }
    return done.passed() ? exit_done : exit_check_failed;
}

}  // namespace

void add_demo_command(CLI::App& app, int& exit_code) {
    const auto options = std::make_shared<demo_options>();
    CLI::App* command = app.add_subcommand(
        "demo", "Index the words of text files in steady::map and in other maps, side by side");
    command
        ->add_option("FILE", options->files,
                     "Text files, directories, or - for standard input "
                     "(default: /usr/include and /usr/share/doc)")
        ->type_name("");
    command->add_flag("--json", options->json,
                      "Print every figure of every round and insert as JSON");
    command
        ->add_option("--report", options->report,
                     "Where the page with the charts goes (default: report.html; none with --json)")
        ->type_name("FILE");
    command->add_flag("--no-report", options->no_report, "Write no page");
    command
        ->add_option("--rounds", options->rounds,
                     fmt::format("Rounds; a figure is their median (default: {})", default_rounds))
        ->check(CLI::Range(1, 1000).description(""))
        ->type_name("N");
    command
        ->add_option("--limit-mb", options->limit_mb,
                     fmt::format("Read at most N MB of text, shared evenly among the arguments "
                                 "(default: {}; {} when files are named)",
                                 default_limit_mb, default_limit_mb_named))
        ->check(CLI::Range(1, 1'000'000).description(""))
        ->type_name("N");
    command->callback([options, &exit_code] { exit_code = run_demo(*options); });
}

}  // namespace steady::cli
