// append_bench.cpp - is appending one by one as fast as std::vector::push_back, and
// what does it copy on the way?
//
//   row        elements of 8 bytes, appended one at a time to nothing
//   small      100 a time, a million times: growth within the size classes
//   medium     100 000 a time, a thousand times
//   large      --n at once (default 10^8: 800 MB, the promise)
//
// Both columns run in this process, in turns, each round both; the figure is the median
// of the rounds' ratios, vector / slice: 1.0 is equal, more is faster than the vector.
// vector is libstdc++'s on this process's malloc; slice grows by Go's rule (1.25 and not
// 2 for large arrays), so it grows three times as often.
//
// Checks  the sum of what was appended, after the clock has stopped.
// Fair    before each round the steady heap gives its free pages back, outside the
//         clock, because glibc unmaps large arrays: both pay the page faults.
//         In a virtual machine, memory that was free for a while may have gone back to
//         the host, whose page faults then cost ten times what is measured here; so a
//         child process touches that much memory before each large round, and ends.
// Copied  --gib N appends N GiB to one slice instead and prints what growing moved, counted
//         by the growth hook. (It is not armed while the rows are measured: it reads clocks.)

#include "support/clocks.hpp"
#include "support/statistics.hpp"

#include "steady/slice/slice.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace steady;
using namespace steady::bench;

struct outcome {
    double ns = 0;
    std::int64_t sum = 0;
};

std::uint64_t slice_copied = 0;

void warm_the_host(std::size_t size) {
    const pid_t child = fork();
    if (child == 0) {
        void* memory =
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) {
            madvise(memory, size, MADV_HUGEPAGE);
            std::memset(memory, 1, size);
        }
        _exit(0);
    }
    if (child > 0) waitpid(child, nullptr, 0);
}

template <class Work>
double timed(Work work) {
    const std::uint64_t start = thread_cpu_ns();
    work();
    return static_cast<double>(thread_cpu_ns() - start);
}

template <class Container>
void check(const Container& all, std::size_t n, outcome& o) {
    for (std::size_t i = 0; i < n; i += 509) o.sum += all.data()[i];
}

// The containers escape, as members of objects do: nobody may keep them in registers.
template <class Container>
void escape(Container& c) {
    asm volatile("" : : "r"(&c) : "memory");
}

[[gnu::noinline]] outcome append_to_slice(std::size_t n, std::size_t times) {
    outcome o;
    trim();
    warm_the_host(2 * n * sizeof(std::int64_t));
    for (std::size_t t = 0; t < times; ++t) {
        slice<std::int64_t> s;
        escape(s);
        o.ns += timed([&] {
            for (std::size_t i = 0; i < n; ++i) s.append(static_cast<std::int64_t>(i + t));
        });
        check(s, n, o);
    }
    return o;
}

[[gnu::noinline]] outcome append_to_vector(std::size_t n, std::size_t times) {
    outcome o;
    warm_the_host(2 * n * sizeof(std::int64_t));
    for (std::size_t t = 0; t < times; ++t) {
        std::vector<std::int64_t> v;
        escape(v);
        o.ns += timed([&] {
            for (std::size_t i = 0; i < n; ++i) v.push_back(static_cast<std::int64_t>(i + t));
        });
        check(v, n, o);
    }
    return o;
}

// Small arrays are timed in batches: a clock around each would be the measurement.
template <class Container>
[[gnu::noinline]] outcome append_small(std::size_t n, std::size_t times) {
    outcome o;
    trim();
    o.ns = timed([&] {
        for (std::size_t t = 0; t < times; ++t) {
            Container c;
            escape(c);
            for (std::size_t i = 0; i < n; ++i) c.push_back(static_cast<std::int64_t>(i + t));
            o.sum += c.data()[n / 2];
        }
    });
    return o;
}

template <class Slice, class Vector>
void row(const char* name, std::size_t elements, int rounds, Slice slices, Vector vectors) {
    std::vector<double> ratios, slice_ns, vector_ns;
    for (int round = 0; round < rounds; ++round) {
        const outcome s = slices(), v = vectors();
        if (s.sum != v.sum) {
            std::fprintf(
                stderr,
                "append_bench: %s: the sums are %lld and %lld; one of the two lost elements.\n",
                name, static_cast<long long>(s.sum), static_cast<long long>(v.sum));
            std::exit(1);
        }
        ratios.push_back(v.ns / s.ns);
        slice_ns.push_back(s.ns / static_cast<double>(elements));
        vector_ns.push_back(v.ns / static_cast<double>(elements));
    }
    const auto r = distribution_of(ratios.data(), ratios.size());
    std::printf("%-8s %12zu %10.2f %10.2f %8.2f  %5.2f..%.2f\n", name, elements,
                distribution_of(slice_ns.data(), slice_ns.size()).median,
                distribution_of(vector_ns.data(), vector_ns.size()).median, r.median, r.minimum,
                r.maximum);
}

void append_gib(std::size_t gib) {
    const std::size_t n = (gib << 30) / sizeof(std::int64_t);
    slice<std::int64_t> s;
    std::uint64_t below = 0;
    const double ns = timed([&] {
        for (std::size_t i = 0; i < n; ++i) {
            s.append(static_cast<std::int64_t>(i));
            if (i == (std::size_t{1} << 20) / sizeof(std::int64_t)) below = slice_copied;
        }
    });
    std::printf(
        "%zu GiB one by one: %.2f ns an element; copied %llu bytes up to 1 MiB, %llu bytes "
        "beyond\n",
        gib, ns / static_cast<double>(n), static_cast<unsigned long long>(below),
        static_cast<unsigned long long>(slice_copied - below));
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t n = 100'000'000, gib = 0;
    int rounds = 5;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::size_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--n") == 0) n = value;
        if (std::strcmp(argv[i], "--gib") == 0) gib = value;
        if (std::strcmp(argv[i], "--rounds") == 0) rounds = static_cast<int>(value);
    }
    if (gib != 0) {
        growth_hook.install(
            [](void*, const growth_event& e) {
                slice_copied += e.entries_moved * sizeof(std::int64_t);
            },
            nullptr);
        append_gib(gib);
        return 0;
    }
    std::printf("%-8s %12s %10s %10s %8s  %s\n", "row", "elements", "slice ns", "vector ns",
                "ratio", "min..max");
    row(
        "small", 100'000'000, rounds,
        [] { return append_small<slice<std::int64_t>>(100, 1'000'000); },
        [] { return append_small<std::vector<std::int64_t>>(100, 1'000'000); });
    row(
        "medium", 100'000'000, rounds,
        [] { return append_small<slice<std::int64_t>>(100'000, 1'000); },
        [] { return append_small<std::vector<std::int64_t>>(100'000, 1'000); });
    row(
        "large", n, rounds, [n] { return append_to_slice(n, 1); },
        [n] { return append_to_vector(n, 1); });
    return 0;
}
