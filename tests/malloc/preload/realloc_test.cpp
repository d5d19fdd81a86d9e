// realloc_test.cpp - a block keeps its bytes wherever realloc takes it.
#include <cerrno>
#include <random>
#include <vector>

#include "support.hpp"

namespace {

TEST(realloc, grows_and_shrinks_through_every_boundary_and_keeps_the_bytes) {
    const std::size_t sizes[] = {
        1,      8,       9,       16,      24,      100,           1000,
        1024,   1025,    4000,    8192,    10'000,  32'768,        32'769,
        70'000, 500'000, 2 << 20, 3 << 20, 4 << 20, (4 << 20) + 1, 9'000'000};
    for (std::size_t from : sizes) {
        for (std::size_t to : sizes) {
            void* p = get(from);
            sign(p, from, from);
            p = opaque(std::realloc(p, to));
            ASSERT_NE(p, nullptr) << from << " -> " << to;
            ASSERT_GE(malloc_usable_size(p), to);
            const std::size_t kept = from < to ? from : to;
            EXPECT_EQ(first_wrong(p, kept, from), kept) << from << " -> " << to;
            sign(p, to, to);
            EXPECT_EQ(first_wrong(p, to, to), to);
            put(p);
        }
    }
}

TEST(realloc, to_nothing_frees_and_returns_null) {
    for (std::size_t size : {0u, 10u, 5000u, 5'000'000u}) {
        EXPECT_EQ(opaque(std::realloc(get(size), opaque(0))), nullptr);
        EXPECT_EQ(opaque(reallocarray(get(size), opaque(0), 8)), nullptr);
    }
}

TEST(realloc, from_null_is_malloc) {
    void* p = opaque(std::realloc(opaque<void*>(nullptr), 100));
    ASSERT_NE(p, nullptr);
    sign(p, 100, 1);
    put(p);
    p = opaque(reallocarray(nullptr, 10, 10));
    ASSERT_NE(p, nullptr);
    put(p);
}

TEST(realloc, that_fails_leaves_the_block_as_it_was) {
    for (std::size_t size : {10u, 5000u, 100'000u, 5'000'000u}) {
        void* p = get(size);
        sign(p, size, 3);
        for (std::size_t wish : {SIZE_MAX, std::size_t{PTRDIFF_MAX} + 1, std::size_t{1} << 60}) {
            errno = 0;
            EXPECT_EQ(opaque(std::realloc(opaque(p), opaque(wish))), nullptr);
            EXPECT_EQ(errno, ENOMEM);
        }
        EXPECT_EQ(first_wrong(p, size, 3), size);
        put(p);
    }
}

TEST(realloc, to_the_usable_size_stays_in_place_so_fortified_code_may_use_it) {
    // glibc moves what it had mapped: its own line is 128 KiB.
    const std::size_t last = on_steady() ? 20'000'000 : 100'000;
    for (std::size_t size = 0; size < last; size = size * 9 / 8 + 1) {
        void* p = get(size);
        const std::size_t usable = malloc_usable_size(p);
        if (usable == 0) {
            put(p);
            continue;
        }
        void* q = opaque(std::realloc(p, usable));
        EXPECT_EQ(q, p) << size;
        EXPECT_GE(malloc_usable_size(q), usable);
        put(q);
    }
}

TEST(realloc, that_stays_in_place_reports_no_more_than_it_owns) {
    // Shrunk and grown back in small steps between neighbours that are watched.
    for (std::size_t size : {64u, 1000u, 40'000u, 300'000u}) {
        std::vector<void*> before, after;
        std::vector<std::size_t> usable;
        void* blocks[3];
        for (void*& p : blocks) p = get(size);
        std::size_t now[3];
        for (int step = 0; step < 60; ++step) {
            for (std::size_t i = 0; i < 3; ++i) {
                const std::size_t wish =
                    size -
                    size * static_cast<std::size_t>((step * 7 + static_cast<int>(i)) % 13) / 20;
                blocks[i] = opaque(std::realloc(blocks[i], wish));
                now[i] = malloc_usable_size(blocks[i]);
                ASSERT_GE(now[i], wish);
                sign(blocks[i], now[i], i);
            }
            for (std::size_t i = 0; i < 3; ++i) {
                ASSERT_EQ(first_wrong(blocks[i], now[i], i), now[i]) << size << " step " << step;
            }
        }
        for (void* p : blocks) put(p);
    }
}

TEST(realloc, growing_one_byte_at_a_time_keeps_the_bytes) {
    char* p = nullptr;
    for (std::size_t size = 1; size <= 20'000; ++size) {
        p = static_cast<char*>(opaque(std::realloc(p, size)));
        p[size - 1] = static_cast<char>(size * 31);
    }
    for (std::size_t size = 1; size <= 20'000; ++size) {
        ASSERT_EQ(p[size - 1], static_cast<char>(size * 31)) << size;
    }
    put(p);
}

TEST(realloc, growing_a_huge_block_step_by_step_keeps_the_bytes) {
    constexpr std::size_t step = 3 << 20, last = std::size_t{192} << 20;
    char* p = nullptr;
    for (std::size_t size = step; size <= last; size += step) {
        p = static_cast<char*>(opaque(std::realloc(p, size)));
        ASSERT_NE(p, nullptr);
        for (std::size_t at = size - step; at < size; at += 65'536)
            p[at] = static_cast<char>(at >> 16);
    }
    for (std::size_t at = 0; at < last / step * step; at += 65'536) {
        ASSERT_EQ(p[at], static_cast<char>(at >> 16));
    }
    put(p);
}

TEST(realloc, random_chains_of_many_blocks_keep_their_bytes) {
    std::mt19937_64 random(20240229);
    struct block {
        void* p = nullptr;
        std::size_t size = 0;
    };
    std::vector<block> blocks(300);
    for (int i = 0; i < 60'000; ++i) {
        const std::size_t which = random() % blocks.size();
        block& b = blocks[which];
        if (b.p != nullptr) {
            ASSERT_EQ(first_wrong(b.p, b.size, which), b.size);
        }
        // Small sizes mostly, all magnitudes up to 8 MiB now and then.
        const unsigned magnitude = random() % 100 == 0 ? 23 : 11;
        const std::size_t size = 1 + random() % (std::size_t{1} << (random() % magnitude));
        b.p = opaque(std::realloc(b.p, size));
        ASSERT_NE(b.p, nullptr);
        const std::size_t kept = size < b.size ? size : b.size;
        ASSERT_EQ(first_wrong(b.p, kept, which), kept);
        b.size = size;
        sign(b.p, size, which);
    }
    for (block& b : blocks) put(b.p);
}

}  // namespace
