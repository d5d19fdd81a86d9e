// barrier.cpp - see barrier.hpp.
#include "steady/os/barrier.hpp"

#include "steady/os/detail/syscall.hpp"

#include <linux/membarrier.h>

namespace steady::os {

bool membarrier_register() noexcept {
    return detail::sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

bool membarrier() noexcept {
    return detail::sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
}

}  // namespace steady::os
