// findings.hpp - what one experiment found: rows, checks, remarks and curves.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace steady::cli::lab {

enum class unit { number, bytes, nanoseconds, percent, ratio };
/// As JSON and the charts spell it.
[[nodiscard]] const char* name_of(unit in);

/// What others say about the same thing.
struct beside {
    std::string reported = "-";
    std::string reference = "-";
};

struct row {
    std::string label;
    unit in = unit::number;
    std::vector<double> values;  // of each repetition; empty: the finding is `text`
    std::string text;
    beside others;
};

struct check {
    std::string sentence;
    std::string seen;
    std::string expected;
    bool passed = false;
};

struct curve {
    struct line {
        std::string name;
        std::vector<double> values;  // one for each x; a negative one leaves a gap
    };
    std::string title;
    std::string x_label;
    std::string y_label;
    bool log_x = false;
    bool log_y = false;
    unit in = unit::number;
    std::vector<double> x;
    std::vector<line> lines;
};

struct findings {
    std::vector<row> rows;
    std::vector<check> checks;
    std::vector<std::string> impossible;
    std::vector<std::string> notes;
    std::vector<std::string> refused;
    std::vector<curve> curves;
    std::string failure;  // the run ended early: why

    /// Adds another repetition: values to the rows of the same label, checks to the checks.
    void add(findings other);
    [[nodiscard]] bool passed() const;

    /// As bytes, for the way from a child process; and back.
    [[nodiscard]] std::string pack() const;
    [[nodiscard]] static findings unpack(const std::string& text);
};

/// "12,345", "64.0 MiB", "1.23 us", "4.2 %", "1.44".
[[nodiscard]] std::string format_value(double value, unit in);
/// What is wider stands on lines of its own, beside no other column.
inline constexpr std::size_t widest_cell = 34;
/// The median, and the spread behind it when there are several.
[[nodiscard]] std::string format_row(const row& r);

}  // namespace steady::cli::lab
