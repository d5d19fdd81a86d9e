// alignment_test.cpp - every function gives the alignment it was asked for, or
// says why not.
#include <cerrno>
#include <cstddef>
#include <unistd.h>
#include <vector>

#include "support.hpp"

namespace {

const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

// Around every boundary that the heap has: classes, spans, pages, huge blocks.
const std::vector<std::size_t> sizes = {0,         1,
                                        7,         8,
                                        9,         15,
                                        16,        17,
                                        24,        31,
                                        32,        33,
                                        48,        63,
                                        64,        65,
                                        100,       127,
                                        128,       129,
                                        500,       1000,
                                        1023,      1024,
                                        1025,      2048,
                                        3000,      4095,
                                        4096,      4097,
                                        8191,      8192,
                                        8193,      10'000,
                                        32767,     32768,
                                        32769,     65'536,
                                        100'000,   1 << 20,
                                        3'000'000, (4 << 20) - 1,
                                        4 << 20,   (4 << 20) + 1};

TEST(alignment, malloc_serves_any_fundamental_type_that_fits) {
    for (std::size_t size = 1; size <= 70'000; size += size < 2000 ? 1 : 501) {
        void* p = get(size);
        void* q = opaque(std::calloc(1, size));
        void* r = opaque(std::realloc(get(1), size));
        const std::size_t needed = size > 8 ? alignof(std::max_align_t) : 8;
        EXPECT_TRUE(is_aligned(p, needed) && is_aligned(q, needed) && is_aligned(r, needed))
            << size;
        put(p), put(q), put(r);
    }
}

TEST(alignment, every_power_of_two_with_every_size) {
    for (std::size_t alignment = 8; alignment <= std::size_t{16} << 20; alignment *= 2) {
        for (std::size_t size : sizes) {
            void* blocks[3] = {};
            ASSERT_EQ(posix_memalign(&blocks[0], alignment, size), 0) << alignment << ' ' << size;
            blocks[1] = opaque(aligned_alloc(alignment, size));
            blocks[2] = opaque(memalign(alignment, size));
            for (std::size_t i = 0; i < 3; ++i) {
                ASSERT_NE(blocks[i], nullptr) << alignment << ' ' << size;
                EXPECT_TRUE(is_aligned(blocks[i], alignment)) << alignment << ' ' << size;
                ASSERT_GE(malloc_usable_size(blocks[i]), size);
                sign(blocks[i], size, i);
            }
            for (std::size_t i = 0; i < 3; ++i) {
                EXPECT_EQ(first_wrong(blocks[i], size, i), size) << alignment;
                put(blocks[i]);
            }
        }
    }
}

TEST(alignment, usable_bytes_of_aligned_neighbours_do_not_overlap) {
    for (std::size_t alignment : {16u, 64u, 256u, 4096u, 8192u, 65'536u}) {
        std::vector<std::pair<void*, std::size_t>> blocks;
        for (std::size_t i = 0; i < 200; ++i) {
            void* p = opaque(aligned_alloc(alignment, i * 37 % 5000));
            const std::size_t usable = malloc_usable_size(p);
            sign(p, usable, i);
            blocks.emplace_back(p, usable);
        }
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            EXPECT_EQ(first_wrong(blocks[i].first, blocks[i].second, i), blocks[i].second)
                << alignment;
            put(blocks[i].first);
        }
    }
}

TEST(alignment, posix_memalign_refuses_what_posix_refuses_and_leaves_the_pointer_and_errno) {
    for (std::size_t alignment : {0u, 1u, 2u, 4u, 3u, 12u, 24u, 40u, 100u}) {
        void* untouched = &errno;
        errno = EDOM;
        EXPECT_EQ(posix_memalign(&untouched, opaque<std::size_t>(alignment), 8), EINVAL)
            << alignment;
        EXPECT_EQ(untouched, &errno);
        EXPECT_EQ(errno, EDOM);
    }
}

TEST(alignment, aligned_alloc_refuses_what_is_no_power_of_two) {
    if (!on_steady()) GTEST_SKIP() << "glibc checks since 2.38";
    for (std::size_t alignment : {std::size_t{0}, std::size_t{3}, std::size_t{24}, SIZE_MAX}) {
        errno = 0;
        EXPECT_EQ(opaque(aligned_alloc(opaque(alignment), 64)), nullptr) << alignment;
        EXPECT_EQ(errno, EINVAL);
    }
}

TEST(alignment, memalign_rounds_up_to_a_power_of_two) {
    for (std::size_t alignment :
         {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{48}, std::size_t{1000}}) {
        void* p = opaque(memalign(opaque(alignment), 100));
        ASSERT_NE(p, nullptr);
        std::size_t rounded = 1;
        while (rounded < alignment) rounded *= 2;
        EXPECT_TRUE(is_aligned(p, rounded)) << alignment;
        put(p);
    }
    errno = 0;
    EXPECT_EQ(opaque(memalign(opaque(SIZE_MAX / 2 + 2), 8)), nullptr);
    EXPECT_EQ(errno, EINVAL);
}

TEST(alignment, alignments_larger_than_memory_fail_with_enomem) {
    for (std::size_t alignment :
         {std::size_t{1} << 39, std::size_t{1} << 40, std::size_t{1} << 62, std::size_t{1} << 63}) {
        if (!on_steady() && alignment < std::size_t{1} << 62) continue;  // by reserving as much
        errno = 0;
        EXPECT_EQ(opaque(aligned_alloc(opaque(alignment), 64)), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        void* untouched = nullptr;
        EXPECT_EQ(posix_memalign(&untouched, opaque(alignment), 64), ENOMEM);
    }
}

TEST(alignment, valloc_and_pvalloc_give_pages) {
    for (std::size_t size : sizes) {
        void* p = opaque(valloc(size));
        void* q = opaque(pvalloc(size));
        ASSERT_NE(p, nullptr);
        ASSERT_NE(q, nullptr);
        EXPECT_TRUE(is_aligned(p, page) && is_aligned(q, page));
        EXPECT_GE(malloc_usable_size(p), size);
        EXPECT_GE(malloc_usable_size(q), (size + page - 1) / page * page);
        put(p), put(q);
    }
}

TEST(alignment, realloc_of_aligned_blocks_keeps_the_bytes) {
    for (std::size_t alignment : {64u, 4096u, 1u << 21}) {
        for (std::size_t size : {100u, 5000u, 100'000u, 5'000'000u}) {
            void* p = opaque(aligned_alloc(alignment, size));
            sign(p, size, 7);
            p = opaque(std::realloc(p, 3 * size));
            ASSERT_NE(p, nullptr);
            EXPECT_EQ(first_wrong(p, size, 7), size) << alignment;
            p = opaque(std::realloc(p, size / 3));
            EXPECT_EQ(first_wrong(p, size / 3, 7), size / 3) << alignment;
            put(p);
        }
    }
}

}  // namespace
