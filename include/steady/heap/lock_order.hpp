// lock_order.hpp - every lock of the heap, in the order in which it may be
// taken. A thread that holds one may take those below it, never one above.
//
//   init            opening the heap, once
//   registry        the list of thread caches
//   instances       the list of heap instances
//   instance        one heap instance
//   cache           one thread cache: its owner's slow path, or whoever empties it
//   quarantine      freed objects waiting in checked mode; retired guarded ones
//   central         one span class of one heap
//   room            taking memory under a limit
//   releasing       free pages on their way to the system
//   pages           one node's page heap, its span records, the address map
//   huge_releasing  idle pages of huge blocks on their way to the system
//   huge            the huge blocks
//
// Below them all are two locks of os, whose holders take no other: that of
// os::metadata_alloc, and that of the table of nominal areas (os/area_open.cpp). Above
// them all is the one for printed statistics (malloc/statistics_text.cpp), whose holder
// reads them. These three have no rank, because they belong to other rooms. Nor has the one under which
// slices settle (lone_counts.cpp): its holder takes no other; who forks takes it first of all. The depot and the magazine stacks have no lock. Hooks are announced with locks from
// `instance` on held, so a listener must not allocate.
//
// Several locks of one rank are taken only by who holds the registry: fork(), which
// takes them all, and walks over every object. So no two threads can do it crosswise.
//
// STEADY_CHECK >= 2 enforces this: a thread counts the locks it holds, rank by rank,
// and the first wrong one stops the program before it waits, with both names. The
// scavenger's own thread has no thread-local memory and is not watched, except under
// sanitizers, where it has some.
#pragma once

#include <cstdint>

#include "steady/core/check.hpp"
#include "steady/os/mutex.hpp"

namespace steady::detail {

enum class lock_rank : std::uint8_t {
    init,
    registry,
    instances,
    instance,
    cache,
    quarantine,
    central,
    room,
    releasing,
    pages,
    huge_releasing,
    huge,
};
inline constexpr unsigned lock_ranks = 12;

/// Stops the program when the calling thread may not take a lock of this rank now.
void check_lock_order(lock_rank wanted) noexcept;
/// The calling thread has one more, or one less.
void note_lock(lock_rank taken) noexcept;
void note_unlock(lock_rank given_back) noexcept;

/// A mutex with its place in the order.
template <lock_rank Rank>
class ranked_mutex {
public:
    constexpr ranked_mutex() noexcept = default;

    void lock() noexcept {
        if constexpr (STEADY_CHECK >= 2) check_lock_order(Rank);
        mutex_.lock();
        if constexpr (STEADY_CHECK >= 2) note_lock(Rank);
    }
    /// Never waits, so any order will do.
    [[nodiscard]] bool try_lock() noexcept {
        if (!mutex_.try_lock()) return false;
        if constexpr (STEADY_CHECK >= 2) note_lock(Rank);
        return true;
    }
    void unlock() noexcept {
        mutex_.unlock();
        if constexpr (STEADY_CHECK >= 2) note_unlock(Rank);
    }

private:
    os::mutex mutex_;
};
static_assert(sizeof(ranked_mutex<lock_rank::central>) == sizeof(os::mutex),
              "the rank is in the type: a lock stays a futex word in a dense table");

}  // namespace steady::detail
