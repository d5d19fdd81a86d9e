// huge.hpp - blocks of 1 MiB and more. Each lives in a slot of address space far
// larger than itself, so that it grows by making more of the slot usable: no copy,
// no move, and the pages it has stay where they are.
//
//   area, nominally 16 TiB, opened at the first huge block:
//   | slot 64 MiB | slot 64 MiB | slot 8 GiB                                    | ...
//   | 1 MiB block | 3.9 MiB blk | 512 MiB block, can become 8 GiB in place      |
//
//   slot of a block of s bytes: the power of two >= 16 * s, at least 64 MiB and at most
//   a sixteenth of the area; tighter (8 * s ... s) when the area is nearly full.
//
// How the address of a block is found: table_[offset / 64 MiB] names the block whose
// slot covers the granule, and the block says whether it reaches that far. Two loads
// for any interior pointer, no lock.
//
// Invariants (check() tests each one)
//   HB1  size <= ready <= prepared <= slot_size, each a multiple of the OS page; a block
//       that is not live has size 0, one that is retired or spare has ready 0.
//   HB2  A slot belongs to exactly one record, and the buddy tree has it as taken.
//   HB3  For each live block, every granule below base + size names the block. Names of
//       blocks that are gone may stay behind: find() asks the record, which knows.
//   HB4  The counters are the sums over the records; in_use + idle is what this room has
//       in the state Ready.
//   HB5  Whoever makes [ready, x) Ready again first waits until no decommit of that range
//       is under way (`releasing`): fresh data is never thrown away.
//   HB6  Bytes of a cached block at `dirty` and beyond read as zero, or will when the
//       decommit under way is done; should the system refuse it, they are below `dirty`.
//
// Huge pages (STEADY_DEBUG=hugepages=adaptive): from 16 MiB on, the part of a block made
// of whole 2 MiB pages asks for them. The last, partial one does only when the bytes
// beyond the end are at most 1/64 of the block (1/16 if it has grown 4 times, 1/8 after
// 16 times, and so is expected to grow on): a block never shows more than that.
//
// Locks   mutex_ (rank huge) for all records; held over prepare, which touches nothing,
//         never over calls that walk pages. release_ is held by whoever decommits, is
//         taken before mutex_, and waiting for it takes one step of 2 MiB at most.
// Cost    allocate: a bit search, or a walk of 18 tree levels and two system calls. grow:
//         no system call while the part prepared ahead lasts (1/8 of the size). free: O(1).
// More    docs/design/huge-blocks.md
#pragma once

#include "steady/core/ledger.hpp"
#include "steady/core/options.hpp"
#include "steady/core/result.hpp"
#include "steady/core/units.hpp"
#include "steady/heap/detail/huge_block.hpp"
#include "steady/heap/detail/huge_cache.hpp"
#include "steady/heap/detail/huge_slots.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/metadata.hpp"
#include "steady/os/mutex.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace steady::detail {

/// What tests make small. The defaults are the product.
struct huge_settings {
    bytes area_size = default_area_size();
    bytes area_min = 1_GiB;
    std::uintptr_t hint = default_hint();
    /// Freed pages are given back after they were idle this long.
    std::uint64_t idle_ns = 1'000'000'000;
    /// Beyond the floor, and an eighth of what is in use, they are given back at once. The floor
    /// rises from the lower to the upper bound with pages that were given back too early.
    bytes lowest_idle_floor = 4_MiB, idle_floor = 64_MiB;
    /// Blocks in all; 0: as many as leave half of vm.max_map_count to the program.
    std::size_t block_limit = 0;

    // The thread sanitizer has its shadow where the area would go.
    static constexpr bytes default_area_size() noexcept {
#if defined(STEADY_OS_TSAN)
        return 256_GiB;
#else
        return 16_TiB;
#endif
    }
    // Away from programs, libraries, stacks and AddressSanitizer's shadow.
    static constexpr std::uintptr_t default_hint() noexcept {
#if defined(STEADY_OS_TSAN)
        return 0;
#else
        return std::uintptr_t{32} << 40;
#endif
    }
};

/// Sums over all blocks at one moment.
struct huge_counters {
    bytes in_use;        // the live blocks' sizes
    bytes idle;          // resident, but given back by the program: ready for reuse or return
    bytes prepared;      // usable without pages: grown ahead, or decommitted
    bytes slots;         // address space of all slots
    bytes tables;        // find()'s table and the buddy tree
    std::size_t live;    // blocks the program has
    std::size_t cached;  // blocks it has given back that still have pages
};

class huge_heap {
public:
    /// The heap puts blocks of this size and more here.
    static constexpr bytes threshold = 1_MiB;

    constexpr huge_heap() noexcept = default;
    constexpr explicit huge_heap(const huge_settings& settings) noexcept : settings_{settings} {}
    huge_heap(const huge_heap&) = delete;
    huge_heap& operator=(const huge_heap&) = delete;

    /// A block of at least `size` bytes at a multiple of `alignment`, a power of two.
    ///
    /// zeroed     set to whether all of it reads as zero; otherwise `dirty` bytes from the
    ///            base on may not.
    /// Returns    map_count_limit when blocks have taken their share of mappings,
    ///            address_space_limit when no slot is left: smaller memory may do better.
    /// Cost       constant; no page is touched. On failure idle blocks are given back, in
    ///            steps of 2 MiB, before the error is; at the limit of mappings 8 steps.
    /// Threads    any, as for everything here; one at a time per block.
    result<huge_block*> allocate(bytes size, std::size_t alignment, bool& zeroed, void* owner,
                                 std::size_t* dirty = nullptr) noexcept;

    /// Makes the block at least `size` bytes long where it is. Copies and moves nothing.
    ///
    /// Returns    errc::occupied when its slot (or a stranger's mapping in a nominal
    ///            area) ends before that; the block is unchanged after every error.
    result<void> grow(huge_block* block, bytes size) noexcept;

    /// The same, into a larger slot: the page tables move, the contents are not copied.
    ///
    /// Returns    the block; its base has changed, its record and side data have not.
    /// Cost       about 3 us per 2 MiB of the old size.
    result<huge_block*> grow_moving(huge_block* block, bytes size) noexcept;

    /// Bytes from the base on that may not be zero; memory that a growth adds beyond them
    /// reads as zero.
    [[nodiscard]] std::size_t dirty_end(const huge_block* block) const noexcept;

    /// Makes the block shorter. The pages behind the new end become idle.
    ///
    /// Cost       constant, no system call.
    void shrink(huge_block* block, bytes size) noexcept;

    /// Takes the block back. Its pages stay for the next block of about its size.
    ///
    /// Cost       constant. Without a background thread, one step of 2 MiB may be given
    ///            back to the system when too much is idle.
    void free(huge_block* block) noexcept;

    /// Frees every live block of this owner.
    void free_all(const void* owner) noexcept;

    /// The live block that contains the address, or nullptr.
    ///
    /// Cost       two dependent loads.
    /// Threads    any, without a lock; a block found stays valid as long as it is not freed.
    [[nodiscard]] huge_block* find(const void* interior) const noexcept {
        // acquire; pairs with the release in open(): area_base_ and table_ are set.
        const std::size_t reach = area_reach_.load(std::memory_order_acquire);
        const std::size_t offset = reinterpret_cast<std::uintptr_t>(interior) - area_base_;
        if (reach == 0 || offset >= reach) return nullptr;
        // acquire; pairs with the release in publish(): the record is written.
        huge_block* block =
            table_[offset >> huge_slots::granule_shift].load(std::memory_order_acquire);
        if (block == nullptr) return nullptr;
        const auto base =
            reinterpret_cast<std::uintptr_t>(block->base.load(std::memory_order_relaxed));
        const std::size_t into = reinterpret_cast<std::uintptr_t>(interior) - base;
        return into < block->size.load(std::memory_order_relaxed) ? block : nullptr;
    }

    /// Gives idle pages back to the system, oldest first, in calls of at most 2 MiB.
    ///
    /// force      also what became idle only now.
    /// background not on a caller's path; only announced to the hook.
    /// Returns    whether idle pages remain, so that another call will have work.
    /// Cost       `budget` bytes decommitted, and at most one step more.
    /// Threads    any; made for the background thread. Others wait for one step at most.
    bool scavenge(bytes budget, bool force, bool background = true) noexcept;

    /// While a background thread calls scavenge(), callers do its work only when twice as
    /// much is idle as should be.
    void set_background(bool runs) noexcept { background_.store(runs, std::memory_order_relaxed); }

    [[nodiscard]] huge_counters counters() noexcept;

    /// Bytes ever given back to the system, by whomever.
    [[nodiscard]] std::uint64_t released() const noexcept {
        return released_.load(std::memory_order_relaxed);
    }

    /// counters().idle without the lock.
    [[nodiscard]] bytes idle() const noexcept {
        return bytes{idle_.load(std::memory_order_relaxed)};
    }

    /// What the first block brings with it: find()'s table and the buddy tree. Then 0.
    [[nodiscard]] bytes tables_to_come() const noexcept;

    /// The addresses all blocks lie in; closed before the first block.
    [[nodiscard]] const os::area& area() const noexcept { return area_; }

    /// Calls visit(huge_block&) for each live block, under the lock: it must not come back.
    template <class Visit>
    void for_each(Visit&& visit) noexcept {
        os::lock_guard hold(mutex_);
        for (huge_block* b = live_.first(); b != nullptr; b = b->next) visit(*b);
    }

    /// Calls visit(bytes) with what this room has in the state Ready, while no block
    /// changes and nothing is being given back.
    template <class Visit>
    void while_at_rest(Visit&& visit) noexcept {
        os::lock_guard nobody_releases(release_);
        os::lock_guard hold(mutex_);
        visit(bytes{in_use_ + idle_.load(std::memory_order_relaxed)});
    }

    /// Tests every invariant.
    ///
    /// Returns    false when one is broken; `text` then says which and where.
    /// Cost       O(blocks), under the lock.
    bool check(message* text) noexcept;

    /// Gives everything back, the area included. No block may be live. For tests and for
    /// heaps that end; records stay allocated, as metadata does.
    result<void> close() noexcept;

    // fork(): the child has one thread, and no decommit is under way in it.
    void before_fork() noexcept;
    void after_fork_in_parent() noexcept;
    void after_fork_in_child() noexcept;

private:
    /// What a request becomes; less than the request when it overflows.
    [[nodiscard]] static std::size_t whole_os_pages(bytes size) noexcept {
        return round_up(size.count() == 0 ? 1 : size.count(), os::os_page().count());
    }

    // huge.cpp
    result<void> open() noexcept;
    result<huge_block*> allocate_locked(std::size_t need, std::size_t alignment, bool& zeroed,
                                        void* owner) noexcept;
    result<huge_block*> make(std::size_t need, std::size_t alignment) noexcept;
    [[nodiscard]] std::size_t room_for(std::size_t need) const noexcept;
    result<void> take_slot(huge_block* block, std::size_t need, std::size_t alignment) noexcept;
    result<void> settle_in(huge_block* block, std::size_t granule, unsigned order, std::size_t need,
                           std::size_t alignment) noexcept;
    void free_locked(huge_block* block) noexcept;

    // huge_growth.cpp
    result<void> grow_locked(huge_block* block, std::size_t need) noexcept;
    result<void> prepare_to(huge_block* block, std::size_t end) noexcept;
    result<void> extend(huge_block* block, std::size_t size, std::size_t ahead) noexcept;
    void update_huge_pages(huge_block* block, std::size_t size) noexcept;
    [[nodiscard]] std::size_t huge_target(const huge_block* block, std::size_t size) const noexcept;
    void publish(huge_block* block, std::size_t from, std::size_t to) noexcept;
    void set_size(huge_block* block, std::size_t size) noexcept;
    void wait_for_release(const huge_block* block, std::size_t size) noexcept;
    void wait_for_turn_to_move(const huge_block* block) noexcept;
    [[nodiscard]] std::size_t dirty_end_locked(const huge_block* block) const noexcept;

    // huge_release.cpp
    void become_idle(huge_block* block) noexcept;
    void leave_idle_list(huge_block* block) noexcept;
    [[nodiscard]] std::size_t idle_floor() const noexcept;
    [[nodiscard]] std::size_t tolerated_idle() const noexcept;
    void note_released(std::size_t released, bool early, std::uint64_t now) noexcept;
    void note_missing(std::size_t missing) noexcept;
    std::size_t release_step(bool force, bool background) noexcept;
    std::size_t release_end_of(huge_block* block, bool background) noexcept;
    void change_ready(huge_block* block, std::size_t ready) noexcept;
    bool retire(huge_block* block) noexcept;
    void retire_one() noexcept;
    bool release_one() noexcept;
    bool give_back_for(const error& refused, std::size_t wanted, unsigned& steps) noexcept;
    void relieve() noexcept;

    // huge_check.cpp
    const char* find_broken() noexcept;

    [[nodiscard]] bytes offset_of(const huge_block* block) const noexcept {
        return bytes{reinterpret_cast<std::uintptr_t>(block->base.load(std::memory_order_relaxed)) -
                     area_base_};
    }

    huge_settings settings_{};
    mutable ranked_mutex<lock_rank::huge> mutex_;
    ranked_mutex<lock_rank::huge_releasing> release_;

    // Set by open(), constant until close().
    os::area area_;
    std::uintptr_t area_base_ = 0;
    std::atomic<std::size_t> area_reach_{0};  // 0 until open: then every address is foreign
    std::atomic<huge_block*>* table_ = nullptr;
    bytes tables_size_;
    std::size_t block_limit_ = 0;
    debug_options::huge_page_policy huge_pages_ = debug_options::huge_page_policy::off;

    huge_slots slots_;
    huge_cache cache_;
    huge_list live_, retired_, spare_;
    huge_list in_transit_;                  // in the hands of one thread, without the lock
    std::atomic<std::uint32_t> movers_{0};  // changed under mutex_; a fork waits for 0
    bool forking_ = false;                  // a fork waits for the movers
    huge_idle_list idle_list_;              // blocks with idle bytes to give back, oldest first
    os::fixed_pool<huge_block> records_;
    std::atomic<bool> background_{false};
    std::atomic<std::uint64_t> released_{0};

    // HB4. Atomic only for the look of relieve() without the lock.
    std::size_t in_use_ = 0;
    std::atomic<std::size_t> idle_{0};

    // How the floor of idle bytes follows what is wanted again (note_missing). Estimates, under
    // no lock in common.
    std::atomic<std::size_t> floor_above_lowest_{0};
    std::atomic<std::size_t> released_early_{0};  // and not yet missed
    std::atomic<std::uint64_t> last_early_{0};    // when, os::now_ns()
    std::size_t prepared_ = 0;                    // sum of block->prepared
    std::size_t in_flight_ = 0;                   // of idle_, in the decommit under way
    std::size_t live_count_ = 0;
    std::size_t blocks_with_slot_ = 0;
};

/// The process's huge blocks, and the bytes of their records.
extern huge_heap huge_blocks;
extern ledger huge_records;

}  // namespace steady::detail
