// huge_test.cpp - the promises of huge blocks, counted: no copy while growing, no system
// call that walks more than 2 MiB, no page fault for memory that was just freed.
#include "huge_watch.hpp"

#include "steady/os/detail/syscall.hpp"
#include "steady/os/limits.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace steady::test {
namespace {

// Keeps idle pages whether they are missed or not.
constexpr huge_settings patient{.lowest_idle_floor = 64_MiB};

// Records stay allocated when a heap closes, so ready is compared after a first block has
// brought them.
bytes settled_ready(huge_heap& heap) {
    heap.free(must_allocate(heap, 4_MiB));
    EXPECT_TRUE(heap.close());
    return os::ledgers().ready.value();
}

TEST(Huge, ABlockIsZeroedAlignedAndFoundFromEveryAddressInside) {
    huge_heap heap;
    const bytes before = settled_ready(heap);
    bool zeroed = false;
    int owner = 0;
    huge_block* block = heap.allocate(5_MiB + 1_B, 4096, zeroed, &owner).value();
    std::byte* const base = block->base;
    EXPECT_TRUE(zeroed);
    EXPECT_EQ(block->size, round_up(5_MiB + 1_B, os::os_page()).count());
    EXPECT_GE(block->slot_size, (80_MiB).count());
    EXPECT_EQ(block->owner, &owner);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(base) % 4096, 0u);
    for (std::size_t at = 0; at < block->size; at += 4096) EXPECT_EQ(base[at], std::byte{});
    EXPECT_EQ(heap.find(base), block);
    EXPECT_EQ(heap.find(base + block->size - 1), block);
    EXPECT_EQ(heap.find(base + block->size), nullptr);
    EXPECT_EQ(heap.find(base - 1), nullptr);
    EXPECT_EQ(heap.find(&owner), nullptr);
    expect_sound(heap);
    heap.free(block);
    EXPECT_EQ(heap.find(base), nullptr) << "a freed block is nobody's";
    expect_all_returned(heap, before);
}

TEST(Huge, GrowingFrom4MiBTo4GiBCopiesNothingAndNoCallWalksMoreThan2MiB) {
    huge_heap heap;
    const bytes before = settled_ready(heap);
    huge_block* block = must_allocate(heap, 4_MiB);
    block->noscan = false;
    int data = 0;
    block->side_data = &data;
    const auto mark = [](std::byte* base, std::size_t at) {
        *reinterpret_cast<std::size_t*>(base + at) = at ^ 0x5eed;
    };
    std::size_t moves = 0;
    {
        os_watch seen;
        std::size_t marked = 0;
        for (std::size_t size = (4_MiB).count(); size <= (4_GiB).count(); size += size / 16) {
            if (const result<void> grown = heap.grow(block, bytes{size}); !grown) {
                ASSERT_EQ(grown.error().code, errc::occupied);
                ASSERT_EQ(heap.grow_moving(block, bytes{size}).value(), block);
                ++moves;
            }
            for (; marked + sizeof(std::size_t) <= size; marked += (16_MiB).count()) {
                mark(block->base, marked);
            }
            for (std::size_t at = 0; at < marked; at += (16_MiB).count()) {
                ASSERT_EQ(*reinterpret_cast<std::size_t*>(block->base.load() + at), at ^ 0x5eed);
            }
            ASSERT_EQ(heap.find(block->base.load() + size - 1), block);
        }
        EXPECT_LE(seen.most_touched, (2_MiB).count());
        EXPECT_GE(seen.moves, 32u) << "the loop never moved, so it proved nothing";
    }
    EXPECT_GE(moves, 1u);
    EXPECT_LE(moves, 3u) << "each move buys sixteen times the room";
    EXPECT_EQ(block->side_data, &data);
    EXPECT_FALSE(block->noscan);
    expect_sound(heap);
    heap.free(block);
    expect_all_returned(heap, before);
}

TEST(Huge, GrowingByPagesMakesASystemCallOnlyNowAndThen) {
    huge_heap heap;
    huge_block* block = must_allocate(heap, 16_MiB);
    std::byte* const base = block->base;
    os_watch seen;
    std::size_t steps = 0;
    for (bytes size = 16_MiB; size <= 200_MiB; size += 4_KiB, ++steps) {
        ASSERT_TRUE(heap.grow(block, size));
    }
    EXPECT_EQ(block->base, base);
    EXPECT_GE(steps, 40'000u);
    EXPECT_LE(seen.calls, 250u) << "a hint per 2 MiB, and a few to prepare ahead";
    EXPECT_EQ(seen.most_touched, 0u);
    heap.free(block);
    EXPECT_TRUE(heap.close());
}

TEST(Huge, AnArrayThatGrowsShowsHardlyMoreThanItsDataInTheResidentSet) {
    if (under_sanitizer) GTEST_SKIP() << "the sanitizer's shadow is resident, too";
    huge_heap heap;
    huge_block* block = must_allocate(heap, 4_MiB);
    std::memset(block->base.load(), 1, block->size);
    const std::size_t base_line = resident() - block->size;
    for (bytes size = 4_MiB; size <= 160_MiB; size += 20_KiB) {
        const std::size_t old = block->size;
        ASSERT_TRUE(heap.grow(block, size) || heap.grow_moving(block, size));
        std::memset(block->base.load() + old, 1, block->size - old);
        if (size >= 128_MiB && size.count() % (1_MiB).count() == 0) {
            ASSERT_LE(resident() - base_line, size.count() + size.count() / 50);
        }
    }
    EXPECT_LE(resident() - base_line, block->size + block->size / 50);
    heap.free(block);
    EXPECT_TRUE(heap.close());
}

/// Bytes of this process in huge pages now.
std::size_t in_huge_pages() {
    std::FILE* file = std::fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    std::size_t kib = 0;
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
        if (std::sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) break;
    }
    if (file != nullptr) std::fclose(file);
    return kib * 1024;
}

// Run by the next test, in a process with another STEADY_DEBUG.
TEST(HugePages, DISABLED_TouchTwoBlocks) {
    const std::size_t expected = std::strtoull(std::getenv("STEADY_TEST_EXPECTED"), nullptr, 10);
    huge_heap heap;
    huge_block* small = must_allocate(heap, 5_MiB);
    huge_block* large = must_allocate(heap, 33_MiB);
    const std::size_t before = in_huge_pages();
    std::memset(small->base.load(), 1, small->size);
    std::memset(large->base.load(), 1, large->size);
    const std::size_t gained = in_huge_pages() - before;
    EXPECT_LE(gained, expected);
    EXPECT_GE(gained, expected / 2) << "the system may be short of some, not of most";
    expect_sound(heap);
    heap.free_all(nullptr);
    EXPECT_TRUE(heap.close());
}

TEST(HugePages, AreUsedAsSteadyDebugSays) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has none";
    const struct {
        const char* policy;
        bytes expected;
    } cases[] = {
        {"hugepages=off", 0_MiB}, {"hugepages=adaptive", 32_MiB}, {"hugepages=on", 40_MiB}};
    for (const auto& [policy, expected] : cases) {
        const pid_t child = fork();
        if (child == 0) {
            setenv("STEADY_DEBUG", policy, 1);
            setenv("STEADY_TEST_EXPECTED", std::to_string(expected.count()).c_str(), 1);
            execl("/proc/self/exe", "huge_test", "--gtest_also_run_disabled_tests",
                  "--gtest_filter=HugePages.DISABLED_TouchTwoBlocks", nullptr);
            _exit(127);
        }
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << policy;
    }
}

bool asks_for_huge_pages(const std::byte* at) {
    std::FILE* file = std::fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, asks = false;
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
        std::uintptr_t from = 0, to = 0;
        const auto address = reinterpret_cast<std::uintptr_t>(at);
        if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2)
            inside = from <= address && address < to;
        if (inside && std::strncmp(line, "VmFlags:", 8) == 0)
            asks = std::strstr(line, " hg") != nullptr;
    }
    if (file != nullptr) std::fclose(file);
    return asks;
}

// The end of an array is touched before the huge page it lies in is covered: unless that
// page is asked for ahead of the end, an array that grows by small appends gets none.
TEST(HugePages, ReachAheadOfABlockTheMoreOftenItHasGrown) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has none";
    const struct {
        unsigned growths;
        bytes size;
        bool ahead;
    } cases[] = {{1, 16_MiB + 512_KiB, false}, {20, 15_MiB, false}, {20, 16_MiB + 512_KiB, true},
                 {4, 16_MiB + 512_KiB, false}, {4, 33_MiB, true},   {1, 33_MiB, false},
                 {1, 63_MiB + 512_KiB, true}};
    for (const auto& [growths, size, ahead] : cases) {
        huge_heap heap;
        bool zeroed = false;
        huge_block* block = heap.allocate(1_MiB, 1, zeroed, nullptr).value();
        const bytes step = round_down(bytes{(size - 1_MiB).count() / growths}, 4_KiB);
        for (unsigned i = 1; i < growths; ++i) ASSERT_TRUE(heap.grow(block, 1_MiB + step * i));
        ASSERT_TRUE(heap.grow(block, size));
        EXPECT_EQ(asks_for_huge_pages(block->base.load() + size.count() - 1), ahead)
            << growths << " growths to " << size.count();
        expect_sound(heap);
        heap.free(block);
        EXPECT_TRUE(heap.close());
    }
}

// Whichever call of the move is refused: the block that was copied has a new mapping.
TEST(HugePages, AreAskedForAgainWhereABlockWasCopied) {
    if (!os::huge_pages_available()) GTEST_SKIP() << "this system has none";
    unsigned copies = 0;
    for (std::uint64_t n = 1; n < 12; ++n) {
        huge_heap heap;
        huge_block* block = must_allocate(heap, 32_MiB);
        ASSERT_TRUE(asks_for_huge_pages(block->base));
        os_watch seen;
        os::detail::fail_nth_call(n);
        const bool moved{heap.grow_moving(block, 64_MiB)};
        os::detail::fail_nth_call(0);
        EXPECT_TRUE(moved || n == 1) << "only the new slot can be refused";
        if (seen.decommits != 0) {  // the source of a copy is dropped
            ++copies;
            for (std::size_t at : {0, 16, 31, 40})
                EXPECT_TRUE(asks_for_huge_pages(block->base + (at << 20))) << n << ": " << at;
        }
        expect_sound(heap);
        heap.free(block);
        EXPECT_TRUE(heap.close());
    }
    EXPECT_GE(copies, 4u);
}

TEST(Huge, FreedPagesAreUsedAgainWithoutASystemCallOrAFault) {
    huge_heap heap;
    heap.set_background(true);
    huge_block* block = must_allocate(heap, 8_MiB);
    std::memset(block->base.load(), 1, block->size);
    rusage first{}, last{};
    os_watch seen;
    getrusage(RUSAGE_SELF, &first);
    for (int round = 0; round < 100; ++round) {
        heap.free(block);
        bool zeroed = true;
        block =
            heap.allocate(8_MiB - 64_KiB * static_cast<std::size_t>(round % 8), 1, zeroed, nullptr)
                .value();
        ASSERT_FALSE(zeroed) << "these pages carry old contents";
        ASSERT_GE(block->dirty, block->size.load());
        std::memset(block->base.load(), 2, block->size);
    }
    getrusage(RUSAGE_SELF, &last);
    EXPECT_EQ(seen.calls, 0u);
    // 200,000 pages were written; a kernel that ages pages may unmap a few meanwhile.
    EXPECT_LE(last.ru_minflt - first.ru_minflt, 500);
    expect_sound(heap);
    heap.free(block);
    EXPECT_TRUE(heap.close());
}

TEST(Huge, ASmallerFreedBlockServesAsTheBeginningOfALargerOne) {
    huge_heap heap{patient};
    huge_block* block = must_allocate(heap, 8_MiB);
    std::byte* const base = block->base;
    std::memset(base, 1, block->size);
    heap.free(block);
    bool zeroed = true;
    block = heap.allocate(12_MiB, 1, zeroed, nullptr).value();
    EXPECT_EQ(block->base, base);
    EXPECT_FALSE(zeroed);
    EXPECT_EQ(block->dirty, (8_MiB).count());
    for (std::size_t at = block->dirty; at < block->size; at += 4096) {
        ASSERT_EQ(base[at], std::byte{}) << "beyond `dirty` everything is zero";
    }
    heap.free(block);
    // One that is far too large stays for somebody who needs it.
    block = must_allocate(heap, 64_MiB);
    std::memset(block->base.load(), 1, block->size);
    heap.free(block);
    huge_block* small = must_allocate(heap, 4_MiB);
    EXPECT_NE(small->base, block->base);
    expect_sound(heap);
    heap.free(small);
    EXPECT_TRUE(heap.close());
}

// Few idle pages stay until a program shows that it wants them again; then as many as it
// missed, and few again when nobody has wanted them for their time.
TEST(Huge, TheFloorOfIdlePagesFollowsWhatIsMissed) {
    static constexpr huge_settings quick{.idle_ns = 200'000'000};
    huge_heap heap{quick};
    heap.set_background(true);
    const auto idle_after_free = [&] {
        heap.free(must_allocate(heap, 16_MiB));
        heap.scavenge(1_GiB, false);
        return heap.counters().idle;
    };
    EXPECT_EQ(idle_after_free(), 4_MiB);
    for (int round = 0; round < 8; ++round) static_cast<void>(idle_after_free());
    EXPECT_EQ(idle_after_free(), 16_MiB) << "what is allocated again and again stays";
    std::this_thread::sleep_for(std::chrono::milliseconds(210));
    heap.scavenge(1_GiB, false);
    EXPECT_EQ(heap.counters().idle, 0_B);
    EXPECT_EQ(idle_after_free(), 4_MiB);
    expect_sound(heap);
    EXPECT_TRUE(heap.close());
}

TEST(Huge, IdlePagesGoBackAfterTheirTimeInCallsOf2MiB) {
    static constexpr huge_settings quick{.idle_ns = 50'000'000, .lowest_idle_floor = 64_MiB};
    huge_heap heap{quick};
    const bytes before = settled_ready(heap);
    heap.set_background(true);
    huge_block* kept = must_allocate(heap, 4_MiB);
    huge_block* block = must_allocate(heap, 33_MiB);
    std::memset(block->base.load(), 1, block->size);
    std::memset(kept->base.load(), 3, kept->size);
    heap.free(block);
    const std::size_t with_idle = resident();
    os_watch seen;
    EXPECT_TRUE(heap.scavenge(1_GiB, false)) << "there is something, but it is not due";
    EXPECT_EQ(seen.calls, 0u);
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_TRUE(heap.scavenge(8_MiB, false)) << "the budget ends before the work";
    EXPECT_EQ(heap.counters().idle, 24_MiB) << "1 MiB to the boundary, then four steps";
    EXPECT_FALSE(heap.scavenge(1_GiB, false));
    EXPECT_EQ(seen.most_touched, (2_MiB).count());
    EXPECT_EQ(heap.counters().idle, 0_B);
    EXPECT_EQ(heap.counters().cached, 0u);
    EXPECT_EQ(heap.counters().slots, 64_MiB) << "the slot of the freed block went back";
    EXPECT_LE(resident() + (32_MiB).count(), with_idle);
    EXPECT_EQ(kept->base.load()[12345], std::byte{3});
    heap.free(kept);
    expect_all_returned(heap, before);
}

TEST(Huge, ScavengedMemoryIsZeroAgainForWhoComesNext) {
    huge_heap heap{patient};
    huge_block* block = must_allocate(heap, 16_MiB);
    std::memset(block->base.load(), 1, block->size);
    heap.free(block);
    heap.set_background(true);
    heap.scavenge(6_MiB, true);  // the end goes, the beginning stays
    bool zeroed = true;
    block = heap.allocate(16_MiB, 1, zeroed, nullptr).value();
    EXPECT_FALSE(zeroed);
    EXPECT_EQ(block->dirty, (10_MiB).count());
    for (std::size_t at = block->dirty; at < block->size; at += 512) {
        ASSERT_EQ(block->base.load()[at], std::byte{});
    }
    heap.free(block);
    heap.scavenge(1_GiB, true);
    block = heap.allocate(16_MiB, 1, zeroed, nullptr).value();
    EXPECT_TRUE(zeroed);
    heap.free(block);
    EXPECT_TRUE(heap.close());
}

TEST(Huge, AShrunkTailIsKeptForGrowingBackAndThenReturned) {
    huge_heap heap{patient};
    heap.set_background(true);
    huge_block* block = must_allocate(heap, 15_MiB);
    std::memset(block->base.load(), 7, block->size);
    {
        os_watch seen;
        heap.shrink(block, 5_MiB);
        EXPECT_EQ(heap.counters().idle, 10_MiB);
        ASSERT_TRUE(heap.grow(block, 15_MiB));
        heap.shrink(block, 5_MiB);
        EXPECT_EQ(seen.calls, 0u);
    }
    expect_sound(heap);
    EXPECT_FALSE(heap.scavenge(1_GiB, true));
    EXPECT_EQ(heap.counters().idle, 0_B);
    EXPECT_EQ(block->base.load()[(5_MiB).count() - 1], std::byte{7});
    ASSERT_TRUE(heap.grow(block, 15_MiB));
    EXPECT_EQ(block->base.load()[(5_MiB).count()], std::byte{}) << "it left, so it is zero";
    expect_sound(heap);
    heap.free(block);
    EXPECT_TRUE(heap.close());
}

// The hook speaks from the middle of the decommit: another thread then tries to grow into
// the pages that are about to go.
TEST(Huge, GrowingIntoATailWaitsUntilItsDecommitIsOver) {
    struct scene {
        huge_heap heap;
        huge_block* block = nullptr;
        std::thread grower;
        std::atomic<bool> grown{false};
        bool grown_too_early = false;
    } scene;
    scene.heap.set_background(true);
    scene.block = must_allocate(scene.heap, 8_MiB);
    scene.heap.shrink(scene.block, 6_MiB);
    os_hook.install(
        [](void* context, const os_event& event) {
            auto& s = *static_cast<struct scene*>(context);
            if (event.call != os_call::decommit || s.grower.joinable()) return;
            s.grower = std::thread([&s] {
                EXPECT_TRUE(s.heap.grow(s.block, 8_MiB));
                s.grown = true;
            });
            for (int wait = 0; wait < 50 && !s.grown; ++wait) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
            s.grown_too_early = s.grown;
        },
        &scene);
    scene.heap.scavenge(2_MiB, true);
    ASSERT_TRUE(scene.grower.joinable()) << "nothing was decommitted, so nothing was proved";
    scene.grower.join();
    os_hook.remove();
    EXPECT_FALSE(scene.grown_too_early);
    expect_sound(scene.heap);
    scene.heap.free(scene.block);
    EXPECT_TRUE(scene.heap.close());
}

// The last 2 MiB of a live block are on their way out, and the system refuses to take them.
// `meanwhile` runs in the middle of that.
struct refused_tail {
    huge_heap heap;
    huge_block* block = nullptr;
    void (*meanwhile)(refused_tail&) = nullptr;
    std::size_t dirty = 0;

    void run() {
        heap.set_background(true);
        block = must_allocate(heap, 10_MiB);
        std::memset(block->base.load(), 7, block->size);
        heap.shrink(block, 2_MiB);
        os_hook.install(
            [](void* context, const os_event& event) {
                auto& self = *static_cast<refused_tail*>(context);
                if (event.call == os_call::decommit) self.meanwhile(self);
            },
            this);
        os::detail::fail_nth_call(1);
        EXPECT_TRUE(heap.scavenge(2_MiB, true)) << "nothing was given back";
        EXPECT_EQ(os::detail::fail_nth_call(0), 1u);
        os_hook.remove();
        expect_sound(heap);
    }
};

TEST(Huge, ABlockFreedDuringADecommitThatFailsIsDirtyToItsEnd) {
    refused_tail scene;
    scene.meanwhile = [](refused_tail& s) { s.heap.free(s.block); };
    scene.run();
    bool zeroed = true;
    std::size_t dirty = 0;
    huge_block* const again = scene.heap.allocate(10_MiB, 1, zeroed, nullptr, &dirty).value();
    ASSERT_EQ(again, scene.block);
    EXPECT_FALSE(zeroed);
    for (std::size_t at = dirty; at < again->size; at += 4096)
        ASSERT_EQ(again->base.load()[at], std::byte{}) << "old data at " << at;
    scene.heap.free(again);
    EXPECT_TRUE(scene.heap.close());
}

TEST(Huge, ABlockThatGrowsIntoATailTheSystemRefusedKnowsThatItIsDirty) {
    refused_tail scene;
    scene.meanwhile = [](refused_tail& s) { s.dirty = s.heap.dirty_end(s.block); };
    scene.run();
    ASSERT_TRUE(scene.heap.grow(scene.block, 10_MiB));
    for (std::size_t at = scene.dirty; at < scene.block->size; at += 4096)
        ASSERT_EQ(scene.block->base.load()[at], std::byte{}) << "old data at " << at;
    scene.heap.free(scene.block);
    EXPECT_TRUE(scene.heap.close());
}

TEST(Huge, WithoutABackgroundThreadCallersKeepIdleMemoryBounded) {
    huge_heap heap;
    std::vector<huge_block*> blocks;
    for (int i = 0; i < 64; ++i) blocks.push_back(must_allocate(heap, 4_MiB));
    for (huge_block* block : blocks) heap.free(block);
    const bytes after_frees = heap.counters().idle;
    EXPECT_LT(after_frees, 256_MiB) << "some of it went with the frees themselves";
    os_watch seen;
    std::size_t calls = 0;
    for (; heap.counters().idle > 64_MiB && calls < 1000; ++calls) {
        const std::size_t calls_before = seen.calls;
        heap.free(must_allocate(heap, 4_MiB));
        EXPECT_LE(seen.calls - calls_before, 4u) << "one step per operation";
    }
    EXPECT_LT(calls, 200u);
    EXPECT_LE(seen.most_touched, (2_MiB).count());
    expect_sound(heap);
    EXPECT_TRUE(heap.close());
}

TEST(Huge, EveryAlignmentIsMet) {
    huge_heap heap;
    for (std::size_t alignment = 1; alignment <= (4_GiB).count(); alignment *= 2) {
        huge_block* block = must_allocate(heap, 6_MiB, alignment);
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->base.load()) % alignment, 0u);
        EXPECT_EQ(heap.find(block->base.load() + block->size - 1), block);
        ASSERT_TRUE(heap.grow(block, 60_MiB));
        expect_sound(heap);
        heap.free(block);
    }
    EXPECT_TRUE(heap.close());
}

TEST(Huge, WhenAddressSpaceEndsSlotsGetTighterAndIdleBlocksLeave) {
    static constexpr huge_settings tiny{.area_size = 1_GiB};
    huge_heap heap{tiny};
    std::vector<huge_block*> blocks;
    bool zeroed = false;
    blocks.push_back(must_allocate(heap, 300_MiB));
    EXPECT_EQ(blocks[0]->slot_size, (512_MiB).count()) << "16 times as much is not to be had";
    for (int i = 0; i < 8; ++i) blocks.push_back(must_allocate(heap, 40_MiB));
    EXPECT_EQ(heap.allocate(4_MiB, 1, zeroed, nullptr).error().code, errc::address_space_limit);
    for (huge_block* block : blocks) heap.free(block);
    blocks.clear();
    for (int i = 0; i < 16; ++i) blocks.push_back(must_allocate(heap, 60_MiB));
    EXPECT_FALSE(heap.allocate(4_MiB, 1, zeroed, nullptr));
    for (huge_block* block : blocks) heap.free(block);
    EXPECT_GE(heap.counters().cached, 15u);
    huge_block* whole = must_allocate(heap, 1_GiB);
    EXPECT_EQ(whole->slot_size, (1_GiB).count());
    EXPECT_FALSE(heap.allocate(2_GiB, 1, zeroed, nullptr)) << "larger than the area";
    expect_sound(heap);
    heap.free(whole);
    EXPECT_TRUE(heap.close());
}

TEST(Huge, BlocksLeaveMappingsToTheProgram) {
    static constexpr huge_settings few{.block_limit = 3};
    huge_heap heap{few};
    huge_block* a = must_allocate(heap, 4_MiB);
    huge_block* b = must_allocate(heap, 4_MiB);
    huge_block* c = must_allocate(heap, 4_MiB);
    bool zeroed = false;
    EXPECT_EQ(heap.allocate(4_MiB, 1, zeroed, nullptr).error().code, errc::map_count_limit);
    heap.free(b);
    huge_block* d = must_allocate(heap, 100_MiB);  // does not fit b's pages: b has to leave
    EXPECT_EQ(heap.counters().cached, 0u);
    expect_sound(heap);
    for (huge_block* block : {a, c, d}) heap.free(block);
    EXPECT_TRUE(heap.close());
}

// One mapping more or less decides; idle memory does not, however much there is.
TEST(Huge, AtTheLimitOfMappingsNobodyWaitsUntilAllIdleMemoryIsGivenBack) {
    if (under_sanitizer) GTEST_SKIP() << "sanitizers need mappings of their own";
    const std::uint64_t limit = os::read_max_map_count();
    if (limit > 300'000) GTEST_SKIP() << "vm.max_map_count is " << limit << ": too many to reach";
    const pid_t child = fork();
    if (child == 0) {
        huge_heap heap;
        heap.set_background(true);
        huge_block* block = must_allocate(heap, 200_MiB);
        huge_block* small = must_allocate(heap, 4_MiB);
        std::memset(block->base.load(), 1, block->size);
        heap.shrink(block, 2_MiB);
        const std::size_t page = os::os_page().count();
        auto* many =
            static_cast<std::byte*>(mmap(nullptr, 2 * limit * page, PROT_NONE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        for (std::size_t i = 0; mprotect(many + 2 * i * page, page, PROT_READ) == 0;) ++i;
        os_watch seen;
        bool zeroed = false;
        EXPECT_FALSE(heap.allocate(500_MiB, 1, zeroed, nullptr));
        EXPECT_LE(seen.decommits, 9u) << "eight in vain, and one as after every call";
        EXPECT_FALSE(heap.grow_moving(small, 500_MiB));
        EXPECT_LE(seen.decommits, 17u);
        EXPECT_GE(heap.counters().idle, 150_MiB);
        _exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "the child's own report stands above";
}

TEST(Huge, AnOwnersBlocksGoTogether) {
    huge_heap heap;
    int one = 0, two = 0;
    for (int i = 0; i < 6; ++i) must_allocate(heap, 4_MiB, 1, i % 2 == 0 ? &one : &two);
    std::size_t seen = 0;
    heap.for_each([&](const huge_block& block) { seen += block.owner == &two; });
    EXPECT_EQ(seen, 3u);
    heap.free_all(&one);
    EXPECT_EQ(heap.counters().live, 3u);
    heap.free_all(&two);
    EXPECT_EQ(heap.counters().live, 0u);
    expect_sound(heap);
    EXPECT_TRUE(heap.close());
}

// The hook speaks from the middle of grow_moving; another thread then looks at the heap.
struct looked_at_while_moving {
    huge_heap heap;
    huge_block* block = nullptr;
    os_call when = os_call::remap;
    void (*look)(looked_at_while_moving&) = nullptr;
    std::thread looker;
    std::atomic<bool> done{false};
    bool done_too_early = false;
    bool sound = false;

    void run() {
        heap.set_background(true);
        block = must_allocate(heap, 8_MiB);
        std::memset(block->base.load(), 7, block->size);
        os_hook.install(
            [](void* context, const os_event& event) {
                auto& self = *static_cast<looked_at_while_moving*>(context);
                if (event.call != self.when || self.looker.joinable()) return;
                self.looker = std::thread([&self] {
                    self.look(self);
                    self.done = true;
                });
                for (int wait = 0; wait < 50 && !self.done; ++wait)
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                self.done_too_early = self.done;
            },
            this);
        EXPECT_TRUE(heap.grow_moving(block, 200_MiB));
        if (looker.joinable()) looker.join();
        os_hook.remove();
        expect_sound(heap);
        heap.free(block);
        EXPECT_TRUE(heap.close());
    }
};

TEST(Huge, AnAuditWhileTheOldSlotOfAMovedBlockGoesBackFindsItSound) {
    looked_at_while_moving scene;
    scene.when = os_call::release;
    scene.look = [](looked_at_while_moving& s) { s.sound = s.heap.check(nullptr); };
    scene.run();
    EXPECT_TRUE(scene.sound);
}

TEST(Huge, AForkWaitsForABlockThatIsMoving) {
    looked_at_while_moving scene;
    scene.look = [](looked_at_while_moving& s) {
        s.heap.before_fork();
        s.sound = true;
        s.heap.after_fork_in_parent();
    };
    scene.run();
    EXPECT_TRUE(scene.sound);
    EXPECT_FALSE(scene.done_too_early) << "the child would have had half a block";
}

TEST(Huge, AForkedChildCanUseTheHeap) {
    huge_heap heap;
    huge_block* block = must_allocate(heap, 4_MiB);
    block->base.load()[0] = std::byte{9};
    heap.before_fork();
    const pid_t child = fork();
    if (child == 0) {
        heap.after_fork_in_child();
        bool zeroed = false;
        const result<huge_block*> more = heap.allocate(5_MiB, 1, zeroed, nullptr);
        const bool good = more && block->base.load()[0] == std::byte{9} && heap.check(nullptr);
        heap.free(block);
        _exit(good && heap.check(nullptr) ? 0 : 1);
    }
    heap.after_fork_in_parent();
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    heap.free(block);
    EXPECT_TRUE(heap.close());
}

}  // namespace
}  // namespace steady::test
