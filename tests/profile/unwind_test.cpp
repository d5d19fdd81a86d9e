// unwind_test.cpp - stacks are right, whole, and safe to take anywhere.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unwind.h>

#include "steady/core/random.hpp"
#include "steady/heap/heap.hpp"
#include "steady/profile/detail/unwind.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

namespace {

using namespace steady::profile::detail;
using stack = std::vector<std::uintptr_t>;

stack own_stack() {
    std::uintptr_t frames[most_frames];
    const captured c = capture(frames, most_frames, 0);
    return {frames, frames + c.depth};
}

stack libgcc_stack() {
    stack out;
    _Unwind_Backtrace(
        [](_Unwind_Context* context, void* into) {
            int before = 0;
            const std::uintptr_t pc = _Unwind_GetIPInfo(context, &before);
            if (pc != 0) static_cast<stack*>(into)->push_back(pc - (before == 0));
            return _URC_NO_REASON;
        },
        &out);
    return out;
}

/// Both stacks from their outer ends: what follows the frame of this test is equal.
std::size_t equal_outer_frames(const stack& a, const stack& b) {
    std::size_t n = 0;
    while (n < a.size() && n < b.size() && a[a.size() - 1 - n] == b[b.size() - 1 - n]) ++n;
    return n;
}

TEST(Unwind, FramesAreThoseOfLibgcc) {
    const stack ours = own_stack(), theirs = libgcc_stack();
    ASSERT_GT(ours.size(), 5u);
    // Only the frames inside this function and the two that captured may differ.
    EXPECT_GE(equal_outer_frames(ours, theirs) + 4, theirs.size());
}

// ---- U4: a walk beside the last one.

struct random_walk {
    steady::wyrand random{1};
    stack before;
    std::uint32_t serial_before = 0;
    int wrong = 0, wrongly_the_same = 0, the_same = 0, not_noticed = 0, looks = 0;

    [[gnu::noinline]] void look() {
        std::uintptr_t frames[most_frames];
        const captured c = capture(frames, most_frames, 0);
        const stack ours(frames, frames + c.depth), theirs = libgcc_stack();
        ++looks;
        wrong += equal_outer_frames(ours, theirs) + 4 < theirs.size();
        if (c.serial == serial_before) {
            ++the_same;
            wrongly_the_same += ours != before;
        } else {
            not_noticed += ours == before;
        }
        before = ours;
        serial_before = c.serial;
    }
    // Frames of a fixed size with two return addresses, and frames that hang from rbp.
    [[gnu::noinline]] void fixed(int levels) {
        if (random() % 4 != 0)
            go_on(levels);
        else
            go_on(levels - 1);
        asm volatile("" : : : "memory");
    }
    [[gnu::noinline]] void wide(int levels) {
        const std::size_t room = 64 + random() % 4 * 64;
        auto* const p = static_cast<volatile char*>(__builtin_alloca(room));
        p[0] = 1;
        go_on(levels);
        p[room - 1] = p[0];
    }
    [[gnu::noinline]] void go_on(int levels) {
        if (levels <= 0) {
            look();
        } else if (random() % 3 != 0) {
            fixed(levels - 1);
        } else {
            wide(levels - 1);
        }
        asm volatile("" : : : "memory");
    }
};

TEST(Unwind, StacksThatResembleTheOneBeforeAreSeenAsTheyAre) {
    random_walk w;
    for (int i = 0; i < 6000; ++i) {
        const std::uint64_t seed = w.random();
        const int levels = static_cast<int>(seed % 8 == 0 ? seed % 60 : seed % 10);
        int times = i % 3 == 0 ? 2 : 1;
        asm volatile("" : "+r"(times));  // one call in the code, not two
        for (; times != 0; --times) {
            w.random = steady::wyrand{seed};
            w.go_on(levels);
        }
    }
    EXPECT_EQ(w.wrong, 0);
    EXPECT_EQ(w.wrongly_the_same, 0);
    EXPECT_GT(w.the_same, 1000);
    EXPECT_LT(w.not_noticed, w.looks / 20) << "deep ones are not remembered whole";
}

int compare(const void* a, const void* b) {
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

stack seen_in_qsort;
int compare_and_look(const void* a, const void* b) {
    seen_in_qsort = own_stack();
    return compare(a, b);
}

TEST(Unwind, GoesThroughLibrariesWithoutFramePointers) {
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof numbers[0], &compare_and_look);
    bool in_libc = false, back_in_program = false;
    Dl_info libc{}, at{};
    ASSERT_NE(dladdr(reinterpret_cast<void*>(&qsort), &libc), 0);
    void* here = __builtin_return_address(0);
    for (const std::uintptr_t pc : seen_in_qsort) {
        if (dladdr(reinterpret_cast<void*>(pc), &at) != 0 && at.dli_fbase == libc.dli_fbase)
            in_libc = true;
        if (in_libc && pc + 1 == reinterpret_cast<std::uintptr_t>(here)) back_in_program = true;
    }
    EXPECT_TRUE(in_libc);
    EXPECT_TRUE(back_in_program);
}

[[gnu::noinline]] std::size_t bottom(captured& seen) {
    std::uintptr_t frames[most_frames];
    seen = capture(frames, most_frames, 0);
    return seen.depth;
}

[[gnu::noinline]] std::size_t deep(int levels, captured& seen) {
    if (levels == 0) return bottom(seen);
    volatile char use[64];
    use[0] = static_cast<char>(levels);
    const std::size_t n = deep(levels - 1, seen);
    return n + static_cast<std::size_t>(use[0] - use[0]);
}

TEST(Unwind, DeepRecursionGivesAllFramesThatFitAndSaysThatThereAreMore) {
    captured seen;
    EXPECT_EQ(deep(3000, seen), most_frames);
    EXPECT_TRUE(seen.cut);
    static_assert(most_frames >= 64);
}

TEST(Unwind, AWarmStackMakesNoRules) {
    captured seen;
    deep(40, seen);
    const std::uint64_t before = rules_made();
    for (int i = 0; i < 100; ++i) deep(40, seen);
    // The first of these calls may come from a line of its own.
    EXPECT_LE(rules_made() - before, 2u);
}

// ---- Signals and other stacks.

std::uintptr_t frames_of_handler[most_frames];
std::atomic<std::size_t> frames_in_handler{0};
void look(int, siginfo_t*, void*) {
    frames_in_handler = capture(frames_of_handler, most_frames, 0).depth;
}

[[gnu::noinline]] void raise_here() {
    raise(SIGUSR1);
    asm volatile("");
}

void with_handler(int flags, void (*body)()) {
    struct sigaction action {
    }, before{};
    action.sa_sigaction = &look;
    action.sa_flags = SA_SIGINFO | flags;
    sigaction(SIGUSR1, &action, &before);
    body();
    sigaction(SIGUSR1, &before, nullptr);
}

bool handler_was_called_through(void (*function)()) {
    const auto start = reinterpret_cast<std::uintptr_t>(function);
    for (std::size_t i = 0; i < frames_in_handler; ++i) {
        if (frames_of_handler[i] - start < 256) return true;
    }
    return false;
}

TEST(Unwind, GoesThroughASignalFrame) {
    with_handler(0, [] { raise_here(); });
    EXPECT_TRUE(handler_was_called_through(&raise_here));
    EXPECT_GT(frames_in_handler, 8u);
}

TEST(Unwind, GoesFromAnAlternateSignalStackToTheStackOfTheThread) {
    constexpr std::size_t size = 1 << 16;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternate{};
    alternate.ss_sp = memory;
    alternate.ss_size = size;
    stack_t before{};
    ASSERT_EQ(sigaltstack(&alternate, &before), 0);
    with_handler(SA_ONSTACK, [] { raise_here(); });
    EXPECT_TRUE(handler_was_called_through(&raise_here));
    EXPECT_GT(frames_in_handler, 8u);
    ASSERT_EQ(sigaltstack(&before, nullptr), 0);
    munmap(memory, size);
    EXPECT_GT(own_stack().size(), 5u);
}

#if !UNDER_ASAN
// A coroutine's stack: no rule leads out of it, and the page above it cannot be read.
ucontext_t main_context, other_context;
std::size_t other_depth = 0;
void on_other_stack() {
    other_depth = own_stack().size();
    swapcontext(&other_context, &main_context);
}

TEST(Unwind, AStackThatEndsAtAnUnreadablePageEndsTheWalk) {
    constexpr std::size_t size = 1 << 16;
    auto* memory = static_cast<char*>(
        mmap(nullptr, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory + size, 4096, PROT_NONE);
    for (int i = 0; i < 3; ++i) {
        getcontext(&other_context);
        other_context.uc_stack.ss_sp = memory;
        other_context.uc_stack.ss_size = size;
        other_context.uc_link = nullptr;
        makecontext(&other_context, &on_other_stack, 0);
        swapcontext(&main_context, &other_context);
        EXPECT_GE(other_depth, 1u);
    }
    munmap(memory, size + 4096);
    EXPECT_GT(own_stack().size(), 5u);
}
#endif

// Registers that point nowhere: whatever they say, nothing faults (U1).
TEST(Unwind, WildRegistersEndTheWalk) {
    std::uintptr_t frames[most_frames];
    const auto code = reinterpret_cast<std::uintptr_t>(&own_stack) + 40;
    for (const std::uintptr_t sp :
         {std::uintptr_t{0}, std::uintptr_t{8}, std::uintptr_t{4096}, ~std::uintptr_t{7},
          std::uintptr_t{0x7fff00000000}, reinterpret_cast<std::uintptr_t>(&frames[0])}) {
        for (const std::uintptr_t bp : {std::uintptr_t{0}, ~std::uintptr_t{0}, sp, sp + 3}) {
            for (const std::uintptr_t pc : {code, std::uintptr_t{1}, ~std::uintptr_t{0}}) {
                const captured c = capture_from({pc, sp, bp}, frames, most_frames);
                EXPECT_GE(c.depth, 1u);
            }
        }
    }
}

TEST(Unwind, ThreadsShareTheTableAndSeeTheSameStacks) {
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            captured first, seen;
            deep(30, first);
            for (int i = 0; i < 2000; ++i) {
                if (i % 500 == 0) forget_rules();
                deep(30, seen);
                if (seen.depth != first.depth) ++wrong;
            }
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
