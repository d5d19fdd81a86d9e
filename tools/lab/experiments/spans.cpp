// spans.cpp - E-33 and E-34: how objects fill their spans, and how often a size has to fetch
// another span, which is what the source documents call cache misses of the mcache.
#include <algorithm>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

void fragmentation(laboratory& lab) {
    constexpr int count = 1'000;
    for (const std::ptrdiff_t cap : {0, 8, 16}) {
        const heap_meter meter;
        std::vector<slice<std::int64_t>> rows;
        for (int i = 0; i < count; ++i) rows.push_back(make_slice<std::int64_t>(0, cap));
        const auto seen = meter.read();
        std::set<const void*> spans;
        std::uint32_t each = 0;
        std::uint64_t span_bytes = 0;
        std::ptrdiff_t adjacent = 0;
        const char* previous = nullptr;
        for (const auto& row : rows) {
            const object_info found = find_object(row.data());
            if (!found) continue;
            if (spans.insert(found.span_base).second) span_bytes += found.span_size;
            each = found.count;
            const auto* at = static_cast<const char*>(found.base);
            if (previous != nullptr &&
                std::abs(at - previous) == static_cast<std::ptrdiff_t>(found.size)) {
                ++adjacent;
            }
            previous = at;
        }
        const std::string what = fmt::format("1000 slices of cap {}", cap);
        lab.figure(what + ": objects", static_cast<double>(seen.objects), unit::number,
                   {"-", cap == 0 ? "0" : "1000"});
        lab.expect(what + ": objects", seen.objects, cap == 0 ? 0 : count);
        if (cap == 0) continue;
        const double used =
            100.0 * static_cast<double>(seen.bytes) / static_cast<double>(span_bytes);
        lab.figure(what + ": objects in a span", each, unit::number,
                   {cap == 8 ? "high fragmentation" : "low fragmentation",
                    cap == 16 ? "64 in 8 KB" : "128 in 8 KB"});
        lab.figure(what + ": spans", static_cast<double>(spans.size()), unit::number);
        lab.figure(what + ": used of their spans", used, unit::percent);
        lab.figure(what + ": neighbours of the one before",
                   100.0 * static_cast<double>(adjacent) / (count - 1), unit::percent);
        lab.expect(what + ": objects in a span", each, cap == 16 ? 64u : 128u);
        lab.expect(what + ": spans of 8 KiB", span_bytes / spans.size(), 8192);
        // A span may be shared with what was allocated before, at either end.
        lab.expect_within(what + ": spans", static_cast<double>(spans.size()), count / each,
                          count / each + 3);
    }
    // Appending instead: 1, 2, 4, 8 leave three dead objects behind each row.
    const heap_meter meter;
    std::vector<slice<std::int64_t>> rows(count);
    for (int i = 0; i < 8; ++i) {
        for (auto& row : rows) row.append(i);
    }
    const auto appended = meter.read();
    lab.figure("1000 slices appended to 8: blocks", static_cast<double>(appended.objects),
               unit::number, {"-", "4000 arrays, two of one value in a block"});
    lab.expect_within("1000 slices appended to 8: blocks", static_cast<double>(appended.objects),
                      3'499, 3'501);
    lab.expect_within("1000 slices appended to 8: bytes", static_cast<double>(appended.bytes),
                      1'000 * (8 + 16 + 32 + 64) - 16, 1'000 * (8 + 16 + 32 + 64) + 16);
    lab.note(
        "128 bytes are size class 10 exactly: no waste inside, and the last of 64 ends with "
        "the span.");
}

const experiment fragments{{.id = "E-33",
                            .name = "fragmentation",
                            .question = "How well do a thousand small slices fill their spans?",
                            .rows = "S3-36..39",
                            .reported = "high / low",
                            .reference = "64 objects in a span of 8 KB",
                            .exact = true,
                            .run = fragmentation}};

void mcache_miss(laboratory& lab) {
    struct kind {
        const char* name;
        std::size_t size;
        std::uint32_t in_a_span;  // 0: large
        const char* reported;
    };
    const kind kinds[] = {{"1024 ints (8192 B)", 8192, 1, "2.1 % / 87 ns"},
                          {"1025 bytes", 1025, 7, "18.6 % / 423 ns"},
                          {"1025 ints (8200 B)", 8200, 6, "class 4"},
                          {"1000000 strings (16 MB)", 16'000'000, 0, "94.3 % / 1290 ns"}};
    for (const kind& each : kinds) {
        const int count = each.in_a_span == 0 ? 4 : lab.size(4'200, 420);
        std::vector<void*> kept;
        std::set<const void*> spans;
        std::uint32_t in_a_span = 0;
        for (int i = 0; i < count; ++i) {
            kept.push_back(allocate(each.size, 8));
            const object_info found = find_object(kept.back());
            spans.insert(found.span_base);
            in_a_span = found.count;
        }
        const double rate = 100.0 * static_cast<double>(spans.size()) / count;
        lab.figure(
            fmt::format("{}: spans fetched for each allocation", each.name), rate, unit::percent,
            {each.reported, each.in_a_span == 0 ? "large: no cache in the way"
                                                : fmt::format("{:.1f} %", 100.0 / each.in_a_span)});
        if (each.in_a_span != 0) {
            lab.expect(fmt::format("{}: objects in a span", each.name), in_a_span, each.in_a_span);
            lab.expect_within(fmt::format("{}: spans fetched, percent", each.name), rate,
                              100.0 / each.in_a_span, 100.0 / each.in_a_span + 1.2);
        }
        for (void* p : kept) deallocate(p);
    }
    lab.impossible(
        "2.1 % for 1024 ints and 94.3 % for a million strings (S3-44): an object of "
        "8192 bytes is alone in its span, so each needs another one, and 16 MB never "
        "come from a cache (ruling C-25)");
    if (lab.quick()) return;
    for (const unsigned threads : {1u, 2u, 4u}) {
        for (const kind& each : kinds) {
            if (each.in_a_span == 0) continue;
            // Each thread holds a window, so spans come and go as in a program that works.
            constexpr int loops = 20'000;
            constexpr std::size_t window = 64;
            std::vector<double> took(threads);
            std::vector<std::thread> all;
            for (unsigned t = 0; t < threads; ++t) {
                all.emplace_back([&, t] {
                    std::vector<void*> held(window);
                    took[t] = nanoseconds_of([&] {
                                  for (int i = 0; i < loops; ++i) {
                                      void*& place = held[static_cast<std::size_t>(i) % window];
                                      deallocate(place);
                                      place = allocate(each.size, 8);
                                      keep(place);
                                  }
                              }) /
                              loops;
                    for (void* p : held) deallocate(p);
                });
            }
            for (std::thread& t : all) t.join();
            lab.figure(fmt::format("{}, {} thread{}: allocate and free", each.name, threads,
                                   threads == 1 ? "" : "s"),
                       summarise(took).median, unit::nanoseconds);
        }
    }
    lab.note("Each thread's time on a CPU.");
}

const experiment misses{{.id = "E-34",
                         .name = "mcache-miss",
                         .question = "How often does an allocation need another span, by size?",
                         .rows = "S3-40..46",
                         .reported = "2.1 / 18.6 / 94.3 %",
                         .reference = "100 %, 14.3 %, 16.7 %, large",
                         .exact = true,
                         .run = mcache_miss}};

}  // namespace
}  // namespace steady::cli::lab
