// heap.hpp - the heap to program against: the default heap as functions, and
// heap instances that can be given back at once.
//
//   void* p = steady::allocate(100);            // default heap, thread caches
//   steady::object_info o = steady::find_object(static_cast<char*>(p) + 40);
//   // o.base == p, o.size == 112
//   steady::deallocate(p);
//
//   steady::heap scratch;                       // spans of its own
//   build_index(scratch);
//   scratch.release();                          // everything, without visiting the objects
//
// Every object, of whichever heap, is found by any address inside it in constant
// time: find_object. deallocate(p) frees an object of any heap.
//
// When not to use an instance: for the fastest path from several threads. An
// instance is one lock; the default heap has a cache per thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "steady/heap/statistics.hpp"

namespace steady {

/// Whether objects hold pointers. The two kinds never share a page, so a
/// collector need not look at pages of the second one.
enum class contents : std::uint8_t { may_hold_pointers, no_pointers };

/// At least `size` bytes at a multiple of `alignment` (a power of two) from the
/// default heap. Small sizes with an alignment of 8 or less use Go's 8- and
/// 24-byte classes.
///
/// Returns  nullptr when there is no memory or a hard limit is reached.
/// Cost     about ten instructions; a slow path once per magazine (up to 126 objects).
/// Threads  any.
[[nodiscard]] void* allocate(std::size_t size, std::size_t alignment = 16,
                             contents kind = contents::no_pointers) noexcept;

/// Frees an object of any steady heap; nullptr is ignored. Anything else stops the
/// program with a message. Cost: as allocate. Threads: any.
void deallocate(void* p) noexcept;

/// Grows or shrinks `p`, of any heap, to `size` > 0 bytes, in place where possible; it
/// stays in its heap. Large blocks move by page tables, not by copying.
/// Returns  the new address, or nullptr; then `p` is unchanged.
[[nodiscard]] void* reallocate(void* p, std::size_t size) noexcept;

/// Makes `p` hold at least `size` bytes without moving it, or does nothing.
/// True for growth into neighbouring free pages and into a huge block's reserve.
[[nodiscard]] bool grow_in_place(void* p, std::size_t size) noexcept;

/// grow_in_place, and the bytes usable afterwards: at least `size` if it worked.
[[nodiscard]] std::size_t try_grow(void* p, std::size_t size) noexcept;

/// Bytes usable at `p`, an object's start: its class size, or whole pages.
[[nodiscard]] std::size_t usable_size(const void* p) noexcept;

/// What lies at an address.
struct object_info {
    void* base = nullptr;     // the object's first byte; nullptr: no object of ours
    std::size_t size = 0;     // bytes it occupies
    std::uint32_t index = 0;  // among the objects of its span
    std::uint32_t count = 0;  // objects in the span
    void* span_base = nullptr;
    std::size_t span_size = 0;
    contents kind = contents::no_pointers;
    /// For upper rooms: one pointer a span, null when the span is new. Whoever puts
    /// something there frees it before the last object of the span.
    std::atomic<void*>* side_data = nullptr;

    explicit operator bool() const noexcept { return base != nullptr; }
};

/// The object that covers `address`, of any heap. Also answers for objects that
/// were freed but whose span still stands: it knows places, not lifetimes.
/// Cost     two table loads and a multiplication. Threads: any, while the object
///          (or another of its span) is alive.
[[nodiscard]] object_info find_object(const void* address) noexcept;

/// Calls visit(object_info) for each live object of the default heap, as it is at one
/// moment. Empties all thread caches first. Exact for objects whose threads are at rest.
/// The callback runs under every lock of the heap: of the functions here it may call
/// find_object and usable_size. Cost: a walk over all spans, during which other threads
/// wait in their slow paths.
void for_each_object(void (*visit)(void* context, const object_info& object),
                     void* context) noexcept;

/// Empties caches, returns all free pages to the OS; returns the bytes released.
std::size_t trim() noexcept;

/// Limits on the memory of all steady heaps together, in bytes, 0 for none; they
/// start as STEADY_DEBUG=memory_limit, hard_memory_limit say. Counted is the os
/// ledger `ready`: what is resident or may become so by being touched.
///
/// soft  free pages are given back before new ones are taken above it
/// hard  allocations that would need more fail: nullptr, std::bad_alloc. Half a
///       megabyte of it is kept for tables and records
///
/// Cost     lowering a limit gives free pages back until it holds, in calls of at
///          most 2 MiB. With a limit, threads take memory from the system in turn.
/// Threads  any.
void set_memory_limit(std::size_t soft, std::size_t hard) noexcept;

namespace detail {
struct heap_instance;
}

/// A heap of its own: spans that hold nobody else's objects.
class heap {
public:
    /// Throws  nothing; a heap that could not be made allocates nothing.
    heap() noexcept;
    /// Frees everything in it.
    ~heap();
    heap(heap&& other) noexcept;
    heap& operator=(heap&& other) noexcept;
    heap(const heap&) = delete;
    heap& operator=(const heap&) = delete;

    /// As steady::allocate. Threads: any (one lock).
    [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment = 16,
                                 contents kind = contents::no_pointers) noexcept;
    /// Frees an object of this heap; one of another heap is fatal.
    void deallocate(void* p) noexcept;
    /// Gives back every object at once. No object may be used or freed afterwards.
    /// Cost     proportional to spans, not to objects. Threads: no other call at the same time.
    void release() noexcept;

    struct usage {
        std::uint64_t mallocs, frees;  // objects; release() frees those that live
        std::uint64_t live_bytes;      // of size classes and whole pages
        std::uint64_t span_bytes;      // pages held
    };
    [[nodiscard]] usage read_usage() const noexcept;
    /// Calls visit for each live object. The callback must not use this heap.
    void for_each_object(void (*visit)(void* context, const object_info& object),
                         void* context) const noexcept;

private:
    detail::heap_instance* instance_;
};

}  // namespace steady
