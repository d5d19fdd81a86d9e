// small_makes.cpp - E-28, E-29, E-30: what making a small array costs, by length and capacity,
// for nothing and for one, and on the stack.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

constexpr std::uint64_t loops = 200'000;

template <class Work>
double each(Work&& work) {
    return nanoseconds_each(loops, [&] {
        for (std::uint64_t i = 0; i < loops; ++i) work();
    });
}

template <class Work>
heap_meter::difference cost_of(Work&& work) {
    const heap_meter meter;
    work();
    return meter.read();
}

void make_len_vs_cap(laboratory& lab) {
    const auto by_length = [] {
        const auto s = make_slice<std::int64_t>(100);
        keep(s.data());
    };
    const auto by_capacity = [] {
        const auto s = make_slice<std::int64_t>(0, 100);
        keep(s.data());
    };
    const auto length = cost_of(by_length);
    const auto capacity = cost_of(by_capacity);
    lab.expect("make(100): bytes", length.bytes, 896);
    lab.expect("make(0, 100): bytes", capacity.bytes, 896);
    lab.expect("make(100): objects", length.objects, 1);
    lab.expect("make(0, 100): objects", capacity.objects, 1);
    // Both are zeroed to the capacity, also where an earlier object left something behind.
    {
        auto dirty = make_slice<std::int64_t>(100);
        for (std::int64_t& value : dirty) value = -1;
    }
    const auto reused = make_slice<std::int64_t>(0, 100);
    std::int64_t sum = 0;
    for (const std::int64_t value : reused.sub(0, 100)) sum |= value;
    lab.expect("bytes beyond the length, after reslicing", sum == 0 ? "zero" : "dirty", "zero");
    if (!lab.quick()) {
        lab.figure("make(100)", each(by_length), unit::nanoseconds, {"12.8 ns", "350 ns"});
        lab.figure("make(0, 100)", each(by_capacity), unit::nanoseconds, {"8.3 ns", "426 ns"});
        lab.figure("100 values on the stack", each([] {
                       std::array<std::int64_t, 100> values{};
                       keep(values.data());
                   }),
                   unit::nanoseconds, {"-", "0.45 / 0.64 ns, when nothing looks at it"});
    }
    lab.figure("bytes, either way", static_cast<double>(length.bytes), unit::bytes, {"-", "896 B"});
    lab.impossible(
        "make(0, n) skipping the zeroing (S3-03): both compile to the same call and both "
        "are zeroed up to the capacity (ruling C-20)");
}

const experiment len_vs_cap{{.id = "E-28",
                             .name = "make-len-vs-cap",
                             .question = "Does make(0, n) cost less than make(n)?",
                             .rows = "S3-03,04",
                             .reported = "12.8 / 8.3 ns",
                             .reference = "350 / 426 ns, 896 B both: noise",
                             .exact = true,
                             .run = make_len_vs_cap}};

void make_zero(laboratory& lab) {
    const auto none = [] {
        const auto s = make_slice<std::int64_t>(0);
        keep(s.data());
    };
    const auto one = [] {
        const auto s = make_slice<std::int64_t>(1);
        keep(s.data());
    };
    lab.expect("make(0): objects", cost_of(none).objects, 0);
    // Eight bytes without pointers share a block of 16 with their neighbour, as in Go, whose
    // 8 B are the average too; it counts both as objects, our heap counts blocks.
    const heap_meter meter;
    std::vector<slice<std::int64_t>> thousand;
    for (int i = 0; i < 1'000; ++i) thousand.push_back(make_slice<std::int64_t>(1));
    const auto seen = meter.read();
    lab.expect_within("make(1) a thousand times: bytes", static_cast<double>(seen.bytes),
                      8'000 - 16, 8'000 + 16);
    lab.expect_within("make(1) a thousand times: blocks", static_cast<double>(seen.objects), 499,
                      501);
    lab.expect("make(0) is not nil", make_slice<std::int64_t>(0).is_nil() ? "nil" : "not nil",
               "not nil");
    lab.expect("make(0) twice: the same address",
               static_cast<const void*>(make_slice<std::int64_t>(0).data()) ==
                       static_cast<const void*>(make_slice<char>(0).data())
                   ? "yes"
                   : "no",
               "yes");
    if (!lab.quick()) {
        lab.figure("make(0)", each(none), unit::nanoseconds, {"3.2, later 0.8 ns", "8.7 ns, 0 B"});
        lab.figure("make(1)", each(one), unit::nanoseconds,
                   {"12.1, later 11.9 ns", "29.2 ns, 8 B"});
    }
    lab.impossible(
        "an assembly path in Go 1.22 for a length of 0, and a zerobase of 4 KB (S3-17, "
        "S3-18): zerobase is one word that every empty array points to (ruling C-23)");
}

const experiment zero{{.id = "E-29",
                       .name = "make-zero",
                       .question = "What do make(0) and make(1) cost?",
                       .rows = "S3-19",
                       .reported = "3.2 to 0.8; 12.1 to 11.9 ns",
                       .reference = "8.7 ns, 0 B; 29.2 ns, 8 B",
                       .exact = true,
                       .run = make_zero}};

void stack_vs_heap(laboratory& lab) {
    const auto compare = [&]<std::size_t Size>(std::integral_constant<std::size_t, Size>) {
        const double stack = each([] {
            std::array<unsigned char, Size> values{};
            keep(values.data());
        });
        const double heap = each([] {
            const auto s = make_slice<unsigned char>(static_cast<std::ptrdiff_t>(Size));
            keep(s.data());
        });
        const double system = each([] {
            const auto p = std::make_unique<std::array<unsigned char, Size>>();
            keep(p.get());
        });
        lab.figure(fmt::format("{} bytes, stack", Size), stack, unit::nanoseconds);
        lab.figure(fmt::format("{} bytes, steady's heap", Size), heap, unit::nanoseconds);
        lab.figure(fmt::format("{} bytes, the system's heap", Size), system, unit::nanoseconds);
        lab.figure(fmt::format("{} bytes, steady's heap / stack", Size), heap / stack, unit::ratio,
                   {.reported = Size == 256 ? "3.2" : "-"});
    };
    compare(std::integral_constant<std::size_t, 16>{});
    compare(std::integral_constant<std::size_t, 256>{});
    compare(std::integral_constant<std::size_t, 4096>{});
    compare(std::integral_constant<std::size_t, 65536>{});
    lab.note(
        "All are zeroed. C++ has no escape analysis: who writes an array puts it on the stack. "
        "In Go what does not escape and is known to be at most 64 KB stays there; the limit "
        "of 128 bytes in S3-14 does not exist (ruling C-24).");
}

const experiment stack{
    {.id = "E-30",
     .name = "stack-vs-heap",
     .question = "What does an array cost on the heap that could be on the stack?",
     .rows = "S3-24",
     .reported = "3.2 x",
     .run = stack_vs_heap}};

}  // namespace
}  // namespace steady::cli::lab
