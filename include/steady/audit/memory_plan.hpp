// memory_plan.hpp - what a plan says: every part in bytes, with bounds where the hash decides,
// the way from the first entry to the last, and its peak. plan.hpp makes plans.
//
// Terms   entry, element: what the container holds.   hint: room asked for beforehand.
//         peak: the most bytes that are held at one time until `entries` are in.
//         allocated: bytes ever handed out until then; what a collector would have to free.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "steady/audit/allocator_model.hpp"
#include "steady/audit/detail/chance.hpp"
#include "steady/core/memory_parts.hpp"

namespace steady::audit {

using detail::estimate;

/// Counts of this size and above are refused by everybody who asks a person for one.
inline constexpr std::uint64_t most_entries = std::uint64_t{1} << 48;

struct plan_options {
    /// Entries that room is made for at once; 0: the container grows from nothing.
    std::uint64_t hint = 0;
    /// Who hands out the blocks of steady::map and unordered_map.
    allocator_model allocator = allocator_model::steady_heap;
};

/// A growth on the way to `entries`.
struct growth_step {
    std::uint64_t at = 0;      // the insert that begins it, counted from 1
    std::uint64_t before = 0;  // bytes
    std::uint64_t both = 0;    // while the old place and the new one are held
    std::uint64_t after = 0;
    std::uint64_t moved = 0;  // entries that move because of it
};

/// A number worth knowing about this kind of container: buckets, load, capacity.
struct fact {
    const char* name = nullptr;
    double value = 0;
};

struct memory_plan {
    const char* kind = "";  // static text
    std::uint64_t entries = 0;
    std::uint64_t hint = 0;
    std::size_t entry_size = 0;  // key and value, without padding
    allocator_model allocator = allocator_model::steady_heap;

    memory_parts expected;            // numbers that the hash decides, rounded to whole objects
    memory_parts low, high;           // field by field; equal to `expected` where nothing is random
    estimate total;                   // bytes
    estimate objects;                 // that the allocator hands out
    estimate overflow;                // overflow buckets, or chained blocks
    estimate peak;                    // bytes held at one time
    double span_tail = 0;             // their share of what spans lose at their ends, bytes
    std::uint64_t allocated = 0;      // bytes ever handed out or mapped (expected)
    std::uint64_t moved = 0;          // entries moved on the way (expected)
    std::uint64_t mapped_itself = 0;  // bytes in `total` that come from no allocator
    bool growing = false;             // a growth is under way, more likely than not
    /// The container does not know its allocator: its memory() leaves `rounding` at 0.
    bool rounding_is_the_allocators = false;

    static constexpr std::size_t most_steps = 160, most_facts = 12;
    std::array<growth_step, most_steps> steps{};
    std::size_t step_count = 0;
    std::array<fact, most_facts> facts{};
    std::size_t fact_count = 0;

    [[nodiscard]] constexpr double bytes_per_entry() const noexcept {
        return entries == 0 ? 0 : total.expected / static_cast<double>(entries);
    }
    /// Payload per byte.
    [[nodiscard]] constexpr double density() const noexcept {
        return total.expected == 0 ? 0
                                   : static_cast<double>(expected.payload.count()) / total.expected;
    }
    /// 0 when there is no such fact.
    [[nodiscard]] constexpr double fact_named(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < fact_count; ++i) {
            if (facts[i].name == name) return facts[i].value;
        }
        return 0;
    }
    constexpr void add(fact f) noexcept { facts[fact_count++] = f; }
    constexpr void add(growth_step s) noexcept {
        if (step_count < most_steps) steps[step_count++] = s;
    }
};

/// Whether a container that exists is as planned: every field between its bounds.
[[nodiscard]] constexpr bool check(const memory_plan& plan, const memory_parts& seen) noexcept {
    const auto within = [&](bytes memory_parts::*field) {
        return plan.low.*field <= seen.*field && seen.*field <= plan.high.*field;
    };
    return within(&memory_parts::header) && within(&memory_parts::extra) &&
           within(&memory_parts::array) && within(&memory_parts::spare) &&
           within(&memory_parts::overflow) && within(&memory_parts::old) &&
           within(&memory_parts::nodes) &&
           (plan.rounding_is_the_allocators || within(&memory_parts::rounding)) &&
           within(&memory_parts::payload) && within(&memory_parts::vacant) &&
           within(&memory_parts::padding) && within(&memory_parts::metadata) &&
           within(&memory_parts::links) &&
           (plan.rounding_is_the_allocators || plan.total.contains(seen.total().count()));
}

/// How to plan a container: specialised for each kind, in detail/.
template <class Container>
struct planner;

}  // namespace steady::audit
