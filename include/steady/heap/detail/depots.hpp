// depots.hpp - the full magazines of every span class, between the threads and
// the centrals, bounded in bytes.
//
// What the depot holds keeps spans from emptying, so three things limit it:
//   bound    objects for a 64th of the heap (512 KiB in a small one), and magazines
//            that take a 128th of it, from 96 KiB on only in pages that lie free;
//            beyond it objects go straight to their spans. A program that frees
//            millions of small objects at its end would otherwise reach its highest
//            resident set while it tidies up: 8 bytes an object
//   need     the fewest magazines a depot held since the last trim are magazines
//            nobody would have missed: the scavenger returns them each tick
//   relief   before anybody takes fresh pages from the OS, some magazines are
//            returned first: free objects of one class never make another class
//            grow the process
//
// Source: Bonwick and Adams, "Magazines and Vmem", USENIX 2001, for the working
// set estimate.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/result.hpp"
#include "steady/heap/detail/magazine.hpp"
#include "steady/heap/detail/span.hpp"

namespace steady::detail {

class heap_core;

class depot_set {
public:
    constexpr depot_set() noexcept = default;

    [[nodiscard]] result<void> open(unsigned nodes) noexcept;

    /// Whether there is a full magazine, a moment's answer. Cost: a load. Threads: any.
    [[nodiscard]] bool has_any(unsigned node, span_class sclass) const noexcept {
        return !at(node, sclass).full.empty();
    }
    /// A full magazine, or nullptr. The caller owns it. Cost: one exchange. Threads: any.
    [[nodiscard]] magazine* take(unsigned node, span_class sclass) noexcept;
    /// Gives up a full magazine (`count` set).
    void put(unsigned node, span_class sclass, magazine* full) noexcept;
    /// Whether another magazine fits the bound. Cost: two loads.
    [[nodiscard]] bool has_room() const noexcept;

    /// Called before fresh pages are taken from the OS: returns a few magazines to
    /// their spans. Cost: a load; or for 2,000 objects 4 us when they lie in a row, 20 to
    /// 60 us (measured; 150 at worst) when each lies in another span. Takes `central`.
    void relieve(heap_core& core) noexcept;

    /// Returns magazines nobody needed since the last trim to their spans, at
    /// most `budget` of them; `all` empties the depots. Returns how many went.
    std::size_t trim(heap_core& core, std::size_t budget, bool all) noexcept;

    [[nodiscard]] std::size_t held_bytes() const noexcept {
        return static_cast<std::size_t>(bytes_in(held_.load(std::memory_order_relaxed)));
    }

private:
    // What is held is one word, for one locked addition: magazines above, bytes below. It is
    // added before a push and taken off after a pop, hence never below the truth.
    static constexpr unsigned byte_bits = 40;  // 1 TiB, the heap's area
    static constexpr std::int64_t one_magazine = std::int64_t{1} << byte_bits;
    static constexpr std::int64_t bytes_in(std::int64_t held) noexcept {
        return held & (one_magazine - 1);
    }
    static constexpr std::int64_t magazines_in(std::int64_t held) noexcept {
        return held >> byte_bits;
    }

    [[nodiscard]] depot& at(unsigned node, span_class sclass) const noexcept {
        return depots_[node * span_class_count + sclass];
    }

    depot* depots_ = nullptr;
    unsigned nodes_ = 0;
    std::atomic<std::int64_t> held_{0};
    std::atomic<unsigned> next_trimmed_{0};  // where the last trim stopped
};

extern depot_set depots;

}  // namespace steady::detail
