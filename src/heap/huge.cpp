// huge.cpp - taking, growing and freeing huge blocks. How idle pages go back to the
// system is in huge_release.cpp, the pictures and invariants are in the header.
//
// The one hard function is extend(): it alone makes memory usable, in this order, so
// that a failure at any point leaves a block that is merely prepared a little further:
//
//   prepare (may fail) -> huge page hint -> Ready -> names in the table -> size (caller)
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

constexpr std::size_t huge_page = os::step.count();
constexpr std::size_t huge_pages_from = (16_MiB).count();

// A slot is at most this part of the area, unless the block needs more: in a small area
// (a limited address space) the first block must not take everything.
constexpr unsigned share_shift = 4;

// A block is a mapping for its huge pages, one for its tail, one for what was moved
// here, and one for the gap behind it.
constexpr std::size_t mappings_per_block = 4;

std::size_t whole_os_pages(bytes size) noexcept {
    return round_up(std::max(size.count(), std::size_t{1}), os::os_page().count());
}

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
        const std::size_t mappings = os::read_memory_limits().max_map_count;
        block_limit_ = mappings / 2 / mappings_per_block;
    }
    // release; pairs with the acquire in find().
    area_reach_.store(huge_slots::granule.count() << order, std::memory_order_release);
    return {};
}

// ---- allocate and free

result<huge_block*> huge_heap::allocate(bytes size, std::size_t alignment, bool& zeroed,
                                        void* owner) noexcept {
    const std::size_t need = whole_os_pages(size);
    if (need < size.count() || !is_power_of_two(alignment)) {
        return error{errc::invalid_argument, 0, "allocating a huge block"};
    }
    for (;;) {
        mutex_.lock();
        const result<huge_block*> block = allocate_locked(need, alignment, zeroed, owner);
        mutex_.unlock();
        // What is idle may be what the system lacks: memory, promises, slots, mappings.
        if (block || block.error().code == errc::invalid_argument || !release_one()) {
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
    block->dirty = os::decommit_clears() ? block->ready : std::max(block->dirty, block->ready);
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

// ---- growing and shrinking

result<void> huge_heap::grow(huge_block* block, bytes size) noexcept {
    const std::size_t need = whole_os_pages(size);
    for (;;) {
        mutex_.lock();
        const result<void> grown = need < size.count()
                                       ? error{errc::invalid_argument, 0, "growing a huge block"}
                                       : grow_locked(block, need);
        mutex_.unlock();
        if (grown || grown.error().code == errc::occupied || !release_one()) return grown;
    }
}

result<void> huge_heap::grow_locked(huge_block* block, std::size_t need) noexcept {
    if (need <= block->size.load(std::memory_order_relaxed)) return {};
    if (need > block->slot_size) {
        return error{errc::occupied, 0, "growing a huge block beyond its slot"};
    }
    wait_for_release(block, need);
    if (block->growths < 255) ++block->growths;
    const std::size_t ahead = std::clamp(need / 8, (2_MiB).count(), (64_MiB).count());
    if (const result<void> done = extend(block, need, ahead); !done) return done;
    set_size(block, need);
    return {};
}

result<huge_block*> huge_heap::grow_moving(huge_block* block, bytes size) noexcept {
    if (whole_os_pages(size) < size.count()) {
        return error{errc::invalid_argument, 0, "moving a huge block"};
    }
    const std::size_t need =
        std::max(whole_os_pages(size), block->size.load(std::memory_order_relaxed));
    huge_block* twin = nullptr;
    for (;;) {
        mutex_.lock();
        wait_for_release(block, ~std::size_t{0});
        const result<huge_block*> made = make(std::max(need, block->ready), 1);
        if (made) {
            twin = *made;
            break;
        }
        mutex_.unlock();
        if (!release_one()) return made;
    }
    leave_idle_list(block);  // nobody may decommit what is moving
    in_transit_.push_back(twin);
    std::byte* const from = block->base.load(std::memory_order_relaxed);
    std::byte* const to = twin->base.load(std::memory_order_relaxed);
    const std::size_t moving = block->ready;
    mutex_.unlock();

    const result<void> moved = os::move(from, to, bytes{moving});

    mutex_.lock();
    in_transit_.remove(twin);
    if (moved) {
        // The two records change places: whoever knows the block keeps its record.
        block->base.store(to, std::memory_order_relaxed);
        twin->base.store(from, std::memory_order_relaxed);
        std::swap(block->slot_size, twin->slot_size);
        std::swap(block->granule, twin->granule);
        std::swap(block->order, twin->order);
        std::swap(block->prepared, twin->prepared);
        if (block->growths < 255) ++block->growths;
        publish(block, 0, block->size.load(std::memory_order_relaxed));
        static_cast<void>(extend(block, need, 0));  // make() has prepared this much
        set_size(block, need);
    } else {
        set_size(block, block->size.load(std::memory_order_relaxed));
    }
    twin->is = huge_block::state::retired;
    mutex_.unlock();
    static_cast<void>(retire(twin));  // if the system refuses, scavenge() tries again
    if (!moved) return moved.error();
    return block;
}

void huge_heap::shrink(huge_block* block, bytes size) noexcept {
    const std::size_t need = whole_os_pages(size);
    {
        os::lock_guard hold(mutex_);
        if (need >= block->size.load(std::memory_order_relaxed)) return;
        set_size(block, need);
    }
    relieve();
}

// ---- the steps of extend()

result<void> huge_heap::prepare_to(huge_block* block, std::size_t end) noexcept {
    const result<void> done =
        area_.prepare(offset_of(block) + bytes{block->prepared}, bytes{end - block->prepared});
    if (!done) return done;
    // Where the system gives huge pages to everybody, the end of a block must refuse them.
    if (huge_pages_ == debug_options::huge_page_policy::adaptive) {
        static_cast<void>(
            os::hint_no_huge(block->base.load(std::memory_order_relaxed) + block->prepared,
                             bytes{end - block->prepared}));
    }
    prepared_ += end - block->prepared;
    block->prepared = end;
    return {};
}

result<void> huge_heap::extend(huge_block* block, std::size_t size, std::size_t ahead) noexcept {
    const std::size_t wanted = std::max(size, huge_target(block, size));
    if (wanted > block->prepared) {
        // Less is enough when the system is short of promises or mappings.
        const std::size_t most =
            ahead == 0 ? wanted : std::min(round_up(size + ahead, huge_page), block->slot_size);
        result<void> done = prepare_to(block, std::max(most, wanted));
        if (!done && size > block->prepared) done = prepare_to(block, size);
        if (!done && size > block->prepared) return done;
    }
    update_huge_pages(block, size);
    if (size > block->ready) {
        os::use(block->base.load(std::memory_order_relaxed) + block->ready,
                bytes{size - block->ready});
        idle_.fetch_add(size - block->ready, std::memory_order_relaxed);  // until set_size()
        block->ready = size;
    }
    publish(block, block->size.load(std::memory_order_relaxed), size);
    return {};
}

std::size_t huge_heap::huge_target(const huge_block* block, std::size_t size) const noexcept {
    using policy = debug_options::huge_page_policy;
    const std::size_t whole = round_down(size, huge_page), rounded = round_up(size, huge_page);
    if (huge_pages_ == policy::off) return 0;
    if (huge_pages_ == policy::adaptive) {
        if (size < huge_pages_from) return 0;
        constexpr unsigned grows_on = 4;
        const std::size_t tolerated = block->growths >= grows_on ? size / 16 : size / 64;
        if (rounded - size > tolerated) return whole;
    }
    return std::min(rounded, round_down(block->slot_size, huge_page));
}

void huge_heap::update_huge_pages(huge_block* block, std::size_t size) noexcept {
    using policy = debug_options::huge_page_policy;
    if (huge_pages_ == policy::off) return;
    std::byte* const base = block->base.load(std::memory_order_relaxed);
    const std::size_t target =
        std::min(huge_target(block, size), round_down(block->prepared, huge_page));
    // Granted when the block was larger, and not resident any more: the next touch
    // there would bring 2 MiB for a byte.
    const std::size_t keep = std::max(target, round_up(block->ready, huge_page));
    if (block->huge_end > keep) {
        static_cast<void>(os::hint_no_huge(base + keep, bytes{block->huge_end - keep}));
        block->huge_end = keep;
    }
    if (target > block->huge_end) {
        static_cast<void>(os::hint_huge(base + block->huge_end, bytes{target - block->huge_end}));
        block->huge_end = target;
    }
}

void huge_heap::publish(huge_block* block, std::size_t from, std::size_t to) noexcept {
    const std::size_t start = offset_of(block).count();
    const std::size_t last = (start + to - 1) >> huge_slots::granule_shift;
    for (std::size_t g = (start + from) >> huge_slots::granule_shift; g <= last; ++g) {
        // release; pairs with the acquire in find(). Written only when it changes, for
        // a block that grows by pages asks here every time.
        if (table_[g].load(std::memory_order_relaxed) != block)
            table_[g].store(block, std::memory_order_release);
    }
}

/// The last step of every change: size, counters (HB4) and the idle list follow it.
void huge_heap::set_size(huge_block* block, std::size_t size) noexcept {
    const std::size_t before = block->size.load(std::memory_order_relaxed);
    in_use_ += size - before;  // may wrap, as it should
    idle_.fetch_add(before - size, std::memory_order_relaxed);
    block->size.store(size, std::memory_order_relaxed);
    if (block->ready > block->release_floor()) {
        if (size < before || !block->in_idle_list) become_idle(block);
    } else {
        leave_idle_list(block);
    }
}

/// Returns when nobody decommits [block->ready, size) (HB5). Drops the lock to wait.
void huge_heap::wait_for_release(const huge_block* block, std::size_t size) noexcept {
    while (block->releasing && size > block->ready) {
        mutex_.unlock();
        release_.lock();  // whoever decommits holds it
        release_.unlock();
        mutex_.lock();
    }
}

}  // namespace steady::detail
