// collect.hpp - from the tables to a list of samples that nobody changes any more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "steady/profile/profile.hpp"
#include "tables.hpp"

namespace steady::profile::detail {

struct raw_sample {
    const site* where = nullptr;  // sites stay where they are (T1)
    std::int64_t values[heap_values] = {};
};

struct collection {
    std::vector<raw_sample> samples;  // without those whose values are all 0
    std::int64_t time_ns = 0;         // since 1970, when it was taken
    std::int64_t duration_ns = 0;
    std::uint64_t period = 0;
    std::vector<std::string> comments;
};

/// Waits `how.seconds` where that is asked for.
[[nodiscard]] collection collect(kind what, const options& how);

}  // namespace steady::profile::detail
