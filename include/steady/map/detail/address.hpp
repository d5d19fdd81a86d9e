// address.hpp - where a hash lives: a table of any number of groups, in the order of
// hashes, that is stretched and compressed one cluster at a time. Arithmetic only.
//
// Terms   cluster: a fixed number of groups of 15 slots; the unit of growth.
//         scale: a number of groups N. A hash h belongs to group h * N / 2^64, so the table
//                is in the order of hashes, whatever N.
//         pass: takes the table from one scale, `low`, to the next, `high`, from the last
//               cluster to the first (growing) or from the first to the last (shrinking).
//         edge: low clusters that the pass has not reached. Their hashes are found with the
//               low scale, all higher ones with the high scale.
//
//   growing from 4 clusters to 5, three steps done (edge = 1):
//
//        hashes    |--- 0 ---|--- 1 ---|--- 2 ---|--- 3 ---|        low
//                            ^ frontier
//                  |- 0 -|           ... |-- 3 --|-- 4 --|          high
//        table     [  0  ][ 1  ][  2  ][  3  ][  4  ]      cluster 1 is partly, 4 quite new
//
//   A search computes  number = h * (h > frontier ? high : low) / 2^64: a comparison, a
//   conditional move and a multiplication; nothing is looked up.
//
// A pass doubles a table of less than 512 clusters, late and quickly; a longer one it
// stretches by a quarter, so that the load stays nearly even.
//
// Invariants (tests/map/address_test.cpp)
//   A1  Every group of a scale has the same share of all hashes, up to one of them.
//   A2  A hash goes to a higher number in a larger scale, or to the same.
//   A3  first_hash(n) is the lowest hash of group n.
//   A4  advance() and retreat() undo each other.
//
// Source  The moving frontier: Litwin, "Linear hashing", VLDB 1980. Small steps in size:
//         Larson, "Linear hashing with partial expansions", VLDB 1980. Keeping the order of
//         hashes instead of splitting buckets makes the address one product (see
//         docs/design/map.md for what was measured before).

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace steady::detail {

__extension__ using wide_word = unsigned __int128;

/// The same pointer, of which the compiler does not know that it points to the stack.
template <class T>
[[nodiscard, gnu::always_inline]] inline T* in_a_register(T* p) noexcept {
    asm("" : "+r"(p));
    return p;
}

/// One of two words, without a branch, and without a load whose address waits for the comparison.
[[nodiscard, gnu::always_inline]] inline std::uint64_t second_if_above(
    std::uint64_t hash, std::uint64_t frontier, std::uint64_t first,
    const std::uint64_t& second) noexcept {
#if defined(__x86_64__) && !defined(STEADY_PORTABLE)
    // Both orders of operands, for programs compiled with -masm=intel.
#if defined(__clang__)
#define STEADY_ANYWHERE "r"  // clang takes memory for "rm", and stores what is in a register
#else
#define STEADY_ANYWHERE "rm"
#endif
    asm("cmp {%[frontier], %[hash]|%[hash], %[frontier]}\n\t"
        "cmova {%[second], %[first]|%[first], %[second]}"
        : [first] "+r"(first)
        : [hash] "r"(hash), [frontier] STEADY_ANYWHERE(frontier), [second] STEADY_ANYWHERE(second)
        : "cc");
#undef STEADY_ANYWHERE
    return first;
#else
    return hash > frontier ? second : first;
#endif
}

/// The group of a hash in a table of so many.
[[nodiscard, gnu::always_inline]] constexpr std::uint64_t group_number(
    std::uint64_t hash, std::uint64_t groups) noexcept {
    return static_cast<std::uint64_t>((static_cast<wide_word>(hash) * groups) >> 64);
}

/// The lowest hash of group `number`, which exists.
[[nodiscard]] constexpr std::uint64_t first_hash(std::uint64_t number,
                                                 std::uint64_t groups) noexcept {
    return static_cast<std::uint64_t>(((static_cast<wide_word>(number) << 64) + groups - 1) /
                                      groups);
}

// ---- The bits of a hash that the group does not need, from the bottom: 8 for the tag, of which
// 3 for the overflow bit as well, 4 for the slot.

namespace rows {
constexpr auto make_tag_words() noexcept {
    std::array<std::uint32_t, 256> words{};
    for (std::uint32_t tag = 0; tag < 256; ++tag) words[tag] = (tag == 0 ? 1 : tag) * 0x01010101u;
    return words;
}
}  // namespace rows

/// The tag of each lowest byte, four times. Never 0, which means empty.
alignas(64) inline constexpr std::array<std::uint32_t, 256> tag_words = rows::make_tag_words();

[[gnu::always_inline]] inline std::uint32_t tag_word_of(std::uint64_t hash) noexcept {
    return tag_words[hash & 255];
}
[[gnu::always_inline]] inline std::uint8_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint8_t>(tag_word_of(hash));
}

/// The bit of the overflow byte, by the lowest byte: its place in the table of tags is known.
alignas(64) inline constexpr auto overflow_bits = [] {
    std::array<std::uint8_t, 256> bits{};
    for (unsigned i = 0; i < 256; ++i) bits[i] = static_cast<std::uint8_t>(1u << i / 32);
    return bits;
}();
[[gnu::always_inline]] inline std::uint8_t overflow_bit(std::uint64_t hash) noexcept {
    return overflow_bits[hash & 255];
}

/// The slot of the home group that an entry would like best: an even one. A search fetches
/// its cache line together with the tags, before it knows the slot.
[[gnu::always_inline]] inline unsigned preferred_slot(std::uint64_t hash) noexcept {
    return static_cast<unsigned>(hash >> 8) & 14;
}

// ---- The sequence of scales.

/// Scales before the tables are long: each doubles the one before.
inline constexpr unsigned doublings = 9;

/// Doubled while tables are short, so that entries move less often; then three scales to a
/// doubling, so that memory follows the data more closely.
[[nodiscard]] constexpr std::uint64_t clusters_at(unsigned index) noexcept {
    constexpr std::uint64_t turn[] = {512, 640, 800};
    static_assert(turn[0] == std::uint64_t{1} << doublings);
    if (index < doublings) return std::uint64_t{1} << index;
    return turn[(index - doublings) % 3] << ((index - doublings) / 3);
}

/// How far the table has grown.
struct growth_state {
    unsigned low = 0, high = 0;  // indices of the scales; different during a pass
    std::uint64_t edge = 0;      // during a pass: clusters still, or again, at the low scale

    [[nodiscard]] bool passing() const noexcept { return low != high; }
    [[nodiscard]] std::uint64_t low_clusters() const noexcept { return clusters_at(low); }
    [[nodiscard]] std::uint64_t high_clusters() const noexcept { return clusters_at(high); }
    /// One cluster further: the arrow of growth.
    void advance() noexcept {
        if (!passing()) {
            high = low + 1;
            edge = low_clusters();
        }
        if (--edge == 0) low = high;
    }
    /// One cluster back. A pass that begins goes down by so many scales.
    void retreat(unsigned scales = 1) noexcept {
        if (!passing()) low -= scales;
        if (++edge == low_clusters()) {
            high = low;
            edge = 0;
        }
    }
    friend bool operator==(const growth_state&, const growth_state&) noexcept = default;
};

/// Scales that a pass may go down from this one: by half at most.
[[nodiscard]] constexpr unsigned scales_to_half(unsigned index) noexcept {
    unsigned n = 0;
    while (n < index && 2 * clusters_at(index - n - 1) >= clusters_at(index)) ++n;
    return n;
}

/// Entries at which the next step is due, with `full` entries per cluster allowed. A short
/// table doubles in the last sixteenth before it is full. A pass of a long one takes its first
/// steps, which touch new memory, slowly, and the others, which go to places left by the
/// first, fast: so memory follows the data.
///
///   entries    |-- 20 % --|---------- 60 % ----------|-- 20 % --|      between two passes
///   steps          none       to new memory: a fifth    the rest
[[nodiscard]] inline std::uint64_t limit_of(const growth_state& s, std::uint64_t full) noexcept {
    const std::uint64_t clusters = s.low_clusters();
    const std::uint64_t end = clusters * full;
    const std::uint64_t done = s.passing() ? clusters - s.edge : 0;
    if (s.low < doublings) return end - end / 16 + end * done / (16 * clusters);
    // The first long scale comes as if others had been before it.
    const std::uint64_t before = s.low == doublings ? 400 : clusters_at(s.low - 1);
    const std::uint64_t start = before * full;
    const std::uint64_t fifth = (end - start) / 5;
    if (!s.passing()) return start + fifth;
    const auto share = [](std::uint64_t of, std::uint64_t n, std::uint64_t all) {
        return static_cast<std::uint64_t>(static_cast<wide_word>(of) * n / all);
    };
    // Steps until what they leave is as long as what is to come.
    const std::uint64_t fresh = clusters - share(clusters, clusters, s.high_clusters());
    if (done <= fresh) return start + fifth + share(3 * fifth, done, fresh);
    const std::uint64_t middle = start + 4 * fifth;
    return middle + share(end - middle, done - fresh, clusters - fresh);
}

}  // namespace steady::detail
