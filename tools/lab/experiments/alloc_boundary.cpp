// alloc_boundary.cpp - E-03: what changes between 32767, 32768 and 32769 bytes, and what not.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"

namespace steady::cli::lab {
namespace {

void run(laboratory& lab) {
    struct limit {
        std::size_t size;
        std::size_t occupied;
        const char* path;
        const char* reported;
    };
    for (const limit& each : {limit{32767, 32768, "class 67", "heap, GC sees it"},
                              limit{32768, 32768, "class 67", "mmap, GC does not see it"},
                              limit{32769, 40960, "5 pages", "mmap"}}) {
        void* const first = allocate(each.size, 8);  // the span, and what the class needs once
        const os_watch kernel;
        const heap_meter meter;
        void* const p = allocate(each.size, 8);
        const auto seen = meter.read();
        const std::uint64_t calls = kernel.count(os_call::reserve) +
                                    kernel.count(os_call::prepare) + kernel.count(os_call::remap);
        const object_info found = find_object(static_cast<char*>(p) + each.size - 1);
        const bool large = found.count == 1 && found.span_size >= found.size && each.size > 32768;
        const std::string path =
            large ? fmt::format("{} pages", found.span_size / 8192) : std::string("class 67");
        lab.text(fmt::format("{} bytes: path", each.size), path,
                 {.reported = each.reported, .reference = each.path});
        lab.expect(fmt::format("{} bytes: path", each.size), path, each.path);
        lab.figure(fmt::format("{} bytes: occupied", each.size), static_cast<double>(seen.bytes),
                   unit::bytes, {"-", fmt::format("{} B", each.occupied)});
        lab.expect(fmt::format("{} bytes: occupied", each.size), seen.bytes, each.occupied);
        lab.figure(fmt::format("{} bytes: system calls for memory", each.size),
                   static_cast<double>(calls), unit::number,
                   {each.size >= 32768 ? "1 mmap" : "0", "0, but when the heap grows"});
        lab.expect(fmt::format("{} bytes: the heap knows it by any address inside", each.size),
                   found.base == p ? "yes" : "no", "yes");
        deallocate(p);
        deallocate(first);
    }
    lab.impossible(
        "an mmap for each slice of 32 KiB (S0-30): 32768 bytes are size class 67, and "
        "larger ones take pages of the heap; a collector sees both (ruling C-14)");
    if (lab.quick()) return;

    curve drawn{
        "Allocation and free of one object", "bytes", "time", true, true, unit::nanoseconds, {},
        {{"allocate + deallocate", {}}}};
    for (double size = 8; size <= 1 << 20; size *= 1.3) {
        const auto bytes_each = static_cast<std::size_t>(size);
        constexpr int loops = 2'000;
        drawn.x.push_back(static_cast<double>(bytes_each));
        drawn.lines[0].values.push_back(nanoseconds_each(loops, [&] {
            for (int i = 0; i < loops; ++i) {
                void* const p = allocate(bytes_each, 8);
                keep(p);
                deallocate(p);
            }
        }));
    }
    lab.plot(std::move(drawn));
}

const experiment here{{.id = "E-03",
                       .name = "alloc-boundary",
                       .question = "What changes between 32767, 32768 and 32769 bytes?",
                       .rows = "S0-30,32,50",
                       .reported = "mmap at 32768",
                       .reference = "class 67 / class 67 / 5 pages (40960 B), all on the heap",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
