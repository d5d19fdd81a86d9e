// numa.hpp - which memory is near which processor: as many answers as the heap needs to
// keep one page heap per node.
//
// On a machine with one node (the rule) nothing here makes a system call: there is one
// node, it is node 0, and binding to it is done.
//
// STEADY_DEBUG=pretend_nodes=N acts as if there were N: a thread's node is its id modulo
// N, and bind() writes down what it would have bound. So the paths for several nodes are
// tested on every machine.

#pragma once

#include "steady/core/result.hpp"
#include "steady/core/units.hpp"

namespace steady::os {

/// Node numbers are below this everywhere in steady; nodes beyond share the last number.
inline constexpr unsigned node_limit = 64;

/// One more than the highest node number, at least 1. Asked once.
unsigned node_count() noexcept;

/// The node of the processor this thread is running on, below node_count().
///
/// Cost       0.2 us with several nodes, nothing with one: ask at refill, not at malloc.
unsigned current_node() noexcept;

/// Prefers memory of this node for pages of the range that are not resident yet.
///
/// Returns    errc::unsupported or not_permitted (containers often forbid it); the memory
///            works all the same.
result<void> bind(void* start, bytes length, unsigned node) noexcept;

/// What bind() was asked for this node while pretending.
bytes pretended_binding(unsigned node) noexcept;

}  // namespace steady::os
