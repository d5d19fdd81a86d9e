// buckets.hpp - looks into the buckets of a go::map at rest: how full each chain is.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "steady/go/map.hpp"

namespace steady::cli::lab {

struct bucket_survey {
    std::vector<std::uint64_t> entries;  // of each bucket, its chain included
    std::uint64_t overflow = 0;          // buckets in chains behind the first
};

/// Throws std::logic_error for a map that is growing: its entries are in two arrays.
template <class Map>
bucket_survey survey(const Map& m) {
    namespace in = go::internal;
    const in::hmap* h = m.header();
    if (h->growing()) throw std::logic_error("the map is growing");
    bucket_survey found;
    found.entries.resize(h->bucket_count());
    for (std::size_t i = 0; i < h->bucket_count(); ++i) {
        const in::bmap* b =
            in::forward(static_cast<const in::bmap*>(h->buckets), i * Map::bucket_size);
        for (bool first = true; b != nullptr; first = false) {
            if (!first) ++found.overflow;
            for (const std::uint8_t top : b->tophash) {
                if (!in::is_empty(top)) ++found.entries[i];
            }
            b = *reinterpret_cast<in::bmap* const*>(
                in::forward(b, Map::bucket_size - sizeof(void*)));
        }
    }
    return found;
}

/// P(X = k) for a Poisson distribution; by logarithms, so that large k do no harm.
double poisson(double mean, unsigned k);

/// Overflow buckets expected of `buckets` chains with `load` entries each on average:
/// sum of max(0, ceil(n / 8) - 1).
double expected_overflow(double buckets, double load);

}  // namespace steady::cli::lab
