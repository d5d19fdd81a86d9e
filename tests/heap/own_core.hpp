// own_core.hpp - a heap core that no other test uses: its centrals, its spans and
// nothing else of the default heap's. What it leaves behind is given back.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "steady/heap/detail/central.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"

namespace steady::test {

using detail::central_list;
using detail::heap_core;
using detail::slot;
using detail::span;
using detail::span_class;
using detail::span_class_count;

inline constexpr span_class noscan_class(unsigned size_class) {
    return static_cast<span_class>(size_class * 2 + 1);
}

class own_core {
public:
    own_core() {
        EXPECT_TRUE(detail::open_heap());
        core.centrals_ = lists;
    }
    ~own_core() {
        while (core.all_spans_ != nullptr) detail::store.destroy(core.all_spans_);
    }
    own_core(const own_core&) = delete;
    own_core& operator=(const own_core&) = delete;

    /// Up to `want` objects, in the order in which a cache would pop them.
    std::vector<void*> take(span_class sclass, std::size_t want) {
        std::vector<slot> slots(want);
        const std::size_t got = core.take(0, sclass, slots.data() + want, want);
        std::vector<void*> objects;
        for (std::size_t i = 0; i < got; ++i) objects.push_back(slots[want - 1 - i].load());
        return objects;
    }
    void put(span_class sclass, const std::vector<void*>& objects) {
        std::vector<slot> slots(objects.size());
        for (std::size_t i = 0; i < objects.size(); ++i) slots[i].store(objects[i]);
        core.put(sclass, slots.data(), slots.size());
    }
    central_list& list(span_class sclass) { return lists[sclass]; }

    std::vector<span*> spans() {
        std::vector<span*> all;
        for (span* s = core.all_spans_; s != nullptr; s = owner_links(*s).next) all.push_back(s);
        return all;
    }
    static bool listed(const central_list& list, const span* wanted) {
        for (const span* s = list.first; s != nullptr; s = s->list.next) {
            if (s == wanted) return true;
        }
        return false;
    }

    heap_core core;
    central_list lists[span_class_count];
};

inline span* span_of(const void* p) {
    return detail::heap_map.find(p);
}

inline unsigned free_bits(const span& s) {
    unsigned sum = 0;
    for (unsigned w = 0; w < s.bitmap_words(); ++w)
        sum += static_cast<unsigned>(std::popcount(s.free_bits()[w]));
    return sum;
}

}  // namespace steady::test
