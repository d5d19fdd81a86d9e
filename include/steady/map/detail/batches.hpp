// batches.hpp - many keys at once, so that the cache misses of one overlap with those of others.
//
//   key i + 64    hash it, ask for the tags of its home
//   key i + 32    compare the tags, ask for the line of the entry they point to
//   key i         compare the key
//
// No step waits for memory, and no branch but those on the last line depends on what has been
// read: what a processor guesses wrong while a cache line is on its way makes it throw away
// all it has begun, and that costs a plain find() in a large table most of its time.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <type_traits>

#include "steady/map/detail/table.hpp"

namespace steady::detail {

/// Finds many keys. put(slot) is called for each, with nullptr where there is none.
template <class Container, class Keys, class Put>
[[gnu::always_inline]] inline void find_batches(Container& container, const Keys& keys, Put&& put) {
    using table = std::remove_cvref_t<decltype(container.raw_table())>;
    const table& t = container.raw_table();
    auto next = std::ranges::begin(keys);
    const auto end = std::ranges::end(keys);
    if (!t.is_worth_asking_ahead()) {
        for (; next != end; ++next) {
            const std::uint64_t hash = t.hash_of(*next);
            put(t.find_slot(*next, hash, t.home_at(hash)));
        }
        return;
    }
    constexpr unsigned distance = 32, ring = 2 * distance;
    std::array<typename table::search, ring> searches;
    auto asked = next;
    unsigned begun = 0;  // of those not ended
    for (; begun < ring && asked != end; ++begun, ++asked) t.begin_search(searches[begun], *asked);
    for (unsigned i = 0; i < distance && i < begun; ++i) t.go_on_with_search(searches[i]);
    for (unsigned i = 0; next != end; ++next, i = (i + 1) % ring) {
        if (begun > distance) t.go_on_with_search(searches[(i + distance) % ring]);
        auto* const slot = t.end_search(searches[i], *next);
        if (asked != end) {
            t.begin_search(searches[i], *asked);
            ++asked;
        } else {
            --begun;
        }
        put(slot);
    }
}

}  // namespace steady::detail
