// scaling.cpp - E-47: does throughput fall when a concurrent map passes 131072 entries?
#include <cstdint>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/concurrent/concurrent_map.hpp"

namespace steady::cli::lab {
namespace {

using subject = steady::concurrent_map<std::uint64_t, std::uint64_t>;

void run(laboratory& lab) {
    const std::uint64_t largest = lab.size<std::uint64_t>(2'000'000, 140'000);
    for (const unsigned threads : {1u, 2u}) {
        subject map;
        std::uint64_t filled = 0;
        for (const std::uint64_t size : {std::uint64_t{1} << 16, std::uint64_t{1} << 17,
                                         std::uint64_t{1} << 19, std::uint64_t{2'000'000}}) {
            if (size > largest) break;
            const std::uint64_t fresh = size - filled;
            const double inserting = nanoseconds_of([&] {
                std::vector<std::thread> all;
                for (unsigned t = 0; t < threads; ++t) {
                    all.emplace_back([&, t] {
                        for (std::uint64_t i = filled + t; i < size; i += threads) map.insert(i, i);
                    });
                }
                for (auto& t : all) t.join();
            });
            filled = size;
            constexpr std::uint64_t finds = 400'000;
            const double finding = nanoseconds_of([&] {
                std::vector<std::thread> all;
                for (unsigned t = 0; t < threads; ++t) {
                    all.emplace_back([&, t] {
                        std::uint64_t state = t + 1, sum = 0;
                        for (std::uint64_t i = 0; i < finds; ++i) {
                            state = state * 6364136223846793005u + 1442695040888963407u;
                            sum += map.find((state >> 20) % size).value_or(0);
                        }
                        keep(sum);
                    });
                }
                for (auto& t : all) t.join();
            });
            lab.figure(fmt::format("{} threads, to {} entries: an insert", threads, size),
                       inserting / static_cast<double>(fresh), unit::nanoseconds);
            lab.figure(fmt::format("{} threads, {} entries: a find", threads, size),
                       finding / static_cast<double>(finds * threads), unit::nanoseconds);
        }
        lab.expect("entries at the end", std::uint64_t{map.size_exact()}, filled);
        const auto s = map.stats();
        lab.expect_within("most entries moved by one insert, at any size",
                          static_cast<double>(s.most_moved_at_once), 300, 896);
    }
    lab.note(
        "The reported tiers (an array to 65536, two tables to 524288, eight above) are one type "
        "here: a segment to 896 entries, then a directory of segments, which changes nothing at "
        "any of these sizes but how much of the map is in the cache.");
}

const experiment here{
    {.id = "E-47",
     .name = "scaling",
     .question = "Where does throughput fall with the number of entries and threads?",
     .rows = "S4-55",
     .reported = "cliff at 131072; linear with tiers",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
