// heap_cache_test.cpp - a thread cache by itself: K1 to K4, counts that are exact at
// every step, how seldom it leaves the fast path, and a thief that empties it while
// its owner stands still in the middle of an operation.
#include "steady/heap/detail/cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "heap/own_core.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using namespace steady::test;
using detail::bin;
using detail::class_counts;
using detail::slot_pointer;
using detail::thread_cache;

constexpr span_class of_64 = noscan_class(6);
constexpr span_class of_4096 = noscan_class(44);

// A cache over a core of its own, driven as front.hpp drives it.
class own_cache {
public:
    own_cache() { cache->begin(core.core, 0, 1); }
    ~own_cache() { cache->flush_all(); }

    void* allocate(span_class sclass) {
        const bin b = cache->bins[sclass];
        const slot_pointer top = b.pop.load();
        if (top > b.pop_floor.load()) {
            b.pop.store(top - 1);
            return top[-1].load();
        }
        ++slow;
        return cache->allocate(sclass, class_size[sclass >> 1]);
    }
    void free(span_class sclass, void* p) {
        const bin b = cache->bins[sclass];
        const slot_pointer top = b.push.load();
        if (top < b.push_end.load()) {
            top->store(p);
            b.push.store(top + 1);
            return;
        }
        ++slow;
        cache->free(sclass, p);
    }
    class_counts counts(span_class sclass) {
        class_counts all[span_class_count];
        cache->add_counts(all);
        return all[sclass];
    }
    /// Objects that neither the program nor the cache holds any more, by the centrals.
    std::uint64_t out(span_class sclass) { return core.list(sclass).objects_out; }

    own_core core;
    std::unique_ptr<thread_cache> cache{new thread_cache};
    std::uint64_t slow = 0;
};

void expect_ordered(thread_cache& cache) {
    if (cache.closed) return;
    for (unsigned k = 0; k < span_class_count; ++k) {
        const bin b = cache.bins[k];
        ASSERT_LE(b.pop_floor.load(), b.pop.load()) << "K1";
        ASSERT_LE(b.push.load(), b.push_end.load()) << "K2";
    }
}

// What a thread keeps is resident when the program is at its largest.
TEST(Cache, KeepsNoObjectAbove8KiBAndFewAbove1KiB) {
    for (unsigned size_class = 1; size_class < class_count; ++size_class) {
        own_cache own;
        const span_class sclass = noscan_class(size_class);
        const std::size_t size = class_size[size_class];
        for (int round = 0; round < 300; ++round) {
            std::vector<void*> some;
            for (int i = 0; i < 200; ++i) some.push_back(own.allocate(sclass));
            for (void* p : some) own.free(sclass, p);
        }
        const std::size_t most = size > 8192   ? 0
                                 : size > 1024 ? 3 * std::max<std::size_t>(size, 8192)
                                               : 3 * (64 << 10);
        EXPECT_LE(own.cache->cached_bytes(), most) << size;
        EXPECT_EQ(own.counts(sclass).allocated, own.counts(sclass).freed);
    }
}

TEST(Cache, StaysOrderedAndCountsExactlyAtEveryStep) {
    constexpr span_class classes[] = {noscan_class(1),  noscan_class(5),  of_64,
                                      noscan_class(26), noscan_class(32), of_4096,
                                      noscan_class(67)};
    own_cache c;
    wyrand random(1);
    std::vector<void*> live[span_class_count];
    class_counts expected[span_class_count];
    for (int round = 0; round < 400; ++round) {  // until the magazines of one class are full size
        std::vector<void*> some;
        for (int i = 0; i < 400; ++i) some.push_back(c.allocate(classes[3]));
        for (void* p : some) {
            c.free(classes[3], p);
            expect_ordered(*c.cache);
        }
        expected[classes[3]].allocated += some.size();
        expected[classes[3]].freed += some.size();
    }
    for (int i = 0; i < 60'000; ++i) {
        const span_class sclass = classes[random.fastrandn(7)];
        auto& mine = live[sclass];
        // Swings between growing and shrinking, so that magazines fill and empty.
        const bool grow = random.fastrandn(100) < (i / 3000 % 2 == 0 ? 80u : 20u);
        if (grow || mine.empty()) {
            void* p = c.allocate(sclass);
            ASSERT_NE(p, nullptr);
            ASSERT_EQ(span_of(p)->sclass, sclass);
            mine.push_back(p);
            ++expected[sclass].allocated;
        } else {
            std::swap(mine[random.fastrandn(static_cast<std::uint32_t>(mine.size()))], mine.back());
            c.free(sclass, mine.back());
            mine.pop_back();
            ++expected[sclass].freed;
        }
        expect_ordered(*c.cache);
        if (i % 64 != 0) continue;
        for (const span_class k : classes) {
            ASSERT_EQ(c.counts(k).allocated, expected[k].allocated);
            ASSERT_EQ(c.counts(k).freed, expected[k].freed);
        }
        std::size_t cached = 0;
        for (const span_class k : classes)
            cached += (c.out(k) - live[k].size()) * class_size[k >> 1];
        ASSERT_EQ(c.cache->cached_bytes(), cached);
    }
    for (const span_class k : classes) {
        ASSERT_EQ(std::set<void*>(live[k].begin(), live[k].end()).size(), live[k].size());
        for (void* p : live[k]) ASSERT_FALSE(c.cache->holds(k, p));
    }
    c.cache->flush_all();
    EXPECT_EQ(c.cache->cached_bytes(), 0u);
    for (const span_class k : classes) EXPECT_EQ(c.out(k), live[k].size());
}

TEST(Cache, ZeroedMemoryIsAnEmptyCache) {  // K4
    own_core core;
    alignas(64) static unsigned char zeros[sizeof(thread_cache)];
    auto* cache = reinterpret_cast<thread_cache*>(zeros);
    for (unsigned k = 0; k < span_class_count; ++k) {
        const bin b = cache->bins[k];
        ASSERT_FALSE(b.pop.load() > b.pop_floor.load()) << "the first malloc must be slow";
        ASSERT_FALSE(b.push.load() < b.push_end.load()) << "and the first free";
    }
    cache->begin(core.core, 0, 1);
    EXPECT_EQ(cache->cached_bytes(), 0u);
    void* p = cache->allocate(of_64, 64);
    cache->free(of_64, p);
    cache->flush_all();
    EXPECT_EQ(core.list(of_64).objects_out, 0u);
}

TEST(Cache, AnEmptiedCacheIsLikeZeroedMemory) {  // K4
    own_cache c;
    std::vector<void*> some;
    for (int i = 0; i < 200; ++i) some.push_back(c.allocate(of_64));
    for (int i = 0; i < 100; ++i) c.free(of_64, some[static_cast<unsigned>(i)]);
    c.cache->flush_all();
    for (unsigned k = 0; k < span_class_count; ++k) {
        const bin b = c.cache->bins[k];
        ASSERT_EQ(b.pop.load(), nullptr);
        ASSERT_EQ(b.pop_floor.load(), nullptr);
        ASSERT_EQ(b.push.load(), nullptr);
        ASSERT_EQ(b.push_end.load(), nullptr);
    }
    for (int i = 100; i < 200; ++i) c.free(of_64, some[static_cast<unsigned>(i)]);
    EXPECT_EQ(c.counts(of_64).freed, 200u);
}

// Every thread starts with it, so whoever writes to it writes to all of them.
TEST(Cache, TheOneThatThreadsStartWithIsNeverWritten) {
    for (int i = 0; i < 5; ++i) {
        std::thread([] {
            for (std::size_t size = 0; size < 40'000; size += 100)
                detail::deallocate(detail::allocate(size));
        }).join();
    }
    static_cast<void>(trim());
    for (unsigned k = 0; k < span_class_count; ++k) {
        const bin b = detail::empty_cache.bins[k];
        EXPECT_EQ(b.pop.load(), nullptr);
        EXPECT_EQ(b.pop_floor.load(), nullptr);
        EXPECT_EQ(b.push.load(), nullptr);
        EXPECT_EQ(b.push_end.load(), nullptr);
    }
    EXPECT_EQ(detail::empty_cache.core, nullptr);
}

// ---- The promise: a slow path once per magazine, counted.

TEST(Cache, AllocatingManyLeavesTheFastPathOnceAMagazine) {
    own_cache c;
    for (int i = 0; i < 100'000; ++i) static_cast<void>(c.allocate(of_64));
    EXPECT_LE(c.slow, 100'000 / 126 * 2 + 20) << "spans of 128 give a full and a short magazine";
}

TEST(Cache, FreeingManyLeavesTheFastPathOnceAMagazine) {
    own_cache c;
    std::vector<void*> many;
    for (int i = 0; i < 100'000; ++i) many.push_back(c.allocate(of_64));
    c.slow = 0;
    for (void* p : many) c.free(of_64, p);
    EXPECT_LE(c.slow, 100'000u / 126 + 20);
}

TEST(Cache, SwingingByAnyAmountStaysOnTheFastPath) {
    for (std::size_t swing = 1; swing <= 60; ++swing) {
        own_cache c;
        std::vector<void*> live;
        const auto rounds = [&](int n) {
            for (int i = 0; i < n; ++i) {
                for (std::size_t k = 0; k < swing; ++k) live.push_back(c.allocate(of_64));
                for (std::size_t k = 0; k < swing; ++k) {
                    c.free(of_64, live.back());
                    live.pop_back();
                }
            }
        };
        rounds(200);  // the magazines have grown by now
        c.slow = 0;
        rounds(1000);
        EXPECT_LE(c.slow * 30, 1000 * swing * 2) << "swings of " << swing;
    }
}

// A thread that frees and allocates at random has, of each class, now a few more and now
// a few less than before. Its magazines are there to hold the difference.
TEST(Cache, ReplacingAtRandomKeepsTheObjectsInTheThread) {
    constexpr span_class classes[] = {noscan_class(5), of_64, noscan_class(10), noscan_class(14)};
    own_cache c;
    wyrand random(1);
    std::vector<std::pair<span_class, void*>> live(10'000);
    for (auto& [sclass, p] : live) {
        sclass = classes[random.fastrandn(4)];
        p = c.allocate(sclass);
    }
    std::uint64_t traffic = 0;  // objects between the thread and the spans
    const auto replace = [&](int count) {
        for (int i = 0; i < count; ++i) {
            auto& [sclass, p] = live[random.fastrandn(10'000)];
            const std::uint64_t before = c.out(sclass);
            c.free(sclass, p);
            traffic += before - c.out(sclass);
            sclass = classes[random.fastrandn(4)];
            const std::uint64_t after = c.out(sclass);
            p = c.allocate(sclass);
            traffic += c.out(sclass) - after;
        }
    };
    replace(50'000);
    traffic = 0;
    replace(200'000);
    EXPECT_LE(traffic, 200'000u / 10) << "it was a third";
    for (const auto& [sclass, p] : live) c.free(sclass, p);
}

TEST(Cache, ASeldomUsedClassHoardsLittle) {
    for (unsigned size_class = 1; size_class < class_count; ++size_class) {
        own_cache c;
        void* p = c.allocate(noscan_class(size_class));
        EXPECT_LE(c.cache->cached_bytes(), 1024u) << class_size[size_class];
        c.free(noscan_class(size_class), p);
    }
}

// ---- The thief.

TEST(Thief, LeavesAtMostOneObjectAClassAndTheOwnerGoesOn) {
    own_cache c;
    std::vector<void*> some;
    for (int i = 0; i < 300; ++i) some.push_back(c.allocate(of_64));
    for (int i = 0; i < 100; ++i) {
        c.free(of_64, some.back());
        some.pop_back();
    }
    c.cache->close();
    c.cache->drain_closed();
    EXPECT_LE(c.cache->cached_bytes(), 64u);
    EXPECT_EQ(c.counts(of_64).allocated, 300u);
    EXPECT_EQ(c.counts(of_64).freed, 100u);
    EXPECT_LE(c.out(of_64), 201u);
    std::set<void*> live(some.begin(), some.end());
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(live.insert(c.allocate(of_64)).second);
    for (void* p : live) c.free(of_64, p);
    EXPECT_EQ(c.counts(of_64).allocated, 600u);
    EXPECT_EQ(c.counts(of_64).freed, 600u);
}

// The owner has compared and stands still; the thief comes and goes; the owner
// finishes. K3: `pop` was the owner's alone, so the object is his alone.
TEST(Thief, APopUnderWayGetsAnObjectNobodyElseGets) {
    for (int held = 1; held <= 10; ++held) {
        own_cache c;
        std::set<void*> live;
        const bin b = c.cache->bins[of_64];
        do {
            live.insert(c.allocate(of_64));
        } while (b.pop.load() - b.pop_floor.load() != held);

        const slot_pointer top = b.pop.load();  // load and comparison
        ASSERT_GT(top, b.pop_floor.load());
        c.cache->close();
        c.cache->drain_closed();
        c.cache->drain_closed();  // a second thief finds nothing
        b.pop.store(top - 1);     // the rest of the operation
        void* mine = top[-1].load();

        ASSERT_TRUE(live.insert(mine).second);
        EXPECT_EQ(c.counts(of_64).allocated, live.size());
        EXPECT_EQ(c.out(of_64), live.size()) << "all others went home";
        for (void* p : c.core.take(of_64, 1000)) ASSERT_TRUE(live.insert(p).second);
    }
}

TEST(Thief, APushUnderWayIsNotLost) {
    for (int before = 0; before <= 5; ++before) {
        own_cache c;
        std::vector<void*> some;
        for (int i = 0; i < 20; ++i) some.push_back(c.allocate(of_64));
        c.free(of_64, some[10]);
        for (int i = 0; i < before; ++i) c.free(of_64, some[static_cast<unsigned>(i)]);

        const bin b = c.cache->bins[of_64];
        const slot_pointer top = b.push.load();  // load and comparison
        ASSERT_LT(top, b.push_end.load());
        c.cache->close();
        c.cache->drain_closed();
        top->store(some[11]);  // the rest of the operation
        b.push.store(top + 1);

        const auto freed = static_cast<std::uint64_t>(before) + 2;
        EXPECT_EQ(c.counts(of_64).freed, freed);
        EXPECT_TRUE(c.cache->holds(of_64, some[11]));
        c.cache->drain_closed();  // the next round takes it
        EXPECT_FALSE(c.cache->holds(of_64, some[11]));
        c.free(of_64, some[12]);  // the owner comes back
        EXPECT_EQ(c.counts(of_64).freed, freed + 1);
        c.cache->flush_all();
        EXPECT_EQ(c.out(of_64), 20 - freed - 1);
    }
}

TEST(Thief, ComesAtAnyMomentOfARandomLife) {
    own_cache c;
    wyrand random(5);
    std::vector<void*> live;
    std::uint64_t allocated = 0, freed = 0;
    for (int i = 0; i < 30'000; ++i) {
        switch (random.fastrandn(i % 1000 < 500 ? 5 : 9)) {
            case 0: c.cache->close(); break;
            case 1: c.cache->drain_closed(); break;
            case 2:
            case 3:
            case 4:
                live.push_back(c.allocate(of_64));
                ++allocated;
                break;
            default:
                if (live.empty()) break;
                c.free(of_64, live.back());
                live.pop_back();
                ++freed;
        }
        ASSERT_EQ(c.counts(of_64).allocated, allocated);
        ASSERT_EQ(c.counts(of_64).freed, freed);
        expect_ordered(*c.cache);
    }
    EXPECT_EQ(std::set<void*>(live.begin(), live.end()).size(), live.size());
    c.cache->flush_all();
    EXPECT_EQ(c.out(of_64), live.size());
}

}  // namespace
