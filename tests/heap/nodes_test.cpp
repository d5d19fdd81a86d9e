// heap_nodes_test.cpp - several NUMA nodes, pretended: each has pages, spans and
// centrals of its own, objects find their way home from any thread, and the counts
// are those of one heap.
//
// STEADY_DEBUG=pretend_nodes=N is read once, so each test runs in a process of its
// own. There a thread's node is its id modulo N.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "heap/own_process.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/numa.hpp"

namespace {

using namespace steady;
using steady::test::expect_passes;

void expect_sound() {
    message why("test");
    EXPECT_TRUE(detail::audit_heap(why)) << why.c_str();
}

unsigned node_of(const void* p) {
    return detail::heap_map.find(p)->node;
}

// By the address alone: the slice it lies in.
unsigned slice_of(const void* p) {
    const std::size_t page = detail::heap_map.page_of(reinterpret_cast<std::uintptr_t>(p));
    unsigned slice = 0;
    while (slice + 1 < detail::store.node_count() &&
           page >= detail::store.node(slice + 1).first_page)
        ++slice;
    return slice;
}

// Runs body(node) in threads until each node had one.
template <class Body>
void on_every_node(Body body) {
    std::set<unsigned> seen;
    for (int i = 0; i < 1000 && seen.size() < os::node_count(); ++i) {
        std::thread([&] {
            if (seen.insert(os::current_node()).second) body(os::current_node());
        }).join();
    }
    EXPECT_EQ(seen.size(), os::node_count());
}

std::size_t random_size(wyrand& random) {
    const std::uint32_t kind = random.fastrandn(1000);
    if (kind == 0) return random.fastrandn(6 << 20);
    return kind < 30 ? random.fastrandn(100'000) : random.fastrandn(1500);
}

TEST(Nodes, AThreadsObjectsLieOnItsNode) {
    expect_passes("pretend_nodes=3", [] {
        EXPECT_EQ(detail::store.node_count(), 0u) << "not yet open";
        on_every_node([](unsigned node) {
            wyrand random(node);
            for (int i = 0; i < 3000; ++i) {
                const std::size_t size = random.fastrandn(200'000);
                void* p = detail::allocate(size);
                ASSERT_EQ(node_of(p), node);
                ASSERT_EQ(slice_of(p), node);
                std::memset(p, 1, 1);
                if (i % 2 == 0) detail::deallocate(p);
            }
            heap own;
            ASSERT_EQ(node_of(own.allocate(100)), node);
            ASSERT_EQ(node_of(own.allocate(100'000)), node);
        });
        EXPECT_EQ(detail::store.node_count(), 3u);
        expect_sound();
    });
}

TEST(Nodes, AModelRunAcrossAllNodesKeepsContentsAndExactCounts) {
    expect_passes("pretend_nodes=3", [] {
        static std::atomic<unsigned char*> slots[2048];
        std::atomic<std::uint64_t> mallocs{0}, frees{0}, allocated{0}, freed{0};
        const heap_statistics before = read_statistics();
        const auto drop = [&](unsigned char* p) {
            if (p == nullptr) return;
            const std::size_t usable = usable_size(p);
            ASSERT_EQ(p[0], static_cast<unsigned char>(usable >> 3));
            const detail::span* home = detail::heap_map.find(p);
            ASSERT_TRUE(home == nullptr || slice_of(p) == home->node) << "or a huge block";
            ++frees;
            freed += usable;
            detail::deallocate(p);
        };
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 6; ++t) {
            threads.emplace_back([&, t] {
                wyrand random(t);
                for (int i = 0; i < 30'000; ++i) {
                    auto* p = static_cast<unsigned char*>(detail::allocate(random_size(random)));
                    ASSERT_NE(p, nullptr);
                    p[0] = static_cast<unsigned char>(usable_size(p) >> 3);
                    ++mallocs;
                    allocated += usable_size(p);
                    drop(slots[random.fastrandn(2048)].exchange(p));
                }
            });
        }
        for (auto& t : threads) t.join();
        const heap_statistics between = read_statistics();
        EXPECT_EQ(between.mallocs - before.mallocs, mallocs);
        EXPECT_EQ(between.frees - before.frees, frees);
        EXPECT_EQ(between.heap_alloc - before.heap_alloc, allocated - freed);
        std::uint64_t walked = 0;
        for_each_object([](void* n, const object_info&) { ++*static_cast<std::uint64_t*>(n); },
                        &walked);
        EXPECT_EQ(walked, between.heap_objects);
        expect_sound();
        for (auto& s : slots) drop(s.exchange(nullptr));
        static_cast<void>(trim());
        const heap_statistics after = read_statistics();
        EXPECT_EQ(after.heap_objects, before.heap_objects);
        EXPECT_EQ(after.heap_alloc, before.heap_alloc);
        EXPECT_EQ(after.cached_bytes, 0u);
        expect_sound();
    });
}

TEST(Nodes, ObjectsFreedElsewhereGoHome) {
    expect_passes("pretend_nodes=4", [] {
        std::vector<void*> born;
        on_every_node([&](unsigned) {
            for (int i = 0; i < 20'000; ++i) born.push_back(detail::allocate(100));
        });
        for (void* p : born) detail::deallocate(p);
        static_cast<void>(trim());
        const heap_statistics s = read_statistics();
        EXPECT_EQ(s.cached_bytes, 0u);
        // One empty span a class and node may stay.
        EXPECT_LE(s.by_size[9].spans, 2u * 4);
        expect_sound();
    });
}

TEST(Nodes, EachNodesArenasAreBoundToIt) {
    expect_passes("pretend_nodes=2", [] {
        on_every_node([](unsigned node) {
            static_cast<void>(detail::allocate(100));
            const bytes first = os::pretended_binding(node);
            EXPECT_GE(first, 64_MiB);
            for (int i = 0; i < 1500; ++i) static_cast<void>(detail::allocate(200'000));
            EXPECT_GE(os::pretended_binding(node), first + 256_MiB);
        });
    });
}

// Tables of slices that lie far apart must not count as memory before they are.
TEST(Nodes, SeveralNodesCostNoMemoryAndFitALimit) {
    expect_passes("pretend_nodes=3,hard_memory_limit=64MiB", [] {
        on_every_node([](unsigned) {
            for (int i = 0; i < 50; ++i) EXPECT_NE(detail::allocate(200'000), nullptr);
        });
        EXPECT_LT(os::ledgers().ready.value(), 64_MiB);
        for (int i = 0; i < 300; ++i) static_cast<void>(detail::allocate(200'000));
        EXPECT_EQ(detail::allocate(200'000), nullptr);
    });
}

TEST(Nodes, AnyNumberOfThemWorks) {
    for (const char* nodes : {"pretend_nodes=1", "pretend_nodes=17", "pretend_nodes=64"}) {
        expect_passes(nodes, [] {
            on_every_node([](unsigned node) {
                void* p = detail::allocate(1000);
                EXPECT_EQ(node_of(p), node);
                detail::deallocate(p);
            });
            expect_sound();
        });
    }
}

}  // namespace
