// contract.cpp - E-48: bytes promised before a container exists, against the bytes it takes, and
// a ceiling for a million entries.
#include <unordered_map>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/audit/plan.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/map/map.hpp"

namespace steady::cli::lab {
namespace {

constexpr double ceiling = 70e6;

template <class Map>
std::uint64_t measured(std::uint64_t entries, std::uint64_t hint) {
    const heap_meter meter;
    Map m = Map::make(hint);
    for (std::uint64_t i = 0; i < entries; ++i) {
        m.assign(static_cast<typename Map::key_type>(i), typename Map::mapped_type{});
    }
    return static_cast<std::uint64_t>(meter.read().live_bytes);
}

template <class Map>
void keeps_its_plan(laboratory& lab, const char* name) {
    for (const std::uint64_t entries : {std::uint64_t{1'000}, std::uint64_t{100'000},
                                        lab.size<std::uint64_t>(1'000'000, 200'000)}) {
        const audit::memory_plan plan = audit::plan<Map>(entries, {.hint = entries});
        const std::uint64_t seen = measured<Map>(entries, entries);
        lab.figure(fmt::format("{}, {} entries: planned", name, entries), plan.total.expected,
                   unit::bytes);
        lab.figure(fmt::format("{}, {} entries: measured", name, entries),
                   static_cast<double>(seen), unit::bytes,
                   {.reported = entries == 1'000'000 ? "58 and 63 MB" : "-"});
        lab.expect_within(fmt::format("{}, {} entries: measured, within the plan", name, entries),
                          static_cast<double>(seen), static_cast<double>(plan.total.low),
                          static_cast<double>(plan.total.high));
    }
}

void run(laboratory& lab) {
    keeps_its_plan<go::map<std::uint64_t, std::uint64_t>>(lab, "go::map int64 to int64");
    keeps_its_plan<go::map<std::uint32_t, std::uint32_t>>(lab, "go::map int32 to int32");

    // The ceiling of the source document, for a million numbers to pointers.
    constexpr std::uint64_t entries = 1'000'000;
    using own = map<std::uint64_t, void*, map_hash<std::uint64_t>, map_equal<std::uint64_t>,
                    allocator<std::pair<const std::uint64_t, void*>>>;
    using standard =
        std::unordered_map<std::uint64_t, void*, std::hash<std::uint64_t>, std::equal_to<>,
                           allocator<std::pair<const std::uint64_t, void*>>>;
    const auto fill = [&](auto m) {
        const heap_meter meter;
        for (std::uint64_t i = 0; i < entries; ++i) m.try_emplace(i, nullptr);
        return static_cast<double>(meter.read().live_bytes);
    };
    const double mine = fill(own{});
    const double theirs = fill(standard{});
    lab.figure("steady::map, a million: live bytes", mine, unit::bytes, {"< 70 MB", "-"});
    lab.figure("std::unordered_map, a million: live bytes", theirs, unit::bytes,
               {"128 MB (Java)", "-"});
    lab.expect("steady::map keeps the ceiling of 70 MB", mine < ceiling ? "yes" : "no", "yes");
    lab.note(
        "A plan is an interval where the hash decides: one hash in a hundred million leaves it.");
}

const experiment here{{.id = "E-48",
                       .name = "contract",
                       .question = "Does a container take the bytes that were promised for it?",
                       .rows = "S4-56",
                       .reported = "< 70 MB, 58, 63",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
