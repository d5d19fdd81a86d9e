// scavenger_test.cpp - the background thread: it starts when memory lies idle, keeps what
// the goal says, works at its pace, says farewell when nothing is left to do, starts
// again, and notices misuse in what it touches.
//
// Each test has a process of its own, since there is one scavenger in a process. Times
// are waited for, never measured against: only shares of work are, and with room.
#include "steady/heap/detail/scavenger.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "heap/own_process.hpp"
#include "steady/core/hooks.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/mutex.hpp"
#include "steady/os/thread.hpp"

namespace {

using namespace steady;
using namespace steady::test;
using detail::read_scavenger_statistics;

constexpr std::size_t MiB = std::size_t{1} << 20;
constexpr std::uint64_t millisecond = 1'000'000;

// Waits until `done()`, at most that long; says whether it came true.
template <class Done>
bool comes_true(Done done, std::uint64_t seconds = 20) {
    for (std::uint64_t waited = 0; waited < seconds * 1000; waited += 20) {
        if (done()) return true;
        os::sleep_for(20 * millisecond);
    }
    return done();
}

std::vector<void*> fill(std::size_t bytes_wanted, std::size_t size = 100'000) {
    std::vector<void*> all;
    for (std::size_t sum = 0; sum < bytes_wanted; sum += size)
        all.push_back(std::memset(detail::allocate(size), 1, size));
    return all;
}
void drop(const std::vector<void*>& all) {
    for (void* p : all) detail::deallocate(p);
}

std::size_t idle_resident() {
    const heap_statistics s = read_statistics();
    return s.heap_idle - s.heap_released;
}

TEST(Scavenger, StartsWhenMemoryLiesIdleAndNotBefore) {
    expect_passes("", [] {
        drop(fill(2 * MiB));
        EXPECT_EQ(read_scavenger_statistics().starts, 0u) << "two megabytes deserve no thread";
        drop(fill(40 * MiB));
        EXPECT_EQ(read_scavenger_statistics().starts, 1u);
        EXPECT_TRUE(read_scavenger_statistics().running);
    });
}

// Quiet for a second, the heap keeps a 32nd over what is in use, or a megabyte.
TEST(Scavenger, BringsAQuietHeapToItsGoalAndNoFurther) {
    expect_passes("", [] {
        const std::vector<void*> kept = fill(64 * MiB);
        drop(fill(64 * MiB));
        const std::size_t goal = read_statistics().heap_inuse / 32;
        EXPECT_TRUE(comes_true([goal] { return idle_resident() <= goal; })) << idle_resident();
        EXPECT_TRUE(comes_true([] { return !read_scavenger_statistics().running; }));
        EXPECT_GE(idle_resident() + 2 * MiB, goal) << "it stops at the goal";
        message why("test");
        EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
        drop(kept);
    });
}

// A program that builds and drops the same structure finds its pages where it left them.
TEST(Scavenger, KeepsWhatABusyHeapUsedInTheLastSecond) {
    expect_passes("", [] {
        const std::uint64_t before = read_scavenger_statistics().released_bytes;
        for (int round = 0; round < 30; ++round) {
            drop(fill(48 * MiB));
            os::sleep_for(50 * millisecond);
        }
        EXPECT_GT(read_scavenger_statistics().ticks, 5u) << "it was there";
        EXPECT_LE(read_scavenger_statistics().released_bytes - before, 8 * MiB);
    });
}

// Time spent is at most 1 % while busy and 10 % while quiet; measured over seconds, with
// as much again for a clock that counts what others on this processor did meanwhile.
TEST(Scavenger, WorksAtItsPace) {
    expect_passes("", [] {
        const std::uint64_t began = os::now_ns();
        const std::uint64_t work = read_scavenger_statistics().work_ns;
        drop(fill(200 * MiB));
        EXPECT_TRUE(comes_true([] { return idle_resident() <= 8 * MiB; }));
        const std::uint64_t spent = read_scavenger_statistics().work_ns - work;
        EXPECT_LE(spent * 5, os::now_ns() - began);
        EXPECT_GT(spent, 0u);
    });
}

TEST(Scavenger, SaysFarewellAndStartsAgain) {
    expect_passes("", [] {
        for (std::uint64_t round = 1; round <= 2; ++round) {
            drop(fill(30 * MiB));
            EXPECT_TRUE(comes_true([] { return !read_scavenger_statistics().running; })) << round;
            EXPECT_EQ(read_scavenger_statistics().starts, round);
            EXPECT_LE(idle_resident(), 2 * MiB);
            const std::uint64_t ticks = read_scavenger_statistics().ticks;
            os::sleep_for(300 * millisecond);
            EXPECT_EQ(read_scavenger_statistics().ticks, ticks) << "it is gone";
        }
    });
}

TEST(Scavenger, AForkedChildHasNoneAndGetsItsOwn) {
#if defined(STEADY_OS_TSAN)
    GTEST_SKIP() << "it starts no thread in a forked child";
#endif
    expect_passes("", [] {
        drop(fill(40 * MiB));
        // A tick done, its thread has begun: in AddressSanitizer a thread begins with
        // allocations, and a fork meanwhile leaves the child a lock that nobody opens.
        ASSERT_TRUE(comes_true([] { return read_scavenger_statistics().ticks != 0; }));
        ASSERT_TRUE(read_scavenger_statistics().running);
        const pid_t child = fork();
        if (child == 0) {
            if (read_scavenger_statistics().running) _exit(1);
            const std::uint64_t starts = read_scavenger_statistics().starts;
            drop(fill(60 * MiB));
            if (read_scavenger_statistics().starts != starts + 1) _exit(2);
            _exit(comes_true([] { return idle_resident() <= 4 * MiB; }) ? 0 : 3);
        }
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
    });
}

TEST(Scavenger, WithoutItCallersGiveBackInSteps) {
    expect_passes("background=0", [] {
        drop(fill(100 * MiB));
        EXPECT_EQ(read_scavenger_statistics().starts, 0u);
        EXPECT_LE(idle_resident(), 12 * MiB);
    });
}

// Its thread cannot start: the caller does a step, and the next one tries again.
TEST(Scavenger, ARefusedThreadIsMadeUpForByCallers) {
    expect_passes("", [] {
        const std::vector<void*> all = fill(40 * MiB);
        os::detail::fail_nth_call(1, 1'000'000, EAGAIN);
        for (std::size_t i = 0; i < all.size() / 2; ++i) detail::deallocate(all[i]);
        os::detail::fail_nth_call(0);
        EXPECT_FALSE(read_scavenger_statistics().running);
        for (std::size_t i = all.size() / 2; i < all.size(); ++i) detail::deallocate(all[i]);
        EXPECT_TRUE(read_scavenger_statistics().running);
    });
}

// What an idle thread freed twice comes to light when its cache is emptied for it. The
// program's own handler of SIGABRT runs, on a thread that may run it.
TEST(Scavenger, ADoubleFreeThatItFindsStopsTheProgramOnOneOfItsOwnThreads) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const char* const expected = "twice: its 64 bytes object";  // by a pthread, which may
#else
    const char* const expected = "twice: its 64 bytes object(.|\n)*handled by the program";
#endif
    expect_stops(
        "",
        [] {
            static long main_thread;
            main_thread = os::detail::sys_gettid();
            std::signal(SIGABRT, [](int) {
                const bool own = os::detail::sys_gettid() == main_thread;
                static constexpr char yes[] = "handled by the program", no[] = "handled elsewhere";
                [[maybe_unused]] const auto n =
                    own ? write(2, yes, sizeof yes - 1) : write(2, no, sizeof no - 1);
                _exit(3);
            });
            void* kept = detail::allocate(64);
            void* p = detail::allocate(64);
            detail::deallocate(p);
            detail::deallocate(p);
            drop(fill(40 * MiB));                           // starts it; then this thread is idle
            for (int i = 0; i < 100; ++i) usleep(100'000);  // libc's: thread sanitizers wait for it
            detail::deallocate(kept);
        },
        expected);
}

}  // namespace
