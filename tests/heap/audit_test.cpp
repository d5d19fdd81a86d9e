// audit_test.cpp - the audit notices each figure that is wrong, wherever it is kept: in
// the default heap, among the heap's own records, and in instances. Every figure is put
// right again before the next one.
#include "steady/heap/detail/audit.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "heap/own_core.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/memory.hpp"

namespace {

using namespace steady;
using namespace steady::test;

// The broken invariant as the audit names it; "" when it finds none.
std::string finding() {
    message why("test");
    return detail::audit_heap(why) ? "" : why.c_str();
}

template <class Value>
void expect_noticed(Value& figure, const char* invariant) {
    const Value right = figure;
    figure = static_cast<Value>(right + 1);
    EXPECT_NE(finding().find(invariant), std::string::npos) << invariant << ": " << finding();
    figure = right;
    EXPECT_EQ(finding(), "") << "after " << invariant;
}

class Audit : public testing::Test {
protected:
    void SetUp() override {
        for (int i = 0; i < 300; ++i) {
            of_default.push_back(detail::allocate(48));
            of_instance.push_back(instance.allocate(48));
        }
        of_default.push_back(detail::allocate(100'000));
        of_instance.push_back(instance.allocate(100'000));
        of_default.push_back(detail::allocate(3 << 20));
        of_instance.push_back(instance.allocate(3 << 20));
        ASSERT_EQ(finding(), "");
    }
    void TearDown() override {
        for (void* p : of_default) detail::deallocate(p);
    }

    heap instance;
    std::vector<void*> of_default, of_instance;
};

TEST_F(Audit, CountsSpansAndObjectsOfEveryClass) {  // C1
    central_list& list = detail::default_core.central(0, span_of(of_default[0])->sclass);
    expect_noticed(list.spans, "C1 spans");
    expect_noticed(list.objects_out, "C1 objects out");
    expect_noticed(list.empty_spans, "empty spans");
    expect_noticed(span_of(of_default[0])->free_count, "S1");
}

TEST_F(Audit, CountsTheHeapsOwnRecords) {
    central_list& list = detail::record_core.central(0, detail::magazine_class);
    ASSERT_GT(list.objects_out, 0u);
    expect_noticed(list.spans, "C1 spans");
    expect_noticed(list.objects_out, "C1 objects out");
}

TEST_F(Audit, CountsWhatInstancesHave) {
    const span* s = span_of(of_instance[0]);
    central_list& list = s->owner->central(0, s->sclass);
    expect_noticed(list.spans, "C1 spans");
    expect_noticed(list.objects_out, "C1 objects out");
    span*& first = s->owner->all_spans_;  // one less: nobody would give it back
    span* const right = first;
    first = owner_links(*right).next;
    detail::span_links& links = owner_links(*first);
    links.previous = nullptr;
    EXPECT_NE(finding().find("spans of instances"), std::string::npos) << finding();
    links.previous = right;
    first = right;
    EXPECT_EQ(finding(), "");
}

TEST_F(Audit, AddsUpTheLedgerOfReadyMemoryToTheByte) {  // P2
    os::ledgers().ready.add(1_B);
    EXPECT_NE(finding().find("P2 ready bytes"), std::string::npos) << finding();
    os::ledgers().ready.sub(1_B);
    detail::store.node(0).map_tables += 64_KiB;
    EXPECT_NE(finding().find("P2 ready bytes"), std::string::npos) << finding();
    detail::store.node(0).map_tables = detail::store.node(0).map_tables - 64_KiB;
    EXPECT_EQ(finding(), "");
}

// One empty span a class stays for the next object of the class, but not beyond a trim.
TEST_F(Audit, ATrimLeavesNoEmptySpan) {
    static_cast<void>(trim());
    const std::uint64_t inuse = read_statistics().heap_inuse;
    for (unsigned c = 1; c < class_count; ++c)
        steady::deallocate(steady::allocate(class_size[c], 8));
    detail::current_cache->flush_all();
    EXPECT_GT(read_statistics().heap_inuse, inuse) << "or nothing was kept";
    static_cast<void>(trim());
    EXPECT_EQ(finding(), "");
    for (unsigned c = 0; c < span_class_count; ++c) {
        const auto sclass = static_cast<span_class>(c);
        EXPECT_EQ(detail::default_core.central(0, sclass).empty_spans, 0u) << c;
        EXPECT_EQ(detail::record_core.central(0, sclass).empty_spans, 0u) << c;
    }
    EXPECT_LE(read_statistics().heap_inuse, inuse);
}

}  // namespace
