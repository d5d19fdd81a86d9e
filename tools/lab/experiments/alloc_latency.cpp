// alloc_latency.cpp - E-04: an allocation from the thread's cache, one that refills the cache,
// and one for which the heap grows, told apart by counters rather than by the clock.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"
#include "support/histogram.hpp"

namespace steady::cli::lab {
namespace {

void run(laboratory& lab) {
    const clock_facts clock = calibrate_clock();
    constexpr std::size_t size = 64;
    constexpr int count = 400'000;
    histogram hit;
    histogram refill;
    histogram grown;
    std::vector<void*> kept;
    kept.reserve(count);
    os_watch kernel;
    // A refill takes a new span or magazine: the class's cached count of allocations moves in
    // steps, so the address tells: another span than that of the object before.
    std::uintptr_t last_span = 0;
    with_clock(clock, [&](auto ticks) {
        for (int i = 0; i < count; ++i) {
            const std::uint64_t calls = kernel.count();
            const std::uint64_t faults = minor_faults();
            const std::uint64_t start = decltype(ticks)::now();
            void* const p = allocate(size, 8);
            const std::uint64_t took = decltype(ticks)::now() - start;
            const bool fault = minor_faults() != faults;
            kept.push_back(p);
            const auto span = reinterpret_cast<std::uintptr_t>(find_object(p).span_base);
            if (kernel.count() != calls || fault) {
                grown.record(took);
            } else if (span != last_span) {
                refill.record(took);
            } else {
                hit.record(took);
            }
            last_span = span;
        }
    });
    for (void* p : kept) deallocate(p);
    const auto show = [&](const char* what, const histogram& seen, const char* reported) {
        lab.figure(fmt::format("{}, how many of {}", what, count),
                   static_cast<double>(seen.count()), unit::number);
        lab.figure(fmt::format("{}, median", what), clock.nanoseconds(seen.percentile(0.5)),
                   unit::nanoseconds, {.reported = reported});
        lab.figure(fmt::format("{}, p99", what), clock.nanoseconds(seen.percentile(0.99)),
                   unit::nanoseconds);
    };
    show("from the same span", hit, "ns");
    show("first of another span", refill, "ns");
    show("kernel involved (call or page fault)", grown, "us");
    lab.note(
        fmt::format("64-byte objects; a clock reading costs {:.0f} ns and is contained. What "
                    "was a refill or a growth is told by the object's span, os's calls and "
                    "the thread's page faults.",
                    clock.nanoseconds_per_reading));
}

const experiment here{
    {.id = "E-04",
     .name = "alloc-latency",
     .question = "What does an allocation cost that hits, refills, or grows the heap?",
     .rows = "S0-45",
     .reported = "ns against us",
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
