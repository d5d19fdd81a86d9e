// instances.hpp - what the rest of the heap must know of heap instances: how to
// free an object of one, and how to stop them all for a fork.
#pragma once

#include "steady/heap/detail/huge.hpp"
#include "steady/heap/detail/span.hpp"

namespace steady::detail {

/// Frees `p`, which lies in `s`, a span of a heap instance. Threads: any.
void instance_free(span* s, void* p) noexcept;

/// The same for a huge block of a heap instance.
void instance_free_huge(huge_block* b, void* p) noexcept;

/// The lock of the instance that owns `core`: it guards the spans and their counts.
[[nodiscard]] ranked_mutex<lock_rank::instance>& instance_lock(heap_core& core) noexcept;

/// The next call in each instance's cache is a slow one, which draws samples anew.
void close_instance_caches() noexcept;

/// Allocates from the instance that owns `core`.
[[nodiscard]] void* instance_allocate(heap_core& core, std::size_t size, std::size_t alignment,
                                      bool noscan) noexcept;

/// Calls visit for the core of each instance. Under lock_objects().
void for_each_instance(void (*visit)(void* context, heap_core& core) noexcept,
                       void* context) noexcept;

/// All locks of all instances, in three parts: the default heap's locks of the same rank
/// go with each. The list and the instances; their caches; their centrals. The registry's
/// lock is held.
void lock_instances() noexcept;
void lock_instance_caches() noexcept;
void lock_instance_centrals() noexcept;
void unlock_instance_centrals() noexcept;
void unlock_instance_caches() noexcept;
void unlock_instances() noexcept;

}  // namespace steady::detail
