// audit.hpp - the heap checks itself: every invariant that can be recomputed is,
// and the ledgers are added up against each other. Meant for a heap at rest;
// other threads must not be inside it.
#pragma once

#include "steady/core/fatal.hpp"

namespace steady::detail {

/// Recomputes S1, S2, S4, C1, A1, A2, P1 and P2, the page heaps' and huge blocks'
/// own invariants. Returns false for the first broken one, and says which in `why`.
/// Cost: a walk over all spans. Takes the heap's locks, one structure at a time.
[[nodiscard]] bool audit_heap(message& why) noexcept;

}  // namespace steady::detail
