// shrink.hpp - how a table becomes smaller: a segment of fewer groups while the table is small,
// two segments that are together two fifths full made one when it is large. The steps are those
// of grow.hpp, in the other direction; when memory is refused the larger segment stays.

#pragma once

#include "steady/concurrent/detail/grow.hpp"

namespace steady::concurrent_detail {

template <unsigned W, class R, unsigned L>
void table<W, R, L>::look_for_shrinking_now(std::uint64_t hash, const place& at) noexcept {
    const place there = locate(hash);
    if (there.groups != at.groups || there.name.raw != at.name.raw) return;
    const unsigned lg = there.name.log_groups();
    if (there.name.depth() == 0) {
        if (lg > first_log) shrink(there);
    } else {
        merge(hash, there);
    }
}

template <unsigned W, class R, unsigned L>
bool table<W, R, L>::shrink(const place& at) noexcept {
    const unsigned lg = at.name.log_groups();
    const std::uint64_t slots = std::uint64_t{slots_per_group} << lg;
    if (count_entries(at.groups, lg) * 4 > slots) return false;
    const bool listened = growth_hook.armed();
    const std::uint64_t start = listened ? now() : 0, before = segment_bytes();
    group_type* smaller = nullptr;
    try {
        smaller = take_segment(lg - 1);
    } catch (...) {
        return false;  // the larger one serves as well
    }
    std::uint64_t moved = 0;
    if (!lock_segment(at)) {
        give_segment(smaller, lg - 1);
        return false;
    }
    if (!distribute(
            at.groups, lg, lg - 1, [&](std::uint64_t) { return smaller; }, moved)) {
        unlock_groups(at.groups, std::size_t{1} << lg);
        give_segment(smaller, lg - 1);
        return false;
    }
    const std::uint64_t name = segment_name::of<W>(smaller, lg - 1, 0).raw;
    publish(0, 0, name, name);
    unlock_groups(smaller, std::size_t{1} << (lg - 1));
    give_segment(at.groups, lg);
    counters_.resizes.fetch_add(1, std::memory_order_relaxed);
    announce(moved, 1, before, start);
    return true;
}

template <unsigned W, class R, unsigned L>
bool table<W, R, L>::merge(std::uint64_t hash, const place& seen) noexcept {
    const unsigned depth = seen.name.depth();
    const std::uint64_t bit = std::uint64_t{1} << (depth - 1);
    const place zero = locate(hash & ~bit), one = locate(hash | bit);
    if (zero.name.depth() != depth || one.name.depth() != depth) return false;
    if (zero.groups == one.groups) return false;
    const auto few = [&] {
        return (count_entries(zero.groups, L) + count_entries(one.groups, L)) * 5 <=
               most_entries * 2;
    };
    if (!few()) return false;
    const bool listened = growth_hook.armed();
    const std::uint64_t start = listened ? now() : 0, before = segment_bytes();
    group_type* both = nullptr;
    try {
        both = take_segment(L);
    } catch (...) {
        return false;
    }
    constexpr std::size_t groups = std::size_t{1} << L;
    if (!lock_segment(zero)) {
        give_segment(both, L);
        return false;
    }
    if (!lock_segment(one)) {
        unlock_groups(zero.groups, groups);
        give_segment(both, L);
        return false;
    }
    std::uint64_t moved = 0;
    const auto choose = [&](std::uint64_t) { return both; };
    if (!few() || !distribute(zero.groups, L, L, choose, moved) ||
        !distribute(one.groups, L, L, choose, moved)) {
        unlock_groups(zero.groups, groups);
        unlock_groups(one.groups, groups);
        give_segment(both, L);
        return false;
    }
    const std::uint64_t name = segment_name::of<W>(both, L, depth - 1).raw;
    publish(hash, depth - 1, name, name);
    unlock_groups(both, groups);
    give_segment(zero.groups, L);
    give_segment(one.groups, L);
    counters_.merges.fetch_add(1, std::memory_order_relaxed);
    announce(moved, pool_type::size_of(L) / 4096, before, start);
    return true;
}

}  // namespace steady::concurrent_detail
