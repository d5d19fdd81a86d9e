// map_bytes.cpp - E-40: every byte of map[int64]string, made for 100000 entries and filled,
// by three methods that must agree: the sizes of its parts, the heap's statistics, and a walk
// over the heap's objects.
#include <string_view>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/experiments/buckets.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"

namespace steady::cli::lab {
namespace {

/// The hash the goldens were made with (tests/golden), which the Go program planted in the
/// real runtime: FNV-1a of the eight bytes, then murmur's mixer. No seed.
struct planted_hash {
    using is_avalanching = void;
    std::uint64_t operator()(std::int64_t key, std::uint64_t) const noexcept {
        std::uint64_t h = 0xcbf29ce484222325;
        for (unsigned i = 0; i < 8; ++i) {
            h = (h ^ (static_cast<std::uint64_t>(key) >> (8 * i) & 0xff)) * 0x100000001b3;
        }
        h = (h ^ (h >> 33)) * 0xff51afd7ed558ccd;
        h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53;
        return h ^ (h >> 33);
    }
};

template <class Map>
struct accounts {
    heap_meter::difference heap;
    std::uint64_t buckets, spares, overflow, extra_overflow, array_bytes, total, walked = 0;
    unsigned B;
};

template <class Map>
accounts<Map> fill(std::int64_t count) {
    namespace in = go::internal;
    std::uint64_t before = 0;
    const auto add = [](void* sum, const object_info& o) {
        *static_cast<std::uint64_t*>(sum) += o.size;
    };
    for_each_object(add, &before);
    const heap_meter meter;
    Map m = Map::make(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) m.assign(i, typename Map::mapped_type{});
    accounts<Map> a{};
    a.heap = meter.read();
    for_each_object(add, &a.walked);
    a.walked -= before;
    const bucket_survey found = survey(m);
    a.B = m.header()->B;
    a.buckets = m.bucket_count();
    a.spares = in::array_buckets(Map::bucket_size, a.B) - a.buckets;
    a.overflow = found.overflow;
    a.extra_overflow = found.overflow > a.spares ? found.overflow - a.spares : 0;
    a.array_bytes = in::round_up_size((a.buckets + a.spares) * Map::bucket_size);
    a.total = sizeof(in::hmap) + sizeof(in::mapextra) + a.array_bytes +
              a.extra_overflow * in::round_up_size(Map::bucket_size);
    return a;
}

void run(laboratory& lab) {
    using seeded = go::map<std::int64_t, std::string_view>;
    using planted = go::map<std::int64_t, std::string_view, planted_hash>;
    constexpr std::int64_t count = 100'000;
    const auto a = fill<seeded>(count);
    constexpr std::uint64_t bucket = seeded::bucket_size;
    const auto part = [&](const char* name, std::uint64_t bytes, const beside& others) {
        lab.figure(name, static_cast<double>(bytes), unit::bytes, others);
    };
    lab.figure("B", a.B, unit::number, {"14", "14"});
    part("1 hmap", sizeof(go::internal::hmap), {"56 B", "48 B"});
    part("2 mapextra", sizeof(go::internal::mapextra), {"8 + 16 B", "24 B"});
    part("3 bucket array", a.buckets * bucket, {"-", "3407872 B"});
    part("4 spare overflow buckets", a.spares * bucket, {"-", "212992 B"});
    part("5 further overflow buckets", a.extra_overflow * bucket, {"-", "346944 B (1668)"});
    part("6 tophash and overflow pointers, of these", (a.buckets + a.overflow) * 16,
         {"262152 B", "16 B a bucket"});
    part("7 rounding by the heap", a.array_bytes - (a.buckets + a.spares) * bucket, {"-", "0 B"});
    part("total by parts", a.total, {"-", "3967880 B"});
    part("total by the heap's statistics", a.heap.bytes, {"-", "3967880 B"});
    part("total by walking the heap's objects", a.walked, {"-", "-"});
    lab.figure("objects", static_cast<double>(a.heap.objects), unit::number, {"-", "1671"});
    lab.figure("bytes an entry", static_cast<double>(a.total) / count, unit::ratio);

    lab.expect("the parts are what the statistics say", a.total, a.heap.bytes);
    lab.expect("the walk finds as much", a.walked, a.heap.bytes);
    lab.expect("array with spares", a.array_bytes, 3'620'864);
    // 3967880 has 1668 further buckets. The seed decides: Poisson says 2684 in all, with a
    // standard deviation of about 50; six of them.
    lab.expect_within("total, any seed", static_cast<double>(a.total), 3'967'880 - 300 * 208,
                      3'967'880 + 300 * 208);
    // With Go's seed and hash taken out of the game the real runtime's total is exact.
    const auto p = fill<planted>(count);
    lab.expect("total with the hash planted in go1.19.8", p.heap.bytes, 3'963'720);
    lab.expect("objects with the hash planted in go1.19.8", p.heap.objects, 1651);
    lab.impossible(
        "a header of 56 bytes and 128 a bucket (S4-46, S4-47): the header is 48, and "
        "a bucket of int64 to string is 8 + 8*8 + 8*16 + 8 = 208 (rulings C-03, C-04)");
}

const experiment here{{.id = "E-40",
                       .name = "map-bytes",
                       .question = "Where is every byte of a map of 100,000 entries?",
                       .rows = "S4-36..38,45..48",
                       .reported = "56 + 8 + 16 + 128",
                       .reference = "3967880 B, one seed; 3963720 B with a planted hash",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
