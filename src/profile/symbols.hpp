// symbols.hpp - from addresses to functions, files and lines, inlined calls included.
//
// The reader of DWARF is elfutils' libdw, loaded with dlopen when the first profile asks
// for names: a program that is only sampled does not load it, and libsteady_profile.so
// needs no library beside libc. Without libdw, names come from the dynamic symbols, and
// pprof can still find the rest by build-id.
//
// Debug files are looked for beside the program and below /usr/lib/debug. Nothing is
// fetched from a network: a profile must not wait for one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "modules.hpp"
#include "steady/profile/profile.hpp"

namespace steady::profile::detail {

struct line {
    std::string function;     // demangled, without its parameters
    std::string system_name;  // as in the symbol table
    std::string file;
    std::int64_t number = 0;
    std::int64_t start = 0;  // line where the function begins
};

/// What one address means: the innermost call first; more than one line when it is in
/// code that was inlined. Empty: unknown.
using lines = std::vector<line>;

/// Of each address. What was found is kept for the next profile, as long as no library is
/// unloaded.
/// Cost       milliseconds for each library that is opened, 10-100 us an address.
[[nodiscard]] std::vector<lines> find_lines(std::span<const std::uintptr_t> addresses,
                                            const module_list& modules);

/// The function is the allocator's or ours: stacks are shown from its caller on.
[[nodiscard]] bool is_plumbing(const std::string& function) noexcept;

/// For the one thread of a forked child.
void forget_symbols_after_fork() noexcept;

}  // namespace steady::profile::detail
