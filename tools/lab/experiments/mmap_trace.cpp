// mmap_trace.cpp - E-10: every call our heap makes to the kernel for memory, from its first
// allocation on, told by core's os_hook, which needs no privileges.
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"
#include "support/format.hpp"

namespace steady::cli::lab {
namespace {

const char* name_of(os_call call) {
    switch (call) {
        case os_call::reserve: return "reserve";
        case os_call::prepare: return "prepare";
        case os_call::decommit: return "decommit";
        case os_call::release: return "release";
        case os_call::remap: return "remap";
        case os_call::huge_page_hint: return "huge page hint";
        case os_call::bind: return "bind";
        case os_call::query: return "query";
    }
    return "unknown";
}

/// All calls, in order. The listener must not allocate from the steady heap; the vector is
/// the system's.
struct recorder {
    std::vector<os_event> events;
    recorder() {
        events.reserve(100'000);
        os_hook.install(
            [](void* me, const os_event& e) {
                auto& list = static_cast<recorder*>(me)->events;
                if (list.size() < list.capacity()) list.push_back(e);
            },
            this);
    }
    ~recorder() { os_hook.remove(); }
    recorder(const recorder&) = delete;
    recorder& operator=(const recorder&) = delete;
};

void run(laboratory& lab) {
    const recorder kernel;
    std::vector<void*> kept;
    kept.push_back(allocate(64));
    const std::size_t first = kernel.events.size();
    std::string opening;
    for (const os_event& e : kernel.events) {
        opening += fmt::format("{}{} {}", opening.empty() ? "" : ", ", name_of(e.call),
                               format_bytes(static_cast<double>(e.size.count())));
    }
    lab.text("the first allocation", opening,
             {.reported = "64 KB, 2 MB", .reference = "Go: 64 MB reserved, 4 MB steps, tables"});
    lab.figure("the first allocation: calls", static_cast<double>(first), unit::number);

    const std::size_t filled = lab.size<std::size_t>(256u << 20, 32u << 20);
    for (std::size_t bytes_so_far = 0; bytes_so_far < filled; bytes_so_far += 4096) {
        kept.push_back(allocate(4096));
    }
    const std::size_t after_filling = kernel.events.size();
    std::map<std::string, std::uint64_t> sizes;
    std::uint64_t reserved = 0;
    std::uint64_t prepared = 0;
    for (std::size_t i = first; i < after_filling; ++i) {
        const os_event& e = kernel.events[i];
        ++sizes[fmt::format("{} {}", name_of(e.call),
                            format_bytes(static_cast<double>(e.size.count())))];
        if (e.call == os_call::reserve) reserved += e.size.count();
        if (e.call == os_call::prepare) prepared += e.size.count();
    }
    std::string steps;
    for (const auto& [what, times] : sizes) {
        steps += fmt::format("{}{} x {}", steps.empty() ? "" : ", ", times, what);
    }
    lab.text(fmt::format("then {} in objects of 4 KiB", format_bytes(static_cast<double>(filled))),
             steps, {"-", "Go: 64 MB reservations, 4 MB mappings"});
    lab.figure("bytes made ready for it", static_cast<double>(prepared), unit::bytes);
    lab.figure(
        "calls for each GiB",
        static_cast<double>(after_filling - first) * (1u << 30) / static_cast<double>(filled),
        unit::number, {"-", "Go: 256 mappings"});
    // What was handed out has been made ready, by some step. (What the first call prepared
    // in advance counts too.)
    for (std::size_t i = 0; i < first; ++i) {
        if (kernel.events[i].call == os_call::prepare) prepared += kernel.events[i].size.count();
    }
    lab.expect("memory is made ready before it is handed out", prepared >= filled ? "yes" : "no",
               "yes");

    for (void* p : kept) deallocate(p);
    const std::size_t before_trim = kernel.events.size();
    const std::size_t given_back = trim();
    std::uint64_t decommitted = 0;
    std::uint64_t touched = 0;
    for (std::size_t i = before_trim; i < kernel.events.size(); ++i) {
        if (kernel.events[i].call != os_call::decommit) continue;
        decommitted += kernel.events[i].size.count();
        touched = std::max<std::uint64_t>(touched, kernel.events[i].touched.count());
    }
    lab.figure("trim(): bytes given back", static_cast<double>(given_back), unit::bytes);
    lab.figure("trim(): calls", static_cast<double>(kernel.events.size() - before_trim),
               unit::number);
    lab.figure("trim(): most resident bytes in one call", static_cast<double>(touched),
               unit::bytes);
    lab.expect("trim() says what the calls were", given_back, decommitted);
    lab.impossible(
        "64 KB and 2 MB as the typical mmap of Go's heap (S0-70): strace of go1.19.8 "
        "shows 64 MB PROT_NONE, mappings in steps of 4 MB, and tables");
    lab.impossible(
        "reading an mmap's arguments in its exit tracepoint (S0-69): the exit record has "
        "the result only; join it with the entry by thread (ruling C-38)");
}

const experiment here{{.id = "E-10",
                       .name = "mmap",
                       .question = "Which calls for memory does the heap make to the kernel?",
                       .rows = "S0-67..71",
                       .reported = "64 KB, 2 MB",
                       .reference = "64 MB and steps of 4 MB",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
