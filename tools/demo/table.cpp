// table.cpp - the demo's report for people; the declaration is in report.hpp.
//
//                                     steady    system   ratio       spread   control
//   time to index                    612 ms    705 ms    0.87   0.85..0.90
//   every word, p99.9                2.1 us    2.3 us    0.91   0.88..0.97     61 ns
//
// A ratio is coloured only when all rounds agree on who is ahead: a spread that
// contains 1 is the weather.
#include "demo/report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "demo/metrics.hpp"
#include "support/format.hpp"
#include "support/machine.hpp"
#include "support/table.hpp"

namespace steady::cli::demo {
namespace {

std::string format_value(double value, unit in) {
    switch (in) {
        case unit::nanoseconds: return format_nanoseconds(value);
        case unit::bytes: return format_bytes(value);
        case unit::count: return format_count(static_cast<std::uint64_t>(value));
        case unit::per_second: return format_rate(value);
    }
    return {};
}

tone verdict(const summary& ratio, bool less_is_better) {
    if (ratio.largest < 1) return less_is_better ? tone::good : tone::bad;
    if (ratio.smallest > 1) return less_is_better ? tone::bad : tone::good;
    return tone::plain;
}

std::vector<cell> row_of(const char* label, const comparison& found, unit in, bool less_is_better) {
    std::vector<cell> row{
        {label}, {format_value(found.steady.median, in)}, {format_value(found.system.median, in)}};
    if (!found.ratio) {
        row.push_back({"-", tone::faint});
        row.push_back({""});
        return row;
    }
    row.push_back(
        {fmt::format("{:.2f}", found.ratio->median), verdict(*found.ratio, less_is_better)});
    row.push_back(
        {fmt::format("{:.2f}..{:.2f}", found.ratio->smallest, found.ratio->largest), tone::faint});
    return row;
}

/// The percentiles of one histogram of both heaps, and of the control loop when `control`.
void add_latencies(table& rows, const experiment& done, const char* title,
                   histogram pass_report::*which, bool control, contest between = heaps) {
    rows.add_space();
    rows.add({{title, tone::strong}});
    for (const percentile& each : percentiles) {
        const auto value = [&](const pass_report& pass) {
            return done.clock.nanoseconds((pass.*which).percentile(each.fraction));
        };
        const comparison found = compare(
            done, [&](const heap_round& heap) { return value(heap.timed); }, between);
        const std::string label = std::string("  ") + each.label;
        std::vector<cell> row = row_of(label.c_str(), found, unit::nanoseconds, true);
        if (control) {
            std::vector<double> idle;
            for (const round& one : done.rounds) idle.push_back(value(one.control));
            row.push_back({format_nanoseconds(summarise(idle).median), tone::faint});
        }
        rows.add(std::move(row));
    }
}

std::string describe_left_out(const corpus& input) {
    std::string text;
    const auto add = [&](std::uint64_t count, const char* what) {
        if (count == 0) return;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", format_count(count), what);
    };
    add(input.binary, "binary");
    add(input.compressed, "compressed (.gz)");
    add(input.special, "no regular file");
    add(input.unreadable.size(), "unreadable");
    return text.empty() ? "nothing" : text;
}

std::string describe_sources(const corpus& input) {
    std::string text;
    constexpr std::size_t shown = 3;
    for (std::size_t i = 0; i < std::min(shown, input.sources.size()); ++i) {
        text += fmt::format("{}{}", i == 0 ? "" : ", ", input.sources[i].c_str());
    }
    if (input.sources.size() > shown) {
        text += fmt::format(" and {} more", input.sources.size() - shown);
    }
    return text;
}

std::string head(const corpus& input, const experiment& done) {
    const fingerprint& seen = done.reference.seen;
    const heap_report& asked = done.reference.indexed;
    const machine_facts machine = describe_machine();
    std::string text = fmt::format(
        "Indexing the words of {} in std::unordered_map, once on steady's heap, "
        "once on the system's\n\n",
        describe_sources(input));
    const auto line = [&](const char* name, const std::string& value) {
        text += fmt::format("  {:<10}{}\n", name, value);
    };
    line("input", fmt::format("{} in {}{}; left out: {}",
                              format_bytes(static_cast<double>(input.text.size())),
                              count_of(input.files, "file"),
                              input.limit_reached ? fmt::format(" (--limit-mb {} reached)",
                                                                input.limit_bytes / 1'000'000)
                                                  : "",
                              describe_left_out(input)));
    line("index", fmt::format("{}, {} distinct, checksum {:016x}", count_of(seen.words, "word"),
                              format_count(seen.distinct), seen.checksum));
    line("requests", fmt::format("{} allocated, {} freed; {} live at the end",
                                 format_count(asked.allocations), format_count(asked.frees),
                                 format_bytes(static_cast<double>(asked.live_bytes))));
    line("machine", fmt::format("{}, {}, {}, huge pages: {}", machine.processor,
                                count_of(machine.cpus, "CPU"), machine.kernel, machine.huge_pages));
    line("build", machine.build);
    line("system", fmt::format("{} ({})", machine.system_heap, machine.libc));
    line("clock", fmt::format("{}, {:.0f} ns per reading, tells {:.0f} ns apart", done.clock.name,
                              done.clock.nanoseconds_per_reading, done.clock.step_nanoseconds));
    line("rounds",
         fmt::format("{}, in alternation, every pass in a fresh process; figures are medians, "
                     "ratios steady / system",
                     done.rounds.size()));
    return text + '\n';
}

std::string describe_checks(const experiment& done, bool colour) {
    std::string text = "\n";
    for (const check& each : done.checks) {
        const char* word = each.passed ? "ok  " : "FAIL";
        const char* dress = !colour ? "" : each.passed ? "\x1b[32m" : "\x1b[31m";
        text += fmt::format("  {}{}{} {}: {}\n", dress, word, colour ? "\x1b[0m" : "", each.name,
                            each.seen);
    }
    return text;
}

}  // namespace

std::string to_table(const corpus& input, const experiment& done, bool colour) {
    table rows;
    rows.add({{""},
              {"steady", tone::strong},
              {"system", tone::strong},
              {"ratio", tone::strong},
              {"spread", tone::strong},
              {"control", tone::strong}});
    for (const metric& each : plain_metrics) {
        rows.add(row_of(each.label, compare(done, each.of), each.in, each.less_is_better));
    }
    add_latencies(rows, done, "insert latency, every word", &pass_report::every_word, true);
    add_latencies(rows, done, "insert latency, new words only", &pass_report::new_words, false);
    table maps;
    maps.add({{"the same index, on steady's heap"},
              {"steady::map", tone::strong},
              {"unordered_map", tone::strong},
              {"ratio", tone::strong},
              {"spread", tone::strong}});
    for (const metric& each : plain_metrics) {
        maps.add(row_of(each.label, compare(done, each.of, tables), each.in, each.less_is_better));
    }
    add_latencies(maps, done, "insert latency, new words only", &pass_report::new_words, false,
                  tables);
    return head(input, done) + rows.print(colour) + '\n' + maps.print(colour) +
           "\n  control: the same loop and clock without an insert; its tail is the machine's, "
           "not a heap's\n" +
           describe_checks(done, colour);
}

}  // namespace steady::cli::demo
