// mapping.hpp - what the files of os share about mappings: announcing a call to the hook,
// naming a mapping, and the table of nominal areas.

#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/core/check.hpp"
#include "steady/core/hooks.hpp"
#include "steady/os/memory.hpp"

#include <linux/mman.h>

namespace steady::os::detail {

inline constexpr int private_pages = MAP_PRIVATE | MAP_ANONYMOUS;

/// Tells the hook about a system call that was made, also when it failed.
///
/// touched    upper bound of the resident bytes the kernel walked (O3).
inline void announce(os_call call, const void* start, std::size_t length, std::size_t touched,
                     bool background = false) noexcept {
    STEADY_ASSERT(1, touched <= step.count(), "O3 one system call walks more than 2 MiB");
    os_hook.announce({call, start, bytes{length}, bytes{touched}, background});
}

/// Gives a mapping its name in /proc/PID/maps, "[anon:steady heap]". Silent where the
/// kernel was built without CONFIG_ANON_VMA_NAME; then it is tried once only.
void give_name(const void* start, std::size_t length, const char* name) noexcept;

/// After an mremap that was refused: makes sure that its destination is mapped. Kernels
/// before 6.17 unmap the destination first and look at the rest of the request afterwards.
/// Stops the program when the hole cannot be filled, because a block would be lost.
void restore_destination(std::byte* to, std::size_t length) noexcept;

/// Takes a closed nominal area off the table.
void forget_nominal(std::uintptr_t base) noexcept;

/// For the one thread of a forked child.
void free_nominal_lock() noexcept;

}  // namespace steady::os::detail
