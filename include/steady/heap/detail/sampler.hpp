// sampler.hpp - which allocations are sampled, and where sampled objects live.
//
// With period R an object of s bytes is sampled with probability p = min(1, s / R), which for
// an expected number of samples makes the error of the bytes least. Small objects are drawn in
// strata: of each 1 / p that pass, in one thread and of one class, one is the sample, and which
// one is drawn evenly. So every object has the same chance, as with independent draws, but the
// samples are spread: a stack that makes every third object of a class gets a third of its
// samples, and not a third plus or minus a root. 1 / p is rarely whole; strata then have one of
// the two whole numbers around it, and each sample carries 1 / that number. Upper rooms weigh
// it by 1/p without knowing R.
//
//   until_sample = rest of the last stratum + the drawn place in this one
//   |  .  .  .  x  .  .  |  .  x  .  .  .  .  |  .  .  .  .  x  .  |     one class, n = 6
//               '- rest -'- -'
//
// A class may have a period of its own: whoever listens can spend the same number of
// samples where they say more (set_class_periods). It is in force from the next stratum on:
// one that was begun is finished as it was drawn, so that every object keeps exactly the
// chance that its sample reports.
//
// A sampled object lives in a span of its own, whose address-map class is 0:
// free() finds it by the table it reads anyway, and objects that were not
// sampled pay nothing. Large and huge objects stay where they are; their records
// remember the sample. One that grows in place from s to t bytes and was no sample becomes
// one with (p(t) - p(s)) / (1 - p(s)); one that shrinks stays one with p(t) / p(s): at every
// size it is a sample with the p of that size. They are drawn one by one.
// With guard_rate=N one in N sampled objects ends right
// before an unreadable page, and its pages become unreadable when it is freed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/hooks.hpp"
#include "steady/core/random.hpp"
#include "steady/heap/detail/span.hpp"

namespace steady::detail {

class heap_core;

// What refills ask: read there and written by the sampler alone.
struct sampling_state {
    std::atomic<std::uint32_t> epoch{0};
    std::atomic<std::uint32_t> guard_rate{0};
    std::atomic<bool> active{false};
    std::atomic<std::uint64_t> period{0};
    std::atomic<std::uint64_t> class_period[class_count]{};
};
extern sampling_state sampling;

class sampler {
public:
    /// Sets the period and the rate: when the heap opens, and after somebody began to
    /// listen or no longer does. What was drawn before is forgotten; caches are emptied for
    /// that.
    static void configure(std::uint64_t period, std::uint32_t guard_rate) noexcept;
    /// Changes with configure(): draws of another epoch do not count.
    [[nodiscard]] static std::uint32_t epoch() noexcept { return sampling.epoch.load(relaxed); }
    /// Somebody listened or wanted guards at the last configure(); otherwise nothing is drawn.
    [[nodiscard]] static bool active() noexcept { return sampling.active.load(relaxed); }

    /// Mean bytes between samples; 0: none.
    [[nodiscard]] static std::uint64_t period() noexcept { return sampling.period.load(relaxed); }
    /// Of one class; at least 1 while period() is not 0.
    [[nodiscard]] static std::uint64_t period_of(unsigned size_class) noexcept {
        return sampling.class_period[size_class].load(relaxed);
    }
    /// periods[class_count]; 0: period(). In force until the next configure().
    static void set_class_periods(const std::uint64_t* periods) noexcept;

    /// Of `objects` that pass, 1 or more, the `place`-th is the sample, counted from 1.
    struct stratum {
        std::uint64_t objects;
        std::uint64_t place;
    };
    [[nodiscard]] static stratum draw(std::size_t size, std::uint64_t period,
                                      wyrand& random) noexcept;
    /// With which an object of `size` bytes becomes a sample: of small ones in the mean.
    [[nodiscard]] static double probability(std::size_t size, std::uint64_t period) noexcept;
    [[nodiscard]] static double probability(std::size_t size) noexcept {
        return probability(size, period());
    }

    /// Puts a sampled object of class `sclass` on pages of its own and announces it with
    /// the probability it was drawn with. nullptr when there is no memory: the caller then allocates as usual.
    [[nodiscard]] static void* allocate(heap_core& core, unsigned node, span_class sclass,
                                        std::size_t size, double probability,
                                        wyrand& random) noexcept;
    /// Frees what allocate() returned. `object` must be its start.
    static void free(span* s, void* object) noexcept;
    /// Large and huge objects: each of these changes `facts`, which lies in the object's
    /// record, decides, and announces. `freed` comes before the memory is given up.
    static void large_made(const heap_core& owner, sample_facts& facts, void* object,
                           std::size_t size, std::size_t requested) noexcept;
    static void large_resized(const heap_core& owner, sample_facts& facts, void* object,
                              std::size_t before, std::size_t after,
                              std::size_t requested) noexcept;
    static void large_freed(const sample_facts& facts, void* object, std::size_t size) noexcept;
    /// After large_freed and a move: to `after` bytes, or back to where it was.
    static void large_arrived(const heap_core& owner, sample_facts& facts, void* object,
                              std::size_t before, std::size_t after,
                              std::size_t requested) noexcept;

    /// First byte of the object of a sampled span.
    [[nodiscard]] static std::uintptr_t object_of(const span& s) noexcept;

private:
    static constexpr auto relaxed = std::memory_order_relaxed;
};

}  // namespace steady::detail
