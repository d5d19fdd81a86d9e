// terminal.hpp - what may be written where: colour on stdout, progress on stderr.
//
// A pipe or a file gets neither. NO_COLOR (https://no-color.org) and TERM=dumb
// are respected.
#pragma once

#include <string>
#include <string_view>

namespace steady::cli {

/// Whether stdout is a terminal that shows colours.
bool colour_on_stdout();

/// One line on stderr that rewrites itself, and only when stderr is a terminal.
/// The destructor wipes it, so an error message starts on a clean line.
class progress_line {
public:
    progress_line();
    ~progress_line();
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;

    bool visible() const { return visible_; }
    void show(std::string_view text);
    void wipe();

private:
    bool visible_;
    bool dirty_ = false;
};

/// Writes `text` to stdout and makes sure it arrived.
///
/// Throws     check_failure when the device is full or closed: a report that
///            was lost must not end with exit code 0.
void write_stdout(const std::string& text);

/// Writes "steady: <text>" and a line end to stderr.
void warn(std::string_view text);

}  // namespace steady::cli
