// blocks.hpp - the memory of a table: blocks of bytes from the container's allocator, and what
// is asked of the system about their pages. Regions of large tables are in region.hpp.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <sys/mman.h>
#include <unistd.h>

#include "steady/core/hooks.hpp"
#include "steady/core/units.hpp"

namespace steady::detail {

/// Gives the whole pages of a dead range back to the system: the addresses stay ours, the
/// contents are gone. Unmapping a long region would do the same in one long call.
///
/// Cost       one system call; 0.2 us for each resident page.
inline void drop_pages(std::uintptr_t from, std::uintptr_t to) noexcept {
    static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    from = round_up(from, page);
    to = round_down(to, page);
    if (from >= to) return;
    auto* const start = reinterpret_cast<void*>(from);
    const bytes size{to - from};
    // A refusal (locked memory) costs memory and nothing else.
    const int refused = madvise(start, size.count(), MADV_DONTNEED);
    if (os_hook.armed()) {
        os_hook.announce({os_call::decommit, start, size, refused == 0 ? size : bytes{}, false});
    }
}

/// Makes the pages of a range resident, those that are not: a fault for each would take ten
/// times as long in a virtual machine, and twice as long on a bare one.
///
/// Cost       a system call for 256 KiB; nothing is lost where the kernel refuses (before 5.14).
inline void populate_pages(std::uintptr_t from, std::uintptr_t to) noexcept {
    constexpr int populate_write = 23;  // MADV_POPULATE_WRITE: not in every header yet
    constexpr std::uintptr_t batch = std::uintptr_t{256} << 10;
    for (; from < to; from += batch) {
        const std::size_t size = std::min(batch, to - from);
        auto* const start = reinterpret_cast<void*>(from);
        const int refused = madvise(start, size, populate_write);
        if (os_hook.armed()) {
            os_hook.announce({os_call::prepare, start, bytes{size},
                              refused == 0 ? bytes{size} : bytes{}, false});
        }
        if (refused != 0) return;
    }
}

/// Whether a page of memory that is ours is resident.
///
/// Cost       one system call of some 0.3 us.
[[nodiscard]] inline bool is_resident(std::uintptr_t address) noexcept {
    static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    unsigned char state = 0;
    return mincore(reinterpret_cast<void*>(round_down(address, page)), page, &state) == 0 &&
           (state & 1) != 0;
}

/// Asks for huge pages in a range: a lookup then needs one translation where it needed two
/// walks, and a first touch clears 2 MiB at once.
inline void ask_for_huge_pages(std::uintptr_t from, std::uintptr_t to) noexcept {
    constexpr std::uintptr_t huge_page = std::uintptr_t{2} << 20;
    from = round_up(from, huge_page);
    to = round_down(to, huge_page);
    if (from >= to) return;
    auto* const start = reinterpret_cast<void*>(from);
    // A hint: a system without huge pages refuses, and nothing is lost.
    const int refused = madvise(start, to - from, MADV_HUGEPAGE);
    if (os_hook.armed()) {
        os_hook.announce(
            {os_call::huge_page_hint, start, bytes{refused == 0 ? to - from : 0}, bytes{}, false});
    }
}

/// Bytes of at least this alignment from any standard allocator.
template <class Alloc, std::size_t Alignment>
struct block_source {
    struct alignas(Alignment) unit {
        std::byte bytes[Alignment];
    };
    using allocator = typename std::allocator_traits<Alloc>::template rebind_alloc<unit>;
    using traits = std::allocator_traits<allocator>;

    template <class From>
    static std::byte* allocate(const From& alloc, std::size_t size) {
        allocator a(alloc);
        return reinterpret_cast<std::byte*>(std::to_address(traits::allocate(a, units(size))));
    }
    template <class From>
    static void deallocate(const From& alloc, std::byte* block, std::size_t size) noexcept {
        allocator a(alloc);
        auto* first = reinterpret_cast<unit*>(block);
        traits::deallocate(a, std::pointer_traits<typename traits::pointer>::pointer_to(*first),
                           units(size));
    }

private:
    static constexpr std::size_t units(std::size_t size) noexcept {
        return (size + Alignment - 1) / Alignment;
    }
};

}  // namespace steady::detail
