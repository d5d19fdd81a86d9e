// heap_depot_test.cpp - full magazines between threads: each has one owner at a
// time, what nobody needed goes back to its spans, and the depots stay small.
#include "steady/heap/detail/depots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include <csignal>
#include <sys/mman.h>

#include "heap/own_core.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;
using namespace steady::test;
using detail::depot_set;
using detail::magazine;
using detail::magazine_stack;

constexpr span_class of_64 = noscan_class(6);
constexpr span_class of_1024 = noscan_class(32);

// ---- The stack.

TEST(MagazineStack, TheLastPushedComesFirst) {
    magazine_stack stack;
    EXPECT_EQ(stack.pop(), nullptr);
    std::vector<magazine> some(5);
    for (auto& m : some) stack.push(&m);
    EXPECT_EQ(stack.size(), 5);
    for (std::size_t i = some.size(); i-- > 0;) EXPECT_EQ(stack.pop(), &some[i]);
    EXPECT_EQ(stack.pop(), nullptr);
    EXPECT_EQ(stack.size(), 0);
}

// Few magazines and many threads: the same one is popped, pushed and popped again
// between another thread's load and its exchange all the time.
TEST(MagazineStack, AMagazineHasOneOwnerAtATime) {
    magazine_stack stacks[2];
    std::vector<magazine> all(6);
    std::vector<std::atomic<int>> owners(all.size());
    for (auto& m : all) stacks[0].push(&m);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            wyrand random(t);
            for (int i = 0; i < 100'000; ++i) {
                magazine* m = stacks[random.fastrandn(2)].pop();
                if (m == nullptr) continue;
                const auto index = static_cast<std::size_t>(m - all.data());
                ASSERT_EQ(owners[index].fetch_add(1), 0) << "two owners of one magazine";
                m->count = t;
                m->slots[0].store(m, std::memory_order_relaxed);
                if (random.fastrandn(16) == 0) std::this_thread::yield();
                ASSERT_EQ(m->count, t);
                owners[index].fetch_sub(1);
                stacks[random.fastrandn(2)].push(m);
            }
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(stacks[0].size() + stacks[1].size(), 6);
    std::size_t found = 0;
    while (stacks[0].pop() != nullptr) ++found;
    while (stacks[1].pop() != nullptr) ++found;
    EXPECT_EQ(found, all.size()) << "none was lost";
}

// The moment between a pop's load and its exchange, made as long as we like: the
// stack's page is read-only, so the exchange faults, and the handler is the other
// thread. It takes two magazines and puts the first one back.
struct interruption {
    magazine_stack stack;
    magazine* held;  // by the other thread
};
interruption* interrupted = nullptr;

void other_thread(int) {
    mprotect(static_cast<void*>(interrupted), 4096, PROT_READ | PROT_WRITE);
    magazine* first = interrupted->stack.pop();
    interrupted->held = interrupted->stack.pop();
    interrupted->stack.push(first);
}

TEST(MagazineStack, AMagazineThatLeftAndCameBackIsNotTakenForTheSame) {
#if defined(STEADY_OS_TSAN)
    GTEST_SKIP() << "the sanitizer's own lock is held during an exchange";
#endif
    void* page = mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    interrupted = new (page) interruption{};
    std::vector<magazine> some(3);
    for (auto& m : some) interrupted->stack.push(&m);

    struct sigaction action {
    }, before{};
    action.sa_handler = other_thread;
    sigaction(SIGSEGV, &action, &before);
    mprotect(page, 4096, PROT_READ);
    const magazine* mine = interrupted->stack.pop();
    sigaction(SIGSEGV, &before, nullptr);

    EXPECT_EQ(interrupted->held, &some[1]) << "the other thread was there";
    EXPECT_EQ(mine, &some[2]);
    EXPECT_EQ(interrupted->stack.pop(), &some[0]) << "not the one the other thread holds";
    EXPECT_EQ(interrupted->stack.pop(), nullptr);
    munmap(page, 65536);
}

// ---- Depots of one test, over a core of its own.

class Depots : public testing::Test {
protected:
    Depots() { EXPECT_TRUE(static_cast<bool>(depots.open(1))); }
    ~Depots() override {
        static_cast<void>(depots.trim(core.core, ~std::size_t{0}, true));
        EXPECT_EQ(depots.held_bytes(), 0u);
    }

    magazine* full(span_class sclass, std::uint32_t count = 100) {
        magazine* m = detail::get_empty_magazine();
        m->count = count;
        const std::vector<void*> objects = take_all(sclass, count);
        for (std::uint32_t i = 0; i < count; ++i) m->slots[i].store(objects[i]);
        return m;
    }
    std::vector<void*> take_all(span_class sclass, std::size_t count) {
        std::vector<void*> objects;
        while (objects.size() < count) {
            for (void* p : core.take(sclass, count - objects.size())) objects.push_back(p);
        }
        return objects;
    }
    void put(span_class sclass, int magazines) {
        for (int i = 0; i < magazines; ++i) depots.put(0, sclass, full(sclass));
    }
    std::uint64_t out(span_class sclass) { return core.list(sclass).objects_out; }

    own_core core;
    depot_set depots;
};

TEST_F(Depots, KeepTheClassesApartAndCountTheirBytes) {
    put(of_64, 2);
    put(of_1024, 1);
    EXPECT_EQ(depots.held_bytes(), 2u * 100 * 64 + 100 * 1024);
    EXPECT_EQ(depots.take(0, noscan_class(7)), nullptr);
    magazine* m = depots.take(0, of_1024);
    ASSERT_NE(m, nullptr);
    EXPECT_EQ(m->count, 100u);
    EXPECT_EQ(find_object(m->slots[99].load()).size, 1024u);
    EXPECT_EQ(depots.held_bytes(), 2u * 100 * 64);
    depots.put(0, of_1024, m);
}

TEST_F(Depots, WhatNobodyNeededGoesBackToItsSpans) {
    put(of_64, 5);
    EXPECT_EQ(depots.trim(core.core, 100, false), 0u) << "they came since the last trim";
    EXPECT_EQ(out(of_64), 500u);
    EXPECT_EQ(depots.trim(core.core, 100, false), 5u) << "a whole period without need";
    EXPECT_EQ(out(of_64), 0u);
}

TEST_F(Depots, WhatWasNeededMeanwhileStays) {
    put(of_64, 5);
    static_cast<void>(depots.trim(core.core, 100, false));
    std::vector<magazine*> borrowed;
    for (int i = 0; i < 3; ++i) borrowed.push_back(depots.take(0, of_64));
    for (magazine* m : borrowed) depots.put(0, of_64, m);
    EXPECT_EQ(depots.trim(core.core, 100, false), 2u) << "five less three";
    EXPECT_EQ(out(of_64), 300u);
}

TEST_F(Depots, ATrimKeepsToItsBudget) {
    for (unsigned c = 1; c <= 20; ++c) put(noscan_class(c), 1);
    static_cast<void>(depots.trim(core.core, ~std::size_t{0}, false));
    std::size_t went = 0;
    for (int tick = 0; tick < 7; ++tick) {
        const std::size_t now = depots.trim(core.core, 3, false);
        EXPECT_LE(now, 3u);
        went += now;
    }
    EXPECT_EQ(went, 20u);
    EXPECT_EQ(depots.held_bytes(), 0u);
}

TEST_F(Depots, ATrimReachesEveryClassHoweverBusyTheFirst) {
    for (unsigned c = 2; c <= 10; ++c) put(noscan_class(c), 1);
    for (int tick = 0; tick < 40; ++tick) {
        put(noscan_class(1), 3);
        EXPECT_LE(depots.trim(core.core, 3, true), 3u);
    }
    for (unsigned c = 2; c <= 10; ++c) EXPECT_EQ(out(noscan_class(c)), 0u) << class_size[c];
}

TEST_F(Depots, ReliefReturnsAFewMagazinesButNotFromASmallStock) {
    put(of_64, 5);  // 32,000 bytes
    depots.relieve(core.core);
    EXPECT_EQ(out(of_64), 500u);
    put(of_64, 45);
    depots.relieve(core.core);
    EXPECT_LT(out(of_64), 5000u);
    EXPECT_GE(out(of_64), 3000u) << "at most 16 magazines on a caller's path";
}

TEST_F(Depots, AreFullAtAShareOfTheHeap) {
    const std::size_t ready = os::ledgers().ready.value().count();
    const std::size_t bound = std::max<std::size_t>(ready / 128, 96 << 10);
    std::size_t put_in = 0;
    while (depots.has_room()) {
        depots.put(0, of_64, full(of_64, 1));
        ASSERT_LE(++put_in * sizeof(magazine), 2 * bound);
    }
    EXPECT_GE(put_in * sizeof(magazine), bound);
}

TEST_F(Depots, HoldObjectsForAShareOfTheHeap) {
    const std::size_t ready = os::ledgers().ready.value().count();
    const std::size_t bound = std::max<std::size_t>(ready / 64, 512 << 10);
    std::size_t held = 0;
    for (; depots.has_room(); held += 126 * 1024) {
        ASSERT_LT(held, bound);
        depots.put(0, of_1024, full(of_1024, 126));
    }
    EXPECT_GE(held, bound);
}

// ---- In the default heap.

TEST(DefaultDepots, CarryObjectsFromAThreadThatFreesToOneThatAllocates) {
    static_cast<void>(trim());
    std::vector<void*> objects;
    for (int i = 0; i < 3000; ++i) objects.push_back(detail::allocate(64));
    std::thread([&] {
        for (void* p : objects) detail::deallocate(p);
        EXPECT_GT(detail::depots.held_bytes(), 64u * 1000) << "it had no use for them";
    }).join();
    const std::uint64_t spans = read_statistics().by_size[6].spans;
    std::thread([] {
        for (int i = 0; i < 1000; ++i) static_cast<void>(detail::allocate(64));
    }).join();
    EXPECT_LE(read_statistics().by_size[6].spans, spans) << "used again, whole magazines at once";
    static_cast<void>(trim());
    EXPECT_EQ(detail::depots.held_bytes(), 0u);
}

// A magazine of the depot that does not fit beside what the thread has freed: it must not
// keep the thread from getting a stock of its own.
TEST(DefaultDepots, AWaitingMagazineDoesNotKeepAThreadAtAHandful) {
    static_cast<void>(trim());
    std::vector<void*> objects;
    for (int i = 0; i < 3000; ++i) objects.push_back(detail::allocate(400));
    std::thread([&] {
        for (void* p : objects) detail::deallocate(p);
    }).join();
    ASSERT_GT(detail::depots.held_bytes(), 0u);
    std::thread([] {
        std::vector<void*> some;
        for (int i = 0; i < 4; ++i) some.push_back(detail::allocate(400));
        for (void* p : some) detail::deallocate(p);
        const auto pairs = [](int count) {
            for (int i = 0; i < count; ++i) detail::deallocate(detail::allocate(400));
        };
        pairs(100'000);
        const std::uint64_t before = detail::current_cache->slow_calls;
        pairs(10'000);
        EXPECT_LE(detail::current_cache->slow_calls - before, 10'000u / 30);
    }).join();
    static_cast<void>(trim());
}

TEST(DefaultDepots, EmptyMagazinesGoBackWhenNobodyNeedsThem) {
    ASSERT_TRUE(detail::open_heap());
    std::vector<magazine*> many;
    for (int i = 0; i < 200; ++i) many.push_back(detail::get_empty_magazine());
    const std::size_t in_use = detail::store.in_use_pages();
    for (magazine* m : many) detail::put_empty_magazine(m);
    static_cast<void>(detail::trim_empty_magazines(false));
    EXPECT_EQ(detail::store.in_use_pages(), in_use) << "they came since the last trim";
    EXPECT_GE(detail::trim_empty_magazines(false), 200u);
    EXPECT_LE(detail::store.in_use_pages(), in_use - 200 / 8 + 1) << "eight lie on a page";
}

}  // namespace
