// group.hpp - compares the tags of a group in one step. The only file that asks
// which processor this is.
//
// Terms   tag: one byte derived from a key's hash; 0 means empty.
//         group: 8 or 16 tags read at once.
//
//   group16 g{tags};
//   for (unsigned slot : g.match(tag)) ...              slots that may hold the key
//   if (g.match_empty()) ...                            the search may end here
//
// A group of 15 tags and one byte of something else:
//
//   constexpr auto tags_only = group16::mask::first(15);
//   for (unsigned slot : g.match(tag, tags_only)) ...
//
// Each variant is one small file; portable.hpp is the specification, and
// tests/core/group_test.cpp asks every variant for equal bits. Maps then iterate
// in the same order on every machine.

#pragma once

#include "steady/core/group/mask.hpp"

#if !defined(STEADY_PORTABLE) && defined(__SSE2__)

#include "steady/core/group/sse2.hpp"
namespace steady {
template <unsigned Tags>
using group = group_sse2<Tags>;
}

#elif !defined(STEADY_PORTABLE) && defined(__ARM_NEON)

#include "steady/core/group/neon.hpp"
namespace steady {
template <unsigned Tags>
using group = group_neon<Tags>;
}

#else

#include "steady/core/group/portable.hpp"
namespace steady {
template <unsigned Tags>
using group = group_portable<Tags>;
}

#endif

namespace steady {

using group8 = group<8>;
using group16 = group<16>;

static_assert(tag_group<group8> && tag_group<group16>);

}  // namespace steady
