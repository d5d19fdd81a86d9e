// statistics.hpp - one row's repetitions as a distribution: minimum, median, maximum.
//
// Median, because one interrupted repetition must not move the figure; minimum,
// because on a shared machine it is the closest thing to an idle one; maximum,
// because hiding it would hide the stalls this project is about.
#pragma once

#include <algorithm>
#include <cstddef>

namespace steady::bench {

struct distribution {
    double minimum = 0;
    double median = 0;
    double maximum = 0;
};

/// Sorts `values` in place. An empty range gives zeros.
inline distribution distribution_of(double* values, std::size_t count) {
    if (count == 0) {
        return {};
    }
    std::sort(values, values + count);
    const double middle =
        count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    return {values[0], middle, values[count - 1]};
}

}  // namespace steady::bench
