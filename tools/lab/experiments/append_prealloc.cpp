// append_prealloc.cpp - E-02: what a known capacity saves in a loop of appends.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

template <bool Known>
void fill(std::int64_t count) {
    slice<std::int64_t> s;
    if constexpr (Known) s = make_slice<std::int64_t>(0, count);
    for (std::int64_t i = 0; i < count; ++i) s.append(i);
    keep(s.data());
}

void run(laboratory& lab) {
    curve drawn{"Time for each value",
                "values",
                "time of an append",
                true,
                true,
                unit::nanoseconds,
                {},
                {{"grows", {}}, {"capacity known", {}}}};
    for (const std::int64_t count : {10, 100, 1'000, 10'000, 100'000, 1'000'000}) {
        const std::int64_t loops = std::max<std::int64_t>(1, 2'000'000 / count);
        const auto measure = [&](void (*work)(std::int64_t)) {
            return nanoseconds_each(static_cast<std::uint64_t>(loops * count), [&] {
                for (std::int64_t i = 0; i < loops; ++i) work(count);
            });
        };
        const heap_meter growing;
        fill<false>(count);
        const auto grown = growing.read();
        const heap_meter knowing;
        fill<true>(count);
        const auto known = knowing.read();
        const double slow = measure(fill<false>);
        const double fast = measure(fill<true>);
        lab.figure(fmt::format("{} values, grown: each", count), slow, unit::nanoseconds);
        lab.figure(fmt::format("{} values, capacity known: each", count), fast, unit::nanoseconds);
        lab.figure(fmt::format("{} values, grown: allocations", count),
                   static_cast<double>(grown.objects), unit::number);
        lab.figure(fmt::format("{} values, grown: bytes allocated", count),
                   static_cast<double>(grown.bytes), unit::bytes);
        lab.figure(fmt::format("{} values, capacity known: bytes allocated", count),
                   static_cast<double>(known.bytes), unit::bytes);
        drawn.x.push_back(static_cast<double>(count));
        drawn.lines[0].values.push_back(slow);
        drawn.lines[1].values.push_back(fast);
    }
    lab.note(
        "From 32 KiB on a slice that nobody shares grows where it is, so the difference "
        "shrinks with the size; Go copies at every growth.");
    lab.plot(std::move(drawn));
}

const experiment here{{.id = "E-02",
                       .name = "append-prealloc",
                       .question = "What does a known capacity save in a loop of appends?",
                       .rows = "S0-09,11",
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
