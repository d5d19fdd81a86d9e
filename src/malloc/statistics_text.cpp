// statistics_text.cpp - see statistics_text.hpp. The text is made in a static
// buffer: the caller may be a thread with a stack of 16 KiB, or the last
// destructor of the process.
#include "statistics_text.hpp"

#include <errno.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "family.hpp"
#include "replaced.hpp"
#include "steady/core/fatal.hpp"
#include "steady/heap/statistics.hpp"

namespace steady::detail {

constinit os::mutex statistics_lock;

namespace {

constinit char buffer[std::size_t{32} << 10] = {};

bool write_all(int file, const char* text, std::size_t length) noexcept {
    while (length != 0) {
        const ssize_t wrote = write(file, text, length);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        text += wrote;
        length -= static_cast<std::size_t>(wrote);
    }
    return true;
}

}  // namespace

bool write_statistics(int file, bool json) noexcept {
    const os::lock_guard guard(statistics_lock);
    const heap_statistics now = read_statistics();
    if (json) {
        const std::size_t length = write_statistics_json(now, buffer, sizeof buffer);
        return write_all(file, buffer, length);
    }
    message headline("malloc");
    headline.text("statistics of ")
        .text(program_invocation_short_name)
        .text(", process ")
        .number(static_cast<std::uint64_t>(getpid()))
        .text("\n");
    if (!malloc_is_ours()) {
        headline.text("  The program or a library before this one brings a malloc of its own;\n")
            .text("  below are the few blocks that reached this heap.\n");
    }
    const std::size_t length = write_statistics_text(now, buffer, sizeof buffer);
    return write_all(file, headline.c_str(), headline.length()) && write_all(file, buffer, length);
}

}  // namespace steady::detail
