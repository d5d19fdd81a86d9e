// region.hpp - the memory of a large table: room for more groups than it has. What is not used
// yet is not resident, so memory follows the data although addresses do not.
//
//   up to 2 MiB      a block of the allocator, twice what is needed; the table that outgrows it
//                    moves to the next region cluster by cluster, as part of a pass
//   then             with std::allocator addresses for ever: a reservation of 16 GiB, of which
//                    nothing counts before it is touched (less where the system refuses);
//                    with any other allocator, and for tables that it has no room for, as before

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "steady/core/units.hpp"
#include "steady/map/detail/blocks.hpp"
#include "steady/map/detail/reservations.hpp"
#include "steady/map/detail/shape.hpp"

namespace steady::detail {

/// std::allocator has nothing to say about where memory comes from.
template <class Alloc>
inline constexpr bool is_standard_allocator = false;
template <class T>
inline constexpr bool is_standard_allocator<std::allocator<T>> = true;

/// A pass goes down through memory that has no pages yet; they are made some at a time, just
/// before they are needed.
struct page_frontier {
    std::uintptr_t reached = 0;  // from here on there are pages
    std::uintptr_t end = 0;      // below here there were some before

    static constexpr std::uintptr_t page = 4096;

    /// Between `end` and `from`, of which nothing is there yet.
    static page_frontier between(const std::byte* end, const std::byte* from) noexcept {
        const auto low = round_down(reinterpret_cast<std::uintptr_t>(end), page);
        const auto high = round_up(reinterpret_cast<std::uintptr_t>(from), page);
        return {high, std::min(low, high)};
    }
    /// Goes down by so many bytes once `to` is below what has been reached.
    [[gnu::always_inline]] void go_below(const void* to, std::size_t bytes_at_once) noexcept {
        if (reinterpret_cast<std::uintptr_t>(to) < reached && reached > end) [[unlikely]] {
            const std::uintptr_t before = reached;
            reached = std::max(before - std::min(before, bytes_at_once), end);
            populate_pages(reached, before);
        }
    }
};

/// How long regions are.
struct region_sizes {
    slot_sizes of;
    bool from_system;  // the long ones

    static constexpr std::size_t largest_block = std::size_t{2} << 20;

    /// Bytes asked of the allocator; 0: the region is a reservation.
    [[nodiscard]] constexpr std::size_t block_for(std::uint64_t groups) const noexcept {
        const std::size_t size = of.area(2 * groups);
        const bool reserves =
            from_system && size > largest_block && room_in(reservation::usual_size) >= groups;
        return reserves ? 0 : size;
    }
    /// Groups there will be room for.
    [[nodiscard]] constexpr std::uint64_t room_for(std::uint64_t groups) const noexcept {
        return block_for(groups) != 0 ? 2 * groups : room_in(reservation::usual_size);
    }
    /// Groups in a reservation.
    [[nodiscard]] constexpr std::uint64_t room_in(std::size_t size) const noexcept {
        const std::size_t tags = reservation::tags_in(size);
        const std::uint64_t room = std::min(tags / group_bytes, (size - tags) / of.group_stride());
        return room / of.groups() * of.groups();
    }
};

template <class Alloc, class Shape>
class table_region {
    using blocks = block_source<Alloc, 64>;

public:
    static constexpr region_sizes sizes{Shape::sizes, is_standard_allocator<Alloc>};

    [[nodiscard]] explicit operator bool() const noexcept { return memory_.start != nullptr; }
    [[nodiscard]] std::uint64_t groups() const noexcept { return groups_; }
    [[nodiscard]] bytes size() const noexcept { return bytes{memory_.size}; }
    [[nodiscard]] bool mapped() const noexcept { return mapped_; }
    [[nodiscard]] std::byte* tags() const noexcept { return memory_.start; }
    [[nodiscard]] std::byte* slots() const noexcept {
        return memory_.start +
               (mapped_ ? reservation::tags_in(memory_.size) : Shape::slots_at(groups_));
    }
    /// Bytes that count: of a reservation those that may have pages.
    [[nodiscard]] bytes taken() const noexcept {
        return bytes{mapped_ ? memory_.paged.total() : memory_.size};
    }
    /// Worth giving back page by page.
    [[nodiscard]] bool is_long() const noexcept { return memory_.size >= std::size_t{1} << 20; }

    /// Worth it even while the table moves to a longer region, after which all go back.
    [[nodiscard]] bool gives_back_early() const noexcept {
        return memory_.size > region_sizes::largest_block;
    }

    /// Throws     std::bad_alloc.
    static table_region make(const Alloc& alloc, std::uint64_t groups) {
        table_region r;
        if (sizes.block_for(groups) == 0) {
            if (kept_reservations::take(r.memory_)) return r.set_mapped();
            for (std::size_t size = reservation::usual_size / 4; sizes.room_in(size) >= 2 * groups;
                 size /= 4) {
                if (r.memory_.map(size)) return r.set_mapped();
            }
        }
        r.groups_ = 2 * groups;
        r.memory_.size = Shape::area(2 * groups);
        r.memory_.start = blocks::allocate(alloc, r.memory_.size);
        return r;
    }
    /// `groups`: how many have been used.
    void release(const Alloc& alloc, std::uint64_t groups) noexcept {
        if (memory_.start == nullptr) return;
        if (mapped_) {
            note_paged(groups);
            kept_reservations::give_back(memory_);
        } else {
            blocks::deallocate(alloc, memory_.start, memory_.size);
        }
        *this = {};
    }

    /// Groups from the beginning of which all pages are there, as far as is known, when a table
    /// of `used` groups is to have so many. A long block comes from the allocator with its pages
    /// or, when malloc has just mapped it, without any.
    [[nodiscard]] std::uint64_t backed(std::uint64_t used, std::uint64_t groups) const noexcept {
        constexpr std::size_t long_block = std::size_t{128} << 10;
        if (!mapped_) {
            if (memory_.size < long_block) return groups_;
            const auto start = reinterpret_cast<std::uintptr_t>(slots());
            const bool all = is_resident(start + groups * Shape::group_stride - 1) &&
                             is_resident(start + (used + groups) / 2 * Shape::group_stride);
            return all ? groups_ : used;
        }
        return std::min(memory_.paged.tags / group_bytes,
                        memory_.paged.slots / Shape::group_stride);
    }
    /// So many groups have been used.
    void note_paged(std::uint64_t groups) noexcept {
        paged_parts& p = memory_.paged;
        p = {std::max(p.tags, groups * group_bytes),
             std::max(p.slots, groups * Shape::group_stride)};
    }
    /// Makes the pages of so many groups resident, of the first GiB at least.
    void populate(std::uint64_t groups) noexcept {
        if (!mapped_) return;
        constexpr std::size_t most = std::size_t{1} << 30;
        const auto make = [&](const std::byte* start, std::size_t paged, std::size_t wanted) {
            const auto from = reinterpret_cast<std::uintptr_t>(start);
            populate_pages(from + round_down(paged, page_frontier::page),
                           from + round_up(std::min(wanted, most), page_frontier::page));
        };
        make(tags(), memory_.paged.tags, groups * group_bytes);
        make(slots(), memory_.paged.slots, groups * Shape::group_stride);
        note_paged(groups);
    }
    /// The pages from group `first` on have been given back, up to group `end`.
    void note_dropped(std::uint64_t first, std::uint64_t end) noexcept {
        const auto cut = [&](std::size_t& paged, std::size_t size, std::size_t kept) {
            if (paged <= end * size) paged = std::min(paged, std::max(kept, first * size));
        };
        const paged_parts kept = kept_anyway();
        cut(memory_.paged.tags, group_bytes, kept.tags);
        cut(memory_.paged.slots, Shape::group_stride, kept.slots);
    }
    /// Bytes whose pages the region keeps although they are dead: they are not worth the
    /// calls, and are quickly given back with the region.
    [[nodiscard]] paged_parts kept_anyway() const noexcept {
        if (memory_.share == 0) return {};
        constexpr std::size_t all = kept_reservations::least_share;
        return {all / 16, all - all / 16};
    }
    /// Whether it will be kept, with the pages of so many groups, when it is released.
    [[nodiscard]] bool will_be_kept(std::uint64_t groups) noexcept {
        if (!mapped_) return true;
        const paged_parts& p = memory_.paged;
        return kept_reservations::widen_share(memory_,
                                              std::max(p.tags, groups * group_bytes) +
                                                  std::max(p.slots, groups * Shape::group_stride));
    }
    /// The table is in use: what a wider share takes from others is theirs again.
    void narrow_share() noexcept { kept_reservations::narrow_share(memory_); }
    /// Its pages will be of another kind: not for the next table.
    void do_not_keep() noexcept { kept_reservations::give_up_share(memory_); }

private:
    table_region& set_mapped() noexcept {
        groups_ = sizes.room_in(memory_.size);
        mapped_ = true;
        return *this;
    }

    reservation memory_{};
    std::uint64_t groups_ = 0;
    bool mapped_ = false;
};

}  // namespace steady::detail
