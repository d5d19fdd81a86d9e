// layout_test.cpp - where layout.hpp says that something lies, it lies. Sizes and Go's offsets
// are static_asserts beside the structures; here are the ones that only an object can show.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "steady/audit/layout.hpp"
#include "steady/map/map.hpp"

namespace {

using namespace steady;
using audit::layout;

std::size_t offset_of(const audit::structure& s, const std::string& name) {
    for (std::size_t i = 0; i < s.field_count; ++i) {
        if (s.fields[i].name == name) return s.fields[i].offset;
    }
    ADD_FAILURE() << s.name << " has no field " << name;
    return ~std::size_t{0};
}

/// Where the only block of a small map begins, and its size.
struct told {
    std::uintptr_t start = 0;
    std::size_t size = 0;
};
template <class T>
struct telling_allocator {
    using value_type = T;
    told* to;
    explicit telling_allocator(told* t) : to{t} {}
    template <class U>
    telling_allocator(const telling_allocator<U>& other) : to{other.to} {}
    T* allocate(std::size_t n) {
        T* const p = std::allocator<T>().allocate(n);
        *to = {reinterpret_cast<std::uintptr_t>(p), n * sizeof(T)};
        return p;
    }
    void deallocate(T* p, std::size_t n) { std::allocator<T>().deallocate(p, n); }
    bool operator==(const telling_allocator&) const = default;
};

/// Entries of a map's first block stand in 15 slots of each group, behind 16 bytes of tags of each.
template <class K, class V>
void entries_lie_where_the_layout_says(std::initializer_list<K> keys) {
    using entry = std::pair<const K, V>;
    told block;
    map<K, V, map_hash<K>, map_equal<K>, telling_allocator<entry>> m{
        telling_allocator<entry>(&block)};
    for (const K& k : keys) m.try_emplace(k);
    constexpr audit::structure slot = layout<audit::map_slot<K, V>>();
    constexpr std::size_t groups = slot.size <= 16 ? 2 : 1;
    constexpr std::size_t slots_at =
        round_up(groups * layout<audit::map_group>().size, alignof(entry));
    ASSERT_EQ(block.size, round_up(slots_at + groups * 15 * slot.size, 16));
    for (const auto& [key, value] : m) {
        const auto at = reinterpret_cast<std::uintptr_t>(&key) - block.start - slots_at;
        EXPECT_EQ(at % slot.size, offset_of(slot, "key")) << slot.name;
        EXPECT_LT(at / slot.size, groups * 15);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&value) - reinterpret_cast<std::uintptr_t>(&key),
                  offset_of(slot, "value") - offset_of(slot, "key"));
    }
}

TEST(Layout, EntriesOfAMapLieWhereTheLayoutSays) {
    entries_lie_where_the_layout_says<std::uint64_t, std::uint64_t>({1, 2, 3, 4, 5});
    entries_lie_where_the_layout_says<std::uint32_t, char>({1, 2, 3});
    entries_lie_where_the_layout_says<std::string, std::uint32_t>({"a", "b", "c"});
}

TEST(Layout, EveryByteOfEveryStructureIsAFieldOrPadding) {
    const std::vector<audit::structure> all = {
        layout<audit::map_group>(),
        layout<audit::map_slot<std::uint16_t, std::uint64_t>>(),
        layout<audit::map_slot<std::string, std::string>>(),
        layout<audit::map_slot<int, std::array<char, 300>>>(),
        layout<audit::map_slot<int, int, map_hash<int>, true>>(),
        layout<audit::map_cluster<std::uint16_t, char>>(),
        layout<audit::map_cluster<std::string, std::array<char, 100>>>(),
        layout<audit::map_block<std::uint16_t, char>>(),
        layout<audit::map_block<std::string, std::string>>(),
        layout<audit::size_class<48>>(),
        layout<audit::size_class<20'480>>(),
        layout<audit::span_record<1>>(),
        layout<audit::span_record<8>>(),
        layout<audit::span_record<18>>()};
    for (const audit::structure& s : all) {
        EXPECT_TRUE(s.complete()) << audit::to_text(s);
        EXPECT_EQ(s.size % s.alignment, 0u) << audit::to_text(s);
    }
}

TEST(Layout, TheTextNamesEachFieldAndEachGap) {
    EXPECT_EQ(audit::to_text(layout<audit::map_slot<std::uint16_t, std::uint32_t>>()),
              "slot, 8 bytes, aligned to 4\n"
              "       0       2  key            \n"
              "       2       2  (padding)\n"
              "       4       4  value          \n");
}

}  // namespace
