// density.cpp - E-41: which part of a map's bytes is keys and values, by type.
#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/core/hash.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/map/map.hpp"

namespace steady::cli::lab {
namespace {

template <class K>
K make_key(std::uint64_t i) {
    if constexpr (std::is_integral_v<K>) {
        return static_cast<K>(i);
    } else {
        // The header of the string counts, its text does not: it belongs to whoever made it.
        static std::array<char, 1 << 20> letters{};
        return std::string_view(letters.data(), 1 + i % letters.size());
    }
}

template <class Map>
double density(std::uint64_t count) {
    const heap_meter meter;
    Map m = [] {
        if constexpr (requires { Map::make(); }) {
            return Map::make();
        } else {
            return Map();
        }
    }();
    for (std::uint64_t i = 0; i < count; ++i) {
        m.try_emplace(make_key<typename Map::key_type>(i), typename Map::mapped_type{});
    }
    const double payload = static_cast<double>(m.size()) *
                           (sizeof(typename Map::key_type) + sizeof(typename Map::mapped_type));
    return 100 * payload / static_cast<double>(meter.read().live_bytes);
}

template <class K, class V>
void compare(laboratory& lab, const char* name, const beside& others = {}) {
    using own = map<K, V, map_hash<K>, map_equal<K>, allocator<std::pair<const K, V>>>;
    constexpr std::uint64_t count = 500'000;
    lab.figure(fmt::format("{}: go::map", name), density<go::map<K, V>>(count), unit::percent,
               others);
    lab.figure(fmt::format("{}: steady::map", name), density<own>(count), unit::percent);
}

void run(laboratory& lab) {
    compare<std::int32_t, std::int32_t>(lab, "int32 to int32");
    compare<std::int64_t, std::int8_t>(lab, "int64 to int8");
    compare<std::int64_t, std::int64_t>(lab, "int64 to int64");
    compare<std::int64_t, std::string_view>(lab, "int64 to string",
                                            {.reported = "-12 % for strings"});
    compare<std::string_view, std::int64_t>(lab, "string to int");
    compare<std::string_view, std::string_view>(lab, "string to string");
    compare<std::int64_t, std::array<char, 128>>(lab, "int64 to 128 bytes");
    lab.impossible(
        "padding between key and value as the reason (S4-39): keys and values lie in "
        "arrays of their own, and there is none (ruling C-06)");
    lab.note(
        "Payload by live bytes at 500,000 entries, grown without a hint: where a map stands "
        "between two doublings decides much of it. steady::map's bytes contain what it has "
        "reserved and not touched.");
}

const experiment here{{.id = "E-41",
                       .name = "density",
                       .question = "Which part of a map's bytes is keys and values?",
                       .rows = "S4-31",
                       .reported = "-12 % for strings",
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
