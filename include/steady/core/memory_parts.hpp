// memory_parts.hpp - where the bytes of a container lie, and what they hold: the answer
// of every container's memory(), and of the plan made before the container exists.
//
//   where they lie                              what they hold
//   header    the fixed block                   payload    keys, values, elements that live
//   extra     what hangs from it                vacant     room for more of them
//   array     the places in use                 padding    between them, for alignment
//   spare     places that came with the array   metadata   tags, tophash bytes, kept hashes
//   overflow  places chained to full ones       links      pointers from place to place
//   old       what a growth is leaving          (and header, extra, rounding)
//   nodes     entries out of line
//   rounding  what the allocator adds
//
// Invariants
//   MP1  Both columns have the same sum, to the byte: total().
//   MP2  total() is what the allocator handed out, when `rounding` is known: containers
//        that know their allocator only by name (steady::map) leave it at 0.
#pragma once

#include "steady/core/units.hpp"

namespace steady {

struct memory_parts {
    // ---- Where the bytes lie.
    bytes header;
    bytes extra;
    bytes array;
    bytes spare;
    bytes overflow;
    bytes old;
    bytes nodes;
    bytes rounding;

    // ---- What they hold.
    bytes payload;
    bytes vacant;
    bytes padding;
    bytes metadata;
    bytes links;

    [[nodiscard]] constexpr bytes total() const noexcept {
        return header + extra + array + spare + overflow + old + nodes + rounding;
    }
    /// The other column's sum: equal to total() (MP1).
    [[nodiscard]] constexpr bytes contents() const noexcept {
        return header + extra + rounding + payload + vacant + padding + metadata + links;
    }

    friend constexpr bool operator==(const memory_parts&, const memory_parts&) noexcept = default;
};

}  // namespace steady
