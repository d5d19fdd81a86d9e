// introspection.cpp - glibc's questions about the heap, answered from our
// statistics, and its knobs, most of which turn things we do not have.
//
//   glibc's field    here
//   arena            resident page runs of the heap, without huge blocks
//   hblkhd           bytes of live huge blocks (huge_heap::threshold and more)
//   hblks            live objects above the size classes, when some are huge
//   uordblks         bytes of live objects in `arena`
//   fordblks         arena - uordblks: free, wherever it lies
//   smblks           free objects in spans, caches and depots
//   fsmblks          bytes of those in caches and depots
//   ordblks          smblks, and one for all idle pages together
//   keepcost         idle resident pages: malloc_trim gives them back
//
// The identity that tools rely on holds: arena = uordblks + fordblks. mallinfo's
// fields are int; they stop at INT_MAX where glibc's wrap round.
//
// malloc_info writes glibc's XML, element for element, with one heap, since
// threads have caches here and no arenas.
#include <cerrno>
#include <climits>
#include <cstdio>
#include <malloc.h>
#include <unistd.h>

#include "family.hpp"
#include "statistics_text.hpp"
#include "steady/heap/statistics.hpp"

namespace steady::detail {

namespace {

std::size_t smaller(std::size_t a, std::size_t b) noexcept {
    return a < b ? a : b;
}

// A reading while others allocate may be off by what passed meanwhile, so that a
// difference could be negative for a moment.
std::size_t difference(std::size_t a, std::size_t b) noexcept {
    return a > b ? a - b : 0;
}

std::size_t free_objects(const heap_statistics::class_line& line) noexcept {
    if (line.size == 0) return 0;
    return difference(line.span_bytes / line.size, line.mallocs - line.frees);
}

struct mallinfo2 glibc_view(const heap_statistics& s) noexcept {
    struct mallinfo2 view {};
    const std::size_t idle = difference(s.heap_idle, s.heap_released);
    view.arena = difference(s.heap_inuse, s.huge_alloc) + idle;
    view.hblks = s.huge_alloc != 0 ? s.large_objects : 0;
    view.hblkhd = s.huge_alloc;
    view.uordblks = smaller(difference(s.heap_alloc, s.huge_alloc), view.arena);
    view.fordblks = view.arena - view.uordblks;
    view.fsmblks = smaller(s.cached_bytes, view.fordblks);
    view.keepcost = idle;
    for (const auto& line : s.by_size) view.smblks += free_objects(line);
    view.ordblks = view.smblks + (idle != 0 ? 1 : 0);
    return view;
}

int clamped(std::size_t value) noexcept {
    return static_cast<int>(smaller(value, INT_MAX));
}

// What glibc prints once for each heap and once for all of them.
void print_totals(std::FILE* out, const struct mallinfo2& view) {
    std::fprintf(out,
                 "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n"
                 "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n",
                 view.smblks, view.fsmblks, view.ordblks - view.smblks,
                 view.fordblks - view.fsmblks);
}

void print_system(std::FILE* out, const heap_statistics& s, const struct mallinfo2& view) {
    const std::size_t current = view.arena + view.hblkhd;
    std::fprintf(out,
                 "<system type=\"current\" size=\"%zu\"/>\n"
                 "<system type=\"max\" size=\"%zu\"/>\n"
                 "<aspace type=\"total\" size=\"%zu\"/>\n"
                 "<aspace type=\"mprotect\" size=\"%zu\"/>\n",
                 current, static_cast<std::size_t>(s.heap_sys),
                 static_cast<std::size_t>(s.reserved + s.heap_sys),
                 static_cast<std::size_t>(s.heap_sys));
}

}  // namespace

}  // namespace steady::detail

namespace sd = steady::detail;

/// Gives back all that can be. Returns 1 when memory went back to the system.
STEADY_MEMBER int malloc_trim(std::size_t) noexcept {
    return sd::ready() && sd::trim() != 0;
}

STEADY_MEMBER struct mallinfo2 mallinfo2() noexcept {
    return sd::glibc_view(steady::read_statistics());
}

STEADY_MEMBER struct mallinfo mallinfo() noexcept {
    const struct mallinfo2 wide = sd::glibc_view(steady::read_statistics());
    struct mallinfo view {};
    view.arena = sd::clamped(wide.arena);
    view.ordblks = sd::clamped(wide.ordblks);
    view.smblks = sd::clamped(wide.smblks);
    view.hblks = sd::clamped(wide.hblks);
    view.hblkhd = sd::clamped(wide.hblkhd);
    view.fsmblks = sd::clamped(wide.fsmblks);
    view.uordblks = sd::clamped(wide.uordblks);
    view.fordblks = sd::clamped(wide.fordblks);
    view.keepcost = sd::clamped(wide.keepcost);
    return view;
}

/// Returns 1 when the wish is met or was only advice about glibc's structure, and
/// 0 when the program asked for something that will not happen.
STEADY_MEMBER int mallopt(int parameter, int value) noexcept {
    constexpr int largest_fast = 80 * sizeof(std::size_t) / 4;  // glibc's own bound
    switch (parameter) {
        case M_MXFAST: return value >= 0 && value <= largest_fast;
        case M_TRIM_THRESHOLD:
        case M_TOP_PAD:
        case M_MMAP_THRESHOLD:
        case M_MMAP_MAX:
        case M_CHECK_ACTION:
        case M_ARENA_TEST:
        case M_ARENA_MAX: return 1;
        case M_PERTURB: return value == 0;  // STEADY_DEBUG=junk=1 does it, from the start only
        default: return 0;
    }
}

STEADY_MEMBER void malloc_stats() noexcept {
    sd::write_statistics(STDERR_FILENO, false);
}

STEADY_MEMBER int malloc_info(int options, std::FILE* out) noexcept {
    if (options != 0) return EINVAL;
    const steady::heap_statistics s = steady::read_statistics();
    const struct mallinfo2 view = sd::glibc_view(s);
    std::fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", out);
    std::size_t smaller_class = 0;
    for (const auto& line : s.by_size) {
        if (const std::size_t free = sd::free_objects(line); free != 0) {
            std::fprintf(out, "  <size from=\"%zu\" to=\"%u\" total=\"%zu\" count=\"%zu\"/>\n",
                         smaller_class + 1, line.size, free * line.size, free);
        }
        smaller_class = line.size;
    }
    std::fputs("</sizes>\n", out);
    sd::print_totals(out, view);
    sd::print_system(out, s, view);
    std::fputs("</heap>\n", out);
    sd::print_totals(out, view);
    std::fprintf(out, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", view.hblks,
                 view.hblkhd);
    sd::print_system(out, s, view);
    std::fputs("</malloc>\n", out);
    return 0;
}
