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
//   The stages between are rows of a table with 128 entries, indexed by seven bits of
//   the hash from `level` up: row(g)[x] is the position, each one equally often (up to
//   one entry of 128), made so that a pass moves entries to the new cluster first.
//
// Invariants (tests/map/address_test.cpp)
//   A1  Every position of a stage is used by 128/g of the 128 indices, up to one.
//   A2  Stage 2K of one level and stage K of the next are the same placement.
//   A3  At stage K half of the entries of 2K are where they will be, and a pass moves few
//       entries that need not move.
//   A4  A split moves entries to higher positions only, a merge to lower ones.
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
              "rows have 128 entries: 2K positions, each a sensible share of them");

/// Bits of the hash that choose a position: 128 indices share out among 3 evenly up to 1 %.
inline constexpr unsigned position_bits = 7;
inline constexpr unsigned position_indices = 1u << position_bits;
using position_row = std::array<std::uint8_t, position_indices>;

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

/// One pass from `row` (stage g) to g + 1 equal shares. Each position gives its excess:
/// first who is at home in the new cluster, then who may wait there for a cluster yet to
/// come, then who is at home in another one that exists; always upwards (A4).
constexpr position_row next_row(const position_row& row, unsigned g, bool towards_start) noexcept {
    const unsigned last = towards_start ? partial_expansions : most_positions;
    const auto home = [&](unsigned x) { return towards_start ? at_start(x) : at_end(x); };
    position_row next = row;
    if (g + 1 == last) {
        for (unsigned x = 0; x < position_indices; ++x) {
            next[x] = static_cast<std::uint8_t>(home(x));
        }
        return next;
    }
    unsigned count[most_positions] = {};
    for (const unsigned p : row) ++count[p];
    for (unsigned from = 0; from < g; ++from) {
        const unsigned keep =
            position_indices * (from + 1) / (g + 1) - position_indices * from / (g + 1);
        for (unsigned eager = 0; eager < 3; ++eager) {
            for (unsigned i = 0; i < position_indices && count[from] > keep; ++i) {
                // An odd factor: visits all, in no pattern of bits.
                const unsigned x = (i * 89) & (position_indices - 1);
                if (row[x] != from || next[x] != from) continue;
                if (eager == 0 ? home(x) != g : eager == 1 ? home(x) <= g : home(x) <= from) {
                    continue;
                }
                next[x] = static_cast<std::uint8_t>(eager < 2 ? g : home(x));
                ++count[next[x]];
                --count[from];
            }
        }
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

namespace rows {

/// What a pass does to the positions of a family: bit p of a mask is position p.
struct traffic {
    std::uint8_t positions;  // that the family has before a split or a merge
    std::uint8_t leaving;    // entries may leave
    std::uint8_t receiving;  // entries may arrive, and entries are there already
    bool upwards;
};

constexpr traffic traffic_of(unsigned g, bool upwards) noexcept {
    const position_row& from = position_rows[upwards ? g : g + 1];
    const position_row& to = position_rows[upwards ? g + 1 : g];
    const unsigned positions = upwards ? g : g + 1;
    unsigned leaving = 0, receiving = 0;
    for (unsigned x = 0; x < position_indices; ++x) {
        if (from[x] == to[x]) continue;
        leaving |= 1u << from[x];
        if (to[x] < positions) receiving |= 1u << to[x];
    }
    return {static_cast<std::uint8_t>(positions), static_cast<std::uint8_t>(leaving),
            static_cast<std::uint8_t>(receiving), upwards};
}

constexpr auto make_traffic(bool upwards) noexcept {
    std::array<traffic, most_positions> all{};
    for (unsigned g = 1; g < most_positions; ++g) all[g] = traffic_of(g, upwards);
    return all;
}

/// A cluster is put in order before the next one is emptied into it, so nobody may move
/// towards a cluster that comes later.
constexpr bool moves_one_way() noexcept {
    for (unsigned g = 1; g < most_positions; ++g) {
        for (unsigned x = 0; x < position_indices; ++x) {
            if (position_rows[g + 1][x] < position_rows[g][x]) return false;
        }
    }
    return true;
}
static_assert(moves_one_way(), "splits move entries to higher positions only, merges to lower");

}  // namespace rows

inline constexpr auto split_traffic = rows::make_traffic(true);
inline constexpr auto merge_traffic = rows::make_traffic(false);

// ---- The bits of a hash. From the top: 8 for the tag, then 4 for filter and slot each;
// from the bottom: the home group, the family, and above it the position. Offsets have 32
// bits: 2^28 clusters, which are 6 * 10^10 entries.

namespace rows {
constexpr auto make_tag_words() noexcept {
    std::array<std::uint32_t, 256> words{};
    for (std::uint32_t tag = 0; tag < 256; ++tag) words[tag] = (tag == 0 ? 1 : tag) * 0x01010101u;
    return words;
}
}  // namespace rows

/// The tag of each top byte, four times. Never 0, which means empty.
alignas(64) inline constexpr std::array<std::uint32_t, 256> tag_words = rows::make_tag_words();

[[gnu::always_inline]] inline std::uint32_t tag_word_of(std::uint64_t hash) noexcept {
    return tag_words[hash >> 56];
}
[[gnu::always_inline]] inline std::uint8_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint8_t>(tag_word_of(hash));
}

/// The hash as a Gray code: its lowest bits are the home group, the next ones the family.
[[nodiscard, gnu::always_inline]] constexpr std::uint64_t gray(std::uint64_t hash) noexcept {
    return hash ^ (hash >> expansion_bits);
}
/// The home group, of a power of two of them; `last` is their number less one.
[[gnu::always_inline]] inline unsigned home_of(std::uint64_t hash, unsigned last) noexcept {
    return static_cast<unsigned>(gray(hash)) & last;
}

/// The slot of the home group that an entry would like best: an even one. A search fetches
/// its cache line together with the tags, before it knows the slot.
[[gnu::always_inline]] inline unsigned preferred_slot(std::uint64_t hash) noexcept {
    return static_cast<unsigned>(hash >> 43) & 14;
}

/// The bit of the overflow byte.
[[gnu::always_inline]] inline std::uint8_t overflow_bit(std::uint64_t hash) noexcept {
    return static_cast<std::uint8_t>(1u << ((hash >> 48) & 7));
}

/// How far the clusters have been split.
struct growth_state {
    std::uint64_t family_mask = 0;  // F - 1
    std::uint64_t split = 0;
    std::uint8_t level = 0;
    std::uint8_t stage = 1;

    [[nodiscard]] std::uint64_t families() const noexcept { return family_mask + 1; }
    [[nodiscard]] std::uint64_t clusters() const noexcept { return families() * stage + split; }
    [[nodiscard]] const position_row& row(std::uint64_t family) const noexcept {
        return position_rows[stage + (family < split)];
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
    }
};

/// The address function: a growth_state, ready for use. It numbers home groups through all
/// clusters, so a row here is not positions but what they add to that number.
template <unsigned GroupBits>
class address_function {
public:
    /// cluster * groups + home
    [[nodiscard, gnu::always_inline]] std::uint64_t home(std::uint64_t hash) const noexcept {
        const std::uint64_t of_family = gray(hash) & mask_;
        const std::uint32_t* row = row_after_;
        if (of_family < split_) row = row_before_;
        return of_family + row[(hash >> shift_) & (position_indices - 1)];
    }
    [[nodiscard, gnu::always_inline]] std::uint64_t cluster(std::uint64_t hash) const noexcept {
        return home(hash) >> GroupBits;
    }

    /// Cost       256 additions when the stage has changed, otherwise none.
    void set(const growth_state& s) noexcept {
        split_ = s.split << GroupBits;
        if (shift_ == s.level + GroupBits && s.stage == stage_) return;
        mask_ = (s.families() << GroupBits) - 1;
        shift_ = static_cast<std::uint8_t>(s.level + GroupBits);
        stage_ = s.stage;
        row_after_ = offsets_[0];
        row_before_ = offsets_[1];
        for (unsigned r = 0; r < 2; ++r) {
            for (unsigned x = 0; x < position_indices; ++x) {
                offsets_[r][x] = std::uint32_t{position_rows[s.stage + r][x]} << shift_;
            }
        }
    }

private:
    std::uint64_t mask_ = 0;
    std::uint64_t split_ = 0;                    // in groups
    const std::uint32_t* row_before_ = nullptr;  // families before split_
    const std::uint32_t* row_after_ = nullptr;   // the others
    std::uint8_t shift_ = 0;                     // to the bits that choose the position
    std::uint8_t stage_ = 0;
    std::uint32_t offsets_[2][position_indices];
};

}  // namespace steady::detail
