// clocks.hpp - the four readings every benchmark of this tree takes: CPU time of
// the calling thread, CPU time of the whole process, wall time, and memory.
//
// Terms   thread time: what the caller paid.  process time: what everybody paid,
//         so a heap that moves its work to a helper thread shows it there.
//         resident: pages in memory now.      peak: the most that ever were.
//
// Why not std::chrono: it has no CPU clock, and wall time on a shared machine
// measures the neighbours. Nothing here allocates, so a reading never disturbs
// the heap that is being measured.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

namespace steady::bench {

inline std::uint64_t read_clock(clockid_t which) {
    timespec now{};
    clock_gettime(which, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::uint64_t thread_cpu_ns() {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}
inline std::uint64_t process_cpu_ns() {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
inline std::uint64_t wall_ns() {
    return read_clock(CLOCK_MONOTONIC);
}

/// Bytes of this process in memory now.
///
/// Returns    0 when /proc cannot be read.
/// Cost       three system calls and the kernel's walk of its own counters, no allocation.
inline std::uint64_t resident_bytes() {
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    char text[128];
    const ssize_t length = read(file, text, sizeof text);
    close(file);
    std::uint64_t field = 0;
    std::uint64_t pages = 0;
    for (ssize_t i = 0; i < length && field < 2; ++i) {  // "total resident shared ..."
        if (text[i] == ' ') {
            ++field;
        } else if (field == 1) {
            pages = pages * 10 + static_cast<std::uint64_t>(text[i] - '0');
        }
    }
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// The largest number of bytes this program ever had in memory: VmHWM. getrusage
/// would also count the image before exec, a Python of 30 MB as often as not.
///
/// Returns    0 when /proc cannot be read.
inline std::uint64_t peak_resident_bytes() {
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    char text[4096];
    const ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    const char* line = std::strstr(text, "VmHWM:");
    return line == nullptr ? 0 : std::strtoull(line + 6, nullptr, 10) * 1024;
}

}  // namespace steady::bench
