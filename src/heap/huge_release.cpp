// huge_release.cpp - how idle pages of huge blocks go back to the system: from the end
// of the block that has been idle longest, in steps that end on 2 MiB boundaries.
//
//   a freed block, three steps and it is gone:
//
//   base        2 MiB        4 MiB   ready 5 MiB
//    |  ........  |  ........  |  ...  |
//                              <-- 1 --|        decommit, without the lock; meanwhile an
//                 <---- 2 -----|                allocation may take the block, for the
//    <---- 3 -----|                             part below `ready` is as good as ever
//    then unprepare (nothing is resident any more) and the slot returns
//
// A live block that was shrunk is treated alike, down to its release floor: its size,
// or the end of the huge page its size lies in, because breaking a huge page gives
// back less than it costs.
//
// Why from the end: what remains is one piece from the base on, so a single number
// (ready) describes it, and a smaller allocation can use it at once.
#include "steady/heap/detail/huge.hpp"

#include "steady/core/check.hpp"
#include "steady/os/thread.hpp"

#include <algorithm>

namespace steady::detail {

void huge_heap::become_idle(huge_block* block) noexcept {
    leave_idle_list(block);
    block->idle_since = os::now_ns();
    block->in_idle_list = true;
    idle_list_.push_back(block);
}

void huge_heap::leave_idle_list(huge_block* block) noexcept {
    if (!block->in_idle_list) return;
    idle_list_.remove(block);
    block->in_idle_list = false;
}

std::size_t huge_heap::idle_floor() const noexcept {
    const std::size_t lowest = settings_.lowest_idle_floor.count();
    return std::min(lowest + floor_above_lowest_.load(std::memory_order_relaxed),
                    settings_.idle_floor.count());
}

std::size_t huge_heap::tolerated_idle() const noexcept {
    return std::max(idle_floor(), in_use_ / 8);
}

/// Pages have gone: early, because too much was idle, or because nobody wanted them for so
/// long that less may be kept from now on.
void huge_heap::note_released(std::size_t released, bool early, std::uint64_t now) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    if (early) {
        released_early_.fetch_add(released, relaxed);
        last_early_.store(now, relaxed);
    } else {
        const std::size_t above = floor_above_lowest_.load(relaxed);
        floor_above_lowest_.store(above - std::min(above, released), relaxed);
    }
}

/// An allocation needs pages that no idle block had. If such were given back less than a
/// second ago, that was too early: a program that frees and allocates large blocks in turn
/// keeps what it needs after the first few, one that does not pays no memory for the others.
void huge_heap::note_missing(std::size_t missing) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    const std::size_t early = released_early_.load(relaxed);
    if (early == 0 || missing == 0) return;
    if (os::now_ns() - last_early_.load(relaxed) > settings_.idle_ns) {
        released_early_.store(0, relaxed);
        return;
    }
    const std::size_t regretted = std::min(early, missing);
    released_early_.store(early - regretted, relaxed);
    const std::size_t above = floor_above_lowest_.load(relaxed) + regretted;
    floor_above_lowest_.store(std::min(above, settings_.idle_floor.count()), relaxed);
}

/// One step. The caller holds release_, and not mutex_.
///
/// Returns    bytes given back; 0 when nothing is due.
std::size_t huge_heap::release_step(bool force, bool background) noexcept {
    mutex_.lock();
    huge_block* const block = idle_list_.first();
    if (block != nullptr) {
        const std::uint64_t now = os::now_ns();
        const bool unwanted = now - block->idle_since >= settings_.idle_ns;
        const bool early = !force && !unwanted;
        if (!early || idle_.load(std::memory_order_relaxed) > tolerated_idle()) {
            const std::size_t released = release_end_of(block, background);  // unlocks
            if (!force) note_released(released, early, now);
            return released;
        }
    }
    huge_block* const refused = retired_.pop_front();
    mutex_.unlock();
    return refused != nullptr && retire(refused) ? os::os_page().count() : 0;
}

/// Gives the slot back that has waited longest. Takes release_, because in between the
/// block is in no list: neither an audit nor a fork may look then.
void huge_heap::retire_one() noexcept {
    os::lock_guard hold(release_);
    mutex_.lock();
    huge_block* const block = retired_.pop_front();
    mutex_.unlock();
    if (block != nullptr) static_cast<void>(retire(block));
}

/// Decommits the last step of the block's idle pages. Enters with the lock held and
/// leaves without it.
std::size_t huge_heap::release_end_of(huge_block* block, bool background) noexcept {
    const std::size_t end = block->ready;
    const std::size_t start =
        std::max(block->release_floor(), round_down(end - 1, os::step.count()));
    const bool ends = start == 0;  // only a cached block has nothing to keep
    change_ready(block, start);
    if (ends) in_transit_.push_back(block);
    if (start == block->release_floor()) leave_idle_list(block);
    block->releasing = true;
    in_flight_ = end - start;
    std::byte* const base = block->base.load(std::memory_order_relaxed);
    mutex_.unlock();

    const bool done{os::decommit(base + start, bytes{end - start}, background)};

    mutex_.lock();
    block->releasing = false;
    in_flight_ = 0;
    if (ends) in_transit_.remove(block);
    if (done) {
        idle_.fetch_sub(end - start, std::memory_order_relaxed);
        released_.fetch_add(end - start, std::memory_order_relaxed);
        if (!os::decommit_clears()) {
            block->dirty = std::max(block->dirty, end);
        } else if (block->is == huge_block::state::cached) {
            block->dirty = std::min(block->dirty, start);
        }
        if (ends) block->is = huge_block::state::retired;
    } else {
        change_ready(block, end);
        become_idle(block);  // at the back of the queue: try again in a while
    }
    mutex_.unlock();
    if (done && ends) retire(block);
    return done ? end - start : 0;
}

/// Sets ready, and keeps a cached block in the bin of its ready bytes (HC1).
void huge_heap::change_ready(huge_block* block, std::size_t ready) noexcept {
    const bool cached = block->is == huge_block::state::cached;
    if (cached && block->ready != 0) cache_.remove(block);
    block->ready = ready;
    if (cached && ready != 0) cache_.insert(block);
}

/// Undoes the mapping of a block without pages and gives its slot back. The caller holds
/// release_.
///
/// Returns    false when the system refuses (no mapping left to split); the block then
///            waits in retired_ for a later scavenge().
bool huge_heap::retire(huge_block* block) noexcept {
    const bool done{area_.unprepare(offset_of(block), bytes{block->prepared}, bytes{})};
    os::lock_guard hold(mutex_);
    if (!done) {
        retired_.push_back(block);
        return false;
    }
    prepared_ -= block->prepared;
    block->prepared = 0;
    block->is = huge_block::state::spare;
    slots_.give_back(block->granule, block->order);
    --blocks_with_slot_;
    spare_.push_back(block);
    return true;
}

bool huge_heap::scavenge(bytes budget, bool force, bool background) noexcept {
    for (std::size_t spent = 0; spent < budget.count();) {
        os::lock_guard hold(release_);
        const std::size_t released = release_step(force, background);
        if (released == 0) break;
        spent += released;
    }
    os::lock_guard hold(mutex_);
    return idle_list_.first() != nullptr || retired_.first() != nullptr;
}

/// For a caller who lacks memory: one step, whether it is due or not.
bool huge_heap::release_one() noexcept {
    os::lock_guard hold(release_);
    return release_step(true, false) != 0;
}

/// After a refusal, counted in `steps`: what is idle may be what the system lacks (memory,
/// promises, slots), so one step of it goes and the caller tries again. Mappings are not,
/// and would make a caller wait for all idle memory in vain.
///
/// Returns    false when trying again makes no sense.
bool huge_heap::give_back_for(const error& refused, std::size_t wanted, unsigned& steps) noexcept {
    constexpr unsigned before_asking = 8;  // asking may take as long as 200 steps
    if (steps++ == before_asking &&
        os::explain(refused, bytes{wanted}).code == errc::map_count_limit) {
        return false;
    }
    return release_one();
}

/// At the end of a caller's operation: a step if too much is idle and nobody else cares.
/// A background thread may be asleep or paced, so callers help it beyond twice as much:
/// the bound holds in a program that only lasts a second. A busy release_ means that
/// somebody is at it right now.
void huge_heap::relieve() noexcept {
    const std::size_t idle = idle_.load(std::memory_order_relaxed);
    const bool helped = background_.load(std::memory_order_relaxed);
    if (idle <= idle_floor() * (helped ? 2 : 1)) return;
    if (!release_.try_lock()) return;
    mutex_.lock();
    const bool due = idle > tolerated_idle() * (helped ? 2 : 1);
    mutex_.unlock();
    if (due) release_step(false, false);
    release_.unlock();
}

result<void> huge_heap::close() noexcept {
    os::lock_guard hold(release_);
    while (release_step(true, true) != 0) {
    }
    os::lock_guard also(mutex_);
    if (!area_.is_open()) return {};
    if (blocks_with_slot_ != 0) {
        return error{errc::occupied, 0, "closing the huge area while blocks are in it"};
    }
    // relaxed; nobody may look for a block while the area goes away.
    area_reach_.store(0, std::memory_order_relaxed);
    if (const result<void> closed = area_.close(); !closed) return closed;
    const result<void> unmapped = os::unmap_plain(table_, tables_size_);
    table_ = nullptr;
    tables_size_ = bytes{};
    slots_.open(nullptr, 0);
    area_ = os::area{};
    return unmapped;
}

// ---- fork

void huge_heap::before_fork() noexcept {
    release_.lock();
    mutex_.lock();
    forking_ = true;  // nobody begins to move
    // relaxed; mutex_ orders it. A mover needs nothing but mutex_ to come to its end.
    while (const std::uint32_t moving = movers_.load(std::memory_order_relaxed)) {
        mutex_.unlock();
        os::futex_wait(movers_, moving, os::forever);
        mutex_.lock();
    }
    forking_ = false;  // not before after_fork: both locks are held
}

void huge_heap::after_fork_in_parent() noexcept {
    mutex_.unlock();
    release_.unlock();
}

// The child's one thread is the one that took them.
void huge_heap::after_fork_in_child() noexcept {
    after_fork_in_parent();
}

}  // namespace steady::detail
