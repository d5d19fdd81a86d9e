// huge_slots.cpp - the walks of the buddy tree; the picture is in the header.
#include "steady/heap/detail/huge_slots.hpp"

#include "steady/core/check.hpp"

namespace steady::detail {

std::size_t huge_slots::take(unsigned order) noexcept {
    if (tree_ == nullptr || order > order_ || free_below(1, order_) < order + 1) return none;

    std::size_t node = 1;
    for (unsigned at = order_; at != order;) {
        --at;
        const std::size_t left = 2 * node, right = left + 1;
        const unsigned in_left = free_below(left, at), in_right = free_below(right, at);
        const bool left_fits = in_left > order, right_fits = in_right > order;
        // The tighter half; the left one when they are alike, so that use begins
        // at the bottom of the area and the tree's pages stay few.
        node = left_fits && (!right_fits || in_left <= in_right) ? left : right;
    }
    STEADY_ASSERT(2, tree_[node] == 0, "HS1 deficit 0 is free: the walk ended on a slot in use");
    tree_[node] = static_cast<std::uint8_t>(order + 1);
    update_ancestors(node, order);
    granules_taken_ += std::size_t{1} << order;
    return (node << order) - (std::size_t{1} << order_);
}

void huge_slots::give_back(std::size_t first_granule, unsigned order) noexcept {
    const std::size_t node = (first_granule + (std::size_t{1} << order_)) >> order;
    STEADY_ASSERT(1, tree_[node] == order + 1, "HS1 deficit 0 is free: this slot was not taken");
    tree_[node] = 0;
    update_ancestors(node, order);
    granules_taken_ -= std::size_t{1} << order;
}

void huge_slots::update_ancestors(std::size_t node, unsigned order) noexcept {
    while (node != 1) {
        node /= 2;
        const unsigned left = free_below(2 * node, order), right = free_below(2 * node + 1, order);
        const bool both_free = left == order + 1 && right == order + 1;
        ++order;
        const unsigned deficit = both_free ? 0 : order + 1 - (left > right ? left : right);
        if (tree_[node] == deficit) return;  // nothing changes further up either
        tree_[node] = static_cast<std::uint8_t>(deficit);
    }
}

const char* huge_slots::check() const noexcept {
    if (tree_ == nullptr) return nullptr;
    std::size_t taken = 0;
    const char* broken = check_node(1, order_, taken);
    if (broken == nullptr && taken != granules_taken_) {
        broken = "HS2 the tree's taken granules differ from the count";
    }
    return broken;
}

// A node taken as a whole has two free children, since they were free when it was
// taken; a split node cannot have them, or it would be free itself (HS3).
const char* huge_slots::check_node(std::size_t node, unsigned order,
                                   std::size_t& taken) const noexcept {
    if (tree_[node] > order + 1) return "HS2 a node lacks more than it has";
    if (tree_[node] == 0) return nullptr;
    const bool whole = order == 0 || (tree_[2 * node] == 0 && tree_[2 * node + 1] == 0);
    if (whole) {
        taken += std::size_t{1} << order;
        return tree_[node] == order + 1 ? nullptr : "HS3 two free halves were not merged";
    }
    const unsigned left = free_below(2 * node, order - 1);
    const unsigned right = free_below(2 * node + 1, order - 1);
    if (free_below(node, order) != (left > right ? left : right)) {
        return "HS2 a node does not tell its larger half";
    }
    const char* broken = check_node(2 * node, order - 1, taken);
    return broken != nullptr ? broken : check_node(2 * node + 1, order - 1, taken);
}

}  // namespace steady::detail
