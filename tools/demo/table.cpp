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

std::string head(const corpus& input, const experiment& done) {
    const fingerprint& seen = done.reference.seen;
    const heap_report& asked = done.reference.indexed;
    const machine_facts machine = describe_machine();
    std::string text = fmt::format(
        "Indexing the words of {}: in steady::map, in the maps beside it, and in "
        "std::unordered_map on two heaps\n\n",
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
         fmt::format(
             "{}{}, in alternation, every pass in a fresh process; figures are medians, "
             "ratios steady / other",
             done.rounds.size(),
             done.stopped_by != 0 ? fmt::format(" of {} (stopped)", done.rounds_wanted) : ""));
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

namespace {

struct column {
    const contestant* map;
    const byte_account* bytes;
    const follow_summary* followed;
};

std::vector<column> columns_of(const experiment& done) {
    std::vector<column> found;
    for (const contestant& each : contestants) {
        if (!is_available(each.who)) continue;
        const std::size_t i = found.size();
        found.push_back({&each, &done.accounts[i], &done.followed_maps[i].sum});
    }
    return found;
}

/// steady::map has the first column; the view-keyed form answers another question.
bool is_peer(const column& c) {
    return c.map->who != subject::map && c.map->who != subject::views;
}

cell ratio_cell(const std::optional<summary>& ratio, bool less_is_better) {
    if (!ratio) return {"-", tone::faint};
    return {fmt::format("{:.2f}", ratio->median), verdict(*ratio, less_is_better)};
}

template <class Value>
void add_map_row(table& rows, const experiment& done, const std::vector<column>& columns,
                 const std::string& label, unit in, bool less_is_better, Value&& value) {
    std::vector<cell> row{{label}};
    for (const column& each : columns) {
        const comparison found = compare(done, value, {each.map->part, each.map->part});
        row.push_back({format_value(found.steady.median, in)});
    }
    for (const column& each : columns) {
        if (!is_peer(each)) continue;
        row.push_back(
            ratio_cell(compare(done, value, {&round::map, each.map->part}).ratio, less_is_better));
    }
    rows.add(std::move(row));
}

table maps_table(const experiment& done) {
    const std::vector<column> columns = columns_of(done);
    table rows;
    std::vector<cell> first{{"the same index in other maps"}};
    for (const column& each : columns) first.push_back({each.map->brief, tone::strong});
    for (const column& each : columns) {
        if (is_peer(each)) first.push_back({fmt::format("/{}", each.map->brief), tone::strong});
    }
    rows.add(std::move(first));
    for (const metric& each : plain_metrics) {
        if (each.in == unit::bytes &&
            std::string_view(each.key).find("resident") == std::string::npos)
            continue;  // the heaps count differently; the next rows do not
        add_map_row(rows, done, columns, each.label, each.in, each.less_is_better, each.of);
    }
    for (const counted_metric& each : counted_metrics) {
        std::vector<cell> row{{each.label}};
        for (const column& c : columns) {
            row.push_back({format_value(each.of(*c.bytes, *c.followed), each.in)});
        }
        const double mine = each.of(*columns[0].bytes, *columns[0].followed);
        for (const column& c : columns) {
            if (!is_peer(c)) continue;
            const double other = each.of(*c.bytes, *c.followed);
            row.push_back(other > 0 ? ratio_cell(summary{mine / other, mine / other, mine / other},
                                                 std::string_view(each.key) != "growth_steps")
                                    : cell{"-", tone::faint});
            // More, smaller steps are the point, neither good nor bad.
            if (std::string_view(each.key) == "growth_steps") row.back().look = tone::faint;
        }
        rows.add(std::move(row));
    }
    for (const auto& [title, which] :
         {std::pair{"insert latency, new words only", &pass_report::new_words},
          std::pair{"insert latency, every word", &pass_report::every_word}}) {
        rows.add_space();
        rows.add({{title, tone::strong}});
        for (const percentile& each : percentiles) {
            add_map_row(rows, done, columns, std::string("  ") + each.label, unit::nanoseconds,
                        true, [&, which = which](const heap_round& part) {
                            return latency(done, which, part.timed, each.fraction);
                        });
        }
    }
    return rows;
}

std::string describe_slowest(const experiment& done) {
    std::string text = "\n  slowest inserts, and what was seen during them\n";
    for (const followed& each : done.followed_maps) {
        const slow_insert& worst = each.sum.slowest[0];
        std::string seen = fmt::format("{} faults", worst.minor_faults + worst.major_faults);
        if (worst.grew) seen += fmt::format(", {} moved", format_count(worst.entries_moved));
        if (worst.forced_switches > 0) seen += ", switched out";
        text += fmt::format("    {:<26} {:>9} at {:>11} entries: {} ({})\n", name_of(each.who),
                            format_nanoseconds(static_cast<double>(worst.nanoseconds)),
                            format_count(worst.entries), name_of(worst.why), seen);
    }
    const byte_account& mine = done.accounts.front();
    text += fmt::format(
        "\n  of steady::map's bytes {} were asked for and not touched yet (behind the last "
        "cluster)\n",
        format_bytes(static_cast<double>(mine.unused)));
    return text;
}

}  // namespace

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

std::string to_table(const corpus& input, const experiment& done, bool colour) {
    table rows;
    rows.add({{"std::unordered_map on two heaps"},
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
    return head(input, done) + maps_table(done).print(colour) + describe_slowest(done) + '\n' +
           rows.print(colour) +
           "\n  control: the same loop and clock without an insert; its tail is the machine's, "
           "not a heap's\n" +
           describe_checks(done, colour);
}

}  // namespace steady::cli::demo
