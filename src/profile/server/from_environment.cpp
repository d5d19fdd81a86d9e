// from_environment.cpp - what STEADY_DEBUG asks of every process that has the profiler,
// linked or preloaded: the debug server at the start, the report at the end.
//
//   http=127.0.0.1:6060             see debug_server.hpp
//   report=1,report_file=top.html   see below
//
// The report is written by an atexit function that is registered before main, and so runs
// after those of the program. A process that ends by _exit, exec or a signal leaves none.
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>

#include "../recorder.hpp"
#include "steady/core/fatal.hpp"
#include "steady/core/kept_stderr.hpp"
#include "steady/core/options.hpp"
#include "steady/core/pipe_signals.hpp"
#include "steady/profile/debug_server.hpp"
#include "steady/profile/detail/report.hpp"
#include "steady/profile/dump.hpp"
#include "steady/profile/profile.hpp"

namespace steady {
namespace {

constinit kept_stderr stderr_of_the_start{};

void write_to_stderr_of_the_start(std::string_view text) noexcept {
    const int file = stderr_of_the_start.file();
    if (file < 0) return;
    const pipe_signals_wait no_signal;
    while (!text.empty()) {
        const ssize_t wrote = write(file, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

void write_report(const debug_options& wanted) {
    const auto records = profile::snapshot(profile::kind::heap);
    if (wanted.report) {
        web::page_text out;
        out.text("steady: profile: allocations of ").text(program_invocation_short_name);
        out.text(", process ").number(static_cast<std::uint64_t>(getpid()));
        const std::uint64_t rate = profile::rate();
        if (rate == 0) out.text("; nothing was sampled, for profilerate is 0");
        if (rate == 1) out.text(", every object");
        if (rate > 1) {
            out.text(", estimated from one sample in ");
            out.text(web::in_unit(static_cast<std::int64_t>(rate), "bytes"));
        }
        out.text("\n");
        web::write_top_text(records, profile::kind::heap, profile::alloc_space, 15, out);
        out.text("\n");
        web::write_top_text(records, profile::kind::heap, profile::inuse_space, 10, out);
        write_to_stderr_of_the_start(out.view());
    }
    if (wanted.report_file[0] == '\0') return;
    web::page_text page;
    web::write_flame_page(records, page);
    std::string problem = page.failed()
                              ? "the report was not written: there is no memory for it."
                              : profile::write_bytes(profile::expand_path(wanted.report_file, 1),
                                                     std::string(page.view()));
    if (!problem.empty()) {
        message text("profile");
        text.text(problem.c_str()).text("\n");
        write_to_stderr_of_the_start({text.c_str(), text.length()});
    }
}

void process_ends() noexcept {
    const heap_interface* const heap = profile::detail::heap();
    if (heap == nullptr) return;
    profile::detail::thread_is_unrecorded = true;  // nothing of the program comes after this
    try {
        write_report(heap->options());
    } catch (const std::exception&) {
        write_to_stderr_of_the_start("steady: profile: no report: there is no memory for it.\n");
    }
}

void arrange_report() noexcept {
    const heap_interface* const heap = profile::detail::heap();
    if (heap == nullptr) return;
    const debug_options& wanted = heap->options();
    if (!wanted.report && wanted.report_file[0] == '\0') return;
    stderr_of_the_start.keep();
    profile::start();
    std::atexit(process_ends);
}

}  // namespace
}  // namespace steady

// Named in the link options of steady::profile, so that this file is in every program that
// links it.
extern "C" void steady_profile_from_environment() noexcept {
    steady::start_debug_server_from_environment();
}

namespace {

// Threads may be made here: the constructors of libc and libstdc++ have run, for this
// object needs them. Nobody waits for the thread, which the loader's lock may hold up when
// this object is opened by dlopen().
[[gnu::constructor]] void program_starts() noexcept {
    steady::arrange_report();
    steady_profile_from_environment();
}

}  // namespace
