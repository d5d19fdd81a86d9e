// estimate_test.cpp - estimates are unbiased, with one rate for all sizes and with tuned ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "profile/support.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/heap.hpp"
#include "steady/heap/interface.hpp"
#include "steady/profile/detail/tuning.hpp"
#include "steady/profile/profile.hpp"

namespace {

using namespace steady;
using namespace steady::profile;
using namespace steady::profile::test;

/// Allocates about `bytes` in sizes of 16 bytes up to `largest`, each power of two as often
/// as the others, and keeps a third. Nothing is touched. Returns what is alive.
std::vector<void*> mixed_program(std::uint64_t seed, std::size_t bytes, unsigned largest) {
    std::vector<void*> held;
    wyrand random(seed);
    for (std::size_t done = 0; done < bytes;) {
        const auto power = static_cast<unsigned>(4 + random() % (largest - 4));
        const std::size_t size = (std::size_t{1} << power) + random() % (std::size_t{1} << power);
        void* p = allocate(size);
        done += size;
        if (random() % 3 == 0)
            held.push_back(p);
        else
            deallocate(p);
    }
    return held;
}

struct sums {
    double estimated = 0, exact = 0;
    [[nodiscard]] double ratio() const { return estimated / exact; }
};

sums run_seeds(int seeds, std::uint64_t rate, std::size_t bytes, unsigned largest,
               const std::uint64_t* periods) {
    sums s;
    for (int seed = 1; seed <= seeds; ++seed) {
        static_cast<void>(trim());
        const std::uint64_t before = read_heap_statistics().heap_alloc;
        EXPECT_TRUE(start());
        set_rate(rate);
        if (periods != nullptr) steady_heap_interface_1()->set_class_periods(periods);
        std::vector<void*> held = mixed_program(static_cast<std::uint64_t>(seed), bytes, largest);
        s.estimated +=
            static_cast<double>(total(snapshot(kind::heap, {.symbolize = false}), inuse_space));
        s.exact += static_cast<double>(read_heap_statistics().heap_alloc - before);
        for (void* p : held) deallocate(p);
        stop();
    }
    return s;
}

// Alive at the end: 50 times about 1 GiB, most of it in objects of 64 KiB to 2 MiB. The
// standard error of the mean is then 0.2 %.
TEST(Estimate, At512KiBTheMeanOf50SeedsIsWithin1Percent) {
    const sums s = run_seeds(50, 512 << 10, std::size_t{3} << 30, 21, nullptr);
    EXPECT_NEAR(s.ratio(), 1, 0.01);
}

// Small objects only: 50 times 10 MiB alive, 64,000 samples, standard error 0.4 %.
TEST(Estimate, OfSmallObjectsItIsAsGood) {
    const sums s = run_seeds(50, 8 << 10, std::size_t{32} << 20, 12, nullptr);
    EXPECT_NEAR(s.ratio(), 1, 0.02);
}

TEST(Estimate, TunedPeriodsAreUnbiasedToo) {
    std::uint64_t periods[class_count];
    for (unsigned c = 0; c < class_count; ++c) periods[c] = (1 << 10) << (c % 5);
    const sums s = run_seeds(30, 32 << 10, std::size_t{32} << 20, 12, periods);
    EXPECT_NEAR(s.ratio(), 1, 0.02);
}

TEST(Estimate, PeriodsThatChangeWhileTheProgramRunsLeaveItUnbiased) {
    sums s;
    for (int seed = 1; seed <= 10; ++seed) {
        static_cast<void>(trim());
        const std::uint64_t before = read_heap_statistics().heap_alloc;
        ASSERT_TRUE(start());
        set_rate(32 << 10);
        std::vector<void*> held;
        for (int part = 0; part < 20; ++part) {
            std::uint64_t periods[class_count];
            for (unsigned c = 0; c < class_count; ++c)
                periods[c] = (1 << 10) << ((c + static_cast<unsigned>(part)) % 6);
            steady_heap_interface_1()->set_class_periods(periods);
            const auto more =
                mixed_program(static_cast<std::uint64_t>(seed * 100 + part), 4 << 20, 12);
            held.insert(held.end(), more.begin(), more.end());
        }
        s.estimated +=
            static_cast<double>(total(snapshot(kind::heap, {.symbolize = false}), inuse_space));
        s.exact += static_cast<double>(read_heap_statistics().heap_alloc - before);
        for (void* p : held) deallocate(p);
        stop();
    }
    EXPECT_NEAR(s.ratio(), 1, 0.02);
}

// ---- The solver.

using steady::profile::detail::class_load;

double probability(unsigned c, double period) {
    return std::min(1.0, static_cast<double>(class_size[c]) / period);
}

TEST(Tuning, SpendsTheSameBudgetAndLowersTheError) {
    class_load loads[class_count];
    const unsigned garbage = size_class_of(64), kept = size_class_of(512),
                   rare = size_class_of(4096);
    loads[garbage] = {.live = 1000, .allocated = 5'000'000};
    loads[kept] = {.live = 200'000, .allocated = 10'000};
    loads[rare] = {.live = 100, .allocated = 100};
    constexpr double period = 512 << 10;
    std::uint64_t periods[class_count];
    steady::profile::detail::solve_periods(loads, period, periods);

    double usual_cost = 0, tuned_cost = 0, usual_error = 0, tuned_error = 0;
    for (const unsigned c : {garbage, kept, rare}) {
        const double p0 = probability(c, period),
                     p = probability(c, static_cast<double>(periods[c]));
        usual_cost += loads[c].allocated * p0;
        tuned_cost += loads[c].allocated * p;
        const double variance = static_cast<double>(class_size[c]) * class_size[c] * loads[c].live;
        usual_error += variance * (1 - p0) / p0;
        tuned_error += variance * (1 - p) / p;
    }
    EXPECT_LE(tuned_cost, usual_cost * 1.02);
    EXPECT_LT(std::sqrt(tuned_error), std::sqrt(usual_error) * 0.5);
    EXPECT_GE(probability(garbage, static_cast<double>(periods[garbage])),
              probability(garbage, period) * 0.24);
}

TEST(Tuning, WithNothingKnownEverySizeKeepsItsPeriod) {
    const class_load loads[class_count] = {};
    std::uint64_t periods[class_count];
    steady::profile::detail::solve_periods(loads, 512 << 10, periods);
    for (const std::uint64_t p : periods) EXPECT_EQ(p, 0u);
}

}  // namespace
