// pages.hpp - charges each stack with the pages it keeps the heap from giving back.
//
//   heap_inuse   pages of spans and huge blocks
//   heap_alloc   bytes of live objects
//   the rest is fragmentation: free objects between live ones, the tails of spans, and
//   what lies in thread caches
//
// A class's waste (its spans' bytes - its live objects' bytes) is there because objects of
// that class are alive, so it is shared among them: each stack gets the part of its class's
// waste that it has of the class's estimated live objects. The sum over all stacks is
// heap_inuse - heap_alloc to the byte; what belongs to classes of which no live object was
// sampled, to the heap's own records and to heap instances is in the line "[not sampled]".
//
// A sampled object lies on pages of its own, whose waste is its stack's alone.
//
// resident_space: the kernel is asked about the pages of each live sample (mincore). Of a
// class's free objects the same share counts as resident as of its sampled ones.
#pragma once

#include <cstdint>
#include <vector>

#include "estimate.hpp"

namespace steady::profile::detail {

/// Fills in frag_space and resident_space of estimate()'s result, from the counts it was made with.
void charge_pages(std::vector<raw_sample>& samples, const std::vector<live_part>& parts,
                  const heap_statistics& counts);

}  // namespace steady::profile::detail
