#include "run/environment.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "steady/core/options.hpp"
#include "support/exit_code.hpp"

namespace steady::cli::run {
namespace {

namespace fs = std::filesystem;

constexpr const char* library_name = "libsteady_malloc.so";
constexpr const char* profiler_name = "libsteady_profile.so";

/// A path that STEADY_DEBUG can carry. Absolute, because the program may end in another
/// directory.
std::string path_value(const std::string& option, const std::string& file, std::size_t longest) {
    std::string path = fs::absolute(file).lexically_normal().string();
    if (path.find(',') != std::string::npos) {
        throw usage_error(
            fmt::format("{}: '{}' has a comma, which ends a value in STEADY_DEBUG", option, path));
    }
    if (path.size() > longest) {
        throw usage_error(fmt::format("{}: '{}' has {} bytes, and at most {} fit", option, path,
                                      path.size(), longest));
    }
    return path;
}

std::string text_value(const char* option, const std::string& text, std::size_t longest) {
    if (text.find(',') != std::string::npos || text.size() > longest) {
        throw usage_error(fmt::format(
            "{}: '{}' has a comma or more than {} bytes, which STEADY_DEBUG cannot hold", option,
            text, longest));
    }
    return text;
}

}  // namespace

found_library find_library() {
    found_library found;
    const auto look_at = [&](const fs::path& path) {
        found.searched.push_back(path.lexically_normal().string());
        std::error_code unreadable;
        if (!fs::is_regular_file(path, unreadable)) return false;
        // Absolute, because the program may look from another directory.
        found.path = fs::canonical(path).string();
        return true;
    };
    if (const char* named = std::getenv("STEADY_MALLOC_LIBRARY");
        named != nullptr && *named != '\0') {
        look_at(named);
        return found;
    }
    std::error_code unreadable;
    const fs::path here = fs::read_symlink("/proc/self/exe", unreadable).parent_path();
    // Without /proc nobody knows where this command is. The current directory is no answer:
    // whoever put a library there would have it run.
    if (here.empty()) return found;
    for (const fs::path& path :
         {here / library_name, here / STEADY_MALLOC_FROM_BIN, here / ".." / "lib" / library_name,
          here / ".." / "lib64" / library_name}) {
        if (look_at(path)) break;
    }
    return found;
}

found_library find_profiler(const std::string& heap_library) {
    found_library found;
    const char* named = std::getenv("STEADY_PROFILE_LIBRARY");
    const fs::path path = named != nullptr && *named != '\0'
                              ? fs::path(named)
                              : fs::path(heap_library).parent_path() / profiler_name;
    found.searched.push_back(path.lexically_normal().string());
    std::error_code unreadable;
    if (fs::is_regular_file(path, unreadable)) found.path = fs::canonical(path).string();
    return found;
}

std::string preload_list(const std::string& library, const char* before) {
    if (library.find_first_of(": ") != std::string::npos) {
        throw check_failure(fmt::format(
            "the loader cannot preload '{}': it takes a colon or a space for the end of the "
            "name.\n  Set STEADY_MALLOC_LIBRARY to a copy or a link without them",
            library));
    }
    if (before == nullptr || *before == '\0') return library;
    return fmt::format("{}:{}", library, before);
}

std::string debug_list(const statistics_wish& wish, const profile_wish& profile,
                       const char* before) {
    std::string list = before != nullptr ? before : "";
    const auto add = [&list](std::string_view pair) {
        if (!list.empty()) list += ',';
        list += pair;
    };
    if (wish.wanted) {
        add("stats_at_exit=1");
        add(wish.json ? "stats_json=1" : "stats_json=0");
        if (!wish.file.empty())
            add("stats_file=" +
                path_value("--stats-file", wish.file, sizeof(debug_options::stats_file) - 1));
    }
    if (!profile.heap_file.empty())
        add("profile_file=" +
            path_value("--profile", profile.heap_file, sizeof(debug_options::profile_file) - 1));
    if (!profile.allocs_file.empty())
        add("allocs_file=" +
            path_value("--allocs", profile.allocs_file, sizeof(debug_options::allocs_file) - 1));
    if (!profile.http.empty()) {
        add("http=" + text_value("--http", profile.http, sizeof(debug_options::http) - 1));
        if (profile.http_any) add("http_any=1");
        // The program takes the place of this process, so this will be its id; children
        // that inherit the variable have others.
        add(fmt::format("http_process={}", getpid()));
    }
    if (profile.report) add("report=1");
    if (!profile.report_file.empty())
        add("report_file=" +
            path_value("--report", profile.report_file, sizeof(debug_options::report_file) - 1));
    if (!profile.rate.empty()) add("profilerate=" + profile.rate);
    return list;
}

}  // namespace steady::cli::run
