// object_counts.cpp - making and taking back the counters of shared objects. The
// story is in object_counts.hpp.
#include "steady/heap/detail/object_counts.hpp"

#include <cstring>
#include <new>

#include "steady/core/check.hpp"
#include "steady/heap/detail/huge.hpp"
#include "steady/heap/detail/span_store.hpp"

namespace steady::detail {

namespace {

// Calls act(pool) with the pool for `objects` objects.
template <class Act>
auto with_pool(node_pages& n, std::uint32_t objects, Act act) noexcept {
    if (objects == 1) return act(n.counts_1);
    if (objects <= 64) return act(n.counts_64);
    if (objects <= 512) return act(n.counts_512);
    return act(n.counts_1024);
}

template <unsigned Objects>
object_counts* get_counts(count_pools<Objects>& pool) noexcept {
    auto* fresh = pool.counts.get(metadata_ledgers.counts);
    if (fresh == nullptr) return nullptr;
    ::new (static_cast<void*>(&fresh->head)) object_counts;
    fresh->head.room = Objects;
    for (share_counter& count : fresh->shares)  // OC1; T2: a reused slot is not fresh
        count.store(unshared, std::memory_order_relaxed);
    return &fresh->head;
}

template <unsigned Objects>
object_extra* get_extras(count_pools<Objects>& pool) noexcept {
    auto* fresh = pool.extras.get(metadata_ledgers.counts);
    if (fresh == nullptr) return nullptr;
    std::memset(static_cast<void*>(fresh), 0, sizeof(*fresh));  // OC3
    return fresh->each;
}

// Where an object's counters hang: in its span's record or in its huge block's.
struct counted_place {
    std::atomic<object_counts*>* counts = nullptr;
    std::uint32_t objects = 1;
    std::uint32_t index = 0;
    unsigned node = 0;
};

counted_place place_of_counts(const void* p) noexcept {
    if (span* s = heap_map.find(p)) {
        const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(p) - s->base;
        return {&s->counts, s->object_count,
                static_cast<std::uint32_t>((offset * std::uint64_t{s->divmul}) >> 32), s->node};
    }
    if (huge_block* b = huge_blocks.find(p)) return {&b->counts, 1, 0, 0};
    return {};
}

}  // namespace

share_counter* huge_share_count(const void* p) noexcept {
    const huge_block* b = huge_blocks.find(p);
    if (b == nullptr) return nullptr;
    // acquire; pairs with the release in make_share_count.
    object_counts* counts = b->counts.load(std::memory_order_acquire);
    return counts == nullptr ? nullptr : counts->shares();
}

share_counter* make_share_count(const void* p) noexcept {
    if (share_counter* count = share_count(p)) return count;
    const counted_place at = place_of_counts(p);
    node_pages& n = store.node(at.node);
    const os::lock_guard guard(n.lock);
    object_counts* counts = at.counts->load(std::memory_order_relaxed);
    if (counts == nullptr) {
        counts = with_pool(n, at.objects, [](auto& pool) noexcept { return get_counts(pool); });
        if (counts == nullptr) return nullptr;
        // release; pairs with the acquire in share_count: OC1.
        at.counts->store(counts, std::memory_order_release);
    }
    return counts->shares() + at.index;
}

object_extra* extra_of(const void* p, bool make) noexcept {
    const counted_place at = place_of_counts(p);
    object_counts* counts =
        at.counts == nullptr ? nullptr : at.counts->load(std::memory_order_acquire);
    if (counts == nullptr) return nullptr;
    // acquire; pairs with the release below: OC3.
    object_extra* extras = counts->extras.load(std::memory_order_acquire);
    if (extras == nullptr && make) {
        node_pages& n = store.node(at.node);
        const os::lock_guard guard(n.lock);
        extras = counts->extras.load(std::memory_order_relaxed);
        if (extras == nullptr) {
            extras = with_pool(n, at.objects, [](auto& pool) noexcept { return get_extras(pool); });
            counts->extras.store(extras, std::memory_order_release);
        }
    }
    return extras == nullptr ? nullptr : extras + at.index;
}

void put_counts(node_pages& n, object_counts* counts) noexcept {
    object_extra* extras = counts->extras.load(std::memory_order_relaxed);
    with_pool(n, counts->room, [&]<unsigned Objects>(count_pools<Objects>& pool) noexcept {
        for ([[maybe_unused]] std::uint32_t i = 0; STEADY_CHECK >= 2 && i < Objects; ++i) {
            STEADY_ASSERT(2, !is_shared(counts->shares()[i].load(std::memory_order_relaxed)),
                          "OC1 the counter of an object nobody shares is `unshared`");
        }
        if (extras != nullptr) pool.extras.put(reinterpret_cast<extras_for<Objects>*>(extras));
        pool.counts.put(reinterpret_cast<counts_for<Objects>*>(counts));
    });
}

}  // namespace steady::detail
