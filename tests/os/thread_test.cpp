// The clone() thread: it starts where pthread_create must not be called, ends with the
// process, and comes back after it has ended or the process has forked.
#include "steady/os/thread.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <link.h>
#include <pthread.h>
#include <unistd.h>

#include "os/support/processes.hpp"
#include "steady/core/fatal.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/mutex.hpp"

namespace {

using namespace steady;
using steady::testing::in_child;
using steady::testing::sanitized;
using steady::testing::thread_sanitized;

// Bodies use plain globals only: the thread has no TLS of its own.
constinit std::atomic<std::uint32_t> rounds{0};
constinit std::atomic<std::uint32_t> stop{0};

void one_round(void*) {
    rounds.fetch_add(1, std::memory_order_relaxed);
}

void until_stopped(void*) {
    while (stop.load(std::memory_order_acquire) == 0) os::futex_wait(stop, 0, os::forever);
}

void end(os::background_thread& thread) {
    stop.store(1, std::memory_order_release);
    os::futex_wake(stop, 1);
    thread.join();
    stop.store(0, std::memory_order_relaxed);
}

void sleep_for_ever(void*) {
    for (;;) os::sleep_for(1'000'000'000);
}

TEST(background_thread, ends_and_starts_again_on_the_same_stack) {
    static os::background_thread thread;
    rounds = 0;
    thread.start(one_round, nullptr).value();
    thread.join();
    const bytes mapped = os::ledgers().mapped();
    for (int i = 0; i < 500; ++i) {
        thread.start(one_round, nullptr).value();
        thread.join();
        EXPECT_FALSE(thread.running());
    }
    EXPECT_EQ(rounds.load(), 501u);
    EXPECT_EQ(os::ledgers().mapped(), mapped);
}

TEST(background_thread, runs_once_at_a_time) {
    static os::background_thread thread;
    thread.start(until_stopped, nullptr).value();
    EXPECT_TRUE(thread.running());
    EXPECT_EQ(thread.start(one_round, nullptr).error().code, errc::occupied);
    end(thread);
    EXPECT_FALSE(thread.running());
}

TEST(background_thread, gets_its_argument_and_most_of_its_stack) {
    static os::background_thread thread;
    static std::uint64_t sum;
    std::uint64_t input = 41;
    thread
        .start(
            [](void* p) {
                volatile char deep[48 * 1024];
                for (std::size_t i = 0; i < sizeof deep; i += 512) deep[i] = 1;
                sum = *static_cast<std::uint64_t*>(p) + static_cast<std::uint64_t>(deep[0]);
            },
            &input)
        .value();
    thread.join();
    EXPECT_EQ(sum, 42u);
}

TEST(background_thread, a_stray_read_of_thread_local_memory_finds_zero) {
    if (sanitized) GTEST_SKIP() << "a pthread under sanitizers";
    static os::background_thread thread;
    static thread_local int mine = 5;
    static int found = -1;
    mine = 6;
    thread.start([](void*) { found = mine; }, nullptr).value();
    thread.join();
    EXPECT_EQ(found, 0);
    EXPECT_EQ(mine, 6);
}

TEST(background_thread, is_known_by_its_stack) {
    if (sanitized) GTEST_SKIP() << "a pthread under sanitizers";
    static os::background_thread thread;
    static bool inside = false;
    thread.start([](void*) { inside = os::in_background_thread(); }, nullptr).value();
    thread.join();
    EXPECT_TRUE(inside);
    EXPECT_FALSE(os::in_background_thread());
    std::thread([] { EXPECT_FALSE(os::in_background_thread()); }).join();
}

// What shares it cannot enter a mount namespace, nor can the whole process meanwhile.
TEST(background_thread, does_not_share_the_working_directory) {
    if (sanitized) GTEST_SKIP() << "a pthread under sanitizers";
    static os::background_thread thread;
    const auto before = std::filesystem::current_path();
    ASSERT_NE(before, "/proc");
    thread.start(until_stopped, nullptr).value();
    std::filesystem::current_path("/proc");
    unsigned elsewhere = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
        elsewhere += std::filesystem::read_symlink(task.path() / "cwd") != "/proc";
    std::filesystem::current_path(before);
    end(thread);
    EXPECT_EQ(elsewhere, 1u);
}

TEST(background_thread, starts_while_libc_holds_its_locks) {
    if (sanitized) GTEST_SKIP() << "a pthread under sanitizers, which needs those locks";
    static os::background_thread thread;
    rounds = 0;
    // Inside the loader's lock...
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void*) {
            thread.start(one_round, nullptr).value();
            thread.join();
            return 1;
        },
        nullptr);
    // ... inside stdio's ...
    flockfile(stdout);
    thread.start(one_round, nullptr).value();
    thread.join();
    funlockfile(stdout);
    EXPECT_EQ(rounds.load(), 2u);
    // ... and inside fork, where libc holds everything.
    EXPECT_EQ(in_child([] {
                  pthread_atfork(
                      [] {
                          thread.start(one_round, nullptr).value();
                          thread.join();
                      },
                      nullptr,
                      [] {
                          thread.forget_after_fork();
                          thread.start(one_round, nullptr).value();
                          thread.join();
                      });
                  return in_child([] { return rounds.load() == 4 ? 0 : 1; });
              }),
              0);
}

TEST(background_thread, does_not_keep_a_process_alive) {
    if (thread_sanitized) GTEST_SKIP() << "it starts no thread in a forked child";
    static os::background_thread thread;
    EXPECT_EQ(in_child([] {
                  thread.start(sleep_for_ever, nullptr).value();
                  return 7;
              }),
              7);
    if (sanitized) return;  // their exit handlers look for threads
    EXPECT_EQ(in_child([] {
                  thread.start(sleep_for_ever, nullptr).value();
                  std::exit(8);
                  return 1;
              }),
              8);
}

TEST(background_thread, a_forked_child_has_none_and_may_start_one) {
    if (thread_sanitized) GTEST_SKIP() << "it starts no thread in a forked child";
    static os::background_thread thread;
    thread.start(until_stopped, nullptr).value();
    rounds = 0;
    EXPECT_EQ(in_child([] {
                  thread.forget_after_fork();
                  if (thread.running()) return 1;
                  if (!thread.start(one_round, nullptr)) return 2;
                  thread.join();
                  return rounds.load() == 1 ? 0 : 3;
              }),
              0);
    EXPECT_TRUE(thread.running());
    end(thread);
}

TEST(background_thread, runs_no_signal_handler_of_the_program) {
    static os::background_thread thread;
    static constinit std::atomic<long> handled_by{0};
    thread.start(until_stopped, nullptr).value();
    struct sigaction action {};
    action.sa_handler = [](int) { handled_by = os::detail::sys_gettid(); };
    struct sigaction before {};
    sigaction(SIGUSR1, &action, &before);
    sigset_t usr1, mask;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &mask);
    kill(getpid(), SIGUSR1);  // to whichever thread lets it in
    os::sleep_for(20'000'000);
    EXPECT_EQ(handled_by.load(), 0);
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    os::sleep_for(1'000'000);
    EXPECT_EQ(handled_by.load(), os::detail::sys_gettid());
    sigaction(SIGUSR1, &before, nullptr);
    end(thread);
}

void fail(void*) {
    fatal(message("test").text("something is wrong in the background"));
}

// F5. A crash reporter allocates, prints and reads errno: nothing for a thread without TLS.
TEST(background_thread, fails_on_a_thread_of_the_program) {
    if (sanitized) GTEST_SKIP() << "a pthread under sanitizers, where handlers may run";
    if (sanitized) GTEST_SKIP() << "a pthread under sanitizers, which may run the handler itself";
    EXPECT_EQ(in_child([] {
                  static os::background_thread thread;
                  static long main_thread;
                  main_thread = os::detail::sys_gettid();
                  set_fatal_handler([](const char*) { _exit(51); });
                  signal(SIGABRT,
                         [](int) { _exit(os::detail::sys_gettid() == main_thread ? 50 : 52); });
                  thread.start(fail, nullptr).value();
                  for (;;) sleep(1);  // libc's: a sanitizer runs handlers there
                  return 0;
              }),
              50);
}

TEST(background_thread, stops_the_process_when_nobody_handles_its_failure) {
    if (thread_sanitized) GTEST_SKIP() << "it starts no thread in a forked child";
    const auto fails_with = [](auto prepare) {
        return in_child([&] {
            static os::background_thread thread;
            prepare();
            thread.start(fail, nullptr).value();
            for (;;) sleep(1);  // libc's: a sanitizer runs handlers there
            return 0;
        });
    };
    EXPECT_EQ(fails_with([] { signal(SIGABRT, SIG_DFL); }), 1000 + SIGABRT);
    EXPECT_EQ(fails_with([] { signal(SIGABRT, [](int) {}); }), 1000 + SIGABRT) << "it came back";
    EXPECT_EQ(fails_with([] {
                  signal(SIGABRT, SIG_IGN);
                  sigset_t all;
                  sigfillset(&all);
                  pthread_sigmask(SIG_BLOCK, &all, nullptr);
              }),
              1000 + SIGABRT);
}

TEST(background_thread, shares_a_mutex_with_threads_of_the_program) {
    static os::background_thread thread;
    static os::mutex lock;
    static long counter;
    counter = 0;
    const auto count = [](void*) {
        for (int i = 0; i < 50'000; ++i) {
            const os::lock_guard guard(lock);
            ++counter;
        }
    };
    thread.start(count, nullptr).value();
    std::vector<std::thread> others;
    for (int i = 0; i < 4; ++i) others.emplace_back(count, nullptr);
    for (auto& t : others) t.join();
    thread.join();
    EXPECT_EQ(counter, 250'000);
}

TEST(background_thread, a_refused_start_is_an_error_and_the_next_one_works) {
    rounds = 0;
    static os::background_thread thread;
    for (std::uint64_t n = 1;; ++n) {
        os::detail::fail_nth_call(n);
        const auto started = thread.start(one_round, nullptr);
        const bool fired = os::detail::fail_nth_call(0) != 0;
        if (started) thread.join();
        EXPECT_FALSE(thread.running());
        EXPECT_TRUE(bool{started} || fired);
        if (!fired) break;
    }
    EXPECT_GE(rounds.load(), 1u);
}

TEST(clock, does_not_go_back_and_sleeping_takes_its_time) {
    const std::uint64_t before = os::now_ns();
    os::sleep_for(5'000'000);
    EXPECT_GE(os::now_ns(), before + 5'000'000);
}

}  // namespace
