// collisions.cpp - E-05: chains of 1000 consecutive integers in a table like the JDK's
// HashMap: h ^ (h >>> 16), a power of two of bins, doubled above three quarters.
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"

namespace steady::cli::lab {
namespace {

std::vector<std::uint32_t> chains(std::uint32_t entries, std::uint32_t stride) {
    std::uint32_t bins = 16;
    while (entries > bins / 4 * 3) bins *= 2;
    std::vector<std::uint32_t> length(bins, 0);
    for (std::uint32_t i = 0; i < entries; ++i) {
        const std::uint32_t h = i * stride;
        ++length[(h ^ h >> 16) & (bins - 1)];
    }
    return length;
}

void run(laboratory& lab) {
    const auto histogram = [](const std::vector<std::uint32_t>& length) {
        std::vector<std::uint32_t> of(8, 0);
        for (const std::uint32_t n : length) ++of[n < 7 ? n : 7];
        return of;
    };
    const auto ints = histogram(chains(1000, 1));
    lab.figure("bins with 1 entry, 1000 consecutive integers", ints[1], unit::number,
               {.reported = "982", .reference = "1000"});
    lab.figure("bins with 2", ints[2], unit::number, {.reported = "16", .reference = "0"});
    lab.figure("bins with 3 and more", ints[3] + ints[4], unit::number,
               {.reported = "2", .reference = "0"});
    lab.expect("each of 1000 consecutive integers has a bin of its own", ints[1], 1000u);
    const auto strided = histogram(chains(1000, 1 << 16));
    lab.figure("bins with 1 entry, multiples of 65536", strided[1], unit::number);
    lab.impossible(
        "982 / 16 / 2: below 65536 the JDK's hash of an int is the int, so consecutive ones "
        "fall into consecutive bins and never meet");
}

const experiment here{
    {.id = "E-05",
     .name = "collisions",
     .question = "How long are the chains of 1000 consecutive integers in a JDK-style map?",
     .rows = "S0-22",
     .reported = "982 / 16 / 2",
     .reference = "1000 / 0 / 0",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
