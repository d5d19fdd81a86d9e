// fork_test.cpp - a child can use the heap, whatever part of it the parent used and
// whatever another thread was doing to it at that moment.
//
// Nothing is left to chance: the other thread stands still in a system call, inside the
// heap's locks, while this one forks. The heap's fork handlers wait for it; without them
// the child inherits the lock as it is, from a thread that it does not have.
//
// Each way has a process of its own: a thread with a cache, or a heap that was opened by
// another use, would hide that this one forgot the handlers.
#include "steady/core/hooks.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/heap.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "own_process.hpp"

namespace {

using namespace steady;
using test::expect_passes;

/// Makes the first call that prepares memory last until others have had time to fork.
class slow_preparation {
public:
    slow_preparation() { os_hook.install(&slow_preparation::hear, this); }
    ~slow_preparation() { os_hook.remove(); }
    slow_preparation(const slow_preparation&) = delete;
    slow_preparation& operator=(const slow_preparation&) = delete;

    void wait_until_inside() const {
        while (!inside_) std::this_thread::yield();
    }

private:
    static void hear(void* self, const os_event& event) {
        auto& here = *static_cast<slow_preparation*>(self);
        if (event.call != os_call::prepare || here.inside_.exchange(true)) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }

    std::atomic<bool> inside_{false};
};

/// Forks while another thread is in the middle of use(); the child does the same.
template <class Use>
void expect_child_can(Use use) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the thread sanitizer takes the parent's other thread for a leak of the child";
#endif
    int status = 0;
    {
        const slow_preparation slow;
        std::thread other(use);
        slow.wait_until_inside();
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);  // a lock that nobody gives back
            use();
            _exit(0);
        }
        waitpid(child, &status, 0);
        other.join();
    }
    EXPECT_TRUE(WIFEXITED(status)) << "the child was killed by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

void use_and_free(std::size_t size) {
    void* p = detail::allocate(size);
    std::memset(p, 1, size);
    detail::deallocate(p);
}

TEST(Fork, AChildOfAProgramWithNothingButLargeBlocksCanAllocate) {
    expect_passes("background=0", [] { expect_child_can([] { use_and_free(100'000); }); });
}

TEST(Fork, AChildOfAProgramWithNothingButHugeBlocksCanAllocate) {
    expect_passes("background=0", [] { expect_child_can([] { use_and_free(2 << 20); }); });
}

TEST(Fork, AChildInCheckedModeCanAllocate) {
    for (const char* mode : {"check=1", "junk=1"})
        expect_passes(mode, [] { expect_child_can([] { use_and_free(100); }); });
}

TEST(Fork, AChildOfAProgramWithNothingButInstancesCanAllocate) {
    expect_passes("background=0", [] {
        expect_child_can([] {
            heap mine;
            std::memset(mine.allocate(100), 1, 100);
        });
    });
}

TEST(Fork, AChildHasNoScavengerUntilItNeedsOne) {
    expect_passes("", [] {
        use_and_free(32 << 20);  // more than may lie idle: a scavenger starts
        ASSERT_TRUE(detail::read_scavenger_statistics().running);
        const pid_t child = fork();
        if (child == 0) _exit(detail::read_scavenger_statistics().running ? 1 : 0);
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_TRUE(WIFEXITED(status));
        EXPECT_EQ(WEXITSTATUS(status), 0) << "the child believes in a thread it does not have";
    });
}

}  // namespace
