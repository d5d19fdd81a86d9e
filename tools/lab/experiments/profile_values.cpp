// profile_values.cpp - E-27: the four values of a heap profile for work whose counts are known,
// with every object sampled and with one in 512 KB, where scaling must bring the same totals.
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"
#if defined(STEADY_WITH_PROFILE)
#include "steady/profile/profile.hpp"
#endif

namespace steady::cli::lab {
namespace {

#if defined(STEADY_WITH_PROFILE)

struct values {
    double alloc_objects = 0, alloc_space = 0, inuse_objects = 0, inuse_space = 0;

    values operator-(const values& o) const {
        return {alloc_objects - o.alloc_objects, alloc_space - o.alloc_space,
                inuse_objects - o.inuse_objects, inuse_space - o.inuse_space};
    }
};

values read_profile() {
    values sum;
    for (const profile::stack_record& r :
         profile::snapshot(profile::kind::heap, {.symbolize = false})) {
        sum.alloc_objects += static_cast<double>(r.values[profile::alloc_objects]);
        sum.alloc_space += static_cast<double>(r.values[profile::alloc_space]);
        sum.inuse_objects += static_cast<double>(r.values[profile::inuse_objects]);
        sum.inuse_space += static_cast<double>(r.values[profile::inuse_space]);
    }
    return sum;
}

/// Objects of five sizes; every other one stays alive.
void work(std::uint64_t objects, std::vector<void*>& kept) {
    static constexpr std::size_t sizes[] = {16, 64, 256, 1024, 8192};
    for (std::uint64_t i = 0; i < objects; ++i) {
        void* const p = allocate(sizes[i % std::size(sizes)], 8);
        if (i / std::size(sizes) % 2 == 0) {
            kept.push_back(p);
        } else {
            deallocate(p);
        }
    }
}

void run(laboratory& lab) {
    std::vector<void*> kept;
    const auto measure = [&](std::uint64_t rate, std::uint64_t objects, values& truth) {
        profile::set_rate(rate);
        // The distance to the next sample was drawn at the old rate; this much passes it.
        void* const between = allocate(64 << 20);
        deallocate(between);
        const values before = read_profile();
        const heap_meter meter;
        work(objects, kept);
        const auto counted = meter.read();
        truth = {static_cast<double>(counted.objects), static_cast<double>(counted.bytes),
                 static_cast<double>(counted.live_objects),
                 static_cast<double>(counted.live_bytes)};
        return read_profile() - before;
    };
    if (!profile::start()) {
        lab.refused("profiling: this build's heap cannot be listened to");
        return;
    }
    values truth;
    const std::uint64_t few = 20'000;
    const values all = measure(1, few, truth);
    const auto exact = [&](const char* name, double seen, double expected) {
        lab.figure(fmt::format("rate 1: {}", name), seen, unit::number,
                   {"-", fmt::format("{:.0f} by the heap", expected)});
        lab.expect(fmt::format("rate 1: {}", name), static_cast<std::int64_t>(seen),
                   static_cast<std::int64_t>(expected));
    };
    exact("alloc_objects", all.alloc_objects, truth.alloc_objects);
    exact("alloc_space", all.alloc_space, truth.alloc_space);
    exact("inuse_objects", all.inuse_objects, truth.inuse_objects);
    exact("inuse_space", all.inuse_space, truth.inuse_space);

    const std::uint64_t many = lab.size<std::uint64_t>(400'000, 100'000);
    constexpr double rate = 512 << 10;
    const values sampled = measure(static_cast<std::uint64_t>(rate), many, truth);
    // An object of s bytes is sampled with p = 1 - exp(-s / rate) and counts 1 / p: the
    // variance of its bytes is s * s * (1 - p) / p, about s * rate.
    const auto close = [&](const char* name, double seen, double expected) {
        const double deviation = std::sqrt(rate / expected);
        lab.figure(fmt::format("rate 512 KB: {}", name), seen, unit::bytes,
                   {"-", fmt::format("{:.0f} by the heap", expected)});
        lab.figure(fmt::format("rate 512 KB: {}, off by", name), 100 * (seen / expected - 1),
                   unit::percent, {"-", fmt::format("+-{:.1f} % is one sigma", 100 * deviation)});
        lab.expect_within(fmt::format("rate 512 KB: {}, in sigma", name),
                          std::fabs(seen / expected - 1) / deviation, 0, 6);
    };
    close("alloc_space", sampled.alloc_space, truth.alloc_space);
    close("inuse_space", sampled.inuse_space, truth.inuse_space);
    lab.figure("rate 512 KB: alloc_objects", sampled.alloc_objects, unit::number,
               {"-", fmt::format("{:.0f} by the heap", truth.alloc_objects)});
    lab.figure("rate 512 KB: inuse_objects", sampled.inuse_objects, unit::number,
               {"-", fmt::format("{:.0f} by the heap", truth.inuse_objects)});
    lab.note(
        "Counts of objects are noisier than bytes: one 16-byte object in 32,000 is sampled and "
        "then counts for all of them.");
    lab.impossible(
        "object counts in GC logs, and -m output about map growth (S2-06, S2-33): they "
        "are the four values of a heap profile (ruling C-27)");
    profile::stop();
    for (void* p : kept) deallocate(p);
}

const experiment here{
    {.id = "E-27",
     .name = "profile-values",
     .question = "Do the values of a profile at 512 KB agree with those of every object?",
     .rows = "S2-06,33 S4-22",
     .reference = "scaled totals agree within the sampling error",
     .exact = true,
     .run = run}};

#endif

}  // namespace
}  // namespace steady::cli::lab
