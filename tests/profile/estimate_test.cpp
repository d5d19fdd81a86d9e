// estimate_test.cpp - weights are unbiased, with one rate for all sizes and with tuned ones, and
// estimates agree with what the heap has counted.
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
    double estimated = 0, weighed = 0, exact = 0;

    /// Of what is alive now, beyond `before`; stops sampling, so that the weights are left alone.
    void add(std::uint64_t before) {
        const auto said = [] {
            return static_cast<double>(
                total(sampled(snapshot(kind::heap, {.symbolize = false})), inuse_space));
        };
        estimated += said();
        stop();
        weighed += said();
        exact += static_cast<double>(read_heap_statistics().heap_alloc - before);
    }
    void expect_near(double tolerance) const {
        EXPECT_NEAR(estimated / exact, 1, tolerance);
        EXPECT_NEAR(weighed / exact, 1, tolerance);
    }
};

sums run_seeds(int seeds, std::uint64_t rate, std::size_t bytes, unsigned largest,
               const std::uint64_t* periods) {
    sums s;
    for (int seed = 1; seed <= seeds; ++seed) {
        static_cast<void>(trim());
        const std::uint64_t before = read_heap_statistics().heap_alloc;
        start_untuned(rate);
        if (periods != nullptr) steady_heap_interface_1()->set_class_periods(periods);
        std::vector<void*> held = mixed_program(static_cast<std::uint64_t>(seed), bytes, largest);
        s.add(before);
        for (void* p : held) deallocate(p);
    }
    return s;
}

// Alive at the end: 50 times about 1 GiB, most of it in objects of 64 KiB to 2 MiB. The
// standard error of the mean is then 0.2 %.
TEST(Estimate, At512KiBTheMeanOf50SeedsIsWithin1Percent) {
    const sums s = run_seeds(50, 512 << 10, std::size_t{3} << 30, 21, nullptr);
    s.expect_near(0.01);
}

// Small objects only: 50 times 10 MiB alive, 64,000 samples, standard error 0.4 %.
TEST(Estimate, OfSmallObjectsItIsAsGood) {
    const sums s = run_seeds(50, 8 << 10, std::size_t{32} << 20, 12, nullptr);
    s.expect_near(0.02);
}

TEST(Estimate, TunedPeriodsAreUnbiasedToo) {
    std::uint64_t periods[class_count];
    for (unsigned c = 0; c < class_count; ++c) periods[c] = (1 << 10) << (c % 5);
    const sums s = run_seeds(30, 32 << 10, std::size_t{32} << 20, 12, periods);
    s.expect_near(0.02);
}

TEST(Estimate, PeriodsThatChangeWhileTheProgramRunsLeaveItUnbiased) {
    sums s;
    for (int seed = 1; seed <= 10; ++seed) {
        static_cast<void>(trim());
        const std::uint64_t before = read_heap_statistics().heap_alloc;
        start_untuned(32 << 10);
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
        s.add(before);
        for (void* p : held) deallocate(p);
    }
    s.expect_near(0.02);
}

// ---- Agreement with the heap's counts.

struct session {
    explicit session(std::uint64_t rate) {
        static_cast<void>(trim());
        start_untuned(rate);
    }
    ~session() {
        for (void* p : held) deallocate(p);
        stop();
    }
    void keep(std::size_t size, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) held.push_back(allocate(size));
    }
    std::vector<void*> held;
};

std::vector<stack_record> of_size(std::vector<stack_record> records, std::int64_t size) {
    std::erase_if(records, [size](const stack_record& r) {
        return r.labels.empty() || r.labels[0].key != "bytes" || r.labels[0].number != size;
    });
    return records;
}

[[gnu::noinline]] void keep_few(session& s, std::size_t size) {
    s.keep(size, 1);
    asm volatile("");
}
[[gnu::noinline]] void keep_many(session& s, std::size_t size) {
    s.keep(size, 3);
    asm volatile("");
}

TEST(Agreement, SharesByStackAreUnbiasedOver50Seeds) {
    double few = 0, many = 0, exact = 0;
    for (int seed = 1; seed <= 50; ++seed) {
        session now(16 << 10);
        wyrand random(static_cast<std::uint64_t>(seed));
        for (int i = 0; i < 4000; ++i) {
            const std::size_t size = std::size_t{16} << random() % 8;
            keep_few(now, size);
            keep_many(now, size);
            exact += static_cast<double>(size);
            for (int dropped = 0; dropped < 4; ++dropped) deallocate(allocate(size));
        }
        const auto records = snapshot(kind::heap);
        few += static_cast<double>(total(through(records, "keep_few"), inuse_space));
        many += static_cast<double>(total(through(records, "keep_many"), inuse_space));
    }
    EXPECT_NEAR(few / exact, 1, 0.03);  // a standard error of 0.8 %
    EXPECT_NEAR(many / (3 * exact), 1, 0.01);
}

TEST(Agreement, TheWeightsOfASizeAddUpToItsObjects) {
    session now(4096);
    now.keep(176, 30'000);
    for (std::size_t i = 0; i < 7'000; ++i) {
        deallocate(now.held.back());
        now.held.pop_back();
    }
    const auto mine = of_size(snapshot(kind::heap, {.symbolize = false}), 176);
    EXPECT_NEAR(static_cast<double>(total(mine, inuse_objects)), 23'000, 1);
    EXPECT_NEAR(static_cast<double>(total(mine, inuse_space)), 23'000 * 176, 176);
    EXPECT_NEAR(static_cast<double>(total(mine, alloc_objects)), 30'000, 1);
}

TEST(Agreement, WhatNoSampleStandsForIsInALineOfItsOwn) {
    session now(std::uint64_t{1} << 50);
    now.keep(176, 1000);
    const auto records = snapshot(kind::heap, {.symbolize = false});
    EXPECT_EQ(total(sampled(records), inuse_space), 0);
    const heap_statistics counts = read_heap_statistics();
    EXPECT_EQ(total(records, inuse_space), static_cast<std::int64_t>(counts.heap_alloc));
    EXPECT_EQ(total(records, inuse_objects), static_cast<std::int64_t>(counts.heap_objects));
    EXPECT_EQ(total(records, alloc_objects), static_cast<std::int64_t>(counts.mallocs));
    const temporary_file file(".pb.gz");
    file.write(write_pprof(kind::heap));
    const std::string top = run(pprof + " -top " + file.path()).output;
    EXPECT_NE(top.find("[not sampled]"), std::string::npos) << top;
}

TEST(Agreement, WhatCameWhileTheRateWas0IsChargedToNobody) {
    for (int round = 0; round < 20; ++round) {
        session now(4096);
        now.keep(208, 2'000);
        set_rate(0);
        now.keep(208, 5'000);
        static_cast<void>(snapshot(kind::heap, {.symbolize = false}));
        set_rate(4096);
        now.keep(208, 8'000);
        const auto records = snapshot(kind::heap, {.symbolize = false});
        const auto mine = of_size(records, 208);
        // 10,000 were drawn from, and no more than the 15,000 that are there are said to be.
        EXPECT_NEAR(static_cast<double>(total(mine, inuse_objects)), 10'000, 1'000);
        EXPECT_EQ(total(records, inuse_space),
                  static_cast<std::int64_t>(read_heap_statistics().heap_alloc));
    }
}

TEST(Agreement, NoStackHasMoreAliveThanItHasAllocated) {
    session now(4096);
    wyrand random(5);
    for (int i = 0; i < 50'000; ++i) {
        const std::size_t size = 16 + random() % 60'000 * (random() % 50 == 0);
        if (random() % 2 == 0)
            keep_few(now, size);
        else
            deallocate(allocate(size));
    }
    for (const stack_record& r : snapshot(kind::heap, {.symbolize = false})) {
        EXPECT_GE(r.values[alloc_objects], r.values[inuse_objects]);
        EXPECT_GE(r.values[alloc_space], r.values[inuse_space]);
    }
}

TEST(Agreement, ObjectsOfAHeapInstanceAreWeighedAndNotCounted) {
    session now(4096);
    now.keep(1000, 1000);
    const auto counted = static_cast<double>(read_heap_statistics().heap_alloc);
    {
        heap own;
        for (int i = 0; i < 10'000; ++i) ASSERT_NE(own.allocate(240), nullptr);
        const auto records = snapshot(kind::heap, {.symbolize = false});
        EXPECT_EQ(static_cast<double>(read_heap_statistics().heap_alloc), counted);
        EXPECT_NEAR(static_cast<double>(total(of_size(records, 240), inuse_space)), 2.4e6, 0.05e6);
        EXPECT_NEAR(static_cast<double>(total(records, inuse_space)), counted + 2.4e6, 0.05e6);
    }
    EXPECT_EQ(static_cast<double>(total(snapshot(kind::heap, {.symbolize = false}), inuse_space)),
              counted);
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

TEST(Tuning, AProgramThatAllocatesWithoutEndGetsNoMoreThan16384SamplesASecond) {
    using steady::profile::detail::widened;
    constexpr double period = 512 << 10;
    EXPECT_EQ(widened(1, 10'000, period), 1);
    EXPECT_EQ(widened(1, 160'000, period), 160'000 / 16384.0);
    EXPECT_NEAR(widened(10, 16'000, period), 160'000 / 16384.0, 1e-9);  // it goes on
    EXPECT_EQ(widened(10, 1'000, period), 1);                           // it has calmed down
    EXPECT_EQ(widened(1, 1'000'000, 4096), 1);  // who asked for more samples gets them
}

TEST(Tuning, WithNothingKnownEverySizeKeepsItsPeriod) {
    const class_load loads[class_count] = {};
    std::uint64_t periods[class_count];
    steady::profile::detail::solve_periods(loads, 512 << 10, periods);
    for (const std::uint64_t p : periods) EXPECT_EQ(p, 0u);
}

}  // namespace
