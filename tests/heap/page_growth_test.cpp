// page_growth_test.cpp - growing where it can fail: the system refuses, somebody
// else's mapping lies in the way, the slice ends. And when huge pages are asked for.

#include <steady/core/hooks.hpp>
#include <steady/os/detail/syscall.hpp>

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "heap/page_slice.hpp"

namespace {

using namespace steady;
using namespace steady::test;

/// Listens to os while it lives.
struct os_calls {
    os_calls() {
        os_hook.install(
            [](void* self, const os_event& e) { static_cast<os_calls*>(self)->seen.push_back(e); },
            this);
    }
    ~os_calls() { os_hook.remove(); }

    std::size_t count(os_call which) const {
        return static_cast<std::size_t>(std::count_if(
            seen.begin(), seen.end(), [&](const os_event& e) { return e.call == which; }));
    }
    std::vector<os_event> seen;
};

TEST(PageGrowth, EveryRefusalOfTheSystemLeavesTheHeapAsItWas) {
    unsigned failures = 0;
    for (std::uint64_t n = 1;; ++n) {
        slice s(pages{64 * 512});
        os_calls calls;
        bool extended = false;
        os::detail::fail_nth_call(n);
        bool refused = false;
        for (const unsigned size : {3u, 512u, 5000u, 7u, 9000u}) {
            const auto run = s.heap.allocate(pages{size});
            if (!run) {
                refused = true;
                EXPECT_EQ(run.error().code, errc::out_of_memory);
                EXPECT_NE(run.error().action, nullptr);
            }
            s.expect_consistent();
        }
        const pages in_use = s.heap.in_use();
        const auto end = static_cast<page_index>(s.heap.high_water().count());
        if (end != 0) extended = s.heap.extend(end, 2000_pages);
        EXPECT_EQ(s.heap.in_use(), extended ? in_use + 2000_pages : in_use);
        s.expect_consistent();
        const bool reached = os::detail::fail_nth_call(0) != 0;
        if (!reached) break;
        ++failures;
        const bool hint = calls.seen[n - 1].call == os_call::huge_page_hint;
        EXPECT_EQ(refused || !extended, !hint) << "call " << n << ": only hints may fail unheard";
        EXPECT_TRUE(s.heap.allocate(4000_pages)) << "afterwards it goes on";
        s.expect_consistent();
    }
    EXPECT_GE(failures, 5u) << "tables once or more, memory for each growth";
}

TEST(PageGrowth, ARefusedHugePageHintIsNoFailure) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    slice s(4096_pages);
    s.heap.advise(page_heap::huge_page_policy::on);
    os::detail::fail_nth_call(3);  // after the tables and the memory
    EXPECT_TRUE(s.heap.allocate(300_pages));
    EXPECT_EQ(os::detail::fail_nth_call(0), 1u);
    s.heap.free(10, 20_pages);
    EXPECT_EQ(s.scavenge(256_pages).count, 20u) << "small pages, nothing to be broken";
    s.expect_consistent();
}

TEST(PageGrowth, AFullSliceIsAnErrorThatSaysSo) {
    slice s(1024_pages);
    ASSERT_TRUE(s.heap.allocate(1000_pages));
    const auto refused = s.heap.allocate(25_pages);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::out_of_memory);
    EXPECT_STREQ(refused.error().action, "growing a page heap beyond its slice");
    EXPECT_TRUE(s.heap.allocate(24_pages));
}

TEST(PageGrowth, OnlyWhatIsMissingBehindTheFreePagesAtTheTopIsPrepared) {
    slice s(4096_pages);
    ASSERT_TRUE(s.heap.allocate(300_pages));
    ASSERT_TRUE(s.heap.allocate(700_pages));  // 212 at the top, 488 more
    EXPECT_EQ(s.heap.grown(), 1024_pages);
    ASSERT_EQ(s.heap.allocate_aligned(100_pages, 512_pages)->first, 1024u);
    EXPECT_EQ(s.heap.grown(), 1536_pages);
}

TEST(PageGrowth, AGrowthIsTwoSystemCallsAndTouchesNothing) {
    slice s(pages{64 * 512});
    ASSERT_TRUE(s.heap.allocate(512_pages));
    os_calls calls;
    for (unsigned i = 0; i < 7; ++i) ASSERT_TRUE(s.heap.allocate(512_pages));
    EXPECT_EQ(calls.count(os_call::prepare), 7u) << "the tables of the first 32 MiB are one piece";
    EXPECT_EQ(calls.count(os_call::huge_page_hint), os::huge_pages_available() ? 7u : 0u);
    for (const os_event& e : calls.seen) EXPECT_EQ(e.touched, 0_B);
}

/// While it lives, areas cannot be reserved up front: the address space is limited.
struct limited_address_space {
    limited_address_space() {
        getrlimit(RLIMIT_AS, &before);
        rlimit limited = before;
        limited.rlim_cur = rlim_t{1} << 47;
        EXPECT_EQ(setrlimit(RLIMIT_AS, &limited), 0);
    }
    ~limited_address_space() { setrlimit(RLIMIT_AS, &before); }
    rlimit before{};
};

void* foreign_mapping(void* where) {
    void* const there =
        mmap(where, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT_EQ(there, where);
    return there;
}

TEST(PageGrowth, ForeignMappingsAreSkippedChunkByChunk) {
    const limited_address_space limit;
    slice s(pages{32 * 512});
    ASSERT_FALSE(s.memory.reserved_up_front());
    s.skipped = {0, 3, 5};
    void* const foreign[] = {foreign_mapping(s.address(0)),
                             foreign_mapping(s.address(3 * 512 + 77)),
                             foreign_mapping(s.address(6 * 512 - 1))};

    EXPECT_EQ(s.heap.allocate(10_pages)->first, 512u) << "chunk 0 is taken";
    EXPECT_EQ(s.heap.allocate(1200_pages)->first, 6u * 512) << "no other place is free of holes";
    s.expect_consistent();
    EXPECT_EQ(s.heap.allocate(512_pages)->first, 522u)
        << "what lay between the holes joined the heap";
    EXPECT_EQ(s.heap.allocate(502_pages)->first, 2u * 512 + 10);
    EXPECT_EQ(s.heap.allocate(512_pages)->first, 4u * 512) << "runs do not reach across a hole";
    EXPECT_EQ(s.heap.high_water(), pages{9 * 512});
    EXPECT_EQ(s.heap.grown(), pages{6 * 512});
    s.expect_consistent();
    for (void* const there : foreign) munmap(there, 4096);
}

TEST(PageGrowth, AForeignMappingAmongTheTablesEndsTheGrowth) {
    const limited_address_space limit;
    slice s(pages{std::size_t{1} << 20});
    ASSERT_TRUE(s.heap.allocate(512_pages));
    void* const foreign = foreign_mapping(s.tables.base() + s.tables.prepared().count());
    while (s.heap.allocate(512_pages)) continue;  // to the end of the tables
    const auto refused = s.heap.allocate(512_pages);
    EXPECT_EQ(refused.error().code, errc::out_of_memory) << "there is nothing to step over";
    EXPECT_EQ(s.heap.high_water(), s.heap.grown()) << "no chunk without its tables";
    s.expect_consistent();
    munmap(foreign, 4096);
    ASSERT_TRUE(s.heap.allocate(512_pages)) << "the place is free again";
    s.expect_consistent();
}

TEST(PageGrowth, ExtendingStopsAtAForeignMapping) {
    const limited_address_space limit;
    slice s(pages{8 * 512});
    s.skipped = {1};
    void* const foreign = foreign_mapping(s.address(512 + 100));
    ASSERT_EQ(s.heap.allocate(512_pages)->first, 0u);
    EXPECT_FALSE(s.heap.extend(512, 1_pages));
    EXPECT_EQ(s.heap.allocate(512_pages)->first, 1024u);
    EXPECT_FALSE(s.heap.extend(512, 1_pages)) << "a hole is not free";
    s.expect_consistent();
    munmap(foreign, 4096);
}

TEST(PageGrowth, ExtendingDoesNotJumpOverAForeignMapping) {
    const limited_address_space limit;
    slice s(pages{3 * 512});
    s.skipped = {1};
    void* const foreign = foreign_mapping(s.address(512));
    ASSERT_EQ(s.heap.allocate(512_pages)->first, 0u);
    ASSERT_FALSE(s.heap.allocate(1024_pages))
        << "chunk 1 is skipped, and chunk 2 alone is too small";
    EXPECT_FALSE(s.heap.extend(512, 1_pages));
    s.expect_consistent();
    munmap(foreign, 4096);
}

TEST(PageGrowth, ASliceWithoutAnyRoomIsAnError) {
    const limited_address_space limit;
    slice s(1024_pages);
    s.skipped = {0, 1};
    void* const first = foreign_mapping(s.address(1));
    void* const second = foreign_mapping(s.address(513));
    EXPECT_EQ(s.heap.allocate(1_pages).error().code, errc::out_of_memory);
    s.expect_consistent();
    munmap(first, 4096);
    munmap(second, 4096);
}

/// What the kernel has noted of the mapping at `address`: "hg" asked for huge pages,
/// "nh" refused them.
bool kernel_says(const void* address, const std::string& flag) {
    std::ifstream smaps("/proc/self/smaps");
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        std::uintptr_t from = 0, to = 0;
        if (std::sscanf(line.c_str(), "%zx-%zx ", &from, &to) == 2) {
            const auto wanted = reinterpret_cast<std::uintptr_t>(address);
            inside = from <= wanted && wanted < to;
        } else if (inside && line.rfind("VmFlags:", 0) == 0) {
            return (line + ' ').find(' ' + flag + ' ') != line.npos;
        }
    }
    ADD_FAILURE() << "no mapping at " << address;
    return false;
}

TEST(PageGrowth, HugePagesAreAskedForOnceTheHeapIsBigAndDense) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    slice s(pages{64 * 512});
    s.heap.advise(page_heap::huge_page_policy::adaptive, 2048_pages);
    const page_run first = *s.heap.allocate(2048_pages);
    ASSERT_TRUE(s.heap.allocate(100_pages));
    EXPECT_TRUE(kernel_says(s.address(0), "nh")) << "the first 16 MiB stay on small pages";
    EXPECT_TRUE(kernel_says(s.address(2047), "nh"));
    EXPECT_TRUE(kernel_says(s.address(2048), "hg")) << "now it is big";
    EXPECT_TRUE(kernel_says(s.address(2559), "hg"));
    s.heap.free(first.first, 1500_pages);
    ASSERT_TRUE(s.heap.allocate(1600_pages));
    EXPECT_TRUE(kernel_says(s.address(2560), "nh")) << "no longer dense";
    s.heap.advise(page_heap::huge_page_policy::on);
    auto top = static_cast<page_index>(s.heap.high_water().count());
    ASSERT_TRUE(s.heap.allocate(3000_pages));
    EXPECT_TRUE(kernel_says(s.address(top), "hg"));
    s.heap.advise(page_heap::huge_page_policy::off);
    top = static_cast<page_index>(s.heap.high_water().count());
    ASSERT_TRUE(s.heap.allocate(3000_pages));
    EXPECT_TRUE(kernel_says(s.address(top), "nh"));
    s.expect_consistent();
}

// A compiler has tens of MiB in large blocks of which it touches an eighth: huge pages
// would make all of them resident.
TEST(PageGrowth, PagesThatMayNeverBeTouchedAreNoReasonForHugePages) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    slice s(pages{64 * 512});
    s.heap.advise(page_heap::huge_page_policy::adaptive, 2048_pages);
    ASSERT_TRUE(s.heap.allocate(2148_pages));
    s.heap.note_sparse(1000);
    ASSERT_TRUE(s.heap.allocate(500_pages));
    EXPECT_TRUE(kernel_says(s.address(2560), "nh"));
    s.heap.note_sparse(-1000);
    ASSERT_TRUE(s.heap.allocate(500_pages));
    EXPECT_TRUE(kernel_says(s.address(3072), "hg"));
    s.expect_consistent();
}

// Units of a large heap that are full of small pages may become huge ones: each is named
// once, and only as long as no page of it is free.
TEST(PageGrowth, FilledUnitsAreNamed) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has no transparent huge pages";
    slice s(pages{64 * 512});
    s.heap.advise(page_heap::huge_page_policy::adaptive);
    ASSERT_TRUE(s.heap.allocate(512_pages));
    EXPECT_EQ(s.heap.filled_unit(0), detail::no_page) << "a small heap";
    ASSERT_TRUE(s.heap.allocate(1000_pages));
    EXPECT_EQ(s.heap.filled_unit(511), 256u);
    EXPECT_EQ(s.heap.filled_unit(1511), detail::no_page) << "not full";
    s.heap.note_sparse(600);
    EXPECT_EQ(s.heap.filled_unit(511), detail::no_page) << "not dense";
    s.heap.note_sparse(-600);
    s.heap.free(300, 1_pages);
    EXPECT_EQ(s.heap.filled_unit(511), detail::no_page);
    EXPECT_EQ(s.heap.filled_unit(255), 0u);
    s.heap.note_collapse(0);
    EXPECT_EQ(s.heap.filled_unit(255), detail::no_page) << "it is huge already";
    s.expect_consistent();
}

}  // namespace
