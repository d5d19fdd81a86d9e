// heap_profile_test.cpp - the heap profile says what is true: sums equal the heap's own
// counts, estimates are unbiased, stacks name who allocated.
#include <gtest/gtest.h>

#include <csignal>

#include "profile/support.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/heap.hpp"
#include "steady/profile/profile.hpp"

namespace {

using namespace steady;
using namespace steady::profile;
using namespace steady::profile::test;

/// Sampling with a rate of its own for as long as it lives.
struct sampling {
    explicit sampling(std::uint64_t rate) { start_untuned(rate); }
    ~sampling() { stop(); }
};

[[gnu::noinline]] void* allocate_for_the_test(std::size_t size) {
    void* p = allocate(size);
    asm volatile("" : : "r"(p) : "memory");
    return p;
}

TEST(HeapProfile, AtRate1TheSumOfInuseSpaceIsTheHeapsLiveBytes) {
    static_cast<void>(trim());
    const std::uint64_t before = read_heap_statistics().heap_alloc;
    const sampling on(1);
    std::vector<void*> held;
    wyrand random(1);
    for (int i = 0; i < 2000; ++i) {
        const std::size_t size = random() % 3 == 0 ? random() % 3'000'000 : random() % 20'000;
        held.push_back(allocate(size));
        ASSERT_NE(held.back(), nullptr);
        if (random() % 3 == 0) {
            const std::size_t victim = random() % held.size();
            deallocate(held[victim]);
            held[victim] = held.back();
            held.pop_back();
        }
        if (random() % 5 == 0) {
            void*& p = held[random() % held.size()];
            p = reallocate(p, 1 + random() % 2'000'000);
        }
    }
    const auto records = snapshot(kind::heap, {.symbolize = false});
    const std::uint64_t live = read_heap_statistics().heap_alloc;
    EXPECT_EQ(total(records, inuse_space), static_cast<std::int64_t>(live));
    EXPECT_EQ(total(sampled(records), inuse_space), static_cast<std::int64_t>(live - before));
    EXPECT_EQ(total(sampled(records), inuse_objects), static_cast<std::int64_t>(held.size()));
    for (void* p : held) deallocate(p);
    const auto after = snapshot(kind::heap, {.symbolize = false});
    EXPECT_EQ(total(sampled(after), inuse_space), 0);
    EXPECT_EQ(total(sampled(after), inuse_objects), 0);
    EXPECT_GE(total(sampled(after), alloc_objects), 2000);
}

TEST(HeapProfile, StacksNameTheFunctionsThatAllocated) {
    const sampling on(1);
    void* p = allocate_for_the_test(1000);
    const auto records = snapshot(kind::heap);
    const auto mine = through(records, "allocate_for_the_test");
    ASSERT_EQ(mine.size(), 1u);
    EXPECT_EQ(mine[0].values[inuse_objects], 1);
    EXPECT_EQ(mine[0].values[inuse_space], 1024);
    bool in_this_test = false, in_main = false, has_line = false;
    for (const frame& f : mine[0].frames) {
        in_this_test = in_this_test || f.function.find("StacksNameTheFunctions") != f.function.npos;
        in_main = in_main || f.function == "main";
        has_line = has_line || (f.line > 0 && f.file.find("heap_profile_test.cpp") != f.file.npos);
    }
    EXPECT_TRUE(in_this_test);
    EXPECT_TRUE(in_main) << mine[0].frames.size();
#if !defined(NDEBUG)
    EXPECT_TRUE(has_line);
#endif
    deallocate(p);
}

TEST(HeapProfile, StacksBeginInTheProgramAndNotInTheHeap) {
    const sampling on(1);
    void* p = allocate_for_the_test(3000);
    const auto mine = through(snapshot(kind::heap), "allocate_for_the_test");
    ASSERT_FALSE(mine.empty());
    EXPECT_NE(mine.back().frames[0].function.find("allocate_for_the_test"), std::string::npos)
        << mine.back().frames[0].function;
    const temporary_file file(".pb.gz");
    file.write(write_pprof(kind::heap));
    const std::string text = run(pprof + " -traces " + file.path()).output;
    EXPECT_NE(text.find("allocate_for_the_test"), std::string::npos) << text;
    EXPECT_EQ(text.find("on_allocated"), std::string::npos) << text;
    EXPECT_EQ(text.find("thread_cache"), std::string::npos) << text;
    deallocate(p);
}

TEST(HeapProfile, TheSumOfFragSpaceIsInUseMinusLive) {
    for (const std::uint64_t rate : {std::uint64_t{1}, std::uint64_t{4096}}) {
        const sampling on(rate);
        std::vector<void*> held;
        wyrand random(7);
        for (int i = 0; i < 20'000; ++i) {
            held.push_back(allocate(16 + random() % 1500));
            *static_cast<char*>(held.back()) = 1;
        }
        for (std::size_t i = 0; i < held.size(); ++i) {
            if (i % 4 != 0) deallocate(held[i]);  // most objects of each span are free now
        }
        const auto records = snapshot(kind::heap, {.symbolize = false});
        const heap_statistics s = read_heap_statistics();
        EXPECT_EQ(total(records, frag_space),
                  static_cast<std::int64_t>(s.heap_inuse - s.heap_alloc));
        // The stacks of this test carry most of it, and not the line that is nobody's.
        const std::int64_t with_stack = total(sampled(records), frag_space);
        EXPECT_GT(with_stack, total(records, frag_space) / 2) << rate;
        EXPECT_GE(total(records, resident_space), total(records, inuse_space) / 2);
        for (std::size_t i = 0; i < held.size(); i += 4) deallocate(held[i]);
    }
}

TEST(HeapProfile, ResidentSpaceIsWhatWasTouched) {
    const sampling on(1);
    constexpr std::size_t size = std::size_t{8} << 20;
    auto* p = static_cast<char*>(allocate_for_the_test(size));
    const auto resident = [&] {
        return total(through(snapshot(kind::heap), "allocate_for_the_test"), resident_space);
    };
    const std::int64_t before = resident();
    for (std::size_t i = 0; i < size / 2; i += 4096) p[i] = 1;
    EXPECT_NEAR(static_cast<double>(resident() - before), size / 2, size / 8);
    deallocate(p);
}

[[gnu::noinline]] void* allocate_far_down(unsigned levels, std::size_t size) {
    void* p = levels == 0 ? allocate_for_the_test(size) : allocate_far_down(levels - 1, size);
    asm volatile("" : : : "memory");  // no call in tail position
    return p;
}

TEST(HeapProfile, FarDownARecursionTheInnermostFramesAreKept) {
    const sampling on(1);
    void* p = allocate_far_down(20'000, 1000);
    const std::uint64_t cut = read_counters().cut_stacks;
    const auto mine = through(snapshot(kind::heap), "allocate_far_down");
    ASSERT_EQ(mine.size(), 1u);
    EXPECT_GE(mine[0].frames.size(), 64u);
    EXPECT_EQ(mine[0].values[inuse_space], 1024);
    EXPECT_GE(cut, 1u);
    deallocate(p);
}

void* volatile allocated_in_handler = nullptr;

TEST(HeapProfile, AHandlerOnAnAlternateStackIsSampledLikeAnyCode) {
    const sampling on(1);
    std::vector<char> room(256 << 10);
    stack_t alternate{};
    alternate.ss_sp = room.data();
    alternate.ss_size = room.size();
    stack_t before{};
    ASSERT_EQ(sigaltstack(&alternate, &before), 0);
    struct sigaction action {};
    struct sigaction old {};
    action.sa_handler = [](int) { allocated_in_handler = allocate_for_the_test(2000); };
    action.sa_flags = SA_ONSTACK;
    ASSERT_EQ(sigaction(SIGUSR1, &action, &old), 0);
    void* outside = allocate_for_the_test(1500);
    raise(SIGUSR1);
    void* again = allocate_for_the_test(1500);
    sigaction(SIGUSR1, &old, nullptr);
    sigaltstack(&before, nullptr);
    const auto mine = through(snapshot(kind::heap), "allocate_for_the_test");
    EXPECT_EQ(total(mine, inuse_objects), 3);
    for (const stack_record& r : mine) {  // each goes on to the test, through the handler too
        EXPECT_EQ(through({r}, "AHandlerOnAnAlternateStack").size(), 1u) << r.frames.size();
    }
    for (void* p : {outside, static_cast<void*>(allocated_in_handler), again}) deallocate(p);
}

TEST(HeapProfile, GoToolPprofOpensIt) {
    const sampling on(1);
    void* p = allocate_for_the_test(100'000);
    const temporary_file file(".pb.gz");
    file.write(write_pprof(kind::heap));
    const outcome top = run(pprof + " -top -nodecount=50 " + file.path());
    EXPECT_EQ(top.status, 0) << top.output;
    EXPECT_NE(top.output.find("Type: inuse_space"), std::string::npos) << top.output;
    EXPECT_NE(top.output.find("allocate_for_the_test"), std::string::npos) << top.output;
    deallocate(p);
}

}  // namespace
