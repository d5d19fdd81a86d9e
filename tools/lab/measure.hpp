// measure.hpp - clocks and counters that experiments share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <vector>

#include <sys/resource.h>

#include "steady/core/hooks.hpp"
#include "steady/heap/statistics.hpp"
#include "support/clock.hpp"
#include "support/summary.hpp"

namespace steady::cli::lab {

/// Keeps the compiler from removing what computes `value`.
template <class T>
inline void keep(const T& value) {
    asm volatile("" : : "m"(value) : "memory");
}
inline void keep(const void* pointer) {
    asm volatile("" : : "r"(pointer) : "memory");
}

/// Nanoseconds that this thread spent on a CPU for `work`: what others do on this machine
/// is not in it. Reading this clock costs about a microsecond.
template <class Work>
[[nodiscard]] double nanoseconds_of(Work&& work) {
    const auto now = [] {
        timespec t{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
    };
    const double start = now();
    work();
    return now() - start;
}

/// The same by the clock on the wall: for short work, and for work of several threads.
template <class Work>
[[nodiscard]] double wall_nanoseconds_of(Work&& work) {
    const std::uint64_t start = monotonic_nanoseconds();
    work();
    return static_cast<double>(monotonic_nanoseconds() - start);
}

/// Nanoseconds on a CPU for each of `count` operations that one call of `work` performs: the median
/// of `rounds` calls after one that is not counted.
template <class Work>
[[nodiscard]] double nanoseconds_each(std::uint64_t count, Work&& work, int rounds = 5) {
    work();
    std::vector<double> found;
    for (int i = 0; i < rounds; ++i) found.push_back(nanoseconds_of(work));
    return summarise(found).median / static_cast<double>(count);
}

/// What the default heap did between two moments.
struct heap_meter {
    heap_statistics before = read_statistics();

    struct difference {
        std::uint64_t objects;    // allocated, dead ones included
        std::uint64_t bytes;      // of them
        std::int64_t live_bytes;  // more alive than before
        std::int64_t live_objects;
    };
    [[nodiscard]] difference read() const {
        const heap_statistics now = read_statistics();
        return {now.mallocs - before.mallocs, now.total_alloc - before.total_alloc,
                static_cast<std::int64_t>(now.heap_alloc - before.heap_alloc),
                static_cast<std::int64_t>(now.heap_objects - before.heap_objects)};
    }
};

/// Page faults without disk of this thread.
[[nodiscard]] inline std::uint64_t minor_faults() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return static_cast<std::uint64_t>(usage.ru_minflt);
}

/// Counts the calls os makes to the kernel while it lives, by kind.
class os_watch {
public:
    os_watch() {
        os_hook.install([](void* me, const os_event& e) { static_cast<os_watch*>(me)->note(e); },
                        this);
    }
    ~os_watch() { os_hook.remove(); }
    os_watch(const os_watch&) = delete;
    os_watch& operator=(const os_watch&) = delete;

    static constexpr std::size_t kinds = static_cast<std::size_t>(os_call::query) + 1;
    std::uint64_t calls[kinds] = {};
    std::uint64_t bytes[kinds] = {};
    [[nodiscard]] std::uint64_t count(os_call kind) const {
        return calls[static_cast<std::size_t>(kind)];
    }
    [[nodiscard]] std::uint64_t size(os_call kind) const {
        return bytes[static_cast<std::size_t>(kind)];
    }
    [[nodiscard]] std::uint64_t count() const {
        std::uint64_t all = 0;
        for (const std::uint64_t each : calls) all += each;
        return all;
    }

private:
    void note(const os_event& e) {
        ++calls[static_cast<std::size_t>(e.call)];
        bytes[static_cast<std::size_t>(e.call)] += e.size.count();
    }
};

}  // namespace steady::cli::lab
