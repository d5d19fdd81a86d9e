// large_samples_test.cpp - large and huge objects in a heap profile: each with the
// probability of its size, whatever size it had before, and remembered until it goes.
//
// Deviations allowed are five standard ones, as in sampler_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "steady/core/hooks.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/sampler.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using detail::sampler;
using what = sample_event::what;

// Keeps the samples that are alive, and counts the events.
class listener {
public:
    explicit listener(std::uint64_t period) {
        detail::deallocate(detail::allocate(1));  // opening the heap reads the options
        sample_hook.install(&listener::hear, this);
        sampler::configure(period, 0);
    }
    ~listener() {
        sample_hook.remove();
        sampler::configure(std::uint64_t{512} << 10, 0);
    }

    std::mutex lock;  // the C++ library's heap serves the test
    std::map<void*, sample_event> alive;
    std::uint64_t allocated = 0, freed = 0, resized = 0, wrong = 0;

    [[nodiscard]] std::uint64_t bytes_alive() const {
        std::uint64_t sum = 0;
        for (const auto& [p, e] : alive) sum += e.size.count();
        return sum;
    }

private:
    static void hear(void* self, const sample_event& e) {
        auto& seen = *static_cast<listener*>(self);
        const std::lock_guard guard(seen.lock);
        const auto born = seen.alive.find(e.address);
        const bool known = born != seen.alive.end();
        switch (e.kind) {
            case what::allocated:
                ++seen.allocated;
                seen.wrong += known;
                seen.alive[e.address] = e;
                break;
            case what::freed:
                ++seen.freed;
                seen.wrong += !known || born->second.size != e.size ||
                              born->second.requested != e.requested ||
                              born->second.probability != e.probability;
                if (known) seen.alive.erase(born);
                break;
            case what::resized:
                ++seen.resized;
                seen.wrong += !known;
                if (known) born->second = e;
                break;
        }
    }
};

constexpr std::size_t KiB = 1024, MiB = 1024 * KiB;

TEST(LargeSamples, AtRateOneTheSamplesAreTheHeap) {
    listener heard(1);
    const heap_statistics before = read_statistics();
    const auto expect_equal = [&] {
        const heap_statistics now = read_statistics();
        EXPECT_EQ(heard.alive.size(), now.heap_objects - before.heap_objects);
        EXPECT_EQ(heard.bytes_alive(), now.heap_alloc - before.heap_alloc);
    };
    wyrand random(1);
    std::vector<void*> live(60, nullptr);
    for (int i = 0; i < 6000; ++i) {
        void*& p = live[random.fastrandn(60)];
        const std::uint32_t most = random.fastrandn(3) == 0   ? 6u << 20
                                   : random.fastrandn(2) == 0 ? 400'000u
                                                              : 3000u;
        const std::size_t size = 1 + random.fastrandn(most);
        switch (random.fastrandn(5)) {
            case 0: detail::deallocate(p), p = nullptr; break;
            case 1: detail::deallocate(p), p = detail::allocate(size); break;
            case 2:
                if (p != nullptr) static_cast<void>(detail::grow_in_place(p, size));
                break;
            case 3: detail::deallocate(p), p = detail::allocate_zeroed(size); break;
            default:
                if (p != nullptr) p = detail::reallocate(p, size);
                break;
        }
        ASSERT_EQ(heard.wrong, 0u) << "step " << i;
        if (i % 500 == 0) expect_equal();
    }
    expect_equal();
    EXPECT_GT(heard.resized, 100u) << "or growing in place was not tried";
    for (void* p : live) detail::deallocate(p);
    EXPECT_TRUE(heard.alive.empty());
    EXPECT_EQ(heard.wrong, 0u);
}

TEST(LargeSamples, AnEventSaysWhatWasAskedAndWhatItOccupies) {
    listener heard(1);
    for (const std::size_t size : {40'000 + 1 * KiB, 300 * KiB + 5, 2 * MiB + 9}) {
        void* p = detail::allocate(size);
        ASSERT_EQ(heard.alive.size(), 1u);
        EXPECT_EQ(heard.alive.at(p).requested.count(), size);
        EXPECT_EQ(heard.alive.at(p).size.count(), usable_size(p));
        EXPECT_EQ(heard.alive.at(p).probability, 1);
        detail::deallocate(p);
    }
    // From here to there: a slot of 64 MiB becomes too small, and the pages move.
    void* p = detail::allocate(30 * MiB);
    void* q = p;
    for (std::size_t size = 40 * MiB; q == p; size *= 2) {
        q = detail::reallocate(q, size);
        ASSERT_NE(q, nullptr);
        ASSERT_LT(size, std::size_t{1} << 40);
        ASSERT_EQ(heard.alive.size(), 1u);
        EXPECT_EQ(heard.alive.at(q).requested.count(), size);
    }
    EXPECT_EQ(heard.alive.count(p), 0u) << "it moved";
    detail::deallocate(q);
    EXPECT_EQ(heard.wrong, 0u);
}

TEST(LargeSamples, EverySizeIsSampledWithItsProbability) {
    constexpr int count = 4000;
    listener heard(1 * MiB);
    for (const std::size_t size : {40 * KiB, 304 * KiB, 2 * MiB}) {
        const std::uint64_t before = heard.allocated;
        for (int i = 0; i < count; ++i) detail::deallocate(detail::allocate(size));
        const double p = std::min(1.0, static_cast<double>(size) / MiB);
        EXPECT_NEAR(sampler::probability(size), p, 1e-9);
        EXPECT_NEAR(static_cast<double>(heard.allocated - before), count * p,
                    5 * std::sqrt(count * p * (1 - p)))
            << size;
    }
    EXPECT_EQ(heard.allocated, heard.freed);
    EXPECT_EQ(heard.wrong, 0u);
}

// Grown and shrunk in place, an object is a sample with the probability of the size it has.
TEST(LargeSamples, TheProbabilityFollowsTheSize) {
    constexpr int count = 3000;
    listener heard(4 * MiB);
    int at_start = 0, grown = 0, shrunk = 0;
    for (int i = 0; i < count; ++i) {
        void* p = detail::allocate(2 * MiB);
        at_start += static_cast<int>(heard.alive.count(p));
        for (std::size_t size = 3 * MiB; size <= 8 * MiB; size += MiB)
            ASSERT_TRUE(detail::grow_in_place(p, size));
        grown += static_cast<int>(heard.alive.count(p));
        ASSERT_EQ(detail::reallocate(p, 3 * MiB), p);
        shrunk += static_cast<int>(heard.alive.count(p));
        detail::deallocate(p);
    }
    const auto near = [&](int seen, std::size_t size) {
        const double p = std::min(1.0, static_cast<double>(size) / (4 * MiB));
        EXPECT_NEAR(seen, count * p, 5 * std::sqrt(count * p * (1 - p))) << size;
    };
    near(at_start, 2 * MiB);
    near(grown, 8 * MiB);
    near(shrunk, 3 * MiB);
    EXPECT_EQ(heard.wrong, 0u);
    EXPECT_TRUE(heard.alive.empty());
}

TEST(LargeSamples, AnObjectOfBeforeIsMetWhenItGrows) {
    void* p = detail::allocate(2 * MiB);  // nobody listens
    listener heard(1);
    ASSERT_TRUE(detail::grow_in_place(p, 8 * MiB));
    EXPECT_EQ(heard.alive.count(p), 1u);
    detail::deallocate(p);
    EXPECT_TRUE(heard.alive.empty());
    EXPECT_EQ(heard.wrong, 0u);
}

TEST(LargeSamples, ReleasingAnInstanceFreesItsSamples) {
    listener heard(1);
    heap own;
    for (const std::size_t size : {100 * KiB, 500 * KiB, 3 * MiB, std::size_t{64}})
        static_cast<void>(own.allocate(size));
    EXPECT_EQ(heard.alive.size(), 4u);
    own.release();
    EXPECT_TRUE(heard.alive.empty());
    EXPECT_EQ(heard.freed, 4u);
    EXPECT_EQ(heard.wrong, 0u);
}

// Draws of another period do not count: neither for what lies ready in magazines, nor for
// the sample after that, nor in instances.
TEST(LargeSamples, ConfiguringForgetsWhatWasDrawnBefore) {
    std::thread([] {
        heap own;
        {
            listener rarely(std::uint64_t{1} << 50);
            for (int i = 0; i < 200; ++i) {
                detail::deallocate(detail::allocate(64));
                own.deallocate(own.allocate(64));
            }
        }
        listener always(1);
        void* p = detail::allocate(64);
        void* q = own.allocate(64);
        EXPECT_EQ(always.alive.count(p), 1u);
        EXPECT_EQ(always.alive.count(q), 1u);
        detail::deallocate(p);
        own.deallocate(q);
    }).join();
}

}  // namespace
