// iteration.cpp - E-53: in which orders a map is walked, what a growth under a walk does, and
// keys that equal nothing.
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/core/hash.hpp"
#include "steady/go/map.hpp"

namespace steady::cli::lab {
namespace {

void orders(laboratory& lab) {
    auto m = go::map<int, int>::make();
    std::string inserted;
    for (int i = 1; i <= 8; ++i) {
        m.assign(i, i);
        inserted += std::to_string(i);
    }
    std::map<std::string, int> seen;
    for (int walk = 0; walk < 4'000; ++walk) {
        std::string order;
        for (const auto& [key, elem] : m) order += std::to_string(key);
        ++seen[order];
    }
    int strangers = 0;
    int rarest = 4'000;
    for (const auto& [order, times] : seen) {
        // A rotation of the insertion order occurs in it twice over.
        if ((inserted + inserted).find(order) == std::string::npos) ++strangers;
        rarest = std::min(rarest, times);
    }
    lab.figure("orders of one full bucket", static_cast<double>(seen.size()), unit::number,
               {"-", "8 rotations"});
    lab.expect("orders of one full bucket", seen.size(), 8);
    lab.expect("orders that are no rotation of the insertion order", strangers, 0);
    // 500 expected of each; 21 is the standard deviation.
    lab.expect_within("the rarest order of 4000 walks", rarest, 380, 500);
}

void growth_under_a_walk(laboratory& lab) {
    std::uint64_t twice = 0;
    std::uint64_t missing = 0;
    std::uint64_t deleted_seen = 0;
    std::uint64_t added_seen = 0;
    std::uint64_t growths = 0;
    for (int round = 0; round < 20; ++round) {
        auto m = go::map<std::uint64_t, std::uint64_t>::make();
        for (std::uint64_t i = 0; i < 1'000; ++i) m.assign(finalise(i), i);
        std::set<std::uint64_t> met;
        std::set<std::uint64_t> deleted;
        std::uint64_t next = 1'000;
        const auto B = m.header()->B;
        for (const auto& [key, elem] : m) {
            const std::uint64_t number = elem;
            if (!met.insert(number).second) ++twice;
            if (deleted.contains(number)) ++deleted_seen;
            if (number >= 1'000) ++added_seen;
            for (int i = 0; i < 4 && next < 5'000; ++i, ++next) m.assign(finalise(next), next);
            const std::uint64_t victim = (number * 7 + 13) % 1'000;
            if (!met.contains(victim) && deleted.size() < 200 && deleted.insert(victim).second) {
                m.erase(finalise(victim));
            }
        }
        growths += m.header()->B - B;
        for (std::uint64_t i = 0; i < 1'000; ++i) {
            if (!met.contains(i) && !deleted.contains(i)) ++missing;
        }
    }
    lab.figure("growths during 20 walks", static_cast<double>(growths), unit::number);
    lab.figure("entries added meanwhile that were seen", static_cast<double>(added_seen),
               unit::number, {"-", "some: either is right"});
    lab.expect("walks during which the map grew", growths >= 20 ? "all" : "not all", "all");
    lab.expect("entries seen twice", twice, 0);
    lab.expect("entries present throughout and not seen", missing, 0);
    lab.expect("deleted entries seen afterwards", deleted_seen, 0);
}

void keys_that_equal_nothing(laboratory& lab) {
    auto m = go::map<double, int>::make();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int i = 0; i < 100; ++i) m.assign(nan, i);
    lab.figure("100 inserts of NaN: entries", static_cast<double>(m.size()), unit::number,
               {"-", "100"});
    lab.expect("100 inserts of NaN: entries", m.size(), 100);
    lab.expect("lookup of NaN", m.contains(nan) ? "found" : "not found", "not found");
    for (int i = 0; i < 100; ++i) m.erase(nan);
    lab.expect("entries after a hundred deletes", m.size(), 100);
    std::set<int> met;
    for (const auto& [key, elem] : m) met.insert(elem);
    lab.expect("a walk finds them", met.size(), 100);
    m.clear();
    lab.expect("entries after clear", m.size(), 0);
    m.assign(0.0, 1);
    m.assign(-0.0, 2);
    lab.expect("+0 and -0: entries", m.size(), 1);
}

void run(laboratory& lab) {
    orders(lab);
    growth_under_a_walk(lab);
    keys_that_equal_nothing(lab);
}

const experiment here{{.id = "E-53",
                       .name = "iteration",
                       .question = "In which order is a map walked, and what may change meanwhile?",
                       .rows = "1.1",
                       .reference = "8 rotations of a full bucket; 100 NaN stay",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
