// os_traffic_test.cpp - what the heap asks of the system: ledgers that equal the
// kernel's own books to the byte, no long call on a caller's path, memory that
// comes back by itself, and failures of every call in turn.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "steady/core/hooks.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;
using namespace std::chrono_literals;

// Bytes of all mappings of this process, from the kernel.
std::size_t mapped_by_the_kernel() {
    std::FILE* maps = std::fopen("/proc/self/maps", "re");
    std::size_t sum = 0;
    char line[512];
    while (std::fgets(line, sizeof line, maps) != nullptr) {
        unsigned long from = 0, to = 0;
        if (std::sscanf(line, "%lx-%lx", &from, &to) == 2 && std::strstr(line, "[heap]") == nullptr)
            sum += to - from;
    }
    std::fclose(maps);
    return sum;
}

std::size_t resident_bytes() {
    std::FILE* f = std::fopen("/proc/self/statm", "re");
    unsigned long size = 0, resident = 0;
    if (std::fscanf(f, "%lu %lu", &size, &resident) != 2) resident = 0;
    std::fclose(f);
    return resident * 4096;
}

void expect_sound() {
    message why("test");
    EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
}

struct churner {
    explicit churner(std::uint64_t seed) : random(seed), live(2000, nullptr) {}
    ~churner() {
        for (void* p : live) detail::deallocate(p);
    }
    void run(int steps) {
        for (int i = 0; i < steps; ++i) {
            void*& p = live[random.fastrandn(2000)];
            detail::deallocate(p);
            const std::uint32_t kind = random.fastrandn(400);
            p = detail::allocate(kind == 0   ? random.fastrandn(20 << 20)
                                 : kind < 10 ? random.fastrandn(400'000)
                                             : random.fastrandn(4000));
        }
    }
    wyrand random;
    std::vector<void*> live;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool others_map_memory_too = true;
#else
constexpr bool others_map_memory_too = false;
#endif

TEST(OsTraffic, TheLedgersSumEqualsWhatTheKernelHasMappedToTheByte) {
    if (others_map_memory_too) GTEST_SKIP() << "the sanitizer maps memory while we count";
    churner c(1);
    c.run(1000);  // whatever the C library maps for itself is mapped by now
    const std::size_t others = mapped_by_the_kernel() - os::ledgers().mapped().count();
    for (int round = 0; round < 20; ++round) {
        c.run(5000);
        if (round % 5 == 4) detail::trim();
        EXPECT_EQ(mapped_by_the_kernel(), os::ledgers().mapped().count() + others)
            << "round " << round;
        expect_sound();
    }
}

struct watch {
    watch() { os_hook.install(&heard, this); }
    ~watch() { os_hook.remove(); }
    static void heard(void* context, const os_event& e) {
        auto& w = *static_cast<watch*>(context);
        w.calls.fetch_add(1);
        if (e.background) return;
        std::size_t most = w.most_touched.load();
        while (e.touched.count() > most &&
               !w.most_touched.compare_exchange_weak(most, e.touched.count())) {
        }
    }
    std::atomic<std::size_t> most_touched{0};
    std::atomic<std::uint64_t> calls{0};
};

TEST(OsTraffic, NoCallOnACallersPathTouchesMoreThanTwoMebibytes) {
    watch w;
    churner c(2);
    c.run(30'000);
    // Gigabytes grown, shrunk, moved and freed at once.
    void* p = detail::allocate(5 << 20);
    std::memset(p, 1, 5 << 20);
    for (std::size_t size = 6 << 20; size < (std::size_t{3} << 30); size = size * 3 / 2) {
        p = detail::reallocate(p, size);
        ASSERT_NE(p, nullptr);
        if (size < (std::size_t{256} << 20)) std::memset(p, 2, size);
    }
    p = detail::reallocate(p, 10 << 20);
    detail::deallocate(p);
    detail::trim();
    EXPECT_LE(w.most_touched.load(), std::size_t{2} << 20);
    EXPECT_GT(w.calls.load(), 100u) << "or nothing was watched";
}

TEST(OsTraffic, TrimGivesBackEveryFreePageAtOnce) {
    if (others_map_memory_too) GTEST_SKIP() << "the sanitizer's shadow is resident too";
    std::vector<void*> all;
    for (int i = 0; i < 20'000; ++i) all.push_back(detail::allocate(5000));
    for (void* p : all) std::memset(p, 1, 5000);
    const std::size_t full = resident_bytes();
    for (void* p : all) detail::deallocate(p);
    const std::size_t released = detail::trim();
    EXPECT_GT(released, std::size_t{90} << 20);
    EXPECT_LT(resident_bytes() + (std::size_t{90} << 20), full);
    const heap_statistics s = read_statistics();
    EXPECT_EQ(s.heap_idle, s.heap_released) << "nothing idle is resident";
}

// Freed in the order of the structure that owned it, as programs do: nine of ten
// generations of objects die, the tenth lives.
TEST(OsTraffic, AnIdleProgramGivesNineTenthsBackWithoutAnotherCall) {
    if (others_map_memory_too) GTEST_SKIP() << "the sanitizer's shadow is resident too";
    const std::size_t base = resident_bytes();
    std::vector<std::vector<void*>> generations(10);
    wyrand random(5);
    // The whole gibibyte of the promise by STEADY_TEST_HEAP_MIB=1024.
    const char* wanted = std::getenv("STEADY_TEST_HEAP_MIB");
    const std::size_t total = (wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 320) << 20;
    std::size_t live = 0;
    for (auto& generation : generations) {
        live = 0;
        while (live < total / 10) {
            const std::size_t size = 16 + random.fastrandn(2000);
            void* p = detail::allocate(size);
            std::memset(p, 1, size);
            generation.push_back(p);
            live += usable_size(p);
        }
    }
    for (std::size_t g = 0; g + 1 < generations.size(); ++g) {
        for (void* p : generations[g]) detail::deallocate(p);
        std::vector<void*>().swap(generations[g]);
    }
    const std::size_t allowed = live + live / 10 + (8 << 20);  // the promise, bare
    std::size_t resident = 0;
    for (int i = 0; i < 50; ++i) {  // 5 s, twice that under load
        std::this_thread::sleep_for(100ms);
        resident = resident_bytes() - base;
        if (resident <= allowed) break;
    }
    EXPECT_LE(resident, allowed);
    RecordProperty("live_bytes", std::to_string(live));
    std::printf("live %zu KiB, resident %zu KiB, allowed %zu KiB\n", live >> 10, resident >> 10,
                allowed >> 10);
    for (void* p : generations.back()) detail::deallocate(p);
}

// Each call to the kernel fails in its turn; the heap must refuse cleanly, stay
// sound and work again. In a child, where the heap is opened anew.
TEST(OsTraffic, EveryFailingSystemCallLeavesTheHeapConsistent) {
    std::uint64_t reached = 0;
    for (std::uint64_t n = 1; n < 400; ++n) {
        int pipe_ends[2];
        ASSERT_EQ(pipe(pipe_ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            os::detail::fail_nth_call(n, n % 3);
            std::vector<std::pair<void*, std::size_t>> live;
            live.reserve(4096);
            wyrand random(n);
            for (int i = 0; i < 600; ++i) {
                const std::size_t size = i % 50 == 0  ? (5u << 20) + random.fastrandn(40 << 20)
                                         : i % 7 == 0 ? random.fastrandn(600'000)
                                                      : random.fastrandn(9000);
                auto* p = static_cast<char*>(detail::allocate(size));
                if (p == nullptr) continue;
                if (size != 0) p[0] = p[size - 1] = 1;
                if (i % 11 == 0) {
                    if (void* q = detail::reallocate(p, size * 2 + 1)) p = static_cast<char*>(q);
                }
                live.emplace_back(p, size);
                if (i % 3 == 0) {
                    detail::deallocate(live.front().first);
                    live.front() = live.back();
                    live.pop_back();
                }
                if (i % 200 == 199) detail::trim();
            }
            const std::uint64_t failed = os::detail::fail_nth_call(0);
            message why("test");
            if (!detail::audit_heap(why)) {
                std::fprintf(stderr, "call %llu: %s\n", static_cast<unsigned long long>(n),
                             why.c_str());
                _exit(1);
            }
            for (auto& [p, size] : live) detail::deallocate(p);
            if (detail::allocate(100'000) == nullptr) _exit(2);  // the OS gives again, so must we
            [[maybe_unused]] const auto written = write(pipe_ends[1], &failed, sizeof failed);
            // Not by _exit: with a thread running ThreadSanitizer sleeps a second in it.
            os::detail::system_call(SYS_exit_group, 0);
        }
        close(pipe_ends[1]);
        std::uint64_t failed = 0;
        [[maybe_unused]] const auto got = read(pipe_ends[0], &failed, sizeof failed);
        close(pipe_ends[0]);
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
            << "call " << n << ": status " << status;
        if (failed == 0) break;  // the scenario makes fewer calls
        ++reached;
    }
    EXPECT_GT(reached, 20u);
}

// ---- Huge pages under small objects.

// Bytes of this process in huge pages.
std::size_t in_huge_pages() {
    std::FILE* f = std::fopen("/proc/self/smaps_rollup", "re");
    std::size_t kib = 0;
    char line[256];
    while (f != nullptr && std::fgets(line, sizeof line, f) != nullptr) {
        if (std::sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) break;
    }
    if (f != nullptr) std::fclose(f);
    return kib * 1024;
}

TEST(OsTraffic, FilledUnitsBecomeHugePagesWithoutMoreMemory) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    std::vector<std::uint64_t*> objects(1'000'000);
    std::memset(static_cast<void*>(objects.data()), 1, objects.size() * sizeof(void*));
    const std::size_t huge_before = in_huge_pages(), resident_before = resident_bytes();
    for (std::size_t i = 0; i < objects.size(); ++i) {
        objects[i] = static_cast<std::uint64_t*>(detail::allocate(64));
        for (std::size_t k = 0; k < 8; ++k) objects[i][k] = i * 8 + k;
    }
    const std::size_t huge = in_huge_pages() - huge_before;
    const std::size_t resident = resident_bytes() - resident_before;
    if (huge == 0) {
        std::printf("no huge page: before Linux 6.1, or no memory in pieces of 2 MiB\n");
    } else {
        EXPECT_GT(huge, 32u << 20) << "most of the 61 MiB";
    }
    if (!others_map_memory_too) {  // a sanitizer's shadow is resident, too
        EXPECT_LT(resident, objects.size() * 64 * 102 / 100 + (1u << 20));
    }
    for (std::size_t i = 0; i < objects.size(); ++i) {
        for (std::size_t k = 0; k < 8; ++k) ASSERT_EQ(objects[i][k], i * 8 + k);
    }
    for (std::uint64_t* object : objects) detail::deallocate(object);
    expect_sound();
}

}  // namespace
