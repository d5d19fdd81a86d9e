// reservations_test.cpp - what destroyed maps leave for the next ones: R1, R2, and pages that
// are made before they are touched.
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "steady/core/hooks.hpp"
#include "steady/map/map.hpp"

namespace {

using steady::os_call;
using numbers = steady::map<std::uint64_t, std::uint64_t>;
using kept = steady::detail::kept_reservations;

/// Counts what maps ask of the system, and the longest of it.
class system_watch {
public:
    system_watch() {
        steady::os_hook.install(
            [](void* self, const steady::os_event& e) {
                auto& watch = *static_cast<system_watch*>(self);
                ++watch.calls_[static_cast<unsigned>(e.call)];
                if (e.call == os_call::prepare || e.call == os_call::decommit) {
                    watch.longest = std::max(watch.longest, e.size.count());
                }
            },
            this);
    }
    ~system_watch() { steady::os_hook.remove(); }
    system_watch(const system_watch&) = delete;
    system_watch& operator=(const system_watch&) = delete;

    [[nodiscard]] unsigned calls(os_call kind) const { return calls_[static_cast<unsigned>(kind)]; }
    std::size_t longest = 0;

private:
    unsigned calls_[16] = {};
};

void fill(numbers& m, std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; ++i) m.try_emplace(i, i);
}

TEST(Reservations, TheNextMapGetsTheRangeWithItsPages) {
    steady::release_spare_map_memory();
    const auto once = [] {
        system_watch watch;
        numbers m;
        fill(m, 300'000);
        return std::pair{watch.calls(os_call::reserve), watch.calls(os_call::prepare)};
    };
    const auto [reserved, prepared] = once();
    EXPECT_EQ(reserved, 1u);
    EXPECT_GT(prepared, 100u);
    const auto [reserved_again, prepared_again] = once();
    EXPECT_EQ(reserved_again, 0u);
    // Of blocks that malloc has given back to the system meanwhile, before there is a range.
    EXPECT_LT(prepared_again, prepared / 3);
}

TEST(Reservations, AMapThatUsesPagesOfOneBeforeFindsNothingOfIt) {
    {
        steady::map<std::uint32_t, std::uint32_t> other;  // its parts are of other sizes
        for (std::uint32_t i = 0; i < 700'000; ++i) other.try_emplace(i, i);
    }
    numbers m;
    fill(m, 300'000);
    m.check();
    EXPECT_EQ(m.size(), 300'000u);
    for (std::uint64_t i = 0; i < 600'000; ++i) ASSERT_EQ(m.contains(i), i < 300'000);
}

TEST(Reservations, KeptPagesAreCountedAsUnusedMemory) {
    steady::release_spare_map_memory();
    { numbers(2'000'000); }
    numbers m;
    m.reserve(200'000);
    const steady::map_memory used = m.memory();
    EXPECT_GT(used.unused.count(), 30'000'000u);
    EXPECT_LT((used.total() - used.unused).count(), 200'000u * 30);
}

TEST(Reservations, ReserveMakesItsPages) {
    steady::release_spare_map_memory();
    system_watch watch;
    numbers m;
    m.reserve(1'000'000);
    EXPECT_GT(watch.calls(os_call::prepare), 80u);
    EXPECT_LE(watch.longest, 256u << 10);
    const auto* const first = reinterpret_cast<const char*>(&*m.try_emplace(1, 1).first);
    unsigned char there[64] = {};
    auto* const page = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(first) & ~4095ull);
    ASSERT_EQ(mincore(page, 4096, there), 0);
    EXPECT_EQ(there[0] & 1, 1);
}

TEST(Reservations, R1NoMoreIsKeptThanAllowed) {
    steady::release_spare_map_memory();
    system_watch watch;
    {
        std::vector<std::unique_ptr<numbers>> maps;
        for (int i = 0; i < 8; ++i) {
            maps.push_back(std::make_unique<numbers>());
            maps.back()->reserve(500'000);
        }
    }
    EXPECT_LE(kept::shares().count(), kept::all_shares);
    EXPECT_GT(watch.calls(os_call::release), 0u) << "eight times 12 MiB is too much";
    EXPECT_LT(watch.calls(os_call::release), 8u) << "or nothing was kept";
    steady::release_spare_map_memory();
    EXPECT_EQ(kept::shares().count(), 0u);
}

TEST(Reservations, R2ASmallOneCanBeKeptWhateverElseIs) {
    steady::release_spare_map_memory();
    numbers small;
    fill(small, 120'000);
    system_watch watch;
    {
        std::vector<std::unique_ptr<numbers>> maps;
        for (int i = 0; i < 8; ++i) {
            maps.push_back(std::make_unique<numbers>());
            maps.back()->reserve(500'000);
        }
    }
    const unsigned unmapped = watch.calls(os_call::release);
    small.clear();
    EXPECT_EQ(watch.calls(os_call::release), unmapped);
    steady::release_spare_map_memory();
}

TEST(Reservations, TheRangeWithTheFewestPagesIsTakenFirst) {
    steady::release_spare_map_memory();
    { numbers large(1'000'000), small(200'000); }
    numbers m;
    fill(m, 150'000);
    EXPECT_LT(m.memory().total().count(), 10u << 20) << "the large one's pages are not its own";
    steady::release_spare_map_memory();
}

TEST(Reservations, ATableThatARangeHasNoRoomForIsABlock) {
    using steady::detail::reservation;
    constexpr steady::detail::region_sizes sizes{{16, 8}, true};
    constexpr std::uint64_t most = sizes.room_in(reservation::usual_size);
    static_assert(sizes.block_for(most) == 0 && sizes.room_for(most) == most);
    static_assert(sizes.block_for(most + 1) != 0 && sizes.room_for(most + 1) == 2 * (most + 1));
}

TEST(Reservations, MapsOfManyThreadsDoNotShareARange) {
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([t] {
            for (std::uint64_t round = 0; round < 12; ++round) {
                numbers m;
                for (std::uint64_t i = 0; i < 130'000; ++i) m.try_emplace(i, i * t);
                for (std::uint64_t i = 0; i < 130'000; ++i) {
                    if (m.at(i) != i * t) std::abort();
                }
            }
        });
    }
    for (std::thread& t : threads) t.join();
    EXPECT_LE(kept::shares().count(), kept::all_shares);
}

TEST(Reservations, NoSystemCallOfAnOperationCoversMoreThan256KiB) {
    steady::release_spare_map_memory();
    numbers m;
    system_watch watch;
    fill(m, 3'000'000);  // more than may be kept
    EXPECT_GT(watch.calls(os_call::prepare), 0u);
    for (std::uint64_t i = 0; i < 2'999'000; ++i) m.erase(i);
    EXPECT_GT(watch.calls(os_call::decommit), 0u);
    EXPECT_LE(watch.longest, 256u << 10);
    EXPECT_EQ(watch.calls(os_call::release), 0u);
}

TEST(Reservations, AMapWithHugePagesLeavesNone) {
    steady::release_spare_map_memory();
    system_watch watch;
    {
        numbers m;
        m.prefer_huge_pages();
        fill(m, 200'000);
    }
    EXPECT_EQ(watch.calls(os_call::release), watch.calls(os_call::reserve));
}

}  // namespace
