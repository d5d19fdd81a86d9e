// hooks_test.cpp - listeners hear what is announced, with their own context, and
// never after remove() has returned.

#include "steady/core/hooks.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace {

using namespace steady;

using events = std::vector<os_event>;

void collect(void* context, const os_event& e) {
    static_cast<events*>(context)->push_back(e);
}

os_event some_event(std::size_t size = 4096) {
    return {os_call::decommit, nullptr, bytes{size}, bytes{size}, false};
}

TEST(Hook, IsSilentUntilSomeoneListens) {
    hook<os_event> h;
    EXPECT_FALSE(h.armed());
    h.announce(some_event());
}

TEST(Hook, TellsTheListenerEveryEventUntilItIsRemoved) {
    hook<os_event> h;
    events seen;
    h.install(collect, &seen);
    EXPECT_TRUE(h.armed());
    h.announce(some_event(1));
    h.announce(some_event(2));
    h.remove();
    EXPECT_FALSE(h.armed());
    h.announce(some_event(3));
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0].size, 1_B);
    EXPECT_EQ(seen[1].size, 2_B);
    EXPECT_EQ(seen[1].call, os_call::decommit);
}

TEST(Hook, ANewListenerTakesThePlaceOfTheOld) {
    hook<os_event> h;
    events first, second;
    h.install(collect, &first);
    h.install(collect, &second);
    h.announce(some_event());
    EXPECT_EQ(first.size(), 0u);
    EXPECT_EQ(second.size(), 1u);
    h.remove();
    h.remove();  // removing nobody is fine
}

TEST(Hook, AListenerMayAnnounceAgain) {
    static hook<os_event> h;
    static int depth = 0;
    h.install(
        [](void*, const os_event& e) {
            if (++depth < 3) h.announce(e);
        },
        nullptr);
    h.announce(some_event());
    EXPECT_EQ(depth, 3);
    h.remove();
}

TEST(Hook, RemoveWaitsForTheCallThatIsRunning) {
    static hook<os_event> h;
    static std::atomic<bool> inside{false}, may_leave{false};
    std::atomic<bool> removed{false};
    h.install(
        [](void*, const os_event&) {
            inside = true;
            while (!may_leave) std::this_thread::yield();
        },
        nullptr);
    std::thread announcer{[] { h.announce(some_event()); }};
    while (!inside) std::this_thread::yield();
    std::thread remover{[&] {
        h.remove();
        removed = true;
    }};
    while (h.armed()) std::this_thread::yield();
    // The pause gives a wrong remove() time to return; a right one cannot fail here.
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    EXPECT_FALSE(removed) << "H2: the listener is still running";
    may_leave = true;
    announcer.join();
    remover.join();
    EXPECT_TRUE(removed);
}

// A context that lives only while its listener is installed (H2), and knows which
// listener it belongs to (H1).
template <int Id>
struct listener {
    static void hear(void* context, const os_event&) {
        auto* self = static_cast<listener*>(context);
        if (self->id != Id || self->gone) broken.store(true);
        heard.fetch_add(1);
    }
    int id = Id;
    std::atomic<bool> gone{false};

    static inline std::atomic<bool> broken{false};
    static inline std::atomic<long> heard{0};
};

TEST(Hook, NeverCallsAListenerAfterRemoveOrWithAnotherOnesContext) {
    static hook<os_event> h;
    std::atomic<bool> stop{false};
    std::vector<std::thread> announcers;
    for (int t = 0; t < 3; ++t) {
        announcers.emplace_back([&] {
            while (!stop) h.announce(some_event());
        });
    }
    for (int round = 0; round < 300 || listener<1>::heard == 0 || listener<2>::heard == 0;
         ++round) {
        auto one = std::make_unique<listener<1>>();
        auto two = std::make_unique<listener<2>>();
        h.install(listener<1>::hear, one.get());
        if (round % 16 == 0) std::this_thread::yield();
        h.install(listener<2>::hear, two.get());  // straight from one to the other
        one->gone = true;
        one.reset();
        if (round % 16 == 0) std::this_thread::yield();
        h.remove();
        two->gone = true;
    }
    stop = true;
    for (auto& t : announcers) t.join();
    EXPECT_FALSE(listener<1>::broken);
    EXPECT_FALSE(listener<2>::broken);
}

// Runs before the constructors of this program and of the libraries it starts with.
int heard_early = 0;

[[gnu::constructor(101)]] void before_constructors() {
    os_hook.install([](void* count, const os_event&) { ++*static_cast<int*>(count); },
                    &heard_early);
    os_hook.announce(some_event());
    os_hook.remove();
    os_hook.announce(some_event());
}

TEST(Hook, TheThreeOfTheHouseExistBeforeConstructors) {
    EXPECT_EQ(heard_early, 1);
    static_assert(std::is_same_v<decltype(os_hook), hook<os_event>>);
    EXPECT_FALSE(os_hook.armed());
    EXPECT_FALSE(growth_hook.armed());
    EXPECT_FALSE(sample_hook.armed());
}

}  // namespace
