// segment.hpp - the memory of a concurrent map: groups of seven slots, and segments of
// groups.
//
//   group   | state | 7 tags, filter | slot 0 | slot 1 | ... | slot 6 |
//             8 B     8 B              8 B words: 2, 3 or 4 a slot
//
//   state   bits 0      locked: one writer may change this group and what lives here
//           bit  1      window: a value of several words is being replaced
//           bits 8-15   entries displaced from here (255: many, for ever)
//           bits 16-20  how many groups on the farthest of them may be
//           bit  21     entries of this home have been spilled (table.hpp)
//           bits 24-63  version: grows whenever a slot becomes free for another key, and
//                       when the segment is taken
//   filter  one bit for each eighth of the tags that displaced entries have
//
//   segment  2^n groups, n = 1 .. 7.  A hash is read like this:
//            | home: top n bits | tag 8 | filter 3 | ... | directory index: low bits |
//
// Reading a slot without a lock (S1): state, tags, key, value, state again. An insert
// stores the slot before its tag, so a tag that is there speaks of a slot that is whole; an
// erase takes the tag away and raises the version before anybody may store another key
// there. So equal versions before and after mean: key and value belonged together.
//
// Invariants (tests/concurrent)
//   S1  A slot's words change only while its tag is 0, but for values, which are one word,
//       or stand in a window.
//   S2  A segment's memory is never anything but groups of the same size, and is never
//       unmapped: a reader that comes late reads words, sees that the directory has
//       changed, and looks again. So readers announce nothing, and a reader that sleeps
//       keeps no memory from being used again.
//   S3  All groups of a segment that nobody uses are locked (fresh and decommitted memory,
//       zero, is locked by whoever takes it), by who gave it back, who has waited for each lock:
//       a writer that comes late locks a group for a moment, and unlocks it later.
//   S4  No tag is 0 (empty) or 1: match() may take a tag for its neighbour, and an empty
//       slot still has the words of the entry that was erased.
//
// Tried   Readers that announce a hazard for the segment: 1 ns more a lookup, and one
//         16 KiB segment of garbage for each sleeping reader.

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

#include "steady/concurrent/detail/fork_lock.hpp"
#include "steady/concurrent/detail/word.hpp"
#include "steady/os/memory.hpp"

namespace steady::concurrent_detail {

inline constexpr unsigned slots_per_group = 7;

inline constexpr std::uint64_t locked_bit = 1;
inline constexpr std::uint64_t window_bit = 2;
inline constexpr std::uint64_t spilled_bit = std::uint64_t{1} << 21;
inline constexpr std::uint64_t one_version = std::uint64_t{1} << 24;
inline constexpr unsigned displaced_shift = 8, distance_shift = 16;
inline constexpr unsigned many_displaced = 255;
/// Groups an entry may stand away from its home, plus one. 24: a segment is then 90 % full
/// on average when the first entry finds no room.
inline constexpr unsigned reach = 24;
static_assert(reach <= 32, "the distance has five bits in state");

[[nodiscard]] constexpr unsigned displaced_of(std::uint64_t state) noexcept {
    return state >> displaced_shift & 0xff;
}
[[nodiscard]] constexpr unsigned distance_of(std::uint64_t state) noexcept {
    return state >> distance_shift & 0x1f;
}
[[nodiscard]] constexpr std::uint64_t with_displaced(std::uint64_t state, unsigned count,
                                                     unsigned distance) noexcept {
    state &= ~(std::uint64_t{0xff} << displaced_shift | std::uint64_t{0x1f} << distance_shift);
    return state | std::uint64_t{count} << displaced_shift |
           std::uint64_t{distance} << distance_shift;
}

// ---- Tags: eight bytes in a word, the eighth is the filter.

inline constexpr std::uint64_t every_byte = 0x0101010101010101;
inline constexpr std::uint64_t tag_highs = 0x0080808080808080;
inline constexpr std::uint64_t low_sevens = 0x7f * every_byte;

[[nodiscard]] constexpr std::uint64_t tag_of(std::uint64_t hash) noexcept {
    const std::uint64_t t = hash >> 49 & 0xff;
    return t < 2 ? t + 2 : t;
}
[[nodiscard]] constexpr std::uint64_t filter_bit(std::uint64_t hash) noexcept {
    return std::uint64_t{1} << (56 + (hash >> 46 & 7));
}
/// Slots that may have this tag. Above a true match a false one may stand, where the tag
/// differs in its lowest bit: never an empty slot, for no tag is 1 (S4), so the key decides.
[[nodiscard, gnu::always_inline]] constexpr std::uint64_t match(std::uint64_t tags,
                                                                std::uint64_t tag) noexcept {
    const std::uint64_t x = tags ^ (every_byte * tag);
    return (x - every_byte) & ~x & tag_highs;
}
[[nodiscard, gnu::always_inline]] constexpr std::uint64_t match_empty(std::uint64_t tags) noexcept {
    return ~(((tags & low_sevens) + low_sevens) | tags) & tag_highs;
}
[[nodiscard]] constexpr std::uint64_t match_occupied(std::uint64_t tags) noexcept {
    return match_empty(tags) ^ tag_highs;
}
[[nodiscard, gnu::always_inline]] constexpr unsigned lowest(std::uint64_t matches) noexcept {
    return static_cast<unsigned>(std::countr_zero(matches)) >> 3;
}
[[nodiscard]] constexpr std::uint64_t with_tag(std::uint64_t tags, unsigned slot,
                                               std::uint64_t tag) noexcept {
    return (tags & ~(std::uint64_t{0xff} << (8 * slot))) | tag << (8 * slot);
}

template <unsigned Words>
struct alignas(Words == 2 ? 128 : 64) group {
    struct slot {
        word words[Words];
    };
    word state;
    word tags;
    slot slots[slots_per_group];

    /// The lowest of some matches: what stands in a byte's place is 8 * Words bytes.
    [[nodiscard, gnu::always_inline]] slot& first_of(std::uint64_t matches) noexcept {
        return const_cast<slot&>(std::as_const(*this).first_of(matches));
    }
    [[nodiscard, gnu::always_inline]] const slot& first_of(std::uint64_t matches) const noexcept {
        const auto byte = static_cast<std::size_t>(std::countr_zero(matches)) & 0x38;
        return *reinterpret_cast<const slot*>(reinterpret_cast<const std::byte*>(slots) +
                                              byte * Words);
    }
};
static_assert(sizeof(group<2>) == 128, "8 + 8 bytes: a group is a pair of cache lines");

// ---- A segment's address, its size and its depth in one word: a directory entry.
//
//   | incarnation 16 | address 47 - 9 | depth 6 | log 3 |
//
// The incarnation is the version of the segment's first group when it was named. A segment that
// leaves an entry and comes back to it (split, then taken for the merge of its halves) has
// another name, so "the entry is the same" means that the segment stood there all the time.

inline constexpr std::size_t segment_alignment = 512;
inline constexpr unsigned address_bits = 48;

struct segment_name {
    std::uint64_t raw;

    [[nodiscard]] constexpr unsigned log_groups() const noexcept { return raw & 7; }
    [[nodiscard]] constexpr unsigned depth() const noexcept { return raw >> 3 & 63; }
    template <unsigned Words>
    [[nodiscard, gnu::always_inline]] group<Words>* groups() const noexcept {
        return reinterpret_cast<group<Words>*>(raw & ((std::uint64_t{1} << address_bits) - 1) &
                                               ~std::uint64_t{segment_alignment - 1});
    }
    template <unsigned Words>
    static segment_name of(group<Words>* at, unsigned log_groups, unsigned depth) noexcept {
        const std::uint64_t incarnation = at->state.load() / one_version << address_bits;
        return {reinterpret_cast<std::uint64_t>(at) | log_groups | std::uint64_t{depth} << 3 |
                incarnation};
    }
};

[[nodiscard, gnu::always_inline]] constexpr std::size_t home_of(std::uint64_t hash,
                                                                unsigned log_groups) noexcept {
    return static_cast<std::size_t>(hash >> (64 - log_groups));
}

/// Segments of one kind of group, for all maps of the process (S2). Chunks of 1 MiB come
/// from os and stay; the pages of idle full-size segments beyond `kept` are decommitted.
template <unsigned Words, unsigned LargestLog>
class segment_pool {
public:
    using group_type = group<Words>;
    static constexpr std::size_t kept = 64;

    /// Rounded so that every group of a small segment stands where a group of the large one
    /// stood that it was cut from (S2): groups of 192 bytes do not divide 512.
    static constexpr std::size_t unit = std::lcm(segment_alignment, sizeof(group_type));
    static constexpr std::size_t size_of(unsigned log_groups) noexcept {
        return ((sizeof(group_type) << log_groups) + unit - 1) / unit * unit;
    }

    /// Returns    a segment whose groups are locked or zero; nullptr when memory is refused.
    group_type* take(unsigned log_groups) noexcept {
        if (refuse_allocation()) return nullptr;
        auto from = source::idle;
        group_type* at = nullptr;
        {
            const holding<fork_lock> only{lock_};
            at = take_locked(log_groups, from);
        }
        // Outside the lock, for this is most of a split's time: four page faults, or one call.
        if (from != source::idle && at != nullptr && size_of(LargestLog) % 4096 == 0) {
            os::populate(at, bytes{size_of(LargestLog)});
        }
        if (from == source::dropped) lock_zero(at);
        return at;
    }
    /// Gives a segment back; its groups are locked (S3). May be called without memory.
    void give(group_type* at, unsigned log_groups) noexcept {
        {
            const holding<fork_lock> only{lock_};
            const bool drop = log_groups == LargestLog && idle_[log_groups].count >= kept &&
                              size_of(LargestLog) % 4096 == 0 && os::decommit_clears();
            if (!drop) return push(idle_[log_groups], at);
        }
        // Pages go back first: once in the list, somebody may take it.
        const bytes size{size_of(log_groups)};
        const bool dropped = bool(os::decommit(at, size, false));
        if (dropped) os::use(at, size);
        const holding<fork_lock> only{lock_};
        push(dropped ? dropped_ : idle_[log_groups], at);
    }
    /// Bytes of segments in no map, resident or not.
    [[nodiscard]] std::size_t idle_bytes() noexcept {
        const holding<fork_lock> only{lock_};
        std::size_t sum = chunk_left_ + dropped_.count * size_of(LargestLog);
        for (unsigned lg = 1; lg <= LargestLog; ++lg) sum += idle_[lg].count * size_of(lg);
        return sum;
    }

    static segment_pool& of_process() noexcept {
        static constinit segment_pool pool;
        return pool;
    }

private:
    // An idle segment is linked through the first word of its first slot: still a word of a
    // group, as S2 wants.
    struct list {
        group_type* first = nullptr;
        std::size_t count = 0;
    };
    static void push(list& to, group_type* at) noexcept {
        at->slots[0].words[0].store(reinterpret_cast<std::uint64_t>(to.first));
        to.first = at;
        ++to.count;
    }
    static group_type* pop(list& from) noexcept {
        group_type* at = from.first;
        if (at != nullptr) {
            from.first = reinterpret_cast<group_type*>(at->slots[0].words[0].load());
            --from.count;
        }
        return at;
    }
    enum class source : std::uint8_t { idle, dropped, fresh };
    group_type* take_locked(unsigned log_groups, source& from) noexcept {
        if (group_type* at = pop(idle_[log_groups])) return at;
        if (log_groups < LargestLog) return split_larger(log_groups);
        if (group_type* at = pop(dropped_)) {
            from = source::dropped;
            return at;
        }
        from = source::fresh;
        constexpr std::size_t size = size_of(LargestLog);
        if (chunk_left_ < size) {
            constexpr std::size_t chunk = (std::size_t{1} << 20) / size * size;
            const auto fresh = os::map_plain(bytes{(chunk + 4095) & ~std::size_t{4095}},
                                             "steady concurrent segments");
            if (!fresh) return nullptr;
            chunk_at_ = *fresh;
            chunk_left_ = chunk;
        }
        auto* at = reinterpret_cast<group_type*>(chunk_at_);
        chunk_at_ += size;
        chunk_left_ -= size;
        return at;
    }
    /// Decommitted groups are zero, and a writer that comes much too late may have locked one for
    /// the moment it needs to see that it is not his: what he unlocks later would be ours.
    static group_type* lock_zero(group_type* at) noexcept {
        for (std::size_t i = 0; i < std::size_t{1} << LargestLog; ++i) {
            patience p;
            while (at[i].state.load() != 0 || !at[i].state.lock(0, locked_bit)) p.wait();
        }
        return at;
    }
    group_type* split_larger(unsigned log_groups) noexcept {
        auto from = source::idle;
        group_type* large = take_locked(LargestLog, from);
        if (large == nullptr) return nullptr;
        if (from == source::dropped) lock_zero(large);
        const std::size_t size = size_of(log_groups);
        auto* base = reinterpret_cast<std::byte*>(large);
        for (std::size_t at = size; at + size <= size_of(LargestLog); at += size) {
            push(idle_[log_groups], reinterpret_cast<group_type*>(base + at));
        }
        return large;
    }

    fork_lock lock_;
    list idle_[LargestLog + 1];
    list dropped_;
    std::byte* chunk_at_ = nullptr;
    std::size_t chunk_left_ = 0;
};

}  // namespace steady::concurrent_detail
