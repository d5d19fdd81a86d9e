// meter_test.cpp - what the meters say is what was done, and promises that are broken are told.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>

#include "steady/audit/contract.hpp"
#include "steady/audit/meter.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/heap.hpp"
#include "support/fatal_text.hpp"

namespace {

using namespace steady;

TEST(Meter, CountsObjectsAndBytesExactly) {
    void* kept = nullptr;
    const audit::metered m = audit::meter([&] {
        for (int i = 0; i < 1'000; ++i) deallocate(allocate(100));  // class 112
        kept = allocate(40'000);                                    // five pages
    });
    EXPECT_EQ(m.objects, 1'001u);
    EXPECT_EQ(m.bytes, 1'000u * 112 + 40'960);
    EXPECT_EQ(m.live_objects, 1);
    EXPECT_EQ(m.live_bytes, 40'960);
    deallocate(kept);
}

TEST(Meter, SeesThePeakOfAGrowthWhenAskedTo) {
    using map = go::map<std::uint64_t, std::uint64_t>;
    const std::uint64_t n = 100'000;
    const auto fill = [&] {
        auto m = map::make();
        for (std::uint64_t i = 0; i < n; ++i) m.assign(i, i);
    };
    const audit::metered plain = audit::meter(fill);
    const audit::metered watched = audit::meter(fill, audit::peaks::at_growths);
    EXPECT_EQ(plain.peak_bytes, 0) << "the map was gone when the meter looked";
    const audit::estimate planned = audit::plan<map>(n).peak;
    EXPECT_GE(watched.peak_bytes, static_cast<std::int64_t>(planned.low));
    EXPECT_LE(watched.peak_bytes, static_cast<std::int64_t>(planned.high));
    EXPECT_GT(watched.readings, 100u);
}

TEST(Meter, CountsAllocationsPerRunAsGoDoes) {
    EXPECT_EQ(audit::allocs_per_run([] {}), 0);
    EXPECT_EQ(audit::allocs_per_run([] { deallocate(allocate(24)); }), 1);
    EXPECT_EQ(audit::allocs_per_run([] {
                  deallocate(allocate(24));
                  deallocate(allocate(100'000));
                  deallocate(allocate(5 << 20));
              }),
              3);
    int call = 0;
    EXPECT_EQ(audit::allocs_per_run([&] { deallocate(call++ == 0 ? allocate(8) : nullptr); }), 0)
        << "the first call warms up";
}

TEST(NoAllocScope, IsSilentWhenThePromiseIsKept) {
    auto m = go::map<std::uint64_t, std::uint64_t>::make(1'000);
    m.assign(1, 1);
    {
        const audit::no_alloc_scope quiet("lookups", audit::throw_on_allocation);
        for (std::uint64_t i = 0; i < 100; ++i) static_cast<void>(m.lookup(i));
    }
    SUCCEED();
}

TEST(NoAllocScope, ThrowsStopsOrReportsWhenItIsBroken) {
    bool told = false;
    try {
        const audit::no_alloc_scope quiet("parser", audit::throw_on_allocation);
        deallocate(allocate(100));
        deallocate(allocate(2 << 20));
        told = false;
    } catch (const audit::allocated_error& e) {
        told = true;
        EXPECT_EQ(e.promise().objects, 2u);
        EXPECT_EQ(e.promise().bytes, 112u + (2 << 20));
        EXPECT_NE(std::strstr(e.what(), "'parser': 2 objects"), nullptr) << e.what();
    }
    EXPECT_TRUE(told);
    const std::string text = test::fatal_text([] {
        audit::stop_on_allocation({"order path", 3, 144});
    });
    EXPECT_NE(text.find("no_alloc_scope 'order path': 3 objects of 144 bytes"), std::string::npos)
        << text;
    testing::internal::CaptureStderr();
    {
        const audit::no_alloc_scope quiet("reader", audit::report_allocation);
        deallocate(allocate(8));
    }
    EXPECT_NE(testing::internal::GetCapturedStderr().find("'reader': 1 objects"),
              std::string::npos);
}

TEST(NoAllocScope, DoesNotHideTheExceptionThatIsUnderWay) {
    testing::internal::CaptureStderr();
    try {
        const audit::no_alloc_scope quiet("thrower", audit::throw_on_allocation);
        deallocate(allocate(8));
        throw 7;
    } catch (int seven) {
        EXPECT_EQ(seven, 7);
    }
    EXPECT_NE(testing::internal::GetCapturedStderr().find("'thrower'"), std::string::npos);
}

TEST(NoAllocScope, OtherThreadsMayAllocate) {
    std::atomic<int> stage{0};
    std::thread other([&] {
        while (stage.load() == 0) std::this_thread::yield();
        for (int i = 0; i < 1'000; ++i) deallocate(allocate(64));
        deallocate(allocate(1 << 20));
        stage = 2;
    });
    {
        const audit::no_alloc_scope quiet("this thread", audit::throw_on_allocation);
        stage = 1;
        while (stage.load() != 2) std::this_thread::yield();
    }
    other.join();
}

// ---- Contracts.

struct honest {
    go::map<std::uint64_t, std::uint64_t> m = go::map<std::uint64_t, std::uint64_t>::make();
    static constexpr std::uint64_t estimate_bytes(std::uint64_t n) { return 48 * n + 4'096; }
};
struct too_optimistic : honest {
    static constexpr std::uint64_t estimate_bytes(std::uint64_t n) { return 17 * n; }
};
static_assert(audit::MemoryContract<honest>);
static_assert(!audit::MemoryContract<int>);
static_assert(audit::estimate_of<honest>(1'000'000) < 70'000'000, "the ceiling of the documents");

constexpr auto fill = [](honest& h, std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; ++i) h.m.assign(i, i);
};

TEST(MemoryContract, AContainerIsHeldToWhatItStates) {
    const auto kept = audit::check_contract<honest>(100'000, fill);
    EXPECT_TRUE(kept) << kept.text();
    EXPECT_GT(kept.measured, 100'000u * 16);
    const auto broken = audit::check_contract<too_optimistic>(100'000, fill);
    EXPECT_FALSE(broken);
    EXPECT_NE(broken.text().find("more than stated"), std::string::npos) << broken.text();
    const auto above = audit::check_contract<honest>(100'000, fill, 1'000'000);
    EXPECT_FALSE(above);
    EXPECT_NE(above.text().find("above the ceiling"), std::string::npos) << above.text();
}

TEST(MemoryContract, AnyContainerThatCanBePlannedHasOne) {
    using map = go::map<std::uint64_t, std::string_view>;
    using contract = audit::planned_contract<map>;
    static_assert(audit::MemoryContract<contract>);
    const auto kept = audit::check_contract<map, contract>(50'000, [](map& m, std::uint64_t n) {
        m = map::make();
        for (std::uint64_t i = 0; i < n; ++i) m.assign(i, "x");
    });
    EXPECT_TRUE(kept) << kept.text();
    EXPECT_GT(kept.stated, kept.measured * 9 / 10) << "a contract that says nothing";
}

}  // namespace
