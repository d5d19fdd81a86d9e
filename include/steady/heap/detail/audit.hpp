// audit.hpp - the heap checks itself: every invariant that can be recomputed is,
// and the ledgers are added up against each other, to the byte. It holds every lock
// meanwhile; other threads wait for it in their slow paths.
#pragma once

#include "steady/core/fatal.hpp"

namespace steady::detail {

/// Recomputes S1..S4, C1, A1, A2, P1 and P2, the page heaps' and huge blocks' own
/// invariants, of the default heap, the heap's own records and every instance. Returns
/// false for the first broken one, and says which in `why`.
/// Cost: a walk over all spans. Takes every lock from `registry` on.
[[nodiscard]] bool audit_heap(message& why) noexcept;

}  // namespace steady::detail
