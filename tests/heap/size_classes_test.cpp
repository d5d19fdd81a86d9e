// size_classes_test.cpp - our size class table is Go's, entry by entry, and its
// lookups agree with a search through the table.

#include "steady/heap/size_classes.gen.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

namespace {

using namespace steady;

constexpr std::size_t page = 8192;

std::ifstream golden() {
    std::ifstream file{STEADY_SOURCE_DIR "/tests/golden/heap-classes.txt"};
    EXPECT_TRUE(file.is_open()) << "tests/golden/heap-classes.txt is missing";
    return file;
}

std::size_t span_of(unsigned c) {
    return class_pages[c] * page;
}

std::size_t tail_of(unsigned c) {
    return span_of(c) - class_objects[c] * class_size[c];
}

/// The first class that is large enough and fits `alignment`: slow and obvious.
unsigned search(std::size_t size, std::size_t alignment) {
    unsigned c = 0;
    while (class_size[c] < size || class_size[c] % alignment != 0) ++c;
    return c;
}

TEST(SizeClasses, EveryClassEqualsTheDumpOfGosRuntime) {
    auto file = golden();
    unsigned seen = 0;
    for (std::string line; std::getline(file, line);) {
        unsigned c, bytes, span, objects, tail, align;
        double waste;
        if (std::sscanf(line.c_str(),
                        "class=%u bytes=%u span=%u objects=%u tail_waste=%u max_waste=%lf%% "
                        "min_align=%u",
                        &c, &bytes, &span, &objects, &tail, &waste, &align) != 7) {
            continue;
        }
        ++seen;
        ASSERT_EQ(c, seen);
        EXPECT_EQ(class_size[c], bytes) << line;
        EXPECT_EQ(span_of(c), span) << line;
        EXPECT_EQ(class_objects[c], objects) << line;
        EXPECT_EQ(tail_of(c), tail) << line;
        const double rounding = class_size[c] - class_size[c - 1] - 1.0;
        EXPECT_NEAR(100 * (rounding * class_objects[c] + tail) / span, waste, 0.005) << line;
    }
    EXPECT_EQ(seen, class_count - 1);
}

TEST(SizeClasses, TheHeaderLineOfTheDumpHasOurConstants) {
    auto file = golden();
    std::string line;
    std::getline(file, line);
    EXPECT_EQ(line, "numclasses=" + std::to_string(class_count) + " pagesize=8192 maxsmall=" +
                        std::to_string(max_small_size) + " bysize_entries=61");
}

TEST(SizeClasses, RoundUpSizeAnswersLikeGosRoundupsize) {
    auto file = golden();
    int seen = 0;
    for (std::string line; std::getline(file, line);) {
        std::size_t size, rounded;
        if (std::sscanf(line.c_str(), "roundupsize %zu -> %zu", &size, &rounded) != 2) continue;
        ++seen;
        EXPECT_EQ(round_up_size(size), rounded) << line;
    }
    EXPECT_EQ(seen, 16);
}

TEST(SizeClasses, RoundUpSizeLeavesASizeThatWouldWrapAsItIs) {
    EXPECT_EQ(round_up_size(SIZE_MAX), SIZE_MAX);
    EXPECT_EQ(round_up_size(SIZE_MAX - 8190), SIZE_MAX - 8190);
    EXPECT_EQ(round_up_size(SIZE_MAX - 8191), SIZE_MAX - 8191) << "already whole pages";
}

TEST(SizeClasses, BothLookupsFindTheSmallestClassForEverySize) {
    for (std::size_t size = 0; size <= max_small_size; ++size) {
        ASSERT_EQ(size_class_of(size), search(size, 8)) << size;
        ASSERT_EQ(malloc_class_of(size), search(size, size <= 8 ? 8 : 16)) << size;
    }
}

TEST(SizeClasses, MallocLeavesOut24AndNothingElse) {
    for (std::size_t size = 0; size <= max_small_size; ++size) {
        const bool differs = size_class_of(size) != malloc_class_of(size);
        ASSERT_EQ(differs, size >= 17 && size <= 24) << size;
    }
}

TEST(SizeClasses, ObjectIndexIsExactAtEveryOffsetOfEverySpan) {
    for (unsigned c = 1; c < class_count; ++c) {
        for (std::size_t offset = 0; offset < span_of(c); ++offset) {
            ASSERT_EQ(object_index(offset, c), offset / class_size[c])
                << "class " << c << ", offset " << offset;
        }
    }
}

TEST(SizeClasses, NoTailWastesMoreThanAnEighthOfItsSpan) {
    for (unsigned c = 1; c < class_count; ++c) {
        EXPECT_LE(tail_of(c), span_of(c) / 8) << "class " << c;
        EXPECT_LT(tail_of(c), class_size[c]) << "class " << c << " has room for one more object";
    }
}

}  // namespace
