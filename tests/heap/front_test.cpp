// heap_front_test.cpp - the front door: the class each request gets, what any
// address answers, and the edges of every call.
#include "steady/heap/detail/front.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "heap/own_process.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;
using steady::test::expect_passes;

std::uintptr_t at(const void* p) {
    return reinterpret_cast<std::uintptr_t>(p);
}

// ---- Which class.

// The definition: the smallest class that holds the size and whose objects, in a
// span that begins at a page, all stand at multiples of the alignment.
unsigned class_by_definition(std::size_t size, std::size_t alignment) {
    if (alignment > page_size.count()) return 0;
    for (unsigned c = 1; c < class_count; ++c) {
        if (class_size[c] >= size && (alignment <= 8 || class_size[c] % alignment == 0)) return c;
    }
    return 0;
}

TEST(ClassFor, IsTheDefinitionForEverySizeAndAlignment) {
    for (std::size_t alignment = 1; alignment <= 4 * page_size.count(); alignment *= 2) {
        unsigned expected = class_by_definition(0, alignment);
        for (std::size_t size = 0; size <= detail::largest_small + 200; ++size) {
            if (expected != 0 && class_size[expected] < size)
                expected = class_by_definition(size, alignment);
            ASSERT_EQ(detail::class_for(size, alignment, true),
                      expected == 0 ? 0u : expected * 2 + 1)
                << size << " at " << alignment;
            ASSERT_EQ(detail::class_for(size, alignment, false), expected * 2)
                << size << " at " << alignment;
        }
    }
}

TEST(ClassFor, MallocsTableIsTheDefinitionAt16AndFor8BytesAt8) {
    for (std::size_t size = 0; size <= detail::largest_small; ++size) {
        const unsigned sclass =
            size <= detail::table_split
                ? detail::span_classes.by_size[size]
                : detail::span_classes.by_128[(size - detail::table_split + 127) >> 7];
        ASSERT_EQ(sclass, class_by_definition(size, size <= 8 ? 8 : 16) * 2 + 1) << size;
    }
}

TEST(Front, EveryRequestGetsItsClassAndItsAlignment) {
    for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2) {
        for (std::size_t size = 0; size <= 70'000; size += size < 300 ? 7 : 1009) {
            for (const contents kind : {contents::no_pointers, contents::may_hold_pointers}) {
                void* p = steady::allocate(size, alignment, kind);
                ASSERT_EQ(at(p) % alignment, 0u) << size << " at " << alignment;
                const object_info o = find_object(p);
                const unsigned c = class_by_definition(size, alignment);
                const std::size_t rounded = round_up(size == 0 ? 1 : size, page_size.count());
                ASSERT_EQ(o.size, c != 0 ? class_size[c] : rounded) << size << " at " << alignment;
                ASSERT_EQ(o.kind, kind);
                ASSERT_EQ(usable_size(p), o.size);
                steady::deallocate(p);
            }
        }
    }
}

// ---- What an address answers.

TEST(FindObject, AnswersForEveryByteOfASpanOfEveryClass) {
    for (unsigned c = 1; c < class_count; ++c) {
        void* p = steady::allocate(class_size[c], 8);
        const object_info mine = find_object(p);
        auto* const base = static_cast<char*>(mine.span_base);
        const std::size_t size = class_size[c];
        ASSERT_EQ(mine.base, p);
        ASSERT_EQ(mine.span_size, to_bytes(pages{class_pages[c]}).count());
        ASSERT_EQ(mine.count, class_objects[c]);
        const auto expect_object = [&](std::size_t index, std::size_t offset) {
            const object_info o = find_object(base + index * size + offset);
            ASSERT_EQ(o.base, base + index * size) << "class " << c << " offset " << offset;
            ASSERT_EQ(o.index, index);
            ASSERT_EQ(o.size, size);
        };
        for (std::size_t i = 0; i < mine.count; ++i) {
            for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, size / 2, size - 1})
                expect_object(i, offset);
        }
        // Every single byte where it is cheap, and all of the tail.
        for (std::size_t b = 0; c % 10 == 1 && b < mine.count * size; ++b)
            expect_object(b / size, b % size);
        for (std::size_t b = mine.count * size; b < mine.span_size; ++b)
            ASSERT_FALSE(find_object(base + b)) << "class " << c << ", tail byte " << b;
        steady::deallocate(p);
    }
}

TEST(FindObject, AnswersInsideLargeAndHugeObjects) {
    for (const std::size_t size : {std::size_t{32'769}, std::size_t{1'000'000},
                                   std::size_t{4} << 20, (std::size_t{9} << 20) + 1}) {
        auto* p = static_cast<char*>(detail::allocate(size));
        wyrand random(size);
        for (int i = 0; i < 300; ++i) ASSERT_EQ(find_object(p + random() % size).base, p);
        const object_info o = find_object(p + size - 1);
        EXPECT_EQ(o.base, p);
        EXPECT_EQ(o.size, round_up(size, page_size.count()));
        EXPECT_EQ(o.count, 1u);
        EXPECT_NE(find_object(p + o.size).base, p);
        EXPECT_NE(find_object(p - 1).base, p);
        detail::deallocate(p);
        EXPECT_FALSE(find_object(p)) << "its span is gone";
    }
}

TEST(FindObject, KnowsNoObjectsOfOthers) {
    int local = 0;
    static int global = 0;
    EXPECT_FALSE(find_object(&local));
    EXPECT_FALSE(find_object(&global));
    EXPECT_FALSE(find_object(nullptr));
    EXPECT_FALSE(find_object(reinterpret_cast<void*>(~std::uintptr_t{0})));
    EXPECT_FALSE(find_object(reinterpret_cast<void*>(detail::heap_map.base - 1)));
    EXPECT_FALSE(detail::owns(&local));
    void* p = detail::allocate(10);
    EXPECT_TRUE(detail::owns(p));
    detail::deallocate(p);
}

TEST(FindObject, SideDataStaysWithTheSpan) {
    auto* p = static_cast<char*>(detail::allocate(64));
    int mark = 0;
    find_object(p).side_data->store(&mark);
    EXPECT_EQ(find_object(p + 63).side_data->load(), &mark);
    EXPECT_EQ(find_object(find_object(p).span_base).side_data->load(), &mark);
    find_object(p).side_data->store(nullptr);
    detail::deallocate(p);
    for (const std::size_t size : {std::size_t{100'000}, std::size_t{8} << 20}) {
        void* q = detail::allocate(size);
        EXPECT_EQ(find_object(q).side_data->load(), nullptr);
        find_object(q).side_data->store(&mark);
        detail::deallocate(q);
        void* again = detail::allocate(size);
        EXPECT_EQ(find_object(again).side_data->load(), nullptr) << "null when the span is new";
        detail::deallocate(again);
    }
}

// A collector looks at whole pages, so no page may hold both kinds.
TEST(Contents, WithAndWithoutPointersNeverShareAPage) {
    wyrand random(11);
    std::map<std::uintptr_t, contents> kind_of_page;
    std::vector<void*> live;
    for (int i = 0; i < 30'000; ++i) {
        const std::size_t size = random.fastrandn(random.fastrandn(50) == 0 ? 60'000 : 700);
        const contents kind =
            random.fastrandn(2) == 0 ? contents::no_pointers : contents::may_hold_pointers;
        void* p = steady::allocate(size, 8, kind);
        live.push_back(p);
        const object_info o = find_object(p);
        for (std::uintptr_t page = at(p) >> page_shift; page <= (at(p) + o.size - 1) >> page_shift;
             ++page) {
            const auto [place, fresh] = kind_of_page.emplace(page, kind);
            ASSERT_EQ(place->second, kind);
        }
    }
    for (void* p : live) steady::deallocate(p);
}

TEST(Contents, SurviveReallocOfAnySize) {
    for (const contents kind : {contents::no_pointers, contents::may_hold_pointers}) {
        void* p = steady::allocate(10, 16, kind);
        for (const std::size_t size : {100, 40'000, 300'000, 9 << 20, 20 << 20, 100'000, 500, 7}) {
            p = steady::reallocate(p, size);
            ASSERT_NE(p, nullptr);
            EXPECT_EQ(find_object(p).kind, kind) << size;
        }
        steady::deallocate(p);
    }
}

// ---- The calls at their edges.

TEST(Front, ASizeOfZeroIsAnObjectOfItsOwn) {
    std::set<void*> seen;
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(seen.insert(detail::allocate(0)).second);
    EXPECT_EQ(usable_size(*seen.begin()), 8u);
    for (void* p : seen) detail::deallocate(p);
    detail::deallocate(nullptr);
    detail::deallocate_sized(nullptr, 100);
    EXPECT_EQ(usable_size(nullptr), 0u);
}

TEST(Front, ObjectsOfNineBytesAndMoreStandAtMultiplesOf16) {
    for (std::size_t size = 1; size <= 3000; ++size) {
        void* p = detail::allocate(size);
        ASSERT_EQ(at(p) % (size <= 8 ? 8 : 16), 0u) << size;
        ASSERT_GE(usable_size(p), size);
        detail::deallocate(p);
    }
}

TEST(Front, ZeroedMemoryIsZeroAfterAnyUse) {
    for (const std::size_t size : {1u, 24u, 1000u, 32'768u, 32'769u, 500'000u, 5u << 20}) {
        for (int round = 0; round < 4; ++round) {
            auto* dirty = static_cast<unsigned char*>(detail::allocate(size));
            std::memset(dirty, 0xee, usable_size(dirty));
            detail::deallocate(dirty);
            auto* p = static_cast<unsigned char*>(detail::allocate_zeroed(size));
            for (std::size_t i = 0; i < size; i += size < 100'000 ? 1 : 509) ASSERT_EQ(p[i], 0);
            ASSERT_EQ(p[size - 1], 0);
            detail::deallocate(p);
        }
    }
}

TEST(Front, ImpossibleSizesAreRefusedAndTheObjectStays) {
    auto* p = static_cast<char*>(detail::allocate(100));
    p[99] = 'x';
    for (const std::size_t size : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 8191, std::size_t{1} << 62}) {
        EXPECT_EQ(detail::allocate(size), nullptr);
        EXPECT_EQ(detail::allocate_zeroed(size), nullptr);
        EXPECT_EQ(detail::allocate_aligned(size, 4096), nullptr);
        EXPECT_EQ(detail::reallocate(p, size), nullptr);
        EXPECT_FALSE(detail::grow_in_place(p, size));
    }
    EXPECT_EQ(p[99], 'x');
    detail::deallocate(p);
}

TEST(Front, AnyAlignmentIsKeptOrRefused) {
    for (unsigned shift = 13; shift < 64; ++shift) {
        if (shift > 34 && shift <= 40) continue;  // kept, at the price of a heap that wide
        for (const std::size_t size :
             {std::size_t{100}, std::size_t{100'000}, std::size_t{5} << 20}) {
            void* p = detail::allocate_aligned(size, std::size_t{1} << shift);
            EXPECT_EQ(at(p) & ((std::size_t{1} << shift) - 1), 0u) << "2^" << shift;
            if (shift <= 30) {
                EXPECT_NE(p, nullptr) << "2^" << shift;
            }
            detail::deallocate(p);
        }
    }
}

TEST(Front, GrowingInPlaceNeverMovesAndNeverShrinks) {
    for (const std::size_t size : {100u, 40'000u, 1u << 20, 5u << 20}) {
        auto* p = static_cast<char*>(detail::allocate(size));
        std::memset(p, 5, size);
        const std::size_t before = usable_size(p);
        EXPECT_TRUE(steady::grow_in_place(p, 1)) << "it holds one byte already";
        EXPECT_EQ(usable_size(p), before);
        EXPECT_TRUE(steady::grow_in_place(p, before));
        const std::size_t after = steady::try_grow(p, before + 1);
        EXPECT_EQ(after, usable_size(p));
        EXPECT_TRUE(after == before || after > before);
        EXPECT_EQ(find_object(p + after - 1).base, p);
        for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(p[i], 5);
        std::memset(p, 6, after);
        detail::deallocate(p);
    }
    void* small = detail::allocate(100);
    EXPECT_FALSE(steady::grow_in_place(small, 113)) << "a class is what it is";
    detail::deallocate(small);
}

TEST(Front, ReallocKeepsContentsAcrossEveryBorder) {
    constexpr std::size_t sizes[] = {1,       8,       9,      24,        1024,          1025,
                                     16'000,  32'768,  32'769, 100'000,   (4 << 20) - 1, 4 << 20,
                                     5 << 20, 9 << 20, 40'000, 1'000'000, 20'000,        16};
    for (const std::size_t from : sizes) {
        for (const std::size_t to : sizes) {
            auto* p = static_cast<unsigned char*>(detail::allocate(from));
            const std::size_t kept = from < to ? from : to;
            for (std::size_t i = 0; i < kept; i += 97) p[i] = static_cast<unsigned char>(i + from);
            p[kept - 1] = 77;
            p = static_cast<unsigned char*>(detail::reallocate(p, to));
            ASSERT_NE(p, nullptr);
            ASSERT_GE(usable_size(p), to);
            ASSERT_EQ(p[kept - 1], 77) << from << " -> " << to;
            for (std::size_t i = 0; i + 1 < kept; i += 97)
                ASSERT_EQ(p[i], static_cast<unsigned char>(i + from)) << from << " -> " << to;
            detail::deallocate(p);
        }
    }
    message why("test");
    EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
}

TEST(Front, ThePagesOfAFreedLargeObjectServeTheNext) {
    void* p = detail::allocate(500'000);
    detail::deallocate(p);
    void* q = detail::allocate(500'000);
    EXPECT_EQ(p, q) << "the lowest pages that fit";
    detail::deallocate(q);
}

TEST(Front, AHardLimitRefusesAndTheProgramGoesOn) {
    expect_passes("hard_memory_limit=64MiB", [] {
        std::vector<void*> live;
        for (int i = 0; i < 100; ++i) {
            if (void* p = detail::allocate(1 << 20)) live.push_back(p);
        }
        EXPECT_GT(live.size(), 40u);
        EXPECT_LT(live.size(), 64u);
        EXPECT_EQ(detail::allocate(40 << 20), nullptr);
        std::uint64_t small = 0;
        std::vector<void*> many;
        while (void* p = detail::allocate(1000)) many.push_back(p), ++small;
        EXPECT_GT(small, 0u);
        for (void* p : many) detail::deallocate(p);
        for (void* p : live) detail::deallocate(p);
        void* again = detail::allocate(30 << 20);
        EXPECT_NE(again, nullptr) << "freed memory makes room";
        detail::deallocate(again);
    });
}

// ---- What large memory costs beyond itself.

TEST(Front, AbsurdAlignmentsFailAndWideOnesCostAddressesOnly) {
    void* first = detail::allocate(64);  // the heap's first page is aligned to anything
    const std::size_t before =
        os::ledgers().mapped().count() - os::ledgers().reserved.value().count();
    for (unsigned shift = 39; shift < 64; ++shift) {
        EXPECT_EQ(detail::allocate_aligned(64, std::size_t{1} << shift), nullptr) << shift;
        EXPECT_EQ(steady::allocate(5 << 20, std::size_t{1} << shift), nullptr) << shift;
    }
#if !defined(STEADY_OS_TSAN)  // whose address space is small
    for (unsigned shift = 27; shift <= 36; ++shift) {
        void* p = detail::allocate_aligned(64, std::size_t{1} << shift);
        ASSERT_NE(p, nullptr) << shift;
        EXPECT_EQ(at(p) % (std::size_t{1} << shift), 0u);
        std::memset(p, 1, usable_size(p));
        detail::deallocate(p);
    }
#endif
    const std::size_t after =
        os::ledgers().mapped().count() - os::ledgers().reserved.value().count();
    EXPECT_LE(after, before + (std::size_t{8} << 20)) << "nothing grew that wide";
    detail::deallocate(first);
    message why("test");
    EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
}

// Bytes of [p, p + size) in memory.
std::size_t resident_in(const void* p, std::size_t size) {
    std::vector<unsigned char> pages(size / 4096);
    if (mincore(const_cast<void*>(p), size, pages.data()) != 0) return size;
    std::size_t sum = 0;
    for (const unsigned char page : pages) sum += (page & 1) * std::size_t{4096};
    return sum;
}

TEST(Front, ZeroedMemoryInAReusedHugeBlockTouchesOnlyWhatWasDirty) {
    if (os::os_page() != 4_KiB) GTEST_SKIP() << "counts in pages of 4 KiB";
    expect_passes("hugepages=off", [] {
        constexpr std::size_t first = std::size_t{4} << 20, second = std::size_t{7} << 20;
        void* p = detail::allocate(first);
        std::memset(p, 0xff, first);
        detail::deallocate(p);
        auto* q = static_cast<unsigned char*>(detail::allocate_zeroed(second));
        ASSERT_EQ(static_cast<void*>(q), p) << "its pages are used again";
        EXPECT_EQ(resident_in(q + first, second - first), 0u);
        for (std::size_t i = 0; i < second; ++i) ASSERT_EQ(q[i], 0) << i;
        detail::deallocate(q);
    });
}

}  // namespace
