// same_size.cpp - E-14: churn at a constant size until the map grows sideways: the same number
// of buckets, a fresh array, because overflow buckets have become as many as buckets.
#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "steady/core/hash.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

void run(laboratory& lab) {
    unsigned too_few = 0;
    unsigned other_B = 0;
    unsigned found = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        auto m = go::map<std::uint64_t, std::uint64_t>::make();
        std::uint64_t newest = 0;
        std::uint64_t oldest = 0;
        while (newest < 100) m.assign(finalise(newest++), 0);
        while (m.header()->growing()) m.assign(finalise(newest - 1), 1);
        const auto* array = m.header()->buckets;
        std::uint64_t operations = 0;
        unsigned overflow = 0;
        while (m.header()->buckets == array && operations < 100'000) {
            overflow = m.header()->noverflow;
            m.erase(finalise(oldest++));
            m.assign(finalise(newest++), 0);
            operations += 2;
        }
        if (m.header()->buckets != array) ++found;
        if (overflow < 16) ++too_few;
        if (m.header()->B != 4) ++other_B;
        lab.figure("operations until the array is replaced, B = 4", static_cast<double>(operations),
                   unit::number, {"-", "about 850, 530, 560, by seed"});
        lab.figure("noverflow just before", overflow, unit::number, {"-", ">= 16"});
    }
    lab.expect("maps of five that grew sideways", found, 5u);
    lab.expect("grew with fewer than 16 overflow buckets", too_few, 0u);
    lab.expect("grew to another number of buckets", other_B, 0u);
    lab.note("A sliding window of 100 fresh keys. Each of the five maps has a seed of its own.");
}

const experiment here{
    {.id = "E-14",
     .name = "same-size",
     .question = "After how much churn does a map replace its array at the same size?",
     .rows = "S0-05",
     .reference = "B = 4: after about 850, 530, 560 operations; noverflow >= 16",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
