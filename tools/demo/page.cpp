// page.cpp - the demo's page; the declaration is in report.hpp.
//
// What it shows, in this order: the answer in four figures, how long each insert took while
// the maps grew, the whole distribution, memory, where the bytes are, the ten slowest inserts
// of each map with what was seen during them, the table, and on what all this was measured.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "demo/metrics.hpp"
#include "demo/report.hpp"
#include "support/format.hpp"
#include "support/machine.hpp"
#include "web/page.hpp"

namespace steady::cli::demo {
namespace {

using json = nlohmann::ordered_json;
using web::escaped;

/// A map that was measured, with all that belongs to it.
struct measured {
    const contestant* map;
    const followed* seen;
    const byte_account* bytes;
    int colour;
};

std::vector<measured> all_measured(const experiment& done) {
    std::vector<measured> found;
    for (const contestant& each : contestants) {
        if (!is_available(each.who)) continue;
        const std::size_t i = found.size();
        // The same colour for a map on every page, whichever of its peers are missing.
        const int colour = each.who == subject::map      ? 0
                           : each.who == subject::views  ? 5
                           : each.who == subject::system ? 1
                           : each.who == subject::abseil ? 2
                                                         : 3;
        found.push_back({&each, &done.followed_maps[i], &done.accounts[i], colour});
    }
    return found;
}

bool is_peer(const measured& m) {
    return m.map->who != subject::map && m.map->who != subject::views;
}

json line(const std::string& name, int colour, bool dash = false) {
    return {{"name", name}, {"colour", colour}, {"dash", dash}, {"values", json::array()}};
}

json chart(const char* x_label, const char* x_unit, bool log_x, const char* y_label,
           const char* y_unit, bool log_y) {
    return {{"x", {{"label", x_label}, {"unit", x_unit}, {"log", log_x}}},
            {"y", {{"label", y_label}, {"unit", y_unit}, {"log", log_y}}},
            {"values", json::array()},
            {"lines", json::array()}};
}

/// Latency over entries: the inserts of a window become one point.
json over_entries(const experiment& done, const std::vector<measured>& maps, double fraction,
                  shared_pages<std::uint32_t> followed::*which = &followed::nanoseconds) {
    constexpr std::size_t points = 200;
    const std::size_t count = done.reference.seen.distinct;
    const std::size_t window = std::max<std::size_t>(1, (count + points - 1) / points);
    json drawn =
        chart("entries in the map", "number", false, "time of an insert", "nanoseconds", true);
    for (std::size_t end = window; end < count + window; end += window) {
        drawn["values"].push_back(std::min(end, count));
    }
    const auto add = [&](const followed& seen, json one) {
        std::vector<std::uint32_t> values;
        for (std::size_t from = 0; from < count; from += window) {
            const std::size_t end = std::min(count, from + window);
            const std::uint32_t* first = &(seen.*which)[from];
            values.assign(first, first + (end - from));
            const auto rank =
                static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
            const auto place = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
            std::nth_element(values.begin(), place, values.end());
            one["values"].push_back(std::max<std::uint32_t>(1, *place));
        }
        drawn["lines"].push_back(std::move(one));
    };
    for (const measured& each : maps) add(*each.seen, line(each.map->name, each.colour));
    add(done.followed_maps.back(), line("no insert (control)", 6, true));
    return drawn;
}

/// From the fastest to the slowest insert of all rounds: the axis is 1 / (1 - fraction).
json distribution(const experiment& done, const std::vector<measured>& maps,
                  histogram pass_report::*which, bool control) {
    json drawn = chart("inserts not slower than this", "percentile", true, "time of an insert",
                       "nanoseconds", true);
    const auto merged = [&](auto&& select) {
        histogram sum;
        for (const round& each : done.rounds) sum.add(select(each));
        return sum;
    };
    const double count = static_cast<double>(
        merged([&](const round& r) { return (r.*maps[0].map->part).timed.*which; }).count());
    std::vector<double> fractions;
    constexpr int steps_per_decade = 12;
    for (int i = 0;; ++i) {
        const double parts = std::pow(10.0, static_cast<double>(i) / steps_per_decade);
        if (parts >= count) break;
        drawn["values"].push_back(parts);
        fractions.push_back(1 - 1 / parts);
    }
    drawn["values"].push_back(count);
    fractions.push_back(1);  // the maximum itself
    const auto add = [&](const histogram& sum, json one) {
        for (const double each : fractions) {
            one["values"].push_back(
                std::max(1.0, done.clock.nanoseconds(sum.percentile(std::max(each, 1 / count)))));
        }
        drawn["lines"].push_back(std::move(one));
    };
    for (const measured& each : maps) {
        add(merged([&](const round& r) { return (r.*each.map->part).timed.*which; }),
            line(each.map->name, each.colour));
    }
    if (control) {
        add(merged([](const round& r) { return r.control.every_word; }),
            line("no insert (control)", 6, true));
    }
    return drawn;
}

template <class Value>
json over_samples(const std::vector<measured>& maps, const char* label, const char* unit,
                  Value&& value) {
    json drawn = chart("entries in the map", "number", false, label, unit, false);
    const followed& first = *maps[0].seen;
    for (std::size_t i = 0; i < first.sum.samples; ++i) {
        drawn["values"].push_back(first.samples[i].entries);
    }
    for (const measured& each : maps) {
        json one = line(each.map->name, each.colour);
        for (std::size_t i = 0; i < first.sum.samples; ++i) {
            one["values"].push_back(value(each.seen->samples[i]));
        }
        drawn["lines"].push_back(std::move(one));
    }
    return drawn;
}

json data_of(const experiment& done, const std::vector<measured>& maps) {
    json charts;
    charts["slowest"] = over_entries(done, maps, 1.0, &followed::undisturbed);
    charts["wall"] = over_entries(done, maps, 1.0);
    charts["p99"] = over_entries(done, maps, 0.99);
    charts["median"] = over_entries(done, maps, 0.5);
    charts["new"] = distribution(done, maps, &pass_report::new_words, false);
    charts["every"] = distribution(done, maps, &pass_report::every_word, true);
    charts["resident"] = over_samples(maps, "resident memory", "bytes", [](const memory_sample& s) {
        return std::max<std::int64_t>(0, s.resident_bytes);
    });
    charts["faults"] = over_samples(maps, "page faults so far", "number",
                                    [](const memory_sample& s) { return s.minor_faults; });
    return {{"charts", std::move(charts)}};
}

// ---- text

double median_of(const experiment& done, const contestant& map,
                 double (*value)(const heap_round&)) {
    return compare(done, value, {map.part, map.part}).steady.median;
}

double peak_resident(const heap_round& part) {
    return static_cast<double>(part.plain.peak_resident_bytes);
}
double indexed_resident(const heap_round& part) {
    return static_cast<double>(part.plain.indexed_resident_bytes);
}
double index_time(const heap_round& part) {
    return static_cast<double>(part.plain.indexing.cpu_nanoseconds);
}

double worst_new_word(const experiment& done, const contestant& map) {
    return compare(done,
                   [&](const heap_round& part) {
                       return latency(done, &pass_report::new_words, part.timed, 1.0);
                   },
                   {map.part, map.part})
        .steady.median;
}

/// format_nanoseconds() is ASCII for terminals.
std::string time_of(double nanoseconds) {
    std::string text = format_nanoseconds(nanoseconds);
    if (const std::size_t at = text.find(" us"); at != std::string::npos) {
        text.replace(at, 3, " \u00b5s");
    }
    return text;
}

std::string card(const std::string& value, const std::string& what) {
    return "<div class=\"card\"><b>" + escaped(value) + "</b><span>" + escaped(what) +
           "</span></div>\n";
}

std::string cards(const experiment& done, const std::vector<measured>& maps) {
    const contestant& mine = *maps[0].map;
    const measured& other =
        *std::find_if(maps.begin(), maps.end(), [](const measured& m) { return is_peer(m); });
    const contestant& peer = *other.map;
    const auto figure = [&](double own, double theirs, auto&& format, const char* what) {
        return card(format(own), fmt::format("{}; {} in {}", what, format(theirs), peer.name));
    };
    std::string text = "<div class=\"cards\">\n";
    text +=
        figure(worst_new_word(done, mine), worst_new_word(done, peer), time_of, "slowest insert");
    text += figure(
        static_cast<double>(maps[0].seen->sum.most_moved),
        static_cast<double>(other.seen->sum.most_moved),
        [](double v) { return format_count(static_cast<std::uint64_t>(v)); },
        "entries moved by one insert, at most");
    text += figure(median_of(done, mine, peak_resident), median_of(done, peer, peak_resident),
                   format_bytes, "peak resident memory");
    text += figure(median_of(done, mine, index_time), median_of(done, peer, index_time), time_of,
                   "CPU time to index everything");
    return text + "</div>\n";
}

struct segment {
    const char* name;
    int colour;
    double bytes;
};

/// Entries, structure, text of the keys, and what the heap and the kernel add.
std::vector<segment> segments_of(const experiment& done, const measured& m) {
    const byte_account& b = *m.bytes;
    const double entries = static_cast<double>(b.entries);
    // What lies behind the last cluster of steady::map was asked for and never touched.
    const double requested = static_cast<double>(b.table + b.nodes + b.text - b.unused);
    const double structure = static_cast<double>(b.table + b.nodes - b.unused) - entries;
    const double resident = median_of(done, *m.map, indexed_resident);
    return {{"entries", 0, entries},
            {"empty slots, tags, links", 1, std::max(0.0, structure)},
            {"text of keys", 2, static_cast<double>(b.text)},
            {"heap: rounding, free", 6, std::max(0.0, resident - requested)}};
}

std::string breakdown(const experiment& done, const std::vector<measured>& maps) {
    double most = 1;
    for (const measured& each : maps) {
        double sum = 0;
        for (const segment& part : segments_of(done, each)) sum += part.bytes;
        most = std::max(most, sum);
    }
    std::string text = "<ul class=\"key\">";
    for (const segment& part : segments_of(done, maps[0])) {
        text += fmt::format("<li style=\"--k:var(--c{})\">{}</li>", part.colour, part.name);
    }
    text += "</ul>\n<div class=\"stack\">\n";
    for (const measured& each : maps) {
        double sum = 0;
        std::string bars;
        for (const segment& part : segments_of(done, each)) {
            sum += part.bytes;
            bars += fmt::format(
                "<i style=\"width:{:.2f}%;background:var(--c{})\" title=\"{}: {}\"></i>",
                100 * part.bytes / most, part.colour, part.name, format_bytes(part.bytes));
        }
        text += fmt::format(
            "<div class=\"row\"><span>{}</span><span class=\"bar\">{}</span>"
            "<span class=\"sum\">{}</span></div>\n",
            escaped(each.map->name), bars, format_bytes(sum));
    }
    text += "</div>\n<div class=\"scroll\"><table><thead><tr><th></th>";
    for (const segment& part : segments_of(done, maps[0])) {
        text += fmt::format("<th>{}</th>", part.name);
    }
    text += "<th>resident</th><th>per entry</th></tr></thead><tbody>\n";
    for (const measured& each : maps) {
        text += "<tr><td>" + escaped(each.map->name) + "</td>";
        for (const segment& part : segments_of(done, each)) {
            text += "<td>" + format_bytes(part.bytes) + "</td>";
        }
        const double resident = median_of(done, *each.map, indexed_resident);
        text += fmt::format("<td>{}</td><td>{:.1f} B</td></tr>\n", format_bytes(resident),
                            resident / static_cast<double>(done.reference.seen.distinct));
    }
    text += "</tbody></table></div>\n";
    const byte_account& mine = *maps[0].bytes;
    text += fmt::format(
        "<p class=\"quiet\"><code>steady::map::memory()</code> of the full map, to the byte: slots "
        "{}, of which {} hold entries; tags {}; segments not touched yet {}; chained blocks {}; "
        "addresses and headers {}. The sum, {}, is what its allocator was asked for.</p>\n",
        format_bytes(static_cast<double>(mine.slots)),
        format_bytes(static_cast<double>(mine.entries)),
        format_bytes(static_cast<double>(mine.groups)),
        format_bytes(static_cast<double>(mine.unused)),
        format_bytes(static_cast<double>(mine.overflow)),
        format_bytes(static_cast<double>(mine.control)),
        format_bytes(static_cast<double>(mine.table + mine.nodes)));
    return text;
}

std::string slowest(const std::vector<measured>& maps, const followed& control) {
    std::string tabs = "<div class=\"tabs\" data-tabs=\"slow\">";
    std::string panels = "<div id=\"slow\">\n";
    const auto add = [&](const char* name, const follow_summary& sum, bool first) {
        tabs += fmt::format("<button data-show=\"{0}\" aria-pressed=\"{1}\">{0}</button>",
                            escaped(name), first ? "true" : "false");
        panels += fmt::format(
            "<div data-panel=\"{}\"{}><div class=\"scroll\"><table><thead><tr>"
            "<th class=\"left\">cause</th><th>took</th><th>at entries</th>"
            "<th>on a CPU</th><th>page faults</th><th>switched out</th>"
            "<th>entries moved</th><th>slots or buckets</th></tr></thead><tbody>\n",
            escaped(name), first ? "" : " hidden");
        for (const slow_insert& each : sum.slowest) {
            if (each.nanoseconds == 0) continue;
            panels += fmt::format(
                "<tr><td class=\"left\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
                "<td>{}</td><td>{}</td><td>{}</td></tr>\n",
                name_of(each.why), time_of(static_cast<double>(each.nanoseconds)),
                format_count(each.entries),
                time_of(static_cast<double>(std::min(each.cpu_nanoseconds, each.nanoseconds))),
                each.minor_faults + each.major_faults, each.forced_switches,
                format_count(each.entries_moved),
                each.capacity_after == each.capacity_before
                    ? std::string("-")
                    : fmt::format("{} &rarr; {}", format_count(each.capacity_before),
                                  format_count(each.capacity_after)));
        }
        panels += "</tbody></table></div></div>\n";
    };
    for (const measured& each : maps) add(each.map->name, each.seen->sum, &each == maps.data());
    add("no insert (control)", control.sum, false);
    return tabs + "</div>\n" + panels + "</div>\n";
}

std::string growth(const std::vector<measured>& maps) {
    std::string text =
        "<div class=\"scroll\"><table><thead><tr><th></th><th>inserts that grew the table</th>"
        "<th>entries moved by one, at most</th><th>the slowest, time on a CPU</th>"
        "<th>all of them together</th></tr></thead><tbody>\n";
    for (const measured& each : maps) {
        const follow_summary& sum = each.seen->sum;
        std::uint64_t worst = 0;
        for (std::size_t i = 0; i < sum.steps; ++i) {
            worst = std::max(worst, each.seen->steps[i].undisturbed);
        }
        text += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                            escaped(each.map->name), format_count(sum.growths),
                            format_count(sum.most_moved), time_of(static_cast<double>(worst)),
                            time_of(static_cast<double>(sum.growth_nanoseconds)));
    }
    return text + "</tbody></table></div>\n";
}

std::string value_of(double value, unit in) {
    switch (in) {
        case unit::nanoseconds: return time_of(value);
        case unit::bytes: return format_bytes(value);
        case unit::count: return format_count(static_cast<std::uint64_t>(std::max(0.0, value)));
        case unit::per_second: return format_rate(value);
    }
    return {};
}

template <class Value>
std::string table_row(const experiment& done, const std::vector<measured>& maps, const char* label,
                      unit in, bool less_is_better, Value&& value) {
    std::string text = fmt::format("<tr><td>{}</td>", label);
    for (const measured& each : maps) {
        text += "<td>" +
                value_of(compare(done, value, {each.map->part, each.map->part}).steady.median, in) +
                "</td>";
    }
    for (const measured& each : maps) {
        if (!is_peer(each)) continue;
        const auto ratio = compare(done, value, {&round::map, each.map->part}).ratio;
        if (!ratio) {
            text += "<td>-</td>";
            continue;
        }
        const bool ahead = less_is_better ? ratio->largest < 1 : ratio->smallest > 1;
        const bool behind = less_is_better ? ratio->smallest > 1 : ratio->largest < 1;
        text += fmt::format("<td class=\"{}\">{:.2f}</td>",
                            ahead    ? "good"
                            : behind ? "bad"
                                     : "",
                            ratio->median);
    }
    return text + "</tr>\n";
}

std::string ratios(const experiment& done, const std::vector<measured>& maps) {
    std::string text = "<div class=\"scroll\"><table><thead><tr><th></th>";
    std::size_t columns = 1;
    for (const measured& each : maps) {
        text += fmt::format("<th>{}</th>", each.map->brief);
        ++columns;
    }
    for (const measured& each : maps) {
        if (!is_peer(each)) continue;
        text += fmt::format("<th>&divide; {}</th>", each.map->brief);
        ++columns;
    }
    text += "</tr></thead><tbody>\n";
    for (const metric& each : plain_metrics) {
        const std::string_view key = each.key;
        if (each.in == unit::bytes && key.find("resident") == std::string_view::npos) continue;
        text += table_row(done, maps, each.label, each.in, each.less_is_better, each.of);
    }
    for (const auto& [title, which] :
         {std::pair{"insert latency, new words only", &pass_report::new_words},
          std::pair{"insert latency, every word", &pass_report::every_word}}) {
        text +=
            fmt::format("<tr class=\"group\"><th colspan=\"{}\">{}</th></tr>\n", columns, title);
        for (const percentile& each : percentiles) {
            text += table_row(done, maps, each.label, unit::nanoseconds, true,
                              [&, which = which](const heap_round& part) {
                                  return latency(done, which, part.timed, each.fraction);
                              });
        }
    }
    return text + "</tbody></table></div>\n";
}

std::string facts(const corpus& input, const experiment& done) {
    const machine_facts machine = describe_machine();
    const fingerprint& seen = done.reference.seen;
    std::string text = "<dl class=\"facts\">\n";
    const auto fact = [&](const char* name, const std::string& value) {
        text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escaped(value));
    };
    fact("input", fmt::format("{}: {} in {}; left out: {}", describe_sources(input),
                              format_bytes(static_cast<double>(input.text.size())),
                              count_of(input.files, "file"), describe_left_out(input)));
    fact("index", fmt::format("{} words, {} distinct, checksum {:016x}", format_count(seen.words),
                              format_count(seen.distinct), seen.checksum));
    fact("rounds", fmt::format("{} of {}, in alternation, every pass in a fresh process; figures "
                               "are medians, ratios medians of the ratios within a round",
                               done.rounds.size(), done.rounds_wanted));
    fact("clock", fmt::format("{}, {:.0f} ns per reading, tells {:.0f} ns apart", done.clock.name,
                              done.clock.nanoseconds_per_reading, done.clock.step_nanoseconds));
    fact("machine", fmt::format("{}, {}, {}, huge pages: {}", machine.processor,
                                count_of(machine.cpus, "CPU"), machine.kernel, machine.huge_pages));
    fact("build", machine.build);
    fact("malloc of the others", fmt::format("{} ({})", machine.system_heap, machine.libc));
    text += "</dl>\n<ul>\n";
    for (const check& each : done.checks) {
        text += fmt::format("<li><span class=\"{}\">{}</span> {}: {}</li>\n",
                            each.passed ? "good" : "bad", each.passed ? "ok" : "FAILED",
                            escaped(each.name), escaped(each.seen));
    }
    return text + "</ul>\n";
}

}  // namespace

std::string to_page(const corpus& input, const experiment& done) {
    const std::vector<measured> maps = all_measured(done);
    const fingerprint& seen = done.reference.seen;
    std::string body =
        fmt::format("<h1>{} inserts, one by one</h1>\n", format_count(seen.distinct));
    body += fmt::format(
        "<p class=\"lead\">The {} words of {}, counted in <code>steady::map</code> and in the maps "
        "beside it: what each insert took, what the memory did, and why the slowest were "
        "slow.</p>\n",
        format_count(seen.words), escaped(describe_sources(input)));
    if (done.stopped_by != 0) {
        body += fmt::format(
            "<div class=\"banner\">Stopped early: {} of {} rounds are complete, and everything "
            "here is of these.</div>\n",
            done.rounds.size(), done.rounds_wanted);
    }
    body += cards(done, maps);

    body +=
        "<h2>Insert time while the maps grow</h2>\n<p>Each point is a window of inserts that "
        "found their word missing. A map that doubles moves everything it has in one insert: "
        "the spikes, twice as high each time. The grey line is the same loop without an "
        "insert; its spikes are the machine's. An insert during which the thread was switched "
        "out counts with its time on a CPU; the second button shows the clock's time.</p>\n"
        "<div class=\"tabs\" data-tabs=\"over\">"
        "<button data-show=\"slowest\" aria-pressed=\"true\">slowest of the window</button>"
        "<button data-show=\"wall\" aria-pressed=\"false\">with the time switched out</button>"
        "<button data-show=\"p99\" aria-pressed=\"false\">99 % are faster</button>"
        "<button data-show=\"median\" aria-pressed=\"false\">median</button></div>\n"
        "<div class=\"chart\" id=\"over\" data-chart=\"slowest\"></div>\n";
    body += growth(maps);

    body +=
        "<h2>All inserts, to the slowest one</h2>\n<p>How long an insert takes at most, for "
        "90 %, 99 %, 99.9 % of them and so on; the right end is the slowest of all rounds.</p>\n"
        "<div class=\"tabs\" data-tabs=\"dist\"><button data-show=\"new\" "
        "aria-pressed=\"true\">new words</button><button data-show=\"every\" "
        "aria-pressed=\"false\">every word</button></div>\n"
        "<div class=\"chart\" id=\"dist\" data-chart=\"new\"></div>\n";

    body +=
        "<h2>Memory over entries</h2>\n<p>Resident memory above what the process had before "
        "the first insert. The form with string_view keys owns no text: it looks into the "
        "files, which must stay in memory.</p>\n"
        "<div class=\"tabs\" data-tabs=\"mem\"><button data-show=\"resident\" "
        "aria-pressed=\"true\">resident memory</button><button data-show=\"faults\" "
        "aria-pressed=\"false\">page faults</button></div>\n"
        "<div class=\"chart\" id=\"mem\" data-chart=\"resident\"></div>\n";

    body +=
        "<h2>Where the bytes are</h2>\n<p>The index complete. Entries, structure and text are "
        "what the map asked its allocator for, counted exactly; the rest of the resident "
        "memory is the heap's.</p>\n";
    body += breakdown(done, maps);

    body +=
        "<h2>The ten slowest inserts, and why</h2>\n<p>Seen by counters around each insert: "
        "<b>growth step</b>, the table moved entries or got another capacity; <b>page "
        "fault</b>, the kernel had to hand out pages; <b>preempted</b>, the thread was switched "
        "out and spent more than half of the time off the CPU; <b>outside</b>, none of these "
        "happened: an interrupt, the hypervisor, or a neighbour in the cache.</p>\n";
    body += slowest(maps, done.followed_maps.back());

    body +=
        "<h2>Side by side</h2>\n<p>The last columns divide <code>steady::map</code> by the "
        "other map. A ratio is coloured only when all rounds agree on who is ahead.</p>\n";
    body += ratios(done, maps);
    body += "<h2>Measured how, and on what</h2>\n" + facts(input, done);
    body +=
        "<footer>Made by <code>steady demo</code>. The numbers of the charts stand in this "
        "file as JSON, in the element <code>#data</code>; <code>steady demo --json</code> "
        "prints all of them.</footer>\n";
    return web::to_html({"steady demo: " + format_count(seen.distinct) + " inserts", body,
                         data_of(done, maps).dump(-1, ' ', false, json::error_handler_t::replace),
                         ""});
}

}  // namespace steady::cli::demo
