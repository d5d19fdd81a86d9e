// depots.cpp - magazines between threads. The stories are in magazine.hpp and
// depots.hpp.
#include "steady/heap/detail/depots.hpp"

#include <algorithm>
#include <new>

#include "steady/heap/detail/central.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/metadata.hpp"

namespace steady::detail {

constinit depot_set depots;

namespace {

constinit magazine_stack empty_magazines;
constinit std::atomic<std::int64_t> empty_low_water{0};  // fewest since the last trim
constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::int64_t small_heap_bound = 96 << 10;
constexpr std::size_t memory_share = 128;
constexpr std::int64_t small_heap_held = 512 << 10;
constexpr std::size_t held_share = 64;
constexpr std::int64_t relief_worthwhile = 64 << 10;
constexpr std::size_t relief_budget = 16;  // magazines: some 2,000 objects; see relieve()

std::int64_t bytes_of(const magazine& m, span_class sclass) noexcept {
    return static_cast<std::int64_t>(m.count) * static_cast<std::int64_t>(class_size[sclass >> 1]);
}

}  // namespace

magazine* get_empty_magazine() noexcept {
    if (magazine* m = empty_magazines.pop()) {
        const std::int64_t left = std::int64_t{m->depth.load(relaxed)} - 1;
        if (left < empty_low_water.load(relaxed)) empty_low_water.store(left, relaxed);
        return m;
    }
    slot memory{nullptr};
    if (record_core.take(0, magazine_class, &memory + 1, 1) == 0) return nullptr;
    return new (memory.load(relaxed)) magazine;
}

void put_empty_magazine(magazine* m) noexcept {
    empty_magazines.push(m);
}

std::size_t trim_empty_magazines(bool all) noexcept {
    std::int64_t surplus = all ? empty_magazines.size() : empty_low_water.load(relaxed);
    std::size_t returned = 0;
    for (; surplus > 0; --surplus) {
        magazine* m = empty_magazines.pop();
        if (m == nullptr) break;
        const slot object{m};
        record_core.put(magazine_class, &object, 1);
        ++returned;
    }
    empty_low_water.store(empty_magazines.size(), relaxed);
    return returned;
}

result<void> depot_set::open(unsigned nodes) noexcept {
    if (depots_ != nullptr) return {};
    const bytes size{sizeof(depot) * span_class_count * nodes};
    void* memory = os::metadata_alloc(size, alignof(depot), metadata_ledgers.centrals);
    if (memory == nullptr) return error{errc::out_of_memory, 12, "allocating the depots"};
    depots_ = static_cast<depot*>(memory);
    for (unsigned i = 0; i < span_class_count * nodes; ++i) new (&depots_[i]) depot;
    nodes_ = nodes;
    return {};
}

magazine* depot_set::take(unsigned node, span_class sclass) noexcept {
    depot& d = at(node, sclass);
    magazine* m = d.full.pop();
    if (m == nullptr) return nullptr;
    held_.fetch_sub(one_magazine + bytes_of(*m, sclass), relaxed);
    const std::int64_t left = std::int64_t{m->depth.load(relaxed)} - 1;
    if (left < d.low_water.load(relaxed)) d.low_water.store(left, relaxed);
    return m;
}

void depot_set::put(unsigned node, span_class sclass, magazine* full) noexcept {
    const std::int64_t size = one_magazine + bytes_of(*full, sclass);
    const std::int64_t held = bytes_in(held_.fetch_add(size, relaxed) + size);
    at(node, sclass).full.push(full);
    if (worth_scavenging(static_cast<std::size_t>(held), os::ledgers().ready.value().count()))
        scavenger_request();
}

bool depot_set::has_room() const noexcept {
    const std::size_t ready = os::ledgers().ready.value().count();
    const auto most_held = static_cast<std::int64_t>(ready / held_share);
    const std::int64_t held = held_.load(relaxed);
    if (bytes_in(held) >= std::max(most_held, small_heap_held)) return false;
    const auto bound = static_cast<std::int64_t>(ready / memory_share);
    const std::int64_t used = magazines_in(held) * static_cast<std::int64_t>(sizeof(magazine));
    if (used < small_heap_bound) return true;
    return used < bound && !store.needs_fresh_pages(0, 1);
}

void depot_set::relieve(heap_core& core) noexcept {
    if (bytes_in(held_.load(relaxed)) > relief_worthwhile) trim(core, relief_budget, true);
}

std::size_t depot_set::trim(heap_core& core, std::size_t budget, bool all) noexcept {
    std::size_t returned = 0;
    const unsigned all_depots = nodes_ * span_class_count;
    for (unsigned k = 0; k < all_depots && returned < budget; ++k) {
        const unsigned i = next_trimmed_.fetch_add(1, relaxed) % all_depots;
        depot& d = depots_[i];
        const unsigned node = i / span_class_count;
        const auto sclass = static_cast<span_class>(i % span_class_count);
        std::int64_t surplus = all ? d.full.size() : d.low_water.load(relaxed);
        for (; surplus > 0 && returned < budget; --surplus) {
            magazine* m = take(node, sclass);
            if (m == nullptr) break;
            core.put(sclass, m->slots, m->count);
            put_empty_magazine(m);
            ++returned;
        }
        if (surplus <= 0) d.low_water.store(d.full.size(), relaxed);
    }
    return returned;
}

}  // namespace steady::detail
