// The asymmetric protocol of barrier.hpp: the owner never fences, and still no round ends
// with both sides blind.
#include "steady/os/barrier.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace {

using namespace steady;

TEST(membarrier, stands_in_for_the_fence_the_owner_leaves_out) {
    if (!os::membarrier_register()) GTEST_SKIP() << "this kernel has no private expedited barrier";
    constexpr int all = 3'000;
    alignas(64) std::atomic<int> flag{0};
    alignas(64) std::atomic<int> request{0};
    alignas(64) std::atomic<int> turn{0};
    std::atomic<int> owner_saw{0};
    int both_blind = 0;
    std::thread owner([&] {
        for (int i = 1; i <= all; ++i) {
            while (turn.load(std::memory_order_acquire) != i) {
            }
            flag.store(i, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);  // for the compiler only
            owner_saw.store(request.load(std::memory_order_relaxed), std::memory_order_relaxed);
            turn.store(-i, std::memory_order_release);
        }
    });
    for (int i = 1; i <= all; ++i) {
        turn.store(i, std::memory_order_release);
        request.store(i, std::memory_order_relaxed);
        ASSERT_TRUE(os::membarrier());
        const int thief_saw = flag.load(std::memory_order_relaxed);
        while (turn.load(std::memory_order_acquire) != -i) {
        }
        both_blind += thief_saw != i && owner_saw.load(std::memory_order_relaxed) != i;
    }
    owner.join();
    EXPECT_EQ(both_blind, 0);
}

}  // namespace
