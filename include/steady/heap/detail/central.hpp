// central.hpp - hands out the objects of one span class from its spans'
// bitmaps and takes them back, a magazine at a time.
//
//   partial:  first -> | span | -> | span | -> ... -> | span | <- last
//              taken from here                     freed spans join here
//
// First in, first out: the span that got its first object back longest ago is
// used first. It has had the most time to collect further free objects, so one
// visit fills a whole magazine; taking the span freed last makes every refill
// of a random workload find a single free object (measured: 88-124 ns against
// 21-26 ns an object at 100,000 live ones).
//
// An empty span goes back to the page heap, but for one a class of up to 16 KiB: the
// first to become empty stays until its objects are wanted, or until trim(). A class that
// swings around a span's boundary would otherwise pay for a new span each time. Spans that
// were made in a row with another and wait for their first object are empty, too.
//
// Invariants S1, S2 of span.hpp; and
//   C1  spans counts every span of the class, partial or full, and objects_out the
//       objects of them that are not in a span.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/heap/detail/magazine.hpp"
#include "steady/heap/detail/span.hpp"
#include "steady/heap/lock_order.hpp"

namespace steady::detail {

struct alignas(64) central_list {
    ranked_mutex<lock_rank::central> lock;
    std::uint32_t empty_spans{0};  // wholly free spans kept in the list
    span* first{nullptr};
    span* last{nullptr};
    std::uint64_t spans{0};
    std::uint64_t objects_out{0};  // bits that are 0
    // Counts of objects that went in and out without a thread cache.
    std::uint64_t direct_allocated{0};
    std::uint64_t direct_freed{0};
};
static_assert(sizeof(central_list) == 64,
              "one cache line a class: threads on neighbouring classes do not collide");

/// Counts that pass no cache and no span: those of huge blocks.
struct huge_counts {
    std::atomic<std::uint64_t> allocated{0}, freed{0}, bytes_allocated{0}, bytes_freed{0};
};

/// Where spans come from and go to: a core owns one central per span class, and
/// either is the default heap or belongs to a heap instance.
class heap_core {
public:
    constexpr heap_core() noexcept = default;

    /// Takes up to `want` objects of `sclass` and returns how many; 0 means that the
    /// OS refused memory or a limit was reached. They fill slots downwards from
    /// `end`, in ascending order of address within each span, so that whoever pops
    /// from the top walks up through memory. Without `may_grow` only existing spans.
    /// Cost: O(want) and, rarely, a new span. Threads: any; takes `central`.
    std::size_t take(unsigned node, span_class sclass, slot* end, std::size_t want,
                     bool may_grow = true) noexcept;

    /// Gives back the empty spans that are kept for later. Cost: a
    /// walk over the partial lists of classes that have one. Threads: any.
    void trim_empty() noexcept;

    /// Returns objects of `sclass`, of any spans and nodes of this core.
    /// A bit that is already free, or an address that is no object's start, is
    /// fatal: a double or an invalid free.
    void put(span_class sclass, const slot* objects, std::size_t count) noexcept;

    [[nodiscard]] central_list& central(unsigned node, span_class sclass) noexcept {
        return centrals_[node * span_class_count + sclass];
    }
    [[nodiscard]] bool is_default() const noexcept { return default_; }

    central_list* centrals_ = nullptr;  // node_count * span_class_count
    unsigned nodes_ = 1;
    bool default_ = false;
    // Heap instances only: every span they own, and their large objects' counts.
    span* all_spans_ = nullptr;
    std::uint64_t large_allocated_ = 0, large_freed_ = 0;
    std::uint64_t large_bytes_allocated_ = 0, large_bytes_freed_ = 0;
    huge_counts huge_;

private:
    std::size_t take_locked(central_list& list, unsigned node, span_class sclass, slot* end,
                            std::size_t want, bool may_grow) noexcept;
    static std::size_t put_run(span& s, const slot* objects, std::size_t count) noexcept;
    void returned(central_list& list, span* s, std::size_t count) noexcept;
};

}  // namespace steady::detail
