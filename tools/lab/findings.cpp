// findings.cpp - see findings.hpp.
#include "lab/findings.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/format.hpp"
#include "support/summary.hpp"

namespace steady::cli::lab {
namespace {

using json = nlohmann::json;

/// Adds what is not there yet.
void add_new(std::vector<std::string>& to, std::vector<std::string> from) {
    for (std::string& each : from) {
        if (std::find(to.begin(), to.end(), each) == to.end()) to.push_back(std::move(each));
    }
}

}  // namespace

const char* name_of(unit in) {
    switch (in) {
        case unit::bytes: return "bytes";
        case unit::nanoseconds: return "nanoseconds";
        case unit::percent: return "percent";
        case unit::ratio: return "ratio";
        case unit::number: break;
    }
    return "number";
}

void findings::add(findings other) {
    for (row& each : other.rows) {
        const auto same = std::find_if(rows.begin(), rows.end(),
                                       [&](const row& r) { return r.label == each.label; });
        if (same == rows.end()) {
            rows.push_back(std::move(each));
        } else {
            same->values.insert(same->values.end(), each.values.begin(), each.values.end());
            same->text = std::move(each.text);
        }
    }
    for (check& each : other.checks) {
        const auto same = std::find_if(checks.begin(), checks.end(),
                                       [&](const check& c) { return c.sentence == each.sentence; });
        if (same == checks.end()) {
            checks.push_back(std::move(each));
        } else if (same->passed) {
            *same = std::move(each);  // the first failure stays
        }
    }
    add_new(impossible, std::move(other.impossible));
    add_new(notes, std::move(other.notes));
    add_new(refused, std::move(other.refused));
    if (!other.curves.empty()) curves = std::move(other.curves);
    if (failure.empty()) failure = std::move(other.failure);
}

bool findings::passed() const {
    return failure.empty() &&
           std::all_of(checks.begin(), checks.end(), [](const check& c) { return c.passed; });
}

std::string findings::pack() const {
    json all;
    for (const row& r : rows) {
        all["rows"].push_back({r.label, static_cast<int>(r.in), r.values, r.text, r.others.reported,
                               r.others.reference});
    }
    for (const check& c : checks) {
        all["checks"].push_back({c.sentence, c.seen, c.expected, c.passed});
    }
    for (const curve& c : curves) {
        json lines = json::array();
        for (const curve::line& l : c.lines) lines.push_back({l.name, l.values});
        all["curves"].push_back(
            {c.title, c.x_label, c.y_label, c.log_x, c.log_y, static_cast<int>(c.in), c.x, lines});
    }
    all["impossible"] = impossible;
    all["notes"] = notes;
    all["refused"] = refused;
    return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

findings findings::unpack(const std::string& text) {
    const json all = json::parse(text);
    findings found;
    for (const json& r : all.value("rows", json::array())) {
        // A value that is no number (NaN) crossed as null.
        std::vector<double> values;
        for (const json& v : r[2]) values.push_back(v.is_number() ? v.get<double>() : NAN);
        found.rows.push_back(
            {r[0], static_cast<unit>(r[1].get<int>()), std::move(values), r[3], {r[4], r[5]}});
    }
    for (const json& c : all.value("checks", json::array())) {
        found.checks.push_back({c[0], c[1], c[2], c[3]});
    }
    for (const json& c : all.value("curves", json::array())) {
        curve drawn{c[0], c[1], c[2], c[3], c[4], static_cast<unit>(c[5].get<int>()), c[6], {}};
        for (const json& l : c[7]) drawn.lines.push_back({l[0], l[1]});
        found.curves.push_back(std::move(drawn));
    }
    found.impossible = all["impossible"];
    found.notes = all["notes"];
    found.refused = all["refused"];
    return found;
}

std::string format_value(double value, unit in) {
    if (!std::isfinite(value)) return "-";
    switch (in) {
        case unit::bytes:
            // Exact up to where a person still compares digits: the references are exact.
            return value < 1e8 && value == std::floor(value) && value >= 0
                       ? format_count(static_cast<std::uint64_t>(value)) + " B"
                       : format_bytes(value);
        case unit::nanoseconds: return format_nanoseconds(value);
        case unit::percent: return fmt::format("{:.3g} %", value);
        case unit::ratio: return fmt::format("{:.3g}", value);
        case unit::number: break;
    }
    if (value >= 0 && value == std::floor(value) && value < 1e18) {
        return format_count(static_cast<std::uint64_t>(value));
    }
    return fmt::format("{:.4g}", value);
}

std::string format_row(const row& r) {
    if (r.values.empty()) return r.text;
    const summary found = summarise(r.values);
    std::string text = format_value(found.median, r.in);
    if (r.values.size() > 1 && found.smallest != found.largest) {
        text += fmt::format(" ({}..{})", format_value(found.smallest, r.in),
                            format_value(found.largest, r.in));
    }
    return text;
}

}  // namespace steady::cli::lab
