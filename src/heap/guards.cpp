// guards.cpp - guarded objects. The story is in guards.hpp.
#include "steady/heap/detail/guards.hpp"

#include <signal.h>

#include "steady/core/fatal.hpp"
#include "steady/heap/detail/address_map.hpp"
#include "steady/heap/detail/sampler.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/limits.hpp"

namespace steady::detail::guards {

namespace {

constexpr unsigned kept = 64;

struct retired_ring {
    ranked_mutex<lock_rank::quarantine> lock;
    span* spans[kept];
    unsigned next;
};
constinit retired_ring retired{};
constinit std::atomic<bool> watching{false};
constinit std::atomic<std::uint64_t> guarded{0};  // alive or retired
constinit std::atomic<std::uint64_t> most_guarded{0};
constexpr unsigned mappings_each = 2;
constinit struct sigaction previous_segv {};
constinit struct sigaction previous_bus {};

void pass_on(const struct sigaction& previous, int signal, siginfo_t* info,
             void* context) noexcept {
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
        previous.sa_sigaction(signal, info, context);
        return;
    }
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal);
        return;
    }
    struct sigaction fallback {};
    fallback.sa_handler = SIG_DFL;
    ::sigaction(signal, &fallback,
                nullptr);  // the instruction faults again and the default action follows
}

void explain(const span& s, std::uintptr_t address) noexcept {
    const std::uintptr_t object = sampler::object_of(s);
    const bool freed = s.is_free(0);
    message m("heap");
    m.text(freed ? "use after free" : "access out of bounds").text(": ").hex(address).text(" is ");
    if (address >= object) {
        m.number(address - object).text(" bytes after the start");
    } else {
        m.number(object - address).text(" bytes before the start");
    }
    m.text(" of the ").size(bytes{s.sample.requested}).text(" object at ").hex(object);
    m.text(freed ? ", which was freed." : ".");
    m.line(
        "  The stack below this fault shows who did it (run under a debugger, or look at the core "
        "file).");
    warn(m);
}

void on_fault(int signal, siginfo_t* info, void* context) noexcept {
    const span* s = heap_map.find(info->si_addr);
    if (s != nullptr && s->kind == span_kind::guarded)
        explain(*s, reinterpret_cast<std::uintptr_t>(info->si_addr));
    pass_on(signal == SIGBUS ? previous_bus : previous_segv, signal, info, context);
}

extern "C" void steady_guard_fault(int signal, siginfo_t* info, void* context) {
    on_fault(signal, info, context);
}

// The pages stay Ready for the ledgers: they are in use, whoever may touch them.
bool set_access(std::uintptr_t start, std::size_t size, bool readable) noexcept {
    const int protection = readable ? 3 /* PROT_READ | PROT_WRITE */ : 0 /* PROT_NONE */;
    return os::detail::sys_mprotect(reinterpret_cast<void*>(start), size, protection) == 0;
}

}  // namespace

bool admit() noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    if (guarded.fetch_add(1, relaxed) < most_guarded.load(relaxed)) return true;
    dismiss();
    return false;
}

void dismiss() noexcept {
    guarded.fetch_sub(1, std::memory_order_relaxed);
}

void watch_faults() noexcept {
    if (watching.exchange(true)) return;
    most_guarded.store(os::read_max_map_count() / 4 / mappings_each, std::memory_order_relaxed);
    struct sigaction action {};
    action.sa_sigaction = steady_guard_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(SIGSEGV, &action, &previous_segv);
    ::sigaction(SIGBUS, &action, &previous_bus);
}

bool protect_tail(span& s) noexcept {
    return set_access(s.base + s.byte_count() - page_size.count(), page_size.count(), false);
}

void retire(span* s) noexcept {
    // For a second free, for walks over live objects, and for explain().
    s->free_bits()[0] = 1;
    s->free_count = 1;
    const bool hidden = set_access(s->base, s->byte_count(), false);
    span* oldest = s;
    if (hidden) {
        const os::lock_guard guard(retired.lock);
        oldest = retired.spans[retired.next];
        retired.spans[retired.next] = s;
        retired.next = (retired.next + 1) % kept;
    }
    if (oldest == nullptr) return;
    // Readable again before anybody may get the pages. If even that fails the
    // pages are lost to the program, not dangerous to it.
    if (!set_access(oldest->base, oldest->byte_count(), true)) return;
    store.destroy(oldest);
    dismiss();
}

void before_fork() noexcept {
    retired.lock.lock();
}
void after_fork() noexcept {
    retired.lock.unlock();
}

}  // namespace steady::detail::guards
