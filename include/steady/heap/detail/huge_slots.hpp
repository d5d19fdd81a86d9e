// huge_slots.hpp - hands out address space for huge blocks in powers of two of
// 64 MiB, and takes it back so that a program can go on for ever.
//
// Terms   granule: 64 MiB of address space.   order: log2 of a slot's granules.
//         slot: 2^order granules, aligned to its own size within the area.
//         deficit: what a node lacks, in orders, compared with being all free.
//
// A buddy system without lists: one byte per node of a binary tree over the
// granules. Node 1 is the whole area; node n has the halves 2n and 2n+1. The
// largest free slot below a node is its own order minus its deficit; a deficit of
// order + 1 says that nothing is free there.
//
//   4 granules, granule 0 taken:            node 1: deficit 1 (a pair is free)
//                                          /                                 \        .
//                        node 2: deficit 1 (one granule)            node 3: 0 (all free)
//                        /                \                         /            \    .
//                 node 4: 1 (nothing)   node 5: 0              node 6: 0     node 7: 0
//
// Invariants (check() tests each one)
//   HS1  Deficit 0 means that every granule below is free, so a fresh zero page is
//       a free piece of the tree, and an area of 16 TiB costs the pages it uses.
//   HS2  A node that is neither free nor taken as a whole tells the larger of its
//       children's largest free slots.
//   HS3  Halves that are both free are one free node: address space that was given
//       back merges at once, and only live slots can split it.
//
// Cost    one walk down and up per take, one walk up per give_back: at most 18
//         levels for 16 TiB. Going down, the tighter half that fits is taken, so
//         small slots gather and large runs stay whole.
// Tried   Free lists per order: constant time, but merging then needs the buddy's
//         state as well, which is this tree's lowest level again.
#pragma once

#include "steady/core/units.hpp"

#include <cstddef>
#include <cstdint>

namespace steady::detail {

class huge_slots {
public:
    static constexpr bytes granule = 64_MiB;
    static constexpr unsigned granule_shift = 26;
    static constexpr std::size_t none = ~std::size_t{0};

    static_assert(granule.count() == std::size_t{1} << granule_shift);

    constexpr huge_slots() noexcept = default;
    huge_slots(const huge_slots&) = delete;
    huge_slots& operator=(const huge_slots&) = delete;

    /// Bytes of tree that an area of 2^order granules needs.
    [[nodiscard]] static constexpr bytes tree_size(unsigned order) noexcept {
        return bytes{std::size_t{2} << order};
    }

    /// Begins with 2^order free granules. `tree` is tree_size(order) zero bytes (HS1).
    void open(std::uint8_t* tree, unsigned order) noexcept {
        tree_ = tree;
        order_ = order;
        granules_taken_ = 0;
    }

    /// Takes a slot of 2^order granules.
    ///
    /// Returns    its first granule; `none` when no free slot is that large.
    /// Threads    one caller at a time, like everything here.
    [[nodiscard]] std::size_t take(unsigned order) noexcept;

    /// Gives back what take(order) returned.
    void give_back(std::size_t first_granule, unsigned order) noexcept;

    [[nodiscard]] unsigned order() const noexcept { return order_; }
    [[nodiscard]] bytes taken() const noexcept { return granule * granules_taken_; }

    /// Walks the tree and tests HS2 and HS3 and that the taken granules add up.
    ///
    /// Returns    nullptr, or the text of the broken invariant.
    /// Cost       O(slots taken * levels).
    [[nodiscard]] const char* check() const noexcept;

private:
    /// The largest free order below the node, plus one; 0 when nothing is free.
    [[nodiscard]] unsigned free_below(std::size_t node, unsigned order) const noexcept {
        return order + 1 - tree_[node];
    }
    void update_ancestors(std::size_t node, unsigned order) noexcept;
    const char* check_node(std::size_t node, unsigned order, std::size_t& taken) const noexcept;

    std::uint8_t* tree_ = nullptr;
    unsigned order_ = 0;
    std::size_t granules_taken_ = 0;
};

}  // namespace steady::detail
