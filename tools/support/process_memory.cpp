// process_memory.cpp - see process_memory.hpp.
#include "support/process_memory.hpp"

#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace steady::cli {
namespace {

/// The first 4 KiB of a file in /proc: every line looked for here lies within.
class proc_file {
public:
    explicit proc_file(const char* path) noexcept {
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) return;
        const ssize_t length = read(file, text_, sizeof text_ - 1);
        close(file);
        text_[length > 0 ? length : 0] = '\0';
    }

    /// The number behind `key`, in bytes ("RssFile:   1728 kB"); 0 when there is none.
    std::uint64_t bytes_after(const char* key) const noexcept {
        const char* line = std::strstr(text_, key);
        return line == nullptr ? 0 : std::strtoull(line + std::strlen(key), nullptr, 10) * 1024;
    }

private:
    char text_[4096] = {};
};

}  // namespace

std::uint64_t resident_bytes() noexcept {
    const std::uint64_t exact = proc_file("/proc/self/smaps_rollup").bytes_after("\nAnonymous:");
    return exact != 0 ? exact : proc_file("/proc/self/status").bytes_after("\nRssAnon:");
}

std::uint64_t peak_resident_bytes() noexcept {
    const proc_file status("/proc/self/status");
    return status.bytes_after("\nVmHWM:") - status.bytes_after("\nRssFile:") -
           status.bytes_after("\nRssShmem:");
}

process_counts read_process_counts() noexcept {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    timespec cpu{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return {static_cast<std::uint64_t>(cpu.tv_sec) * 1'000'000'000u +
                static_cast<std::uint64_t>(cpu.tv_nsec),
            static_cast<std::uint64_t>(usage.ru_minflt),
            static_cast<std::uint64_t>(usage.ru_majflt),
            static_cast<std::uint64_t>(usage.ru_nivcsw)};
}

}  // namespace steady::cli
