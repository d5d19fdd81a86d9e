// options.hpp - the numbers steady::map is built on, each with its unit and reason.
// docs/design/map.md has the measurements behind them.

#pragma once

#include <cstddef>

namespace steady {

struct map_options {
    /// Entries per 1000 slots in the part of a table that is stretched next.
    static constexpr unsigned fullest_load = 870;

    /// Bytes above which an entry is stored out of line: a group of 15 such entries
    /// would fill a page, and a step of growth would copy too much.
    static constexpr std::size_t largest_inline_entry = 256;
};

}  // namespace steady
