// reslice_leak.cpp - E-38: a view of a kilobyte that keeps ten megabytes alive, until it is
// copied.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

void run(laboratory& lab) {
    constexpr std::ptrdiff_t whole = 10 << 20;
    constexpr std::ptrdiff_t part = 1024;
    const heap_meter meter;
    slice<unsigned char> view;
    {
        const auto big = make_slice<unsigned char>(whole);
        view = big.sub(0, part);
    }
    const auto kept = meter.read();
    lab.figure("live after big is gone, the heap's count", static_cast<double>(kept.live_bytes),
               unit::bytes, {"stays", "10485240 B"});
    lab.figure("what the view says it keeps", static_cast<double>(view.retained()), unit::bytes);
    lab.expect("live bytes: the whole array", kept.live_bytes, whole);
    lab.expect("the view knows it", view.retained(), whole);

    slice<unsigned char> copy;
    copy.append_range(view);
    view = nullptr;
    const auto after = meter.read();
    lab.figure("live after copying the part", static_cast<double>(after.live_bytes), unit::bytes,
               {"-", "1064 B"});
    lab.expect("live bytes: the copy alone", after.live_bytes, part);
    lab.expect("the copy knows it", copy.retained(), part);
    lab.expect("bytes ever allocated: both arrays", after.bytes, whole + part);

    // S4-22: which of the four values of a heap profile shows it.
    lab.text("inuse_space / inuse_objects while kept",
             fmt::format("{} B / {}", kept.live_bytes, kept.live_objects));
    lab.text("alloc_space / alloc_objects at the end",
             fmt::format("{} B / {}", after.bytes, after.objects),
             {.reported = "--alloc_space shows it", .reference = "inuse_space does"});
    lab.note(
        "go1.19.8's 10485240 is a difference of MemStats, 520 bytes of other garbage less "
        "than the array; its 1064 is the 1024 and 40 of bookkeeping in the test. Here the "
        "heap counts exactly, and the array goes with its last view.");
}

const experiment here{{.id = "E-38",
                       .name = "reslice-leak",
                       .question = "How much does a small view of a large array keep alive?",
                       .rows = "S4-21..23",
                       .reported = "stays",
                       .reference = "10485240 B; 1064 B after the copy",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
