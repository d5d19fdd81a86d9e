// huge.cpp - opening the area, taking huge blocks and freeing them. Growing is in
// huge_growth.cpp, how idle pages go back to the system in huge_release.cpp; the
// pictures and invariants are in the header.
//
//   allocate -> a cached block that is close in size --------------------> extend -> live
//            -> or a record, and a slot: roomiest order first, tighter ones if need be
//            -> or give idle pages back and try again, until nothing is idle
#include "steady/heap/detail/huge.hpp"

#include "steady/core/check.hpp"
#include "steady/os/limits.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace steady::detail {

constinit huge_heap huge_blocks;
constinit ledger huge_records{"heap.huge_records"};

namespace {

// A slot is at most this part of the area, unless the block needs more: in a small area
// (a limited address space) the first block must not take everything.
constexpr unsigned share_shift = 4;

// A block is a mapping for its huge pages, one for its tail, one for what was moved
// here, and one for the gap behind it.
constexpr std::size_t mappings_per_block = 4;

// Slots lie at multiples of a granule; whoever wants more may have to skip as much.
std::size_t padding_for(std::size_t alignment) noexcept {
    return alignment > huge_slots::granule.count() ? alignment : 0;
}

unsigned order_for(std::size_t size) noexcept {
    const std::size_t granules =
        (size + huge_slots::granule.count() - 1) >> huge_slots::granule_shift;
    return static_cast<unsigned>(std::bit_width(granules - 1));
}

}  // namespace

bytes huge_heap::tables_to_come() const noexcept {
    // relaxed; only an estimate depends on it.
    if (area_reach_.load(std::memory_order_relaxed) != 0) return {};
    const auto order =
        static_cast<unsigned>(std::bit_width(settings_.area_size / huge_slots::granule)) - 1;
    return bytes{sizeof(huge_block*) << order} + huge_slots::tree_size(order);
}

result<void> huge_heap::open() noexcept {
    if (area_.is_open()) return {};
    result<os::area> area = os::area::open(settings_.area_size, huge_slots::granule, settings_.hint,
                                           true, settings_.area_min, "steady huge blocks");
    if (!area) return area.error();

    const auto order =
        static_cast<unsigned>(std::bit_width(area->size() / huge_slots::granule)) - 1;
    const std::size_t table_size = sizeof(huge_block*) << order;
    const bytes tables_size =
        round_up(bytes{table_size} + huge_slots::tree_size(order), os::os_page());
    const result<std::byte*> tables = os::map_plain(tables_size, "steady huge tables");
    if (!tables) {
        static_cast<void>(area->close());  // the first failure is the one to report
        return tables.error();
    }

    area_ = *area;
    area_base_ = reinterpret_cast<std::uintptr_t>(area_.base());
    tables_size_ = tables_size;
    table_ = reinterpret_cast<std::atomic<huge_block*>*>(*tables);
    slots_.open(reinterpret_cast<std::uint8_t*>(*tables + table_size), order);
    huge_pages_ =
        os::huge_pages_available() ? options().hugepages : debug_options::huge_page_policy::off;
    block_limit_ = settings_.block_limit;
    if (block_limit_ == 0) {
        block_limit_ = os::read_max_map_count() / 2 / mappings_per_block;
    }
    // release; pairs with the acquire in find().
    area_reach_.store(huge_slots::granule.count() << order, std::memory_order_release);
    return {};
}

// ---- allocate and free

result<huge_block*> huge_heap::allocate(bytes size, std::size_t alignment, bool& zeroed,
                                        void* owner, std::size_t* dirty) noexcept {
    const std::size_t need = whole_os_pages(size);
    if (need < size.count() || !is_power_of_two(alignment)) {
        return error{errc::invalid_argument, 0, "allocating a huge block"};
    }
    for (unsigned steps = 0;;) {
        mutex_.lock();
        const result<huge_block*> block = allocate_locked(need, alignment, zeroed, owner);
        if (block && dirty != nullptr) *dirty = std::min((*block)->dirty, need);
        mutex_.unlock();
        if (block || block.error().code == errc::invalid_argument ||
            !give_back_for(block.error(), need, steps)) {
            relieve();
            return block;
        }
    }
}

result<huge_block*> huge_heap::allocate_locked(std::size_t need, std::size_t alignment,
                                               bool& zeroed, void* owner) noexcept {
    if (const result<void> opened = open(); !opened) return opened.error();
    const std::size_t reach = area_reach_.load(std::memory_order_relaxed);
    if (need > reach || padding_for(alignment) > reach - need) {
        return error{errc::invalid_argument, 0, "allocating a block larger than the huge area"};
    }

    huge_block* block = cache_.find(need, alignment, 4 * room_for(need));
    note_missing(block == nullptr ? need : need - std::min(need, block->ready));
    if (block != nullptr) {
        cache_.remove(block);
        if (!extend(block, need, 0)) {
            cache_.insert(block);  // extend changed nothing; fresh memory may do better
            block = nullptr;
        }
    }
    if (block == nullptr) {
        const result<huge_block*> fresh = make(need, alignment);
        if (!fresh) return fresh;
        block = *fresh;
        static_cast<void>(extend(block, need, 0));  // make() has prepared this much
    }
    zeroed = block->dirty == 0;
    block->is = huge_block::state::live;
    block->owner = owner;
    block->noscan = true;
    block->side_data.store(nullptr, std::memory_order_relaxed);
    block->counts.store(nullptr, std::memory_order_relaxed);
    block->growths = 0;
    live_.push_back(block);
    ++live_count_;
    set_size(block, need);
    return block;
}

void huge_heap::free(huge_block* block) noexcept {
    {
        os::lock_guard hold(mutex_);
        free_locked(block);
    }
    relieve();
}

void huge_heap::free_all(const void* owner) noexcept {
    os::lock_guard hold(mutex_);
    for (huge_block *block = live_.first(), *after; block != nullptr; block = after) {
        after = block->next;
        if (block->owner == owner) free_locked(block);
    }
}

void huge_heap::free_locked(huge_block* block) noexcept {
    STEADY_ASSERT(1, block->is == huge_block::state::live, "HB1 the block being freed is not live");
    live_.remove(block);
    --live_count_;
    block->is = huge_block::state::cached;
    block->owner = nullptr;
    block->dirty = dirty_end_locked(block);
    cache_.insert(block);
    set_size(block, 0);
}

// ---- slots

/// The slot a block of this size should have.
std::size_t huge_heap::room_for(std::size_t need) const noexcept {
    const std::size_t granule = huge_slots::granule.count();
    const std::size_t share = std::max((granule << slots_.order()) >> share_shift, granule);
    return std::clamp(std::bit_ceil(need * 16), granule, share);
}

result<huge_block*> huge_heap::make(std::size_t need, std::size_t alignment) noexcept {
    if (blocks_with_slot_ >= block_limit_) {
        return error{errc::map_count_limit, 0, "making one more huge block"};
    }
    huge_block* block = spare_.pop_front();
    if (block == nullptr) {
        block = records_.get(huge_records);
        if (block == nullptr) return error{errc::out_of_memory, 0, "mapping a huge block's record"};
        new (block) huge_block;
    }
    if (const result<void> placed = take_slot(block, need, alignment); !placed) {
        spare_.push_back(block);
        return placed.error();
    }
    ++blocks_with_slot_;
    return block;
}

// From the roomiest order down. In a nominal area a stranger's mapping may sit in a
// free slot; such slots are set aside until one has been found, so that the tree does
// not offer them again, and then given back: the stranger may go.
result<void> huge_heap::take_slot(huge_block* block, std::size_t need,
                                  std::size_t alignment) noexcept {
    const std::size_t pad = padding_for(alignment);
    const unsigned tightest = order_for(need + pad);
    const unsigned roomiest = std::max(tightest, order_for(room_for(need) + pad));

    constexpr std::size_t most_set_aside = 8;
    struct {
        std::size_t granule;
        unsigned order;
    } aside[most_set_aside];
    std::size_t set_aside = 0;

    result<void> outcome = error{errc::address_space_limit, 0, "finding a slot for a huge block"};
    for (unsigned order = roomiest + 1; order-- > tightest;) {
        const std::size_t granule = slots_.take(order);
        if (granule == huge_slots::none) continue;
        outcome = settle_in(block, granule, order, need, alignment);
        if (outcome) break;
        aside[set_aside++] = {granule, order};
        if (outcome.error().code != errc::occupied || set_aside == most_set_aside) break;
        ++order;  // the same order again, elsewhere
    }
    while (set_aside-- > 0) slots_.give_back(aside[set_aside].granule, aside[set_aside].order);
    return outcome;
}

result<void> huge_heap::settle_in(huge_block* block, std::size_t granule, unsigned order,
                                  std::size_t need, std::size_t alignment) noexcept {
    const std::uintptr_t slot = area_base_ + (granule << huge_slots::granule_shift);
    const std::uintptr_t slot_end = slot + (huge_slots::granule.count() << order);
    const std::uintptr_t base = round_up(slot, std::max(alignment, huge_slots::granule.count()));
    block->base.store(reinterpret_cast<std::byte*>(base), std::memory_order_relaxed);
    block->slot_size = slot_end - base;
    block->granule = granule;
    block->order = static_cast<std::uint8_t>(order);
    block->ready = block->prepared = block->dirty = block->huge_end = 0;
    block->growths = 0;
    return prepare_to(block, std::max(need, huge_target(block, need)));
}

}  // namespace steady::detail
