// heap_fork_opening_test.cpp - the moment in which the heap opens: its fork handlers are
// there before anybody uses it. libc's registration is replaced by one that takes its time,
// so that the moment lasts.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steady/heap/detail/front.hpp"
#include "steady/os/memory.hpp"

using namespace steady;

namespace {

std::atomic<int> registrations{0};
std::atomic<bool> registered{false};

}  // namespace

extern "C" {
extern void* __dso_handle;
int __register_atfork(void (*)(), void (*)(), void (*)(), void*);

// In place of the one that libc links into each program.
int pthread_atfork(void (*prepare)(), void (*parent)(), void (*child)()) noexcept {
    ++registrations;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const int done = __register_atfork(prepare, parent, child, __dso_handle);
    registered = true;
    return done;
}
}

namespace {

TEST(OpeningHeap, NobodyUsesItBeforeItsForkHandlersAreThere) {
    std::thread first([] { detail::deallocate(detail::allocate(50)); });
    while (registrations == 0) std::this_thread::yield();
    bool early = false;
    std::thread second([&] {
        detail::deallocate(detail::allocate(50));
        early = !registered;
    });
    second.join();
    first.join();
    EXPECT_FALSE(early) << "a fork in this moment would leave its child a locked heap";
    EXPECT_EQ(registrations, 1);
    const pid_t child = fork();
    if (child == 0) _exit(detail::allocate(5000) != nullptr ? 0 : 1);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
