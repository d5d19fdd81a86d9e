// report.cpp - see report.hpp.
#include "steady/profile/detail/report.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <unordered_map>
#include <unordered_set>

#include "embedded/flame_page_head.hpp"
#include "embedded/flame_page_tail.hpp"
#include "steady/core/version.hpp"
#include "steady/profile/detail/web_pages.hpp"

namespace steady::web {
namespace {

using profile::stack_record;

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string percent(std::int64_t part, std::int64_t whole) {
    char text[32];
    std::snprintf(
        text, sizeof text, "%.2f%%",
        whole != 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
    return text;
}

std::string right(const std::string& text, std::size_t width) {
    return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::int64_t total_of(const std::vector<stack_record>& records, std::size_t value) {
    std::int64_t total = 0;
    for (const stack_record& r : records) total += value < r.values.size() ? r.values[value] : 0;
    return total;
}

}  // namespace

std::string name_of(const profile::frame& f) {
    if (!f.function.empty()) return f.function;
    char address[32];
    std::snprintf(address, sizeof address, "0x%llx", static_cast<unsigned long long>(f.address));
    if (f.module.empty()) return address;
    return std::string(base_name(f.module)) + "@" + address;
}

std::vector<function_row> add_up(const std::vector<stack_record>& records, std::size_t values,
                                 std::size_t by) {
    std::unordered_map<std::string, std::size_t> places;
    std::vector<function_row> rows;
    std::unordered_set<std::size_t> in_this_stack;
    for (const stack_record& record : records) {
        in_this_stack.clear();
        bool leaf = true;
        for (const profile::frame& f : record.frames) {
            std::string name = name_of(f);
            const auto [at, fresh] = places.try_emplace(name, rows.size());
            if (fresh) {
                function_row row;
                row.function = std::move(name);
                row.file = f.file;
                row.line = f.line;
                row.flat.resize(values);
                row.cum.resize(values);
                rows.push_back(std::move(row));
            }
            function_row& row = rows[at->second];
            const bool counted = !in_this_stack.insert(at->second).second;
            for (std::size_t v = 0; v < values && v < record.values.size(); ++v) {
                if (leaf) row.flat[v] += record.values[v];
                if (!counted) row.cum[v] += record.values[v];
            }
            leaf = false;
        }
    }
    std::sort(rows.begin(), rows.end(), [by](const function_row& a, const function_row& b) {
        if (a.flat[by] != b.flat[by]) return a.flat[by] > b.flat[by];
        if (a.cum[by] != b.cum[by]) return a.cum[by] > b.cum[by];
        return a.function < b.function;
    });
    return rows;
}

std::string in_unit(std::int64_t value, std::string_view unit) {
    char text[48];
    if (unit != "bytes") {
        std::snprintf(text, sizeof text, "%lld", static_cast<long long>(value));
        return text;
    }
    constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double scaled = static_cast<double>(value);
    std::size_t i = 0;
    while ((scaled >= 1024 || scaled <= -1024) && i + 1 < std::size(units)) scaled /= 1024, ++i;
    std::snprintf(text, sizeof text, i == 0 ? "%.0f%s" : "%.2f%s", scaled, units[i]);
    return text;
}

void write_top_text(const std::vector<stack_record>& records, profile::kind what, std::size_t by,
                    std::size_t most, page_text& out) {
    const auto types = profile::value_types(what);
    const std::string_view unit = types[by].unit;
    const std::vector<function_row> rows = add_up(records, types.size(), by);
    const std::int64_t total = total_of(records, by);
    std::size_t shown = 0;
    std::int64_t shown_sum = 0;
    for (; shown < rows.size() && shown < most; ++shown) {
        if (rows[shown].flat[by] == 0 && rows[shown].cum[by] == 0) break;
        shown_sum += rows[shown].flat[by];
    }
    out.text("Type: ").text(types[by].type).text("\nShowing ").text(in_unit(shown_sum, unit));
    out.text(", ").text(percent(shown_sum, total)).text(" of ").text(in_unit(total, unit));
    out.text(" total, in ").number(std::uint64_t{shown}).text(" of ");
    out.number(std::uint64_t{rows.size()}).text(" functions\n");
    out.text("      flat  flat%    sum%        cum    cum%\n");
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < shown; ++i) {
        const function_row& r = rows[i];
        sum += r.flat[by];
        out.text(right(in_unit(r.flat[by], unit), 10));
        out.text(right(percent(r.flat[by], total), 7)).text(right(percent(sum, total), 8));
        out.text(right(in_unit(r.cum[by], unit), 11)).text(right(percent(r.cum[by], total), 8));
        out.text("  ").text(r.function);
        if (!r.file.empty()) {
            out.text("  ").text(base_name(r.file)).character(':').number(r.line);
        }
        out.character('\n');
    }
}

void write_top_json(const std::vector<stack_record>& records, std::size_t most, page_text& out) {
    const std::size_t values = profile::heap_values;
    std::vector<function_row> rows = add_up(records, values, profile::inuse_space);
    out.text("{\"totals\":[");
    for (std::size_t v = 0; v < values; ++v) {
        if (v != 0) out.character(',');
        out.number(total_of(records, v));
    }
    out.text("],\"types\":[");
    const auto types = profile::value_types(profile::kind::heap);
    for (std::size_t v = 0; v < types.size(); ++v) {
        if (v != 0) out.character(',');
        out.json(types[v].type);
    }
    out.text("],\"rows\":[");
    // The largest of each value, so that the page can sort by any.
    std::vector<bool> chosen(rows.size());
    for (std::size_t v = 0; v < values; ++v) {
        std::vector<std::size_t> order(rows.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        const std::size_t n = std::min(most, order.size());
        std::partial_sort(
            order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
            [&](std::size_t a, std::size_t b) { return rows[a].flat[v] > rows[b].flat[v]; });
        for (std::size_t i = 0; i < n; ++i) chosen[order[i]] = true;
    }
    bool first = true;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!chosen[i]) continue;
        if (!first) out.character(',');
        first = false;
        out.text("{\"f\":").json(rows[i].function).text(",\"at\":");
        out.json(rows[i].file.empty()
                     ? std::string()
                     : std::string(base_name(rows[i].file)) + ":" + std::to_string(rows[i].line));
        out.text(",\"flat\":[");
        for (std::size_t v = 0; v < values; ++v) {
            if (v != 0) out.character(',');
            out.number(rows[i].flat[v]);
        }
        out.text("],\"cum\":[");
        for (std::size_t v = 0; v < values; ++v) {
            if (v != 0) out.character(',');
            out.number(rows[i].cum[v]);
        }
        out.text("]}");
    }
    out.text("]}");
}

namespace {

/// Names once, stacks as lists of places in them.
void write_stacks_json(const std::vector<stack_record>& records, page_text& out) {
    std::unordered_map<std::string, std::size_t> places;
    std::vector<const std::string*> names;
    std::vector<std::string> where;
    page_text stacks;
    bool first = true;
    for (const stack_record& r : records) {
        bool anything = false;
        for (const std::int64_t v : r.values) anything = anything || v != 0;
        if (!anything) continue;
        stacks.text(first ? "[[" : ",[[");
        first = false;
        bool first_frame = true;
        for (auto f = r.frames.rbegin(); f != r.frames.rend(); ++f) {  // outermost first
            const auto [at, fresh] = places.try_emplace(name_of(*f), names.size());
            if (fresh) {
                names.push_back(&at->first);
                where.push_back(f->file.empty() ? f->module
                                                : f->file + ":" + std::to_string(f->line));
            }
            if (!first_frame) stacks.character(',');
            first_frame = false;
            stacks.number(std::uint64_t{at->second});
        }
        stacks.text("],[");
        for (std::size_t v = 0; v < r.values.size(); ++v) {
            if (v != 0) stacks.character(',');
            stacks.number(r.values[v]);
        }
        stacks.text("]]");
    }
    out.text("\"names\":[");
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i != 0) out.character(',');
        out.json(*names[i]);
    }
    out.text("],\"where\":[");
    for (std::size_t i = 0; i < where.size(); ++i) {
        if (i != 0) out.character(',');
        out.json(where[i]);
    }
    out.text("],\"stacks\":[").text(stacks.view()).text("]");
}

}  // namespace

void write_flame_page(const std::vector<stack_record>& records, page_text& out) {
    out.text(embedded::flame_page_head);
    const profile::counters c = profile::read_counters();
    out.text("{\"program\":").json(program_invocation_short_name);
    out.text(",\"pid\":").number(static_cast<std::uint64_t>(getpid()));
    out.text(",\"time_ms\":").number(std::int64_t{std::time(nullptr)} * 1000);
    out.text(",\"rate\":").number(profile::rate());
    out.text(",\"samples\":").number(c.samples);
    out.text(",\"steady\":").json(version());
    page_text command;
    append_command_line(command);
    for (std::size_t i = 0; i < command.size(); ++i) {
        if (command.data()[i] == '\0') command.data()[i] = ' ';
    }
    out.text(",\"command\":").json(command.view().substr(0, 400));
    out.text(",\"types\":[");
    const auto types = profile::value_types(profile::kind::heap);
    for (std::size_t v = 0; v < types.size(); ++v) {
        if (v != 0) out.character(',');
        out.text("[").json(types[v].type).character(',').json(types[v].unit).text("]");
    }
    out.text("],");
    write_stacks_json(records, out);
    out.text("}").text(embedded::flame_page_tail);
}

}  // namespace steady::web
