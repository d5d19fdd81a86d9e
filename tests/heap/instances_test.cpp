// heap_instances_test.cpp - heaps of their own: every object's contents against a
// model, exact usage, release() at a cost of spans rather than objects, and frees
// through the front door, from other threads and through the wrong heap.
#include "steady/heap/heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory_resource>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include "heap/own_process.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/memory_resource.hpp"
#include "support/fatal_text.hpp"

namespace {

using namespace steady;
using namespace steady::test;

void expect_sound() {
    message why("test");
    EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
}

std::uint64_t spans_of_the_process() {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < detail::store.node_count(); ++i)
        sum += detail::store.node(i).span_count;
    return sum;
}

// A heap instance beside a model of what lives in it.
class modelled_heap {
public:
    struct block {
        unsigned char* p;
        std::size_t size, usable;
        unsigned char fill;
        contents kind;
    };

    explicit modelled_heap(std::uint64_t seed) : random_{seed} {}

    void run(int steps) {
        for (int i = 0; i < steps; ++i) {
            if (live.empty() || (random_.fastrandn(100) < 55 && bytes_live < (64u << 20)))
                allocate_one();
            else
                free_one(random_.fastrandn(static_cast<std::uint32_t>(live.size())));
        }
    }
    void release() {
        subject.release();
        live.clear();
        frees = mallocs;
        bytes_live = 0;
    }
    void expect_exact() const {
        const heap::usage u = subject.read_usage();
        EXPECT_EQ(u.mallocs, mallocs);
        EXPECT_EQ(u.frees, frees);
        EXPECT_EQ(u.live_bytes, bytes_live);
        EXPECT_GE(u.span_bytes, bytes_live);
    }
    void expect_intact() const {
        for (const block& b : live) {
            ASSERT_EQ(b.p[0], b.fill);
            ASSERT_EQ(b.p[b.size / 2], b.fill);
            ASSERT_EQ(b.p[b.size - 1], b.fill);
        }
    }

    heap subject;
    std::vector<block> live;
    std::uint64_t mallocs = 0, frees = 0, bytes_live = 0;

private:
    void allocate_one() {
        const std::uint32_t sort = random_.fastrandn(2000);
        const std::size_t size = 1 + (sort == 0   ? random_.fastrandn(6 << 20)
                                      : sort < 40 ? random_.fastrandn(100'000)
                                                  : random_.fastrandn(1500));
        const std::size_t alignment = std::size_t{1} << random_.fastrandn(sort % 10 == 0 ? 14 : 5);
        const contents kind =
            random_.fastrandn(2) == 0 ? contents::may_hold_pointers : contents::no_pointers;
        auto* p = static_cast<unsigned char*>(subject.allocate(size, alignment, kind));
        ASSERT_NE(p, nullptr);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % alignment, 0u);
        const object_info o = find_object(p + size - 1);
        ASSERT_EQ(o.base, p);
        ASSERT_GE(o.size, size);
        ASSERT_EQ(o.kind, kind);
        const auto fill = static_cast<unsigned char>(random_());
        std::memset(p, fill, size);
        live.push_back({p, size, o.size, fill, kind});
        ++mallocs;
        bytes_live += o.size;
    }
    void free_one(std::size_t i) {
        const block b = live[i];
        ASSERT_TRUE(b.p[0] == b.fill && b.p[b.size - 1] == b.fill) << b.size << " bytes";
        // Any of the two doors.
        random_.fastrandn(2) == 0 ? subject.deallocate(b.p) : steady::deallocate(b.p);
        live[i] = live.back();
        live.pop_back();
        ++frees;
        bytes_live -= b.usable;
    }

    wyrand random_;
};

TEST(HeapInstance, RandomOperationsKeepContentsAndExactUsage) {
    modelled_heap m(1);
    for (int round = 0; round < 20; ++round) {
        m.run(4000);
        m.expect_exact();
    }
    m.expect_intact();
    expect_sound();
}

TEST(HeapInstance, AWalkFindsExactlyTheLiveObjects) {
    modelled_heap m(2);
    m.run(10'000);
    std::vector<std::pair<void*, std::size_t>> seen, expected;
    m.subject.for_each_object(
        [](void* out, const object_info& o) {
            static_cast<decltype(seen)*>(out)->push_back({o.base, o.size});
        },
        &seen);
    for (const auto& b : m.live) expected.push_back({b.p, b.usable});
    std::sort(seen.begin(), seen.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(seen, expected);
    m.expect_exact();
}

TEST(HeapInstance, ReleaseFreesEverythingAndTheHeapGoesOn) {
    modelled_heap m(3);
    for (int round = 0; round < 5; ++round) {
        m.run(6000);
        const std::uint64_t inuse = read_statistics().heap_inuse;
        const std::uint64_t held = m.subject.read_usage().span_bytes;
        m.release();
        m.expect_exact();
        EXPECT_EQ(m.subject.read_usage().span_bytes, 0u);
        EXPECT_GE(inuse - read_statistics().heap_inuse, held);
        expect_sound();
    }
}

// Unreadable objects prove it: whoever visits one faults.
TEST(HeapInstance, ReleaseVisitsSpansAndNeverAnObject) {
    heap many;
    std::vector<void*> spans;
    for (int i = 0; i < 500 * 1024; ++i) {
        const object_info o = find_object(many.allocate(8, 8));
        if (spans.empty() || spans.back() != o.span_base) spans.push_back(o.span_base);
    }
    ASSERT_EQ(spans.size(), 500u) << "512,000 objects lie in 500 spans";
    const std::uint64_t before = spans_of_the_process();
    for (void* s : spans) ASSERT_EQ(mprotect(s, 8192, PROT_NONE), 0);
    many.release();
    for (void* s : spans) ASSERT_EQ(mprotect(s, 8192, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(many.read_usage().frees, 512'000u);
    EXPECT_EQ(many.read_usage().span_bytes, 0u);
    EXPECT_NEAR(static_cast<double>(before - spans_of_the_process()), 500, 5)
        << "a few spans may be the caches' own";
}

TEST(HeapInstance, NoSpanIsSharedBetweenHeaps) {
    heap a, b;
    std::map<void*, int> owner;  // by span
    wyrand random(9);
    for (int i = 0; i < 6000; ++i) {
        const std::size_t size = random.fastrandn(3000);
        const int who = i % 3;
        void* p = who == 0   ? a.allocate(size)
                  : who == 1 ? b.allocate(size)
                             : steady::allocate(size);
        const auto [place, fresh] = owner.emplace(find_object(p).span_base, who);
        ASSERT_EQ(place->second, who);
        if (who == 2) steady::deallocate(p);
    }
}

TEST(HeapInstance, AnotherThreadMayAllocateAndFree) {
    heap shared;
    std::vector<std::thread> threads;
    std::vector<std::vector<void*>> left(4);
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            wyrand random(t);
            for (int i = 0; i < 20'000; ++i) {
                void* p = shared.allocate(random.fastrandn(500));
                if (i % 4 == 0)
                    left[t].push_back(p);
                else
                    random.fastrandn(2) != 0 ? shared.deallocate(p) : steady::deallocate(p);
            }
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(shared.read_usage().mallocs, 80'000u);
    EXPECT_EQ(shared.read_usage().frees, 60'000u);
    for (unsigned t = 0; t < 4; ++t) {
        threads[t] = std::thread([&, t] {
            for (void* p : left[(t + 1) % 4]) steady::deallocate(p);
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(shared.read_usage().frees, 80'000u);
    EXPECT_EQ(shared.read_usage().live_bytes, 0u);
    expect_sound();
}

TEST(HeapInstance, MovingTakesTheObjectsAlong) {
    heap a;
    void* p = a.allocate(100);
    heap b(std::move(a));
    EXPECT_EQ(b.read_usage().mallocs, 1u);
    EXPECT_EQ(a.allocate(100), nullptr) << "a moved-from heap allocates nothing";
    EXPECT_EQ(a.read_usage().mallocs, 0u);
    a.release();

    heap c;
    void* q = c.allocate(200);
    c = std::move(b);
    c.deallocate(p);
    EXPECT_EQ(c.read_usage().frees, 1u);
    static_cast<void>(q);  // b's destructor frees it with c's former heap
}

TEST(HeapInstance, ADestroyedHeapLeavesNothing) {
    const auto twenty_heaps = [] {
        for (std::uint64_t seed = 0; seed < 20; ++seed) modelled_heap(seed).run(500);
    };
    twenty_heaps();  // the first time makes magazines and records, which are used again
    const heap_statistics before = read_statistics();
    const std::uint64_t spans_before = spans_of_the_process();
    twenty_heaps();
    EXPECT_EQ(spans_of_the_process(), spans_before);
    EXPECT_EQ(read_statistics().heap_inuse, before.heap_inuse);
    EXPECT_EQ(read_statistics().mcache_sys, before.mcache_sys);
    EXPECT_EQ(read_statistics().mspan_sys, before.mspan_sys);
}

TEST(HeapInstance, TheDefaultHeapsStatisticsDoNotSeeIt) {
    const heap_statistics before = read_statistics();
    modelled_heap m(4);
    m.run(5000);
    const heap_statistics after = read_statistics();
    EXPECT_EQ(after.mallocs, before.mallocs);
    EXPECT_EQ(after.heap_alloc, before.heap_alloc);
    EXPECT_GE(after.heap_inuse, before.heap_inuse + m.bytes_live) << "but its pages are in use";
}

TEST(HeapInstance, FreeingThroughAWrongHeapStopsTheProgram) {
    heap a, b;
    for (const std::size_t size : {std::size_t{100}, std::size_t{100'000}, std::size_t{8} << 20}) {
        void* mine = a.allocate(size);
        void* everybodys = steady::allocate(size);
        for (void* p : {mine, everybodys}) {
            const std::string said = fatal_text([&] { b.deallocate(p); });
            EXPECT_NE(said.find("through a heap that does not own it"), std::string::npos) << said;
            EXPECT_NE(said.find("Free it through the heap instance it came from"),
                      std::string::npos);
        }
        a.deallocate(mine);
        steady::deallocate(everybodys);
    }
    EXPECT_EQ(a.read_usage().live_bytes, 0u);
}

TEST(HeapInstance, ADoubleFreeIsSeenWhenItsMagazineReturns) {
    expect_stops(
        "",
        [] {
            heap h;
            void* kept = h.allocate(64);
            void* p = h.allocate(64);
            h.deallocate(p);
            h.deallocate(p);
            h.for_each_object([](void*, const object_info&) {}, nullptr);  // empties its cache
            h.deallocate(kept);
        },
        "twice: its 64 bytes object");
}

TEST(HeapInstance, AnObjectThatGrewInPlaceIsCountedAsGrown) {
    heap h;
    std::uint64_t live = 0;
    void* p = nullptr;
    for (bool grown = false; !grown; live += usable_size(p)) {  // until it has free neighbours
        p = h.allocate(100'000);
        ASSERT_LT(live, 100u << 20);
        grown = grow_in_place(p, 400'000);
    }
    EXPECT_GE(usable_size(p), 400'000u);
    EXPECT_EQ(h.read_usage().live_bytes, live);
    live -= usable_size(p);
    h.deallocate(p);
    EXPECT_EQ(h.read_usage().live_bytes, live);

    void* huge = h.allocate(8 << 20);
    ASSERT_TRUE(grow_in_place(huge, 12 << 20));
    EXPECT_EQ(h.read_usage().live_bytes, live + usable_size(huge));
    h.deallocate(huge);
    EXPECT_EQ(h.read_usage().live_bytes, live);
}

TEST(HeapInstance, AReallocatedObjectStaysInIt) {
    heap h;
    const std::uint64_t others = read_statistics().mallocs;
    // Through every kind of place: classes, spans of pages, huge blocks, and back.
    for (const contents kind : {contents::may_hold_pointers, contents::no_pointers}) {
        auto* p = static_cast<unsigned char*>(h.allocate(10, 16, kind));
        std::memset(p, 7, 10);
        for (const std::size_t size :
             {100u, 9000u, 40'000u, 60'000u, 300'000u, 900'000u, 3u << 20, 200u << 20, 5u << 20,
              700'000u, 500'000u, 33'000u, 2000u, 10u}) {
            p = static_cast<unsigned char*>(steady::reallocate(p, size));
            ASSERT_NE(p, nullptr) << size;
            for (int i = 0; i < 10; ++i) ASSERT_EQ(p[i], 7) << size;
            EXPECT_GE(usable_size(p), size);
            EXPECT_EQ(find_object(p).kind, kind) << size;
            EXPECT_EQ(h.read_usage().live_bytes, usable_size(p)) << size;
            EXPECT_EQ(h.read_usage().mallocs - h.read_usage().frees, 1u) << size;
        }
        h.deallocate(p);  // it is still this heap's, or this stops the program
    }
    EXPECT_EQ(read_statistics().mallocs, others) << "nothing went to the default heap";
    expect_sound();
}

TEST(HeapInstance, StandardContainersLiveInIt) {
    heap own;
    heap_resource resource(own);
    {
        std::pmr::map<int, std::pmr::string> names(&resource);
        for (int i = 0; i < 3000; ++i)
            names.emplace(i, std::to_string(i) + " is a number longer than a short string");
        for (int i = 0; i < 3000; i += 2) names.erase(i);
        EXPECT_EQ(names.at(7), "7 is a number longer than a short string");
        EXPECT_GE(own.read_usage().mallocs, 6000u);
    }
    EXPECT_EQ(own.read_usage().live_bytes, 0u);

    // Nobody destroys these: release() takes node memory and all.
    auto* left = new (own.allocate(sizeof(std::pmr::vector<int>))) std::pmr::vector<int>(&resource);
    left->assign(100'000, 7);
    own.release();
    EXPECT_EQ(own.read_usage().live_bytes, 0u);
}

TEST(MemoryResource, EqualityFollowsTheHeap) {
    memory_resource first, second;
    heap a, b;
    heap_resource a1(a), a2(a), other(b);
    EXPECT_TRUE(first.is_equal(second));
    EXPECT_TRUE(a1.is_equal(a2));
    EXPECT_FALSE(a1.is_equal(other));
    EXPECT_FALSE(a1.is_equal(first));
    EXPECT_FALSE(first.is_equal(a1));
    std::pmr::vector<int> v(1000, 3, &first);
    EXPECT_EQ(find_object(v.data() + 500).base, v.data());
    EXPECT_THROW(static_cast<void>(first.allocate(std::size_t{1} << 62)), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(a1.allocate(std::size_t{1} << 62)), std::bad_alloc);
    void* aligned = a1.allocate(100, 512);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(aligned) % 512, 0u);
    a1.deallocate(aligned, 100, 512);
}

}  // namespace
