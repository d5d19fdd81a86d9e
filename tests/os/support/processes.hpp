// processes.hpp - parts of tests that need a process of their own: limits that bind the
// whole process, exits, forks, and options that are read once from the environment.

#pragma once

#include <cstdlib>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace steady::testing {

#if !defined(__has_feature)
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
inline constexpr bool thread_sanitized = true;  // refuses to start threads after a fork
#else
inline constexpr bool thread_sanitized = false;
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = thread_sanitized;
#endif

/// How a process ended: its exit code, or 1000 + the signal that killed it.
inline int outcome_of(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// Runs `body` in a forked child; what it returns is the exit code.
template <class Body>
int in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    return outcome_of(child);
}

/// Runs one test of this program again, as a new process with STEADY_DEBUG set. The test's
/// name starts with DISABLED_, so that it does not run without.
inline int rerun_with(const char* steady_debug, const char* test) {
    const pid_t child = fork();
    if (child == 0) {
        setenv("STEADY_DEBUG", steady_debug, 1);
        const std::string filter = std::string("--gtest_filter=") + test;
        execl("/proc/self/exe", "rerun", filter.c_str(), "--gtest_also_run_disabled_tests",
              "--gtest_brief=1", nullptr);
        _exit(127);
    }
    return outcome_of(child);
}

}  // namespace steady::testing
