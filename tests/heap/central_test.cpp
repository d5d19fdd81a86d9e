// heap_central_test.cpp - the objects of one span class: invariants S1 to S4, C1,
// A1 and A2 after every kind of traffic, the order in which objects and spans are
// used, and what is refused.
#include "steady/heap/detail/central.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "heap/own_core.hpp"
#include "heap/own_process.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;
using namespace steady::test;

constexpr span_class of_64 = noscan_class(6);     // 128 objects in 8 KiB
constexpr span_class of_48 = noscan_class(5);     // 170, and 32 bytes of tail
constexpr span_class of_4096 = noscan_class(44);  // 2
static_assert(class_size[5] == 48 && class_size[6] == 64 && class_size[44] == 4096);

// Random traffic beside a model that knows which objects are out.
class traffic {
public:
    traffic(own_core& core, span_class sclass, std::uint64_t seed)
        : core_{core}, sclass_{sclass}, random_{seed} {}

    void run(int steps) {
        for (int i = 0; i < steps; ++i) {
            if (out.empty() || random_.fastrandn(100) < 52) {
                for (void* p : core_.take(sclass_, 1 + random_.fastrandn(126)))
                    ASSERT_TRUE(out.insert(p).second) << "handed out twice";
            } else {
                std::vector<void*> back;
                const std::size_t n = 1 + random_.fastrandn(126);
                auto from = out.lower_bound(nth(random_.fastrandn(1000)));
                while (back.size() < n && !out.empty()) {
                    if (from == out.end()) from = out.begin();
                    back.push_back(*from);
                    from = out.erase(from);
                    for (auto skip = random_.fastrandn(4); skip > 0 && from != out.end(); --skip)
                        ++from;
                }
                // Rising rows as they are, falling ones, or no row at all.
                const auto order = random_.fastrandn(3);
                if (order == 1) std::reverse(back.begin(), back.end());
                for (std::size_t k = back.size(); order == 2 && k > 1; --k)
                    std::swap(back[k - 1], back[random_.fastrandn(static_cast<std::uint32_t>(k))]);
                core_.put(sclass_, back);
            }
        }
    }
    std::set<void*> out;

private:
    void* nth(std::size_t thousandth) const {
        const auto low = reinterpret_cast<std::uintptr_t>(*out.begin());
        const auto high = reinterpret_cast<std::uintptr_t>(*out.rbegin());
        return reinterpret_cast<void*>(low + (high - low) / 1000 * thousandth);
    }
    own_core& core_;
    span_class sclass_;
    wyrand random_;
};

constexpr span_class some_classes[] = {noscan_class(1),  of_48,   of_64,           noscan_class(25),
                                       noscan_class(35), of_4096, noscan_class(67)};

template <class Check>
void after_traffic(Check check) {
    for (const span_class sclass : some_classes) {
        own_core core;
        traffic t(core, sclass, sclass);
        std::size_t most_spans = 0;
        for (int round = 0; round < 60; ++round) {
            t.run(8);
            check(core, core.list(sclass), t.out);
            most_spans = std::max(most_spans, core.spans().size());
        }
        EXPECT_GT(most_spans, 0u);
    }
}

// ---- Invariants.

TEST(CentralList, FreeCountIsTheNumberOfSetBits) {  // S1
    after_traffic([](own_core& core, central_list&, const std::set<void*>&) {
        for (const span* s : core.spans()) ASSERT_EQ(free_bits(*s), s->free_count);
    });
}

TEST(CentralList, ABitSaysWhetherTheObjectIsOut) {
    after_traffic([](own_core& core, central_list&, const std::set<void*>& out) {
        for (const span* s : core.spans()) {
            for (std::uint32_t i = 0; i < s->object_count; ++i) {
                ASSERT_EQ(s->is_free(i), !out.contains(reinterpret_cast<void*>(s->object_at(i))));
            }
        }
    });
}

TEST(CentralList, ASpanIsListedExactlyWhenItHasFreeObjects) {  // S2
    after_traffic([](own_core& core, central_list& list, const std::set<void*>&) {
        for (const span* s : core.spans()) {
            ASSERT_EQ(own_core::listed(list, s), s->free_count != 0);
            ASSERT_EQ(s->listed, s->free_count != 0);
        }
    });
}

TEST(CentralList, EveryPageNamesItsSpanWhileItStands) {  // S3
    for (const span_class sclass : some_classes) {
        std::vector<void*> pages;
        {
            own_core core;
            traffic(core, sclass, 3).run(100);
            for (span* s : core.spans()) {
                for (std::size_t at = 0; at < s->byte_count(); at += page_size.count()) {
                    void* page = reinterpret_cast<void*>(s->base + at);
                    ASSERT_EQ(detail::heap_map.find(page), s);
                    pages.push_back(page);
                }
            }
        }
        for (void* page : pages) ASSERT_EQ(detail::heap_map.find(page), nullptr);
    }
}

TEST(CentralList, BitsBeyondTheLastObjectAreZero) {  // S4
    after_traffic([](own_core& core, central_list&, const std::set<void*>&) {
        for (const span* s : core.spans()) {
            for (unsigned i = s->object_count; i < s->bitmap_words() * 64; ++i)
                ASSERT_FALSE(s->is_free(i));
        }
    });
}

TEST(CentralList, SpansAndObjectsOutAreCounted) {  // C1
    after_traffic([](own_core& core, central_list& list, const std::set<void*>& out) {
        ASSERT_EQ(list.spans, core.spans().size());
        ASSERT_EQ(list.objects_out, out.size());
        std::uint32_t empty = 0;
        for (const span* s : core.spans()) empty += s->free_count == s->object_count;
        ASSERT_EQ(list.empty_spans, empty);
        ASSERT_LE(empty, 1u);
    });
}

// Two classes that grow in turn get runs of spans, not every other one.
TEST(CentralList, AGrowingClassGetsItsSpansByTheRun) {
    constexpr std::size_t count = 40'000;
    std::vector<void*> objects;
    for (std::size_t i = 0; i < count; ++i) {
        objects.push_back(detail::allocate(192));
        objects.push_back(detail::allocate(240));
    }
    std::size_t neighbours = 0, spans = 0;
    for (std::size_t i = count; i < objects.size(); i += 2) {  // once the class is large
        const span* const s = detail::heap_map.find(objects[i]);
        if (s->base != reinterpret_cast<std::uintptr_t>(objects[i])) continue;
        const span* const next = detail::heap_map.find(static_cast<char*>(objects[i]) + 8192);
        ++spans;
        neighbours += next != nullptr && next->sclass == s->sclass ? 1 : 0;
    }
    EXPECT_GT(spans, 100u);
    EXPECT_GT(neighbours, spans * 3 / 4);
    for (void* object : objects) detail::deallocate(object);
}

TEST(AddressMap, ClassOfPageIsForSmallSpansOfTheDefaultHeapOnly) {  // A2
    const auto class_of = [](const void* p) {
        const std::size_t page = detail::heap_map.page_of(reinterpret_cast<std::uintptr_t>(p));
        return detail::heap_map.class_of_page[page].load();
    };
    void* small = detail::allocate(64);
    EXPECT_EQ(class_of(small), of_64);
    void* large = detail::allocate(100'000);
    EXPECT_EQ(class_of(large), 0);
    heap instance;
    EXPECT_EQ(class_of(instance.allocate(64)), 0);
    own_core core;
    EXPECT_EQ(class_of(core.take(of_64, 1).front()), 0);
    detail::deallocate(large);
    EXPECT_EQ(class_of(large), 0);

    std::vector<void*> many;
    for (int i = 0; i < 500; ++i) many.push_back(detail::allocate(8192));
    const span_class sclass = noscan_class(51);
    for (void* p : many) ASSERT_EQ(class_of(p), sclass);
    for (void* p : many) detail::deallocate(p);
    static_cast<void>(trim());
    std::size_t left = 0;
    for (void* p : many) {
        left += span_of(p) != nullptr;
        ASSERT_EQ(class_of(p), span_of(p) != nullptr ? sclass : 0);
    }
    EXPECT_LE(left, 1u) << "one empty span is kept";
    detail::deallocate(small);
}

TEST(AddressMap, BothTablesAreReadableBelowPagesReady) {  // A1
    std::vector<void*> many;
    for (int i = 0; i < 1500; ++i) many.push_back(detail::allocate(200'000));  // 300 MB
    const std::size_t ready = detail::heap_map.pages_ready.load();
    EXPECT_GE(ready, 1500u * 25);
    std::size_t spans = 0;
    for (std::size_t page = 0; page < ready; ++page) {
        const span* s = detail::heap_map.span_of_page[page].load();
        if (detail::heap_map.class_of_page[page].load() != 0) {
            ASSERT_NE(s, nullptr);
            ASSERT_EQ(s->sclass, detail::heap_map.class_of_page[page].load());
        }
        spans += s != nullptr;
    }
    EXPECT_GE(spans, 1500u * 25);
    for (void* p : many) detail::deallocate(p);
}

// ---- Order.

TEST(CentralList, KeepsAnEmptySpanOfUpTo16KiBAndNoLongerOne) {
    for (unsigned size_class = 1; size_class < class_count; ++size_class) {
        own_core core;
        const span_class sclass = noscan_class(size_class);
        core.put(sclass, core.take(sclass, 1));
        EXPECT_EQ(core.list(sclass).spans, class_pages[size_class] <= 2 ? 1u : 0u)
            << class_size[size_class];
    }
}

TEST(CentralList, ObjectsOfASpanComeInAscendingOrder) {
    own_core core;
    const std::vector<void*> all = core.take(of_64, 128);
    ASSERT_EQ(all.size(), 128u);
    for (std::size_t i = 1; i < all.size(); ++i)
        ASSERT_EQ(static_cast<char*>(all[i]) - static_cast<char*>(all[i - 1]), 64);
    core.put(of_64, {all[90], all[3], all[40]});
    EXPECT_EQ(core.take(of_64, 3), (std::vector<void*>{all[3], all[40], all[90]}));
}

TEST(CentralList, AShortMagazineIsBetterThanANewSpan) {
    own_core core;
    static_cast<void>(core.take(of_64, 120));
    EXPECT_EQ(core.take(of_64, 100).size(), 8u);
    EXPECT_EQ(core.list(of_64).spans, 1u);
    EXPECT_EQ(core.take(of_64, 100).size(), 100u);
    EXPECT_EQ(core.list(of_64).spans, 2u);
}

TEST(CentralList, ADoubleFreeInsideARowIsNamedByItsOwnAddress) {
    for (const bool falling : {false, true}) {
        own_core core;
        std::vector<void*> row = core.take(of_64, 100);  // over the border of a bitmap word
        core.put(of_64, {row[70]});
        char address[32];
        std::snprintf(address, sizeof address, "%p", row[70]);
        if (falling) std::reverse(row.begin(), row.end());
        EXPECT_DEATH(core.put(of_64, row), address);
    }
}

TEST(CentralList, TheSpanThatWasFreedFirstIsUsedFirst) {
    own_core core;
    std::vector<void*> a = core.take(of_64, 128), b = core.take(of_64, 128),
                       c = core.take(of_64, 128);
    core.put(of_64, {b[5]});
    core.put(of_64, {a[6]});
    core.put(of_64, {c[7]});
    core.put(of_64, {b[1]});  // b is in the list already and keeps its place
    EXPECT_EQ(core.take(of_64, 1).front(), b[1]);
    EXPECT_EQ(core.take(of_64, 1).front(), b[5]);
    EXPECT_EQ(core.take(of_64, 1).front(), a[6]);
    EXPECT_EQ(core.take(of_64, 1).front(), c[7]);
}

TEST(CentralList, AMagazineIsFilledFromSeveralSpans) {
    own_core core;
    std::vector<void*> some;
    for (int i = 0; i < 5; ++i) some.push_back(core.take(of_64, 128)[static_cast<unsigned>(i)]);
    core.put(of_64, some);
    const std::vector<void*> got = core.take(of_64, 126);
    EXPECT_EQ(std::set<void*>(got.begin(), got.end()), std::set<void*>(some.begin(), some.end()));
    EXPECT_EQ(core.list(of_64).spans, 5u);
}

// ---- Empty spans.

TEST(CentralList, OneEmptySpanIsKeptAndTheNextGoes) {
    own_core core;
    const std::vector<void*> a = core.take(of_64, 128), b = core.take(of_64, 128);
    core.put(of_64, a);
    EXPECT_EQ(core.list(of_64).spans, 2u);
    EXPECT_NE(span_of(a[0]), nullptr);
    core.put(of_64, b);
    EXPECT_EQ(core.list(of_64).spans, 1u);
    EXPECT_EQ(span_of(b[0]), nullptr) << "its pages are free";
    EXPECT_EQ(core.take(of_64, 128), a);
    EXPECT_EQ(core.list(of_64).empty_spans, 0u);
}

TEST(CentralList, SwingingAroundASpansBorderTouchesNoPages) {
    own_core core;
    static_cast<void>(core.take(of_4096, 2));
    const std::vector<void*> first = core.take(of_4096, 1);
    detail::page_traffic.store(false);
    for (int i = 0; i < 1000; ++i) {
        core.put(of_4096, first);
        ASSERT_EQ(core.take(of_4096, 1), first);
    }
    EXPECT_FALSE(detail::page_traffic.load()) << "no span came or went";
}

TEST(CentralList, AllObjectsOfEveryClassComeAndGo) {
    for (unsigned c = 1; c < class_count; ++c) {
        const span_class sclass = noscan_class(c);
        own_core core;
        std::vector<void*> all;
        while (all.size() < class_objects[c]) {
            for (void* p : core.take(sclass, class_objects[c] - all.size())) all.push_back(p);
        }
        ASSERT_EQ(core.list(sclass).spans, 1u);
        const span* s = span_of(all[0]);
        ASSERT_EQ(s->free_count, 0);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(all[0]), s->base);
        ASSERT_LE(reinterpret_cast<std::uintptr_t>(all.back()) + class_size[c],
                  s->base + s->byte_count());
        void* next = core.take(sclass, 1).front();
        ASSERT_NE(span_of(next), s);
        std::reverse(all.begin(), all.end());
        core.put(sclass, all);
        ASSERT_EQ(s->free_count, s->object_count);
        core.put(sclass, {next});
        ASSERT_EQ(core.list(sclass).objects_out, 0u);
    }
}

// ---- What is refused.

TEST(CentralList, WhatIsNoObjectOfTheClassStopsTheProgram) {
    own_core core;
    const std::vector<void*> out = core.take(of_48, 3);
    auto* const base = reinterpret_cast<char*>(span_of(out[0])->base);
    EXPECT_DEATH(core.put(of_48, {out[1], out[0], out[1]}), "freed .* twice: its 48 bytes object");
    EXPECT_DEATH(core.put(of_48, {base + 48 * 100}), "twice") << "it never left";
    EXPECT_DEATH(core.put(of_48, {out[0], base + 56}), "8 bytes inside the 48 bytes object");
    EXPECT_DEATH(core.put(of_48, {base + 48 * 170}), "in the unused tail of a span");
    EXPECT_DEATH(core.put(of_64, {out[0]}), "freed ") << "another class";
    EXPECT_DEATH(core.put(of_48, {&core}), "never handed out");
    EXPECT_EQ(core.list(of_48).objects_out, 3u);
}

}  // namespace
