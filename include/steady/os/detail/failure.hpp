// failure.hpp - turns -errno into an error that tells the reader which limit was hit.
//
// Linux says ENOMEM for four different things. What the caller can do differs, so the
// difference is worth a look into /proc, but only after something has failed:
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
/// wanted     address space the call would have added.
/// Cost       for ENOMEM the reading of a few /proc files, up to tens of milliseconds when
///            the process has 65,000 mappings; otherwise none.
[[gnu::cold]] error failure(long negative_errno, const char* action, bytes wanted) noexcept;

/// Which of the three an ENOMEM was; the facts are passed in, so that tests can make them up.
struct limits_seen {
    std::uint64_t address_space, address_space_limit;  // bytes; limit ~0 = none
    std::uint64_t data, data_limit;
    std::uint64_t mappings, mappings_limit;
};
[[nodiscard]] errc explain_no_memory(const limits_seen& seen, bytes wanted) noexcept;

}  // namespace steady::os::detail
