// interface.hpp - the heap as a profiler sees it, through one pointer.
//
// A process may hold this code twice: libsteady_malloc.so has the heap that malloc is,
// and libsteady_profile.so has rooms of ours above it. What the second one listens to
// must be the hooks and counters inside the first. So the first exports one function of
// C's, and everything else is behind its result. In a program that links the heap
// statically the same function answers for that heap.
//
//   libsteady_profile.so ---- steady_heap_interface_1() ----> libsteady_malloc.so
//
// The two are built together. layout_of_interface tells when they were not: then nobody
// listens, and a message says why.
#pragma once

#include <cstdint>

#include "steady/core/hooks.hpp"
#include "steady/core/options.hpp"
#include "steady/heap/heap.hpp"
#include "steady/heap/statistics.hpp"

namespace steady {

struct heap_interface {
    std::uint64_t layout;  // layout_of_interface

    hook<sample_event>* samples;
    hook<fork_event>* forks;
    hook<failure_event>* failures;

    const debug_options& (*options)() noexcept;
    heap_statistics (*read_statistics)() noexcept;
    std::size_t (*trim)() noexcept;

    /// Mean bytes between samples, 0: none. What was drawn before is forgotten.
    void (*set_period)(std::uint64_t bytes) noexcept;
    /// The same per size class, at the next draws and without emptying caches; a period
    /// of 0 means: as set_period said. periods[0] is that of large objects and not used.
    void (*set_class_periods)(const std::uint64_t* periods) noexcept;
    std::uint64_t (*period)() noexcept;

    /// The hard limit on memory, in bytes; 0: none. Whoever writes a profile because memory
    /// ran out needs a little of it.
    std::size_t (*hard_limit)() noexcept;
    void (*set_hard_limit)(std::size_t bytes) noexcept;
};

/// Changes when anything above does.
inline constexpr std::uint64_t layout_of_interface =
    1 + sizeof(heap_interface) * 0x100 + sizeof(debug_options) * 0x10000 +
    sizeof(heap_statistics) * 0x100000000 + sizeof(sample_event) * 0x10000000000000;

}  // namespace steady

/// The interface of the heap that defines it.
extern "C" const steady::heap_interface* steady_heap_interface_1() noexcept;
