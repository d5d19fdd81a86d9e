// M1, M2: nobody gets in twice, nobody sleeps for ever, nobody burns the owner's time.
#include "steady/os/mutex.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <time.h>

#include "os/support/processes.hpp"
#include "steady/os/thread.hpp"

namespace {

using namespace steady;

std::uint64_t cpu_time_of_this_thread() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(t.tv_nsec);
}

TEST(mutex, many_more_threads_than_processors_count_exactly) {
    constexpr int threads = 16, rounds = 40'000;
    os::mutex lock;
    long counter = 0;  // not atomic: the lock is what makes it right
    int inside = 0;
    bool alone = true;
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                const os::lock_guard guard(lock);
                alone = alone && ++inside == 1;
                ++counter;
                --inside;
            }
        });
    }
    for (auto& t : running) t.join();
    EXPECT_EQ(counter, long{threads} * rounds);
    EXPECT_TRUE(alone);
    EXPECT_FALSE(lock.is_locked());
}

TEST(mutex, threads_that_come_and_go_never_lose_a_wake_up) {
    // Every hand-over goes through a sleep: the owner sleeps while it holds the lock.
    os::mutex lock;
    std::atomic<int> turns{0};
    std::vector<std::thread> running;
    for (int t = 0; t < 8; ++t) {
        running.emplace_back([&] {
            for (int i = 0; i < 25; ++i) {
                {
                    const os::lock_guard guard(lock);
                    os::sleep_for(200'000);
                }
                turns.fetch_add(1, std::memory_order_relaxed);
            }
        });
    }
    for (auto& t : running) t.join();
    EXPECT_EQ(turns.load(), 200);
}

TEST(mutex, a_waiting_thread_sleeps_and_burns_no_time) {
    os::mutex lock;
    lock.lock();
    std::atomic<bool> waiting{false};
    std::uint64_t burnt = 0;
    std::thread waiter([&] {
        waiting.store(true);
        const std::uint64_t before = cpu_time_of_this_thread();
        const os::lock_guard guard(lock);
        burnt = cpu_time_of_this_thread() - before;
    });
    while (!waiting.load()) std::this_thread::yield();
    os::sleep_for(300'000'000);
    lock.unlock();
    waiter.join();
    EXPECT_LT(burnt, 30'000'000u);
}

TEST(mutex, try_lock_takes_only_what_is_free) {
    os::mutex lock;
    ASSERT_TRUE(lock.try_lock());
    EXPECT_TRUE(lock.is_locked());
    std::thread([&] { EXPECT_FALSE(lock.try_lock()); }).join();
    lock.unlock();
    ASSERT_TRUE(lock.try_lock());
    lock.unlock();
}

TEST(mutex, a_forked_child_frees_what_threads_of_the_parent_held) {
    static os::mutex lock;
    std::atomic<bool> held{false}, done{false};
    std::thread owner([&] {
        const os::lock_guard guard(lock);
        held.store(true);
        while (!done.load()) std::this_thread::yield();
    });
    while (!held.load()) std::this_thread::yield();
    EXPECT_EQ(steady::testing::in_child([] {
                  if (lock.try_lock()) return 1;
                  lock.reset_after_fork();
                  const os::lock_guard guard(lock);
                  return 0;
              }),
              0);
    done.store(true);
    owner.join();
}

TEST(futex, waiting_ends_by_wake_by_time_or_because_the_word_has_changed) {
    std::atomic<std::uint32_t> word{1};
    EXPECT_TRUE(os::futex_wait(word, 0, os::forever));  // not what was expected: at once
    const std::uint64_t before = os::now_ns();
    EXPECT_FALSE(os::futex_wait(word, 1, 20'000'000));
    EXPECT_GE(os::now_ns() - before, 20'000'000u);
    std::thread waker([&] {
        word.store(2);
        os::futex_wake(word, 1);
    });
    while (word.load() == 1) os::futex_wait(word, 1, os::forever);
    waker.join();
}

}  // namespace
