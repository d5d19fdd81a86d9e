// huge_growth.cpp - how a huge block gets longer and shorter, in its slot or into another.
//
// The one hard function is extend(): it alone makes memory usable, in this order, so
// that a failure at any point leaves a block that is merely prepared a little further:
//
//   prepare (may fail) -> huge page hint -> Ready -> names in the table -> size (caller)
//
// grow_moving exchanges the places of two records, so that whoever knows the block, and
// the side data that hangs on it, notice nothing:
//
//             block                twin, just made                  afterwards
//   old slot  [0, ready)           -                                twin: empty, to be retired
//   new slot  -                    prepared, no pages      ------>  block: the same pages
//                                  ^ os::move, without the lock
//
// At every moment at which the lock is free both records are in a list, so that an audit
// finds every slot. A fork waits for moves under way: its child would have half of each.
#include "steady/heap/detail/huge.hpp"

#include "steady/os/thread.hpp"

#include <algorithm>

namespace steady::detail {

namespace {

constexpr std::size_t huge_page = os::step.count();
constexpr std::size_t huge_pages_from = (16_MiB).count();

}  // namespace

result<void> huge_heap::grow(huge_block* block, bytes size) noexcept {
    const std::size_t need = whole_os_pages(size);
    for (unsigned steps = 0;;) {
        mutex_.lock();
        const result<void> grown = need < size.count()
                                       ? error{errc::invalid_argument, 0, "growing a huge block"}
                                       : grow_locked(block, need);
        mutex_.unlock();
        if (grown || grown.error().code == errc::occupied ||
            !give_back_for(grown.error(), need, steps)) {
            return grown;
        }
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
    for (unsigned steps = 0;;) {
        mutex_.lock();
        wait_for_turn_to_move(block);
        const result<huge_block*> made = make(std::max(need, block->ready), 1);
        if (made) {
            twin = *made;
            break;
        }
        mutex_.unlock();
        if (!give_back_for(made.error(), need, steps)) return made;
    }
    leave_idle_list(block);  // nobody may decommit what is moving
    in_transit_.push_back(twin);
    movers_.fetch_add(1, std::memory_order_relaxed);
    std::byte* const from = block->base.load(std::memory_order_relaxed);
    std::byte* const to = twin->base.load(std::memory_order_relaxed);
    const std::size_t moving = block->ready;
    mutex_.unlock();

    const result<bytes> moved = os::move(from, to, bytes{moving});

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
        // The wish for huge pages has come with the pages that were moved, not with copies
        // and not with what lay behind them; extend() repeats it.
        const std::size_t wished = round_down(moving, huge_page);
        block->huge_end = *moved != bytes{} ? 0 : std::min(block->huge_end, wished);
        publish(block, 0, block->size.load(std::memory_order_relaxed));
        static_cast<void>(extend(block, need, 0));  // make() has prepared this much
        set_size(block, need);
    } else {
        set_size(block, block->size.load(std::memory_order_relaxed));
    }
    twin->is = huge_block::state::retired;
    retired_.push_back(twin);
    movers_.fetch_sub(1, std::memory_order_relaxed);
    const bool fork_waits = forking_;
    mutex_.unlock();
    if (fork_waits) os::futex_wake(movers_, 1);
    retire_one();  // if the system refuses, scavenge() tries again
    if (!moved) return moved.error();
    return block;
}

std::size_t huge_heap::dirty_end(const huge_block* block) const noexcept {
    os::lock_guard hold(mutex_);
    return dirty_end_locked(block);
}

// What is being decommitted right now counts as well: the system may refuse, and then it
// is ready again, with all that was in it (HB6).
std::size_t huge_heap::dirty_end_locked(const huge_block* block) const noexcept {
    const std::size_t touched = block->ready + (block->releasing ? in_flight_ : 0);
    return os::decommit_clears() ? touched : std::max(touched, block->dirty);
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
        // How likely a block is to grow on, from what it has done: a thing that has grown
        // sixteen times is an array that is being appended to.
        const std::size_t tolerated = block->growths >= 16  ? size / 8
                                      : block->growths >= 4 ? size / 16
                                                            : size / 64;
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

/// The same for a block that is about to move, which a fork may not see either: whoever
/// forks holds release_ as well.
void huge_heap::wait_for_turn_to_move(const huge_block* block) noexcept {
    while (block->releasing || forking_) {
        mutex_.unlock();
        release_.lock();
        release_.unlock();
        mutex_.lock();
    }
}

}  // namespace steady::detail
