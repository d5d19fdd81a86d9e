// group_test.cpp - every variant of the group that this machine can run gives the
// bits a plain loop gives: every tag value, in every position, before different
// neighbours, under every mask.

#include "steady/core/group.hpp"
#include "steady/core/group/portable.hpp"
#include "steady/core/random.hpp"
#if defined(__SSE2__)
#include "steady/core/group/sse2.hpp"
#endif
#if defined(__ARM_NEON)
#include "steady/core/group/neon.hpp"
#endif

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace {

using namespace steady;

template <class Group>
class EveryGroup : public testing::Test {
protected:
    static constexpr unsigned n = Group::tags;
    using tags = std::array<std::uint8_t, n>;
    using mask = typename Group::mask;

    static void compare(const tags& t, std::uint8_t tag) {
        std::uint32_t same = 0, empty = 0;
        for (unsigned i = 0; i < n; ++i) {
            same |= static_cast<std::uint32_t>(t[i] == tag) << i;
            empty |= static_cast<std::uint32_t>(t[i] == 0) << i;
        }
        const std::uint32_t all = (1u << n) - 1;
        const Group g{t.data()};
        const group_portable<n> specification{t.data()};
        ASSERT_EQ(g.match(tag).bits(), same);
        ASSERT_EQ(g.match_empty().bits(), empty);
        ASSERT_EQ(g.match_occupied().bits(), all & ~empty);
        ASSERT_EQ(g.match(tag).bits(), specification.match(tag).bits());
        ASSERT_EQ(g.match_empty().bits(), specification.match_empty().bits());
        for (unsigned used = 0; used <= n; ++used) {
            const mask only = mask::first(used);
            const std::uint32_t used_bits = (1u << used) - 1;
            ASSERT_EQ(only.bits(), used_bits);
            ASSERT_EQ(g.match(tag, only).bits(), same & used_bits);
            ASSERT_EQ(g.match_empty(only).bits(), empty & used_bits);
            ASSERT_EQ(g.match_occupied(only).bits(), used_bits & ~empty);
        }
    }
};

using variants = testing::Types<
#if defined(__SSE2__)
    group_sse2<8>, group_sse2<16>,
#endif
#if defined(__ARM_NEON)
    group_neon<8>, group_neon<16>,
#endif
    group_portable<8>, group_portable<16>>;
TYPED_TEST_SUITE(EveryGroup, variants);

TYPED_TEST(EveryGroup, FindsEveryTagInEveryPosition) {
    for (unsigned value = 0; value < 256; ++value) {
        const auto tag = static_cast<std::uint8_t>(value);
        for (unsigned position = 0; position < this->n; ++position) {
            // Neighbours that differ in one bit, or by one, are what a borrow or a
            // sign would confuse.
            for (unsigned around : {0u, 1u, 0x7fu, 0x80u, 0xffu, value ^ 1, value ^ 0x80, value + 1,
                                    value - 1, value}) {
                typename TestFixture::tags t;
                t.fill(static_cast<std::uint8_t>(around));
                t[position] = tag;
                this->compare(t, tag);
                if (testing::Test::HasFatalFailure()) return;
            }
        }
    }
}

TYPED_TEST(EveryGroup, AgreesWithThePlainLoopOnRandomGroups) {
    wyrand random{42};
    for (int round = 0; round < 20000; ++round) {
        typename TestFixture::tags t;
        const std::uint32_t values = 2 + random.fastrandn(255);
        for (auto& tag : t) tag = static_cast<std::uint8_t>(random.fastrandn(values));
        this->compare(t, static_cast<std::uint8_t>(random.fastrandn(values)));
        if (testing::Test::HasFatalFailure()) return;
    }
}

TYPED_TEST(EveryGroup, ReadsFromAnyAddressAndNotOneByteMore) {
    std::array<std::uint8_t, 64> memory;
    for (unsigned offset = 1; offset + this->n < memory.size(); ++offset) {
        memory.fill(9);
        for (unsigned i = 0; i < this->n; ++i) memory[offset + i] = 0;
        EXPECT_EQ(TypeParam{&memory[offset]}.match_empty().count(), this->n);
        EXPECT_FALSE(TypeParam{&memory[offset]}.match(9));
    }
    // Under AddressSanitizer this finds a load past the end.
    const std::vector<std::uint8_t> exact(this->n, 5);
    EXPECT_EQ(TypeParam{exact.data()}.match(5).count(), this->n);
}

TYPED_TEST(EveryGroup, ItsMasksCountStepAndCombine) {
    typename TestFixture::tags t{};
    t[1] = t[4] = t[7] = 200;
    const TypeParam g{t.data()};
    const auto m = g.match(200);
    EXPECT_TRUE(m);
    EXPECT_TRUE(m.any());
    EXPECT_EQ(m.count(), 3u);
    EXPECT_EQ(m.lowest(), 1u);
    EXPECT_TRUE(m.has(4));
    EXPECT_FALSE(m.has(5));
    EXPECT_EQ(std::vector<unsigned>(1, *m.begin()), std::vector<unsigned>{1});
    std::vector<unsigned> slots;
    for (unsigned slot : m) slots.push_back(slot);
    EXPECT_EQ(slots, (std::vector<unsigned>{1, 4, 7}));
    EXPECT_EQ(m | g.match_empty(), TestFixture::mask::all());
    EXPECT_FALSE(m & g.match_empty());
    EXPECT_EQ(TestFixture::mask::all().without(m), g.match_empty());
    EXPECT_EQ(TestFixture::mask::all().count(), this->n);
    EXPECT_FALSE(typename TestFixture::mask{});
    EXPECT_EQ(m.from(0), m);
    for (unsigned n = 0; n < this->n; ++n) {
        const auto behind = m.from(n);
        for (unsigned i = 0; n + i < this->n; ++i) EXPECT_EQ(behind.has(i), m.has(n + i));
        EXPECT_EQ(behind.count(), (n <= 1) + (n <= 4) + (n <= 7));
    }
}

}  // namespace
