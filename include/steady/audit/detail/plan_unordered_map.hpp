// plan_unordered_map.hpp - the plan of std::unordered_map as libstdc++ lays it out.
//
//   bucket array   | * | * | * | ...     8 bytes a bucket, a prime number of them; one
//                    |                   bucket alone lies in the object itself
//                    v
//   node           | next | key, value | hash |     the hash only where it is dear
//
// Nothing is random: each entry is a node, and the prime numbers are asked of the library's
// own policy. Its growth holds both bucket arrays; nodes stay where they are.
#pragma once

#if __has_include(<bits/hashtable_policy.h>)

#include <functional>
#include <unordered_map>

#include "steady/audit/detail/range_of_parts.hpp"
#include "steady/audit/memory_plan.hpp"

namespace steady::audit::detail {

struct node_numbers {
    std::size_t size = 0;
    std::size_t alignment = 8;
    std::size_t payload = 0;
    bool keeps_hash = false;
};
[[nodiscard]] constexpr node_numbers node_of(std::size_t key, std::size_t key_alignment,
                                             std::size_t value, std::size_t value_alignment,
                                             bool keeps_hash) noexcept {
    const std::size_t widest = key_alignment > value_alignment ? key_alignment : value_alignment;
    const std::size_t pair = round_up(round_up(key, value_alignment) + value, widest);
    const std::size_t alignment = widest > 8 ? widest : 8;
    std::size_t size = round_up(8, widest) + pair;
    if (keeps_hash) size = round_up(size, 8) + 8;
    return {round_up(size, alignment), alignment, key + value, keeps_hash};
}

[[nodiscard]] inline memory_plan plan_unordered_map(const node_numbers& node, std::uint64_t n,
                                                    const plan_options& options) {
    memory_plan p;
    p.kind = "std";
    p.entries = n;
    p.hint = options.hint;
    p.entry_size = node.payload;
    p.allocator = options.allocator;
    const auto array = [&](std::uint64_t buckets) {
        return buckets == 1 ? 0 : occupied(options.allocator, buckets * sizeof(void*));
    };
    const std::uint64_t each = occupied(options.allocator, node.size, node.alignment);

    std::__detail::_Prime_rehash_policy policy;
    std::uint64_t buckets = 1, peak = 0;
    if (options.hint != 0) {
        buckets = policy._M_next_bkt(policy._M_bkt_for_elements(options.hint));
        p.allocated += array(buckets);
    }
    for (std::uint64_t full = policy._M_state(); full < n; full = policy._M_state()) {
        const auto [grows, more] = policy._M_need_rehash(buckets, full, 1);
        if (!grows) break;
        const std::uint64_t before = array(buckets) + full * each;
        const std::uint64_t both = before + array(more);
        p.add(growth_step{full + 1, before, both, both - array(buckets), 0});
        p.allocated += array(more);
        // The node of the insert that grows is there already.
        if (both + each > peak) peak = both + each;
        buckets = more;
    }
    block_sum now{options.allocator};
    if (buckets != 1) now.add(buckets * sizeof(void*));
    now.add(node.size, n, node.alignment);
    p.expected.array = bytes{buckets == 1 ? 0 : buckets * sizeof(void*)};
    p.expected.nodes = bytes{n * node.size};
    p.expected.rounding = bytes{now.occupied - now.requested};
    p.expected.payload = bytes{n * node.payload};
    p.expected.links = p.expected.array + bytes{n * sizeof(void*)};
    p.expected.metadata = bytes{node.keeps_hash ? n * sizeof(std::size_t) : 0};
    p.expected.padding =
        p.expected.nodes - bytes{n * sizeof(void*)} - p.expected.payload - p.expected.metadata;
    p.low = p.high = p.expected;
    p.total = estimate::of(now.occupied);
    p.objects = estimate::of(now.objects);
    if (now.occupied > peak) peak = now.occupied;
    p.peak = estimate::of(peak);
    p.allocated += n * each;
    p.span_tail = now.span_tail;
    p.add(fact{"buckets", static_cast<double>(buckets)});
    p.add(fact{"node_size", static_cast<double>(node.size)});
    p.add(fact{"load", static_cast<double>(n) / static_cast<double>(buckets)});
    p.add(fact{"grows_after", static_cast<double>(policy._M_state())});
    return p;
}

}  // namespace steady::audit::detail

namespace steady::audit {

template <class K, class V, class H, class E, class A>
struct planner<std::unordered_map<K, V, H, E, A>> {
    static constexpr bool keeps_hash = std::__cache_default<K, H>::value;
    using node = std::__detail::_Hash_node<std::pair<const K, V>, keeps_hash>;

    static memory_plan make(std::uint64_t entries, const plan_options& options) {
        return detail::plan_unordered_map(
            {sizeof(node), alignof(node), sizeof(K) + sizeof(V), keeps_hash}, entries, options);
    }
};

}  // namespace steady::audit

#endif
