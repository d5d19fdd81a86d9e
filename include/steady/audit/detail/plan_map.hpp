// plan_map.hpp - the plan of steady::map and steady::set, from the table's own outlook.
//
// Clusters, segments and nodes are exact. What the hash decides is how many entries a
// cluster of 240 slots gets beyond 240: blocks of 60 slots are chained to it. The lower
// bound is 0, for a hash may spread entries more evenly than chance would.
#pragma once

#include "steady/audit/detail/range_of_parts.hpp"
#include "steady/audit/memory_plan.hpp"
#include "steady/map/map.hpp"
#include "steady/map/outlook.hpp"
#include "steady/map/set.hpp"

namespace steady::audit::detail {

/// Asks the table: entries, reserved.
template <class Ask>
[[nodiscard]] constexpr memory_plan plan_map(Ask ask, std::uint64_t n, const plan_options& options,
                                             std::size_t entry_size) {
    memory_plan p;
    p.kind = "map";
    p.entries = n;
    p.hint = options.hint;
    p.entry_size = entry_size;
    p.allocator = options.allocator;
    p.rounding_is_the_allocators = true;

    struct account {
        memory_parts parts;
        block_sum blocks;
        std::uint64_t mapped = 0;
    };
    const auto request = [](const map_outlook::block& b) {
        return (b.size + b.alignment - 1) / b.alignment * b.alignment;
    };
    const auto account_of = [&options, request](const map_outlook& o, std::uint64_t chained) {
        account a{o.memory, {options.allocator}, 0};
        // What the table maps itself is in `parts` and in no block: nobody rounds it.
        std::uint64_t asked = o.chained.size * chained;
        for (std::size_t i = 0; i < o.block_count; ++i) {
            asked += o.blocks[i].size * o.blocks[i].count;
            a.blocks.add(request(o.blocks[i]), o.blocks[i].count, o.blocks[i].alignment);
        }
        if (chained != 0) {
            a.blocks.add(request(o.chained), chained, o.chained.alignment);
            for (const auto field :
                 {&memory_parts::overflow, &memory_parts::vacant, &memory_parts::padding,
                  &memory_parts::metadata, &memory_parts::links}) {
                a.parts.*field += o.of_chained.*field * chained;
            }
        }
        a.mapped = a.parts.total().count() - asked;
        a.parts.rounding = bytes{a.blocks.occupied - asked};
        return a;
    };
    const auto chained_of = [](const map_outlook& o) {
        const auto blocks = [&o](std::uint64_t entries) {
            if (entries <= o.cluster_slots) return 0.0;
            return static_cast<double>((entries - o.cluster_slots + o.chained_slots - 1) /
                                       o.chained_slots);
        };
        moments m;
        double last_share = -1;
        moments of_one;
        for (std::size_t i = 0; i < o.load_count; ++i) {
            if (o.loads[i].share != last_share) {
                last_share = o.loads[i].share;
                of_one = of_place(static_cast<double>(o.entries) * last_share, blocks);
            }
            m = m + of_one * static_cast<double>(o.loads[i].clusters);
        }
        return m;
    };

    const map_outlook o = ask(n, options.hint);
    const moments chained = chained_of(o);
    estimate blocks = o.clusters == 0 ? estimate{} : bounded(chained, n / o.chained_slots + 1);
    blocks.low = 0;
    if (o.clusters != 0) ++blocks.high;  // a spare one stays from one split to the next
    const account expected = account_of(o, blocks.rounded());
    p.expected = expected.parts;
    p.mapped_itself = expected.mapped;
    range_of_parts range;
    for (const std::uint64_t x : {blocks.rounded(), blocks.low, blocks.high}) {
        const account a = account_of(o, x);
        range.see(a.parts, a.blocks.objects);
    }
    range.give(p, expected.blocks.objects);
    p.overflow = {blocks.low, blocks.high, blocks.expected};
    p.span_tail = expected.blocks.span_tail;
    p.moved = o.moved_by_doubling + static_cast<std::uint64_t>(o.moved_by_splits + 0.5);
    block_sum ever{options.allocator};
    for (std::size_t i = 0; i < o.replaced_count; ++i) {
        ever.add(request(o.replaced[i]), o.replaced[i].count, o.replaced[i].alignment);
    }
    p.allocated = expected.blocks.occupied + expected.mapped + ever.occupied;

    // ---- The way there: small doublings, then a cluster at a time; every doubling is shown.
    const auto total_at = [&](std::uint64_t entries) {
        const map_outlook at = ask(entries, options.hint);
        return account_of(at, bounded(chained_of(at), ~std::uint64_t{0}).rounded())
            .parts.total()
            .count();
    };
    std::uint64_t peak = p.expected.total().count();
    std::uint64_t at = options.hint == 0 ? 1 : o.grows_after + 1;
    std::uint64_t moved_before = 0;
    while (at <= n) {
        const map_outlook now = ask(at, options.hint);
        const std::uint64_t before = at == 1 ? 0 : total_at(at - 1), after = total_at(at);
        const std::uint64_t moved =
            now.moved_by_doubling + static_cast<std::uint64_t>(now.moved_by_splits);
        std::uint64_t both = after > before ? after : before;
        if (now.doubling_at == at) {
            both = before + after;  // a small map: both blocks are held
        }
        if (both > peak) peak = both;
        p.add(growth_step{at, before, both, after, moved - moved_before});
        moved_before = moved;
        at = now.clusters == 0 ? now.grows_after + 1 : 2 * at;
    }
    if (o.doubling_bytes > peak) peak = o.doubling_bytes;
    const std::uint64_t peak_low = peak < p.total.low ? peak : p.total.low;
    p.peak = {peak_low, (peak > p.total.high ? peak : p.total.high) + 8 * o.chained.size,
              static_cast<double>(peak)};

    p.add(fact{"clusters", static_cast<double>(o.clusters)});
    p.add(fact{"slots", static_cast<double>(o.slots)});
    p.add(fact{"chained_blocks", blocks.expected});
    p.add(fact{"load", o.slots == 0 ? 0.0 : static_cast<double>(n) / static_cast<double>(o.slots)});
    p.add(fact{"grows_after", static_cast<double>(o.grows_after)});
    p.add(fact{"untouched_bytes", static_cast<double>(o.memory.spare.count())});
    return p;
}

/// Of slots known by their size: for whoever gets types at run time.
struct slot_numbers {
    std::size_t slot = 0;  // bytes of a slot, kept hash and padding included
    std::size_t alignment = 8;
    std::size_t payload = 0;  // key and value
    std::size_t node = 0;     // bytes of an entry out of line; 0: it stands in its slot
    std::size_t node_alignment = 8;
    bool keeps_hash = false;
};
/// The slot that steady::map makes of a key and a value; value 0: steady::set.
[[nodiscard]] slot_numbers slot_of(std::size_t key, std::size_t key_alignment, std::size_t value,
                                   std::size_t value_alignment, bool cheap_to_hash) noexcept;
/// As map::outlook, of a map with such slots and std::allocator.
[[nodiscard]] map_outlook outlook_of(const slot_numbers& slot, std::uint64_t entries,
                                     std::uint64_t reserved) noexcept;

}  // namespace steady::audit::detail

namespace steady::audit {

template <class K, class V, class H, class E, class A, bool Stable>
struct planner<map<K, V, H, E, A, Stable>> {
    static memory_plan make(std::uint64_t entries, const plan_options& options) {
        return detail::plan_map(map<K, V, H, E, A, Stable>::outlook, entries, options,
                                sizeof(K) + sizeof(V));
    }
};

template <class K, class H, class E, class A, bool Stable>
struct planner<set<K, H, E, A, Stable>> {
    static memory_plan make(std::uint64_t entries, const plan_options& options) {
        return detail::plan_map(set<K, H, E, A, Stable>::outlook, entries, options, sizeof(K));
    }
};

}  // namespace steady::audit
