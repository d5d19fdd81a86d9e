// tables.hpp - what the profiler remembers: sites, live samples, sets of labels.
//
//   sample comes    (kind, size, labels, stack) --> site: counts what was allocated
//                   address --> live sample: its site and weight
//   sample goes     address --> live sample --> forgotten
//   profile         sites, and for each the sum over its live samples
//
// What is alive is summed up when somebody asks, so that no rounding gathers: weights are
// added once, in the same order, and at rate 1 all sums are whole numbers.
//
// All memory comes from the system through os and none from the heap that is profiled: the
// caller is inside malloc, perhaps under a lock of the heap.
//
// Invariants
//   T1  A site never moves and never goes. Its key is written before it is found.
//   T2  One lock, `guard`, taken last: under it nothing is called but os. Heap locks may be
//       held when it is taken, never the other way round; fork takes it after them.
//   T3  Tables have an end. Past it, samples are counted as lost, and a free that finds
//       nothing is no error.
//
// Live samples lie in 1024 small open tables, by a hash of the address: one of them grows
// at a time, so that no sample pays for all.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/ledger.hpp"
#include "steady/os/mutex.hpp"
#include "steady/profile/detail/unwind.hpp"

namespace steady::profile::detail {

enum class domain : std::uint8_t { heap, growth, retained, cpu };

/// Of heap samples, which count they are a part of.
enum class population : std::uint8_t {
    counted,   // the default heap's own statistics
    instance,  // a heap instance: nobody's count is asked
    profiler,  // counted too, but the profiler's own memory: in no profile
};

struct label_pair {
    const char* key;
    const char* text;
};

/// The labels of a thread at one moment, kept once however often they occur.
struct label_set {
    label_set* next;
    std::uint64_t hash;
    std::uint32_t count;
    label_pair pairs[1];  // count of them; "thread" is the first
};

struct site {
    site* next;
    std::uint64_t hash;
    domain what;
    population of;
    std::uint8_t size_class;  // heap: 0 for large objects
    std::uint8_t cut;
    std::uint16_t depth;
    std::uint64_t size;  // of the objects; 0: of any size
    const label_set* labels;
    const char* detail;  // growth: what grew; static text
    // heap: objects and bytes allocated, and of the objects those whose samples were certain
    // (weight 1); others: as value_types says.
    double values[4];
    std::uintptr_t frames[1];
};

struct site_key {
    domain what = domain::heap;
    population of = population::counted;
    std::uint8_t size_class = 0;
    std::uint64_t size = 0;
    const label_set* labels = nullptr;
    const char* detail = nullptr;
    const std::uintptr_t* frames = nullptr;
    std::size_t depth = 0;
    std::uint64_t stack_hash = 0;  // hash_of_stack(frames, depth)
    bool cut = false;
};

[[nodiscard]] std::uint64_t hash_of_stack(const std::uintptr_t* frames, std::size_t depth) noexcept;

struct live_sample {
    std::uintptr_t address = 0;  // 0: an empty place
    site* where = nullptr;
    double weight = 0;
    std::uint64_t size = 0;
};

class tables {
public:
    constexpr tables() noexcept = default;

    os::mutex guard;  // T2; everything below is under it

    /// nullptr: full, or no memory.
    [[nodiscard]] site* find_or_add(const site_key& key) noexcept;
    [[nodiscard]] const label_set* intern(const label_pair* pairs, std::size_t count) noexcept;

    [[nodiscard]] bool add_live(const live_sample& sample) noexcept;
    /// The address it had is empty afterwards; its `where` is nullptr when it was not there.
    live_sample take_live(std::uintptr_t address) noexcept;
    [[nodiscard]] live_sample* find_live(std::uintptr_t address) noexcept;
    void forget_live() noexcept;
    /// Starts a domain again from zero: its sites stay and count nothing.
    void clear_values(domain what) noexcept;

    template <class Visit>
    void for_each_site(Visit visit) const {
        for (const site* s = first_; s != nullptr; s = *following(s)) visit(*s);
    }
    template <class Visit>
    void for_each_live(Visit visit) const {
        for (const shard& one : shards_) {
            for (std::size_t i = 0; i < one.capacity; ++i) {
                if (one.slots[i].address != 0) visit(one.slots[i]);
            }
        }
    }

    [[nodiscard]] std::uint32_t sites() const noexcept { return site_count_; }
    [[nodiscard]] std::uint32_t sites(domain what) const noexcept {
        return domain_sites_[static_cast<std::size_t>(what)];
    }
    [[nodiscard]] std::uint64_t live() const noexcept { return live_count_; }
    [[nodiscard]] bytes memory() const noexcept { return ledger_.value(); }

private:
    struct shard {
        live_sample* slots = nullptr;
        std::uint32_t capacity = 0;  // a power of two
        std::uint32_t used = 0;
    };
    static constexpr std::size_t shard_count = 1024, head_count = 1 << 16, largest_pool = 32;

    static site** following(const site* s) noexcept;
    [[nodiscard]] static std::uint64_t hash_of(std::uintptr_t address) noexcept;
    [[nodiscard]] shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> 54]; }
    [[nodiscard]] bool grow(shard& s) noexcept;
    [[nodiscard]] live_sample* slots_for(std::uint32_t capacity) noexcept;

    site** heads_ = nullptr;
    site* first_ = nullptr;
    site* last_ = nullptr;
    std::uint32_t site_count_ = 0;
    std::array<std::uint32_t, 4> domain_sites_{};
    std::array<shard, shard_count> shards_{};
    std::array<live_sample*, largest_pool> unused_{};  // outgrown tables, by log2 of capacity
    std::uint64_t live_count_ = 0;
    label_set* labels_ = nullptr;
    std::uint32_t label_sets_ = 0;
    ledger ledger_{"profile.tables"};
};

}  // namespace steady::profile::detail
