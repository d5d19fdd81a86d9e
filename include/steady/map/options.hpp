// options.hpp - the numbers steady::map is built on, each with its unit and reason.
// docs/design/map.md has the measurements behind them.

#pragma once

#include <cstddef>

namespace steady {

struct map_options {
    /// Clusters of a family at the start of a doubling. 2: a pass looks at every entry
    /// twice per doubling; 4: four times, for a more even load.
    static constexpr unsigned partial_expansions = 2;

    /// Entries per 1000 slots of the fullest families, at which the next one is split.
    static constexpr unsigned fullest_load = 930;

    /// Bytes above which an entry is stored out of line: a group of 15 such entries
    /// would fill a page, and a split would copy too much.
    static constexpr std::size_t largest_inline_entry = 256;
};

}  // namespace steady
