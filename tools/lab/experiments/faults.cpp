// faults.cpp - E-06: page faults and system calls while a map grows.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/map/map.hpp"

namespace steady::cli::lab {
namespace {

struct seen {
    std::uint64_t faults = 0;
    std::uint64_t calls = 0;
    std::uint64_t most_faults = 0;  // in one insert
};

template <class Insert>
seen grow(std::uint64_t count, curve& drawn, std::size_t line, Insert&& insert) {
    const os_watch kernel;
    seen all;
    const std::uint64_t first = minor_faults();
    std::uint64_t before = first;
    for (std::uint64_t i = 0; i < count; ++i) {
        insert(i);
        const std::uint64_t now = minor_faults();
        all.most_faults = std::max(all.most_faults, now - before);
        before = now;
        if (i % (count / 200) != 0) continue;
        if (line == 0) drawn.x.push_back(static_cast<double>(i));
        drawn.lines[line].values.push_back(static_cast<double>(now - first));
    }
    all.faults = before - first;
    all.calls = kernel.count();
    return all;
}

void run(laboratory& lab) {
    constexpr std::uint64_t count = 1'000'000;
    curve drawn{"Page faults while a map grows",
                "entries",
                "page faults",
                false,
                false,
                unit::number,
                {},
                {{"go::map, Go's", {}}, {"steady::map", {}}}};
    {
        auto m = go::map<std::uint64_t, std::uint64_t>::make();
        const seen all = grow(count, drawn, 0, [&](std::uint64_t i) { m.assign(i, i); });
        lab.figure("go::map, page faults", static_cast<double>(all.faults), unit::number);
        lab.figure("go::map, most in one insert", static_cast<double>(all.most_faults),
                   unit::number);
        lab.figure("go::map, system calls for memory", static_cast<double>(all.calls), unit::number,
                   {"mmap and TLB flush at each growth", "-"});
    }
    {
        map<std::uint64_t, std::uint64_t, map_hash<std::uint64_t>, map_equal<std::uint64_t>,
            allocator<std::pair<const std::uint64_t, std::uint64_t>>>
            m;
        const seen all = grow(count, drawn, 1, [&](std::uint64_t i) { m.try_emplace(i, i); });
        lab.figure("steady::map, page faults", static_cast<double>(all.faults), unit::number);
        lab.figure("steady::map, most in one insert", static_cast<double>(all.most_faults),
                   unit::number);
        lab.figure("steady::map, system calls for memory", static_cast<double>(all.calls),
                   unit::number);
    }
    lab.impossible(
        "a TLB flush for new pages (S0-36): a mapping that did not exist is in no TLB, "
        "and its page table entry appears at the first touch, by a fault");
    lab.note(
        "One million int64 entries each. Faults by getrusage of this thread, calls by core's "
        "os_hook; with huge pages a fault brings 2 MiB.");
    lab.plot(std::move(drawn));
}

const experiment here{
    {.id = "E-06",
     .name = "faults",
     .question = "How many page faults and system calls does a growing map cause?",
     .rows = "S0-33..36",
     .reported = "a table of registers and page table entries",
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
