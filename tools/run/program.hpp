// program.hpp - finds the program a user named and says whether a preloaded
// library can reach it.
//
// LD_PRELOAD is read by the dynamic loader, so it does nothing, and says
// nothing, for a program that has none (statically linked), that the loader
// protects from its caller (setuid, setgid, file capabilities), or whose loader
// cannot use the library (32-bit, another machine, another libc). A user who
// compares heaps must hear about that.
//
// For a script the file in its first line is what counts.
#pragma once

#include <string>
#include <vector>

namespace steady::cli::run {

/// Where exec would find `name`: itself when it has a slash, else along PATH.
struct found_program {
    std::string path;                   // empty: not found
    int reason = 0;                     // errno when it cannot be executed: ENOENT, EACCES
    std::vector<std::string> searched;  // directories without it, for the message
};
found_program find_program(const std::string& name);

/// Why a preloaded library would have no effect on `path`; empty when it has one.
std::string why_preload_fails(const std::string& path);

}  // namespace steady::cli::run
