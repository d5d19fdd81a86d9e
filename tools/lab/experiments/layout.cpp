// layout.cpp - E-39: offsets and sizes of Go's structures, as they are here, which are asserted
// while compiling to be the real ones, and bucket sizes by type.
#include <array>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "steady/go/map.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

using go::internal::hmap;
using go::internal::mapextra;

/// Go's interface: type and data.
struct interface_value {
    void* type;
    void* data;
};

void run(laboratory& lab) {
    const auto offset = [&](const char* what, std::size_t seen, std::size_t go119,
                            const char* reported) {
        lab.figure(what, static_cast<double>(seen), unit::number,
                   {reported, std::to_string(go119)});
        lab.expect(what, seen, go119);
    };
    offset("hmap, bytes", sizeof(hmap), 48, "56 and 48");
    offset("hmap.count", offsetof(hmap, count), 0, "0");
    offset("hmap.flags", offsetof(hmap, flags), 8, "-");
    offset("hmap.B", offsetof(hmap, B), 9, "-");
    offset("hmap.noverflow", offsetof(hmap, noverflow), 10, "-");
    offset("hmap.hash0", offsetof(hmap, hash0), 12, "-");
    offset("hmap.buckets", offsetof(hmap, buckets), 16, "0x40 and 0x10");
    offset("hmap.oldbuckets", offsetof(hmap, oldbuckets), 24, "0x48");
    offset("hmap.nevacuate", offsetof(hmap, nevacuate), 32, "-");
    offset("hmap.extra", offsetof(hmap, extra), 40, "missing");
    offset("mapextra, bytes", sizeof(mapextra), 24, "-");
    offset("slice header, bytes", sizeof(slice<int>), 24, "24");
    offset("keys in a bucket begin at", go::internal::data_offset, 8, "16, 8, 24");

    offset("bucket int32 to int32", (go::map<std::int32_t, std::int32_t>::bucket_size), 80, "-");
    offset("bucket int64 to int64", (go::map<std::int64_t, std::int64_t>::bucket_size), 144,
           "128 and 64");
    offset("bucket int64 to int8", (go::map<std::int64_t, std::int8_t>::bucket_size), 88, "-");
    offset("bucket int64 to string", (go::map<std::int64_t, std::string_view>::bucket_size), 208,
           "128");
    offset("bucket string to int", (go::map<std::string_view, std::int64_t>::bucket_size), 208,
           "128");
    offset("bucket string to string", (go::map<std::string_view, std::string_view>::bucket_size),
           272, "-");
    offset("bucket int64 to interface", (go::map<std::int64_t, interface_value>::bucket_size), 208,
           "-");
    offset("bucket int64 to 24 bytes", (go::map<std::int64_t, slice<int>>::bucket_size), 272, "-");
    offset("bucket uint8 to bool", (go::map<std::uint8_t, bool>::bucket_size), 32, "-");
    using wide = std::array<std::uint64_t, 16>;   // 128 bytes: stored in the bucket
    using wider = std::array<std::uint64_t, 17>;  // 136: behind a pointer
    offset("bucket int64 to 128 bytes", (go::map<std::int64_t, wide>::bucket_size),
           8 + 64 + 8 * 128 + 8, "-");
    offset("bucket int64 to 136 bytes", (go::map<std::int64_t, wider>::bucket_size),
           8 + 64 + 8 * 8 + 8, "-");

    lab.impossible(
        "buckets of 64 or 128 bytes for every type, keys at 16 or 24, padding between "
        "key and value (S0-14, S4-25..29): a bucket is 8 tophash bytes, 8 keys, 8 elems "
        "and a pointer, and arrays of 8 need no padding (rulings C-03 to C-06)");
    lab.note(
        "Go's Swiss structures (1.24 on: Map 48 B, table 32 B, groups of 8 slots) are not "
        "here: the go room has the classic map.");
}

const experiment here{{.id = "E-39",
                       .name = "layout",
                       .question = "Which size and which offsets do Go's structures have?",
                       .rows = "S0-14,15 S4-09,24..30",
                       .reported = "56, 64, 128, 0x40",
                       .reference = "48, 24, buckets by formula",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
