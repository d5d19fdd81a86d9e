// reconcile_test.cpp - the sum of the ledgers is what the kernel has mapped, after everything
// that moves memory: inserts, erasures, shrinking, slices, threads.
//
// STEADY_AUDIT_FULL=1 runs the full sizes (1e7 inserts, 1e6 slices); CI runs a thirtieth.
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "steady/audit/reconcile.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/allocator.hpp"
#include "steady/heap/heap.hpp"
#include "steady/map/map.hpp"
#include "steady/os/mappings.hpp"
#include "steady/os/memory.hpp"
#include "steady/slice/functions.hpp"
#include "steady/slice/slice.hpp"

namespace {

using namespace steady;

bool full() {
    const char* const wish = std::getenv("STEADY_AUDIT_FULL");
    return wish != nullptr && *wish == '1';
}

void expect_exact(const char* when) {
    const audit::reconciliation r = audit::reconcile();
    EXPECT_EQ(r.difference(), 0) << when << '\n' << to_text(r);
    EXPECT_EQ(r.list_difference(), 0) << when << '\n' << to_text(r);
    EXPECT_TRUE(r.heap_is_sound) << when << '\n' << to_text(r);
    EXPECT_LE(r.resident, r.ready) << when << '\n' << to_text(r);
    EXPECT_GT(r.resident, bytes{}) << when;
    if (full()) std::printf("%s\n%s", when, to_text(r).c_str());
}

void churn_slices(std::uint64_t seed, std::uint64_t count) {
    splitmix64 random(seed);
    std::vector<slice<std::uint64_t>> kept(64);
    for (std::uint64_t i = 0; i < count; ++i) {
        auto& s = kept[random() % kept.size()];
        switch (random() % 4) {
            case 0:
                s = make_slice<std::uint64_t>(0, static_cast<std::ptrdiff_t>(random() % 3'000));
                break;
            case 1: s.append(i); break;
            case 2: s = kept[random() % kept.size()]; break;
            default: s = nullptr;
        }
    }
}

using heap_map =
    map<std::uint64_t, std::uint64_t, map_hash<std::uint64_t>, map_equal<std::uint64_t>,
        steady::allocator<std::pair<const std::uint64_t, std::uint64_t>>>;

TEST(Reconcile, TheDifferenceIsZeroAfterEverythingThatMovesMemory) {
    const std::uint64_t inserts = full() ? 10'000'000 : 300'000;
    expect_exact("at the beginning");
    {
        heap_map m;
        for (std::uint64_t i = 0; i < inserts; ++i) m.try_emplace(i, i);
        expect_exact("after inserts");
        for (std::uint64_t i = 0; i < inserts; ++i) {
            if (i % 10 != 0) m.erase(i);
        }
        ASSERT_EQ(m.size(), (inserts + 9) / 10);
        expect_exact("after erasing 90 %");
        m.shrink_to_fit();
        static_cast<void>(trim());
        expect_exact("after shrinking");
    }
    churn_slices(1, full() ? 1'000'000 : 50'000);
    expect_exact("after random slices");
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 8; ++t) {
        threads.emplace_back([t] {
            churn_slices(t, full() ? 300'000 : 20'000);
            heap_map m;
            for (std::uint64_t i = 0; i < 20'000; ++i) m[splitmix64(t + i)() % 5'000] += i;
        });
    }
    for (std::thread& t : threads) t.join();
    expect_exact("after eight threads");
}

// A check that cannot fail would prove nothing: each count, put wrong, is noticed.
TEST(Reconcile, NoticesEachFigureThatIsWrong) {
    void* const p = allocate(100);
    ASSERT_TRUE(audit::reconcile().exact()) << to_text(audit::reconcile());
    os::ledgers().ready.add(4096_B);
    EXPECT_EQ(audit::reconcile().difference(), -4096);
    EXPECT_FALSE(audit::reconcile().heap_is_sound);
    os::ledgers().ready.sub(4096_B);
    const auto block = os::map_plain(1_MiB);
    ASSERT_TRUE(block);
    EXPECT_EQ(audit::reconcile().difference(), 0);
    os::detail::unlist_mapped(*block, 64_KiB);
    EXPECT_EQ(audit::reconcile().list_difference(), -65536);
    os::detail::list_mapped(*block, 64_KiB);
    EXPECT_TRUE(audit::reconcile().exact()) << to_text(audit::reconcile());
    ASSERT_TRUE(os::unmap_plain(*block, 1_MiB));
    EXPECT_TRUE(audit::reconcile().exact()) << to_text(audit::reconcile());
    deallocate(p);
}

}  // namespace
