// heap_model_test.cpp - random operations on the default heap, mirrored in a
// model that knows every live object, its size and its contents.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;

struct block {
    unsigned char* p;
    std::size_t size;
    unsigned char fill;
};

// First, last and a few bytes between: enough to see two owners of one byte.
void paint(const block& b) {
    for (std::size_t i = 0; i < b.size; i += 61) b.p[i] = b.fill;
    if (b.size != 0) b.p[b.size - 1] = b.fill;
}
bool intact(const block& b, std::size_t up_to) {
    for (std::size_t i = 0; i < up_to; i += 61) {
        if (b.p[i] != b.fill) return false;
    }
    return up_to != b.size || b.size == 0 || b.p[b.size - 1] == b.fill;
}

std::size_t random_size(wyrand& random) {
    switch (random.fastrandn(16)) {
        case 0: return random.fastrandn(random.fastrandn(32) == 0 ? 8 << 20 : 200'000);
        case 1:
        case 2: return random.fastrandn(40'000);
        default: return random.fastrandn(1200);
    }
}

TEST(HeapModel, RandomOperationsKeepEveryObjectsContentsAndOwnership) {
    wyrand random(7);
    std::vector<block> live;
    std::map<unsigned char*, std::size_t> places;  // start -> usable size
    std::size_t bytes_live = 0;
    const auto remember = [&](const block& b) {
        const std::size_t usable = usable_size(b.p);
        ASSERT_GE(usable, b.size);
        const auto after = places.lower_bound(b.p);
        if (after != places.end()) {
            ASSERT_LE(b.p + usable, after->first) << "objects overlap";
        }
        if (after != places.begin()) {
            const auto before = std::prev(after);
            ASSERT_LE(before->first + before->second, b.p) << "objects overlap";
        }
        places[b.p] = usable;
        paint(b);
        bytes_live += b.size;
    };
    const auto forget = [&](const block& b) {
        places.erase(b.p);
        bytes_live -= b.size;
    };
    for (int step = 0; step < 400'000; ++step) {
        const unsigned what = random.fastrandn(10);
        if (live.empty() || (what < 4 && bytes_live < (256u << 20))) {
            const std::size_t size = random_size(random);
            const auto fill = static_cast<unsigned char>(random());
            if (what == 3) {
                const std::size_t alignment = std::size_t{1} << random.fastrandn(17);
                auto* p = static_cast<unsigned char*>(steady::allocate(size, alignment));
                ASSERT_NE(p, nullptr);
                ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % alignment, 0u);
                live.push_back({p, size, fill});
            } else if (what == 2) {
                auto* p = static_cast<unsigned char*>(detail::allocate_zeroed(size));
                ASSERT_NE(p, nullptr);
                ASSERT_TRUE(std::all_of(p, p + size, [](unsigned char c) { return c == 0; }));
                live.push_back({p, size, fill});
            } else {
                auto* p = static_cast<unsigned char*>(detail::allocate(size));
                ASSERT_NE(p, nullptr);
                ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % (size <= 8 ? 8 : 16), 0u);
                live.push_back({p, size, fill});
            }
            remember(live.back());
        } else {
            block& b = live[random.fastrandn(static_cast<std::uint32_t>(live.size()))];
            ASSERT_TRUE(intact(b, b.size)) << "object of " << b.size << " bytes at step " << step;
            if (what == 9) {
                forget(b);
                const std::size_t size = random_size(random) + 1;
                const std::size_t kept = std::min(size, b.size);
                auto* p = static_cast<unsigned char*>(detail::reallocate(b.p, size));
                ASSERT_NE(p, nullptr);
                b.p = p;
                ASSERT_TRUE(intact(b, kept)) << "realloc " << b.size << " -> " << size;
                b.size = size;
                remember(b);
            } else if (what == 8) {
                const std::size_t wanted = b.size + b.size / 2 + 1;
                if (steady::grow_in_place(b.p, wanted)) {
                    forget(b);
                    ASSERT_TRUE(intact(b, b.size));
                    b.size = wanted;
                    remember(b);
                }
            } else {
                const object_info o = find_object(b.p + (b.size == 0 ? 0 : random() % b.size));
                ASSERT_EQ(o.base, b.p);
                ASSERT_GE(o.size, b.size);
                forget(b);
                steady::deallocate(b.p);
                b = live.back();
                live.pop_back();
            }
        }
    }
    for (const block& b : live) {
        ASSERT_TRUE(intact(b, b.size));
        steady::deallocate(b.p);
    }
}

TEST(HeapModel, WalkingLiveObjectsFindsExactlyTheLiveOnes) {
    wyrand random(3);
    std::vector<void*> mine;
    for (int i = 0; i < 5'000; ++i) mine.push_back(steady::allocate(random.fastrandn(70'000)));
    for (int i = 0; i < 2'500; ++i) {
        steady::deallocate(mine.back());
        mine.pop_back();
    }
    static std::vector<void*> seen;  // the callback must not allocate
    seen.clear();
    seen.reserve(100'000);
    const auto before = read_statistics();
    for_each_object([](void*, const object_info& o) { seen.push_back(o.base); }, nullptr);
    EXPECT_EQ(seen.size(), before.heap_objects);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
    for (void* p : mine) EXPECT_TRUE(std::binary_search(seen.begin(), seen.end(), p));
    for (void* p : mine) steady::deallocate(p);
}

}  // namespace
