// heap_allocator_test.cpp - standard containers on steady::allocator: they work,
// their nodes take what they are, and over-aligned types stand where they must.
#include "steady/heap/allocator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "steady/core/random.hpp"
#include "steady/heap/statistics.hpp"

namespace {

using namespace steady;

template <class T>
using vec = std::vector<T, allocator<T>>;
using text = std::basic_string<char, std::char_traits<char>, allocator<char>>;

// Whatever a container of the default heap leaves behind shows here.
class Containers : public testing::Test {
protected:
    ~Containers() override {
        EXPECT_EQ(read_statistics().heap_objects, objects_before_);
        EXPECT_EQ(read_statistics().heap_alloc, bytes_before_);
    }

private:
    std::uint64_t objects_before_ = read_statistics().heap_objects;
    std::uint64_t bytes_before_ = read_statistics().heap_alloc;
};
using Allocator = Containers;

TEST_F(Containers, DoWhatTheStandardOnesDo) {
    wyrand random(1);
    std::vector<int> expected;
    vec<int> vector;
    std::deque<int, allocator<int>> deque;
    std::list<int, allocator<int>> list;
    for (int i = 0; i < 50'000; ++i) {
        const int value = static_cast<int>(random.fastrandn(1'000'000));
        expected.push_back(value);
        vector.push_back(value);
        deque.push_back(value);
        list.push_back(value);
    }
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), vector.begin(), vector.end()));
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), deque.begin(), deque.end()));
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), list.begin(), list.end()));

    std::map<int, text, std::less<>, allocator<std::pair<const int, text>>> map;
    std::unordered_map<int, text, std::hash<int>, std::equal_to<>,
                       allocator<std::pair<const int, text>>>
        table;
    for (const int value : expected) {
        const text name =
            text("a name too long for a short string, number ") + std::to_string(value).c_str();
        map.emplace(value, name);
        table.emplace(value, name);
    }
    EXPECT_EQ(map.size(), table.size());
    for (const auto& [key, name] : map) ASSERT_EQ(table.at(key), name);
    for (std::size_t i = 0; i < expected.size(); i += 2) {
        map.erase(expected[i]);
        table.erase(expected[i]);
    }
    EXPECT_EQ(map.size(), table.size());
}

TEST_F(Containers, MoveAndSwapWithoutCopying) {
    vec<int> a(1000, 1), b;
    const int* data = a.data();
    b = std::move(a);
    EXPECT_EQ(b.data(), data);
    vec<int> c(10, 2);
    c.swap(b);
    EXPECT_EQ(c.data(), data);
    const std::shared_ptr<int> shared = std::allocate_shared<int>(allocator<int>(), 7);
    EXPECT_EQ(*shared, 7);
}

template <std::size_t Alignment, std::size_t Size = Alignment>
struct alignas(Alignment) aligned {
    unsigned char content[Size];
};

template <class T>
void expect_aligned() {
    vec<T> v;
    std::list<T, allocator<T>> l;
    for (int i = 0; i < 40; ++i) {
        v.emplace_back();
        l.emplace_back();
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(v.data()) % alignof(T), 0u);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(&l.back()) % alignof(T), 0u);
    }
}

TEST_F(Containers, OfOverAlignedTypesStandWhereTheyMust) {
    expect_aligned<aligned<1>>();
    expect_aligned<aligned<8>>();
    expect_aligned<aligned<16>>();
    expect_aligned<aligned<32>>();
    expect_aligned<aligned<64, 100>>();
    expect_aligned<aligned<256, 2560>>();  // its class is not the one of its size
    expect_aligned<aligned<4096>>();
    expect_aligned<aligned<16'384>>();  // more than a page
}

TEST_F(Containers, NodesOf24BytesTake24) {
    std::list<long, allocator<long>> list;  // two links and a value
    const heap_statistics before = read_statistics();
    list.assign(1000, 7);
    const heap_statistics after = read_statistics();
    ASSERT_EQ(after.by_size[3].size, 24u);
    EXPECT_EQ(after.by_size[3].mallocs - before.by_size[3].mallocs, 1000u);
    EXPECT_EQ(after.heap_alloc - before.heap_alloc, 24'000u);
}

TEST_F(Allocator, TakesTheClassOfTheTypesAlignment) {
    const auto usable = []<class T>(T, std::size_t n) {
        T* p = allocator<T>().allocate(n);
        const std::size_t size = usable_size(p);
        allocator<T>().deallocate(p, n);
        return size;
    };
    EXPECT_EQ(usable(char{}, 1), 8u);
    EXPECT_EQ(usable(0L, 3), 24u);
    EXPECT_EQ(usable(aligned<8, 24>{}, 1), 24u);
    EXPECT_EQ(usable(aligned<16, 32>{}, 1), 32u);
    EXPECT_EQ(usable(aligned<64>{}, 1), 64u);
    EXPECT_EQ(usable(char{}, 40'000), 40'960u);
}

struct with_pointer {
    void* p;
};

TEST_F(Allocator, KnowsWhetherATypeMayHoldPointers) {
    const auto kind = []<class T>(T) {
        T* p = allocator<T>().allocate(3);
        const contents c = find_object(p).kind;
        allocator<T>().deallocate(p, 3);
        return c;
    };
    EXPECT_EQ(kind(1), contents::no_pointers);
    EXPECT_EQ(kind(1.5), contents::no_pointers);
    EXPECT_EQ(kind(contents::no_pointers), contents::no_pointers);
    EXPECT_EQ(kind(with_pointer{}), contents::may_hold_pointers);
    EXPECT_EQ(kind(static_cast<int*>(nullptr)), contents::may_hold_pointers);
}

TEST_F(Allocator, ThrowsWhatTheStandardSays) {
    EXPECT_THROW(static_cast<void>(allocator<int>().allocate(SIZE_MAX / 2)),
                 std::bad_array_new_length);
    EXPECT_THROW(static_cast<void>(allocator<char>().allocate(SIZE_MAX / 2)), std::bad_alloc);
    EXPECT_THROW(vec<char>(std::size_t{1} << 61), std::bad_alloc);
    vec<int> v(10, 1);
    EXPECT_THROW(v.reserve(std::size_t{1} << 58), std::bad_alloc);
    EXPECT_EQ(v, vec<int>(10, 1)) << "what was there stays";
}

TEST_F(Allocator, AllAreEqualAndFreeEachOthersObjects) {
    EXPECT_TRUE(allocator<int>() == allocator<char>());
    static_assert(std::allocator_traits<allocator<int>>::is_always_equal::value);
    int* p = allocator<int>().allocate(5);
    allocator<int>(allocator<char>()).deallocate(p, 5);
    int* none = allocator<int>().allocate(0);
    allocator<int>().deallocate(none, 0);
}

}  // namespace
