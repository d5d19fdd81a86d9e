// plan.hpp - the bytes of a container before it exists.
//
//   constexpr auto p = audit::plan<go::map<std::int64_t, std::string_view>>(100'000,
//                                                                    {.hint = 100'000});
//   static_assert(p.expected.header == 48_B && p.total.contains(3'967'880));
//
// What follows from counts and types alone is exact: p.low and p.high agree there. What
// the hash decides (overflow buckets, chained blocks) is an expected value between bounds
// that one hash in a hundred million leaves (detail/chance.hpp). Once such a container
// exists, its memory() has the same fields, and audit::check(plan, memory) compares.
//
//   go::map         the heap's rounding is in the plan: a go::map always lives there
//   steady::map     its blocks, rounded as the allocator in use would (allocator_model)
//   slice           one array, with the capacity that appending arrives at
//   unordered_map   libstdc++'s nodes and bucket arrays; its own prime numbers are asked
//
// What a plan says is in memory_plan.hpp.
#pragma once

#include <cstdint>

#include "steady/audit/detail/plan_go_map.hpp"
#include "steady/audit/detail/plan_map.hpp"
#include "steady/audit/detail/plan_slice.hpp"
#include "steady/audit/detail/plan_unordered_map.hpp"
#include "steady/audit/memory_plan.hpp"

namespace steady::audit {

/// The plan of a Container with so many entries.
///
/// Returns    every part in bytes. Counts up to 2^48.
/// Cost       O(log entries); at compile time too, except for unordered_map.
/// Threads    any.
template <class Container>
[[nodiscard]] constexpr memory_plan plan(std::uint64_t entries, const plan_options& options = {}) {
    return planner<Container>::make(entries, options);
}

}  // namespace steady::audit
