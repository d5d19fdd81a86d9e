// page_heap_test.cpp - the page heap beside a model that walks one byte a page:
// every answer must be the same page, and every ledger the same number.

#include <algorithm>

#include "heap/page_slice.hpp"

namespace {

using namespace steady;
using namespace steady::test;

struct block {
    page_index first;
    unsigned count;
};

/// What a session of random operations looks like.
struct habits {
    pages capacity;
    unsigned operations;
    unsigned check_every;
    unsigned longest;       // pages of the longest request
    unsigned live_percent;  // of the capacity, where frees begin to outnumber requests
    std::uint64_t seed;
};

/// Mostly single pages and spans, sometimes something long.
unsigned some_size(std::mt19937_64& random, unsigned longest) {
    switch (random() % 8) {
        case 0: return 1 + static_cast<unsigned>(random() % longest);
        case 1:
        case 2: return 1 + static_cast<unsigned>(random() % std::min(longest, 80u));
        case 3:
        case 4: return 1 + static_cast<unsigned>(random() % 10);
        default: return 1;
    }
}

class session {
public:
    explicit session(const habits& how)
        : how_{how}, slice_{how.capacity}, model_{how.capacity}, random_{how.seed} {}

    void run() {
        for (unsigned i = 0; i < how_.operations && !testing::Test::HasFailure(); ++i) {
            step();
            if (i % how_.check_every == 0) compare_all();
        }
        compare_all();
        while (!live_.empty()) free_all_of(live_.size() - 1);
        EXPECT_EQ(slice_.heap.in_use(), pages{0});
        while (slice_.scavenge(256_pages, true).count != 0) {
        }
        EXPECT_EQ(slice_.heap.free_resident(), pages{0});
        slice_.expect_consistent();
        EXPECT_GT(scavenged_, 0u) << "or the comparison of zeroed pages proved nothing";
        EXPECT_GT(extended_, 0u);
    }

private:
    void step() {
        const bool full = live_pages_ * 100 > how_.capacity.count() * how_.live_percent;
        switch (random_() % 16) {
            case 0: extend_one(); break;
            case 1: shrink_one(); break;
            case 2: allocate_aligned(); break;
            case 3: random_() % 8 == 0 ? scavenge() : allocate(); break;
            default: full || random_() % 2 == 0 ? free_one() : allocate(); break;
        }
    }

    void allocate() {
        const unsigned n = some_size(random_, how_.longest);
        if (!model_.fits(n)) return free_one();
        const auto got = slice_.heap.allocate(pages{n});
        ASSERT_TRUE(got) << got.error().action;
        remember(*got, model_.allocate(n));
    }

    void allocate_aligned() {
        const unsigned n = some_size(random_, how_.longest / 2 + 1);
        const unsigned alignment = 1u << random_() % 9;
        if (!model_.fits(n + alignment)) return free_one();
        const auto got = slice_.heap.allocate_aligned(pages{n}, pages{alignment});
        ASSERT_TRUE(got) << got.error().action;
        const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(slice_.address(got->first));
        EXPECT_EQ(address % (std::size_t{alignment} << page_shift), 0u);
        remember(*got, model_.allocate_aligned(
                           n, alignment,
                           reinterpret_cast<std::uintptr_t>(slice_.address(0)) >> page_shift));
    }

    void remember(const page_run& got, const page_run& expected) {
        ASSERT_EQ(got.first, expected.first) << "for " << expected.count << " pages";
        ASSERT_EQ(got.count, expected.count);
        ASSERT_EQ(got.zeroed, expected.zeroed);
        live_.push_back({got.first, got.count});
        live_pages_ += got.count;
    }

    void extend_one() {
        if (live_.empty()) return;
        block& b = live_[random_() % live_.size()];
        const unsigned n = some_size(random_, how_.longest / 4 + 1);
        bool zeroed = false, zeroed_in_model = false;
        const bool expected = model_.extend(b.first + b.count, n, zeroed_in_model);
        ASSERT_EQ(slice_.heap.extend(b.first + b.count, pages{n}, zeroed), expected);
        if (!expected) return;
        ASSERT_EQ(zeroed, zeroed_in_model);
        b.count += n;
        live_pages_ += n;
        ++extended_;
    }

    void shrink_one() {
        if (live_.empty()) return;
        block& b = live_[random_() % live_.size()];
        if (b.count == 1) return;
        const unsigned n = 1 + static_cast<unsigned>(random_() % (b.count - 1));
        free_pages(b.first + b.count - n, n);
        b.count -= n;
    }

    void free_one() {
        if (!live_.empty()) free_all_of(random_() % live_.size());
    }
    void free_all_of(std::size_t i) {
        free_pages(live_[i].first, live_[i].count);
        live_[i] = live_.back();
        live_.pop_back();
    }
    void free_pages(page_index first, unsigned n) {
        slice_.heap.free(first, pages{n});
        model_.free(first, n);
        live_pages_ -= n;
    }

    void scavenge() {
        const unsigned max = 1 + static_cast<unsigned>(random_() % 300);
        page_heap::scavenge_candidate taken{0, 0};
        if (!slice_.heap.take_scavenge_candidate(pages{max}, random_() % 4 == 0, taken)) return;
        ASSERT_LE(taken.count, max);
        for (page_index p = taken.first; p < taken.first + taken.count; ++p) {
            ASSERT_EQ(model_.at(p), model::dirty) << "only dirty pages are given back";
        }
        const bool released = random_() % 8 != 0;
        if (released) {
            os::decommit(slice_.address(taken.first), to_bytes(pages{taken.count}), true).value();
            model_.released(taken.first, taken.count);
        }
        slice_.heap.finish_scavenge(taken, released);
        scavenged_ += released;
    }

    void compare_all() {
        slice_.expect_consistent();
        EXPECT_EQ(slice_.heap.high_water().count(), model_.top());
        EXPECT_EQ(slice_.heap.grown().count(), model_.top());
        EXPECT_EQ(slice_.heap.in_use().count(), live_pages_);
        EXPECT_EQ(slice_.heap.in_use().count(), model_.count(model::used));
        EXPECT_EQ(slice_.heap.free_resident().count(), model_.count(model::dirty));
        EXPECT_EQ(slice_.heap.free_scavenged().count(), model_.count(model::clean));
    }

    habits how_;
    slice slice_;
    model model_;
    std::mt19937_64 random_;
    std::vector<block> live_;
    std::size_t live_pages_ = 0;
    unsigned scavenged_ = 0, extended_ = 0;
};

TEST(PageHeap, AnswersAMillionRandomRequestsAsTheModelDoes) {
    session({.capacity = 8192_pages,
             .operations = 1'000'000,
             .check_every = 500,
             .longest = 600,
             .live_percent = 60,
             .seed = 1})
        .run();
}

TEST(PageHeap, AnswersAsTheModelDoesWhenTheSliceIsSmallAndFull) {
    session({.capacity = 2048_pages,
             .operations = 200'000,
             .check_every = 100,
             .longest = 40,
             .live_percent = 95,
             .seed = 2})
        .run();
}

TEST(PageHeap, AnswersAsTheModelDoesAcrossEveryLevelOfSummaries) {
    // 80 GiB of addresses: five entries of the root. No page of it is touched.
    session({.capacity = pages{20480 * 512},
             .operations = 800,
             .check_every = 200,
             .longest = 3'000'000,
             .live_percent = 50,
             .seed = 3})
        .run();
}

TEST(PageHeap, SinglePagesComeInTheOrderOfTheirAddresses) {
    slice s(4096_pages);
    for (page_index expected = 0; expected < 1500; ++expected) {
        ASSERT_EQ(s.heap.allocate(1_pages)->first, expected);
    }
    s.heap.free(700, 1_pages);
    s.heap.free(30, 2_pages);
    EXPECT_EQ(s.heap.allocate(2_pages)->first, 30u);
    EXPECT_EQ(s.heap.allocate(1_pages)->first, 700u);
    EXPECT_EQ(s.heap.allocate(1_pages)->first, 1500u);
    s.expect_consistent();
}

TEST(PageHeap, ARunMayCrossChunksAndLevels) {
    slice s(pages{1200 * 512});
    const page_run whole = *s.heap.allocate(pages{1030 * 512});
    EXPECT_EQ(whole.first, 0u);
    // Free runs across the border of chunks 0|1, of blocks 7|8, of groups 63|64, of 511|512.
    const unsigned borders[] = {1, 8, 64, 512, 1024};
    for (const unsigned chunk : borders) s.heap.free(chunk * 512 - 5, 12_pages);
    s.expect_consistent();
    for (const unsigned chunk : borders) {
        EXPECT_EQ(s.heap.allocate(12_pages)->first, chunk * 512 - 5);
    }
    EXPECT_EQ(s.heap.allocate(12_pages)->first, 1030u * 512);
    s.expect_consistent();
}

TEST(PageHeap, ContentsOfPagesSaidToBeZeroedAreZero) {
    slice s(4096_pages);
    std::mt19937_64 random(4);
    std::vector<block> live;
    unsigned zeroed = 0, scavenged = 0;
    for (unsigned i = 0; i < 20'000; ++i) {
        if (random() % 16 == 0) scavenged += s.scavenge(pages{random() % 256 + 1}, true).count != 0;
        if (live.size() > 150 || (!live.empty() && random() % 2 == 0)) {
            const std::size_t which = random() % live.size();
            s.heap.free(live[which].first, pages{live[which].count});
            live[which] = live.back();
            live.pop_back();
            continue;
        }
        const auto run = *s.heap.allocate(pages{some_size(random, 20)});
        live.push_back({run.first, run.count});
        std::byte* const start = s.address(run.first);
        const std::size_t size = std::size_t{run.count} << page_shift;
        if (run.zeroed) {
            ++zeroed;
            const auto* words = reinterpret_cast<const std::uint64_t*>(start);
            ASSERT_TRUE(
                std::all_of(words, words + size / 8, [](std::uint64_t w) { return w == 0; }));
        }
        std::memset(start, 0xa5, size);
    }
    EXPECT_GT(zeroed, 100u);
    EXPECT_GT(scavenged, 100u);
    s.expect_consistent();
}

TEST(PageHeap, ExtendingAtTheTopGrowsTheSlice) {
    slice s(4096_pages);
    const page_run run = *s.heap.allocate(500_pages);
    bool zeroed = false;
    EXPECT_TRUE(s.heap.extend(run.first + 500, 1000_pages, zeroed));
    EXPECT_TRUE(zeroed);
    EXPECT_EQ(s.heap.in_use(), 1500_pages);
    EXPECT_EQ(s.heap.grown(), 1536_pages);
    EXPECT_FALSE(s.heap.extend(1500, 4096_pages)) << "more than the slice has";
    EXPECT_FALSE(s.heap.extend(100, 1_pages)) << "taken";
    EXPECT_TRUE(s.heap.extend(1500, 0_pages)) << "nothing is always there";
    s.heap.free(1400, 100_pages);
    EXPECT_TRUE(s.heap.extend(1400, 50_pages, zeroed));
    EXPECT_FALSE(zeroed) << "used before";
    s.expect_consistent();
}

TEST(PageHeap, WhatCannotBeIsAnErrorAndChangesNothing) {
    slice s(1024_pages);
    EXPECT_EQ(s.heap.allocate(0_pages).error().code, errc::invalid_argument);
    EXPECT_EQ(s.heap.allocate_aligned(1_pages, 3_pages).error().code, errc::invalid_argument);
    EXPECT_EQ(s.heap.allocate_aligned(0_pages, 4_pages).error().code, errc::invalid_argument);
    EXPECT_EQ(s.heap.allocate(1025_pages).error().code, errc::out_of_memory);
    EXPECT_EQ(s.heap.allocate(pages{~std::size_t{0}}).error().code, errc::out_of_memory);
    EXPECT_EQ(s.heap.allocate_aligned(1_pages, pages{1u << 31}).error().code, errc::out_of_memory);
    EXPECT_EQ(s.heap.grown(), 0_pages);
    EXPECT_TRUE(s.heap.allocate(1024_pages));
    EXPECT_EQ(s.heap.allocate(1_pages).error().code, errc::out_of_memory);
    s.heap.free(17, 1_pages);
    EXPECT_EQ(s.heap.allocate(1_pages)->first, 17u);
    s.expect_consistent();
}

TEST(PageHeap, OpensOnlyOverWholeChunksAtHugePageBoundaries) {
    os::area memory = os::area::open(64_MiB, 4_MiB, 0, false, bytes{}).value();
    os::area tables = os::area::open(1_MiB, 64_KiB, 0, false, bytes{}).value();
    page_heap h;
    EXPECT_FALSE(h.open(memory, 64_KiB, 512_pages, tables, bytes{}));
    EXPECT_FALSE(h.open(memory, bytes{}, 0_pages, tables, bytes{}));
    EXPECT_FALSE(h.open(memory, bytes{}, 513_pages, tables, bytes{}));
    EXPECT_FALSE(h.open(memory, bytes{}, pages{(std::size_t{1} << 27) + 512}, tables, bytes{}));
    EXPECT_TRUE(h.open(memory, 2_MiB, 512_pages, tables, 64_KiB));
    memory.close().value();
    tables.close().value();
}

TEST(PageHeap, ASmallHeapTouchesOneOsPageOfTables) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the thread sanitizer leaves no TiB of addresses free";
#endif
    slice s(pages{std::size_t{1} << 27});
    for (unsigned i = 0; i < 2048; ++i) ASSERT_TRUE(s.heap.allocate(2_pages));  // 32 MiB
    EXPECT_EQ(s.heap.grown(), pages{8 * 512});
    EXPECT_EQ(s.tables.prepared(), std::max(4_KiB, os::os_page()));
    s.expect_consistent();
}

TEST(PageHeapDeathTest, FreeingAPageTwiceStopsTheProgram) {
    if constexpr (STEADY_CHECK < 1) GTEST_SKIP() << "a release build does not look";
    slice s(1024_pages);
    const page_run run = *s.heap.allocate(4_pages);
    s.heap.free(run.first, 4_pages);
    EXPECT_DEATH(s.heap.free(run.first, 1_pages), "G1 a page is freed once");
    EXPECT_DEATH(s.heap.free(600, 1_pages), "G1 every page is grown once");
}

}  // namespace
