// drive.hpp - some threads that do the same until the time is over, and what that cost.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <sched.h>

#include "support/clocks.hpp"

namespace steady::bench {

struct driven {
    double operations = 0, wall_ns = 0, cpu_ns = 0;
};

/// make(t) gives thread t its work: a callable that does some operations and returns how many.
/// One processor each in turn, so that every contestant meets the same contention.
template <class Make>
driven drive(unsigned threads, int milliseconds, Make&& make) {
    std::atomic<unsigned> ready{0};
    std::atomic<bool> go{false}, stop{false};
    std::atomic<std::uint64_t> operations{0}, cpu{0};
    std::vector<std::thread> all;
    for (unsigned t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
            cpu_set_t here;
            CPU_ZERO(&here);
            CPU_SET(t % std::thread::hardware_concurrency(), &here);
            sched_setaffinity(0, sizeof here, &here);
            auto work = make(t);
            std::uint64_t done = 0;
            ++ready;
            while (!go.load()) std::this_thread::yield();
            const std::uint64_t start = thread_cpu_ns();
            while (!stop.load(std::memory_order_relaxed)) done += work();
            cpu += thread_cpu_ns() - start;
            operations += done;
        });
    }
    while (ready.load() != threads) std::this_thread::yield();
    const std::uint64_t begin = wall_ns();
    go = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    stop = true;
    for (auto& t : all) t.join();
    return {static_cast<double>(operations.load()), static_cast<double>(wall_ns() - begin),
            static_cast<double>(cpu.load())};
}

/// The answer is used, whatever the compiler thinks.
inline void keep(std::uint64_t answer) {
    asm volatile("" : : "r"(answer));
}

}  // namespace steady::bench
