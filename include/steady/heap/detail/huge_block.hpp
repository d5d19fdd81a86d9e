// huge_block.hpp - the record of one huge block, and the lists that records are in.
//
// The block's memory carries no header: everything about it is here, out of band,
// where an overflow in the program cannot reach it.
//
//   base          size           ready            prepared                  slot_size
//    | in use      | idle          | prepared       | reserved               |
//    |             | (resident)    | (no pages yet) | (room to grow)         |
//
//   States, and what moves a block between them:
//
//     spare --allocate--> live --free--> cached --scavenge--> retired --> spare
//                          ^               |
//                          +---allocate----+          (resident pages are used again)
//
//   spare: no memory.   live: the program has it.   cached: freed, size 0, pages kept.
//   retired: no page is left; the slot goes back as soon as the mapping is undone.
//
// A record never returns to the system and is never anything else, so find() may
// read one without a lock at any time: at worst it sees size 0.
#pragma once

#include "steady/core/units.hpp"
#include "steady/heap/detail/span.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace steady::detail {

struct object_counts;

struct huge_block {
    // What the rest of the heap reads. Only the owner of the block changes them, by
    // calls into huge_heap; atomic, because find() may look at any moment.
    std::atomic<std::byte*> base{nullptr};
    std::atomic<std::size_t> size{0};  // whole OS pages: the usable size; 0 when not live
    std::size_t slot_size = 0;         // how far the block can grow in place
    void* owner = nullptr;             // as given to allocate: the heap instance
    std::atomic<void*> side_data{nullptr};
    std::atomic<object_counts*> counts{nullptr};  // when the block is shared
    bool noscan = true;                           // holds no pointers; whoever allocates says so
    sample_facts sample{0, 0};

    // What huge_heap keeps, under its lock.
    enum class state : std::uint8_t { spare, live, cached, retired };
    state is = state::spare;
    bool releasing = false;  // [ready, ready + step) is being decommitted right now
    bool in_idle_list = false;
    std::uint8_t order = 0;    // of the slot
    std::uint8_t growths = 0;  // since allocate, counted up to a few
    std::size_t granule = 0;   // first one of the slot
    std::size_t ready = 0;
    std::size_t prepared = 0;
    std::size_t dirty = 0;     // bytes from base on that may not be zero, once it is cached
    std::size_t huge_end = 0;  // [0, huge_end) was given to huge pages
    std::uint64_t idle_since = 0;
    huge_block *next = nullptr, *previous = nullptr;  // live, cached, retired or spare list
    huge_block *newer = nullptr, *older = nullptr;    // idle list

    [[nodiscard]] std::size_t idle() const noexcept {
        return ready - size.load(std::memory_order_relaxed);
    }

    /// How far idle pages may be given back. Not into the huge page in which the size
    /// lies: breaking one gives back less than it costs.
    [[nodiscard]] std::size_t release_floor() const noexcept {
        const std::size_t end = size.load(std::memory_order_relaxed);
        return end < huge_end ? std::min(ready, round_up(end, (2_MiB).count())) : end;
    }
};

/// A list through two members of the records; a record is in at most one list per
/// pair of members. Nothing is allocated, everything is constant time.
template <huge_block* huge_block::*Next, huge_block* huge_block::*Previous>
class huge_block_list {
public:
    [[nodiscard]] huge_block* first() const noexcept { return first_; }
    [[nodiscard]] huge_block* last() const noexcept { return last_; }

    void push_back(huge_block* block) noexcept {
        block->*Next = nullptr;
        block->*Previous = last_;
        (last_ == nullptr ? first_ : last_->*Next) = block;
        last_ = block;
    }

    void remove(huge_block* block) noexcept {
        huge_block *after = block->*Next, *before = block->*Previous;
        (before == nullptr ? first_ : before->*Next) = after;
        (after == nullptr ? last_ : after->*Previous) = before;
        block->*Next = block->*Previous = nullptr;
    }

    [[nodiscard]] huge_block* pop_front() noexcept {
        huge_block* block = first_;
        if (block != nullptr) remove(block);
        return block;
    }

private:
    huge_block* first_ = nullptr;
    huge_block* last_ = nullptr;
};

using huge_list = huge_block_list<&huge_block::next, &huge_block::previous>;
using huge_idle_list = huge_block_list<&huge_block::newer, &huge_block::older>;

}  // namespace steady::detail
