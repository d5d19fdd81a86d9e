// threads_test.cpp - profiles are taken while threads allocate, fork, and load libraries.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profile/support.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/heap.hpp"
#include "steady/profile/label.hpp"
#include "steady/profile/profile.hpp"

namespace {

using namespace steady;
using namespace steady::profile;
using namespace steady::profile::test;

/// Threads that allocate and free, some across each other, until the end.
class traffic {
public:
    explicit traffic(int threads) {
        for (int t = 0; t < threads; ++t) {
            threads_.emplace_back([this, t] {
                const label_scope label("worker", std::to_string(t % 3));
                wyrand random(static_cast<std::uint64_t>(t) + 1);
                std::vector<void*> held;
                while (!end_.load(std::memory_order_relaxed)) {
                    const std::uint64_t dice = random() % 64;
                    held.push_back(
                        allocate(dice == 0 ? 50'000 + random() % 2'000'000 : random() % 2000));
                    if (held.size() > 300) {
                        const std::size_t i = random() % held.size();
                        deallocate(held[i]);
                        held[i] = held.back();
                        held.pop_back();
                    }
                    if (dice == 1) held.back() = reallocate(held.back(), 100'000);
                    if (dice == 2) held.back() = shared_[random() % 16].exchange(held.back());
                    if (held.back() == nullptr) held.pop_back();
                }
                for (void* p : held) deallocate(p);
            });
        }
    }
    ~traffic() {
        end_ = true;
        for (auto& t : threads_) t.join();
        for (auto& p : shared_) deallocate(p.load());
    }

private:
    std::vector<std::thread> threads_;
    std::atomic<bool> end_{false};
    std::atomic<void*> shared_[16] = {};
};

/// A minute where somebody asks for it: STEADY_LONG_TESTS=60.
std::chrono::milliseconds test_time(int usual) {
    const char* seconds = std::getenv("STEADY_LONG_TESTS");
    return std::chrono::milliseconds(seconds != nullptr ? std::atoi(seconds) * 1000 : usual);
}

TEST(Threads, ProfilesAreTakenWhileEightThreadsAllocate) {
    static_cast<void>(trim());
    const std::uint64_t before = read_heap_statistics().heap_alloc;
    ASSERT_TRUE(start());
    set_rate(2048);
    int profiles = 0;
    {
        const traffic threads(8);
        const auto end = std::chrono::steady_clock::now() + test_time(2500);
        while (std::chrono::steady_clock::now() < end) {
            for (const kind k : {kind::heap, kind::allocs, kind::growth}) {
                EXPECT_FALSE(write_pprof(k, {.symbolize = profiles % 10 == 0}).empty());
                ++profiles;
            }
            set_rate(profiles % 2 == 0 ? 2048 : 4096);
        }
    }
    EXPECT_GE(profiles, 3);
    EXPECT_EQ(read_heap_statistics().heap_alloc, before);
    EXPECT_EQ(read_counters().live_samples, 0u) << "every sample that was freed is forgotten";
    EXPECT_EQ(read_counters().lost, 0u);
    stop();
}

TEST(Threads, AtRate1TheSumIsExactAfterEightThreads) {
    static_cast<void>(trim());
    const std::uint64_t before = read_heap_statistics().heap_alloc;
    ASSERT_TRUE(start());
    set_rate(1);
    void* kept = allocate(777);
    {
        const traffic threads(8);
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        EXPECT_FALSE(snapshot(kind::heap, {.symbolize = false}).empty());
    }
    EXPECT_EQ(total(snapshot(kind::heap, {.symbolize = false}), inuse_space),
              static_cast<std::int64_t>(read_heap_statistics().heap_alloc - before));
    deallocate(kept);
    stop();
}

TEST(Threads, ForkWhileSamplesAreTakenLeavesTheChildAWorkingProfiler) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizer's runtime does not survive fork among threads";
#elif defined(__SANITIZE_ADDRESS__)
    // Its allocator forks with whatever lock another thread holds: a child waits in operator new.
    GTEST_SKIP() << "the sanitizer's allocator does not survive fork among threads";
#endif
    ASSERT_TRUE(start());
    set_rate(512);
    {
        const traffic threads(4);
        std::atomic<bool> end{false};
        std::thread profiler([&] {
            while (!end) EXPECT_FALSE(write_pprof(kind::heap, {.symbolize = false}).empty());
        });
        for (int i = 0; i < 12; ++i) {
            const pid_t child = fork();
            if (child == 0) {
                alarm(20);
                // glibc's malloc is ready in a child as well.
                void* p = allocate(5'000'000);
                deallocate(p);
                const std::string bytes = write_pprof(kind::heap, {.symbolize = i == 0});
                _exit(bytes.size() > 100 ? 0 : 1);
            }
            int status = -1;
            EXPECT_EQ(waitpid(child, &status, 0), child);
            EXPECT_EQ(status, 0) << "child " << i;
            if (status != 0) break;  // out of here only with the threads joined
        }
        end = true;
        profiler.join();
    }
    stop();
}

TEST(Threads, LibrariesComeAndGoWhileSamplesAreTaken) {
    ASSERT_TRUE(start());
    set_rate(1024);
    {
        const traffic threads(3);
        const auto end = std::chrono::steady_clock::now() + test_time(1000);
        for (int loads = 1; loads <= 20 || std::chrono::steady_clock::now() < end; ++loads) {
            void* library = dlopen(STEADY_TEST_PROGRAMS "/profile_plugin.so", RTLD_NOW);
            ASSERT_NE(library, nullptr) << dlerror();
            using call = void* (*)(void* (*)(std::size_t), std::size_t);
            const auto through_plugin =
                reinterpret_cast<call>(dlsym(library, "steady_test_allocate"));
            ASSERT_NE(through_plugin, nullptr);
            for (int i = 0; i < 20; ++i)
                deallocate(through_plugin([](std::size_t n) { return allocate(n); }, 3000));
            dlclose(library);
            if (loads % 8 != 0) continue;
            EXPECT_FALSE(write_pprof(kind::heap, {.symbolize = loads % 64 == 0}).empty());
        }
    }
    stop();
}

// The tables have what the program has: no profile adds to them, and none takes memory that
// it does not give back.
// Ten thousand where somebody asks for long tests.
TEST(Threads, ThousandsOfProfilesLeakNothing) {
    const int profiles = std::getenv("STEADY_LONG_TESTS") != nullptr ? 10'000 : 2000;
    ASSERT_TRUE(start());
    set_rate(1);
    std::vector<void*> held;
    for (int i = 0; i < 100; ++i) held.push_back(allocate(100 + static_cast<std::size_t>(i) * 10));
    const auto one = [](bool symbolize) {
        EXPECT_FALSE(write_pprof(kind::heap, {.symbolize = symbolize}).empty());
    };
    for (int i = 0; i < 20; ++i) one(true);
    const std::uint64_t tables = read_counters().table_bytes;
    const auto used = [] {
        std::ifstream statm("/proc/self/statm");
        long pages = 0, resident = 0;
        statm >> pages >> resident;
        return resident * 4096;
    };
    const long before = used();
    for (int i = 0; i < profiles; ++i) one(i % 100 == 0);
    EXPECT_EQ(read_counters().table_bytes, tables);
    EXPECT_LT(used() - before, 1 << 20) << "500 bytes a profile would show";
    for (void* p : held) deallocate(p);
    stop();
}

}  // namespace
