// c_family_test.cpp - what every function of the C family promises at its edges.
#include <cerrno>
#include <climits>
#include <set>
#include <vector>

#include "support.hpp"

namespace {

constexpr std::size_t too_large = std::size_t{PTRDIFF_MAX} + 1;

TEST(c_family, runs_on_the_heap_that_ctest_names) {
    const char* expected = std::getenv("STEADY_EXPECT");
    if (expected == nullptr) GTEST_SKIP() << "started by hand";
    EXPECT_EQ(on_steady(), std::string_view(expected) == "steady");
}

TEST(c_family, malloc_of_nothing_gives_every_caller_an_address_of_its_own) {
    std::set<void*> seen;
    for (int i = 0; i < 1000; ++i) {
        void* p = get(0);
        ASSERT_NE(p, nullptr);
        EXPECT_TRUE(seen.insert(p).second);
    }
    for (void* p : seen) put(p);
}

TEST(c_family, calloc_and_realloc_of_nothing_from_nothing_give_addresses_too) {
    void* a = opaque(std::calloc(opaque(0), 8));
    void* b = opaque(std::calloc(8, opaque(0)));
    void* c = opaque(std::realloc(opaque<void*>(nullptr), opaque(0)));
    EXPECT_NE(a, nullptr);
    EXPECT_NE(b, nullptr);
    EXPECT_NE(c, nullptr);
    EXPECT_EQ((std::set<void*>{a, b, c}.size()), 3u);
    put(a), put(b), put(c);
}

TEST(c_family, every_size_around_every_power_of_two_keeps_what_was_written) {
    for (std::size_t power = 1; power <= std::size_t{64} << 20; power *= 2) {
        std::vector<void*> blocks;
        for (std::size_t size : {power - 1, power, power + 1}) {
            void* p = get(size);
            ASSERT_NE(p, nullptr) << size;
            sign(p, size, size);
            blocks.push_back(p);
        }
        std::size_t size = power - 1;
        for (void* p : blocks) {
            EXPECT_EQ(first_wrong(p, size, size), size);
            ++size;
            put(p);
        }
    }
}

TEST(c_family, all_small_sizes_are_disjoint_to_the_last_usable_byte) {
    std::vector<std::pair<void*, std::size_t>> blocks;
    for (std::size_t size = 0; size <= 4096; ++size) {
        void* p = get(size);
        const std::size_t usable = malloc_usable_size(p);
        ASSERT_GE(usable, size);
        sign(p, usable, size);
        blocks.emplace_back(p, usable);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        EXPECT_EQ(first_wrong(blocks[i].first, blocks[i].second, i), blocks[i].second) << i;
        put(blocks[i].first);
    }
}

TEST(c_family, usable_size_of_nothing_is_zero) {
    EXPECT_EQ(malloc_usable_size(nullptr), 0u);
}

TEST(c_family, sizes_beyond_ptrdiff_max_fail_with_enomem) {
    for (std::size_t size : {too_large, too_large + 1, SIZE_MAX - 4096, SIZE_MAX - 1, SIZE_MAX}) {
        errno = 0;
        EXPECT_EQ(get(size), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ(opaque(std::calloc(1, opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ(opaque(memalign(64, opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ(opaque(aligned_alloc(64, opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ(opaque(valloc(opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ(opaque(pvalloc(opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        void* untouched = &errno;
        EXPECT_EQ(posix_memalign(&untouched, 64, opaque(size)), ENOMEM);
        EXPECT_EQ(untouched, &errno);
    }
}

TEST(c_family, products_that_overflow_fail_with_enomem) {
    const std::size_t half = std::size_t{1} << 32;
    const std::pair<std::size_t, std::size_t> factors[] = {
        {half, half},         {SIZE_MAX, 2},         {2, SIZE_MAX},
        {SIZE_MAX, SIZE_MAX}, {SIZE_MAX / 2 + 1, 2}, {half + 1, half}};
    void* kept = get(100);
    sign(kept, 100, 1);
    for (auto [count, size] : factors) {
        errno = 0;
        EXPECT_EQ(opaque(std::calloc(opaque(count), opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ(opaque(reallocarray(opaque(kept), opaque(count), opaque(size))), nullptr);
        EXPECT_EQ(errno, ENOMEM);
    }
    EXPECT_EQ(first_wrong(kept, 100, 1), 100u) << "a failed reallocarray leaves the block alone";
    put(kept);
}

TEST(c_family, success_leaves_errno_alone) {
    for (std::size_t size : {1u, 100u, 5000u, 100'000u, 10'000'000u}) {
        errno = EDOM;
        void* p = get(size);
        void* q = opaque(std::calloc(1, size));
        p = opaque(std::realloc(p, 2 * size));
        EXPECT_EQ(errno, EDOM) << size;
        put(p), put(q);
    }
}

TEST(c_family, free_keeps_errno) {
    for (std::size_t size : {0u, 1u, 1000u, 40'000u, 1'000'000u, 50'000'000u}) {
        void* p = get(size);
        if (size >= 40'000u) sign(p, size, 1);
        errno = EILSEQ;
        put(p);
        EXPECT_EQ(errno, EILSEQ) << size;
    }
    errno = EILSEQ;
    put(nullptr);
    EXPECT_EQ(errno, EILSEQ);
}

TEST(c_family, calloc_gives_zeros_also_where_others_wrote_before) {
    for (std::size_t size :
         {1u, 8u, 24u, 100u, 1000u, 5000u, 33'000u, 200'000u, 3'000'000u, 9'000'000u}) {
        for (int round = 0; round < 20; ++round) {
            void* dirty = get(size);
            std::memset(dirty, 0xee, malloc_usable_size(dirty));
            put(dirty);
            void* p = opaque(std::calloc(1, size));
            ASSERT_TRUE(all_zero(p, size)) << size;
            std::memset(p, 0xdd, size);
            put(p);
        }
    }
}

TEST(c_family, calloc_of_thousands_gives_zeros) {
    for (int round = 0; round < 3; ++round) {
        std::vector<void*> blocks;
        for (int i = 0; i < 5000; ++i) {
            const std::size_t size = static_cast<std::size_t>(i % 700) + 1;
            void* p = opaque(std::calloc(size, 3));
            ASSERT_TRUE(all_zero(p, 3 * size)) << size;
            std::memset(p, 0xcc, 3 * size);
            blocks.push_back(p);
        }
        for (void* p : blocks) put(p);
    }
}

TEST(c_family, calloc_of_huge_memory_touches_none_of_it) {
    if (!on_steady()) GTEST_SKIP() << "a promise of steady";
    constexpr std::size_t size = std::size_t{1} << 30;
    void* p = opaque(std::calloc(1, size));
    ASSERT_NE(p, nullptr);
    long pages_resident = 0;
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    ASSERT_EQ(std::fscanf(statm, "%*d %ld", &pages_resident), 1);
    std::fclose(statm);
    EXPECT_LT(pages_resident * 4096, 200 << 20);
    put(p);
}

TEST(c_family, sized_frees_of_c23_free) {
    const auto sized = find_function<void (*)(void*, std::size_t)>("free_sized");
    const auto aligned_sized =
        find_function<void (*)(void*, std::size_t, std::size_t)>("free_aligned_sized");
    if (sized == nullptr) GTEST_SKIP() << "this C library has no free_sized";
    for (std::size_t size = 0; size < 100'000; size = size * 5 / 4 + 1) {
        errno = EDOM;
        sized(get(size), size);
        sized(opaque(std::calloc(1, size)), size);
        aligned_sized(opaque(aligned_alloc(256, size)), 256, size);
        EXPECT_EQ(errno, EDOM);
    }
    sized(nullptr, 0);
    aligned_sized(nullptr, 64, 0);
}

TEST(c_family, functions_of_libc_that_allocate_use_the_same_heap) {
    char* copy = strdup("steady");
    char* built = nullptr;
    ASSERT_EQ(asprintf(&built, "%s %d", copy, 42), 9);
    EXPECT_STREQ(built, "steady 42");
    EXPECT_GE(malloc_usable_size(copy), 7u);
    EXPECT_GE(malloc_usable_size(built), 10u);
    char* line = nullptr;
    std::size_t capacity = 0;
    std::FILE* memory = fmemopen(built, 9, "r");
    EXPECT_EQ(getline(&line, &capacity, memory), 9);
    EXPECT_GE(malloc_usable_size(line), capacity);
    std::fclose(memory);
    put(copy), put(built), put(line);
}

}  // namespace
