// reconcile.hpp - the sum of all ledgers against what the kernel says is mapped.
//
//   ledgers of os        reserved + prepared + ready          every byte os has mapped
//   list of os           where these bytes lie                (os/mappings.hpp)
//   /proc/self/maps      what is mapped at these addresses
//   the heap's own sums  spans, pages, huge blocks, records, tables = ready: recomputed by
//                        a walk over all spans (steady::check_heap)
//   /proc/self/smaps     how much of it is resident           <= ready
//
// Three counts of the same bytes, kept by different code, and one by the kernel. All
// differences are 0 whenever no call into the heap is under way.
#pragma once

#include <cstdint>
#include <string>

#include "steady/core/units.hpp"

namespace steady::audit {

struct reconciliation {
    bytes reserved, prepared, ready, plain;  // ledgers of os; plain is part of ready
    bytes listed;                            // sum over the list
    bytes mapped;                            // at the listed addresses, says the kernel
    bytes resident;                          // pages of these, says the kernel
    std::uint64_t ranges = 0;                // entries of the list
    std::uint64_t heap_spans = 0, heap_idle = 0, records = 0, tables = 0;  // the heap's view
    bool heap_is_sound = false;  // its ledgers agree with a walk over all spans
    char why_not[256] = {};      // what the walk found

    [[nodiscard]] bytes ledgers() const noexcept { return reserved + prepared + ready; }
    /// What the kernel has mapped less what the ledgers say.
    [[nodiscard]] std::int64_t difference() const noexcept {
        return static_cast<std::int64_t>(mapped.count()) -
               static_cast<std::int64_t>(ledgers().count());
    }
    /// The list less the ledgers.
    [[nodiscard]] std::int64_t list_difference() const noexcept {
        return static_cast<std::int64_t>(listed.count()) -
               static_cast<std::int64_t>(ledgers().count());
    }
    [[nodiscard]] bool exact() const noexcept {
        return difference() == 0 && list_difference() == 0 && heap_is_sound && resident <= ready;
    }
};

/// Adds everything up, and asks the kernel.
///
/// Cost       reads /proc/self/maps and smaps: some 100 us and more, by the number of
///            mappings; the kernel walks the resident pages.
/// Threads    any, but exact only while no other thread is inside the heap.
[[nodiscard]] reconciliation reconcile();

/// The account as lines of text, differences last.
[[nodiscard]] std::string to_text(const reconciliation& r);

}  // namespace steady::audit
