// shape.hpp - sizes that follow from a slot's size, and where an entry stands.
//
//   group      | 15 tags | overflow |      | 15 slots |      16 B of tags; slots elsewhere
//   cluster    16 groups (fewer for large entries) that share their overflow

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "steady/core/group.hpp"
#include "steady/core/units.hpp"
#include "steady/map/options.hpp"

namespace steady::detail {

inline constexpr unsigned group_slots = 15;
inline constexpr unsigned group_bytes = 16;
inline constexpr auto slot_tags = group16::mask::first(group_slots);

/// A group that is always empty: what a map without memory searches.
alignas(16) inline constexpr std::uint8_t empty_group[group_bytes] = {};

/// One behind the slots of each block chained to a cluster.
struct chain_header {
    std::byte* next;              // of the same bucket of chains, or null
    const std::uint8_t* cluster;  // its groups
};

/// What follows from the size and the alignment of a slot, known when compiling or not.
struct slot_sizes {
    std::size_t slot;
    std::size_t alignment;

    constexpr slot_sizes(std::size_t size, std::size_t slot_alignment) noexcept
        : slot{size}, alignment{std::max<std::size_t>(16, slot_alignment)} {}

    // A step touches the pages of a cluster and a half: large entries have smaller
    // clusters, so that steps stay bounded in bytes.
    [[nodiscard]] constexpr unsigned groups() const noexcept {
        return slot <= 64 ? 16 : (slot <= 128 ? 8 : 4);
    }
    [[nodiscard]] constexpr unsigned slots() const noexcept { return groups() * group_slots; }
    [[nodiscard]] constexpr std::size_t group_stride() const noexcept { return group_slots * slot; }

    // Of the first block: half a KiB, so that maps of 16 to 26 small entries never move them.
    [[nodiscard]] constexpr unsigned first_groups() const noexcept { return slot <= 16 ? 2 : 1; }
    // A small table doubles: it moves at most 840 entries, and touches at most 10 pages.
    [[nodiscard]] constexpr unsigned small_groups() const noexcept {
        return slot <= 24 ? 64 : groups();
    }
    [[nodiscard]] constexpr unsigned first_scale() const noexcept {
        return small_groups() == groups() ? 1 : 3;  // then 2 or 8
    }

    static constexpr unsigned block_groups = 4;  // of a chained block
    static constexpr unsigned block_slots = block_groups * group_slots;
    /// Chained blocks that one step could need.
    [[nodiscard]] constexpr unsigned spares() const noexcept {
        return (slots() + block_slots - 1) / block_slots;
    }

    /// Groups first, then slots.
    [[nodiscard]] constexpr std::size_t slots_at(std::uint64_t group_count) const noexcept {
        return round_up(group_count * group_bytes, alignment);
    }
    [[nodiscard]] constexpr std::size_t area(std::uint64_t group_count) const noexcept {
        return slots_at(group_count) + group_count * group_stride();
    }
    /// Of a chained block: its header comes last.
    [[nodiscard]] constexpr std::size_t header_at() const noexcept {
        return slots_at(block_groups) + round_up(block_slots * slot, alignof(chain_header));
    }
    [[nodiscard]] constexpr std::size_t block_size() const noexcept {
        return header_at() + sizeof(chain_header);
    }

    /// Entries per cluster in the part of the table that is to be stretched next.
    [[nodiscard]] constexpr std::uint64_t full() const noexcept {
        return slots() * map_options::fullest_load / 1000;
    }
    static constexpr std::uint64_t small_limit(unsigned group_count) noexcept {
        return group_count == 1 ? group_slots : group_count * group_slots * 7 / 8;
    }
};

/// The same as constants.
template <class Slot>
struct cluster_shape {
    static constexpr slot_sizes sizes{sizeof(Slot), alignof(Slot)};

    static constexpr unsigned groups = sizes.groups();
    static constexpr unsigned slots = sizes.slots();
    static constexpr std::size_t alignment = sizes.alignment;
    static constexpr std::size_t group_area = groups * group_bytes;
    static constexpr std::size_t group_stride = sizes.group_stride();
    static constexpr std::size_t stride = groups * group_stride;
    static constexpr unsigned first_groups = sizes.first_groups();
    static constexpr unsigned small_groups = sizes.small_groups();
    static constexpr unsigned first_scale = sizes.first_scale();
    static constexpr unsigned block_groups = slot_sizes::block_groups;
    static constexpr unsigned block_slots = slot_sizes::block_slots;
    static constexpr unsigned spares = sizes.spares();
    static constexpr std::size_t header_at = sizes.header_at();
    static constexpr std::size_t block_size = sizes.block_size();
    static constexpr std::uint64_t full = sizes.full();

    static constexpr std::size_t slots_at(std::uint64_t group_count) noexcept {
        return sizes.slots_at(group_count);
    }
    static constexpr std::size_t area(std::uint64_t group_count) noexcept {
        return sizes.area(group_count);
    }
    static constexpr std::uint64_t small_limit(unsigned group_count) noexcept {
        return slot_sizes::small_limit(group_count);
    }

    /// Bytes of fresh slots whose pages a step has made at once: as much as a step can write, and
    /// four pages, which take the system some 6 us. (Eight took 9, and nine tenths of the time
    /// of the slowest insertion.)
    static constexpr std::size_t populated_at_once =
        std::max(std::size_t{16} << 10, round_up(2 * stride, std::size_t{4096}));
    /// Fresh pages that a step can touch: those, or of a block of the allocator; and tags.
    static constexpr std::uint64_t pages_of_step = populated_at_once / 4096 + 3;
};

/// The slots of a group that begin in the same cache line as a preferred one.
template <class Slot>
struct near_slots {
    static constexpr std::size_t line = 64, grain = 8;
    using row = std::array<group16::mask, 8>;  // by preferred slot / 2

    static constexpr auto make() noexcept {
        std::array<row, line / grain> masks{};
        for (std::size_t offset = 0; offset < line; offset += grain) {
            for (unsigned wish = 0; wish < 16; wish += 2) {
                const std::size_t wanted = (offset + wish * sizeof(Slot)) / line;
                unsigned from = group_slots, to = 0;
                for (unsigned i = group_slots; i-- != 0;) {
                    if ((offset + i * sizeof(Slot)) / line != wanted) continue;
                    from = i;
                    to = to == 0 ? i + 1 : to;
                }
                masks[offset / grain][wish / 2] =
                    group16::mask::first(to).without(group16::mask::first(from));
            }
        }
        return masks;
    }
    static constexpr std::array<row, line / grain> masks = make();

    [[nodiscard, gnu::always_inline]] static group16::mask of(const Slot* slots,
                                                              unsigned wish) noexcept {
        return row_of(slots)[wish / 2];
    }
    [[nodiscard, gnu::always_inline]] static const row& row_of(const Slot* slots) noexcept {
        return masks[reinterpret_cast<std::uintptr_t>(slots) % line / grain];
    }
};

/// One slot of a group, as a mask.
inline constexpr auto single_slots = [] {
    std::array<group16::mask, group_slots> masks{};
    for (unsigned i = 0; i < group_slots; ++i) {
        masks[i] = group16::mask::first(i + 1).without(group16::mask::first(i));
    }
    return masks;
}();

/// Where an entry stands, or nowhere: two pointers, so that it travels in registers. Groups
/// are aligned to 16, so the tag's address is the group's and the index.
template <class Slot>
struct position {
    std::uint8_t* tag = nullptr;
    Slot* entry = nullptr;  // null: nowhere

    position() noexcept = default;
    [[gnu::always_inline]] position(std::uint8_t* group, Slot* slots, unsigned index) noexcept
        : tag{group + index}, entry{slots + index} {}

    [[nodiscard]] explicit operator bool() const noexcept { return entry != nullptr; }
    [[nodiscard]] Slot& slot() const noexcept { return *entry; }
    [[nodiscard]] unsigned index() const noexcept {
        return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(tag) % group_bytes);
    }
    [[nodiscard]] std::uint8_t* group() const noexcept { return tag - index(); }
    [[nodiscard]] Slot* slots() const noexcept { return entry - index(); }
};

/// Groups and slots that lie side by side: a cluster, a block, a small table, a whole run.
template <class Slot>
struct group_run {
    std::uint8_t* groups = nullptr;
    Slot* slots = nullptr;
    std::uint64_t count = 0;

    [[nodiscard]] std::uint8_t* group(std::uint64_t g) const noexcept {
        return groups + g * group_bytes;
    }
    [[nodiscard]] Slot* slots_of(std::uint64_t g) const noexcept { return slots + g * group_slots; }
    [[nodiscard]] bool contains(const std::uint8_t* tag) const noexcept {
        return static_cast<std::uintptr_t>(tag - groups) < count * group_bytes;
    }
    [[nodiscard]] std::uint64_t entries() const noexcept {
        std::uint64_t n = 0;
        for (std::uint64_t g = 0; g < count; ++g) {
            n += group16{group(g)}.match_occupied(slot_tags).count();
        }
        return n;
    }
    /// Calls action(position) for each entry.
    template <class Do>
    void for_each(Do&& action) const {
        for (std::uint64_t g = 0; g < count; ++g) {
            for (const unsigned i : group16{group(g)}.match_occupied(slot_tags)) {
                action(position<Slot>{group(g), slots_of(g), i});
            }
        }
    }
};

}  // namespace steady::detail
