// copy_bench.cpp - does copying a slice cost more than copying a std::shared_ptr?
//
//   row       what is copied and dropped again
//   one       the same slice, over and over
//   thousand  a vector of 1000 slices of arrays of their own (of 48 bytes)
//   shuffled  the same, arrays in a random order
//   huge      a slice of 16 MiB: the counter is found through the huge blocks' table
//   foreign   a slice over a stack array: nothing is counted (beside a shared_ptr that counts)
//
// The shared_ptr points to an array of the same size that new made: its control block is
// a second object, as in shared_ptr<T[]>(new T[n]). A copied slice is 24 bytes, a
// shared_ptr 16.
//
//   process   single   before the first thread is started: neither locks (libc knows)
//             threads  after one was: both lock
//
// Both columns run in this process, in turns; the figure is the median of the rounds'
// ratios, slice / shared_ptr: 1.0 is equal, less is cheaper.
// Checks  counts are what they were at the end of each round.

#include "support/clocks.hpp"
#include "support/statistics.hpp"

#include "steady/core/random.hpp"
#include "steady/slice/slice.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace {

using namespace steady;
using namespace steady::bench;
using shared = std::shared_ptr<std::int64_t[]>;

constexpr std::ptrdiff_t length = 6;
constexpr int copies = 2'000'000;

template <class T>
void escape(T& value) {
    asm volatile("" : : "r"(&value) : "memory");
}

template <class Handle>
[[gnu::noinline]] double copy_one(const Handle& handle) {
    const std::uint64_t start = thread_cpu_ns();
    for (int i = 0; i < copies; ++i) {
        Handle copy = handle;
        escape(copy);
    }
    return static_cast<double>(thread_cpu_ns() - start) / copies;
}

template <class Handle>
[[gnu::noinline]] double copy_many(const std::vector<Handle>& handles) {
    const int times = copies / static_cast<int>(handles.size());
    const std::uint64_t start = thread_cpu_ns();
    for (int i = 0; i < times; ++i) {
        std::vector<Handle> copy = handles;
        escape(copy);
    }
    return static_cast<double>(thread_cpu_ns() - start) / times /
           static_cast<double>(handles.size());
}

template <class Slice, class Shared>
void row(const char* process, const char* name, Slice slices, Shared pointers) {
    constexpr int rounds = 15;
    std::vector<double> ratios, slice_ns, shared_ns;
    for (int round = 0; round < rounds; ++round) {
        const double s = slices(), p = pointers();
        ratios.push_back(s / p);
        slice_ns.push_back(s);
        shared_ns.push_back(p);
    }
    const auto r = distribution_of(ratios.data(), ratios.size());
    std::printf("%-8s %-9s %10.2f %14.2f %8.2f  %5.2f..%.2f\n", process, name,
                distribution_of(slice_ns.data(), slice_ns.size()).median,
                distribution_of(shared_ns.data(), shared_ns.size()).median, r.median, r.minimum,
                r.maximum);
}

void rows(const char* process) {
    const auto s = make_slice<std::int64_t>(length);
    const shared p(new std::int64_t[length]());
    row(
        process, "one", [&] { return copy_one(s); }, [&] { return copy_one(p); });

    std::vector<slice<std::int64_t>> slices;
    std::vector<shared> pointers;
    for (int i = 0; i < 1000; ++i) {
        slices.push_back(make_slice<std::int64_t>(length));
        pointers.emplace_back(new std::int64_t[length]());
    }
    row(
        process, "thousand", [&] { return copy_many(slices); },
        [&] { return copy_many(pointers); });

    wyrand random(7);
    for (std::uint32_t i = 999; i > 0; --i) {
        const std::uint32_t k = random.fastrandn(i + 1);
        std::swap(slices[i], slices[k]);
        std::swap(pointers[i], pointers[k]);
    }
    row(
        process, "shuffled", [&] { return copy_many(slices); },
        [&] { return copy_many(pointers); });

    const auto huge = make_slice<std::int64_t>(2 << 20);
    const shared large(new std::int64_t[2 << 20]());
    row(
        process, "huge", [&] { return copy_one(huge); }, [&] { return copy_one(large); });

    std::int64_t array[length] = {};
    const auto view = slice_of(array);
    row(
        process, "foreign", [&] { return copy_one(view); }, [&] { return copy_one(p); });

    steady::detail::settle_lone_counts();
    if (steady::detail::share_count(s.data())->load() != 1 || p.use_count() != 1) {
        std::fprintf(stderr, "copy_bench: a count is not 1 after all copies are gone.\n");
        std::exit(1);
    }
}

}  // namespace

int main() {
    std::printf("%-8s %-9s %10s %14s %8s  %s\n", "process", "row", "slice ns", "shared_ptr ns",
                "ratio", "min..max");
    rows("single");
    std::thread([] {}).join();
    rows("threads");
    return 0;
}
