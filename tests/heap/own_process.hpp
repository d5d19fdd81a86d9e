// own_process.hpp - statements that need a process of their own: those that stop
// the program, and those that need other options, which a process reads once.
//
//   expect_stops("check=1", [] { free_twice(); }, "twice");
//   expect_passes("pretend_nodes=3", [] { EXPECT_EQ(...); });
//
// The child begins with main() and STEADY_DEBUG as given, runs this test up to the
// statement, and ends there. So what a test does before comes again in each child.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/wait.h>

namespace steady::test {

/// STEADY_DEBUG for children that begin while it lives.
class own_process {
public:
    explicit own_process(const char* steady_debug) : style_{GTEST_FLAG_GET(death_test_style)} {
        setenv("STEADY_DEBUG", steady_debug, 1);
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }
    ~own_process() {
        GTEST_FLAG_SET(death_test_style, style_);
        unsetenv("STEADY_DEBUG");
    }
    own_process(const own_process&) = delete;
    own_process& operator=(const own_process&) = delete;

private:
    std::string style_;
};

/// By a signal, or by the exit code with which a sanitizer reports one.
inline bool ended_badly(int status) {
    return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0);
}

inline bool ended_well(int status) {
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// `body` ends its process badly, and what stderr says then matches `text` (POSIX regex).
template <class Body>
void expect_stops(const char* steady_debug, Body body, const std::string& text) {
    SCOPED_TRACE("expected: " + text);
    const own_process child(steady_debug);
    EXPECT_EXIT(body(), ended_badly, text);
}

/// `body`, with expectations of its own, passes.
template <class Body>
void expect_passes(const char* steady_debug, Body body) {
    SCOPED_TRACE(steady_debug);
    const own_process child(steady_debug);
    const auto run = [&body] {
        body();
        // A child prints nothing of what failed in it; the parent shows its stderr.
        const testing::TestResult& seen =
            *testing::UnitTest::GetInstance()->current_test_info()->result();
        for (int i = 0; i < seen.total_part_count(); ++i) {
            const testing::TestPartResult& part = seen.GetTestPartResult(i);
            if (part.failed())
                std::fprintf(stderr, "%s:%d\n%s\n", part.file_name(), part.line_number(),
                             part.summary());
        }
        std::_Exit(testing::Test::HasFailure() ? 1 : 0);
    };
    EXPECT_EXIT(run(), ended_well, "");
}

}  // namespace steady::test
