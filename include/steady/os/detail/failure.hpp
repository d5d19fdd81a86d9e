// failure.hpp - turns -errno into an error, and an ENOMEM, for whoever asks, into the name
// of the limit that was hit (os::explain).
//
// Linux says ENOMEM for four different things. What the caller can do differs, so the
// difference is worth a look into /proc. But that look may take tens of milliseconds, and
// a call is refused under locks, in loops and where somebody has a second way to go: so
// it is not taken where the call fails, only where an error is told or acted upon.
//
//   RLIMIT_AS or RLIMIT_DATA is finite, and what exists + what was
//   wanted is above it                                                address_space_limit
//   /proc/self/maps has nearly vm.max_map_count lines                 map_count_limit
//   otherwise                                                         out_of_memory

#pragma once

#include <cstdint>

#include "steady/core/result.hpp"
#include "steady/core/units.hpp"

namespace steady::os::detail {

/// The error behind a negative result of a system call.
///
/// action     static text: what was attempted.
/// Cost       none: no file is read (see os::explain).
[[gnu::cold]] error failure(long negative_errno, const char* action) noexcept;

/// Which of the three an ENOMEM was; the facts are passed in, so that tests can make them up.
struct limits_seen {
    std::uint64_t address_space, address_space_limit;  // bytes; limit ~0 = none
    std::uint64_t data, data_limit;
    std::uint64_t mappings, mappings_limit;
};
[[nodiscard]] errc explain_no_memory(const limits_seen& seen, bytes wanted) noexcept;

}  // namespace steady::os::detail
