// heap_guards_test.cpp - guarded objects: a step too far or a use after free stops
// the program at the instruction that does it, with a text that says which object
// it was; a correct program notices nothing.
#include "steady/heap/detail/guards.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <vector>

#include <unistd.h>

#include "heap/own_process.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using namespace steady::test;

constexpr const char* all_guarded = "guard_rate=1,profilerate=1";

volatile char* bytes_of(std::size_t size) {
    return static_cast<volatile char*>(detail::allocate(size));
}

TEST(Guards, OneByteTooFarStopsTheProgram) {
    for (const std::size_t size : {16, 64, 1024, 32'768}) {
        const std::string n = std::to_string(size);
        expect_stops(
            all_guarded, [size] { bytes_of(size)[size] = 1; },
            "access out of bounds: 0x[0-9a-f]+ is " + n + " bytes after the start of the " + n +
                " bytes object");
    }
    expect_stops(
        all_guarded, [] { std::exit(bytes_of(48)[48]); },  // reading is enough
        "access out of bounds: .* is 48 bytes after the start");
}

TEST(Guards, ASizeThatIsNoMultipleOf16StopsWithinTheAlignment) {
    expect_stops(
        all_guarded, [] { bytes_of(20)[32] = 1; },
        "is 32 bytes after the start of the 20 bytes object");
}

TEST(Guards, AUseAfterFreeStopsTheProgram) {
    const auto use_after_free = [] {
        volatile char* p = bytes_of(64);
        detail::deallocate(const_cast<char*>(p));
        p[8] = 1;
    };
    expect_stops(all_guarded, use_after_free,
                 "use after free: 0x[0-9a-f]+ is 8 bytes after the start of the 64 bytes object at "
                 "0x[0-9a-f]+, which was freed");
    expect_stops(all_guarded, use_after_free, "The stack below this fault shows who did it");
    expect_stops(
        all_guarded,
        [] {
            volatile char* p = bytes_of(64);
            detail::deallocate(const_cast<char*>(p));
            for (int i = 0; i < 63; ++i) detail::deallocate(detail::allocate(100));
            std::exit(p[-8]);
        },
        "use after free: .* is 8 bytes before the start");
}

TEST(Guards, ADoubleFreeStopsTheProgram) {
    expect_stops(
        all_guarded,
        [] {
            void* p = detail::allocate(64);
            detail::deallocate(p);
            detail::deallocate(p);
        },
        "twice: its 64 bytes object");
}

TEST(Guards, AnInteriorFreeStopsTheProgram) {
    expect_stops(
        all_guarded, [] { detail::deallocate(static_cast<char*>(detail::allocate(64)) + 16); },
        "which is 16 bytes inside the 64 bytes object at");
}

TEST(Guards, TheProgramsOwnHandlerIsCalledAfterwards) {
    expect_stops(
        all_guarded,
        [] {
            struct sigaction action {};
            action.sa_handler = [](int) {
                constexpr char text[] = "and the program's own words";
                if (write(2, text, sizeof text) > 0) _exit(42);
            };
            sigaction(SIGSEGV, &action, nullptr);
            bytes_of(64)[64] = 1;  // opens the heap: our handler finds the program's
        },
        "access out of bounds.*and the program's own words");
}

TEST(Guards, AFaultElsewhereIsNotOurs) {
    // The text would say "object"; nothing but the signal comes.
    const own_process child(all_guarded);
    EXPECT_EXIT(
        {
            detail::deallocate(detail::allocate(64));
            // Volatile, or the compiler knows the address and says what it thinks of it.
            int* volatile elsewhere = reinterpret_cast<int*>(64);
            *elsewhere = 1;
        },
        ended_badly, testing::Not(testing::HasSubstr("object")));
}

TEST(Guards, ACorrectProgramNoticesNothing) {
    expect_passes(all_guarded, [] {
        const heap_statistics before = read_statistics();
        wyrand random(1);
        struct block {
            unsigned char* p;
            std::size_t size;
        };
        std::vector<block> live(40, block{});
        for (int i = 0; i < 3000; ++i) {
            block& b = live[random.fastrandn(40)];
            if (b.p != nullptr) {
                ASSERT_EQ(b.p[b.size - 1], static_cast<unsigned char>(b.size));
                detail::deallocate(b.p);
            }
            b.size = 1 + random.fastrandn(random.fastrandn(4) == 0 ? 33'000 : 600);
            b.p = static_cast<unsigned char*>(detail::allocate(b.size));
            ASSERT_EQ(reinterpret_cast<std::uintptr_t>(b.p) % 16, 0u);
            ASSERT_GE(usable_size(b.p), b.size);
            ASSERT_EQ(find_object(b.p + b.size - 1).base, b.p);
            std::memset(b.p, static_cast<int>(b.size), usable_size(b.p));
            if (i % 3 == 0) {
                b.p = static_cast<unsigned char*>(detail::reallocate(b.p, b.size * 2));
                ASSERT_EQ(b.p[b.size - 1], static_cast<unsigned char>(b.size));
                b.size *= 2;
                b.p[b.size - 1] = static_cast<unsigned char>(b.size);
            }
        }
        std::uint64_t alive = 0;
        for_each_object([](void* n, const object_info&) { ++*static_cast<std::uint64_t*>(n); },
                        &alive);
        EXPECT_EQ(alive, 40u) << "retired objects are not alive";
        for (const block& b : live) detail::deallocate(b.p);
        const heap_statistics after = read_statistics();
        EXPECT_EQ(after.mallocs - before.mallocs, after.frees - before.frees);
        EXPECT_EQ(after.heap_alloc, before.heap_alloc);
        message why("test");
        EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
    });
}

TEST(Guards, OverAlignedObjectsKeepTheirAlignment) {
    expect_passes(all_guarded, [] {
        for (std::size_t alignment = 8; alignment <= 8192; alignment *= 2) {
            for (std::size_t size = 1; size <= 9000; size = size * 5 / 3 + 1) {
                auto* p = static_cast<char*>(detail::allocate_aligned(size, alignment));
                ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % alignment, 0u)
                    << size << " at " << alignment;
                std::memset(p, 1, size);
                ASSERT_GE(usable_size(p), size);
                detail::deallocate(p);
            }
        }
    });
}

// 64 retired objects keep their pages; the 65th gives the first one's back.
TEST(Guards, PagesComeBackAfter64Others) {
    expect_passes(all_guarded, [] {
        for (int i = 0; i < 64; ++i) detail::deallocate(detail::allocate(500));
        const std::uint64_t full = read_statistics().heap_inuse;
        for (int i = 0; i < 5000; ++i) detail::deallocate(detail::allocate(500));
        EXPECT_EQ(read_statistics().heap_inuse, full);
        // And they are readable again for whoever gets them.
        std::vector<char*> many;
        for (int i = 0; i < 200; ++i) {
            many.push_back(static_cast<char*>(detail::allocate(40'000)));
            std::memset(many.back(), 1, 40'000);
        }
        for (char* p : many) detail::deallocate(p);
    });
}

TEST(Guards, OneInNIsGuardedAndTheOthersAreOrdinary) {
    expect_passes("guard_rate=8,profilerate=1", [] {
        int alone = 0;
        for (int i = 0; i < 4000; ++i) {
            void* p = detail::allocate(64);
            alone += find_object(p).count == 1;
            detail::deallocate(p);
        }
        EXPECT_NEAR(alone, 500, 5 * 21);  // sqrt(4000 * 1/8 * 7/8) = 21
    });
}

// Each costs mappings, and a process has 65530 of them for everything.
TEST(Guards, LivingOnesLeaveMostMappingsToTheProgram) {
    expect_passes(all_guarded, [] {
        std::uint64_t mappings = 0;
        std::ifstream("/proc/sys/vm/max_map_count") >> mappings;
        const std::uint64_t most = mappings / 8;
        if (mappings < 1000 || most > 50'000) return;  // a system that says no, or too much to fill
        const auto guarded = [](const void* p) {
            return detail::heap_map.find(p)->kind == detail::span_kind::guarded;
        };
        std::vector<void*> all;
        std::uint64_t count = 0;
        for (std::uint64_t i = 0; i < most + 1000; ++i) {
            all.push_back(detail::allocate(100));
            ASSERT_NE(all.back(), nullptr);
            count += guarded(all.back());
        }
        EXPECT_EQ(count, most);
        for (void* p : all) detail::deallocate(p);
        void* again = detail::allocate(100);
        EXPECT_TRUE(guarded(again)) << "the places of the dead are free again";
        detail::deallocate(again);
    });
}

}  // namespace
