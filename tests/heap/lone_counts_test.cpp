// heap_lone_counts_test.cpp - counting by address while the process has one thread: slots and
// counters add up to the slices there are, whoever takes whose slot, and settle exactly.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/detail/lone_counts.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using namespace steady::detail;

// What a slice does (slice/detail/array.hpp), without one.
void share(const void* p) {
    lone_slot& slot = lone_slot_of(p);
    if (is_slot_of(slot, p))
        ++slot.count;
    else
        lone_share_slowly(p);
}
bool release(const void* p) {
    lone_slot& slot = lone_slot_of(p);
    if (is_slot_of(slot, p) && --slot.count != 0) return false;
    return lone_release_slowly(p);
}
char* new_object(std::size_t size) {
    auto* p = static_cast<char*>(steady::allocate(size, 8));
    make_share_count(p)->store(1);
    lone_begin(p);
    return p;
}
void free_object(char* p) {
    share_count(p)->store(unshared);
    steady::deallocate(p);
}

TEST(LoneSlots, AndTagsSayWhichAddressTheyAre) {
    wyrand random(5);
    for (int i = 0; i < 1'000'000; ++i) {
        const std::uintptr_t at = random() >> 16;
        ASSERT_EQ(lone_address(lone_index(at), lone_tag(at)), at);
    }
}

TEST(LoneSlots, OfNeighboursAreTheirOwn) {
    const std::uintptr_t base = 0x7f00'1234'0000;
    std::vector<bool> taken(lone_slots);
    for (std::uintptr_t at = base; at < base + 65'536; ++at) {
        ASSERT_FALSE(taken[lone_index(at)]);
        taken[lone_index(at)] = true;
    }
    taken.assign(lone_slots, false);
    for (std::uintptr_t at = base; at < base + (1 << 20); at += 16) {
        ASSERT_FALSE(taken[lone_index(at)]);
        taken[lone_index(at)] = true;
    }
}

TEST(LoneCounts, TheLastOfAnyAddressInTheObjectIsTheLast) {
    char* const p = new_object(100);
    share(p);       // p, p
    share(p + 40);  // and p + 40
    lone_move(p, p + 64);
    EXPECT_FALSE(release(p));
    EXPECT_FALSE(release(p + 40));
    EXPECT_TRUE(release(p + 64)) << "LC2";
    free_object(p);
}

TEST(LoneCounts, GoToTheCounterWhenAnotherAddressTakesTheSlot) {
    // 1 MiB apart: the same slot.
    char* const p = new_object(3 << 20);
    char* const q = p + (1 << 20);
    ASSERT_EQ(&lone_slot_of(p), &lone_slot_of(q));
    share(p), share(p);  // three at p
    share(q);
    EXPECT_TRUE(is_slot_of(lone_slot_of(q), q));
    EXPECT_EQ(share_count(p)->load(), 4u) << "LC2: three, and one for the slot";
    share(p);
    EXPECT_EQ(share_count(p)->load(), 5u);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(release(p));
    EXPECT_FALSE(release(q));
    EXPECT_TRUE(release(p));
    free_object(p);
}

TEST(LoneCounts, OfForeignMemoryNeverFree) {
    int local = 0;
    for (int i = 0; i < 3; ++i) share(&local);
    EXPECT_EQ(lone_slot_of(&local).count, 3u);
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(release(&local));
    share(nullptr);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(release(nullptr));
    char* const p = new_object(48);
    char* const stranger = static_cast<char*>(steady::allocate(48, 8));
    share(stranger), share(stranger);
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(release(stranger)) << "its counter is unshared";
    EXPECT_TRUE(release(p));
    free_object(p);
    steady::deallocate(stranger);
}

TEST(LoneCounts, SettleIntoTheCounters) {
    std::vector<char*> all;
    for (int i = 0; i < 3000; ++i) {
        all.push_back(new_object(48));
        for (int k = 0; k < i % 5; ++k) share(all.back());
        if (i % 3 == 0) share(all.back() + 7);
    }
    settle_lone_counts();
    EXPECT_FALSE(lone_counts_used.load());
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        ASSERT_EQ(share_count(all[i])->load(), 1u + i % 5 + (i % 3 == 0 ? 1 : 0)) << "LC3";
        ASSERT_FALSE(is_slot_of(lone_slot_of(all[i]), all[i]));
        free_object(all[i]);
    }
}

// Against a model that counts per object, over few objects far apart that share slots.
TEST(LoneCounts, AddUpToTheSlicesThereAre) {
    wyrand random(11);
    struct object {
        char* base;
        std::multimap<std::size_t, int> slices;  // by offset
    };
    std::vector<object> objects;
    for (int i = 0; i < 6; ++i) objects.push_back({new_object(2 << 20), {{0, 0}}});
    int freed = 0;
    for (int step = 0; step < 400'000; ++step) {
        object& o = objects[random.fastrandn(6)];
        const std::size_t at =
            random.fastrandn(3) * (std::size_t{1} << 19) + random.fastrandn(3) * 16;
        auto any = o.slices.begin();
        std::advance(any, random.fastrandn(static_cast<std::uint32_t>(o.slices.size())));
        switch (random.fastrandn(3)) {
            case 0:
                if (o.slices.size() > 8) break;
                share(o.base + any->first);
                o.slices.emplace(any->first, 0);
                break;
            case 1:
                lone_move(o.base + any->first, o.base + at);
                o.slices.erase(any);
                o.slices.emplace(at, 0);
                break;
            default:
                const bool last = release(o.base + any->first);
                o.slices.erase(any);
                ASSERT_EQ(last, o.slices.empty()) << "LC2";
                if (last) {
                    free_object(o.base);
                    o.base = new_object(2 << 20);
                    o.slices.emplace(0, 0);
                    ++freed;
                }
        }
        if (step % 10'000 == 0) {
            settle_lone_counts();
            for (const object& each : objects)
                ASSERT_EQ(share_count(each.base)->load(), each.slices.size());
        }
    }
    EXPECT_GT(freed, 1000);
    for (object& o : objects) {
        settle_lone_counts();
        free_object(o.base);
    }
}

}  // namespace
