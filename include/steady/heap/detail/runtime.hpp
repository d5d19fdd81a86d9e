// runtime.hpp - the default heap as a whole: opening it, the threads that use
// it, and the paths around the caches.
//
// A thread's life:
//
//   empty_cache --first slow call--> own cache --key destructor--> departed
//                                        ^                             |
//                                        +--- fork child: the others' caches are emptied
//
// A departed thread (its destructors have run) and a thread in checked mode
// have no cache: each call goes to the central. So does a thread for which no
// cache could be allocated.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/heap/detail/cache.hpp"
#include "steady/heap/detail/huge.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/mutex.hpp"

namespace steady::detail {

/// Opens the default heap; later calls return at once. False: no address space.
[[nodiscard]] bool open_heap() noexcept;

extern heap_core default_core;
/// Owner of the heap's own records that come and go: magazines.
extern heap_core record_core;
inline constexpr span_class magazine_class = 2 * size_class_of(sizeof(magazine)) + 1;
static_assert(class_size[magazine_class >> 1] == sizeof(magazine), "no byte of a span is lost");
extern huge_heap huge_blocks;
/// Bytes of freed huge blocks that are still resident.
[[nodiscard]] inline std::size_t idle_huge_bytes() noexcept {
    return huge_blocks.idle().count();
}

/// The threads of the default heap, and the counts of those that have ended.
struct cache_registry {
    ranked_mutex<lock_rank::registry> lock;
    thread_cache* first{nullptr};
    thread_cache* unused{nullptr};  // records of ended threads
    std::uint32_t threads{0};
    std::atomic<std::uint32_t> orphans{0};    // caches of threads that a fork left behind
    class_counts departed[span_class_count];  // of ended threads
};
extern cache_registry registry;

/// Empties the caches that a fork left behind, one at a time and each outside of the
/// registry's lock, and adds their counts to `departed`.
void adopt_orphans() noexcept;

/// Holds still which object is where and whose: every lock of the default heap and of
/// the instances from `registry` to `pages`.
void lock_objects() noexcept;
void unlock_objects() noexcept;

[[nodiscard]] bool checked_mode() noexcept;

/// Large and huge objects of `core`. `dirty`, unless null: how many bytes from the start
/// may not be zero.
[[nodiscard]] void* allocate_large_for(heap_core& core, unsigned node, std::size_t size,
                                       std::size_t alignment, bool noscan,
                                       std::size_t* dirty) noexcept;
/// Large and huge objects that this thread took from the default heap.
struct large_taken {
    std::uint64_t objects, bytes;
};
[[nodiscard]] large_taken large_taken_by_thread() noexcept;
void free_large(span* s, void* p) noexcept;
void free_huge(huge_block* b, void* p) noexcept;
/// Small objects without a cache.
[[nodiscard]] void* allocate_direct(heap_core& core, unsigned node, span_class sclass) noexcept;
void free_direct(heap_core& core, span* s, void* p) noexcept;

/// The span class that serves `size` bytes at `alignment`, or 0 when only whole
/// pages do. Alignments up to 8 may use the 24-byte class.
[[nodiscard]] span_class class_for(std::size_t size, std::size_t alignment, bool noscan) noexcept;
/// What a request asks of a sampled object, which is placed by its end: a size that
/// keeps the alignment. It fits the class, whose size is a multiple as well.
[[nodiscard]] constexpr std::size_t aligned_request(std::size_t size,
                                                    std::size_t alignment) noexcept {
    return alignment <= 16 ? size : round_up(size == 0 ? 1 : size, alignment);
}

/// Empties the caches of threads that made no slow call for `idle_ticks` ticks
/// (0: of all threads) but for the one of the calling thread, `except`. Returns
/// whether any was emptied. Needs membarrier.
bool empty_idle_caches(std::uint32_t idle_ticks, const thread_cache* except) noexcept;

/// Empties every cache, so that nothing drawn before sampler::epoch() changed still
/// decides. Heap instances draw anew at their next slow call.
void redraw_samples() noexcept;

/// In bytes; 0: none.
struct memory_limits {
    std::atomic<std::size_t> soft{0}, hard{0};
    ranked_mutex<lock_rank::room> taking;  // see `room`
    void set(std::size_t s, std::size_t h) noexcept {
        soft.store(s, std::memory_order_relaxed);
        hard.store(h, std::memory_order_relaxed);
    }
};
extern memory_limits limits;

/// The right to take `more` bytes from the system, held while they are taken:
///
///   const room granted(bytes{n});
///   if (!granted) return nullptr;
///   ... store.make, huge_blocks.allocate, ...
///
/// Without a limit it is two loads. With one, whoever takes memory does so alone,
/// or two callers could find the same last bytes free; and first it gives back free
/// pages: for the soft limit twice what it takes and a step of 2 MiB at most, so that
/// no caller pays for what others left; for the hard limit what is missing.
///
/// The tables and records that come with the bytes are charged beforehand, at their
/// most, so the os ledger `ready` never passes the hard limit.
/// Threads    any; holds `room` of lock_order.hpp, takes `releasing`, `pages`, `huge`.
class [[nodiscard]] room {
public:
    explicit room(bytes more) noexcept;
    ~room();
    room(const room&) = delete;
    room& operator=(const room&) = delete;

    /// False: the hard limit forbids the bytes.
    explicit operator bool() const noexcept { return granted_; }
    /// Whether there is a limit at all.
    [[nodiscard]] bool is_limited() const noexcept { return alone_; }

private:
    bool granted_ = true;
    bool alone_ = false;
};

/// Gives free pages back until `ready` is below both limits or none is left.
void obey_limits() noexcept;

}  // namespace steady::detail
