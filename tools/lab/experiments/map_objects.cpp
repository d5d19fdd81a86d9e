// map_objects.cpp - E-21: the objects and bytes that filling a map allocates.
//
// Go's string is 16 bytes, and so is std::string_view: map[string]int has the same buckets
// here and there.
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

using text_map = go::map<std::string_view, std::int64_t>;

std::vector<std::string> make_texts(int count) {
    std::vector<std::string> texts;
    for (int i = 0; i < count; ++i) texts.push_back(fmt::format("key-{}", i));
    return texts;
}

template <class Map, class Key>
heap_meter::difference fill(const std::vector<Key>& keys, int count, std::size_t hint) {
    const heap_meter meter;
    Map m = hint == 0 ? Map::make() : Map::make(hint);
    for (int i = 0; i < count; ++i) {
        m.assign(typename Map::key_type(keys[static_cast<std::size_t>(i)]), i);
    }
    return meter.read();
}

void show(laboratory& lab, const std::string& what, const heap_meter::difference& seen,
          const beside& objects, const beside& size) {
    lab.figure(what + ", objects", static_cast<double>(seen.objects), unit::number, objects);
    lab.figure(what + ", bytes", static_cast<double>(seen.bytes), unit::bytes, size);
}

void run(laboratory& lab) {
    const std::vector<std::string> texts = make_texts(10'000);
    std::vector<std::int64_t> numbers;
    for (std::int64_t i = 0; i < 10'000; ++i) numbers.push_back(i);

    struct exact {
        int count;
        std::uint64_t objects;
        std::uint64_t bytes;
    };
    for (const exact& each :
         {exact{0, 1, 48}, exact{1, 2, 256}, exact{8, 2, 256}, exact{9, 3, 672}}) {
        const auto seen = fill<text_map>(texts, each.count, 0);
        lab.expect(fmt::format("map[string]int, {} inserts: objects", each.count), seen.objects,
                   each.objects);
        lab.expect(fmt::format("map[string]int, {} inserts: bytes", each.count), seen.bytes,
                   each.bytes);
    }
    const auto small = fill<text_map>(texts, 100, 0);
    show(lab, "string to int, 100 inserts", small, {"12840", "11"}, {"3.2 MB", "8312 B"});
    const auto big = fill<text_map>(texts, 10'000, 0);
    show(lab, "string to int, 10000 inserts", big, {"41600", "301"}, {"8.7 MB", "978536 B"});
    const auto presized = fill<text_map>(texts, 10'000, 10'000);
    show(lab, "string to int, 10000, presized", presized, {"1020", "3"}, {"2.1 MB", "458824 B"});
    const auto ints = fill<go::map<std::int64_t, std::int64_t>>(numbers, 10'000, 0);
    show(lab, "int to int, 10000 inserts", ints, {"-", "256"}, {"-", "685544 B"});
    const auto ints_presized = fill<go::map<std::int64_t, std::int64_t>>(numbers, 10'000, 10'000);
    show(lab, "int to int, 10000, presized", ints_presized, {"-", "12"}, {"-", "321624 B"});

    // The seed decides how many overflow buckets there are beyond the spares. What does not
    // depend on it: the arrays. 100 entries end at B = 4, 10000 at B = 11.
    lab.expect_within("100 inserts: objects, whatever the seed", static_cast<double>(small.objects),
                      6, 40);
    lab.expect_within("10000 inserts: objects, whatever the seed", static_cast<double>(big.objects),
                      200, 450);
    lab.expect_within("10000 presized: bytes, whatever the seed",
                      static_cast<double>(presized.bytes), 48 + 24 + 458752,
                      48 + 24 + 458752 + 60 * 208);
    lab.impossible(
        "12840 objects for 100 inserts (S2-31): the map allocates a header, five arrays and a few "
        "overflow buckets; and the presized map of 10000 cannot have fewer than the small one "
        "(ruling C-28)");
    lab.note("Counts of the 10000 vary with the random seed by a few overflow buckets.");
}

const experiment here{{.id = "E-21",
                       .name = "map-objects",
                       .question = "How many objects and bytes does filling a map allocate?",
                       .rows = "S2-29,31",
                       .reported = "12840/3.2 MB; 41600/8.7; 1020/2.1",
                       .reference = "11/8312 B; 301/978536; 3/458824",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
