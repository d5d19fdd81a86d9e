// page.hpp - reports as one HTML file that needs nothing else: style, scripts and numbers
// stand in it, and it looks right on a phone and on paper, in light and in dark.
//
//   page.css     the look
//   charts.js    steadyCharts(): draws every chart of the data with uPlot
//   third_party/uplot
//
// The numbers travel as JSON in the page, under the id "data": whoever wants to draw
// something else finds them there. A chart is a <div data-chart="NAME"> in the body and an
// entry NAME in data.charts:
//
//   {"x": {"label": "entries", "log": false, "unit": "number"},
//    "y": {"label": "time", "log": true, "unit": "nanoseconds"},
//    "values": [1, 2, ...],
//    "lines": [{"name": "steady::map", "values": [...], "colour": 0, "dash": false}]}
#pragma once

#include <string>
#include <string_view>

namespace steady::cli::web {

struct page {
    std::string title;
    std::string body;    // HTML
    std::string data;    // JSON
    std::string script;  // after the charts were drawn; may be empty
};

/// The whole file.
[[nodiscard]] std::string to_html(const page& parts);

/// Text as HTML shows it.
[[nodiscard]] std::string escaped(std::string_view text);

/// Asks now whether a file could be written there, before minutes are spent on it.
///
/// Throws     usage_error that says why not.
void require_writable(const std::string& path);

/// Writes `text` to `path` as a whole: into a file beside it, then in its place. Who
/// reads the path sees the old file or the new one, and never half of it.
///
/// Throws     check_failure; the file that was there before is untouched then.
void write_file(const std::string& path, std::string_view text);

}  // namespace steady::cli::web
