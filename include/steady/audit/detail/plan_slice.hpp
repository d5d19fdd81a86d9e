// plan_slice.hpp - the plan of a slice: one array, and nothing that is random.
//
// Arrays of less than 16 bytes without pointers share 16-byte blocks, so such a slice
// takes from the heap 16 bytes or nothing. Growing copies an array of less than 32 KiB; from
// there on a sole array grows where it is when its neighbourhood allows, and from 1 MiB
// on always: the peak is an estimate between the new array alone and both.
#pragma once

#include "steady/audit/detail/range_of_parts.hpp"
#include "steady/audit/memory_plan.hpp"
#include "steady/slice/slice.hpp"

namespace steady::audit::detail {

template <class Growth = growth::go>
[[nodiscard]] constexpr memory_plan plan_slice(std::size_t size, std::size_t alignment,
                                               bool pointers, std::uint64_t n,
                                               const plan_options& options) {
    memory_plan p;
    p.kind = "slice";
    p.entries = n;
    p.hint = options.hint;
    p.entry_size = size;
    const auto limit = growth::max_alloc / (size == 0 ? 1 : size);
    if (n > limit || options.hint > limit) steady::detail::throw_growslice();

    std::ptrdiff_t cap = static_cast<std::ptrdiff_t>(options.hint);
    std::size_t held =
        size == 0 || cap == 0 ? 0 : growth::round_up_size(options.hint * size, alignment);
    p.allocated = held;
    const auto shares = [&](std::uint64_t asked) { return !pointers && asked != 0 && asked < 16; };
    bool still = shares(options.hint * size);  // the array lies in a shared block
    bool tiny = still;                         // this one, or one before it
    std::uint64_t peak = held, peak_high = held;
    std::uint64_t reallocations = 0;
    while (static_cast<std::uint64_t>(cap) < n) {
        const bool copies =
            static_cast<std::size_t>(cap) * size < steady::detail::grows_in_place_from;
        if (!Growth::rounds && !copies) {  // one by one and in place: what is left, at once
            reallocations += n - 1 - static_cast<std::uint64_t>(cap);
            cap = static_cast<std::ptrdiff_t>(n) - 1;
        }
        const growth::room room = growth::capacity<Growth>(size, cap, cap + 1, alignment);
        const std::uint64_t fresh = size == 0 ? 0 : growth::round_up_size(room.bytes, alignment);
        const std::uint64_t both = held + fresh;
        ++reallocations;
        const auto old = static_cast<std::uint64_t>(cap);
        p.add(growth_step{old + 1, held, copies ? both : fresh, fresh, copies ? old : 0});
        if (copies) p.moved += old;
        p.allocated += copies ? fresh : fresh - held;
        if (copies && both > peak) peak = both;
        if (both > peak_high) peak_high = both;
        held = fresh;
        still = shares(room.bytes);
        tiny = tiny || still;
        cap = size == 0 ? static_cast<std::ptrdiff_t>(n) : room.cap;
    }
    if (held > peak) peak = held;
    if (held > peak_high) peak_high = held;

    const bytes in_use{n * size}, room{static_cast<std::uint64_t>(cap) * size};
    p.expected.array = room;
    p.expected.rounding = bytes{held} - room;
    p.expected.payload = in_use;
    p.expected.vacant = room - in_use;
    p.low = p.high = p.expected;
    p.total = estimate::of(held);
    p.objects = estimate::of(held == 0 ? 0 : 1);
    p.peak = {held, peak_high, static_cast<double>(peak)};
    if (tiny) {
        // The thread keeps the block it cut such an array from, also when the array moved on.
        p.total = {still ? 0 : held, held + 16, static_cast<double>(held)};
        p.objects = {still ? 0u : 1u, 2, 1};
        p.peak.high += 16;
        if (still) {
            p.low.rounding = bytes{};
            p.high.rounding = p.high.spare = 16_B;
            p.high.vacant += 16_B;
        }
    }
    p.span_tail = span_tail_of(held);
    p.add(fact{"capacity", static_cast<double>(cap)});
    p.add(fact{"view_bytes", static_cast<double>(sizeof(slice<int>))});
    p.add(fact{"reallocations", static_cast<double>(reallocations)});
    return p;
}

}  // namespace steady::audit::detail

namespace steady::audit {

template <class T, growth::policy Growth>
struct planner<slice<T, Growth>> {
    static constexpr memory_plan make(std::uint64_t entries, const plan_options& options) {
        return detail::plan_slice<Growth>(std::is_empty_v<T> ? 0 : sizeof(T), alignof(T),
                                          !holds_no_pointers<std::remove_const_t<T>>, entries,
                                          options);
    }
};

}  // namespace steady::audit
