// random_plan_test.cpp - two hundred containers of random kinds, types and counts, planned,
// then built on the heap, then compared: with the heap's statistics, to the byte where
// nothing is random, and between the bounds elsewhere.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "audit/heap_account.hpp"
#include "steady/audit/plan.hpp"
#include "steady/core/hooks.hpp"
#include "steady/core/random.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/map/map.hpp"
#include "steady/map/set.hpp"
#include "steady/slice/functions.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;

template <std::size_t N>
using raw = std::array<char, N>;
struct alignas(32) wide {
    char bytes[64];
};
struct odd {
    char bytes[24];
    std::uint32_t more;
};

/// Keys that differ, in no order.
template <class K>
K key(std::uint64_t i) {
    const std::uint64_t mixed = splitmix64(i)();
    if constexpr (std::is_same_v<K, std::string_view>) {
        static std::array<char, 8> letters[1 << 18];  // the text is not the map's
        auto& place = letters[i % (1 << 18)];
        std::memcpy(place.data(), &mixed, 8);
        return {place.data(), 8};
    } else if constexpr (std::is_same_v<K, std::string>) {
        return {reinterpret_cast<const char*>(&mixed), 8};  // short: no text outside
    } else {
        if constexpr (sizeof(K) == 8) return mixed;
        // Odd factors and shifts: as mixed, and still different for different i.
        constexpr unsigned half = 4 * sizeof(K);
        auto x = static_cast<K>(i);
        for (int round = 0; round < 3; ++round) {
            x = static_cast<K>(x * 0x9e3779b1u);
            x = static_cast<K>(x ^ (x >> half));
        }
        return x;
    }
}

struct outcome {
    memory_parts told;
    test::heap_account::counts live;
};

template <class K, class V>
using heap_map = map<K, V, map_hash<K>, map_equal<K>, steady::allocator<std::pair<const K, V>>>;
template <class K, class V>
using heap_stable_map =
    map<K, V, map_hash<K>, map_equal<K>, steady::allocator<std::pair<const K, V>>, true>;
template <class K>
using heap_set = set<K, map_hash<K>, map_equal<K>, steady::allocator<K>>;
template <class K, class V>
using heap_std = std::unordered_map<K, V, std::hash<K>, std::equal_to<K>,
                                    steady::allocator<std::pair<const K, V>>>;

template <class M>
struct builder {
    static outcome build(std::uint64_t n, std::uint64_t hint) {
        const test::heap_account heap;
        M m;
        if (hint != 0) m.reserve(hint);
        for (std::uint64_t i = 0; i < n; ++i) {
            if constexpr (requires { typename M::mapped_type; }) {
                m.try_emplace(key<typename M::key_type>(i));
            } else {
                m.insert(key<typename M::key_type>(i));
            }
        }
        EXPECT_EQ(m.size(), n);
        outcome o{{}, heap.live()};
        if constexpr (requires { m.memory(); }) o.told = m.memory();
        return o;
    }
};
template <class K, class V>
struct builder<go::map<K, V>> {
    static outcome build(std::uint64_t n, std::uint64_t hint) {
        const test::heap_account heap;
        auto m = hint == 0 ? go::map<K, V>::make() : go::map<K, V>::make(hint);
        for (std::uint64_t i = 0; i < n; ++i) m.assign(key<K>(i), V{});
        EXPECT_EQ(m.size(), n);
        return {m.memory(), heap.live()};
    }
};
template <class T>
struct builder<slice<T>> {
    static outcome build(std::uint64_t n, std::uint64_t hint) {
        const test::heap_account heap;
        slice<T> s;
        if (hint != 0) s = make_slice<T>(0, static_cast<std::ptrdiff_t>(hint));
        for (std::uint64_t i = 0; i < n; ++i) s.append(T{});
        const auto live = heap.live();
        const memory_parts told = s.memory();
        return {told, live};
    }
};

struct subject {
    std::string name;
    std::uint64_t most;  // keys that differ
    audit::memory_plan (*plan)(std::uint64_t, const audit::plan_options&);
    outcome (*build)(std::uint64_t, std::uint64_t);
};
template <class M>
subject of(const char* name, std::uint64_t most = 200'000) {
    return {name, most,
            [](std::uint64_t n, const audit::plan_options& o) { return audit::plan<M>(n, o); },
            builder<M>::build};
}

const subject subjects[] = {
    of<go::map<std::uint64_t, std::uint64_t>>("go u64:u64"),
    of<go::map<std::uint32_t, std::uint8_t>>("go u32:u8"),
    of<go::map<std::uint8_t, bool>>("go u8:bool", 256),
    of<go::map<std::string_view, std::int64_t>>("go str:i64"),
    of<go::map<std::uint64_t, raw<200>>>("go u64:b200"),
    of<go::map<std::uint64_t, wide>>("go u64:wide"),
    of<go::map<std::uint64_t, odd>>("go u64:odd"),
    of<heap_map<std::uint64_t, std::uint64_t>>("map u64:u64"),
    of<heap_map<std::uint16_t, char>>("map u16:char", 65'536),
    of<heap_map<std::string, std::uint32_t>>("map string:u32"),
    of<heap_map<std::uint64_t, raw<100>>>("map u64:b100"),
    of<heap_map<std::uint64_t, raw<300>>>("map u64:b300"),
    of<heap_map<std::uint32_t, wide>>("map u32:wide"),
    of<heap_stable_map<std::uint64_t, std::uint64_t>>("stable u64:u64"),
    of<heap_set<std::uint64_t>>("set u64"),
    of<heap_set<std::string>>("set string"),
    of<slice<std::uint8_t>>("slice u8"),
    of<slice<std::uint64_t>>("slice u64"),
    of<slice<raw<12>>>("slice b12"),
    of<slice<std::string>>("slice string"),
    of<slice<wide>>("slice wide"),
    of<heap_std<std::uint64_t, std::uint64_t>>("std u64:u64"),
    of<heap_std<std::string, std::uint32_t>>("std string:u32"),
    of<heap_std<std::uint32_t, raw<7>>>("std u32:b7"),
};

TEST(RandomPlans, TwoHundredContainersAreAsPlanned) {
    const char* const seed = std::getenv("STEADY_TEST_SEED");
    splitmix64 random(seed != nullptr ? std::strtoull(seed, nullptr, 10) : 20260101);
    unsigned exact = 0;
    for (int pair = 0; pair < 200; ++pair) {
        const subject& s = subjects[random() % std::size(subjects)];
        const double log2_most = std::log2(static_cast<double>(s.most) * 0.999);
        const double part = static_cast<double>(random() >> 11) * 0x1p-53;
        // One in four large, the others of all magnitudes.
        const auto n = pair % 4 == 0
                           ? static_cast<std::uint64_t>(static_cast<double>(s.most) * part)
                           : static_cast<std::uint64_t>(std::exp2(log2_most * part));
        const std::uint64_t hints[] = {0, 0, n, n / 2, 2 * n};
        const std::uint64_t hint = hints[random() % std::size(hints)];
        SCOPED_TRACE(s.name + " n=" + std::to_string(n) + " hint=" + std::to_string(hint));
        const audit::memory_plan p = s.plan(n, {.hint = hint});
        const outcome seen = s.build(n, hint);
        EXPECT_TRUE(p.total.contains(p.mapped_itself + static_cast<std::uint64_t>(seen.live.bytes)))
            << seen.live.bytes << " is not within " << p.total.low << ".." << p.total.high;
        EXPECT_TRUE(p.objects.contains(static_cast<std::uint64_t>(seen.live.objects)))
            << seen.live.objects << " is not within " << p.objects.low << ".." << p.objects.high;
        EXPECT_EQ(p.expected.contents(), p.expected.total());
        EXPECT_LE(p.total.low, p.expected.total().count());
        EXPECT_GE(p.total.high, p.expected.total().count());
        EXPECT_GE(p.peak.high, static_cast<std::uint64_t>(seen.live.bytes));
        if (p.kind != std::string_view("std")) {
            EXPECT_EQ(seen.told.contents(), seen.told.total());
            EXPECT_TRUE(audit::check(p, seen.told));
        }
        exact += p.total.exact();
    }
    EXPECT_GT(exact, 60u) << "or bounds were all that was tested";
}

/// Compares with the elements that growing moved and the bytes the heap handed out.
template <class Slice>
void grows_as_planned(std::uint64_t n) {
    using element = typename Slice::value_type;
    SCOPED_TRACE(std::to_string(n) + " of " + std::to_string(sizeof(element)) + " bytes");
    const audit::memory_plan p = audit::plan<Slice>(n);
    std::uint64_t moved = 0;
    growth_hook.install(
        [](void* sum, const growth_event& e) {
            *static_cast<std::uint64_t*>(sum) += e.entries_moved;
        },
        &moved);
    const heap_statistics before = read_statistics();
    {
        Slice s;
        for (std::uint64_t i = 0; i < n; ++i) s.append(element{});
    }
    const heap_statistics after = read_statistics();
    growth_hook.remove();
    EXPECT_EQ(p.moved, moved);
    // Arrays of less than 16 bytes share a block with others of the thread.
    if (sizeof(element) >= 16) {
        EXPECT_EQ(p.allocated, after.total_alloc - before.total_alloc);
    }
}

// Up to the first array that may grow where it is: what happens then is the heap's affair.
TEST(RandomPlans, SlicesMoveAndAllocateWhatIsPlanned) {
    for (const std::uint64_t n : {1, 2, 3, 100, 1'000, 1'365, 1'400}) {
        grows_as_planned<slice<raw<24>>>(n);
        grows_as_planned<slice<wide>>(n / 3);
        grows_as_planned<slice<std::uint64_t>>(3 * n);
        grows_as_planned<slice<std::uint64_t, growth::exact>>(n);
    }
    for (const std::uint64_t n : {2, 100, 1'365})
        grows_as_planned<slice<raw<24>, growth::exact>>(n);
}

// With what growing gave up on the way: small tables, and regions that became too short.
TEST(RandomPlans, AMapAllocatesWhatIsPlanned) {
    using subject_map = heap_map<std::uint64_t, std::uint64_t>;
    for (const std::uint64_t n : {1, 15, 16, 400, 840, 841, 5'000, 60'000, 250'000}) {
        const audit::memory_plan p = audit::plan<subject_map>(n);
        const heap_statistics before = read_statistics();
        {
            subject_map m;
            for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(key<std::uint64_t>(i), i);
        }
        const std::uint64_t seen = read_statistics().total_alloc - before.total_alloc;
        // Chained blocks come and go as well, 16 of them when the table becomes large.
        EXPECT_NEAR(static_cast<double>(p.allocated), static_cast<double>(seen),
                    n <= 840 ? 0 : 0.02 * static_cast<double>(seen) + 24 * 1'152)
            << n;
        EXPECT_GE(p.allocated, p.total.low) << n;
    }
}

// From 32 KiB on an exact slice only adds: no step of it copies, and none is forgotten.
TEST(RandomPlans, AnExactSliceMovesWhileItIsSmallOnly) {
    using exact = slice<std::uint64_t, growth::exact>;
    constexpr std::uint64_t small = 32'768 / 8;
    const std::uint64_t moved = small * (small - 1) / 2;
    for (const std::uint64_t n : {small, 10 * small}) {
        const audit::memory_plan p = audit::plan<exact>(n);
        EXPECT_EQ(p.moved, moved) << n;
        EXPECT_EQ(p.fact_named("reallocations"), static_cast<double>(n)) << n;
    }
}

// Overflow buckets are listed by a map without pointers and looked for in another one: both
// are what the heap handed out, with spares, beyond them, and while the map grows.
template <class V>
void tells_its_overflow_buckets() {
    struct same_place {
        std::uint64_t operator()(std::uint64_t k) const noexcept { return k % 3; }
    };
    using crowded = go::map<std::uint64_t, V, same_place>;
    const test::heap_account heap;
    auto m = crowded::make(200);  // 32 buckets, 2 spares and what rounding adds
    for (std::uint64_t n = 1; n <= 1'000; ++n) {
        m.assign(n, V{});
        ASSERT_EQ(static_cast<std::int64_t>(m.memory().total().count()), heap.live().bytes)
            << n << " entries";
    }
    EXPECT_GT(m.memory().overflow.count(), 50 * crowded::bucket_size);
    m.clear();
    EXPECT_EQ(static_cast<std::int64_t>(m.memory().total().count()), heap.live().bytes);
}
TEST(RandomPlans, AGoMapTellsItsOverflowBuckets) {
    tells_its_overflow_buckets<std::uint64_t>();
    tells_its_overflow_buckets<std::string_view>();
}

// The bounds are no excuse: the flagship's total is known to a few chained blocks.
TEST(RandomPlans, BoundsAreNarrow) {
    for (const std::uint64_t n : {30'000, 1'000'000, 100'000'000}) {
        const audit::memory_plan p = audit::plan<heap_map<std::uint64_t, std::uint64_t>>(n);
        EXPECT_LT(static_cast<double>(p.total.high - p.total.low), 0.05 * p.total.expected) << n;
        const auto g = audit::plan<go::map<std::uint64_t, std::string_view>>(n, {.hint = n});
        EXPECT_LT(static_cast<double>(g.total.high - g.total.low), 0.06 * g.total.expected) << n;
    }
}

// What the command knows of types at run time is what the compiler knows.
TEST(RandomPlans, SlotsKnownBySizeAreTheMapsOwn) {
    const auto same = [](const map_outlook& typed, const audit::detail::slot_numbers& slot,
                         std::uint64_t n, std::uint64_t hint) {
        const map_outlook sized = audit::detail::outlook_of(slot, n, hint);
        EXPECT_EQ(static_cast<const memory_parts&>(typed.memory),
                  static_cast<const memory_parts&>(sized.memory));
        EXPECT_EQ(typed.clusters, sized.clusters);
        EXPECT_EQ(typed.grows_after, sized.grows_after);
        EXPECT_EQ(typed.block_count, sized.block_count);
    };
    using audit::detail::slot_of;
    for (const std::uint64_t n : {0, 1, 15, 16, 100, 224, 5'000, 123'456}) {
        for (const std::uint64_t hint : {std::uint64_t{0}, n}) {
            same(map<std::uint64_t, std::uint64_t>::outlook(n, hint), slot_of(8, 8, 8, 8, true), n,
                 hint);
            same(map<std::uint16_t, char>::outlook(n, hint), slot_of(2, 2, 1, 1, true), n, hint);
            same(map<std::string, std::uint32_t>::outlook(n, hint), slot_of(32, 8, 4, 4, false), n,
                 hint);
            same(map<std::uint64_t, raw<100>>::outlook(n, hint), slot_of(8, 8, 100, 1, true), n,
                 hint);
            same(map<std::uint64_t, raw<300>>::outlook(n, hint), slot_of(8, 8, 300, 1, true), n,
                 hint);
            same(map<std::uint32_t, wide>::outlook(n, hint), slot_of(4, 4, 64, 32, true), n, hint);
            same(set<std::string>::outlook(n, hint), slot_of(32, 8, 0, 1, false), n, hint);
        }
    }
    const auto node = audit::detail::node_of(8, 8, 8, 8, false);
    EXPECT_EQ(node.size, sizeof(audit::planner<heap_std<std::uint64_t, std::uint64_t>>::node));
    EXPECT_EQ(audit::detail::node_of(32, 8, 4, 4, true).size,
              sizeof(audit::planner<heap_std<std::string, std::uint32_t>>::node));
    EXPECT_EQ(audit::detail::node_of(4, 4, 64, 32, false).size,
              sizeof(audit::planner<heap_std<std::uint32_t, wide>>::node));
}

}  // namespace
