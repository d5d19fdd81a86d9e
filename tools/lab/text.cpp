// text.cpp - the findings for people and programs; the declarations are in report.hpp.
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/report.hpp"
#include "steady/core/version.hpp"
#include "support/machine.hpp"
#include "support/summary.hpp"
#include "support/table.hpp"

namespace steady::cli::lab {
namespace {

using json = nlohmann::ordered_json;

/// Breaks a remark into lines of a readable width, hanging under its first word.
std::string wrapped(std::string_view mark, std::string_view text) {
    constexpr std::size_t width = 96;
    const std::string indent(mark.size(), ' ');
    std::string all;
    std::string line(mark);
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t space = std::min(text.find(' ', from), text.size());
        const std::string_view word = text.substr(from, space - from);
        if (line.size() > indent.size() && line.size() + 1 + word.size() > width) {
            all += line + '\n';
            line = indent;
        }
        if (line.size() > indent.size()) line += ' ';
        line += word;
        from = space + 1;
    }
    return all + line + '\n';
}

json of(const row& r) {
    json one{{"label", r.label}};
    if (r.values.empty()) {
        one["text"] = r.text;
    } else {
        const summary found = summarise(r.values);
        one["unit"] = name_of(r.in);
        one["median"] = found.median;
        one["smallest"] = found.smallest;
        one["largest"] = found.largest;
        one["values"] = r.values;
    }
    one["reported"] = r.others.reported;
    one["reference"] = r.others.reference;
    return one;
}

json of(const curve& c) {
    json lines = json::array();
    for (const curve::line& l : c.lines) lines.push_back({{"name", l.name}, {"values", l.values}});
    return {
        {"title", c.title}, {"x_label", c.x_label}, {"y_label", c.y_label}, {"unit", name_of(c.in)},
        {"x", c.x},         {"lines", lines}};
}

json of(const entry& e) {
    json one{{"id", e.id},
             {"name", e.name},
             {"question", e.question},
             {"rows", e.rows},
             {"reported", e.reported},
             {"reference", e.reference},
             {"available", e.run != nullptr},
             {"exact", e.exact}};
    if (e.run == nullptr) one["missing"] = e.missing;
    return one;
}

}  // namespace

std::string list_of(const std::vector<entry>& all) {
    std::string later;
    std::size_t ready = 0;
    for (const entry& each : all) {
        if (each.run == nullptr) {
            later += wrapped(fmt::format("  {:<5} {:<20} ", each.id, each.name), each.missing);
            continue;
        }
        if (!each.hidden) ++ready;
    }
    std::string text = fmt::format("Available: {}. * has exact references (--check).\n\n", ready);
    for (const entry& each : all) {
        if (each.run == nullptr || each.hidden) continue;
        text +=
            wrapped(fmt::format("  {:<5} {:<20} {} ", each.id, each.name, each.exact ? '*' : ' '),
                    each.question);
    }
    if (!later.empty()) text += "\nNot yet available:\n\n" + later;
    return text;
}

std::string list_json(const std::vector<entry>& all) {
    json list = json::array();
    for (const entry& each : all) {
        if (!each.hidden) list.push_back(of(each));
    }
    return list.dump(2) + '\n';
}

std::string to_text(const result& done, bool colour) {
    const auto dressed = [&](const char* code, const std::string& text) {
        return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
    };
    const entry& who = done.who;
    std::string text = dressed("1", fmt::format("{}  {}", who.id, who.name)) +
                       fmt::format("   {}\n", who.question);
    table rows;
    rows.add({{"", tone::strong},
              {"here", tone::strong},
              {"reported", tone::strong},
              {"ref", tone::strong}});
    std::string sequences;
    for (const row& r : done.found.rows) {
        const std::string here = format_row(r);
        if (here.size() > widest_cell) {
            // Too long for a column: three lines of its own.
            sequences += fmt::format("  {}\n", r.label) + wrapped("    here      ", here);
            if (r.others.reported != "-") sequences += wrapped("    reported  ", r.others.reported);
            if (r.others.reference == here) sequences += "    ref       the same\n";
            if (r.others.reference != here && r.others.reference != "-") {
                sequences += wrapped("    ref       ", r.others.reference);
            }
            continue;
        }
        rows.add({{r.label},
                  {here},
                  {r.others.reported, tone::faint},
                  {r.others.reference, tone::faint}});
    }
    if (rows.size() > 1) text += rows.print(colour);
    text += sequences;
    for (const check& c : done.found.checks) {
        text += c.passed ? fmt::format("  {} {}{}\n", dressed("32", "ok  "), c.sentence,
                                       c.seen.size() > widest_cell ? "" : ": " + c.seen)
                         : fmt::format("  {} {}\n         seen      {}\n         expected  {}\n",
                                       dressed("31", "FAIL"), c.sentence, c.seen, c.expected);
    }
    if (!done.found.failure.empty()) {
        text += fmt::format("  {} {}\n", dressed("31", "FAIL"), done.found.failure);
    }
    for (const std::string& each : done.found.impossible) text += wrapped("  impossible: ", each);
    for (const std::string& each : done.found.refused) text += wrapped("  not here: ", each);
    for (const std::string& each : done.found.notes) text += wrapped("  note: ", each);
    return text + '\n';
}

std::string to_json(const std::vector<result>& done, unsigned repeat, bool checking) {
    const machine_facts machine = describe_machine();
    json all{{"command", "lab"},
             {"version", version()},
             {"machine",
              {{"processor", machine.processor},
               {"cpus", machine.cpus},
               {"kernel", machine.kernel},
               {"huge_pages", machine.huge_pages},
               {"build", machine.build},
               {"libc", machine.libc}}},
             {"repeat", repeat},
             {"check", checking}};
    bool passed = true;
    all["experiments"] = json::array();
    for (const result& each : done) {
        json one = of(each.who);
        one["seconds"] = each.seconds;
        one["passed"] = each.found.passed();
        passed = passed && each.found.passed();
        one["figures"] = json::array();
        for (const row& r : each.found.rows) one["figures"].push_back(of(r));
        one["checks"] = json::array();
        for (const check& c : each.found.checks) {
            one["checks"].push_back({{"sentence", c.sentence},
                                     {"passed", c.passed},
                                     {"seen", c.seen},
                                     {"expected", c.expected}});
        }
        if (!each.found.failure.empty()) one["failure"] = each.found.failure;
        one["impossible"] = each.found.impossible;
        one["refused"] = each.found.refused;
        one["notes"] = each.found.notes;
        one["curves"] = json::array();
        for (const curve& c : each.found.curves) one["curves"].push_back(of(c));
        all["experiments"].push_back(std::move(one));
    }
    all["passed"] = passed;
    return all.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace steady::cli::lab
