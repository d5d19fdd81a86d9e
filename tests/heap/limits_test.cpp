// limits_test.cpp - soft and hard memory limits.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"

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
        EXPECT_LE(ready(), limit + (std::size_t{1} << 20)) << "but for tables and records";
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

}  // namespace
