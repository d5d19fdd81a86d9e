// meter.cpp - see meter.hpp.
#include "steady/audit/meter.hpp"

#include <cstdio>

#include "steady/core/fatal.hpp"
#include "steady/core/hooks.hpp"

namespace steady::audit {

namespace {

thread_local const char this_thread = 0;

void look_at_growth(void* context, const growth_event&) {
    static_cast<memory_meter*>(context)->checkpoint();
}

}  // namespace

memory_meter::memory_meter(peaks when) noexcept : before_{read_statistics()} {
    if (when != peaks::at_growths || growth_hook.armed()) return;
    thread_ = &this_thread;
    growth_hook.install(look_at_growth, this);
}
memory_meter::~memory_meter() {
    if (thread_ != nullptr) growth_hook.remove();
}

void memory_meter::checkpoint() noexcept {
    if (thread_ != nullptr && thread_ != &this_thread) return;  // a growth of somebody else
    static_cast<void>(read());
}

metered memory_meter::read() noexcept {
    const heap_statistics now = read_statistics();
    metered m;
    m.bytes = now.total_alloc - before_.total_alloc;
    m.objects = now.mallocs - before_.mallocs;
    m.live_bytes = static_cast<std::int64_t>(now.heap_alloc - before_.heap_alloc);
    m.live_objects = static_cast<std::int64_t>(now.heap_objects - before_.heap_objects);
    if (m.live_bytes > peak_) peak_ = m.live_bytes;
    m.peak_bytes = peak_;
    m.readings = ++readings_;
    return m;
}

allocated_error::allocated_error(const broken_promise& b) noexcept : promise_{b} {
    std::snprintf(
        text_, sizeof text_,
        "steady: audit: no_alloc_scope '%.80s': %llu objects of %llu bytes were allocated", b.scope,
        static_cast<unsigned long long>(b.objects), static_cast<unsigned long long>(b.bytes));
}

namespace {

message text_of(const broken_promise& b) noexcept {
    message m("audit");
    m.text("no_alloc_scope '")
        .text(b.scope)
        .text("': ")
        .number(b.objects)
        .text(" objects of ")
        .number(b.bytes)
        .text(" bytes were allocated, 0 were expected.");
    m.line("A container grew, a string left its inner room, or a library took memory.");
    m.line("steady run --allocs FILE -- PROGRAM names the callers.");
    return m;
}

}  // namespace

void stop_on_allocation(const broken_promise& b) noexcept {
    fatal(text_of(b));
}
void throw_on_allocation(const broken_promise& b) {
    throw allocated_error(b);
}
void report_allocation(const broken_promise& b) noexcept {
    warn(text_of(b));
}

broken_promise no_alloc_scope::so_far() noexcept {
    if (!before_.exact) {
        const heap_statistics now = read_statistics();
        return {name_, now.mallocs - all_before_.mallocs,
                now.total_alloc - all_before_.total_alloc};
    }
    const thread_statistics now = read_thread_statistics();
    return {name_, now.mallocs - before_.mallocs, now.total_alloc - before_.total_alloc};
}

no_alloc_scope::~no_alloc_scope() noexcept(false) {
    const broken_promise b = so_far();
    if (b.objects == 0 && b.bytes == 0) return;
    if (std::uncaught_exceptions() > exceptions_) {
        report_allocation(b);  // throwing now would end the program without a word
    } else {
        handler_(b);
    }
}

}  // namespace steady::audit
