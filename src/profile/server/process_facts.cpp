// process_facts.cpp - what the kernel knows about this process.
//
// /proc/self is the process, also for a thread with a descriptor table of its own: `fd`
// there is the program's table, which is the one that people ask about. Read with plain
// system calls, because stdio and opendir() allocate.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string_view>

#include "steady/profile/detail/http_request.hpp"
#include "steady/profile/detail/web_pages.hpp"

namespace steady::web {
namespace {

/// A whole small file of /proc; empty when it cannot be read.
template <std::size_t N>
std::string_view read_small(const char* path, char (&buffer)[N]) noexcept {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    std::size_t size = 0;
    while (size < N) {
        const ssize_t got = read(file, buffer + size, N - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    close(file);
    return {buffer, size};
}

/// The n-th word, counted from 0.
std::string_view word(std::string_view text, unsigned n) noexcept {
    while (true) {
        while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
        const std::size_t end = text.find_first_of(" \n");
        if (n-- == 0) return text.substr(0, end);
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end);
    }
}

std::uint64_t status_line(std::string_view status, std::string_view name) noexcept {
    const std::size_t at = status.find(name);
    if (at == std::string_view::npos) return 0;
    std::string_view value = status.substr(at + name.size());
    const std::size_t digits = value.find_first_of("0123456789");
    if (digits == std::string_view::npos) return 0;
    value.remove_prefix(digits);
    return number_in(value.substr(0, value.find_first_not_of("0123456789")), 0);
}

std::uint64_t count_descriptors() noexcept {
    const int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return 0;
    alignas(8) char entries[4096];
    std::uint64_t count = 0;
    long got = 0;
    while ((got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
        for (long at = 0; at < got;) {
            std::uint16_t length = 0;  // struct linux_dirent64: d_ino, d_off, d_reclen, d_type
            std::memcpy(&length, entries + at + 16, sizeof length);
            count += entries[at + 19] != '.';
            at += length;
        }
    }
    close(folder);
    return count;
}

double seconds_of(clockid_t clock) noexcept {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

}  // namespace

std::uint64_t read_resident() noexcept {
    char buffer[256];
    return number_in(word(read_small("/proc/self/statm", buffer), 1), 0) *
           static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

process_facts read_process_facts() noexcept {
    process_facts facts;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    char buffer[4096];
    const std::string_view statm = read_small("/proc/self/statm", buffer);
    facts.virtual_size = number_in(word(statm, 0), 0) * page;
    facts.resident = number_in(word(statm, 1), 0) * page;
    const std::string_view status = read_small("/proc/self/status", buffer);
    facts.peak_resident = status_line(status, "VmHWM:") * 1024;
    facts.threads = status_line(status, "Threads:");
    // The name in parentheses may hold spaces and parentheses.
    std::string_view stat = read_small("/proc/self/stat", buffer);
    if (const std::size_t end = stat.rfind(')'); end != std::string_view::npos) {
        stat.remove_prefix(end + 1);
        const double since_boot = static_cast<double>(number_in(word(stat, 19), 0)) /
                                  static_cast<double>(sysconf(_SC_CLK_TCK));
        facts.start_time = seconds_of(CLOCK_REALTIME) - (seconds_of(CLOCK_BOOTTIME) - since_boot);
    }
    facts.cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    facts.minor_faults = static_cast<std::uint64_t>(usage.ru_minflt);
    facts.major_faults = static_cast<std::uint64_t>(usage.ru_majflt);
    facts.open_descriptors = count_descriptors();
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    facts.descriptor_limit = limit.rlim_cur;
    return facts;
}

void append_command_line(page_text& out) noexcept {
    const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    while (out.make_room(4096) && out.size() < (std::size_t{1} << 20)) {
        const ssize_t got = read(file, out.data() + out.size(), out.capacity() - out.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        out.append_from_room(static_cast<std::size_t>(got));
    }
    close(file);
}

}  // namespace steady::web
