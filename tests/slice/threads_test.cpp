// slice_threads_test.cpp - slices of one array, copied and dropped by many threads at
// once: the counts stay right, the last one frees, and sole arrays are seen to be sole.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "slice/tracked.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/statistics.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;

#if defined(__SANITIZE_THREAD__)
constexpr int rounds = 3'000;
#else
constexpr int rounds = 100'000;
#endif

template <class Work>
void in_threads(int n, Work work) {
    std::vector<std::thread> threads;
    for (int t = 0; t < n; ++t) threads.emplace_back([=] { work(t); });
    for (std::thread& t : threads) t.join();
}

TEST(Threads, CopiesAndDropsOfOneArrayCountRight) {
    const auto s = make_slice<std::int64_t>(1000);
    in_threads(4, [&s](int t) {
        for (int i = 0; i < rounds; ++i) {
            const auto copy = s;
            const auto part = copy.sub(t, 10 + i % 900);
            const auto moved = part;
            ASSERT_EQ(moved[0], 0);
        }
    });
    EXPECT_EQ(detail::share_count(s.data())->load(), 1u);
}

TEST(Threads, ElementsAreDestroyedByWhoeverIsLast) {
    for (int round = 0; round < rounds / 500; ++round) {
        slice<std::string> s;
        for (int i = 0; i < 20; ++i) s.append("a text that is too long for the string itself");
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([mine = s.sub(t, 20)]() mutable {
                ASSERT_EQ(mine[3][0], 'a');
                mine = nullptr;
            });
        }
        s = nullptr;
        for (std::thread& t : threads) t.join();
    }
}

TEST(Threads, AnArrayTravelsAndGrowsWhereverItIsSole) {
    std::mutex lock;
    slice<std::int64_t> baton;
    std::int64_t next = 0;
    in_threads(3, [&](int) {
        for (int i = 0; i < 2000; ++i) {
            const std::lock_guard guard(lock);
            for (int k = 0; k < 20; ++k) baton.append(next++);
        }
    });
    for (std::int64_t i = 0; i < next; ++i) ASSERT_EQ(baton[i], i);
}

TEST(Threads, FirstArraysOfASpanMayBeMadeAtOnce) {
    std::atomic<int> wrong{0};
    in_threads(4, [&wrong](int t) {
        wyrand random(static_cast<std::uint64_t>(t));
        for (int i = 0; i < rounds / 20; ++i) {
            std::vector<slice<std::string>> few;
            for (int k = 0; k < 8; ++k) {
                few.push_back(make_slice<std::string>(1 + random.fastrandn(60)));
                few.back()[0] = std::to_string(i);
            }
            for (const auto& s : few)
                if (s[0] != std::to_string(i)) ++wrong;
        }
    });
    EXPECT_EQ(wrong, 0);
}

TEST(Threads, ATinyBlockOutlivesTheThreadThatFilledIt) {
    std::vector<slice<std::uint8_t>> kept(100);
    std::thread([&] {
        for (std::size_t i = 0; i < kept.size(); ++i) {
            kept[i] = make_slice<std::uint8_t>(3);
            kept[i][0] = static_cast<std::uint8_t>(i);
        }
    }).join();
    for (std::size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(kept[i][0], i);
    // Full blocks hold five arrays of three bytes, and nobody else.
    EXPECT_EQ(detail::share_count(kept[0].data())->load(), 5u);
    EXPECT_EQ(detail::share_count(kept[99].data())->load(), 5u) << "the thread let go of its block";
}

// A slice in a thread_local object is dropped when tiny blocks are no longer kept.
struct late {
    slice<std::uint8_t> s;
    ~late() {
        s = make_slice<std::uint8_t>(2);
        s[1] = 1;
    }
};
thread_local late dropped_late;

TEST(Threads, TinyArraysWorkWhileAThreadEnds) {
    detail::forget_tiny_block();
    static_cast<void>(make_slice<std::uint8_t>(2000));
    const std::uint64_t before = read_statistics().heap_objects;
    std::thread([] { dropped_late.s = make_slice<std::uint8_t>(1); }).join();
    EXPECT_EQ(read_statistics().heap_objects, before);
}

}  // namespace
