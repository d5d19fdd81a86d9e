// pipe_signals.hpp - what a library writes when a program ends must not end it.
//
// A write to a pipe that nobody reads any more sends SIGPIPE, which would turn the exit
// code 0 of a program that has done its work into 141. While a pipe_signals_wait lives, the
// calling thread's SIGPIPE waits; the one that its own writes raised is taken back.

#pragma once

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace steady {

/// Threads    of the calling thread alone. Allocates nothing.
class pipe_signals_wait {
public:
    pipe_signals_wait() noexcept {
        sigset_t pending;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigemptyset(&pending);
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~pipe_signals_wait() {
        const timespec at_once{};
        if (!was_pending_) sigtimedwait(&pipe_, nullptr, &at_once);  // ours, if there is one
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    pipe_signals_wait(const pipe_signals_wait&) = delete;
    pipe_signals_wait& operator=(const pipe_signals_wait&) = delete;

private:
    sigset_t pipe_, before_;
    bool was_pending_ = false;
};

}  // namespace steady
