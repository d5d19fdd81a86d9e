// pages.cpp - a page for each experiment, and the index; declared in report.hpp.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/report.hpp"
#include "support/exit_code.hpp"
#include "support/machine.hpp"
#include "web/page.hpp"

namespace steady::cli::lab {
namespace {

using json = nlohmann::ordered_json;
using web::escaped;

std::string machine_line() {
    const machine_facts m = describe_machine();
    return escaped(fmt::format("{}, {} CPUs, {}, huge pages: {}, {}", m.processor, m.cpus, m.kernel,
                               m.huge_pages, m.build));
}

std::string verdict(const result& done) {
    if (!done.found.failure.empty()) return "<span class=\"bad\">failed</span>";
    if (done.found.checks.empty()) return "<span class=\"quiet\">measured</span>";
    const auto failed = std::count_if(done.found.checks.begin(), done.found.checks.end(),
                                      [](const check& c) { return !c.passed; });
    return failed == 0
               ? fmt::format("<span class=\"good\">{} exact</span>", done.found.checks.size())
               : fmt::format("<span class=\"bad\">{} of {} deviate</span>", failed,
                             done.found.checks.size());
}

std::string cell_of(const std::string& text) {
    return fmt::format("<td class=\"quiet{}\">{}</td>", text.size() > 24 ? " wrap" : "",
                       escaped(text));
}

/// The table, and below it what is too long for a column.
std::string rows_of(const findings& found) {
    std::string rows;
    std::string sequences;
    for (const row& r : found.rows) {
        const std::string here = format_row(r);
        if (here.size() <= widest_cell) {
            rows += fmt::format("<tr><td class=\"wrap\">{}</td><td>{}</td>{}{}</tr>\n",
                                escaped(r.label), escaped(here), cell_of(r.others.reported),
                                cell_of(r.others.reference));
            continue;
        }
        sequences += fmt::format("<h3>{}</h3>\n<dl class=\"facts\"><dt>here</dt><dd>{}</dd>\n",
                                 escaped(r.label), escaped(here));
        if (r.others.reported != "-") {
            sequences += "<dt>reported</dt><dd>" + escaped(r.others.reported) + "</dd>\n";
        }
        if (r.others.reference != "-") {
            sequences += "<dt>reference</dt><dd>" +
                         (r.others.reference == here ? "the same" : escaped(r.others.reference)) +
                         "</dd>\n";
        }
        sequences += "</dl>\n";
    }
    if (rows.empty()) return sequences;
    return "<div class=\"scroll\"><table><thead><tr><th></th><th>here</th><th>reported</th>"
           "<th>reference</th></tr></thead><tbody>\n" +
           rows + "</tbody></table></div>\n" + sequences;
}

std::string checks_of(const findings& found) {
    std::string text =
        "<h2>Compared with exact references</h2>\n<div class=\"scroll\"><table><thead><tr><th></th>"
        "<th class=\"left\">must hold</th><th class=\"left\">seen</th>"
        "<th class=\"left\">expected</th></tr></thead><tbody>\n";
    for (const check& c : found.checks) {
        text += fmt::format(
            "<tr><td class=\"{}\">{}</td><td class=\"wrap\">{}</td><td class=\"wrap\">{}</td>"
            "<td class=\"wrap\">{}</td></tr>\n",
            c.passed ? "good" : "bad", c.passed ? "ok" : "deviates", escaped(c.sentence),
            escaped(c.seen), escaped(c.expected));
    }
    return text + "</tbody></table></div>\n";
}

std::string remarks(const char* title, const std::vector<std::string>& texts) {
    if (texts.empty()) return {};
    std::string text = fmt::format("<h2>{}</h2>\n", title);
    for (const std::string& each : texts) text += "<p>" + escaped(each) + "</p>\n";
    return text;
}

json data_of(const findings& found) {
    json charts = json::object();
    for (std::size_t i = 0; i < found.curves.size(); ++i) {
        const curve& c = found.curves[i];
        json lines = json::array();
        for (const curve::line& l : c.lines) {
            lines.push_back({{"name", l.name}, {"values", l.values}});
        }
        charts[fmt::format("curve{}", i)] = {
            {"x", {{"label", c.x_label}, {"log", c.log_x}, {"unit", "number"}}},
            {"y", {{"label", c.y_label}, {"log", c.log_y}, {"unit", name_of(c.in)}}},
            {"points", c.x.size() <= 40},
            {"values", c.x},
            {"lines", lines}};
    }
    return {{"charts", charts}};
}

std::string page_of(const result& done, unsigned repeat) {
    const entry& who = done.who;
    std::string body = "<p class=\"quiet\"><a href=\"index.html\">All experiments</a></p>\n";
    body += fmt::format("<h1>{} <span class=\"quiet\">{}</span></h1>\n<p class=\"lead\">{}</p>\n",
                        escaped(who.name), who.id, escaped(who.question));
    if (!done.found.failure.empty()) {
        body += "<div class=\"banner bad\">" + escaped(done.found.failure) + "</div>\n";
    }
    if (!done.found.rows.empty()) body += rows_of(done.found);
    for (std::size_t i = 0; i < done.found.curves.size(); ++i) {
        body += fmt::format("<h2>{}</h2>\n<div class=\"chart\" data-chart=\"curve{}\"></div>\n",
                            escaped(done.found.curves[i].title), i);
    }
    if (!done.found.checks.empty()) body += checks_of(done.found);
    body += remarks("What cannot be", done.found.impossible);
    body += remarks("What this machine does not have or allow", done.found.refused);
    body += remarks("To read the figures", done.found.notes);
    body += fmt::format(
        "<footer><p>Reported: what the source documents say ({}), printed and never used. "
        "Reference: measured with go1.19.8 or computed exactly.</p>"
        "<p>{:.1f} s, {} run{}; <code>steady lab {}</code><br>{}</p></footer>\n",
        escaped(who.rows), done.seconds, repeat, repeat == 1 ? "" : "s", escaped(who.name),
        machine_line());
    return web::to_html({fmt::format("{} {} - steady lab", who.id, who.name), body,
                         data_of(done.found).dump(-1, ' ', false, json::error_handler_t::replace),
                         ""});
}

std::string index_of(const std::vector<result>& done, const std::vector<entry>& others) {
    std::string body =
        "<h1>steady lab</h1>\n<p class=\"lead\">What is reported about Go's maps, slices and "
        "memory manager, measured again: each experiment beside what was reported and beside "
        "go1.19.8.</p>\n"
        "<div class=\"scroll\"><table><thead><tr><th></th><th class=\"left\">experiment</th>"
        "<th class=\"left\">question</th><th class=\"left\">result</th></tr></thead><tbody>\n";
    for (const result& each : done) {
        body += fmt::format(
            "<tr><td class=\"quiet\">{0}</td><td class=\"left\"><a href=\"{1}.html\">{1}</a></td>"
            "<td class=\"wrap\">{2}</td><td class=\"left\">{3}</td></tr>\n",
            each.who.id, escaped(each.who.name), escaped(each.who.question), verdict(each));
    }
    body += "</tbody></table></div>\n";
    if (!others.empty()) {
        body += "<h2>Not yet available</h2>\n<div class=\"scroll\"><table><tbody>\n";
        for (const entry& each : others) {
            body += fmt::format(
                "<tr><td class=\"quiet\">{}</td><td class=\"left\">{}</td><td "
                "class=\"wrap\">{}</td></tr>\n",
                each.id, escaped(each.name), escaped(each.missing));
        }
        body += "</tbody></table></div>\n";
    }
    body += "<footer><p>" + machine_line() + "</p></footer>\n";
    return web::to_html({"steady lab", body, "{}", ""});
}

}  // namespace

void require_folder(const std::string& folder) {
    struct stat status {};
    if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
        throw usage_error(fmt::format("the folder '{}' cannot be made: {}; name another one",
                                      folder, std::strerror(errno)));
    }
    if (stat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
        access(folder.c_str(), W_OK | X_OK) != 0) {
        throw usage_error(
            fmt::format("'{}' is no folder that can be written to; name another one", folder));
    }
}

void write_pages(const std::string& folder, const std::vector<result>& done,
                 const std::vector<entry>& others, unsigned repeat) {
    for (const result& each : done) {
        web::write_file(fmt::format("{}/{}.html", folder, each.who.name), page_of(each, repeat));
    }
    web::write_file(folder + "/index.html", index_of(done, others));
}

}  // namespace steady::cli::lab
