// address.hpp - where a hash lives: linear hashing with partial expansions, as
// arithmetic on the hash. No directory is read and no memory is owned here.
//
// Terms   cluster: a fixed number of groups of 15 slots; the unit of growth.
//         family f: the clusters f, f + F, f + 2F, ... of a map with F = 2^level
//                   families; `position` counts them. A hash belongs to one family.
//         stage g:  how many clusters a family has. The pass of stage g gives each
//                   family its cluster g, one family at a time, in order.
//         split:    the family that gets its cluster next. Families before it have
//                   g + 1 clusters, the others g.
//
//   K = 2 (partial_expansions), F = 2, halfway through the pass of stage 2:
//
//        cluster   0     1     2     3     4
//        family    0     1     0     1     0        split = 1: family 0 has its third
//        position  0     0     1     1     2
//
//   Stages run K, K+1, ... 2K-1; then each family of 2K clusters becomes two of K:
//   the clusters f, f+2F, f+4F.. and f+F, f+3F.., so that nothing moves. A table that
//   starts has one family and stages 1, 2, ... K-1 before that. The next cluster is
//   always the one behind the last: clusters are numbered without gaps.
//
// How positions are chosen so that hardly anything moves in vain. Let c0 c1 c2 ... be
// the bits of the hash from bit `level` up. Position at stage K is the number with the
// bits c0..c(k-1), where K = 2^k. One doubling later it must be the number c1..ck, and
// the family's new bit must be chosen so that half of the entries stay where they are:
//
//        family = bits of h ^ (h >> k)      (a Gray code: the new bit is c0 ^ ck)
//        stays  <=>  new bit = c0, which is half of all
//
//   The stages between are rows of a table with 256 entries, indexed by eight bits of
//   the hash from `level` up: row(g)[x] is the position, each one equally often (up to
//   one entry of 256), made so that a pass moves entries to the new cluster first.
//
// Invariants (tests/map/address_test.cpp)
//   A1  Every position of a stage is used by 256/g of the 256 indices, up to one.
//   A2  Stage 2K of one level and stage K of the next are the same placement.
//   A3  At stage K half of the entries of 2K are where they will be; the passes between
//       move at most a twelfth of the entries more than they must.
//
// Source  Litwin, "Linear hashing", VLDB 1980; Larson, "Linear hashing with partial
//         expansions", VLDB 1980.

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "steady/map/options.hpp"

namespace steady::detail {

inline constexpr unsigned partial_expansions = map_options::partial_expansions;
inline constexpr unsigned expansion_bits = std::bit_width(partial_expansions) - 1;
inline constexpr unsigned most_positions = 2 * partial_expansions;

static_assert(std::has_single_bit(partial_expansions) && partial_expansions <= 4,
              "rows have 256 entries: 2K positions, each a sensible share of them");

using position_row = std::array<std::uint8_t, 256>;

namespace rows {

/// The position at stage K, from the bits of the hash.
constexpr unsigned at_start(unsigned x) noexcept {
    return x & (partial_expansions - 1);
}

/// The position at stage 2K: twice the position at the next level, plus the new bit of
/// the family (A2).
constexpr unsigned at_end(unsigned x) noexcept {
    const unsigned new_bit = (x ^ (x >> expansion_bits)) & 1;
    return new_bit + 2 * at_start(x >> 1);
}

/// One pass from `row` (stage g): 256/(g+1) indices go to position g, an equal share
/// from each position; first those whose home at the end is there, then those that must
/// leave their position later anyway.
constexpr position_row next_row(const position_row& row, unsigned g, bool towards_start) noexcept {
    const auto target = [&](unsigned x) { return towards_start ? at_start(x) : at_end(x); };
    position_row next = row;
    for (unsigned from = 0; from < g; ++from) {
        // What the new position takes from this one, spread so that the sum is exact.
        unsigned have = 0;
        for (const unsigned p : row) have += p == from;
        const unsigned keep = 256 * (from + 1) / (g + 1) - 256 * from / (g + 1);
        unsigned quota = have > keep ? have - keep : 0;
        for (int eager = 0; eager < 3; ++eager) {
            for (unsigned i = 0; i < 256 && quota != 0; ++i) {
                const unsigned x = (i * 89) & 255;  // odd: visits all, in no pattern of bits
                if (row[x] != from || next[x] != from) continue;
                const bool wanted =
                    eager == 0 ? target(x) == g : (eager == 1 ? target(x) > g : target(x) != from);
                if (!wanted) continue;
                next[x] = static_cast<std::uint8_t>(g);
                --quota;
            }
        }
    }
    // Who is parked elsewhere and belongs to the new position comes too, and at the end
    // of a doubling everybody is at home.
    for (unsigned x = 0; x < 256; ++x) {
        const bool last = g + 1 == (towards_start ? partial_expansions : most_positions);
        if (last) next[x] = static_cast<std::uint8_t>(target(x));
    }
    return next;
}

constexpr auto make() noexcept {
    std::array<position_row, most_positions + 1> all{};
    for (unsigned g = 1; g < most_positions; ++g) {
        all[g + 1] = next_row(all[g], g, g < partial_expansions);
    }
    return all;
}

}  // namespace rows

/// row(g)[x]: the position in a family of g clusters. row(1) is all zero.
inline constexpr std::array<position_row, most_positions + 1> position_rows = rows::make();

// ---- The bits of a hash. From the top: 8 for the tag, 4 for the group, 3 for the filter;
// from the bottom: the family, and above it the position. They meet at 2^37 families.

/// Never 0, which means empty.
[[gnu::always_inline]] inline std::uint8_t tag_of(std::uint64_t hash) noexcept {
    const auto top = static_cast<std::uint8_t>(hash >> 56);
    return static_cast<std::uint8_t>(top + (top == 0));
}

/// The home group, of a power of two of them; `last` is their number less one.
[[gnu::always_inline]] inline unsigned home_of(std::uint64_t hash, unsigned last) noexcept {
    return static_cast<unsigned>(hash >> 52) & last;
}

/// The bit of the overflow byte.
[[gnu::always_inline]] inline std::uint8_t overflow_bit(std::uint64_t hash) noexcept {
    return static_cast<std::uint8_t>(1u << ((hash >> 48) & 7));
}

/// How far the clusters have been split: the whole state of the address function.
struct growth_state {
    std::uint64_t family_mask = 0;  // F - 1
    std::uint64_t split = 0;
    const std::uint8_t* row_before = position_rows[2].data();  // families before split
    const std::uint8_t* row_after = position_rows[1].data();   // the others
    std::uint8_t level = 0;
    std::uint8_t stage = 1;

    [[nodiscard]] std::uint64_t families() const noexcept { return family_mask + 1; }
    [[nodiscard]] std::uint64_t clusters() const noexcept { return families() * stage + split; }

    [[nodiscard, gnu::always_inline]] std::uint64_t family(std::uint64_t hash) const noexcept {
        return (hash ^ (hash >> expansion_bits)) & family_mask;
    }
    [[nodiscard, gnu::always_inline]] std::uint64_t cluster(std::uint64_t hash) const noexcept {
        const std::uint64_t f = family(hash);
        const std::uint8_t* row = f < split ? row_before : row_after;
        return f + (std::uint64_t{row[(hash >> level) & 255]} << level);
    }

    /// One family further: the arrow of growth.
    void advance() noexcept {
        if (++split == families()) set_stage(stage + 1u, 0);
    }
    /// One family back.
    void retreat() noexcept {
        if (split != 0) {
            --split;
        } else {
            set_stage(stage - 1u, families());
            split = families() - 1;
        }
    }

    /// The state with so many clusters, at least one.
    static growth_state with_clusters(std::uint64_t n) noexcept {
        growth_state s;
        if (n <= partial_expansions) {
            s.set_stage(static_cast<unsigned>(n), 0);
            return s;
        }
        // clusters = F * g + split with K <= g < 2K: the leading bits of n are g.
        s.level = static_cast<std::uint8_t>(std::bit_width(n) - std::bit_width(partial_expansions));
        s.family_mask = (std::uint64_t{1} << s.level) - 1;
        s.set_stage(static_cast<unsigned>(n >> s.level), n & s.family_mask);
        return s;
    }

private:
    void set_stage(unsigned g, std::uint64_t new_split) noexcept {
        split = new_split;
        if (g == most_positions) {  // nothing moves: A2
            family_mask = 2 * family_mask + 1;
            ++level;
            g = partial_expansions;
        } else if (g < partial_expansions && level != 0) {
            family_mask >>= 1;
            --level;
            g = most_positions - 1;
        }
        stage = static_cast<std::uint8_t>(g);
        row_after = position_rows[g].data();
        row_before = position_rows[g + 1].data();
    }
};

}  // namespace steady::detail
