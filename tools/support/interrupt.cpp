// interrupt.cpp - see interrupt.hpp. The handlers are installed without
// SA_RESTART: a blocked read() must return, or Ctrl-C would wait for it.
#include "support/interrupt.hpp"

#include <csignal>

#include "support/exit_code.hpp"

namespace steady::cli {
namespace {

volatile std::sig_atomic_t seen_signal = 0;
struct sigaction previous_int;
struct sigaction previous_term;

void note(int signal) {
    seen_signal = signal;
}

}  // namespace

interrupt_scope::interrupt_scope() noexcept {
    seen_signal = 0;
    struct sigaction action {};
    action.sa_handler = note;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &previous_int);
    sigaction(SIGTERM, &action, &previous_term);
}

interrupt_scope::~interrupt_scope() {
    sigaction(SIGINT, &previous_int, nullptr);
    sigaction(SIGTERM, &previous_term, nullptr);
}

void check_interrupt() {
    if (const int signal = seen_signal; signal != 0) throw stopped_by_signal{signal};
}

void default_interrupts() noexcept {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

}  // namespace steady::cli
