// processes_test.cpp - fork with threads in the middle of malloc, vfork,
// posix_spawn, limits, signals.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support.hpp"

extern char** environ;

namespace {

/// Runs the body in a forked child. Returns its exit code, or -signal, or -1000
/// when it did not end in time (a lock held for ever).
template <class Body>
int in_child(Body body, int seconds = 60) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(static_cast<unsigned>(seconds));
        _exit(body());
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGALRM ? -1000 : -WTERMSIG(status);
    return WEXITSTATUS(status);
}

int use_malloc(unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::pair<void*, std::size_t>> blocks(200);
    for (int i = 0; i < 3000; ++i) {
        auto& [p, size] = blocks[random() % blocks.size()];
        if (first_wrong(p, size, size) != size) return 3;
        put(p);
        size = random() % (i % 50 == 0 ? 300'000 : 2000);
        p = get(size);
        if (p == nullptr) return 4;
        sign(p, size, size);
    }
    for (auto& [p, size] : blocks) {
        if (first_wrong(p, size, size) != size) return 5;
        put(p);
    }
    return 0;
}

TEST(processes, a_child_of_a_busy_process_can_use_the_heap_and_free_what_it_inherited) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
        threads.emplace_back([&stop, i] {
            for (unsigned round = 0; !stop; ++round) ASSERT_EQ(use_malloc(round * 4 + i), 0);
        });
    }
    std::vector<void*> inherited;
    for (std::size_t i = 0; i < 500; ++i) {
        inherited.push_back(get(i * 40));
        sign(inherited.back(), i * 40, i);
    }
    for (unsigned round = 0; round < 25; ++round) {
        ASSERT_EQ(in_child([&] {
                      for (std::size_t i = 0; i < inherited.size(); ++i) {
                          if (first_wrong(inherited[i], i * 40, i) != i * 40) return 2;
                          put(inherited[i]);
                      }
                      return use_malloc(round);
                  }),
                  0);
    }
    stop = true;
    for (auto& t : threads) t.join();
    for (void* p : inherited) put(p);
}

TEST(processes, a_child_can_ask_and_start_threads_when_others_were_asking) {
    // Statistics and trimming hold the heap's locks longest, so that a fork finds
    // them taken more often than not.
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&stop, i] {
            while (!stop) {
                put(get(i % 2 == 0 ? 20'000'000 : 50'000));
                if (mallinfo2().arena == 0) return;
                if (i == 3) malloc_trim(0);
            }
        });
    }
    for (unsigned round = 0; round < 40; ++round) {
        ASSERT_EQ(in_child(
                      [round] {
                          const bool asked = mallinfo2().arena != 0;
                          put(get(20'000'000));
                          std::thread([] { put(get(50'000)); }).join();
                          return asked ? use_malloc(round) : 2;
                      },
                      20),
                  0);
    }
    stop = true;
    for (auto& t : threads) t.join();
}

TEST(processes, a_child_can_start_threads_and_fork_again) {
    std::thread([] { ASSERT_EQ(use_malloc(1), 0); }).join();
    EXPECT_EQ(
        in_child([] {
            int wrong = 0;
            std::vector<std::thread> threads;
            for (unsigned i = 0; i < 4; ++i)
                threads.emplace_back([&wrong, i] { wrong |= use_malloc(i); });
            for (auto& t : threads) t.join();
            if (wrong != 0) return wrong;
            return in_child([] { return use_malloc(9) + in_child([] { return use_malloc(10); }); });
        }),
        0);
}

TEST(processes, handlers_of_the_program_may_allocate_on_both_sides_of_fork) {
    static std::atomic<int> calls{0};
    static void* parcel = nullptr;
    const auto prepare = [] {
        parcel = get(1000);
        ++calls;
    };
    const auto after = [] {
        put(parcel);
        put(get(70'000));
        ++calls;
    };
    ASSERT_EQ(pthread_atfork(prepare, after, after), 0);
    for (unsigned i = 0; i < 10; ++i) {
        ASSERT_EQ(in_child([i] { return calls.load() % 2 != 0 ? 6 : use_malloc(i); }), 0);
    }
    EXPECT_EQ(calls.load(), 20);
    parcel = nullptr;  // later forks of this program hand null to free
}

TEST(processes, vfork_and_posix_spawn_start_programs) {
    const pid_t child = vfork();
    if (child == 0) {
        execl("/bin/true", "true", nullptr);
        _exit(9);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);

    for (int i = 0; i < 20; ++i) {
        pid_t spawned = 0;
        char name[] = "true";
        char* arguments[] = {name, nullptr};
        ASSERT_EQ(posix_spawnp(&spawned, "true", nullptr, nullptr, arguments, environ), 0);
        waitpid(spawned, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(use_malloc(3), 0);
}

TEST(processes, under_a_limit_malloc_fails_with_enomem_and_works_again_afterwards) {
    EXPECT_EQ(in_child([] {
                  put(get(100));
                  // What is mapped now, and 64 MiB. The heap may have reserved far more address
                  // space than that before the limit came.
                  rlimit limit{};
                  long pages = 0;
                  std::FILE* statm = std::fopen("/proc/self/statm", "r");
                  if (std::fscanf(statm, "%ld", &pages) != 1) return 2;
                  std::fclose(statm);
                  limit.rlim_cur = limit.rlim_max = static_cast<rlim_t>(pages) * 4096 + (64 << 20);
                  if (setrlimit(RLIMIT_AS, &limit) != 0) return 3;
                  // Data above what address space allows; huge, so that no reserve can hold it.
                  std::vector<void*> blocks;
                  blocks.reserve(5000);
                  errno = 0;
                  for (int i = 0; i < 5000; ++i) {
                      void* p = get(std::size_t{1} << 36);
                      if (p == nullptr) break;
                      blocks.push_back(p);
                  }
                  if (blocks.size() == 5000 || errno != ENOMEM) return 4;
                  for (void* p : blocks) put(p);
                  return use_malloc(1);
              }),
              0);
}

TEST(processes, a_program_that_starts_under_a_limit_runs_and_gets_enomem_at_its_end) {
    // The heap opens inside the limit: exec, with the limit inherited.
    const auto self = [] {
        char path[4096] = {};
        return readlink("/proc/self/exe", path, sizeof path - 1) > 0 ? std::string(path)
                                                                     : std::string();
    }();
    EXPECT_EQ(in_child([&] {
                  rlimit limit{std::size_t{400} << 20, std::size_t{400} << 20};
                  setrlimit(RLIMIT_AS, &limit);
                  execl(self.c_str(), self.c_str(),
                        "--gtest_filter=processes.started_under_a_limit", nullptr);
                  return 9;
              }),
              0);
}

TEST(processes, started_under_a_limit) {
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    if (limit.rlim_cur == RLIM_INFINITY) GTEST_SKIP() << "started by the test above only";
    ASSERT_EQ(use_malloc(1), 0);
    std::vector<void*> blocks;
    blocks.reserve(100'000);
    errno = 0;
    while (blocks.size() < 100'000) {
        void* p = get(100'000);
        if (p == nullptr) break;
        sign(p, 64, blocks.size());
        blocks.push_back(p);
    }
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_GT(blocks.size(), 1000u) << "100 MB of the 400 MiB should be to be had";
    EXPECT_LT(blocks.size(), 5000u);
    EXPECT_EQ(get(std::size_t{1} << 30), nullptr);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        ASSERT_EQ(first_wrong(blocks[i], 64, i), 64u);
        put(blocks[i]);
    }
    EXPECT_EQ(use_malloc(2), 0);
}

std::atomic<unsigned> signals_seen{0};

TEST(processes, signals_that_interrupt_malloc_do_no_harm) {
    struct sigaction action {};
    action.sa_handler = [](int) { ++signals_seen; };
    sigaction(SIGUSR1, &action, nullptr);
    std::atomic<bool> stop{false};
    const pthread_t target = pthread_self();
    std::thread pester([&] {
        while (!stop) {
            pthread_kill(target, SIGUSR1);
            sched_yield();
        }
    });
    for (unsigned round = 0; round < 30; ++round) EXPECT_EQ(use_malloc(round), 0);
    stop = true;
    pester.join();
    EXPECT_GT(signals_seen.load(), 0u);
}

}  // namespace
