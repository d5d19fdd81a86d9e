// machine.cpp - see machine.hpp.
#include "support/machine.hpp"

#include <fstream>

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/utsname.h>

#include "steady/core/version.hpp"

namespace steady::cli {
namespace {

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// x86 says "model name"; AArch64 kernels say only numbers, so the machine's
/// architecture is the best name there is.
std::string processor_name(const utsname& system) {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) {
            return line.substr(colon + 2);
        }
    }
    return system.machine;
}

/// The choice in brackets: "always [madvise] never".
std::string huge_page_mode() {
    const std::string line = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
    const std::size_t open = line.find('[');
    const std::size_t close = line.find(']');
    if (open == std::string::npos || close == std::string::npos) return "unknown";
    return line.substr(open + 1, close - open - 1);
}

/// A misspelt LD_PRELOAD is only a warning of the dynamic linker, so the linker
/// is asked whose malloc this process really calls.
std::string malloc_provider() {
    Dl_info where{};
    void* function = dlsym(RTLD_DEFAULT, "malloc");
    if (function == nullptr || dladdr(function, &where) == 0 || where.dli_fname == nullptr) {
        return "unknown";
    }
    return where.dli_fname;
}

}  // namespace

machine_facts describe_machine() {
    utsname system{};
    uname(&system);
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    const bool known = sched_getaffinity(0, sizeof allowed, &allowed) == 0;
    return {processor_name(system),
            known ? static_cast<unsigned>(CPU_COUNT(&allowed)) : 1u,
            std::string(system.sysname) + " " + system.release,
            huge_page_mode(),
            build_description(),
            malloc_provider(),
            std::string("glibc ") + gnu_get_libc_version()};
}

}  // namespace steady::cli
