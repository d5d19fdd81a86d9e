// heap_checks_test.cpp - what the heap says to programs that misuse it: at once in
// checked mode and for whatever has no place in a magazine, at the latest when the
// magazine returns otherwise. Every message says what was seen, what was expected
// and what to do.
#include "steady/heap/detail/checks.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "heap/own_process.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/address_map.hpp"
#include "steady/heap/detail/checked.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"
#include "support/fatal_text.hpp"

namespace {

using namespace steady;
using namespace steady::test;

char* object_of(std::size_t size) {
    return static_cast<char*>(detail::allocate(size));
}

void expect_says(const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << "expected: " << part << "\nseen: " << text;
}

// ---- What is seen at once, in every mode.

TEST(HeapChecks, AnAddressOfSomebodyElseIsRefusedAtOnce) {
    detail::deallocate(detail::allocate(1));  // the heap is open
    int on_the_stack = 0;
    static int in_the_data;
    for (void* p : {static_cast<void*>(&on_the_stack), static_cast<void*>(&in_the_data)}) {
        const std::string said = fatal_text([p] { detail::deallocate(p); });
        expect_says(said, "which this heap never handed out");
        expect_says(said, "Expected an address from malloc, realloc or new.");
        expect_says(fatal_text([p] { static_cast<void>(detail::reallocate(p, 10)); }),
                    "never handed out");
    }
}

TEST(HeapChecks, AFreeBeforeTheFirstAllocationIsRefusedAsWell) {
    expect_stops(
        "",
        [] {
            int local = 0;
            detail::deallocate(&local);
        },
        "never handed out");
    expect_stops(
        "",
        [] {
            int local = 0;
            heap().deallocate(&local);
        },
        "never handed out");
}

TEST(HeapChecks, ALargeObjectIsFreedByItsFirstByteOnly) {
    char* p = object_of(100'000);
    const std::string said = fatal_text([p] { detail::deallocate(p + 16); });
    expect_says(said, "which is 16 bytes inside the 106496 bytes object");
    expect_says(said, "Free the object through its first byte.");
    expect_says(fatal_text([p] { detail::deallocate(p + 8192); }), "8192 bytes inside");
    expect_says(fatal_text([p] { static_cast<void>(detail::reallocate(p + 16, 200'000)); }),
                "16 bytes inside");
    detail::deallocate(p);
}

TEST(HeapChecks, AHugeBlockIsFreedByItsFirstByteOnly) {
    char* p = object_of(std::size_t{8} << 20);
    const std::string said = fatal_text([p] { detail::deallocate(p + 4096); });
    expect_says(said, "which is 4096 bytes inside the block at");
    expect_says(said, "of 8388608 bytes");
    expect_says(fatal_text([p] { static_cast<void>(detail::reallocate(p + 16, 10 << 20)); }),
                "16 bytes inside the block");
    detail::deallocate(p);
}

TEST(HeapChecks, ASecondFreeOfALargeObjectIsRefusedAtOnce) {
    for (const std::size_t size : {std::size_t{100'000}, std::size_t{8} << 20}) {
        char* p = object_of(size);
        detail::deallocate(p);
        const std::string said = fatal_text([p] { detail::deallocate(p); });
        expect_says(said, "has since given back");
        expect_says(said, "a second free of a large block");
    }
}

// ---- Without checked mode: when the magazine returns to the spans.

TEST(HeapChecks, ADoubleFreeIsSeenWhenItsMagazineReturns) {
    const auto free_twice = [] {
        char* kept = object_of(64);  // its span stays
        char* p = object_of(64);
        detail::deallocate(p);
        detail::deallocate(p);
        detail::trim();
        detail::deallocate(kept);
    };
    expect_stops("", free_twice,
                 "freed 0x[0-9a-f]+ twice: its 64 bytes object \\(class 6, object [0-9]+ of 128\\) "
                 "is already free");
    expect_stops("", free_twice, "Look for two owners of one pointer");
}

TEST(HeapChecks, ADoubleFreeIsSeenWhenItsThreadEnds) {
    const auto free_twice = [] {
        std::thread([] {
            std::vector<char*> many;
            for (int i = 0; i < 100; ++i) many.push_back(object_of(48));
            detail::deallocate(many[7]);
            for (char* p : many) detail::deallocate(p);
        }).join();
    };
    expect_stops("", free_twice, "twice: its 48 bytes object");
}

TEST(HeapChecks, AnInteriorAddressIsSeenWhenItsMagazineReturns) {
    const auto free_inside = [] {
        detail::deallocate(object_of(96) + 8);
        detail::trim();
    };
    expect_stops("", free_inside, "which is 8 bytes inside the 96 bytes object at");
    const auto free_tail = [] {
        const object_info o = find_object(object_of(48));
        detail::deallocate(static_cast<char*>(o.span_base) + std::size_t{o.count} * 48);
        detail::trim();
    };
    expect_stops("", free_tail, "which lies in the unused tail of a span");
}

// ---- Checked mode: at the free itself.

TEST(CheckedMode, ADoubleFreeIsSeenAtOnce) {
    const auto free_twice = [] {
        char* p = object_of(64);
        detail::deallocate(p);
        detail::deallocate(p);
        std::fputs("went on", stderr);
    };
    expect_stops("check=1", free_twice, "twice: its 64 bytes object .*stops at the second free");
}

TEST(CheckedMode, ADoubleFreeIsSeenLongAfterTheFirst) {
    const auto free_late = [] {
        char* kept = object_of(64);
        char* p = object_of(64);
        detail::deallocate(p);
        // Out of the quarantine, its bit is set. Other sizes, or it would be handed out again.
        for (int i = 0; i < 3000; ++i) detail::deallocate(detail::allocate(128));
        detail::deallocate(p);
        detail::deallocate(kept);
    };
    expect_stops("check=1", free_late, "twice: its 64 bytes object");
}

TEST(CheckedMode, AnAddressThatIsNoObjectsStartIsSeenAtOnce) {
    expect_stops(
        "check=1", [] { detail::deallocate(object_of(64) + 8); },
        "which is 8 bytes inside the 64 bytes object at");
    const auto free_tail = [] {
        const object_info o = find_object(object_of(48));
        detail::deallocate(static_cast<char*>(o.span_base) + std::size_t{o.count} * 48);
    };
    expect_stops("check=1", free_tail, "which lies in the unused tail of a span");
}

TEST(CheckedMode, AWriteAfterFreeIsSeenWhenTheObjectLeavesTheQuarantine) {
    const auto write_late = [] {
        char* p = object_of(64);
        detail::deallocate(p);
        p[10] = 'x';
        for (int i = 0; i < 1025; ++i) detail::deallocate(detail::allocate(128));
    };
    expect_stops("check=1", write_late,
                 "the freed 64 bytes object at .* was written to at offset 10");
    expect_stops("check=1", write_late, "Somebody kept a pointer after free");
}

TEST(CheckedMode, ADeleteWithAWrongSizeIsSeenAtOnce) {
    expect_stops(
        "check=1", [] { detail::deallocate_sized(detail::allocate(64), 48); },
        "as 48 bytes, but its span holds 64 bytes objects \\(class 6, object");
    expect_stops(
        "check=1", [] { detail::deallocate_sized(detail::allocate(64), 65); },
        "Usually a delete through the wrong type");
    expect_stops(
        "check=1", [] { detail::deallocate_sized(detail::allocate(48), 100'000); },
        "as 100000 bytes, but its span holds 48 bytes objects");
    expect_stops(
        "check=1", [] { detail::deallocate_sized(detail::allocate(100'000), 64); },
        "as 64 bytes, but its span holds 106496 bytes objects");
    expect_stops(
        "check=1", [] { detail::deallocate_sized(detail::allocate(8 << 20), 9 << 20); },
        "as 9437184 bytes, but the block has 8388608 bytes");
    expect_stops(
        "check=1",
        [] { detail::deallocate_aligned(detail::allocate_aligned(2560, 256), 1000, 256); },
        "as 1000 bytes, but its span holds 3072 bytes objects");
}

TEST(CheckedMode, EveryTrueSizeIsAccepted) {
    expect_passes("check=1", [] {
        for (std::size_t size = 0; size <= 40'000; size += size < 1200 ? 1 : 61) {
            detail::deallocate_sized(detail::allocate(size), size);
            for (std::size_t alignment = 1; alignment <= 65536; alignment *= 2) {
                if (size % 7 != 0 && size % alignment != 0) continue;  // enough of them
                detail::deallocate_aligned(detail::allocate_aligned(size, alignment), size,
                                           alignment);
            }
            // C23: free_sized takes the size of the last realloc.
            void* p = detail::reallocate(detail::allocate(size), size / 2 + size / 4 + 1);
            detail::deallocate_sized(p, size / 2 + size / 4 + 1);
        }
        for (const std::size_t size : {std::size_t{5} << 20, (std::size_t{9} << 20) + 1})
            detail::deallocate_sized(detail::allocate(size), size);
    });
}

TEST(CheckedMode, ACorrectProgramRunsWithExactCounts) {
    expect_passes("check=1", [] {
        const heap_statistics before = read_statistics();
        wyrand random(5);
        std::vector<std::pair<unsigned char*, std::size_t>> live(300);
        std::uint64_t mallocs = 0, frees = 0;
        for (int i = 0; i < 20'000; ++i) {
            auto& [p, size] = live[random.fastrandn(300)];
            if (p != nullptr) {
                ASSERT_EQ(p[size - 1], static_cast<unsigned char>(size));
                ++frees;
                detail::deallocate(p);
            }
            size = 1 + random.fastrandn(random.fastrandn(50) == 0 ? 50'000 : 2000);
            p = static_cast<unsigned char*>(detail::allocate(size));
            ++mallocs;
            if (size <= 32'768) {
                ASSERT_EQ(p[0], 0xcd) << "a fresh object should not read as zero";
            }
            p[size - 1] = static_cast<unsigned char>(size);
        }
        const heap_statistics after = read_statistics();
        EXPECT_EQ(after.mallocs - before.mallocs, mallocs);
        EXPECT_EQ(after.frees - before.frees, frees);
        // Objects in the quarantine were freed: they are not alive.
        static std::uint64_t seen = 0;
        for_each_object([](void*, const object_info&) { ++seen; }, nullptr);
        EXPECT_EQ(seen, after.heap_objects);
    });
}

TEST(CheckedMode, AFreedObjectShowsThePatternAndStaysOutOfUse) {
    expect_passes("check=1", [] {
        auto* p = static_cast<unsigned char*>(detail::allocate(200));
        std::memset(p, 1, 200);
        detail::deallocate(p);
        for (std::size_t i = 0; i < usable_size(p); ++i)
            ASSERT_EQ(p[i], detail::checked::freed_pattern);
        for (int i = 0; i < 1000; ++i) {
            void* other = detail::allocate(200);
            ASSERT_NE(other, p);
            detail::deallocate(other);
        }
    });
}

}  // namespace
