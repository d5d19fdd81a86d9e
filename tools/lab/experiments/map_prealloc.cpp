// map_prealloc.cpp - E-22: a million inserts of int to int, with and without a hint.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/map/map.hpp"

namespace steady::cli::lab {
namespace {

using subject = go::map<std::int64_t, std::int64_t>;
using own_map = map<std::int64_t, std::int64_t, map_hash<std::int64_t>, map_equal<std::int64_t>,
                    allocator<std::pair<const std::int64_t, std::int64_t>>>;

void run(laboratory& lab) {
    const std::int64_t count = 1'000'000;
    struct outcome {
        double each;
        heap_meter::difference heap;
    };
    const auto fill = [&](auto& m, const heap_meter& meter) {
        const double took = nanoseconds_of([&] {
            for (std::int64_t i = 0; i < count; ++i) m.try_emplace(i, i);
        });
        return outcome{took / static_cast<double>(count), meter.read()};
    };
    const auto show = [&](const char* how, const outcome& seen, const beside& time,
                          const beside& objects, const beside& size) {
        lab.figure(fmt::format("{}, an insert", how), seen.each, unit::nanoseconds, time);
        lab.figure(fmt::format("{}, objects", how), static_cast<double>(seen.heap.objects),
                   unit::number, objects);
        lab.figure(fmt::format("{}, bytes allocated", how), static_cast<double>(seen.heap.bytes),
                   unit::bytes, size);
    };
    {
        const heap_meter meter;
        subject m = subject::make(static_cast<std::size_t>(count));
        const outcome seen = fill(m, meter);
        show("go::map, presized", seen, {"2.1 ns", "256 ns"}, {"1", "19"}, {"-", "40.2 MB"});
        // hmap, array, mapextra, the list of overflow buckets and its growths, and the
        // overflow buckets beyond the spares, of which the seed decides.
        lab.expect_within("presized: objects, any seed", static_cast<double>(seen.heap.objects), 3,
                          120);
        lab.expect_within("presized: bytes, any seed", static_cast<double>(seen.heap.bytes),
                          40'108'032 + 72, 40'108'032 + 400'000);
    }
    {
        const heap_meter meter;
        subject m = subject::make();
        const outcome seen = fill(m, meter);
        show("go::map, grown", seen, {"8.7 ns", "729 ns"}, {"4 to 7", "38438"}, {"-", "87.6 MB"});
        lab.expect_within("grown: objects, any seed", static_cast<double>(seen.heap.objects),
                          37'000, 39'900);
        lab.expect_within("grown: bytes, any seed", static_cast<double>(seen.heap.bytes), 87.2e6,
                          88.0e6);
    }
    {
        const heap_meter meter;
        own_map m(static_cast<std::size_t>(count));
        show("steady::map, presized", fill(m, meter), {}, {}, {});
    }
    {
        const heap_meter meter;
        own_map m;
        show("steady::map, grown", fill(m, meter), {}, {}, {});
    }
    lab.impossible(
        "2.1 ns an insert and 4 to 7 allocations (S2-40): 18 growths allocate 18 arrays, "
        "and 40 MB of buckets alone cannot be written at 2 ns for 40 bytes and a hash "
        "(ruling C-29)");
}

const experiment here{{.id = "E-22",
                       .name = "map-prealloc",
                       .question = "What does a hint save for a million inserts?",
                       .rows = "S2-40",
                       .reported = "2.1 ns, 1 allocation; 8.7 ns, 4 to 7",
                       .reference = "256 ns, 19, 40.2 MB; 729 ns, 38438, 87.6 MB",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
