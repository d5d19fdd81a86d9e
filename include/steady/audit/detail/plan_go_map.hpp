// plan_go_map.hpp - the plan of Go's classic map.
//
// Overflow buckets. A bucket that N entries fall into takes (N - 1) / 8 of them, whatever
// the order in which they came, for evacuation fills buckets from the front. N is nearly
// Poisson. The array's spares are taken first; only what they do not cover is allocated.
//
// Growing. A growth from 2^b buckets begins with insert 6.5 * 2^b + 1 and each further
// insert moves the bucket it writes to and the next one in order. Let x be the share of
// buckets below the frontier and t inserts per bucket: dx/dt = e^t, so the growth is over
// after t = ln 2, with a standard deviation of 0.24 * sqrt(2^b) inserts (simulated). Never
// before half as many inserts as buckets, never after as many.
#pragma once

#include "steady/audit/detail/range_of_parts.hpp"
#include "steady/audit/memory_plan.hpp"
#include "steady/go/geometry.hpp"
#include "steady/go/map.hpp"

namespace steady::audit::detail {

[[nodiscard]] constexpr double overflow_of(std::uint64_t entries) noexcept {
    return entries == 0 ? 0 : static_cast<double>((entries - 1) / go::bucket_cells);
}

/// Overflow buckets of `entries` in 2^B buckets, of which `share` are in use.
[[nodiscard]] constexpr moments overflow_moments(std::uint64_t entries, unsigned B,
                                                 double share = 1) noexcept {
    if (B == 0) return {};
    const double buckets = static_cast<double>(std::uint64_t{1} << B);
    return of_place(static_cast<double>(entries) / buckets, overflow_of) * (buckets * share);
}

/// One way the map may stand: overflow buckets of the array and of the one being left.
struct go_case {
    std::uint64_t overflow = 0, old_overflow_outside = 0, old_list = 0;
    bool growing = false;
};

[[nodiscard]] constexpr go::map_state state_of(const go::bucket_shape& shape, std::uint64_t entries,
                                               unsigned B, const go_case& c) noexcept {
    go::map_state s;
    s.count = entries;
    s.B = B;
    s.old_B = B == 0 ? 0 : B - 1;
    s.array = entries != 0 || B != 0;
    s.growing = c.growing;
    const std::uint64_t spares = go::array_buckets(shape, B) - (std::uint64_t{1} << B);
    s.spares_used = c.overflow < spares ? c.overflow : spares;
    s.outside = c.overflow - s.spares_used;
    s.old_outside = c.growing ? c.old_overflow_outside : 0;
    s.extra = spares != 0;
    if (!shape.pointers()) {
        if (c.overflow != 0) s.list = go::list_capacity(c.overflow), ++s.lists;
        if (c.growing && c.old_list != 0) s.old_list = go::list_capacity(c.old_list), ++s.lists;
        s.extra = s.extra || s.lists != 0;
    }
    return s;
}

[[nodiscard]] constexpr memory_plan plan_go_map(const go::bucket_shape& shape, std::uint64_t n,
                                                std::uint64_t hint) {
    memory_plan p;
    p.kind = "go-map";
    p.entries = n;
    p.hint = hint;
    p.entry_size = shape.key.size + shape.elem.size;
    if (!go::hint_counts(shape, hint)) hint = 0;
    const unsigned hinted_B = go::buckets_log2(hint);
    const unsigned filled_B = go::buckets_log2(n);
    const unsigned B = filled_B > hinted_B ? filled_B : hinted_B;
    const auto spares = [&](unsigned b) {
        return go::array_buckets(shape, b) - (std::uint64_t{1} << b);
    };
    const std::uint64_t most_overflow = n == 0 ? 0 : (n - 1) / go::bucket_cells;

    // ---- How far the growth to this array has come.
    bool may_grow = false, may_rest = true;
    double moved_share = 1;
    if (B > hinted_B) {
        const std::uint64_t old_buckets = std::uint64_t{1} << (B - 1);
        const double buckets = static_cast<double>(old_buckets);
        const std::uint64_t writes = n - go::most_entries(B - 1);
        const double mean = 0.693147 * buckets - 0.3, reach = 1.44 * square_root(buckets) + 2;
        double first = mean - reach, last = mean + reach;  // the write that ends it
        if (first < buckets / 2) first = buckets / 2;
        if (last > buckets) last = buckets;
        const double w = static_cast<double>(writes);
        if (B >= 3) {
            may_grow = w < last;
            may_rest = w >= first;
            p.growing = w < mean;
        }
        if (p.growing) {
            const double grown = 1 / exp_minus(w / buckets);  // e^t
            const double frontier = grown - 1;
            moved_share = frontier >= 1 ? 1 : frontier + (1 - frontier) * (1 - 1 / grown);
        }
    }

    // ---- Overflow buckets.
    const moments all = overflow_moments(n, B);
    const estimate settled = bounded(all, most_overflow);
    const moments old_all = B == 0 ? moments{} : overflow_moments(go::most_entries(B - 1), B - 1);
    const estimate old_settled =
        B == 0 ? estimate{} : bounded(old_all, (go::most_entries(B - 1) - 1) / go::bucket_cells);
    const double old_outside = B == 0 ? 0 : excess(old_all, static_cast<double>(spares(B - 1)));

    go_case expected;
    expected.growing = p.growing;
    expected.overflow =
        static_cast<std::uint64_t>((p.growing ? all.mean * moved_share : settled.expected) + 0.5);
    expected.old_overflow_outside =
        static_cast<std::uint64_t>(old_outside * (1 - moved_share) + 0.5);
    expected.old_list = old_settled.rounded();
    const go::map_state state = state_of(shape, n, B, expected);
    const go::map_bytes expected_bytes = go::bytes_of(shape, state);
    p.expected = expected_bytes.parts;

    range_of_parts range;
    range.see(p.expected, expected_bytes.objects);
    const auto see = [&](const go_case& c, bool extra_was_made) {
        go::map_state s = state_of(shape, n, B, c);
        s.extra = s.extra || extra_was_made;
        const go::map_bytes m = go::bytes_of(shape, s);
        range.see(m.parts, m.objects);
    };
    // Some smaller array may have had overflow buckets, and then mapextra stays.
    const bool extra_early = !shape.pointers() && hinted_B < B && most_overflow != 0;
    if (may_rest) {
        for (const std::uint64_t x : {settled.low, settled.high}) {
            see({x, 0, 0, false}, false);
            if (extra_early) see({x, 0, 0, false}, true);
        }
    }
    std::uint64_t overflow_low = settled.low;
    if (may_grow) {
        const auto outside_of = [&](std::uint64_t x) {
            return x > spares(B - 1) ? x - spares(B - 1) : 0;
        };
        overflow_low = 0;
        for (const std::uint64_t x : {std::uint64_t{0}, settled.high}) {
            see({x, 0, old_settled.low, true}, false);
            see({x, outside_of(old_settled.high), old_settled.high, true}, true);
        }
    }
    range.give(p, expected_bytes.objects);
    p.overflow = {overflow_low, settled.high, static_cast<double>(expected.overflow)};

    // ---- The way there, and the most that was held on it.
    const auto bytes_at = [&](std::uint64_t entries, unsigned b, std::uint64_t overflow) {
        return go::bytes_of(shape, state_of(shape, entries, b, {overflow, 0, 0, false}))
            .parts.total()
            .count();
    };
    block_sum ever;
    const auto allocate_array = [&](unsigned b) {
        return ever.add(go::array_buckets(shape, b) * shape.bucket());
    };
    ever.add(go::header_bytes);
    // A map without pointers keeps its overflow buckets in a list that grows as Go's append.
    const auto allocate_list = [&](std::uint64_t overflow) {
        if (shape.pointers() || overflow == 0) return;
        ever.add(go::list_bytes);
        for (std::uint64_t cap = 0; cap < overflow;) {
            cap = go::list_capacity(cap + 1);
            ever.add(cap * sizeof(void*));
        }
    };
    std::uint64_t peak_low = p.total.low, peak_high = p.total.high;
    double peak = p.total.expected;
    if (hinted_B == 0 && n != 0) {
        const std::uint64_t empty = bytes_at(0, 0, 0), one = bytes_at(1, 0, 0);
        p.add(growth_step{1, empty, one, one, 0});
    }
    if (n != 0 || hinted_B != 0) allocate_array(hinted_B);
    const auto array_of = [&](unsigned b) {
        return growth::round_up_size(go::array_buckets(shape, b) * shape.bucket());
    };
    for (unsigned b = hinted_B; b < B; ++b) {
        const std::uint64_t full = go::most_entries(b);
        const moments m = overflow_moments(full, b);
        const estimate x = bounded(m, (full - 1) / go::bucket_cells);
        const std::uint64_t array = array_of(b + 1);
        // mapextra comes with the first spares.
        const std::uint64_t more =
            array + (spares(b) == 0 && spares(b + 1) != 0 && (shape.pointers() || x.rounded() == 0)
                         ? go::extra_bytes
                         : 0);
        const std::uint64_t before = bytes_at(full, b, x.rounded());
        const double own = excess(m, static_cast<double>(spares(b)));
        const auto own_buckets = static_cast<std::uint64_t>(own + 0.5);
        std::uint64_t gone = array_of(b) + own_buckets * growth::round_up_size(shape.bucket());
        if (!shape.pointers() && x.rounded() != 0) {
            gone += go::list_bytes + go::list_capacity(x.rounded()) * 8;
        }
        p.add(growth_step{full + 1, before, before + more, before + more - gone, full});
        allocate_array(b + 1);
        ever.add(shape.bucket(), own_buckets);
        allocate_list(x.rounded());
        p.moved += full;
        const double both = static_cast<double>(before + more);
        if (both > peak) peak = both;
        const std::uint64_t low = bytes_at(full, b, x.low) + array;
        const std::uint64_t high = bytes_at(full, b, x.high) + go::extra_bytes + array;
        if (low > peak_low) peak_low = low;
        // While it goes on, the new array's overflow buckets come and the old one's go.
        const std::uint64_t crowd = high + (spares(b + 1) == 0 ? 8 * shape.bucket() + 1024 : 1024);
        if (crowd > peak_high) peak_high = crowd;
    }
    p.peak = {peak_low, peak_high, peak};

    ever.add(shape.bucket(), state.outside);
    allocate_list(expected.overflow);
    if (state.extra) ever.add(go::extra_bytes);
    if (shape.key.indirect) ever.add(shape.key.size, n, shape.key.alignment);
    if (shape.elem.indirect) ever.add(shape.elem.size, n, shape.elem.alignment);
    p.allocated = ever.occupied;

    block_sum now;
    now.add(go::header_bytes);
    if (state.extra) now.add(go::extra_bytes);
    if (state.array) now.add(go::array_buckets(shape, B) * shape.bucket());
    now.add(shape.bucket(), state.outside + state.old_outside);
    if (state.growing) now.add(go::array_buckets(shape, B - 1) * shape.bucket());
    if (shape.key.indirect) now.add(shape.key.size, n, shape.key.alignment);
    if (shape.elem.indirect) now.add(shape.elem.size, n, shape.elem.alignment);
    p.span_tail = now.span_tail;

    const double buckets = static_cast<double>(std::uint64_t{1} << B);
    p.add(fact{"B", static_cast<double>(B)});
    p.add(fact{"buckets", buckets});
    p.add(fact{"bucket_size", static_cast<double>(shape.bucket())});
    p.add(fact{"spare_buckets", static_cast<double>(spares(B))});
    p.add(fact{"overflow_in_spares", static_cast<double>(state.spares_used)});
    p.add(fact{"overflow_outside", static_cast<double>(state.outside)});
    p.add(fact{"entries_per_bucket", static_cast<double>(n) / buckets});
    p.add(fact{"grows_after", static_cast<double>(go::most_entries(B))});
    return p;
}

}  // namespace steady::audit::detail

namespace steady::audit {

template <class K, class V, class Hash, class Eq>
struct planner<go::map<K, V, Hash, Eq>> {
    static constexpr memory_plan make(std::uint64_t entries, const plan_options& options) {
        return detail::plan_go_map(go::bucket_of<K, V>, entries, options.hint);
    }
};

}  // namespace steady::audit
