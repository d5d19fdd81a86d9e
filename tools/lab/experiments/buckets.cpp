// buckets.cpp - see buckets.hpp.
#include "lab/experiments/buckets.hpp"

#include <cmath>

namespace steady::cli::lab {

double poisson(double mean, unsigned k) {
    return std::exp(-mean + k * std::log(mean) - std::lgamma(k + 1.0));
}

double expected_overflow(double buckets, double load) {
    double each = 0;
    for (unsigned n = 9; n < 200; ++n) each += poisson(load, n) * (std::ceil(n / 8.0) - 1);
    return buckets * each;
}

}  // namespace steady::cli::lab
