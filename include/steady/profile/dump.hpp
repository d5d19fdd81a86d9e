// dump.hpp - profiles as files: at a signal, when live bytes pass a limit, when an
// allocation fails, and when the process ends.
//
//   heap-%p-%n.pb.gz        %p: the process id, %n: the number of the profile in it
//
// A file is there whole or not at all: it is written under another name beside its place
// and then renamed. What is not a regular file (/dev/stdout, a pipe) is written directly.
// Two files of one program are compared by `go tool pprof -base FIRST SECOND`.
//
// One thread does the writing; it exists once watch() was asked for anything but the end.
// A program that ends by _exit, exec or a signal leaves no profile of its end.
#pragma once

#include <cstdint>
#include <string>

#include "steady/profile/profile.hpp"

namespace steady::profile {

/// Writes a profile to `path`.
///
/// Returns    an empty text, or what failed and what to do.
/// Throws     std::bad_alloc.
[[nodiscard]] std::string write_file(kind what, const std::string& path, const options& how = {});

/// Writes `bytes` to `path` in the same way.
///
/// Returns    an empty text, or what failed and what to do.
[[nodiscard]] std::string write_bytes(const std::string& path, const std::string& bytes);
/// A path with the process id in place of %p and `number` in place of %n.
[[nodiscard]] std::string expand_path(const std::string& pattern, std::uint64_t number);

struct dump_settings {
    std::string profile_file;  // heap; empty: none
    std::string allocs_file;   // at the end only
    int signal = 0;            // 0: none. SIGUSR2 is the usual one
    std::uint64_t live_limit = 0;
    bool on_failure = false;
    bool at_exit = false;
};

/// Writes profiles from now on when the settings say so; mistakes go to stderr. Later
/// calls replace the settings.
///
/// Returns    an empty text, or what cannot be had: a signal that the program handles.
/// Threads    one at a time.
[[nodiscard]] std::string watch(const dump_settings& settings);

/// Profiles written and profiles that failed, since the start.
struct dump_counts {
    std::uint64_t written;
    std::uint64_t failed;
};
[[nodiscard]] dump_counts read_dump_counts() noexcept;

}  // namespace steady::profile
