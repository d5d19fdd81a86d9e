// summary.hpp - a figure over several rounds: its median, and its spread beside it.
//
// The median, because one disturbed round must not move the figure; the spread,
// because without it nobody can tell a difference from the weather.
#pragma once

#include <algorithm>
#include <vector>

namespace steady::cli {

struct summary {
    double median = 0;
    double smallest = 0;
    double largest = 0;
};

/// Zeros for an empty list.
inline summary summarise(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

}  // namespace steady::cli
