// heap_object_counts_test.cpp - a counter for every object that is shared: found from any
// address, zero when the span is new, gone with the span; and growth that copies nothing.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/object_counts.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using namespace steady::detail;

bool audited() {
    message why("test");
    const bool right = audit_heap(why);
    EXPECT_TRUE(right) << why.c_str();
    return right;
}

TEST(ObjectCounts, AreFoundFromAnyAddressInTheObject) {
    for (unsigned c = 1; c < class_count; ++c) {
        const std::size_t size = class_size[c];
        auto* p = static_cast<char*>(steady::allocate(size, 8));
        auto* q = static_cast<char*>(steady::allocate(size, 8));
        share_counter* mine = make_share_count(p);
        ASSERT_NE(mine, nullptr);
        ASSERT_NE(make_share_count(q), mine);
        mine->store(7);
        for (std::size_t at = 0; at < size; at += size / 7 + 1) {
            ASSERT_EQ(share_count(p + at), mine) << size;
            ASSERT_NE(share_count(q + at), mine) << size;
        }
        ASSERT_EQ(share_count(p + size - 1), mine) << size;
        mine->store(unshared);
        steady::deallocate(p);
        steady::deallocate(q);
    }
}

TEST(ObjectCounts, LargeAndHugeObjectsHaveOne) {
    for (const std::size_t size : {40'000, 1'000'000, 5'000'000, 100'000'000}) {
        auto* p = static_cast<char*>(steady::allocate(size));
        EXPECT_EQ(share_count(p), nullptr) << "OC1: nothing is shared";
        share_counter* mine = make_share_count(p);
        EXPECT_EQ(mine->load(), unshared);
        EXPECT_EQ(share_count(p + size - 1), mine);
        EXPECT_EQ(make_share_count(p + size / 2), mine);
        steady::deallocate(p);
        auto* again = static_cast<char*>(steady::allocate(size));
        EXPECT_EQ(share_count(again), nullptr) << "OC2: gone with the block";
        steady::deallocate(again);
    }
    EXPECT_TRUE(audited());
}

TEST(ObjectCounts, ForeignMemoryHasNone) {
    int local = 0;
    EXPECT_EQ(share_count(&local), nullptr);
    EXPECT_EQ(share_count(nullptr), nullptr);
    EXPECT_EQ(share_count(reinterpret_cast<void*>(~std::uintptr_t{0})), nullptr);
    EXPECT_EQ(extra_of(&local, true), nullptr);
    EXPECT_EQ(extra_of(nullptr, false), nullptr);
}

TEST(ObjectCounts, ExtrasComeWhenAskedForAndEmpty) {
    for (const std::size_t size : {8, 16, 48, 4096, 100'000, 3'000'000}) {
        void* p = steady::allocate(size, 8);
        static_cast<void>(make_share_count(p));
        EXPECT_EQ(extra_of(p, false), nullptr);
        object_extra* extra = extra_of(p, true);
        ASSERT_NE(extra, nullptr);
        EXPECT_EQ(extra->destroy, nullptr) << "OC3";
        extra->built = 5;
        EXPECT_EQ(extra_of(static_cast<char*>(p) + size - 1, false), extra);
        extra->built = 0;
        steady::deallocate(p);
    }
}

// OC1: what a span leaves behind must not be what the next one finds.
TEST(ObjectCounts, OfANewSpanAreUnsharedWhateverTheOldOneHeld) {
    wyrand random(3);
    for (int round = 0; round < 30; ++round) {
        std::vector<void*> all;
        const std::size_t size = class_size[1 + random.fastrandn(class_count - 1)];
        for (int i = 0; i < 2000; ++i) {
            void* p = steady::allocate(size, 8);
            share_counter* count = make_share_count(p);
            ASSERT_EQ(count->load(), unshared);
            count->store(1);
            object_extra* extra = extra_of(p, true);
            ASSERT_TRUE(extra->destroy == nullptr && extra->built == 0);
            extra->built = 1;
            all.push_back(p);
        }
        for (void* p : all) {
            share_count(p)->store(unshared);
            *extra_of(p, false) = {0, nullptr};
            steady::deallocate(p);
        }
        steady::trim();
    }
    EXPECT_TRUE(audited());
}

TEST(GrowWithoutCopy, KeepsBytesCounterAndExtra) {
    auto* p = static_cast<unsigned char*>(steady::allocate(2'000'000));
    static_cast<void>(make_share_count(p));
    share_count(p)->store(1);
    extra_of(p, true)->built = 9;
    std::size_t filled = 0;
    for (std::size_t size = 2'000'000; size < 900'000'000; size += size / 3) {
        const grown_block grown = grow_without_copy(p, size);
        ASSERT_NE(grown.base, nullptr) << size;
        p = static_cast<unsigned char*>(grown.base);
        ASSERT_GE(steady::usable_size(p), size);
        ASSERT_EQ(share_count(p + size - 1)->load(), 1u);
        ASSERT_EQ(extra_of(p, false)->built, 9u);
        for (std::size_t i = 0; i < filled; i += 4001) ASSERT_EQ(p[i], 0xab);
        for (std::size_t i = grown.zero_from; i < size; i += 4001)
            ASSERT_EQ(p[i], 0) << i << " of " << size;
        filled = steady::usable_size(p) < 40'000'000 ? steady::usable_size(p) : 40'000'000;
        std::memset(p, 0xab, filled);
    }
    share_count(p)->store(unshared);
    steady::deallocate(p);
    EXPECT_TRUE(audited());
}

TEST(GrowWithoutCopy, SaysFromWhereTheBytesAreZero) {
    for (const std::size_t size : {50'000, 200'000, 1'100'000, 6'000'000}) {
        for (int round = 0; round < 5; ++round) {
            // Dirt where the block will grow to, when it is made of the same pages.
            auto* dirty = static_cast<unsigned char*>(steady::allocate(3 * size));
            std::memset(dirty, 0xcd, 3 * size);
            steady::deallocate(dirty);
            auto* p = static_cast<unsigned char*>(steady::allocate(size));
            std::memset(p, 0xab, steady::usable_size(p));
            const grown_block grown = grow_without_copy(p, 2 * size);
            if (grown.base != nullptr) {
                p = static_cast<unsigned char*>(grown.base);
                for (std::size_t i = grown.zero_from; i < 2 * size; ++i) ASSERT_EQ(p[i], 0) << i;
            }
            steady::deallocate(p);
        }
    }
}

TEST(GrowWithoutCopy, RefusesWhatWouldHaveToBeCopied) {
    void* small = steady::allocate(100);
    EXPECT_EQ(grow_without_copy(small, 200).base, nullptr);
    EXPECT_EQ(grow_without_copy(small, 112).base, small) << "it has that much already";
    void* large = steady::allocate(500'000);
    EXPECT_EQ(grow_without_copy(large, 1 << 20).base, nullptr)
        << "from 1 MiB on, a huge block is better";
    EXPECT_EQ(grow_without_copy(large, ~std::size_t{0}).base, nullptr);
    int local = 0;
    EXPECT_EQ(grow_without_copy(&local, 8).base, nullptr);
    void* huge = steady::allocate(2'000'000);
    set_memory_limit(0, 1);
    EXPECT_EQ(grow_without_copy(huge, 200'000'000).base, nullptr);
    set_memory_limit(0, 0);
    steady::deallocate(small);
    steady::deallocate(large);
    steady::deallocate(huge);
}

}  // namespace
