// limits_test.cpp - soft and hard memory limits.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "heap/own_process.hpp"
#include "steady/core/hooks.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/thread.hpp"

namespace {

using namespace steady;

std::size_t ready() {
    return os::ledgers().ready.value().count();
}

struct no_limit_afterwards {
    ~no_limit_afterwards() { set_memory_limit(0, 0); }
};

TEST(Limits, AHardLimitFailsAllocationsOfEverySizeAndHoldsTheLedger) {
    const no_limit_afterwards restore;
    deallocate(allocate(1));
    for (const std::size_t size :
         {std::size_t{64}, std::size_t{5000}, std::size_t{300'000}, std::size_t{9} << 20}) {
        const std::size_t limit = ready() + (std::size_t{64} << 20);
        set_memory_limit(0, limit);
        std::vector<void*> all;
        all.reserve(2'000'000);
        void* p = nullptr;
        while ((p = allocate(size)) != nullptr && all.size() < 2'000'000) all.push_back(p);
        EXPECT_EQ(p, nullptr) << size;
        EXPECT_GT(all.size() * size, std::size_t{32} << 20) << "the limit leaves 64 MiB";
        EXPECT_LE(ready(), limit) << "with all tables and records";
        void* q = all.empty() ? nullptr : reallocate(all.back(), std::size_t{512} << 20);
        EXPECT_EQ(q, nullptr) << "and the object stays";
        for (void* a : all) deallocate(a);
        set_memory_limit(0, 0);
        EXPECT_NE(p = allocate(size), nullptr);
        deallocate(p);
        trim();
    }
}

TEST(Limits, ASoftLimitReturnsFreePagesBeforeItTakesNewOnes) {
    const no_limit_afterwards restore;
    trim();
    const std::size_t limit = ready() + (std::size_t{48} << 20);
    set_memory_limit(limit, 0);
    // 32 MiB of one size, freed, then 32 MiB of another: free pages of the first
    // must not stay beside the second.
    for (int round = 0; round < 4; ++round) {
        const std::size_t size = round % 2 == 0 ? 700'000 : 24'000;
        std::vector<void*> all;
        for (std::size_t sum = 0; sum < (std::size_t{32} << 20); sum += size) {
            all.push_back(allocate(size));
            std::memset(all.back(), 1, size);
        }
        EXPECT_LE(ready(), limit + (std::size_t{2} << 20)) << "round " << round;
        for (void* p : all) deallocate(p);
    }
    // It is soft: what is really needed is given.
    std::vector<void*> all;
    for (int i = 0; i < 100; ++i) all.push_back(allocate(1'000'000));
    for (void* p : all) {
        EXPECT_NE(p, nullptr);
        deallocate(p);
    }
}

// Between the look at the ledger and the change of it lies a call of the system. It
// takes its time here, so that everybody else looks meanwhile.
TEST(Limits, ThreadsTogetherDoNotPassTheHardLimitEither) {
    const no_limit_afterwards restore;
    for (const std::size_t size : {std::size_t{3} << 20, std::size_t{900'000}}) {
        trim();
        const std::size_t limit = ready() + (std::size_t{160} << 20);
        set_memory_limit(0, limit);
        os_hook.install(
            [](void*, const os_event& e) {
                if (e.call == os_call::prepare) os::sleep_for(3'000'000);
            },
            nullptr);
        std::atomic<std::size_t> taken{0};
        std::atomic<bool> enough{false};
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&] {
                std::vector<void*> mine;
                while (void* p = allocate(size)) mine.push_back(p);
                taken += mine.size();
                while (!enough) os::sleep_for(1'000'000);  // keep it until all have ended
                for (void* p : mine) deallocate(p);
            });
        }
        while (taken * size < (std::size_t{120} << 20)) os::sleep_for(1'000'000);
        os::sleep_for(50'000'000);
        EXPECT_LE(ready(), limit) << size;
        enough = true;
        for (auto& t : threads) t.join();
        os_hook.remove();
        EXPECT_LE(taken * size, std::size_t{160} << 20);
        set_memory_limit(0, 0);
    }
}

struct released_by_callers {
    released_by_callers() { os_hook.install(&heard, this); }
    ~released_by_callers() { os_hook.remove(); }
    static void heard(void* context, const os_event& e) {
        if (e.call == os_call::decommit && !e.background)
            static_cast<released_by_callers*>(context)->bytes += e.touched.count();
    }
    std::atomic<std::size_t> bytes{0};
};

void leave_idle_pages() {
    std::vector<void*> all;
    for (int i = 0; i < 100; ++i) all.push_back(std::memset(allocate(700'000), 1, 700'000));
    for (void* p : all) deallocate(p);
    ASSERT_GT(read_statistics().heap_idle, std::size_t{64} << 20) << "they were in use just now";
}

TEST(Limits, NoCallerGivesBackMuchMoreThanItTakes) {
    test::expect_passes("", [] {
        leave_idle_pages();
        const std::size_t before = ready();
        detail::limits.set(before - (std::size_t{48} << 20),
                           0);  // as if others had come to need it
        std::size_t all = 0;
        for (int i = 0; i < 8; ++i) {
            released_by_callers watch;
            static_cast<void>(allocate(100'000));
            EXPECT_LE(watch.bytes.load(), 2u * 106'496 + (2u << 20)) << i;
            all += watch.bytes.load();
        }
        EXPECT_GT(all, std::size_t{8} << 20) << "but it goes on giving back";
        EXPECT_LT(ready(), before);
    });
}

TEST(Limits, LoweringALimitGivesFreePagesBackAtOnce) {
    test::expect_passes("", [] {
        for (const bool hard : {false, true}) {
            leave_idle_pages();
            const std::size_t limit = ready() - (std::size_t{40} << 20);
            released_by_callers watch;
            set_memory_limit(hard ? 0 : limit, hard ? limit : 0);
            EXPECT_LE(ready(), limit);
            EXPECT_LE(watch.bytes.load(), std::size_t{42} << 20) << "and no more than needed";
            set_memory_limit(0, 0);
        }
    });
}

TEST(Limits, TheFirstHugeBlockPaysForItsTablesToo) {
    test::expect_passes("background=0", [] {
        deallocate(allocate(1));
        const std::size_t limit = ready() + (std::size_t{2} << 20) + (std::size_t{1} << 19);
        set_memory_limit(0, limit);
        void* p = allocate(std::size_t{3} << 19);
        EXPECT_NE(p, nullptr) << "without the huge blocks' tables there is room for it";
        EXPECT_LE(ready(), limit);
    });
}

}  // namespace
