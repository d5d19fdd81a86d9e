// node_list.hpp - reads the kernel's way to write a set of numbers: "0-3,8,10-11".

#pragma once

#include <cstdint>
#include <string_view>

#include "steady/os/detail/lines.hpp"

namespace steady::os::detail {

/// One more than the highest number in the list; 0 when there is none or the text is no list.
inline std::uint64_t end_of_list(std::string_view list) noexcept {
    std::uint64_t end = 0, number = 0;
    while (take_number(list, number)) {
        if (number >= end) end = number + 1;
        if (!take(list, "-")) take(list, ",");
    }
    return list.empty() ? end : 0;
}

}  // namespace steady::os::detail
