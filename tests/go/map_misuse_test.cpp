// map_misuse_test.cpp - what Go calls fatal: writing while writing, reading while
// writing, walking while writing. Here the second access comes from inside the first,
// where it is caught every time; between threads the same flag catches it often.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "steady/go/map.hpp"
#include "support/fatal_text.hpp"

namespace {

using steady::test::fatal_text;

std::function<void()> meanwhile;  // what a key does while it is compared

struct nosy {
    std::uint64_t n;
    friend bool operator==(const nosy& a, const nosy& b) {
        if (meanwhile) meanwhile();
        return a.n == b.n;
    }
};
struct hash_nosy {
    std::size_t operator()(const nosy& key) const noexcept { return key.n; }
};
using table = steady::go::map<nosy, int, hash_nosy>;

table& crowded() {
    static table m = table::make();
    if (m.is_nil() || m.empty()) m.assign(nosy{1}, 1);
    return m;
}

template <class Outer, class Inner>
std::string text_of(Outer outer, Inner inner) {
    meanwhile = [&] {
        meanwhile = nullptr;
        inner();
    };
    const std::string text = fatal_text(outer);
    meanwhile = nullptr;
    // The operation was left in the middle, as a crashed one would be.
    const_cast<steady::go::internal::hmap*>(crowded().header())->flags &= ~4;
    return text;
}

bool begins(const std::string& text, const std::string& with) {
    return text.find(with) != std::string::npos;
}

TEST(GoMisuse, TwoWritersAreFatal) {
    table& m = crowded();
    const auto write = [&] { m.assign(nosy{1}, 2); };
    EXPECT_TRUE(begins(text_of(write, [&] { m.assign(nosy{2}, 2); }), "concurrent map writes"));
    EXPECT_TRUE(begins(text_of(write, [&] { m.erase(nosy{2}); }), "concurrent map writes"));
    EXPECT_TRUE(begins(text_of(write, [&] { m.clear(); }), "concurrent map writes"));
    EXPECT_TRUE(begins(text_of([&] { m.erase(nosy{1}); }, [&] { m.assign(nosy{3}, 3); }),
                       "concurrent map writes"));
}

/// An elem whose assignment looks into the map it is in.
struct restless {
    int n = 0;
    static inline std::function<void()> meanwhile;
    restless() = default;
    restless(int number) : n{number} {}
    restless(const restless&) = default;
    restless& operator=(const restless& other) noexcept {
        n = other.n;
        if (meanwhile) std::exchange(meanwhile, nullptr)();
        return *this;
    }
};

TEST(GoMisuse, AnAssignmentThatWritesToItsMapIsFatal) {
    auto m = steady::go::map<int, restless>::make();
    const restless one{1}, two{2};
    m.assign(1, one);
    restless::meanwhile = [&] { m.assign(2, two); };
    EXPECT_TRUE(begins(fatal_text([&] { m.assign(1, two); }), "concurrent map writes"));
    const_cast<steady::go::internal::hmap*>(m.header())->flags &= ~4;
    restless::meanwhile = [&] { static_cast<void>(m.get(1)); };
    EXPECT_TRUE(begins(fatal_text([&] { m.insert_or_assign(1, two); }),
                       "concurrent map read and map write"));
    const_cast<steady::go::internal::hmap*>(m.header())->flags &= ~4;
}

TEST(GoMisuse, AReaderBesideAWriterIsFatal) {
    table& m = crowded();
    const auto write = [&] { m.assign(nosy{1}, 2); };
    EXPECT_TRUE(begins(text_of(write, [&] { static_cast<void>(m.get(nosy{1})); }),
                       "concurrent map read and map write"));
    EXPECT_TRUE(begins(text_of(write, [&] { static_cast<void>(m.find(nosy{1})); }),
                       "concurrent map read and map write"));
}

TEST(GoMisuse, AWalkBesideAWriterIsFatal) {
    table& m = crowded();
    EXPECT_TRUE(
        begins(text_of([&] { m.assign(nosy{1}, 2); }, [&] { static_cast<void>(m.begin()); }),
               "concurrent map iteration and map write"));
}

TEST(GoMisuse, AWriterThatLosesItsFlagSaysSo) {
    table& m = crowded();
    EXPECT_TRUE(begins(text_of([&] { m.assign(nosy{1}, 2); },
                               [&] {
                                   // Another writer ended in between, and took the flag along.
                                   const_cast<steady::go::internal::hmap*>(m.header())->flags &= ~4;
                               }),
                       "concurrent map writes"));
}

TEST(GoMisuse, ReadersBesideReadersAreFine) {
    table& m = crowded();
    meanwhile = [&] {
        meanwhile = nullptr;
        EXPECT_TRUE(m.contains(nosy{1}));
        for (auto& [key, elem] : m) EXPECT_EQ(key.n, 1u);
    };
    EXPECT_TRUE(m.contains(nosy{1}));
}

/// check() finds what a broken map shows, by the invariant's name.
class GoChecks : public testing::Test {
protected:
    using numbers = steady::go::map<std::uint64_t, std::uint64_t>;
    static numbers filled(std::uint64_t n) {
        auto m = numbers::make();
        for (std::uint64_t i = 0; i < n; ++i) m.assign(i, i);
        return m;
    }
    static steady::go::internal::hmap& header(const numbers& m) {
        return *const_cast<steady::go::internal::hmap*>(m.header());
    }
    static std::string verdict(const numbers& m) {
        return fatal_text([&] { m.check(); });
    }
};

TEST_F(GoChecks, NameTheInvariantThatIsBroken) {
    const numbers m = filled(100);
    EXPECT_EQ(verdict(m), "");
    auto& h = header(m);
    ++h.count;
    EXPECT_TRUE(begins(verdict(m), "V1"));
    --h.count;
    h.hash0 ^= 1;
    EXPECT_TRUE(begins(verdict(m), "V2"));
    h.hash0 ^= 1;
    auto& tops = h.buckets->tophash;
    const std::uint8_t first = tops[0];
    tops[0] = 0;
    EXPECT_TRUE(begins(verdict(m), "G2"));
    tops[0] = 2;
    EXPECT_TRUE(begins(verdict(m), "G1"));
    tops[0] = first;
    EXPECT_EQ(verdict(m), "");
}

TEST_F(GoChecks, FindWhatIsWrongInTheMiddleOfAGrowth) {
    numbers m = filled(1700);
    ASSERT_NE(m.header()->oldbuckets, nullptr);
    EXPECT_EQ(verdict(m), "");
    auto& h = header(m);
    const auto frontier = h.nevacuate;
    h.nevacuate = h.old_bucket_count();
    EXPECT_TRUE(begins(verdict(m), "V4"));
    h.nevacuate = frontier;
    auto* const spare = h.extra->nextOverflow;
    h.extra->nextOverflow = steady::go::internal::forward(spare, numbers::bucket_size);
    EXPECT_EQ(verdict(m), "");
    h.extra->nextOverflow = spare;
}

}  // namespace
