// tuning.hpp - when periods are solved for anew: see steady/profile/detail/tuning.hpp.
#pragma once

#include "steady/profile/detail/tuning.hpp"

namespace steady::profile::detail {

/// Called with each sample, perhaps under a lock of the heap. Now and then it starts a
/// thread that looks at the heap's counts, sets the periods and ends.
void consider_tuning() noexcept;
void forget_tuning_after_fork() noexcept;

}  // namespace steady::profile::detail
