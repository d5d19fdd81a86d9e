// golden_plan_test.cpp - plans against what Go's own runtime counted (heap-maps.txt) and
// against our heap's statistics. Neither knows the other.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "audit/heap_account.hpp"
#include "steady/audit/plan.hpp"
#include "steady/go/map.hpp"

namespace {

using namespace steady;

/// One `map` block of the golden file.
struct golden {
    std::string types;
    std::uint64_t n = 0, hint = 0, B = 0;
    bool growing = false, extra = false, list = false;
    std::uint64_t regular = 0, prealloc = 0, spares = 0;
    std::uint64_t spares_used = 0, outside = 0, list_len = 0, list_cap = 0;
    std::uint64_t live = 0, objects = 0, allocated = 0;
};

std::uint64_t number_after(const std::string& line, const char* name) {
    const std::size_t at = line.find(name);
    if (at == std::string::npos) return 0;
    return std::strtoull(line.c_str() + at + std::string_view(name).size(), nullptr, 10);
}

std::vector<golden> read_goldens() {
    std::ifstream file(STEADY_SOURCE_DIR "/tests/golden/heap-maps.txt");
    std::vector<golden> all;
    for (std::string line; std::getline(file, line);) {
        const auto has = [&line](const char* words) {
            return line.find(words) != std::string::npos;
        };
        if (line.rfind("map ", 0) == 0) {
            golden g;
            g.types = line.substr(4, line.find(' ', 4) - 4);
            g.n = number_after(line, " n=");
            g.hint = number_after(line, " hint=");  // none: 0
            g.allocated = number_after(line, " bytes=");
            g.B = number_after(line, " B=");
            g.growing = number_after(line, "growing=") != 0;
            all.push_back(g);
            continue;
        }
        if (all.empty() || line.rfind("hint ", 0) == 0) continue;
        golden& g = all.back();
        if (has("live mapextra")) g.extra = true;
        if (has("live array")) {
            g.regular = number_after(line, "regular=");
            g.prealloc = number_after(line, "prealloc=");
            g.spares = number_after(line, " (");
        }
        if (has("live overflow")) {
            g.spares_used = number_after(line, "prealloc_used=");
            g.outside = number_after(line, "extra=");
        }
        if (has("live ovfslice")) {
            g.list = true;
            g.list_len = number_after(line, "len=");
            g.list_cap = number_after(line, "cap=");
        }
        if (has("total live=")) {
            g.live = number_after(line, "live=");
            g.objects = number_after(line, "objects=");
        }
    }
    return all;
}

std::string name_of(const golden& g) {
    return g.types + " n=" + std::to_string(g.n) + " hint=" + std::to_string(g.hint);
}

go::bucket_shape shape_of(const std::string& types) {
    if (types == "u64:str") return go::bucket_of<std::uint64_t, std::string_view>;
    if (types == "u64:u64") return go::bucket_of<std::uint64_t, std::uint64_t>;
    EXPECT_EQ(types, "u64:b200");
    return go::bucket_of<std::uint64_t, std::array<char, 200>>;
}

TEST(GoldenPlan, DeterministicPartsAreWhatGoAllocatesToTheByte) {
    const std::vector<golden> all = read_goldens();
    ASSERT_EQ(all.size(), 42u);
    for (const golden& g : all) {
        SCOPED_TRACE(name_of(g));
        const auto shape = shape_of(g.types);
        const audit::memory_plan p = audit::detail::plan_go_map(shape, g.n, g.hint);
        ASSERT_FALSE(g.growing);
        EXPECT_FALSE(p.growing);
        EXPECT_EQ(p.fact_named("B"), static_cast<double>(g.B));
        EXPECT_EQ(p.expected.header, 48_B);
        EXPECT_EQ(p.low.array.count(), g.regular);
        EXPECT_EQ(p.high.array.count(), g.regular);
        EXPECT_EQ(p.fact_named("spare_buckets"), static_cast<double>(g.spares));
        EXPECT_EQ(g.spares * shape.bucket(), g.prealloc);
        // What the hash decided stays between the bounds.
        EXPECT_TRUE(p.overflow.contains(g.spares_used + g.outside))
            << p.overflow.low << ".." << p.overflow.high;
        EXPECT_TRUE(p.total.contains(g.live)) << p.total.low << ".." << p.total.high;
        EXPECT_TRUE(p.objects.contains(g.objects)) << p.objects.low << ".." << p.objects.high;
        EXPECT_NEAR(static_cast<double>(p.allocated), static_cast<double>(g.allocated),
                    0.02 * static_cast<double>(g.allocated) + 800);
    }
}

// The bytes of a state are exact: with Go's own number of overflow buckets, so is the sum.
TEST(GoldenPlan, WithTheOverflowBucketsGoHadTheSumIsGosToTheByte) {
    for (const golden& g : read_goldens()) {
        SCOPED_TRACE(name_of(g));
        go::map_state s;
        s.count = g.n;
        s.B = static_cast<unsigned>(g.B);
        s.array = true;
        s.extra = g.extra;
        s.spares_used = g.spares_used;
        s.outside = g.outside;
        s.lists = g.list ? 1 : 0;
        s.list = g.list_cap;
        EXPECT_EQ(go::list_capacity(g.list_len), g.list_cap);
        const go::map_bytes m = go::bytes_of(shape_of(g.types), s);
        EXPECT_EQ(m.parts.total().count(), g.live);
        EXPECT_EQ(m.parts.contents(), m.parts.total());
        EXPECT_EQ(m.objects, g.objects);
    }
}

template <class V>
void compare_with_heap(std::uint64_t n, std::uint64_t hint) {
    const audit::memory_plan p = audit::plan<go::map<std::uint64_t, V>>(n, {.hint = hint});
    const test::heap_account heap;
    auto m = hint != 0 ? go::map<std::uint64_t, V>::make(hint) : go::map<std::uint64_t, V>::make();
    for (std::uint64_t i = 0; i < n; ++i) m.assign(i, V{});
    const auto live = heap.live();
    const memory_parts told = m.memory();
    EXPECT_EQ(told.total().count(), static_cast<std::uint64_t>(live.bytes));
    EXPECT_EQ(told.contents(), told.total());
    EXPECT_TRUE(audit::check(p, told));
    EXPECT_TRUE(p.objects.contains(static_cast<std::uint64_t>(live.objects)));
}

TEST(GoldenPlan, MemoryOfARealMapIsWhatTheHeapCountedToTheByte) {
    for (const golden& g : read_goldens()) {
        if (g.n > 100'000) continue;
        SCOPED_TRACE(name_of(g));
        if (g.types == "u64:str") compare_with_heap<std::string_view>(g.n, g.hint);
        if (g.types == "u64:u64") compare_with_heap<std::uint64_t>(g.n, g.hint);
        if (g.types == "u64:b200") compare_with_heap<std::array<char, 200>>(g.n, g.hint);
    }
}

// Every count from 0 on, so that each moment of several growths is met.
TEST(GoldenPlan, HoldsInTheMiddleOfEveryGrowth) {
    using map = go::map<std::uint64_t, std::uint64_t>;
    unsigned growing = 0;
    const test::heap_account heap;
    auto m = map::make();
    for (std::uint64_t n = 0; n <= 8'000; ++n) {
        if (n != 0) m.assign(n * 0x9e3779b97f4a7c15, n);
        const memory_parts told = m.memory();
        growing += told.old != bytes{};
        ASSERT_EQ(told.contents(), told.total());
        if (n % 7 != 0 && n > 64) continue;
        ASSERT_EQ(told.total().count(), static_cast<std::uint64_t>(heap.live().bytes)) << n;
        ASSERT_TRUE(audit::check(audit::plan<map>(n), told)) << n;
    }
    EXPECT_GT(growing, 300u) << "or the middle of a growth was never looked at";
}

// The flagship number of the documents: map[int64]string, 100000 entries, presized.
constexpr auto e40 =
    audit::plan<go::map<std::int64_t, std::string_view>>(100'000, {.hint = 100'000});
static_assert(e40.expected.header == 48_B && e40.expected.extra == 24_B);
static_assert(e40.low.array == 3'407'872_B && e40.high.array == 3'407'872_B);
static_assert(e40.total.contains(3'967'880), "what Go 1.19 measured");

}  // namespace
