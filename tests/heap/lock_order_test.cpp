// lock_order_test.cpp - the order of locks is enforced where it is watched, and the
// heap keeps it wherever it takes several.
#include "steady/heap/lock_order.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"
#include "support/fatal_text.hpp"

namespace {

using namespace steady;
using namespace steady::test;
using detail::lock_rank;
using detail::ranked_mutex;

class LockOrder : public testing::Test {
protected:
    void SetUp() override {
        if (STEADY_CHECK < 2) GTEST_SKIP() << "watched from STEADY_CHECK=2 on";
    }
    ranked_mutex<lock_rank::registry> registry;
    ranked_mutex<lock_rank::cache> cache;
    ranked_mutex<lock_rank::central> central, central_too;
    ranked_mutex<lock_rank::pages> pages;
};

TEST_F(LockOrder, DownwardsIsFineWithGapsAndAgain) {
    for (int i = 0; i < 3; ++i) {
        const os::lock_guard first(cache);
        { const os::lock_guard second(pages); }
        const os::lock_guard second(central);
        const os::lock_guard third(pages);
    }
}

TEST_F(LockOrder, UpwardsStopsTheProgramWithBothNames) {
    pages.lock();
    const std::string said = fatal_text([&] { central.lock(); });
    EXPECT_NE(said.find("lock `central` is being taken by a thread that holds `pages`"),
              std::string::npos)
        << said;
    pages.unlock();
    central.lock();  // it was not taken above
    central.unlock();
}

TEST_F(LockOrder, TwoOfOneRankAreForWhoeverHoldsTheRegistry) {
    central.lock();
    EXPECT_NE(fatal_text([&] { central_too.lock(); }).find("`central`"), std::string::npos);
    central.unlock();
    registry.lock();
    central.lock();
    central_too.lock();
    EXPECT_NE(fatal_text([&] { cache.lock(); }).find("`cache`"), std::string::npos);
    central_too.unlock();
    central.unlock();
    registry.unlock();
}

TEST_F(LockOrder, TryingIsAllowedAnywhereAndCounts) {
    pages.lock();
    ASSERT_TRUE(central.try_lock());
    EXPECT_NE(fatal_text([&] { central_too.lock(); }).find("`central`"), std::string::npos);
    pages.unlock();
    EXPECT_NE(fatal_text([&] { cache.lock(); }).find("`central`"), std::string::npos);
    central.unlock();
    cache.lock();
    cache.unlock();
}

TEST_F(LockOrder, EachThreadCountsItsOwn) {
    pages.lock();
    std::thread([this] {
        central.lock();
        central.unlock();
    }).join();
    pages.unlock();
}

// fork and walks over all objects take hundreds of locks, of instances as well.
TEST_F(LockOrder, AForkAndAWalkTakeAllOfThemInOrder) {
    heap first, second;
    void* a = first.allocate(100);
    void* b = second.allocate(100);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([] { detail::deallocate(detail::allocate(64)); });
    for (auto& t : threads) t.join();
    std::uint64_t seen = 0;
    for_each_object([](void* n, const object_info&) { ++*static_cast<std::uint64_t*>(n); }, &seen);
    const pid_t child = fork();
    if (child == 0) {
        first.deallocate(a);
        second.deallocate(b);
        _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
