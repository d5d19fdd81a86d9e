// reservations.hpp - ranges of 16 GiB of addresses, one for each table beyond 2 MiB, and a few
// that are kept for the next such table, with their pages.
//
//   | tags: 1 GiB ........ | slots: 15 GiB ........................ |
//   |#### |                |########### |                    # has pages
//
// A program that makes and destroys large maps would otherwise map and unmap a range for each
// and touch every page for the first time, which takes longer than filling the map. Blocks of
// malloc come back with their pages as well (glibc keeps up to 64 MiB), and so do these.
//
// Invariants (tests/map/reservations_test.cpp)
//   R1  What is kept has at most 64 MiB of pages, whatever has been given back.
//   R2  A range with a share is never unmapped because of the pages in its share: giving it
//       back is quick. The first 16 that are mapped get a share of 4 MiB (fewer while
//       there are wider ones), and one that is taken has what it had when it was kept. A table
//       that loses most of its entries and does not shrink yet widens it to what the range has,
//       and keeps that until its next pass ends.
//
// How R2 holds: the shares, those of ranges in use included, add up to 64 MiB at most. So
// there are 16 at most, and a cell for each.

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include <sys/mman.h>
#include <sys/resource.h>

#include "steady/core/hooks.hpp"
#include "steady/core/units.hpp"

namespace steady::detail {

/// Bytes from the beginning of each part that may have pages.
struct paged_parts {
    std::size_t tags = 0, slots = 0;
    [[nodiscard]] std::size_t total() const noexcept { return tags + slots; }
};

/// A range of addresses with room for the tags in its first sixteenth.
struct reservation {
    std::byte* start = nullptr;
    std::size_t size = 0;
    paged_parts paged{};
    std::size_t share = 0;  // of the pages that may be kept; 0: will be unmapped

    static constexpr std::size_t usual_size = std::size_t{1} << 34;

    static constexpr std::size_t tags_in(std::size_t size) noexcept { return size / 16; }

    /// A range of this size from the system; false when it refuses.
    bool map(std::size_t wanted) noexcept {
        void* const at = mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) return false;
        if (os_hook.armed()) {
            os_hook.announce({os_call::reserve, at, bytes{wanted}, bytes{}, false});
        }
        *this = {static_cast<std::byte*>(at), wanted, {}, 0};
        return true;
    }
    void unmap() noexcept {
        munmap(start, size);
        if (os_hook.armed()) {
            os_hook.announce({os_call::release, start, bytes{size}, bytes{paged.total()}, false});
        }
        *this = {};
    }
};

/// The ranges kept, of the whole process.
///
/// Threads    all functions at once from any number of threads.
class kept_reservations {
public:
    static constexpr std::size_t all_shares = std::size_t{64} << 20;
    static constexpr std::size_t least_share = std::size_t{4} << 20;

    /// A range of the usual size, of those kept the one with the fewest pages: what the new
    /// table does not use of them is nobody's as long as it lives. False when there is none.
    static bool take(reservation& r) noexcept {
        bool found = false;
        for (auto& cell : cells_) {
            if (cell.load(std::memory_order_relaxed) == nullptr) continue;
            // acquire; pairs with the release in keep()
            std::byte* const start = cell.exchange(nullptr, std::memory_order_acquire);
            if (start == nullptr) continue;
            const reservation one = *std::launder(reinterpret_cast<reservation*>(start));
            if (found && one.paged.total() >= r.paged.total()) {
                keep(start);
                continue;
            }
            if (found) keep(r.start);
            r = one;
            found = true;
        }
        if (found) return true;
        if (!r.map(reservation::usual_size)) return false;
        if (!limited()) change_share(r, least_share);
        return true;
    }

    /// Keeps it with its pages, or unmaps it when it has no share or they are too many.
    static void give_back(reservation& r) noexcept {
        const std::size_t wanted = std::max(r.paged.total(), least_share);
        if (r.share == 0 || !change_share(r, wanted)) {
            change_share(r, 0);
            return r.unmap();
        }
        // Its first page held tags: it is there.
        std::byte* const start = r.start;
        ::new (static_cast<void*>(start)) reservation{r};
        r = {};
        keep(start);
    }

    /// Unmaps all that are kept.
    static void release() noexcept {
        for (auto& cell : cells_) {
            std::byte* const start = cell.exchange(nullptr, std::memory_order_acquire);
            if (start == nullptr) continue;
            reservation r = *std::launder(reinterpret_cast<reservation*>(start));
            change_share(r, 0);
            r.unmap();
        }
    }

    /// A share of so much; false when there is not enough left of all of them, or it has none.
    static bool widen_share(reservation& r, std::size_t wanted) noexcept {
        return r.share != 0 && (r.share >= wanted || change_share(r, wanted));
    }
    static void narrow_share(reservation& r) noexcept {
        if (r.share > least_share) change_share(r, least_share);
    }
    /// It will not be kept: its pages are of another kind.
    static void give_up_share(reservation& r) noexcept { change_share(r, 0); }

    /// The shares of all ranges, kept or in use: what is kept has no more pages.
    [[nodiscard]] static bytes shares() noexcept {
        return bytes{shares_.load(std::memory_order_relaxed)};
    }

private:
    static constexpr std::size_t cells = all_shares / least_share;

    /// False when all of them are given away; then nothing has changed.
    static bool change_share(reservation& r, std::size_t wanted) noexcept {
        // relaxed: a sum, of which nothing else depends.
        const std::size_t before = shares_.fetch_add(wanted - r.share, std::memory_order_relaxed);
        if (wanted > r.share && before - r.share + wanted > all_shares) {
            shares_.fetch_sub(wanted - r.share, std::memory_order_relaxed);
            return false;
        }
        r.share = wanted;
        return true;
    }

    static void keep(std::byte* start) noexcept {
        for (std::size_t i = 0;; i = (i + 1) % cells) {
            std::byte* none = nullptr;
            // release; pairs with the acquire in take()
            if (cells_[i].compare_exchange_strong(none, start, std::memory_order_release,
                                                  std::memory_order_relaxed)) {
                return;
            }
        }
    }

    /// Where addresses are limited others need them.
    static bool limited() noexcept {
        rlimit limit{};
        return getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
    }

    static inline constinit std::array<std::atomic<std::byte*>, cells> cells_{};
    static inline constinit std::atomic<std::size_t> shares_{0};
};

}  // namespace steady::detail
