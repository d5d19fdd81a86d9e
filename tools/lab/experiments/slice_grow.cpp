// slice_grow.cpp - E-01: which capacities append goes through, one value at a time and many
// at once, under the three rules that the source documents mix up.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::lab {
namespace {

/// The three-stage rule of S0-37, which no Go ever had: an exhibit, and only here.
struct seed3 {
    static constexpr bool rounds = false;
    static constexpr std::ptrdiff_t next(std::ptrdiff_t old, std::ptrdiff_t needed) noexcept {
        const std::ptrdiff_t wanted = old < 1024 ? 2 * old : old < 2048 ? old + old / 4 : 2 * old;
        return wanted < needed ? needed : wanted;
    }
};

template <std::size_t Size>
using block = std::array<std::uint8_t, Size>;

/// The capacities of a slice that grows value by value until `last` was reached.
template <class T, class Growth = growth::go>
std::string one_by_one(std::ptrdiff_t last) {
    slice<T, Growth> s;
    std::string text;
    std::ptrdiff_t cap = -1;
    while (cap < last) {
        s.append(T{});
        if (s.cap() == cap) continue;
        cap = s.cap();
        text += fmt::format("{}{}", text.empty() ? "" : " ", cap);
    }
    return text;
}

template <class T>
std::ptrdiff_t append_to_full(std::ptrdiff_t cap, std::ptrdiff_t count) {
    slice<T> s = make_slice<T>(cap);
    const std::vector<T> more(static_cast<std::size_t>(count));
    s.append_range(more);
    return s.cap();
}

struct sequence {
    const char* what;
    std::string (*measure)(std::ptrdiff_t);
    std::ptrdiff_t last;
    const char* go119;
};

const sequence sequences[] = {
    {"1-byte values", one_by_one<std::uint8_t>, 21760,
     "8 16 32 64 128 256 512 896 1408 2048 3072 4096 5376 6912 9472 12288 16384 21760"},
    {"int32", one_by_one<std::int32_t>, 24576,
     "2 4 8 16 32 64 128 256 512 864 1344 2048 3072 4096 5440 7168 10240 14336 18432 24576"},
    {"int64", one_by_one<std::int64_t>, 21504,
     "1 2 4 8 16 32 64 128 256 512 848 1280 1792 2560 3408 5120 7168 9216 12288 16384 21504"},
    {"string", one_by_one<std::string_view>, 23552,
     "1 2 4 8 16 32 64 128 256 512 848 1280 1792 2560 3584 5120 6656 8704 11264 14336 18432 23552"},
    {"3-byte values", one_by_one<block<3>>, 3157,
     "2 5 10 21 42 85 170 341 682 1066 1621 2261 3157"},
    {"5-byte values", one_by_one<block<5>>, 3686,
     "1 3 6 12 25 51 102 204 409 819 1228 1894 2713 3686"},
    {"100-byte values", one_by_one<block<100>>, 3686,
     "1 2 4 8 17 34 69 143 286 573 983 1474 2048 2785 3686"},
    {"int64, Go 1.17's rule", one_by_one<std::int64_t, growth::go117>, 24576,
     "1 2 4 8 16 32 64 128 256 512 1024 1280 1696 2304 3072 4096 5120 7168 9216 12288 15360 19456 "
     "24576"},
};

void run(laboratory& lab) {
    for (const sequence& each : sequences) {
        const std::string seen = each.measure(each.last);
        lab.expect(fmt::format("{}, appended one by one", each.what), seen, each.go119);
        lab.text(fmt::format("capacities, {}", each.what), seen,
                 {.reported = std::string_view(each.what) == "int64"
                                  ? "1 2 4 8 .. 1024 1280 1600 2000 2500"
                                  : "-",
                  .reference = each.go119});
    }
    lab.text("int64, the three-stage rule of S0-37", one_by_one<std::int64_t, seed3>(8192),
             {.reported = "512>1024, 1024>1280, 2048>4096", .reference = "no Go has this rule"});

    struct jump {
        std::ptrdiff_t from;
        std::ptrdiff_t count;
        std::ptrdiff_t go119;
        const char* reported;
    };
    for (const jump& each :
         {jump{257, 1, 608, "-"}, jump{512, 1, 848, "1024"}, jump{1000, 1, 1536, "2000"},
          jump{1024, 1, 1536, "1280"}, jump{2048, 1, 3072, "4096"}, jump{4096, 1, 6144, "-"},
          jump{10000, 1, 13312, "-"}, jump{0, 3, 3, "-"}, jump{1, 5, 6, "8"}}) {
        const std::ptrdiff_t seen = append_to_full<std::int64_t>(each.from, each.count);
        lab.figure(fmt::format("int64, full at {}, {} more", each.from, each.count),
                   static_cast<double>(seen), unit::number,
                   {.reported = each.reported, .reference = std::to_string(each.go119)});
        lab.expect(fmt::format("int64, full at {}, {} more", each.from, each.count), seen,
                   each.go119);
    }
    const std::ptrdiff_t five_bytes = append_to_full<std::uint8_t>(0, 5);
    lab.expect("5 bytes appended to nothing", five_bytes, 8);

    lab.impossible(
        "make([]int, 0, 1) and five values at once do not give 8: 5 is more than twice 1, so 5 are "
        "asked for, 40 bytes, and the size class of 48 holds 6 (ruling C-02)");
    lab.impossible(
        "the rule that doubles again from 2048 on (S0-37) is in no version of Go, and the "
        "document's own code has two branches, not three (ruling C-01)");

    curve drawn{"Growth factor of an int64 slice",
                "capacity before",
                "capacity after / before",
                true,
                false,
                unit::ratio,
                {},
                {{"Go 1.18 and later", {}}, {"Go 1.17", {}}, {"three stages (S0-37)", {}}}};
    for (double cap = 8; cap < 2e6; cap *= 1.25) {
        const auto from = static_cast<std::ptrdiff_t>(cap);
        const auto factor = [&](growth::room r) {
            return static_cast<double>(r.cap) / static_cast<double>(from);
        };
        drawn.x.push_back(static_cast<double>(from));
        drawn.lines[0].values.push_back(factor(growth::capacity<growth::go>(8, from, from + 1)));
        drawn.lines[1].values.push_back(factor(growth::capacity<growth::go117>(8, from, from + 1)));
        drawn.lines[2].values.push_back(factor(growth::capacity<seed3>(8, from, from + 1)));
    }
    lab.plot(std::move(drawn));
}

const experiment here{{.id = "E-01",
                       .name = "slice-grow",
                       .question = "Which capacities does append go through, rule by rule?",
                       .rows = "S0-01,02,37-40 S4-16",
                       .reported = "1>2>4>8; 1024>1280; 2048>4096",
                       .reference = "go1.19.8's sequences",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
