// life_cycle.cpp - what the library does when a process loads it, and the
// statistics it leaves behind when the process ends.
//
//   STEADY_DEBUG=stats_at_exit=1                  text on stderr
//   ...,stats_json=1                              JSON instead
//   ...,stats_file=/tmp/heap-%p.txt               to a file; %p is the process id
//
// They are written by this library's destructor. exit() runs it after the
// program's own atexit functions and before libc's, so a process that ends by
// _exit, exec or a signal leaves none. A program that forks writes them for each
// process that calls exit; with one stats_file for all, the last writer stays,
// and that is usually the parent.
//
// Nothing here allocates: the statistics of a process do not count themselves.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "family.hpp"
#include "statistics_text.hpp"
#include "steady/core/fatal.hpp"
#include "steady/core/kept_stderr.hpp"
#include "steady/core/options.hpp"
#include "steady/core/pipe_signals.hpp"

namespace steady::detail {

namespace {

constinit kept_stderr stderr_of_the_start{};

// Copies the path with the process id in place of %p; false when it does not fit.
bool expand_path(const char* pattern, char* path, std::size_t capacity) noexcept {
    std::size_t used = 0;
    const auto put = [&](char c) { return used + 1 < capacity ? (path[used++] = c, true) : false; };
    for (const char* p = pattern; *p != '\0'; ++p) {
        if (p[0] != '%' || p[1] != 'p') {
            if (!put(*p)) return false;
            continue;
        }
        ++p;
        char digits[20];
        std::size_t count = 0;
        for (auto id = static_cast<std::uint64_t>(getpid()); id != 0; id /= 10) {
            digits[count++] = static_cast<char>('0' + id % 10);
        }
        while (count != 0) {
            if (!put(digits[--count])) return false;
        }
    }
    path[used] = '\0';
    return true;
}

void report_unwritten(const char* path, int system_errno) noexcept {
    warn(message("malloc")
             .text("the statistics were not written to ")
             .text(path)
             .text(" (errno ")
             .number(static_cast<std::uint64_t>(system_errno))
             .text(").")
             .line("stats_file in STEADY_DEBUG must name a file that this process may create."));
}

void write_statistics_file(const debug_options& wanted) noexcept {
    char path[sizeof wanted.stats_file + 64];
    if (!expand_path(wanted.stats_file, path, sizeof path)) {
        return report_unwritten(wanted.stats_file, ENAMETOOLONG);
    }
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return report_unwritten(path, errno);
    if (!write_statistics(file, wanted.stats_json)) report_unwritten(path, errno);
    close(file);
}

// 101 is the first priority a program may use: ready before other constructors
// of this object, though malloc is usually called long before.
[[gnu::constructor(101)]] void library_loaded() noexcept {
    if (!ready()) return;  // cannot be: libraries are relocated before constructors run
    const debug_options& wanted = options();
    if (wanted.stats_at_exit && wanted.stats_file[0] == '\0') stderr_of_the_start.keep();
}

[[gnu::destructor(101)]] void process_ends() noexcept {
    const debug_options& wanted = options();
    if (!wanted.stats_at_exit) return;
    const pipe_signals_wait no_signal;
    if (wanted.stats_file[0] != '\0') return write_statistics_file(wanted);
    const int file = stderr_of_the_start.file();
    if (file >= 0) write_statistics(file, wanted.stats_json);
}

}  // namespace

}  // namespace steady::detail
