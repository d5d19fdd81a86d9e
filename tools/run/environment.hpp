// environment.hpp - where libsteady_malloc.so is, and the two environment
// variables that put a program on it.
//
// Searched in this order; the first file found is taken. Without /proc the command does not
// know where it is, and only the first place is left.
//   1  $STEADY_MALLOC_LIBRARY, when set: nothing else is looked at
//   2  beside the command
//   3  where `cmake --install` puts it, seen from the command; then ../lib, ../lib64
//
// libsteady_profile.so lies beside the heap's library, or where $STEADY_PROFILE_LIBRARY says.
#pragma once

#include <string>
#include <vector>

namespace steady::cli::run {

struct found_library {
    std::string path;                   // empty: not found
    std::vector<std::string> searched;  // every file looked for, in order; empty: nowhere
};
found_library find_library();

struct statistics_wish {
    bool wanted = false;
    bool json = false;
    std::string file;  // empty: stderr
};

/// The profiler that goes with the heap in `heap_library`.
found_library find_profiler(const std::string& heap_library);

struct profile_wish {
    std::string heap_file;    // profile_file; empty: none
    std::string allocs_file;  // empty: none
    std::string rate;         // profilerate, as it was given; empty: the default

    std::string http;         // address of the debug server; empty: none
    bool http_any = false;    // it may be one that other machines reach
    bool report = false;      // the top allocators as text at the end
    std::string report_file;  // and as a page; empty: none

    [[nodiscard]] bool wanted() const {
        return !heap_file.empty() || !allocs_file.empty() || !http.empty() || report ||
               !report_file.empty();
    }
};

/// LD_PRELOAD with `library` first and what was there before behind it.
///
/// Throws     check_failure when the path has a character that the loader takes
///            for the end of a name.
std::string preload_list(const std::string& library, const char* before);

/// STEADY_DEBUG with the wishes behind what was there before: the last one counts.
///
/// Throws     usage_error for a file name that STEADY_DEBUG cannot hold.
std::string debug_list(const statistics_wish& wish, const profile_wish& profile,
                       const char* before);

}  // namespace steady::cli::run
