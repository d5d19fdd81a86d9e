// sampler.hpp - which allocations are sampled, and where sampled objects live.
//
// A heap profile with period R keeps an object of s bytes with probability
// p = 1 - exp(-s / R), as Go does. Decided per object that is a Bernoulli trial,
// so the number of objects until the next sample is geometric; it is drawn per
// class, and an exponential process being memoryless, independent classes give
// the same statistics as one process over all bytes. Each sample carries its p,
// so upper rooms weigh it by 1/p without knowing R.
//
// A class may have a period of its own: whoever listens can spend the same number of
// samples where they say more (set_class_periods). A draw remembers its period, and its
// sample carries the p of that one; what was drawn under another period and not yet made
// ready is drawn anew, which is the same as never having drawn. So estimates stay
// unbiased across changes, and no cache is emptied for one.
//
// A sampled object lives in a span of its own, whose address-map class is 0:
// free() finds it by the table it reads anyway, and objects that were not
// sampled pay nothing. Large and huge objects stay where they are; their records
// remember the sample. One that grows in place from s to t bytes and was no sample becomes
// one with 1 - exp(-(t - s) / R), as if its new bytes had been allocated; one that shrinks
// stays one with p(t) / p(s): at every size it is a sample with the p of that size.
// With guard_rate=N one in N sampled objects ends right
// before an unreadable page, and its pages become unreadable when it is freed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "steady/core/random.hpp"
#include "steady/heap/detail/span.hpp"

namespace steady::detail {

class heap_core;

class sampler {
public:
    /// Sets the period and the rate: when the heap opens, and when somebody begins to
    /// listen. What was drawn before is forgotten; caches are emptied for that.
    static void configure(std::uint64_t period, std::uint32_t guard_rate) noexcept;
    /// Changes with configure(): draws of another epoch do not count.
    [[nodiscard]] static std::uint32_t epoch() noexcept;
    /// Somebody listens or guards are wanted; otherwise nothing is drawn.
    [[nodiscard]] static bool active() noexcept;

    /// Mean bytes between samples; 0: none.
    [[nodiscard]] static std::uint64_t period() noexcept;
    /// Of one class; at least 1 while period() is not 0.
    [[nodiscard]] static std::uint64_t period_of(unsigned size_class) noexcept;
    /// periods[class_count]; 0: period(). In force until the next configure().
    static void set_class_periods(const std::uint64_t* periods) noexcept;

    /// Objects of `size` bytes that pass up to and including the next sample, >= 1.
    [[nodiscard]] static std::uint64_t draw(std::size_t size, std::uint64_t period,
                                            wyrand& random) noexcept;
    /// With which an object of `size` bytes becomes a sample.
    [[nodiscard]] static double probability(std::size_t size, std::uint64_t period) noexcept;
    [[nodiscard]] static double probability(std::size_t size) noexcept {
        return probability(size, period());
    }

    /// Puts a sampled object of class `sclass`, drawn with `period`, on pages of its own
    /// and announces it. nullptr when there is no memory: the caller then allocates as usual.
    [[nodiscard]] static void* allocate(heap_core& core, unsigned node, span_class sclass,
                                        std::size_t size, std::uint64_t period,
                                        wyrand& random) noexcept;
    /// Frees what allocate() returned. `object` must be its start.
    static void free(span* s, void* object) noexcept;
    /// Large and huge objects: each of these changes `facts`, which lies in the object's
    /// record, decides, and announces. `freed` comes before the memory is given up.
    static void large_made(sample_facts& facts, void* object, std::size_t size,
                           std::size_t requested) noexcept;
    static void large_resized(sample_facts& facts, void* object, std::size_t before,
                              std::size_t after, std::size_t requested) noexcept;
    static void large_freed(const sample_facts& facts, void* object, std::size_t size) noexcept;
    /// After large_freed and a move: to `after` bytes, or back to where it was.
    static void large_arrived(sample_facts& facts, void* object, std::size_t before,
                              std::size_t after, std::size_t requested) noexcept;

    /// First byte of the object of a sampled span.
    [[nodiscard]] static std::uintptr_t object_of(const span& s) noexcept;
};

}  // namespace steady::detail
