// open_test.cpp - the heap's first moments: opened under failing system calls, without a
// key for thread exits, and by a thread with a small stack.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "heap/own_process.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;
using steady::test::expect_passes;

// What `body` writes to stderr in a forked child, whose exit code it leaves in `code`.
template <class Body>
std::string stderr_of(Body body, int& code) {
    int ends[2];
    if (pipe(ends) != 0) return "no pipe";
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        _exit(body());
    }
    close(ends[1]);
    std::string text;
    char buffer[512];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    close(ends[0]);
    int status = -1;
    waitpid(child, &status, 0);
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    return text;
}

std::size_t times(const std::string& text, const char* words) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos; ++at) ++count;
    return count;
}

// From the n-th call on the system refuses everything, then nothing.
int open_with_failures(std::uint64_t n, int attempts) {
    constexpr std::uint64_t all = 1'000'000;
    void* p = nullptr;
    for (int i = 0; i < attempts && p == nullptr; ++i) {  // each attempt gets as far as n calls
        os::detail::fail_nth_call(n, all);
        p = detail::allocate(64);
    }
    if (os::ledgers().mapped() > 1_TiB + 512_GiB) return 1;  // what was opened before is used again
    const bool refused = p == nullptr;
    os::detail::fail_nth_call(0);
    if (p == nullptr) p = detail::allocate(64);
    if (p == nullptr) return 2;  // the system gives again, so must the heap
    std::memset(p, 1, 64);
    detail::deallocate(p);
    for (int i = 0; i < 1000; ++i)
        detail::deallocate(detail::allocate(static_cast<std::size_t>(i)));
    message why("test");
    if (!detail::audit_heap(why)) return warn(why), 3;
    return refused ? 10 : 0;
}

TEST(Opening, FailsWithOneMessageAndGoesOnWhereItStopped) {
    // A few attempts end half-way; with more of them the last gets past the opening.
    const auto fail_often = [](int attempts) {
        return [attempts] {
            int refusals = 0;
            for (std::uint64_t n = 1; n < 60; ++n) {
                int code = -1;
                const std::string said =
                    stderr_of([n, attempts] { return open_with_failures(n, attempts); }, code);
                EXPECT_TRUE(code == 0 || code == 10) << "call " << n << ": " << code << said;
                EXPECT_LE(times(said, "cannot open the heap"), 1u) << "call " << n << said;
                refusals += code == 10;
            }
            if (attempts < 8) {
                EXPECT_GE(refusals, 3) << "or too few calls were refused";
            }
        };
    };
    for (const char* options : {"", "pretend_nodes=3"}) {
        expect_passes(options, fail_often(3));
        expect_passes(options, fail_often(8));
    }
}

TEST(Opening, WithoutAKeyForThreadExitsThreadsWorkWithoutCaches) {
    expect_passes("", [] {
        pthread_key_t key;
        while (pthread_key_create(&key, nullptr) == 0) {
        }
        testing::internal::CaptureStderr();
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([] {
                std::vector<void*> mine;
                for (int i = 0; i < 2000; ++i) mine.push_back(detail::allocate(100));
                for (void* p : mine) detail::deallocate(p);
            });
        }
        for (auto& t : threads) t.join();
        EXPECT_EQ(times(testing::internal::GetCapturedStderr(), "no pthread key left"), 1u);
        const heap_statistics s = read_statistics();
        EXPECT_EQ(s.threads, 0u);
        EXPECT_EQ(s.mallocs, 8000u);
        EXPECT_EQ(s.frees, 8000u);
        EXPECT_EQ(s.cached_bytes, 0u);
        message why("test");
        EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
    });
}

// ---- Small stacks.

constexpr std::size_t stack_size = 256 << 10;
constexpr unsigned char paint = 0xa5;

// Bytes of a painted stack that a thread running `body` has written.
template <class Body>
std::size_t stack_used(Body body) {
    static std::vector<unsigned char> memory;
    memory.assign(stack_size + 4096, paint);
    auto* low = reinterpret_cast<unsigned char*>(
        (reinterpret_cast<std::uintptr_t>(memory.data()) + 4095) & ~std::uintptr_t{4095});
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, low, stack_size);
    pthread_t thread;
    const auto run = [](void* b) -> void* {
        (*static_cast<Body*>(b))();
        return nullptr;
    };
    EXPECT_EQ(pthread_create(&thread, &attributes, run, &body), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    std::size_t untouched = 0;
    while (untouched < stack_size && low[untouched] == paint) ++untouched;
    return stack_size - untouched;
}

// Threads of 16 KiB exist (PTHREAD_STACK_MIN), and theirs may be the first huge block.
TEST(Opening, TheFirstHugeBlockNeedsLittleStack) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer's frames are larger";
#endif
    expect_passes("", [] {
        detail::deallocate(detail::allocate(64));
        const std::size_t nothing = stack_used([] {});
        const std::size_t used =
            stack_used([] { detail::deallocate(detail::allocate(std::size_t{9} << 20)); });
        EXPECT_LE(used, nothing + 4096) << "of which nothing: " << nothing;
        RecordProperty("bytes", std::to_string(used - nothing));
    });
}

}  // namespace
