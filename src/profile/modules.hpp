// modules.hpp - the program and its libraries as they are mapped now: which file an
// address belongs to, and the build-id by which pprof and debuggers find its symbols.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace steady::profile::detail {

struct module {
    std::string path;
    std::string build_id;      // hex; empty: it has none
    std::uintptr_t bias = 0;   // address - what the file says
    std::uintptr_t start = 0;  // of its executable part
    std::uintptr_t limit = 0;
    std::uint64_t file_offset = 0;  // of `start`
};

struct module_list {
    std::vector<module> modules;  // the program first
    std::uint64_t loads = 0;      // libraries ever loaded and unloaded
    std::uint64_t unloads = 0;

    [[nodiscard]] const module* find(std::uintptr_t address) const noexcept {
        for (const module& m : modules) {
            if (address - m.start < m.limit - m.start) return &m;
        }
        return nullptr;
    }
};

/// Threads    any; takes the loader's lock, so never from a hook or a signal handler.
[[nodiscard]] module_list read_modules();

}  // namespace steady::profile::detail
