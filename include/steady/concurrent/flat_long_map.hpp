// flat_long_map.hpp - concurrent_map for 8-byte integer keys with everything in the slot:
// 16 to 24 bytes an entry, no node, no pointer to follow.
//
// It is concurrent_map; the name promises the layout, and a value that would have to go out
// of line does not compile.

#pragma once

#include <cstdint>

#include "steady/concurrent/concurrent_map.hpp"

namespace steady {

template <class V, class K = std::int64_t>
class flat_long_map : public concurrent_map<K, V> {
    static_assert(sizeof(K) == 8 && std::is_integral_v<K>, "flat_long_map has 8-byte integer keys");
    static_assert(concurrent_map<K, V>::stores_inline,
                  "flat_long_map stores values in its slots: V must be trivially copyable and at "
                  "most 16 bytes; use concurrent_map for others");

public:
    using concurrent_map<K, V>::concurrent_map;
    /// Bytes of a slot, tag and share of the group's header included.
    static constexpr double slot_bytes =
        double(sizeof(concurrent_detail::group<1 + concurrent_detail::words_of<V>>)) /
        concurrent_detail::slots_per_group;
};

}  // namespace steady
