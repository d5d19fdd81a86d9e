// command.cpp - the command line of `steady lab`.
//
//   parent                          child, one for each run
//     fork -------------------------> run(laboratory)
//     findings <--- a memory file --- pack()
//
// An experiment that crashes or throws is a failed one; the others still run.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab/experiment.hpp"
#include "lab/lab.hpp"
#include "lab/report.hpp"
#include "support/child.hpp"
#include "support/clock.hpp"
#include "support/exit_code.hpp"
#include "support/format.hpp"
#include "support/interrupt.hpp"
#include "support/terminal.hpp"

namespace steady::cli {
namespace {

using namespace lab;

struct lab_options {
    std::vector<std::string> names;
    bool all = false;
    bool list = false;
    bool json = false;
    bool check = false;
    std::string html;
    unsigned repeat = 1;
};

/// Where a child leaves text of any length for its parent.
class message_file {
public:
    message_file() : file_(memfd_create("steady-lab", MFD_CLOEXEC)) {
        if (file_ < 0) {
            throw check_failure(fmt::format("no memory file: {}", std::strerror(errno)));
        }
    }
    ~message_file() { close(file_); }
    message_file(const message_file&) = delete;
    message_file& operator=(const message_file&) = delete;

    void write(const std::string& text) const {
        std::size_t done = 0;
        while (done < text.size()) {
            const ssize_t count = ::write(file_, text.data() + done, text.size() - done);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) throw check_failure("the findings could not be handed over");
            done += static_cast<std::size_t>(count);
        }
    }
    [[nodiscard]] std::string read(std::size_t size) const {
        std::string text(size, '\0');
        std::size_t done = 0;
        while (done < size) {
            const ssize_t count =
                pread(file_, text.data() + done, size - done, static_cast<off_t>(done));
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) break;
            done += static_cast<std::size_t>(count);
        }
        return text;
    }

private:
    int file_;
};

findings run_once(const entry& who, bool quick) {
    const message_file message;
    std::size_t size = 0;
    try {
        run_in_child(who.name, size, [&](std::size_t& mine) {
            findings found;
            laboratory lab(found, quick);
            who.run(lab);
            const std::string text = found.pack();
            message.write(text);
            mine = text.size();
        });
    } catch (const check_failure& problem) {
        findings failed;
        failed.failure = problem.what();
        return failed;
    }
    return findings::unpack(message.read(size));
}

/// Small differences in spelling: how many letters stand elsewhere.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] =
                std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

const entry& find(const std::vector<entry>& all, const std::string& name) {
    const entry* nearest = nullptr;
    std::size_t least = 4;
    for (const entry& each : all) {
        if (name == each.name || strcasecmp(name.c_str(), each.id) == 0) return each;
        if (each.hidden) continue;
        if (const std::size_t d = distance(name, each.name); d < least) {
            least = d;
            nearest = &each;
        }
    }
    throw usage_error(
        fmt::format("there is no experiment '{}'{}; `steady lab --list` shows them", name,
                    nearest != nullptr ? fmt::format(", but '{}'", nearest->name) : std::string()));
}

std::vector<entry> choose(const lab_options& options, const std::vector<entry>& all) {
    if (options.all && !options.names.empty()) {
        throw usage_error(
            fmt::format("'{}' and --all: name experiments, or run all", options.names.front()));
    }
    std::vector<entry> chosen;
    for (const std::string& name : options.names) {
        const entry& one = find(all, name);
        if (one.run == nullptr) {
            throw usage_error(
                fmt::format("{} ({}) is not available yet: {}", one.name, one.id, one.missing));
        }
        if (options.check && !one.exact) {
            throw usage_error(
                fmt::format("{} ({}) has no exact reference to check; run it without --check",
                            one.name, one.id));
        }
        const auto same = [&one](const entry& e) { return std::strcmp(e.id, one.id) == 0; };
        if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.push_back(one);
    }
    if (!options.names.empty()) return chosen;
    if (!options.all && !options.check) {
        throw usage_error("name an experiment, or --all; `steady lab --list` shows them");
    }
    for (const entry& each : all) {
        if (each.run == nullptr || each.hidden) continue;
        if (!options.check || each.exact) chosen.push_back(each);
    }
    return chosen;
}

std::string describe_end(const std::vector<result>& done, const lab_options& options) {
    std::size_t checks = 0;
    std::size_t failed = 0;
    for (const result& each : done) {
        checks += each.found.checks.size();
        failed += each.found.failure.empty() ? 0 : 1;
        for (const check& c : each.found.checks) failed += c.passed ? 0 : 1;
    }
    std::string text =
        fmt::format("{}, {}", count_of(done.size(), "experiment"), count_of(checks, "check"));
    text += failed == 0 ? ", all passed" : fmt::format(", {} FAILED", failed);
    if (!options.html.empty()) text += fmt::format("; pages: {}/index.html", options.html);
    return text + '\n';
}

int run_lab(const lab_options& options) {
    const std::vector<entry> all = all_experiments();
    if (options.list) {
        write_stdout(options.json ? list_json(all) : list_of(all));
        return exit_done;
    }
    const std::vector<entry> chosen = choose(options, all);
    if (!options.html.empty()) require_folder(options.html);
    const interrupt_scope interrupts;
    progress_line progress;
    std::vector<result> done;
    int stopped = 0;
    for (const entry& each : chosen) {
        result one{each, {}, 0};
        try {
            const std::uint64_t start = monotonic_nanoseconds();
            for (unsigned i = 0; i < options.repeat && one.found.failure.empty(); ++i) {
                progress.show(fmt::format(
                    "[{} of {}] {}{}", done.size() + 1, chosen.size(), each.name,
                    options.repeat > 1 ? fmt::format(", run {}", i + 1) : std::string()));
                one.found.add(run_once(each, options.check));
            }
            one.seconds = static_cast<double>(monotonic_nanoseconds() - start) / 1e9;
        } catch (const stopped_by_signal& stop) {
            stopped = stop.signal;
            break;
        }
        progress.wipe();
        if (!options.json) write_stdout(to_text(one, colour_on_stdout()));
        done.push_back(std::move(one));
    }
    progress.wipe();
    if (options.json) write_stdout(to_json(done, options.repeat, options.check));
    if (!options.html.empty() && !done.empty()) {
        std::vector<entry> others;
        for (const entry& each : all) {
            if (each.run == nullptr) others.push_back(each);
        }
        write_pages(options.html, done, others, options.repeat);
    }
    if (!options.json) write_stdout(describe_end(done, options));
    if (stopped != 0) {
        warn(fmt::format("stopped after {} of {} experiments", done.size(), chosen.size()));
        return exit_signal_base + stopped;
    }
    const bool passed =
        std::all_of(done.begin(), done.end(), [](const result& r) { return r.found.passed(); });
    return passed ? exit_done : exit_check_failed;
}

}  // namespace

void add_lab_command(CLI::App& app, int& exit_code) {
    const auto options = std::make_shared<lab_options>();
    CLI::App* command = app.add_subcommand(
        "lab", "Run the experiments behind what is reported about Go's maps, slices and heap");
    command->add_option("NAME", options->names, "Experiments, by name or number (map-grow, E-11)")
        ->type_name("");
    command->add_flag("--all", options->all, "Run all that are available");
    command->add_flag("--list", options->list, "List them, and those that are not available yet");
    command->add_flag("--json", options->json, "Print everything as JSON");
    command->add_flag("--check", options->check,
                      "Only compare with exact references; exit code 1 on a deviation");
    command->add_option("--html", options->html, "Write a page for each, and an index, to DIR")
        ->type_name("DIR");
    command->add_option("--repeat", options->repeat, "Run each N times; medians and spreads")
        ->check(CLI::Range(1, 1000).description(""))
        ->type_name("N");
    command->callback([options, &exit_code] { exit_code = run_lab(*options); });
}

}  // namespace steady::cli
