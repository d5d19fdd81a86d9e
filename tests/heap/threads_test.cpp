// heap_threads_test.cpp - exact counts with many threads, caches emptied under
// their owners' hands, threads that end, and forks.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/barrier.hpp"

namespace {

using namespace steady;

struct tally {
    std::uint64_t mallocs = 0, frees = 0, bytes_allocated = 0, bytes_freed = 0;
};

// Operations per thread; the full figure of the bar by STEADY_TEST_OPERATIONS.
std::uint64_t operations(std::uint64_t usual) {
    const char* wanted = std::getenv("STEADY_TEST_OPERATIONS");
    return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : usual;
}

std::size_t size_for(wyrand& random) {
    const std::uint32_t kind = random.fastrandn(1000);
    if (kind == 0) return 32'769 + random.fastrandn(300'000);
    if (kind < 20) return random.fastrandn(32'769);
    return random.fastrandn(1025);
}

// A slot holds an object's address; who exchanges it owns what comes out. So
// most objects are freed by another thread than the one that allocated them.
struct shared_slots {
    static constexpr std::size_t count = 4096;
    std::atomic<unsigned char*> slot[count]{};
};

void worker(shared_slots& slots, unsigned id, std::uint64_t steps, tally& mine) {
    wyrand random(id + 1);
    for (std::uint64_t i = 0; i < steps; ++i) {
        unsigned char* fresh = nullptr;
        if (random.fastrandn(8) != 0) {
            fresh = static_cast<unsigned char*>(detail::allocate(size_for(random)));
            ++mine.mallocs;
            mine.bytes_allocated += usable_size(fresh);
            *fresh = static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(fresh) >> 4);
        }
        unsigned char* old = slots.slot[random.fastrandn(shared_slots::count)].exchange(fresh);
        if (old == nullptr) continue;
        ASSERT_EQ(*old, static_cast<unsigned char>(reinterpret_cast<std::uintptr_t>(old) >> 4));
        mine.bytes_freed += usable_size(old);
        ++mine.frees;
        detail::deallocate(old);
    }
}

tally churn(unsigned threads, std::uint64_t steps, const std::atomic<bool>* disturb = nullptr) {
    static shared_slots slots;
    std::vector<tally> tallies(threads);
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; ++t) {
        running.emplace_back([&, t] { worker(slots, t, steps, tallies[t]); });
    }
    std::thread disturber;
    std::atomic<bool> stop{false};
    if (disturb != nullptr) {
        disturber = std::thread([&] {
            while (!stop) {
                os::membarrier_register();
                detail::empty_idle_caches(0, detail::current_cache);
                std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        });
    }
    for (auto& r : running) r.join();
    stop = true;
    if (disturber.joinable()) disturber.join();
    tally sum;
    for (auto& s : slots.slot) {
        if (unsigned char* p = s.exchange(nullptr)) {
            sum.bytes_freed += usable_size(p);
            ++sum.frees;
            detail::deallocate(p);
        }
    }
    for (const tally& t : tallies) {
        sum.mallocs += t.mallocs;
        sum.frees += t.frees;
        sum.bytes_allocated += t.bytes_allocated;
        sum.bytes_freed += t.bytes_freed;
    }
    return sum;
}

void expect_exact(const heap_statistics& before, const heap_statistics& after,
                  const tally& counted) {
    EXPECT_EQ(after.mallocs - before.mallocs, counted.mallocs);
    EXPECT_EQ(after.frees - before.frees, counted.frees);
    EXPECT_EQ(after.total_alloc - before.total_alloc, counted.bytes_allocated);
    EXPECT_EQ(after.total_freed - before.total_freed, counted.bytes_freed);
    EXPECT_EQ(after.heap_alloc - before.heap_alloc, counted.bytes_allocated - counted.bytes_freed);
}

TEST(HeapThreads, CountsEqualAnIndependentCountAfterEightThreadsOfRandomOperations) {
    const heap_statistics before = read_statistics();
    const tally counted = churn(8, operations(8 * 200'000) / 8);
    expect_exact(before, read_statistics(), counted);
    EXPECT_EQ(counted.mallocs, counted.frees);
}

// The thief takes what it can from running threads thousands of times: every
// object must stay with exactly one owner, and every count stay exact.
TEST(HeapThreads, CachesMayBeEmptiedWhileTheirOwnersAllocate) {
    if (!os::membarrier_register()) GTEST_SKIP() << "no membarrier on this kernel";
    const heap_statistics before = read_statistics();
    const std::atomic<bool> yes{true};
    const tally counted = churn(6, operations(6 * 150'000) / 6, &yes);
    expect_exact(before, read_statistics(), counted);
}

TEST(HeapThreads, AnIdleThreadsCacheComesBack) {
    if (!os::membarrier_register()) GTEST_SKIP() << "no membarrier on this kernel";
    std::atomic<int> stage{0};
    std::thread idle([&] {
        std::vector<void*> many;
        for (int i = 0; i < 100; ++i) many.push_back(detail::allocate(200));
        for (void* p : many) detail::deallocate(p);
        stage = 1;
        while (stage == 1) std::this_thread::yield();
        // It comes back and finds a working cache.
        for (int i = 0; i < 1000; ++i) detail::deallocate(detail::allocate(200));
    });
    while (stage == 0) std::this_thread::yield();
    const std::uint64_t cached = read_statistics().cached_bytes;
    EXPECT_TRUE(detail::empty_idle_caches(0, detail::current_cache));
    EXPECT_LT(read_statistics().cached_bytes + 100 * 200, cached);
    stage = 2;
    idle.join();
}

TEST(HeapThreads, AThreadThatEndsLeavesNothingBehind) {
    std::thread([] { detail::deallocate(detail::allocate(64)); }).join();
    const std::uint32_t threads = read_statistics().threads;
    const bytes records = detail::metadata_ledgers.caches.value();
    for (int i = 0; i < 50; ++i) {
        std::thread([] {
            std::vector<void*> v;
            for (int k = 0; k < 1000; ++k)
                v.push_back(detail::allocate(static_cast<std::size_t>(k)));
            for (void* p : v) detail::deallocate(p);
        }).join();
    }
    EXPECT_EQ(read_statistics().threads, threads);
    EXPECT_EQ(detail::metadata_ledgers.caches.value().count(), records.count())
        << "records of ended threads are used again";
}

TEST(HeapThreads, AForkedChildGoesOnWhileItsParentsThreadsWereAllocating) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the thread sanitizer cannot follow threads, nor our scavenger, in a child";
#endif
    std::atomic<bool> stop{false};
    std::vector<std::thread> busy;
    for (unsigned t = 0; t < 3; ++t) {
        busy.emplace_back([&, t] {
            wyrand random(t);
            std::vector<void*> live(100, nullptr);
            while (!stop) {
                void*& p = live[random.fastrandn(100)];
                detail::deallocate(p);
                p = detail::allocate(size_for(random));
            }
            for (void* p : live) detail::deallocate(p);
        });
    }
    for (int i = 0; i < 40; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            wyrand random(99);
            std::vector<void*> live(200, nullptr);
            for (int k = 0; k < 20'000; ++k) {
                void*& p = live[random.fastrandn(200)];
                detail::deallocate(p);
                p = detail::allocate(size_for(random));
            }
            std::thread([] {
                detail::deallocate(detail::allocate(100));
            }).join();  // adopts the orphans
            detail::trim();
            _exit(0);
        }
        ASSERT_GT(child, 0);
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
            << "child " << i << " ended with " << status;
    }
    stop = true;
    for (auto& b : busy) b.join();
}

}  // namespace
