// interrupt.hpp - Ctrl-C as an exception instead of sudden death.
//
// A handler may do next to nothing, so it notes the signal's number and
// returns. Long loops call check_interrupt(), which throws; the stack unwinds,
// children are ended, and the process leaves with 128 + signal.
#pragma once

namespace steady::cli {

/// Listens to SIGINT and SIGTERM for the lifetime of the object; the
/// dispositions found are put back at its end. One at a time per process.
class interrupt_scope {
public:
    interrupt_scope() noexcept;
    ~interrupt_scope();
    interrupt_scope(const interrupt_scope&) = delete;
    interrupt_scope& operator=(const interrupt_scope&) = delete;
};

/// Throws    stopped_by_signal when a signal came since the scope was opened.
/// Cost      one load; meant for every file read, not for every word.
void check_interrupt();

/// For a child after fork(): both signals end it at once again.
void default_interrupts() noexcept;

}  // namespace steady::cli
