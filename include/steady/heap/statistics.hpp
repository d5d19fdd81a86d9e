// statistics.hpp - the heap in numbers, as Go's MemStats defines them.
//
//   sys = heap_sys + mspan_sys + mcache_sys + other_sys      all memory from the OS
//   heap_sys = heap_inuse + heap_idle                        spans and huge blocks
//   heap_idle = free resident + heap_released
//   heap_alloc = total_alloc - total_freed                   bytes of live objects
//   heap_objects = mallocs - frees
//
// Object bytes are the bytes of the size class (large objects: of whole pages),
// because that is what the object occupies. A realloc that stays in place adds
// or subtracts the difference and is neither a malloc nor a free.
//
// Exactness. Counts are kept where magazines change hands and corrected by what
// lies in the magazines. With no thread in the middle of a call they are exact;
// while threads run, each part is exact at some moment of the reading, and frees at
// an earlier one than mallocs, so that no difference of the two falls below zero.
// A forked child counts what the parent had; of each other thread's cache one object a
// class may have been on its way out, and counts as allocated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/heap/size_classes.gen.hpp"

namespace steady {

struct heap_statistics {
    std::uint64_t sys;            // bytes obtained from the OS: resident or ready to be touched
    std::uint64_t heap_sys;       // of these, spans and huge blocks
    std::uint64_t heap_inuse;     // spans in use, and huge blocks
    std::uint64_t heap_idle;      // pages without a span
    std::uint64_t heap_released;  // of the idle ones, not resident
    std::uint64_t heap_alloc;     // bytes of live objects
    std::uint64_t total_alloc;    // bytes of all objects ever allocated
    std::uint64_t total_freed;    // bytes of all objects ever freed
    std::uint64_t mallocs;        // objects ever allocated
    std::uint64_t frees;          // objects ever freed
    std::uint64_t heap_objects;   // mallocs - frees
    std::uint64_t mspan_inuse;    // span records in use
    std::uint64_t mspan_sys;      // taken for span records
    std::uint64_t mcache_inuse;   // thread caches and magazines
    std::uint64_t mcache_sys;
    std::uint64_t other_sys;  // tables, central lists, metadata not yet handed out
    std::uint64_t
        cached_bytes;  // free objects in thread caches and depots: in use to the page heap, free to you
    std::uint64_t reserved;       // address space reserved, without memory
    std::uint64_t huge_alloc;     // bytes of live huge blocks (part of heap_alloc)
    std::uint64_t large_objects;  // live large and huge objects
    std::uint64_t large_bytes;    // and their bytes
    std::uint64_t
        scavenged_total;    // bytes ever returned to the OS, by the scavenger and by callers
    std::uint32_t threads;  // with a cache
    struct class_line {
        std::uint32_t size;  // object bytes
        std::uint64_t mallocs;
        std::uint64_t frees;
        std::uint64_t spans;
        std::uint64_t span_bytes;
    } by_size[class_count];  // 0: large objects
};

/// The default heap now. Cost: a walk over threads and classes, a few
/// microseconds. Threads: any. Allocates nothing.
[[nodiscard]] heap_statistics read_statistics() noexcept;

/// What the calling thread has done with the default heap since it began. A realloc that
/// stays in place is neither.
struct thread_statistics {
    std::uint64_t mallocs;      // objects, exactly
    std::uint64_t total_alloc;  // their bytes
    std::uint64_t small_frees;  // objects of up to 32 KiB, whoever allocated them
    bool exact;  // false: the thread has no cache (STEADY_DEBUG=check, no pthread key left)
};
/// Cost: a walk over the classes, less than a microsecond; allocations pay nothing for it.
[[nodiscard]] thread_statistics read_thread_statistics() noexcept;

/// The heap checks itself: recomputes every invariant that can be, and adds its ledgers up
/// against each other, to the byte. Returns false for the first broken one and writes its
/// name and figures to `why`, at most capacity - 1 characters and a zero.
/// Cost: a walk over all spans under every lock. Threads: any; others wait in slow paths.
[[nodiscard]] bool check_heap(char* why, std::size_t capacity) noexcept;

/// Writes `s` as a table or as JSON (the names above). Returns the length written,
/// at most capacity - 1; the text ends with a zero byte. Allocates nothing.
std::size_t write_statistics_text(const heap_statistics& s, char* buffer,
                                  std::size_t capacity) noexcept;
std::size_t write_statistics_json(const heap_statistics& s, char* buffer,
                                  std::size_t capacity) noexcept;

}  // namespace steady
