// heap_sampler_test.cpp - samples are drawn without bias, announced in pairs, and
// change nothing a program or a count could see.
//
// The estimate of how many objects were allocated is the sum of 1/p over the
// samples; its standard deviation for n objects is sqrt(n (1-p) / p). Every test
// allows five of them, so one of them fails by chance less than once in a million
// runs, while a bias of a few per cent does not pass.
#include "steady/heap/detail/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "steady/core/hooks.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using detail::sampler;

// Listens to sample_hook, with a period of its own, for as long as it lives.
class listener {
public:
    explicit listener(std::uint64_t period) {
        static_cast<void>(trim());  // nothing drawn before stays in this thread's magazines
        sample_hook.install(&listener::hear, this);
        sampler::configure(period, 0);
    }
    ~listener() {
        sample_hook.remove();
        sampler::configure(std::uint64_t{512} << 10, 0);
        static_cast<void>(trim());
    }

    std::mutex lock;  // the C++ library's heap serves the test; steady's is the subject
    std::map<void*, sample_event> alive;
    std::map<std::size_t, double> estimate;  // by object size: sum of 1/p
    std::map<std::size_t, std::uint64_t> samples;
    std::uint64_t allocated = 0, freed = 0, unmatched = 0;

private:
    static void hear(void* self, const sample_event& e) {
        auto& seen = *static_cast<listener*>(self);
        const std::lock_guard guard(seen.lock);
        if (e.kind == sample_event::what::allocated) {
            ++seen.allocated;
            seen.estimate[e.size.count()] += 1 / e.probability;
            ++seen.samples[e.size.count()];
            seen.unmatched += !seen.alive.emplace(e.address, e).second;
        } else {
            ++seen.freed;
            const auto born = seen.alive.find(e.address);
            if (born == seen.alive.end() || born->second.size != e.size ||
                born->second.requested != e.requested ||
                born->second.probability != e.probability) {
                ++seen.unmatched;
            } else {
                seen.alive.erase(born);
            }
        }
    }
};

void expect_unbiased(const listener& heard, std::size_t size, std::uint64_t count) {
    const double p = sampler::probability(size);
    const double deviation = std::sqrt(static_cast<double>(count) * (1 - p) / p);
    const auto at = heard.estimate.find(size);
    const double estimate = at == heard.estimate.end() ? 0 : at->second;
    EXPECT_NEAR(estimate, static_cast<double>(count), 5 * deviation + 1e-3)
        << size << "-byte objects, p = " << p;
}

// What a thread drew under another period is still due in it; a new one begins afresh.
template <class Body>
void in_new_thread(Body body) {
    std::thread(body).join();
}

// ---- The drawing itself, with fixed seeds.

TEST(SamplerDraw, TheProbabilityIsSizeOverPeriod) {
    for (const std::uint64_t period : {2u, 100u, 4096u, 524'288u, 1u << 30}) {
        sampler::configure(period, 0);
        for (std::size_t size = 1; size <= 32'768; size = size * 3 / 2 + 1) {
            const double exact = static_cast<double>(size) / static_cast<double>(period);
            EXPECT_EQ(sampler::probability(size), std::min(1.0, exact)) << size << "/" << period;
        }
    }
    sampler::configure(1, 0);
    EXPECT_EQ(sampler::probability(8), 1);
    sampler::configure(std::uint64_t{512} << 10, 0);
}

TEST(SamplerDraw, AStratumHasOneOverPObjectsInTheMeanAndEachIsTheSampleEquallyOften) {
    for (const std::size_t size : {8u, 112u, 1024u, 5120u, 8192u, 32'768u}) {
        const std::uint64_t period = 8192;
        const double mean = std::max(1.0, static_cast<double>(period) / static_cast<double>(size));
        wyrand random(size);
        constexpr int draws = 200'000;
        double objects = 0, first_half = 0, expected_half = 0, firsts = 0;
        for (int i = 0; i < draws; ++i) {
            const auto s = sampler::draw(size, period, random);
            ASSERT_GE(s.place, 1u);
            ASSERT_LE(s.place, s.objects);
            ASSERT_NEAR(static_cast<double>(s.objects), mean, 1);
            objects += static_cast<double>(s.objects);
            first_half += 2 * s.place <= s.objects;
            expected_half += 0.5 - (s.objects % 2 == 0 ? 0 : 0.5 / static_cast<double>(s.objects));
            firsts += s.place == 1 ? static_cast<double>(s.objects) : 0;
        }
        EXPECT_NEAR(objects / draws, mean, 5 * 0.5 / std::sqrt(draws)) << size;
        EXPECT_NEAR(first_half, expected_half, 5 * 0.5 * std::sqrt(draws)) << size;
        EXPECT_NEAR(firsts / draws, 1, 5 * std::sqrt(mean / draws)) << size;
    }
    wyrand random(1);
    EXPECT_EQ(sampler::draw(8, 1, random).objects, 1u);
    EXPECT_EQ(sampler::draw(8, ~std::uint64_t{0}, random).objects >> 49, 2u) << "cut, not wrapped";
}

// ---- What a listener hears.

TEST(Sampler, NothingIsDrawnWhenNobodyListens) {
    sampler::configure(1, 0);
    EXPECT_FALSE(sampler::active());
    for (int i = 0; i < 100; ++i) {
        void* p = detail::allocate(64);
        EXPECT_GT(find_object(p).count, 1u) << "an object of a shared span";
        detail::deallocate(p);
    }
    sampler::configure(std::uint64_t{512} << 10, 0);
}

TEST(Sampler, EstimatesAreUnbiasedForEverySizeInAMixedProgram) {
    constexpr std::size_t sizes[] = {8, 24, 48, 112, 512, 2048, 9472, 32'768};
    for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
        std::map<std::size_t, std::uint64_t> count;
        listener heard(16 << 10);
        in_new_thread([&] {
            wyrand random(seed);
            std::vector<void*> live(2000, nullptr);
            for (int i = 0; i < 150'000; ++i) {
                void*& p = live[random.fastrandn(2000)];
                detail::deallocate(p);
                const std::size_t size = sizes[random.fastrandn(8)];
                p = steady::allocate(size, 8);
                ++count[size];
            }
            for (void* p : live) detail::deallocate(p);
        });
        for (const std::size_t size : sizes) expect_unbiased(heard, size, count[size]);
        EXPECT_EQ(heard.unmatched, 0u);
        EXPECT_TRUE(heard.alive.empty());
        EXPECT_GT(heard.allocated, 5000u);
    }
}

// Whoever empties a cache throws away objects whose fate was drawn already. That
// must not make the next sample come earlier or later.
TEST(Sampler, EmptyingCachesDoesNotBiasTheEstimate) {
    listener heard(4 << 10);
    constexpr int rounds = 6000;
    std::uint64_t count = 0;
    in_new_thread([&] {
        for (int i = 0; i < rounds; ++i) {
            void* p[7];
            for (void*& q : p) q = detail::allocate(64);
            for (void* q : p) detail::deallocate(q);
            count += 7;
            if (i % 2 == 0) {
                detail::current_cache->flush_all();
            } else {  // what the scavenger does to idle threads
                detail::current_cache->close();
                detail::current_cache->drain_closed();
            }
        }
    });
    expect_unbiased(heard, 64, count);
    EXPECT_TRUE(heard.alive.empty());
}

TEST(Sampler, EveryAllocatedEventHasOneFreedEventAcrossThreads) {
    listener heard(2 << 10);
    const heap_statistics before = read_statistics();
    std::atomic<void*> slots[512]{};
    std::atomic<std::uint64_t> mallocs{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            wyrand random(t);
            for (int i = 0; i < 20'000; ++i) {
                detail::deallocate(
                    slots[random.fastrandn(512)].exchange(detail::allocate(random.fastrandn(600))));
            }
            mallocs += 20'000;
        });
    }
    for (auto& t : threads) t.join();
    for (auto& s : slots) detail::deallocate(s.exchange(nullptr));
    EXPECT_GT(heard.allocated, 1000u);
    EXPECT_EQ(heard.freed, heard.allocated);
    EXPECT_EQ(heard.unmatched, 0u);
    EXPECT_TRUE(heard.alive.empty());
    const heap_statistics after = read_statistics();
    EXPECT_EQ(after.mallocs - before.mallocs, mallocs);
    EXPECT_EQ(after.frees - before.frees, mallocs);
}

TEST(Sampler, StatisticsStayExactAtRateOneAndAtTheUsualRate) {
    for (const std::uint64_t period : {std::uint64_t{1}, std::uint64_t{512} << 10}) {
        in_new_thread([period] {
            listener heard(period);
            const heap_statistics before = read_statistics();
            std::uint64_t mallocs = 0, frees = 0, allocated = 0, freed = 0;
            wyrand random(period);
            std::vector<unsigned char*> live(500, nullptr);
            const auto drop = [&](unsigned char*& p) {
                if (p == nullptr) return;
                ASSERT_EQ(*p, static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(p) >> 4));
                ++frees;
                freed += find_object(p).size;
                detail::deallocate(p);
                p = nullptr;
            };
            for (int i = 0; i < 20'000; ++i) {
                unsigned char*& p = live[random.fastrandn(500)];
                drop(p);
                p = static_cast<unsigned char*>(detail::allocate(random.fastrandn(5000)));
                *p = static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(p) >> 4);
                ++mallocs;
                allocated += find_object(p).size;
            }
            const heap_statistics between = read_statistics();
            EXPECT_EQ(between.mallocs - before.mallocs, mallocs);
            EXPECT_EQ(between.heap_alloc - before.heap_alloc, allocated - freed);
            if (period == 1) {
                EXPECT_EQ(heard.allocated, mallocs);
            }
            for (auto*& p : live) drop(p);
            const heap_statistics after = read_statistics();
            EXPECT_EQ(after.frees - before.frees, mallocs);
            EXPECT_EQ(after.total_freed - before.total_freed, freed);
            EXPECT_EQ(after.heap_alloc, before.heap_alloc);
        });
        message why("test");
        EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
    }
}

TEST(Sampler, ASampledObjectIsAnObjectLikeAnyOther) {
    in_new_thread([] {
        listener heard(1);
        for (const std::size_t size : {1u, 8u, 24u, 100u, 1000u, 9000u, 32'768u}) {
            for (const std::size_t alignment : {8u, 16u, 64u, 4096u}) {
                auto* p = static_cast<char*>(steady::allocate(size, alignment));
                EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % alignment, 0u);
                EXPECT_GE(usable_size(p), size);
                EXPECT_EQ(heard.alive.at(p).size.count(), usable_size(p));
                EXPECT_GE(heard.alive.at(p).requested.count(), size);
                EXPECT_EQ(heard.alive.at(p).probability, 1);
                for (const std::size_t at : {std::size_t{0}, size / 2, size - 1})
                    EXPECT_EQ(find_object(p + at).base, p);
                EXPECT_EQ(find_object(p).count, 1u);
                std::memset(p, 7, size);
                p = static_cast<char*>(steady::reallocate(p, size * 2));
                for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(p[i], 7);
                if (size * 2 <= 32'768) {
                    EXPECT_FALSE(steady::grow_in_place(p, 40'000)) << "a class is what it is";
                }
                steady::deallocate(p);
            }
        }
        EXPECT_TRUE(heard.alive.empty());
        void* odd = detail::allocate(100);
        EXPECT_EQ(heard.alive.at(odd).requested, bytes{100});
        EXPECT_EQ(heard.alive.at(odd).size, bytes{112});
        detail::deallocate(odd);
    });
}

// A few spans of freed samples are kept for the next ones: they hold nothing meanwhile.
TEST(Sampler, AFreedSampleIsNoObject) {
    in_new_thread([] {
        listener heard(1);
        void* p = detail::allocate(100);
        ASSERT_EQ(heard.alive.count(p), 1u);
        struct search {
            void* wanted;
            int found = 0;
        } of{p};
        const auto look = [](void* context, const object_info& o) {
            auto& s = *static_cast<search*>(context);
            s.found += o.base == s.wanted;
        };
        for_each_object(look, &of);
        EXPECT_EQ(of.found, 1);
        detail::deallocate(p);
        of.found = 0;
        for_each_object(look, &of);
        EXPECT_EQ(of.found, 0);
        EXPECT_DEATH(detail::deallocate(p), "twice");
        void* q = detail::allocate(3000);
        EXPECT_EQ(q, p) << "its page serves the next sample";
        EXPECT_EQ(find_object(q).size, usable_size(q));
        EXPECT_GE(usable_size(q), 3000u);
        detail::deallocate(q);
        static_cast<void>(trim());
        EXPECT_EQ(find_object(q).base, nullptr) << "and goes back when memory is asked for";
    });
    message why("test");
    EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
}

TEST(Sampler, HeapInstancesAreSampledToo) {
    listener heard(256);
    {
        heap own;
        for (int i = 0; i < 3000; ++i) {
            void* p = own.allocate(100);
            if (i % 2 == 0) own.deallocate(p);
        }
        expect_unbiased(heard, 112, 3000);
        EXPECT_EQ(own.read_usage().mallocs, 3000u);
        EXPECT_EQ(own.read_usage().frees, 1500u);
        EXPECT_EQ(own.read_usage().live_bytes, 1500u * 112);
        own.release();
        EXPECT_EQ(own.read_usage().frees, 3000u);
        EXPECT_TRUE(heard.alive.empty()) << "release() frees samples with their events";
        static_cast<void>(own.allocate(100));
    }
    EXPECT_EQ(heard.allocated, heard.freed);
    EXPECT_EQ(heard.unmatched, 0u);
}

}  // namespace
