// page_bits_test.cpp - the searches on 512 bits, the packed summaries, the layout
// of the tables and the marks, each against the slowest thing that is surely right.

#include <steady/core/units.hpp>
#include <steady/heap/detail/page_bits.hpp>
#include <steady/heap/detail/page_marks.hpp>
#include <steady/heap/detail/page_summary.hpp>
#include <steady/heap/detail/page_tables.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace {

using namespace steady;
using namespace steady::detail;

/// Chunks of every kind: empty, full, sparse, dense, and made of long runs.
page_bits some_chunk(std::mt19937_64& random) {
    page_bits bits{};
    switch (random() % 6) {
        case 0: break;
        case 1: bits.fill(); break;
        case 2:
            for (auto& w : bits.word) w = random() & random() & random();
            break;
        case 3:
            for (auto& w : bits.word) w = random() | random() | random();
            break;
        default:
            for (unsigned at = 0; at < chunk_pages;) {
                const unsigned length = std::min<unsigned>(1 + random() % 150, chunk_pages - at);
                if (random() % 2 == 0) {
                    page_bits::for_each_word(
                        at, length, [&](unsigned w, std::uint64_t mask) { bits.word[w] |= mask; });
                }
                at += length;
            }
    }
    return bits;
}

unsigned slow_find(const page_bits& bits, unsigned n, unsigned from) {
    for (unsigned first = from; first + n <= chunk_pages; ++first) {
        unsigned length = 0;
        while (length < n && bits.test(first + length)) ++length;
        if (length == n) return first;
    }
    return chunk_pages;
}

TEST(PageBits, TheLowestRunIsTheOneThatCountingBitByBitFinds) {
    std::mt19937_64 random(1);
    for (unsigned i = 0; i < 20'000; ++i) {
        const page_bits bits = some_chunk(random);
        const unsigned n = 1 + static_cast<unsigned>(random() % (i % 2 == 0 ? 20 : 512));
        const unsigned from = i % 3 == 0 ? static_cast<unsigned>(random() % chunk_pages) : 0;
        ASSERT_EQ(bits.find_run(n, from), slow_find(bits, n, from)) << n << " from " << from;
    }
}

TEST(PageBits, LengthsOfRunsAreThoseOfCountingBitByBit) {
    std::mt19937_64 random(2);
    for (unsigned i = 0; i < 20'000; ++i) {
        const page_bits bits = some_chunk(random);
        unsigned start = 0, longest = 0, end = 0;
        while (start < chunk_pages && bits.test(start)) ++start;
        while (end < chunk_pages && bits.test(chunk_pages - 1 - end)) ++end;
        for (unsigned page = 0, length = 0; page < chunk_pages; ++page) {
            length = bits.test(page) ? length + 1 : 0;
            longest = std::max(longest, length);
        }
        const run_lengths got = bits.lengths();
        ASSERT_EQ(got.start, start);
        ASSERT_EQ(got.longest, longest);
        ASSERT_EQ(got.end, end);
        const auto from = static_cast<unsigned>(random() % chunk_pages);
        ASSERT_EQ(bits.run_at_end(from), std::min(end, chunk_pages - from));
    }
}

TEST(PageBits, TheHighestRunIsTheOneThatWalkingDownFinds) {
    std::mt19937_64 random(3);
    for (unsigned i = 0; i < 20'000; ++i) {
        const page_bits bits = some_chunk(random);
        const unsigned from = static_cast<unsigned>(random() % 2) * unit_pages;
        const unsigned to = from + unit_pages;
        const unsigned grain = 1u << random() % 4;
        const unsigned least = std::max<unsigned>(grain, 1 + random() % 140);
        bit_run expected{};
        for (unsigned end = to; end > from && expected.count == 0; --end) {
            if (!bits.test(end - 1) || (end < to && bits.test(end))) continue;
            unsigned first = end;
            while (first > from && bits.test(first - 1)) --first;
            const auto low = static_cast<unsigned>(round_up(first, grain));
            const auto high = static_cast<unsigned>(round_down(end, grain));
            if (high > low && high - low >= least) expected = {low, high - low};
        }
        const bit_run got = bits.highest_run(from, to, least, grain);
        ASSERT_EQ(got.count, expected.count);
        if (expected.count != 0) {
            ASSERT_EQ(got.first, expected.first);
        }
    }
}

TEST(PageSummary, EightFoldedSayWhatTheirBitsTogetherSay) {
    std::mt19937_64 random(4);
    for (unsigned i = 0; i < 2'000; ++i) {
        page_bits chunks[8];
        page_summary leaves[8];
        for (unsigned c = 0; c < 8; ++c) {
            chunks[c] = some_chunk(random);
            leaves[c] = page_summary::of(chunks[c]);
        }
        const auto test = [&](unsigned page) {
            return chunks[page / chunk_pages].test(page % chunk_pages);
        };
        const unsigned all = 8 * chunk_pages;
        unsigned start = 0, longest = 0, end = 0;
        while (start < all && test(start)) ++start;
        while (end < all && test(all - 1 - end)) ++end;
        for (unsigned page = 0, length = 0; page < all; ++page) {
            length = test(page) ? length + 1 : 0;
            longest = std::max(longest, length);
        }
        ASSERT_EQ(fold(leaves, level_shift(leaf_level)), page_summary(start, longest, end));
    }
}

TEST(PageSummary, AFoldIsLeftAloneOnlyWhenItWouldBeTheSame) {
    std::mt19937_64 random(6);
    unsigned left_alone = 0;
    for (unsigned i = 0; i < 20'000; ++i) {
        page_summary family[8];
        for (page_summary& leaf : family) leaf = page_summary::of(some_chunk(random));
        const page_summary parent = fold(family, level_shift(leaf_level));
        page_summary& changed = family[random() % 8];
        const page_summary before = changed;
        changed = random() % 2 == 0 ? page_summary::of(some_chunk(random))
                                    : page_summary(before.start(), before.max() + 1, before.end());
        if (!same_fold(before, changed, parent)) continue;
        ++left_alone;
        ASSERT_EQ(fold(family, level_shift(leaf_level)), parent);
    }
    EXPECT_GT(left_alone, 1000u);
}

TEST(PageSummary, AnEntirelyFreeRootEntryIsSaidWithTheTopBit) {
    page_summary whole[8];
    std::fill(whole, whole + 8, page_summary(1u << 18, 1u << 18, 1u << 18));
    const page_summary root = fold(whole, level_shift(1));
    EXPECT_EQ(root.start(), 1u << 21);
    EXPECT_EQ(root.max(), 1u << 21);
    EXPECT_EQ(root.end(), 1u << 21);
    EXPECT_EQ(page_summary{}.max(), 0u) << "Y1";
}

TEST(PageTables, EveryLineOfTheArrayHasExactlyOneUse) {
    const std::size_t chunks = 3 * 4096 + 8;  // three whole entries of the root and a block
    const std::size_t size = page_tables::size_for(chunks).count();
    // No byte is read or written, only addresses are compared.
    const auto base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);
    const page_tables tables{base};
    std::vector<unsigned> uses(size / 64);
    const auto use = [&](const void* at, std::size_t length) {
        const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(at) - base);
        ASSERT_EQ(offset % 64, 0u);
        ASSERT_LE(offset + length, size);
        for (std::size_t line = 0; line < length / 64; ++line) ++uses[offset / 64 + line];
    };
    use(&tables.header(), sizeof(page_header));
    for (std::size_t c = 0; c < chunks; ++c) use(&tables.chunk(c), sizeof(chunk_bits));
    for (std::size_t g = 0; g < (chunks + 63) / 64; ++g) use(&tables.notes(g), sizeof(page_notes));
    std::size_t entries = chunks;
    for (unsigned level = leaf_level; level > 0; --level) {
        const std::size_t families = (entries + 7) / 8;
        for (std::size_t f = 0; f < families; ++f) use(tables.siblings(level, f), 64);
        entries = families;
    }
    EXPECT_EQ(std::count(uses.begin(), uses.end(), 1u), static_cast<std::ptrdiff_t>(uses.size()));
    EXPECT_EQ(static_cast<const void*>(tables.siblings(0, 0)), &tables.header().root[0]);
    EXPECT_EQ(&tables.summary(0, 9), &tables.header().root[9]);
}

TEST(PageTables, APrefixOfTheArrayIsCompleteForAPrefixOfTheSlice) {
    const auto base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);
    const page_tables tables{base};
    for (std::size_t chunks = 1; chunks <= most_chunks; chunks += chunks / 7 + 1) {
        const std::byte* const end = base + page_tables::size_for(chunks).count();
        const std::size_t c = chunks - 1;
        EXPECT_LE(static_cast<void*>(&tables.chunk(c) + 1), static_cast<const void*>(end));
        EXPECT_LE(static_cast<void*>(&tables.notes(c / 64) + 1), static_cast<const void*>(end));
        for (unsigned level = 0; level <= leaf_level; ++level) {
            const std::size_t family = c >> (3 * (leaf_level - level)) >> 3;
            EXPECT_LE(static_cast<void*>(tables.siblings(level, family) + 8),
                      static_cast<const void*>(end));
        }
    }
}

TEST(PageMarks, TheHighestMarkIsThatOfAnOrderedSet) {
    const unsigned chunks = 20'000;
    std::vector<std::byte> room(page_tables::size_for(chunks).count() + 64);
    const page_tables tables{
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(room.data()), 64))};
    page_marks marks;
    std::set<unsigned> expected[mark_kinds];
    std::mt19937_64 random(5);
    for (unsigned i = 0; i < 60'000; ++i) {
        const auto kind = static_cast<mark>(random() % mark_kinds);
        auto& same = expected[static_cast<unsigned>(kind)];
        const bool dense = i / 10'000 % 2 == 0;
        const auto chunk = static_cast<unsigned>(random() % (dense ? 700 : chunks));
        if (random() % 2 == 0) {
            marks.set(tables, kind, chunk);
            same.insert(chunk);
        } else if (!same.empty()) {
            auto victim = same.lower_bound(chunk);
            if (victim == same.end()) --victim;
            marks.clear(tables, kind, *victim);
            same.erase(victim);
        }
        const auto limit = static_cast<unsigned>(random() % (chunks + 1));
        const auto above = same.lower_bound(limit);
        const unsigned highest = above == same.begin() ? no_page : *std::prev(above);
        ASSERT_EQ(marks.highest(tables, kind, limit), highest);
        ASSERT_EQ(marks.test(tables, kind, chunk), same.count(chunk) == 1);
    }
    EXPECT_TRUE(marks.check(tables, (chunks + 63) / 64));
}

}  // namespace
