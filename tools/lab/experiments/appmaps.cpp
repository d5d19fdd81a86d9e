// appmaps.cpp - E-44: bytes for each of a million orders, by layout.
#include <cstdint>
#include <memory>
#include <string>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/concurrent/concurrent_map.hpp"
#include "steady/concurrent/epoch_map.hpp"
#include "steady/concurrent/flat_long_map.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

void run(laboratory& lab) {
    const std::int64_t n = lab.size<std::int64_t>(1'000'000, 100'000);
    const auto each = [&](double all) { return all / static_cast<double>(n); };
    {
        steady::flat_long_map<std::int64_t> m;
        for (std::int64_t i = 0; i < n; ++i) m.insert(i, i);
        lab.figure("flat_long_map: bytes an entry", each(double(m.memory().total().count())),
                   unit::bytes, {.reported = "58 (MB a million)"});
        lab.figure("flat_long_map: bytes of a slot",
                   steady::flat_long_map<std::int64_t>::slot_bytes, unit::bytes,
                   {.reported = "24"});
        lab.figure("flat_long_map: a find",
                   nanoseconds_each(
                       100'000,
                       [&] {
                           std::uint64_t state = 1;
                           std::int64_t sum = 0;
                           for (int i = 0; i < 100'000; ++i) {
                               state = state * 6364136223846793005u + 1442695040888963407u;
                               sum += m.find(static_cast<std::int64_t>(
                                                 (state >> 20) % static_cast<std::uint64_t>(n)))
                                          .value_or(0);
                           }
                           keep(sum);
                       }),
                   unit::nanoseconds);
        lab.expect("entries", static_cast<std::int64_t>(m.size_exact()), n);
        lab.expect("entries out of line", m.memory().nodes.count(), 0u);
    }
    {
        steady::epoch_map<std::int64_t, std::int64_t> m;
        for (std::int64_t i = 0; i < n; ++i) m.try_emplace(i, i);
        lab.figure("epoch_map: bytes an entry", each(double(m.memory().count())), unit::bytes,
                   {.reported = "63 (MB a million)"});
    }
    {
        steady::concurrent_map<std::string, std::int64_t> m;
        for (std::int64_t i = 0; i < n; ++i) m.insert(std::to_string(i), i);
        lab.figure("concurrent_map of strings: bytes an entry, without long texts",
                   each(double(m.memory().total().count())), unit::bytes,
                   {.reported = "128 (MB a million, HashMap)"});
    }
    const heap_meter meter;
    go::map<std::int64_t, std::int64_t> m = go::map<std::int64_t, std::int64_t>::make();
    for (std::int64_t i = 0; i < n; ++i) m.assign(i, i);
    lab.figure("go::map: bytes an entry", each(double(meter.read().live_bytes)), unit::bytes);
    keep(m.header());
}

const experiment here{{.id = "E-44",
                       .name = "appmaps",
                       .question = "What do maps made for one purpose save at a million entries?",
                       .rows = "S4-49,51,54",
                       .reported = "128 / 58 / 63 MB; probes 2.4 / 1.0 / 1.1",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
