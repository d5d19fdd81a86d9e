// cache.hpp - a thread's own stock of free objects: for every span class one
// magazine that is only popped and one that is only pushed.
//
//   pop magazine                              push magazine
//   | held | held | ready | ready |  |        | freed | freed |   |   |   |
//   ^held_floor   ^pop_floor      ^pop        ^push_floor     ^push       ^push_end
//
// malloc takes the object below `pop` if pop is above pop_floor; free stores at
// `push` if that is below push_end. Neither counts, asks for a sample, or looks
// at a flag: everything that must happen "every so often" happens when one of
// the two comparisons fails and the owner enters the slow path. There the
// magazines change roles or are exchanged with the depot or filled from the
// central, and because every object allocated has entered a pop magazine and
// every object freed has left through a push magazine, counting there is exact:
//
//   allocated = objects that entered pop magazines - objects still in them
//   freed     = objects that left push magazines   + objects now in them
//
// Sampling (held objects). What is drawn is how many objects pass until the next
// sample (strata: sampler.hpp). When that one is
// among the objects that enter, only those before it are made ready; the rest is
// held. The slow path that follows is the sampled allocation.
//
// Emptying somebody else's cache. The owner's fast path is unsynchronised, so
// whoever empties the cache of an idle thread first *closes* it: pop_floor
// becomes the highest address and push_end null, both comparisons fail from then
// on. After membarrier() every running thread has seen that, and at most one
// operation of the owner can be under way: one that made its comparison before.
// A pop under way takes the top object, so the top object of each pop magazine
// stays; a push under way stores at `push`, so that slot stays. Everything else
// is taken by moving the *floors*, which the owner's fast path never writes.
// The owner reopens its cache in its next slow path. The cost to the fast path
// is nothing, and an owner stopped in the middle of an operation for an hour
// does no harm.
//
// Invariants
//   K1  held_floor <= pop_floor <= pop, unless closed.
//   K2  push_floor <= push <= push_end, unless closed.
//   K3  pop and push are written by the owner alone; all else under `lock`.
//   K4  A class whose magazines are null has all pointers null, so that zeroed
//       memory is an empty cache: the one that threads start with is in .bss.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/random.hpp"
#include "steady/heap/detail/address_map.hpp"
#include "steady/heap/detail/central.hpp"
#include "steady/heap/detail/magazine.hpp"
#include "steady/heap/lock_order.hpp"

namespace steady::detail {

/// What the fast path touches of one class.
struct bin {
    std::atomic<slot_pointer>& pop;
    std::atomic<slot_pointer>& pop_floor;
    std::atomic<slot_pointer>& push;
    std::atomic<slot_pointer>& push_end;
};

/// The bins of all classes: all `pop`, then all `pop_floor`, and so on. A processor multiplies
/// an index by 8 while it adds it, so a bin is one instruction away from its class; four
/// pointers side by side would be two.
class bin_table {
public:
    constexpr bin_table() noexcept = default;
    [[nodiscard]] bin operator[](std::size_t sclass) noexcept {
        std::atomic<slot_pointer>* const at = cells_ + sclass;
        return {at[0], at[span_class_count], at[2 * span_class_count], at[3 * span_class_count]};
    }

private:
    std::atomic<slot_pointer> cells_[4 * span_class_count]{};
};

/// value > limit, and value < limit, relaxed. Compilers load an atomic into a register
/// first: an instruction more in malloc and free each.
[[nodiscard, gnu::always_inline]] inline bool is_above(
    slot_pointer value, const std::atomic<slot_pointer>& limit) noexcept {
#if STEADY_HEAP_ASSEMBLER
    bool above;
    asm("cmpq %2, %1" : "=@cca"(above) : "r"(value), "m"(limit));
    return above;
#else
    return value > limit.load(std::memory_order_relaxed);
#endif
}
[[nodiscard, gnu::always_inline]] inline bool is_below(
    slot_pointer value, const std::atomic<slot_pointer>& limit) noexcept {
#if STEADY_HEAP_ASSEMBLER
    bool below;
    asm("cmpq %2, %1" : "=@ccb"(below) : "r"(value), "m"(limit));
    return below;
#else
    return value < limit.load(std::memory_order_relaxed);
#endif
}

/// What only slow paths touch.
struct bin_state {
    magazine* pop_magazine{nullptr};
    magazine* push_magazine{nullptr};
    slot_pointer held_floor{nullptr};
    slot_pointer push_floor{nullptr};
    std::uint64_t entered{0};       // objects that ever entered the pop magazine
    std::uint64_t left{0};          // objects that ever left the push magazine
    std::uint64_t sampled{0};       // objects allocated as samples: they pass no magazine
    std::uint64_t until_sample{0};  // objects until the next sample; 0: not drawn
    std::uint64_t rest{0};          // of its stratum, after it
    double probability{0};          // of that sample, or of the one that is due
    std::uint32_t drawn_in{0};      // sampler::epoch() of that draw
    std::uint32_t capacity{0};      // slots in use of each magazine: grows to the class's limit
    std::uint32_t slow_calls{0};    // since the capacity last grew
};

struct class_counts {
    std::uint64_t allocated{0};
    std::uint64_t freed{0};
};

class alignas(64) thread_cache {
public:
    bin_table bins;

    constexpr thread_cache() noexcept = default;

    /// Slow paths of the owner. `size` is what the program asked for.
    /// allocate returns nullptr when there is no memory.
    [[nodiscard]] void* allocate(span_class sclass, std::size_t size) noexcept;
    void free(span_class sclass, void* object) noexcept;

    /// Starts the life of a zeroed or retired record.
    void begin(heap_core& c, unsigned on_node, std::uint64_t seed) noexcept {
        core = &c;
        node = on_node;
        random_ = wyrand{seed};
        closed = false;
        use_depot = c.is_default();
        kept_by = keeper::thread;
        slow_calls = seen_slow_calls = 0;
        idle_ticks = 0;
    }
    /// After its counts were added elsewhere and its magazines are gone.
    void reset_counts() noexcept;
    /// Drops the magazines of a drained cache; whatever objects they still name
    /// are taken as allocated.
    void release_magazines() noexcept;

    /// Empties the cache. Called by the owner, or for a thread that has ended.
    void flush_all() noexcept;
    /// Empties the cache of another thread. `close` first, then membarrier, then
    /// `drain_closed`; all under the registry's lock.
    void close() noexcept;
    void drain_closed() noexcept;

    /// One tick of the scavenger: whether the cache holds objects and its owner made
    /// no slow call for `ticks` ticks.
    [[nodiscard]] bool idle_for(std::uint32_t ticks) noexcept;

    /// Adds this cache's exact counts to counts[span_class_count]. Who reads several
    /// caches reads the frees of all first: an object freed in one was allocated before,
    /// so that allocated >= freed also while their threads run.
    void add_freed(class_counts* counts) noexcept;
    void add_allocated(class_counts* counts) noexcept;
    void add_counts(class_counts* counts) noexcept {
        add_freed(counts);
        add_allocated(counts);
    }
    /// Objects' bytes lying in the magazines now.
    [[nodiscard]] std::size_t cached_bytes() noexcept;

    /// Whether a magazine of `sclass` names this object. Under `lock`.
    [[nodiscard]] bool holds(span_class sclass, const void* object) noexcept;

    ranked_mutex<lock_rank::cache> lock;
    heap_core* core{nullptr};
    unsigned node{0};
    thread_cache* next{nullptr};  // registry
    thread_cache* previous{nullptr};
    std::uint64_t slow_calls{0};       // activity: unchanged over some ticks means idle
    std::uint64_t seen_slow_calls{0};  // scavenger's note
    std::uint32_t idle_ticks{0};
    bool closed{false};
    bool use_depot{true};  // heap instances keep to themselves
    // After a fork other threads' caches have nobody, until somebody adopts them.
    enum class keeper : std::uint8_t { thread, nobody, adopter };
    keeper kept_by{keeper::thread};  // under the registry's lock

private:
    void reopen() noexcept;
    [[nodiscard]] std::size_t cached_bytes_locked() noexcept;
    [[nodiscard]] slot_pointer ready_down_to(span_class sclass, slot_pointer floor,
                                             slot_pointer top) noexcept;
    void restore_draw(unsigned c) noexcept;
    void drop_magazines(unsigned c) noexcept;
    void expose(span_class sclass, slot_pointer floor, slot_pointer top) noexcept;
    void swap_magazines(span_class sclass) noexcept;
    [[nodiscard]] bool refill(span_class sclass) noexcept;
    [[nodiscard]] bool exchange_with_depot(span_class sclass) noexcept;
    [[nodiscard]] bool fill_from_central(span_class sclass) noexcept;
    void send_push_magazine(span_class sclass) noexcept;
    void put_one(span_class sclass, void* object) noexcept;
    void return_large_objects() noexcept;
    void return_objects(span_class sclass, slot_pointer from, slot_pointer to) noexcept;
    [[nodiscard]] void* sample(span_class sclass, std::size_t size) noexcept;

    bin_state states_[span_class_count];
    wyrand random_{0};
};

/// Slots a magazine of this class uses at most, 1..126: 64 KiB of objects up to
/// 1 KiB; of larger ones, whose first touch costs more than our slow path, 8 KiB.
[[nodiscard]] constexpr std::uint32_t magazine_limit(span_class sclass) noexcept {
    const std::size_t size = class_size[sclass >> 1];
    if (size == 0) return 0;
    const std::size_t fitting =
        (size <= 1024 ? std::size_t{64} << 10 : std::size_t{8} << 10) / size;
    return static_cast<std::uint32_t>(fitting < 1                      ? 1
                                      : fitting > magazine::slot_count ? magazine::slot_count
                                                                       : fitting);
}

}  // namespace steady::detail
