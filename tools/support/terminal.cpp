// terminal.cpp - see terminal.hpp.
#include "support/terminal.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/exit_code.hpp"

namespace steady::cli {
namespace {

bool dumb_terminal() {
    const char* term = std::getenv("TERM");
    return term == nullptr || std::strcmp(term, "dumb") == 0;
}

/// Columns of the terminal behind stderr. A longer progress line would wrap,
/// and a carriage return wipes only its last part.
std::size_t columns() {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

}  // namespace

bool colour_on_stdout() {
    const char* refused = std::getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && !dumb_terminal() &&
           (refused == nullptr || *refused == '\0');
}

progress_line::progress_line() : visible_(isatty(STDERR_FILENO) == 1 && !dumb_terminal()) {}

progress_line::~progress_line() {
    wipe();
}

void progress_line::show(std::string_view text) {
    if (!visible_) return;
    dirty_ = true;
    fmt::print(stderr, "\r\x1b[K{}", text.substr(0, columns() - 1));
    std::fflush(stderr);
}

void progress_line::wipe() {
    if (!dirty_) return;
    dirty_ = false;
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
}

void write_stdout(const std::string& text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (!written || std::fflush(stdout) != 0) {
        throw check_failure(
            fmt::format("the output could not be written to stdout: {}", std::strerror(errno)));
    }
}

void warn(std::string_view text) {
    fmt::print(stderr, "steady: {}\n", text);
}

}  // namespace steady::cli
