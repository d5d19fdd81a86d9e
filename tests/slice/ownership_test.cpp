// slice_ownership_test.cpp - who keeps an array alive, where counters are, tiny blocks,
// growth in place and views that keep too much. Counted, not timed.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "steady/heap/allocator.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/statistics.hpp"
#include "steady/slice/functions.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;

std::uint64_t live_objects() {
    return read_statistics().heap_objects;
}

template <class T>
std::uint32_t count_of(const slice<T>& s) {
    detail::settle_lone_counts();  // LC2: what slots counted is the counter's now
    const detail::share_counter* count = detail::share_count(s.data());
    return count == nullptr || !detail::is_shared(count->load()) ? 0 : count->load();
}

// ---- counts

TEST(Counts, AreTheSlicesThatLookIntoTheArray) {
    auto s = make_slice<std::int64_t>(100);
    EXPECT_EQ(count_of(s), 1u);
    {
        const auto t = s, u = s.sub(10, 20);
        EXPECT_EQ(count_of(s), 3u) << "AR1";
        EXPECT_EQ(count_of(u), 3u);
        const auto moved = slice<std::int64_t>(t).sub(99, 100);
        EXPECT_EQ(count_of(moved), 4u);
    }
    EXPECT_EQ(count_of(s), 1u);
    s = s.sub(50, 60);
    EXPECT_EQ(count_of(s), 1u);
}

TEST(Counts, TheLastSliceFreesTheArray) {
    for (const std::ptrdiff_t n : {2, 3, 16, 1000, 4096, 5000, 100'000, 1'000'000}) {
        const std::uint64_t before = live_objects();
        auto s = make_slice<std::int64_t>(n);
        auto part = s.sub(n - 1, n);
        EXPECT_EQ(live_objects(), before + 1);
        s = nullptr;
        EXPECT_EQ(live_objects(), before + 1) << n << ": a part keeps all";
        part = part.sub(1, 1);
        EXPECT_EQ(live_objects(), before + 1) << n << ": even without a length (AR2)";
        part = nullptr;
        EXPECT_EQ(live_objects(), before) << n;
    }
}

TEST(Counts, NeighboursInASpanAreStrangers) {
    std::vector<slice<std::int64_t>> all;
    for (int i = 0; i < 5000; ++i) all.push_back(make_slice<std::int64_t>(4));
    for (int i = 0; i < 5000; i += 2) all[static_cast<std::size_t>(i)] = nullptr;
    for (int i = 1; i < 5000; i += 2) {
        const auto& s = all[static_cast<std::size_t>(i)];
        ASSERT_EQ(count_of(s), 1u);
        ASSERT_EQ(count_of(s.from(4)), 2u) << "s[len:] stays in its own object";
    }
}

TEST(Counts, ForeignMemoryInTheSameSpanIsLeftAlone) {
    const auto own = make_slice<std::int64_t>(8);
    std::vector<std::int64_t, allocator<std::int64_t>> vector(8, 5);
    {
        const auto view = slice_of(vector), copy = view;
        EXPECT_EQ(copy.retained(), 0u);
    }
    EXPECT_EQ(vector[7], 5);
}

TEST(Counts, SlicesWithoutAnArrayNeverFreeOne) {
    // Nobody counts these up, so a lone thread comes down to 0 some time.
    detail::lone_slot& nobody = detail::lone_slot_of(nullptr);
    for (int i = 0; i < 3; ++i) {
        nobody = {1, 0};
        { slice<int> nil; }
        nobody = {1, 0};
        {
            slice<int> from{1, 2};
            slice<int> to = std::move(from);
        }
        EXPECT_EQ(nobody.tag, 0u);
    }
}

TEST(Counts, AnEmptyForeignViewDoesNotCountTheNextObject) {
    std::vector<slice<std::int64_t>> all, empty;
    std::set<const void*> places, ends;
    int met = 0;  // arrays made where an empty view had been pointed to
    for (int i = 0; i < 2000; ++i) {
        all.push_back(make_slice<std::int64_t>(8));
        auto& s = all.back();
        met += static_cast<int>(ends.count(s.data()));
        places.insert(s.data());
        if (places.count(s.end()) != 0) continue;  // an array lies there already
        ends.insert(s.end());
        empty.push_back(slice_of(s.end(), 0));
        EXPECT_EQ(static_cast<const void*>(empty.back().data()), &detail::zerobase);
    }
    ASSERT_GT(met, 0) << "or this test shows nothing";
    empty.clear();
    for (const auto& s : all) ASSERT_EQ(count_of(s), 1u) << "no empty view was one of its slices";
    EXPECT_TRUE(slice_of(static_cast<int*>(nullptr), 0).is_nil());
}

TEST(Counts, SampledAndGuardedArraysAreFoundToo) {
    // The samplers put some of many objects on pages of their own.
    std::vector<slice<std::int64_t>> all;
    for (int i = 0; i < 60'000; ++i) {
        all.push_back(make_slice<std::int64_t>(100));
        const auto& s = all.back();
        ASSERT_EQ(s.retained(), 896u);
        ASSERT_EQ(count_of(s.from(99)), 2u);
    }
}

TEST(Counts, CountersGoWithTheirSpans) {
    const auto counts = [] { return detail::metadata_ledgers.counts.value().count(); };
    for (int round = 0; round < 3; ++round) {
        std::vector<slice<std::int64_t>> all;
        for (int i = 0; i < 20'000; ++i) all.push_back(make_slice<std::int64_t>(128));
        for (int i = 0; i < 40; ++i) all.push_back(make_slice<std::int64_t>(200'000));
        all.clear();
        trim();
    }
    const std::size_t after = counts();
    std::vector<slice<std::int64_t>> all;
    for (int i = 0; i < 20'000; ++i) all.push_back(make_slice<std::int64_t>(128));
    for (int i = 0; i < 40; ++i) all.push_back(make_slice<std::int64_t>(200'000));
    EXPECT_EQ(counts(), after) << "OC2: what was taken back is used again";
}

// Foreign memory was counted by nobody, in spans that get counters afterwards.
TEST(Counts, AnArrayAmongForeignViewsIsCounted) {
    std::vector<std::int64_t, allocator<std::int64_t>> foreign(600);
    for (auto view = slice_of(foreign.data(), 600); !view.empty(); view = view.from(1)) {
        ASSERT_EQ(view.retained(), 0u);
    }
    std::vector<slice<std::int64_t>> all;
    for (int i = 0; i < 100; ++i) {
        all.push_back(make_slice<std::int64_t>(600));
        const auto view = slice_of(foreign.data(), 600);
        const auto copy = all.back();
        ASSERT_EQ(count_of(copy), 2u);
        ASSERT_EQ(view.retained(), 0u);
    }
    for (const auto& s : all) ASSERT_EQ(count_of(s), 1u);
}

// ---- tiny blocks

TEST(Tiny, ArraysOfLessThan16BytesShareABlock) {
    detail::forget_tiny_block();
    const std::uint64_t before = live_objects();
    std::vector<slice<std::uint8_t>> all(64);
    for (auto& s : all) s = make_slice<std::uint8_t>(4);
    EXPECT_EQ(live_objects(), before + 16);
    EXPECT_EQ(all[0].retained(), 16u);
    EXPECT_EQ(count_of(all[0]), 4u);
    for (std::size_t i = 0; i < all.size(); ++i) all[i][0] = static_cast<std::uint8_t>(i);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i][0], i);
    all.clear();
    EXPECT_EQ(live_objects(), before + 1) << "the thread keeps the block it is filling";
    detail::forget_tiny_block();
    EXPECT_EQ(live_objects(), before);
}

TEST(Tiny, AlignsAsTheSizeDivides) {
    detail::forget_tiny_block();
    const auto one = make_slice<std::uint8_t>(1);
    const auto two = make_slice<std::uint16_t>(1);
    const auto four = make_slice<std::uint32_t>(1);
    const auto eight = make_slice<std::uint64_t>(1);
    EXPECT_EQ(reinterpret_cast<char*>(two.data()) - reinterpret_cast<char*>(one.data()), 2);
    EXPECT_EQ(reinterpret_cast<char*>(four.data()) - reinterpret_cast<char*>(one.data()), 4);
    EXPECT_EQ(reinterpret_cast<char*>(eight.data()) - reinterpret_cast<char*>(one.data()), 8);
    const auto next = make_slice<std::uint8_t>(1);
    EXPECT_NE(next.retained(), 0u);
    EXPECT_EQ(count_of(next), 2u) << "a new block: the array and the thread";
}

TEST(Tiny, ANewBlockStaysOnlyIfItHasMoreRoom) {
    detail::forget_tiny_block();
    const auto five = make_slice<std::uint8_t>(5);
    const auto fifteen = make_slice<std::uint8_t>(15);
    const auto six = make_slice<std::uint8_t>(6);
    EXPECT_EQ(six.data() - five.data(), 6) << "the block of five went on, as in Go";
    EXPECT_EQ(count_of(fifteen), 1u);
}

TEST(Tiny, ABlockThatNobodyUsesBeginsAgainZeroed) {
    detail::forget_tiny_block();
    for (int i = 0; i < 100; ++i) {
        auto s = make_slice<std::uint8_t>(8);
        for (const auto byte : s) ASSERT_EQ(byte, 0) << "AR4";
        for (auto& byte : s) byte = 0xff;
    }
    EXPECT_EQ(read_statistics().heap_objects, live_objects());
}

TEST(Tiny, PointersNeverShare) {
    const auto a = make_slice<void*>(1), b = make_slice<void*>(1);
    EXPECT_EQ(count_of(a), 1u);
    EXPECT_EQ(a.retained(), 8u);
    EXPECT_NE(a.data() + 1, nullptr);
    EXPECT_EQ(find_object(a.data()).kind, contents::may_hold_pointers);
    EXPECT_EQ(find_object(make_slice<double>(4).data()).kind, contents::no_pointers);
    EXPECT_EQ(count_of(b), 1u);
}

// ---- growth in place

struct growths {
    static inline std::uint64_t moved = 0, count = 0;
    growths() {
        moved = count = 0;
        growth_hook.install(
            [](void*, const growth_event& e) {
                moved += e.entries_moved;
                ++count;
                EXPECT_GE(e.bytes_after, e.bytes_before);
                EXPECT_STREQ(e.kind, "slice");
            },
            nullptr);
    }
    ~growths() { growth_hook.remove(); }
};

TEST(InPlace, OneByOneTo512MiBCopiesNothingBeyondOneMiB) {
    const growths seen;
    slice<std::int64_t> s;
    constexpr std::int64_t threshold = (1 << 20) / sizeof(std::int64_t);
    std::uint64_t moved_before_threshold = 0, mallocs = 0;
    for (std::int64_t i = 0; i < (512 << 20) / 8; ++i) {
        s.append(i);
        if (s.cap() >= threshold && mallocs == 0) {
            moved_before_threshold = growths::moved;
            mallocs = read_statistics().mallocs;
        }
    }
    EXPECT_GT(growths::count, 40u);
    EXPECT_EQ(growths::moved, moved_before_threshold) << "0 elements copied past the threshold";
    EXPECT_EQ(read_statistics().mallocs, mallocs) << "and no other array was made";
    for (std::int64_t i = 0; i < s.len(); i += 1001) ASSERT_EQ(s[i], i);
    EXPECT_EQ(s.back(), s.len() - 1);
}

TEST(InPlace, CapacitiesAreTheSameAsAnywhere) {
    slice<std::int64_t> sole;
    std::ptrdiff_t cap = 0;
    for (std::int64_t i = 0; i < 3'000'000; ++i) {
        if (i == cap) cap = growth::capacity<>(8, cap, cap + 1).cap;
        sole.append(i);
        ASSERT_EQ(sole.cap(), cap);
    }
}

TEST(InPlace, AnArrayThatOthersSeeIsCopied) {
    auto s = make_slice<std::int64_t>(1'000'000);
    const auto witness = s.sub(0, 10);
    s.append(1);
    EXPECT_NE(s.data(), witness.data());
    EXPECT_EQ(count_of(witness), 1u);
}

TEST(InPlace, APartOfAnArrayIsCopiedAloneThoughSole) {
    auto s = make_slice<std::int64_t>(1'000'000).from(900'000);
    EXPECT_EQ(s.cap(), 100'000);
    s.append(7);
    EXPECT_LT(s.retained(), 2'000'000u) << "Go's rule for 100,001 elements, not the whole array's";
    EXPECT_EQ(s[100'000], 7);
}

TEST(InPlace, WhatGrowsIsZeroBehindTheLength) {
    for (const std::ptrdiff_t n : {5000, 20'000, 100'000, 200'000, 3'000'000}) {
        {  // dirt for what comes
            auto dirty = make_slice<std::int64_t>(4 * n);
            for (auto& x : dirty) x = -1;
        }
        auto s = make_slice<std::int64_t>(n);
        for (auto& x : s) x = 1;
        for (int round = 0; round < 4; ++round) {
            s.append_range(
                std::vector<std::int64_t>(static_cast<std::size_t>(s.cap() - s.len()) + 1, 1));
            for (const auto x : s) ASSERT_EQ(x, 1);
            for (const auto x : s.sub(s.len(), s.cap())) ASSERT_EQ(x, 0) << "AR4 at " << n;
        }
    }
}

TEST(InPlace, ExactGrowthUsesTheRestOfThePages) {
    slice<std::int64_t, growth::exact> s;
    s.extend(5000);
    for (int i = 0; i < 3000; ++i) s.append(i);
    EXPECT_EQ(s.cap(), 8000);
    for (int i = 0; i < 3000; ++i) ASSERT_EQ(s[5000 + i], i);
    for (int i = 0; i < 5000; ++i) ASSERT_EQ(s[i], 0);
}

TEST(InPlace, AFailedGrowthChangesNothing) {
    auto s = make_slice<std::int64_t>(1'000'000);
    s[999'999] = 5;
    const auto* data = s.data();
    set_memory_limit(0, 1);
    EXPECT_THROW(s.append(1), std::bad_alloc);
    EXPECT_THROW(s.append(s), std::bad_alloc);
    EXPECT_THROW(s.append(1, 2), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(make_slice<char>(100'000)), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(make_slice<std::string>(0, 100'000)), std::bad_alloc);
    set_memory_limit(0, 0);
    EXPECT_EQ(s.data(), data);
    EXPECT_EQ(s.len(), 1'000'000);
    EXPECT_EQ(count_of(s), 1u);
    s.append(6);
    EXPECT_EQ(s[999'999] + s[1'000'000], 11);
}

// Sanitizers need address space of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__has_feature)

// In a process without address space: spans are there, and no memory for counters.
[[noreturn]] void make_arrays_without_metadata() {
    std::vector<slice<void*>> counted;
    std::vector<void*> plain;
    const auto fill = [](std::vector<void*>& all) {
        for (int i = 0; i < 400'000; ++i)
            all.push_back(allocate(8, 8, contents::may_hold_pointers));
    };
    fill(plain);
    for (int i = 0; i < 100'000; ++i) counted.push_back(make_slice<void*>(1));
    counted.resize(50'000);
    for (std::size_t i = 0; i < plain.size(); i += 2) deallocate(plain[i]);
    std::vector<slice<std::unique_ptr<int>>> managed(400'000);

    const rlimit none{1 << 20, 1 << 20};
    setrlimit(RLIMIT_AS, &none);
    int failures = 0;
    try {
        for (auto& s : managed) s.grow(1);
    } catch (const std::bad_alloc&) {
        ++failures;
    }
    try {
        for (int i = 0; i < 1'000'000; ++i) counted.push_back(make_slice<void*>(1));
    } catch (const std::bad_alloc&) {
        ++failures;
    }
    for (const auto& s : counted) failures += count_of(s) == 1 ? 0 : 100;
    std::exit(failures);
}

TEST(Failures, WithoutMemoryForCountersNothingIsMade) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(make_arrays_without_metadata(), testing::ExitedWithCode(2), "");
}

#endif

// ---- views that keep too much

struct small_views {
    static inline std::vector<small_view_event> seen;
    explicit small_views(const small_view_limits& limits = {}) {
        seen.clear();
        seen.reserve(100);
        set_small_view_limits(limits);
        small_view_hook.install([](void*, const small_view_event& e) { seen.push_back(e); },
                                nullptr);
    }
    ~small_views() {
        small_view_hook.remove();
        set_small_view_limits({});
    }
};

TEST(SmallViews, AreReportedWhenCutAndWhenTheyWereTheLast) {
    const small_views watch;
    auto file = make_slice<char>(10'000'000);
    auto header = file.sub(0, 20);
    ASSERT_EQ(small_views::seen.size(), 1u);
    EXPECT_EQ(small_views::seen[0].kind, small_view_event::what::made);
    EXPECT_EQ(small_views::seen[0].view, 20_B);
    EXPECT_EQ(small_views::seen[0].retained, bytes{10'002'432});
    EXPECT_EQ(header.retained(), 10'002'432u);
    file = nullptr;
    EXPECT_EQ(small_views::seen.size(), 1u);
    header = nullptr;
    ASSERT_EQ(small_views::seen.size(), 2u);
    EXPECT_EQ(small_views::seen[1].kind, small_view_event::what::held_alone);
}

TEST(SmallViews, AreJudgedByTheLimits) {
    const small_views watch({.retained = 1000_B, .parts = 4});
    auto s = make_slice<char>(1024);
    auto quarter = s.sub(0, 256);
    EXPECT_TRUE(small_views::seen.empty());
    auto less = s.sub(0, 255);
    EXPECT_EQ(small_views::seen.size(), 1u);
    auto little = make_slice<char>(890).sub(0, 1);
    EXPECT_EQ(small_views::seen.size(), 1u) << "896 bytes are less than the limit";
    set_small_view_limits({.retained = 1_B, .parts = 0});
    auto none = s.sub(0, 1023);
    EXPECT_EQ(small_views::seen.size(), 2u) << "parts of 0 mean 1";
}

TEST(SmallViews, AreToldOnStderr) {
    testing::internal::CaptureStderr();
    report_small_views();
    {
        auto s = make_slice<char>(100'000);
        s = s.sub(5, 6);
    }
    small_view_hook.remove();
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_NE(text.find("steady: slice: a view of 1 byte keeps an array of 106496 bytes alive."),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("was the last to keep an array of 106496 bytes"), std::string::npos);
}

}  // namespace
