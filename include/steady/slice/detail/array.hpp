// array.hpp - the memory below slices: who owns an array, how it is shared and how it
// grows. Nothing here knows an element type; sizes are enough.
//
//   slice {data, len, cap}            array: an object of the steady heap
//            |                        +--------------------------------------+
//            +----------------------->|      . . . . . . . .                 |
//                                     +--------------------------------------+
//   share_count(data) --> the span of that address --> the counter of that object
//
// Terms   foreign: memory without a counter - a stack array, a std::vector, mmap, the
//         zerobase. Slices over it are plain views.
//         tiny block: 16 bytes that several arrays of less than 16 bytes without pointers
//         share, as in Go's allocator. It is one object with one counter.
//
// Invariants (tests/slice/ownership_test.cpp, tests/bugs/)
//   AR1  A counter, with what slots count beside it (lone_counts.hpp, LC2), is the number of
//        slices whose data lies in the object; a thread's current tiny block has one more.
//        At 0 the object is freed.
//   AR2  data of a slice with a capacity lies inside the object; data of a slice without
//        capacity stays where it was cut off: never one past the end, where the next
//        object begins. One made without capacity (slice_of) points to the zerobase.
//   AR3  A slice that counts 1 is alone: nobody else can begin to share its array.
//   AR4  Bytes behind the length of a new or grown array are zero, up to its capacity.
//
// Threads  counters are atomic: slices of one array may be copied and dropped in several
//          threads at once, as shared_ptr. While the process has had one thread only
//          (__libc_single_threaded), slices are counted without a locked instruction, as
//          libstdc++ does for shared_ptr, and by their address (lone_counts.hpp).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <new>

#include "steady/core/check.hpp"
#include "steady/core/hooks.hpp"
#include "steady/heap/detail/lone_counts.hpp"
#include "steady/heap/detail/object_counts.hpp"
#include "steady/heap/heap.hpp"
#include "steady/slice/watch.hpp"

namespace steady::detail {

/// What an empty array's slice points to: not nil, and no memory. One word, as in Go.
inline constinit std::uint64_t zerobase = 0;

/// Before the first count in a process that has come to have several threads (LC3).
[[gnu::always_inline]] inline void settle_if_lone() noexcept {
    // acquire; pairs with the release of whoever settled.
    if (lone_counts_used.load(std::memory_order_acquire)) [[unlikely]]
        settle_lone_counts();
}

/// One more slice looks into the array at `p`. Nil and foreign memory count for nobody.
[[gnu::always_inline]] inline void share(const void* p) noexcept {
    if (one_thread_only()) [[likely]] {
        lone_slot& slot = lone_slot_of(p);
        if (is_slot_of(slot, p)) [[likely]]
            ++slot.count;
        else
            lone_share_slowly(p);
    } else {
        settle_if_lone();
        // relaxed; the caller's slice keeps the count above 0.
        if (share_counter* count = share_count(p)) count->fetch_add(1, std::memory_order_relaxed);
    }
}
/// The same as an expression: a copy counts before it stores its three words, for which a
/// locked instruction would have to wait.
template <class T>
[[nodiscard, gnu::always_inline]] inline T* shared(T* p) noexcept {
    share(p);
    return p;
}

/// A slice that pointed to `from` is about to point to `to`, in the same array or where that
/// has moved.
inline void move_count(const void* from, const void* to) noexcept {
    if (one_thread_only() && from != to) lone_move(from, to);
}

/// The last slice is gone: destroys the elements, if they need it, and frees the array.
[[gnu::noinline]] inline void free_array(const void* p, std::size_t view_bytes) noexcept {
    share_counter* const count = share_count(p);
    const object_info object = find_object(p);
    if (small_view_hook.armed()) [[unlikely]]
        announce_small_view(small_view_event::what::held_alone, p, view_bytes, object.size);
    count->store(unshared, std::memory_order_relaxed);  // OC1
    if (object_extra* extra = extra_of(p, false); extra != nullptr && extra->destroy != nullptr) {
        const object_extra last = *extra;
        *extra = {0, nullptr};  // OC3
        last.destroy(object.base, last.built);
    }
    deallocate(object.base);
}

/// One slice less. `view_bytes` is what it showed, for reports: a function, because it is
/// asked only when the array goes.
template <class Bytes>
[[gnu::always_inline]] inline void release(const void* p, Bytes view_bytes) noexcept {
    if (one_thread_only()) [[likely]] {
        lone_slot& slot = lone_slot_of(p);
        if (is_slot_of(slot, p) && --slot.count != 0) [[likely]]
            return;
        if (!lone_release_slowly(p)) return;
    } else {
        settle_if_lone();
        share_counter* count = share_count(p);
        if (count == nullptr) return;
        // acquire; pairs with the release below in other threads: who frees has seen it all.
        if (count->load(std::memory_order_acquire) != 1 &&
            count->fetch_sub(1, std::memory_order_acq_rel) != 1)
            return;
    }
    free_array(p, view_bytes());  // AR3: nobody else can come in between
}
inline void release(const void* p) noexcept {
    release(p, [] { return std::size_t{0}; });
}

/// Whether `p` lies in a counted array that one slice alone looks into.
[[nodiscard]] inline bool is_unique(const void* p) noexcept {
    if (one_thread_only()) {
        // LC2: the slice in hand is what the counter knows of, by itself or by its slot.
        const lone_slot& slot = lone_slot_of(p);
        if (is_slot_of(slot, p) && slot.count != 1) return false;
    } else {
        settle_if_lone();
    }
    const share_counter* count = share_count(p);
    // acquire; pairs with the release in release(): what others did there is done.
    return count != nullptr && count->load(std::memory_order_acquire) == 1;
}

/// Whether the array at `p` holds elements that must be destroyed. Its bytes are then not
/// to be moved or cleared by a view of some plain member.
[[nodiscard]] inline bool holds_managed_elements(const void* p) noexcept {
    const object_extra* extra = extra_of(p, false);
    return extra != nullptr && extra->destroy != nullptr;
}

/// What an element type looks like from below.
struct element_layout {
    std::size_t size;
    std::size_t alignment;
    bool no_pointers;
};

/// An array of `bytes` > 0 bytes with a count of 1; zero from `zero_from` on.
/// Throws  std::bad_alloc.
[[nodiscard]] inline void* new_array(std::size_t bytes, const element_layout& element,
                                     std::size_t zero_from) {
    bool zeroed = false;
    void* p = allocate_for_sharing(bytes, element.alignment, element.no_pointers, zeroed);
    if (p == nullptr) throw std::bad_alloc();
    share_counter* count = make_share_count(p);
    if (count == nullptr) {
        deallocate(p);
        throw std::bad_alloc();
    }
    count->store(1, std::memory_order_relaxed);
    if (one_thread_only()) lone_begin(p);
    if (!zeroed && zero_from < bytes)
        std::memset(static_cast<std::byte*>(p) + zero_from, 0, bytes - zero_from);  // AR4
    return p;
}

// ---- tiny blocks

inline constexpr std::size_t tiny_size = 16;

/// The block that the thread fills at the moment, and how many arrays it has put beside
/// others (Go: tinyAllocs). Plain data, so that reading it needs no guard.
struct tiny_state {
    std::byte* block;
    std::uint32_t used;
    bool retired;  // the thread is ending: no more blocks are kept
    std::uint64_t shared;
};
inline thread_local constinit tiny_state tiny{};

/// Lets go of the thread's block.
inline void forget_tiny_block() noexcept {
    std::byte* block = tiny.block;
    tiny.block = nullptr;
    release(block);
}

/// Its destructor runs when the thread ends.
struct tiny_janitor {
    ~tiny_janitor() {
        forget_tiny_block();
        tiny.retired = true;
    }
    void stay_awake() const noexcept {}
};
inline thread_local tiny_janitor tiny_at_exit;

/// A zeroed array of `bytes` < 16 bytes without pointers, aligned as its size divides.
/// Throws  std::bad_alloc.
/// Source  mallocgc's tiny allocator; new here: a block that nobody looks into any more
///         begins again.
[[nodiscard]] inline void* new_tiny_array(std::size_t bytes) {
    const std::size_t alignment = bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : bytes % 2 == 0 ? 2 : 1;
    if (tiny.block != nullptr) {
        if (is_unique(tiny.block)) tiny.used = 0;
        const std::size_t at = (tiny.used + alignment - 1) & ~(alignment - 1);
        if (at + bytes <= tiny_size) {
            std::byte* p = tiny.block + at;
            share(p);
            std::memset(p, 0, bytes);
            tiny.used = static_cast<std::uint32_t>(at + bytes);
            ++tiny.shared;
            return p;
        }
    }
    auto* block = static_cast<std::byte*>(new_array(tiny_size, {1, 8, true}, 0));
    if (!tiny.retired && (tiny.block == nullptr || bytes < tiny.used)) {
        tiny_at_exit.stay_awake();
        share(block);
        forget_tiny_block();
        tiny.block = block;
        tiny.used = static_cast<std::uint32_t>(bytes);
    }
    return block;
}

// ---- growth of arrays whose elements are bytes

/// A slice without its type.
struct raw_slice {
    std::byte* data;
    std::ptrdiff_t len;
    std::ptrdiff_t cap;
    const void* owner;  // the slice itself: its name in reports
};

/// Arrays of more than this may grow where they are: size classes end here.
inline constexpr std::size_t grows_in_place_from = 32768;

[[gnu::cold, gnu::noinline]] inline void announce_growth(
    const void* container, std::uint64_t elements_moved, std::size_t before, std::size_t after,
    std::chrono::steady_clock::time_point start) {
    using std::chrono::nanoseconds;
    const auto took =
        std::chrono::duration_cast<nanoseconds>(std::chrono::steady_clock::now() - start);
    const growth_event event{container,
                             "slice",
                             elements_moved,
                             0,
                             before,
                             after,
                             static_cast<std::uint64_t>(took.count())};
    growth_hook.announce(event);
}

/// Gives `s` room for new_cap elements in `bytes` bytes. The first `len` elements stay,
/// those from `filled` on are zero (AR4), those between are the caller's to write. The
/// count on the old array is given up. An array of 32 KiB and more that nobody else sees
/// grows where it is, into free neighbours; from 1 MiB on always, without copying a byte.
/// Throws  std::bad_alloc; then nothing has changed.
inline void grow_bytes(raw_slice& s, std::ptrdiff_t new_cap, std::size_t bytes,
                       std::ptrdiff_t filled, const element_layout& element) {
    const bool listened = growth_hook.armed();
    const auto start =
        listened ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    const std::size_t before = static_cast<std::size_t>(s.cap) * element.size;
    const std::size_t used = static_cast<std::size_t>(s.len) * element.size;
    const std::size_t zero_from = static_cast<std::size_t>(filled) * element.size;
    if (before >= grows_in_place_from && is_unique(s.data) && find_object(s.data).base == s.data &&
        !holds_managed_elements(s.data)) {
        const grown_block grown = grow_without_copy(s.data, bytes);
        if (grown.base != nullptr) {
            move_count(s.data, grown.base);
            s.data = static_cast<std::byte*>(grown.base);
            s.cap = new_cap;
            if (zero_from < grown.zero_from && zero_from < bytes) {
                const std::size_t end = grown.zero_from < bytes ? grown.zero_from : bytes;
                std::memset(s.data + zero_from, 0, end - zero_from);
            }
            if (listened) announce_growth(s.owner, 0, before, bytes, start);
            return;
        }
    }
    auto* fresh = static_cast<std::byte*>(bytes < tiny_size && element.no_pointers
                                              ? new_tiny_array(bytes)
                                              : new_array(bytes, element, zero_from));
    if (used != 0) std::memcpy(fresh, s.data, used);
    release(s.data, [before] { return before; });
    s.data = fresh;
    s.cap = new_cap;
    if (listened) announce_growth(s.owner, static_cast<std::uint64_t>(s.len), before, bytes, start);
}

/// Bytes that the view at `p` keeps alive; 0 when it owns nothing.
[[nodiscard]] inline std::size_t retained_bytes(const void* p) noexcept {
    const share_counter* count = share_count(p);
    if (count == nullptr || !is_shared(count->load(std::memory_order_relaxed))) return 0;
    return find_object(p).size;
}

}  // namespace steady::detail
