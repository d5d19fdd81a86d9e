// exit_code.hpp - how every command of `steady` ends, written once.
//
//   0    done
//   1    a check failed: two answers that must agree differ, or output was lost
//   2    wrong usage: an unknown option, or input there is nothing to do with
//   130  stopped by Ctrl-C (143: by SIGTERM), as a shell expects: 128 + signal
//
// A command does not print its last words itself. It throws one of the types
// below and main() prints the message and chooses the code, so that all
// commands fail in the same voice.
#pragma once

#include <stdexcept>

namespace steady::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_check_failed = 1;
inline constexpr int exit_wrong_usage = 2;
inline constexpr int exit_signal_base = 128;

/// The caller must change the command line or its input.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The command line was fine and the work could not be done, or its result is wrong.
class check_failure : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A signal asked the command to stop. Destructors between here and main()
/// end child processes and clear the progress line.
struct stopped_by_signal {
    int signal;
};

}  // namespace steady::cli
