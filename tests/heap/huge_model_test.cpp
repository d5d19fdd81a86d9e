// huge_model_test.cpp - random operations on huge blocks beside a model of them, in one
// thread, with each system call failing in turn, in an address space that is too small
// to be reserved, and in four threads with a scavenger at work.
#include "huge_watch.hpp"

#include "steady/os/detail/syscall.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace steady::test {
namespace {

// What the program believes: where a block is and what it has written there.
struct model_block {
    huge_block* block;
    std::size_t size;
    std::uint64_t tag;
};

/// One thread's blocks. Contents are a word per 256 KiB and the last word: enough to
/// notice a page that was lost, doubled or exchanged, and quick.
class model {
public:
    model(huge_heap& heap, std::uint64_t seed, std::size_t most_bytes)
        : heap_(heap), random_(seed), most_bytes_(most_bytes) {}

    /// One random operation. Failures of the heap are accepted; wrong contents are not.
    void step() {
        const std::size_t choice = random_() % 100;
        if (blocks_.empty() || (choice < 30 && bytes_ < most_bytes_)) return allocate();
        const std::size_t index = random_() % blocks_.size();
        verify(blocks_[index]);
        if (choice < 60 && bytes_ < most_bytes_) return grow(blocks_[index]);
        if (choice < 75) return shrink(blocks_[index]);
        free(index);
    }

    void free_everything() {
        while (!blocks_.empty()) {
            verify(blocks_.back());
            free(blocks_.size() - 1);
        }
    }

    /// Every block is where the heap says and holds what was written.
    void verify_all() {
        for (const model_block& b : blocks_) verify(b);
    }

    std::size_t failures = 0, grown = 0, moved = 0, reused = 0;

private:
    static constexpr std::size_t stride = 256 * 1024;

    std::size_t random_size() {
        // 4 .. 28 MiB, mostly 4 and a little; anything but round numbers.
        const std::size_t most = (std::size_t{1} << (12 + random_() % 13)) * 3 / 2;
        return 1 + random_() % most + (4_MiB).count();
    }

    void allocate() {
        const std::size_t size = random_size();
        const std::size_t alignment = random_() % 8 == 0 ? std::size_t{1} << (random_() % 28) : 16;
        bool zeroed = false;
        const result<huge_block*> made = heap_.allocate(bytes{size}, alignment, zeroed, this);
        if (!made) return static_cast<void>(++failures);
        huge_block* const block = *made;
        const std::byte* const base = block->base;
        EXPECT_GE(block->size.load(), size);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(base) % alignment, 0u);
        for (std::size_t at = zeroed ? 0 : block->dirty; at < size; at += stride) {
            EXPECT_EQ(base[at], std::byte{}) << "not dirty, yet not zero";
        }
        reused += !zeroed;
        blocks_.push_back({block, size, random_()});
        bytes_ += size;
        write(blocks_.back());
    }

    void grow(model_block& b) {
        const std::size_t more =
            random_() % 3 == 0 ? b.size * (random_() % 4) : random_() % (2 << 20);
        const std::size_t size = b.size + more;
        if (size > most_bytes_) return;
        huge_block* const block = b.block;
        std::byte* const base = block->base;
        const std::size_t before = block->size;
        // Moving is for full slots; now and then it happens to others as well.
        if (random_() % 8 != 0 && heap_.grow(block, bytes{size})) {
            EXPECT_EQ(block->base, base);
        } else {
            EXPECT_EQ(block->size, before);
            const result<huge_block*> elsewhere = heap_.grow_moving(block, bytes{size});
            if (!elsewhere) {
                ++failures;
                EXPECT_EQ(block->base, base);
                EXPECT_EQ(block->size, before);
                return verify(b);
            }
            EXPECT_EQ(*elsewhere, block);
            ++moved;
        }
        ++grown;
        verify(b);
        bytes_ += more;
        b.size = size;
        write(b);
    }

    void shrink(model_block& b) {
        const std::size_t size = 1 + random_() % b.size;
        heap_.shrink(b.block, bytes{size});
        EXPECT_GE(b.block->size.load(), size);
        bytes_ -= b.size - size;
        b.size = size;
        write(b);
    }

    void free(std::size_t index) {
        const model_block b = blocks_[index];
        bytes_ -= b.size;
        blocks_[index] = blocks_.back();
        blocks_.pop_back();
        heap_.free(b.block);
    }

    template <class Each>
    static void each_word(const model_block& b, Each each) {
        std::byte* const base = b.block->base;
        for (std::size_t at = 0; at + 8 <= b.size; at += stride) {
            each(*reinterpret_cast<std::uint64_t*>(base + at), b.tag + at);
        }
        if (b.size >= 8) {
            const std::size_t last = round_down(b.size - 8, 8);
            if (last % stride != 0)
                each(*reinterpret_cast<std::uint64_t*>(base + last), b.tag + last);
        }
    }

    void write(const model_block& b) {
        each_word(b, [](std::uint64_t& word, std::uint64_t value) { word = value; });
    }

    void verify(const model_block& b) {
        EXPECT_EQ(heap_.find(b.block->base.load() + b.size / 2), b.block);
        each_word(b, [](std::uint64_t& word, std::uint64_t value) { EXPECT_EQ(word, value); });
    }

    huge_heap& heap_;
    std::mt19937_64 random_;
    std::size_t most_bytes_;
    std::size_t bytes_ = 0;
    std::vector<model_block> blocks_;
};

TEST(HugeModel, RandomOperationsAgreeWithTheModelTheMapsAndTheLedgers) {
    huge_heap heap;
    heap.free(must_allocate(heap, 4_MiB));  // brings the records, which stay
    ASSERT_TRUE(heap.close());
    const bytes ready = os::ledgers().ready.value(), mapped = os::ledgers().mapped();
    model blocks(heap, 42, (256_MiB).count());
    for (int i = 0; i < 2000; ++i) {
        heap.set_background(i / 250 % 2 == 1);
        blocks.step();
        if (i % 100 == 0) heap.scavenge(16_MiB, true);
        if (i % 10 == 0) expect_sound(heap);
        const detail::huge_counters now = heap.counters();
        ASSERT_EQ(os::ledgers().ready.value(), ready + now.in_use + now.idle + now.tables);
    }
    EXPECT_EQ(blocks.failures, 0u);
    EXPECT_GE(blocks.grown, 200u);
    EXPECT_GE(blocks.moved, 20u);
    EXPECT_GE(blocks.reused, 100u);
    blocks.free_everything();
    expect_all_returned(heap, ready);
    EXPECT_EQ(os::ledgers().mapped(), mapped);
}

TEST(HugeModel, ASmallAreaIsUsedForEverWithoutWearingOut) {
    static constexpr huge_settings small{.area_size = 1_GiB};
    huge_heap heap{small};
    model blocks(heap, 7, (160_MiB).count());
    for (int i = 0; i < 2000; ++i) {
        blocks.step();
        if (i % 50 == 0) expect_sound(heap);
    }
    EXPECT_GE(blocks.grown, 200u);
    blocks.free_everything();
    const huge_block* whole = must_allocate(heap, 513_MiB);
    EXPECT_EQ(whole->slot_size, (1_GiB).count()) << "what merges again is one piece";
    heap.free_all(nullptr);
    EXPECT_TRUE(heap.close());
}

TEST(HugeModel, EverySystemCallMayFailAndLeavesEverythingConsistent) {
    std::uint64_t failed_in_all = 0;
    for (std::uint64_t n = 1; n <= 40; ++n) {
        for (const std::uint64_t repeats : {0u, 3u, 1000u}) {
            huge_heap heap;
            model blocks(heap, n, (64_MiB).count());
            for (int i = 0; i < 5; ++i) blocks.step();
            os::detail::fail_nth_call(n, repeats);
            for (int i = 0; i < 25; ++i) {
                blocks.step();
                if (i % 5 == 0) heap.scavenge(8_MiB, true);
            }
            failed_in_all += os::detail::fail_nth_call(0);
            expect_sound(heap);
            blocks.verify_all();
            for (int i = 0; i < 10; ++i) blocks.step();
            blocks.free_everything();
            expect_sound(heap);
            EXPECT_TRUE(heap.close());
        }
    }
    EXPECT_GE(failed_in_all, 300u) << "too few failures to prove anything";
}

// RLIMIT_AS makes os choose a nominal area, whose pieces are mapped one by one and may
// meet a stranger's mapping. The limit cannot be raised again, so a child lives with it.
TEST(HugeModel, UnderAnAddressSpaceLimitStrangersInTheAreaAreAvoided) {
    if (under_sanitizer) GTEST_SKIP() << "its shadow alone exceeds every limit";
    const pid_t child = fork();
    if (child == 0) {
        rlimit limit{(8_GiB).count(), (8_GiB).count()};
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
        {
            huge_heap heap;
            huge_block* first = must_allocate(heap, 4_MiB);
            EXPECT_FALSE(heap.area().reserved_up_front());
            std::byte* const next = first->base.load() + first->slot_size;
            void* stranger = mmap(next + 4096, 4096, PROT_READ,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            EXPECT_EQ(stranger, next + 4096);
            huge_block* second = must_allocate(heap, 4_MiB);
            EXPECT_GE(second->base.load(), next + second->slot_size)
                << "the stranger's slot was skipped";
            void* in_the_way = mmap(first->base.load() + (20_MiB).count(), 4096, PROT_READ,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            EXPECT_NE(in_the_way, MAP_FAILED);
            first->base.load()[77] = std::byte{77};
            EXPECT_EQ(heap.grow(first, 30_MiB).error().code, errc::occupied);
            EXPECT_EQ(heap.grow_moving(first, 30_MiB).value(), first);
            EXPECT_EQ(first->base.load()[77], std::byte{77});
            message text("heap");
            EXPECT_TRUE(heap.check(&text)) << text.c_str();
            model blocks(heap, 3, (100_MiB).count());
            for (int i = 0; i < 500; ++i) blocks.step();
            bool zeroed = false;
            EXPECT_EQ(os::explain(heap.allocate(9_GiB, 1, zeroed, nullptr).error(), 9_GiB).code,
                      errc::address_space_limit);
            blocks.free_everything();
            heap.free(first);
            heap.free(second);
            EXPECT_TRUE(heap.close());
        }
        _exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "the child's own report stands above";
}

TEST(HugeModel, ThreadsAndAScavengerShareTheHeap) {
    huge_heap heap;
    std::atomic<bool> stop{false};
    std::thread scavenger([&] {
        heap.set_background(true);
        while (!stop.load()) {
            heap.scavenge(4_MiB, true);
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&heap, t] {
            model blocks(heap, 100 + t, (64_MiB).count());
            for (int i = 0; i < 600; ++i) blocks.step();
            blocks.free_everything();
        });
    }
    for (std::thread& thread : threads) thread.join();
    stop = true;
    scavenger.join();
    expect_sound(heap);
    EXPECT_EQ(heap.counters().live, 0u);
    EXPECT_TRUE(heap.close());
}

}  // namespace
}  // namespace steady::test
