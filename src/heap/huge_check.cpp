// huge_check.cpp - adds up the huge blocks and compares with what the counters say.
// Tests call it after every few operations, audit whenever somebody asks.
#include "steady/heap/detail/huge.hpp"

namespace steady::detail {

namespace {

struct sums {
    std::size_t in_use = 0, ready = 0, prepared = 0, live = 0, slots = 0, blocks = 0;
};

/// Tests HB1 and HB2 for one record and adds it up.
const char* add_up(const huge_block& b, huge_block::state expected, std::uintptr_t area,
                   sums& sum) noexcept {
    const std::size_t size = b.size.load(std::memory_order_relaxed);
    const std::size_t slot = huge_slots::granule.count() << b.order;
    const std::uintptr_t first = area + (b.granule << huge_slots::granule_shift);
    const auto base = reinterpret_cast<std::uintptr_t>(b.base.load(std::memory_order_relaxed));
    if (b.is != expected) return "HB1 a block is in the list of another state";
    if (size > b.ready || b.ready > b.prepared || b.prepared > b.slot_size) {
        return "HB1 not size <= ready <= prepared <= slot size";
    }
    if (((size | b.ready | b.prepared) & (os::os_page().count() - 1)) != 0) {
        return "HB1 a boundary is not at an OS page";
    }
    if ((b.is == huge_block::state::live) != (size != 0))
        return "HB1 live without size, or the reverse";
    if (base < first || base + b.slot_size != first + slot) {
        return "HB2 a block does not lie in its slot";
    }
    sum.in_use += size;
    sum.ready += b.ready;
    sum.prepared += b.prepared;
    sum.live += b.is == huge_block::state::live;
    sum.slots += slot;
    ++sum.blocks;
    return nullptr;
}

const char* add_up(const huge_list& list, huge_block::state expected, std::uintptr_t area,
                   sums& sum) noexcept {
    for (huge_block* b = list.first(); b != nullptr; b = b->next) {
        if (const char* broken = add_up(*b, expected, area, sum); broken != nullptr) return broken;
    }
    return nullptr;
}

}  // namespace

const char* huge_heap::find_broken() noexcept {
    using state = huge_block::state;
    sums sum;
    if (const char* broken = add_up(live_, state::live, area_base_, sum)) return broken;
    if (const char* broken = add_up(retired_, state::retired, area_base_, sum)) return broken;
    for (huge_block* b = in_transit_.first(); b != nullptr; b = b->next) {
        if (const char* broken = add_up(*b, b->is, area_base_, sum)) return broken;
    }
    if (const char* broken = cache_.check()) return broken;
    const char* broken = nullptr;
    cache_.for_each([&](const huge_block& b) {
        if (broken == nullptr) broken = add_up(b, state::cached, area_base_, sum);
    });
    if (broken != nullptr) return broken;
    if (const char* tree = slots_.check()) return tree;

    if (bytes{sum.slots} != slots_.taken()) return "HB2 taken slots and blocks differ";
    if (sum.blocks != blocks_with_slot_) return "HB2 blocks with a slot are miscounted";
    if (sum.in_use != in_use_) return "HB4 bytes in use are miscounted";
    if (sum.ready - sum.in_use + in_flight_ != idle_.load(std::memory_order_relaxed)) {
        return "HB4 idle bytes are miscounted";
    }
    if (sum.prepared != prepared_) return "HB4 prepared bytes are miscounted";
    if (sum.live != live_count_) return "HB4 live blocks are miscounted";
    for (huge_block* b = live_.first(); b != nullptr; b = b->next) {
        const std::byte* const base = b->base.load(std::memory_order_relaxed);
        const std::size_t size = b->size.load(std::memory_order_relaxed);
        for (std::size_t at = 0; at < size; at += huge_slots::granule.count()) {
            if (find(base + at) != b) return "HB3 an address of a block does not name it";
        }
        if (find(base + size - 1) != b || find(base + size) != nullptr) {
            return "HB3 a block's end is not where find() sees it";
        }
    }
    return nullptr;
}

bool huge_heap::check(message* text) noexcept {
    os::lock_guard nobody_releases(release_);  // a block on its way out is in no list
    os::lock_guard hold(mutex_);
    const char* const broken = find_broken();
    if (broken != nullptr && text != nullptr) {
        text->text("broken invariant ").text(broken).text(", with ").number(live_count_);
        text->text(" live huge blocks of ").size(bytes{in_use_}).text(".");
        text->line("Expected: what huge.hpp promises under that name.");
        text->line("A record was overwritten, or the heap is wrong.");
    }
    return broken == nullptr;
}

huge_counters huge_heap::counters() noexcept {
    os::lock_guard hold(mutex_);
    const std::size_t idle = idle_.load(std::memory_order_relaxed);
    return {.in_use = bytes{in_use_},
            .idle = bytes{idle},
            .prepared = bytes{prepared_ - in_use_ - idle},
            .slots = slots_.taken(),
            .tables = tables_size_,
            .live = live_count_,
            .cached = cache_.count()};
}

}  // namespace steady::detail
