// T1, T2: records are zero when fresh, and every byte of a chunk is on some ledger.
#include "steady/os/metadata.hpp"

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "steady/os/detail/syscall.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;

bool all_zero(const void* start, std::size_t size) {
    const auto* p = static_cast<const unsigned char*>(start);
    for (std::size_t i = 0; i < size; ++i) {
        if (p[i] != 0) return false;
    }
    return true;
}

// What the system gave since construction, against what the ledgers say about it.
class books {
public:
    [[nodiscard]] bytes mapped() const { return os::ledgers().ready.value() - ready_; }
    [[nodiscard]] bytes accounted(const ledger& owner) const {
        return owner.value() + os::metadata_unused().value() - unused_;
    }

private:
    bytes ready_ = os::ledgers().ready.value();
    bytes unused_ = os::metadata_unused().value();
};

TEST(metadata, every_byte_of_a_chunk_is_a_record_or_said_to_be_unused) {
    ledger mine{"test"};
    const books before;
    std::size_t asked = 0;
    for (std::size_t size : {1u, 7u, 64u, 100u, 4096u, 65535u, 65536u, 70000u, 1000000u, 24u}) {
        for (std::size_t align : {1u, 8u, 64u, 4096u}) {
            void* p = os::metadata_alloc(bytes{size}, align, mine);
            ASSERT_NE(p, nullptr);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % align, 0u);
            EXPECT_TRUE(all_zero(p, size));
            std::memset(p, 0xff, size);
            asked += size;
            EXPECT_EQ(mine.value().count(), asked);
            EXPECT_EQ(before.mapped().count(), before.accounted(mine).count());
        }
    }
}

TEST(metadata, records_of_many_threads_do_not_overlap) {
    ledger mine{"test"};
    const books before;
    constexpr std::size_t threads = 6, each = 3000, size = 48;
    std::vector<std::vector<char*>> got(threads);
    std::vector<std::thread> running;
    for (auto& list : got) {
        running.emplace_back([&list, &mine] {
            for (std::size_t i = 0; i < each; ++i) {
                auto* p = static_cast<char*>(os::metadata_alloc(bytes{size}, 16, mine));
                std::memset(p, 1, size);
                list.push_back(p);
            }
        });
    }
    for (auto& t : running) t.join();
    std::set<char*> starts;
    for (const auto& list : got) starts.insert(list.begin(), list.end());
    ASSERT_EQ(starts.size(), threads * each);
    char* last = nullptr;
    for (char* p : starts) {
        if (last != nullptr) {
            ASSERT_GE(p - last, static_cast<std::ptrdiff_t>(size));
        }
        last = p;
    }
    EXPECT_EQ(mine.value().count(), threads * each * size);
    EXPECT_EQ(before.mapped().count(), before.accounted(mine).count());
}

TEST(metadata, a_refusal_is_a_null_pointer_and_changes_no_ledger) {
    ledger mine{"test"};
    const books before;
    os::detail::fail_nth_call(1, 1000);
    EXPECT_EQ(os::metadata_alloc(64_KiB, 8, mine), nullptr);
    while (os::metadata_alloc(bytes{60000}, 8, mine) != nullptr) {  // until the chunk is full
    }
    const bytes full = mine.value();
    EXPECT_EQ(os::metadata_alloc(bytes{60000}, 8, mine), nullptr);
    EXPECT_EQ(os::detail::fail_nth_call(0), 3u);
    EXPECT_EQ(mine.value(), full);
    EXPECT_EQ(before.mapped().count(), before.accounted(mine).count());
    EXPECT_NE(os::metadata_alloc(bytes{60000}, 8, mine), nullptr);
}

struct record {
    std::uint64_t words[5];
};
struct alignas(64) line_record {
    char text[65];
};

TEST(fixed_pool, hands_out_what_came_back_last) {
    ledger mine{"test"};
    os::fixed_pool<record> pool;
    record* a = pool.get(mine);
    record* b = pool.get(mine);
    EXPECT_EQ(pool.in_use(), 2u);
    EXPECT_EQ(pool.bytes_in_use(), bytes{80});
    pool.put(a);
    pool.put(b);
    EXPECT_EQ(pool.get(mine), b);
    EXPECT_EQ(pool.get(mine), a);
    EXPECT_EQ(pool.in_use(), 2u);
}

TEST(fixed_pool, keeps_records_apart_and_aligned) {
    ledger mine{"test"};
    os::fixed_pool<line_record> pool;
    std::set<line_record*> slots;
    for (int i = 0; i < 1000; ++i) {
        line_record* slot = pool.get(mine);
        ASSERT_NE(slot, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slot) % 64, 0u);
        std::memset(static_cast<void*>(slot), 1, sizeof *slot);
        slots.insert(slot);
    }
    EXPECT_EQ(slots.size(), 1000u);
    EXPECT_GE(mine.value(), pool.bytes_in_use());
    EXPECT_LE(mine.value() - pool.bytes_in_use(), 16_KiB);
}

TEST(fixed_pool, survives_a_refusal) {
    ledger mine{"test"};
    os::fixed_pool<record> pool;
    std::size_t got = 0;
    os::detail::fail_nth_call(1, 1000);
    while (pool.get(mine) != nullptr) ++got;
    os::detail::fail_nth_call(0);
    EXPECT_EQ(pool.in_use(), got);
    EXPECT_NE(pool.get(mine), nullptr);
    EXPECT_EQ(pool.in_use(), got + 1);
}

}  // namespace
