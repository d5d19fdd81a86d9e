// table.cpp - see table.hpp.
#include "support/table.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace steady::cli {
namespace {

const char* escape_of(tone look) {
    switch (look) {
        case tone::plain: return "";
        case tone::strong: return "\x1b[1m";
        case tone::good: return "\x1b[32m";
        case tone::bad: return "\x1b[31m";
        case tone::faint: return "\x1b[2m";
    }
    return "";
}

}  // namespace

std::string table::print(bool colour) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].text.size());
        }
    }
    std::string printed;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const cell& each = row[i];
            const std::string text = i == 0 ? fmt::format("  {:<{}}", each.text, widths[i])
                                            : fmt::format("   {:>{}}", each.text, widths[i]);
            const bool dressed = colour && each.look != tone::plain;
            line += dressed ? fmt::format("{}{}\x1b[0m", escape_of(each.look), text) : text;
        }
        // Empty last cells leave blanks that nobody wants in a saved report.
        line.resize(line.find_last_not_of(' ') + 1);
        printed += line + '\n';
    }
    return printed;
}

}  // namespace steady::cli
