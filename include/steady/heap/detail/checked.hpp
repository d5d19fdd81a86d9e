// checked.hpp - checked mode (STEADY_DEBUG=check=1): no thread caches, so every
// free reaches its span's bitmap at once and a second free of the same object is
// seen when it happens, not a magazine later.
//
// A freed object is filled with 0xdf and waits in a ring of 1024 before its bit
// is set, so that a stale pointer finds the pattern rather than somebody else's
// data; on its way out of the ring the pattern is verified. Sizes given to delete
// are compared with the span. Slower by an order of magnitude; meant for finding
// a bug in an unmodified program, without building it again.
#pragma once

#include <cstddef>

#include "steady/heap/detail/central.hpp"

namespace steady::detail::checked {

inline constexpr unsigned char freed_pattern = 0xdf;

[[nodiscard]] void* allocate(heap_core& core, unsigned node, span_class sclass,
                             std::size_t size) noexcept;
void free(heap_core& core, span* s, void* p) noexcept;
/// Whether the freed object `p` still waits in the ring. Under lock_objects().
[[nodiscard]] bool waits(const void* p) noexcept;

/// Whether sizes given to delete are compared. Then realloc leaves no object in a
/// larger class than its new size asks for.
[[nodiscard]] bool sizes_are_compared() noexcept;
/// Fatal when `said` bytes at `alignment` cannot be what `p` was allocated with.
void check_size(const span& s, const void* p, std::size_t said, std::size_t alignment) noexcept;

void before_fork() noexcept;
void after_fork() noexcept;

}  // namespace steady::detail::checked
