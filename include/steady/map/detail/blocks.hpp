// blocks.hpp - the memory of a table: blocks of bytes from the container's allocator.
//
// The region of a large table is longer than the table. With an allocator that takes fresh
// pages for large blocks (malloc, steady's heap, new) its pages become resident when the
// table reaches them.

#pragma once

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

/// std::allocator has nothing to say about where memory comes from.
template <class Alloc>
inline constexpr bool is_standard_allocator = false;
template <class T>
inline constexpr bool is_standard_allocator<std::allocator<T>> = true;

/// The memory of a large table: room for more groups than it has. What is not used yet is
/// not resident, so memory follows the data although addresses do not.
///
///   up to 2 MiB      twice what is needed; the table that outgrows it moves to the next
///                    region cluster by cluster, as part of a pass
///   then             with std::allocator addresses for ever: 16 GiB, of which nothing counts
///                    before it is touched (less where the system refuses: RLIMIT_AS);
///                    with any other allocator as before
template <class Alloc, class Shape>
class table_region {
    using blocks = block_source<Alloc, 64>;

public:
    [[nodiscard]] explicit operator bool() const noexcept { return start_ != nullptr; }
    [[nodiscard]] std::uint64_t groups() const noexcept { return groups_; }
    [[nodiscard]] bytes size() const noexcept { return bytes{size_}; }
    [[nodiscard]] bool mapped() const noexcept { return mapped_; }
    [[nodiscard]] std::byte* tags() const noexcept { return start_; }
    [[nodiscard]] std::byte* slots() const noexcept { return start_ + Shape::slots_at(groups_); }
    /// Worth giving back page by page.
    [[nodiscard]] bool is_long() const noexcept { return size_ >= std::size_t{1} << 20; }

    /// Bytes that make() asks the allocator for; 0 when it asks the system.
    static constexpr std::size_t block_for(std::uint64_t groups) noexcept {
        const std::size_t size = Shape::area(2 * groups);
        return is_standard_allocator<Alloc> && size > largest_block ? 0 : size;
    }
    /// Groups there will be room for.
    static constexpr std::uint64_t room_for(std::uint64_t groups) noexcept {
        if (block_for(groups) != 0) return 2 * groups;
        return most / Shape::area(Shape::groups) * Shape::groups;
    }

    /// Throws     std::bad_alloc.
    static table_region make(const Alloc& alloc, std::uint64_t groups) {
        table_region r;
        if constexpr (is_standard_allocator<Alloc>) {
            r.set_size(2 * groups);
            if (r.size_ > largest_block) {
                for (std::size_t size = most; size >= 2 * Shape::area(groups); size /= 4) {
                    r.set_size(size / Shape::area(Shape::groups) * Shape::groups);
                    if (r.map()) return r;
                }
                r.set_size(2 * groups);
            }
        } else {
            r.set_size(2 * groups);
        }
        r.start_ = blocks::allocate(alloc, r.size_);
        return r;
    }
    void release(const Alloc& alloc) noexcept {
        if (start_ == nullptr) return;
        if (mapped_) {
            munmap(start_, size_);
            if (os_hook.armed()) {
                os_hook.announce({os_call::release, start_, bytes{size_}, bytes{}, false});
            }
        } else {
            blocks::deallocate(alloc, start_, size_);
        }
        *this = {};
    }

private:
    static constexpr std::size_t largest_block = std::size_t{2} << 20;
    static constexpr std::size_t most = std::size_t{1} << 34;

    void set_size(std::uint64_t groups) noexcept {
        groups_ = groups;
        size_ = Shape::area(groups);
    }
    bool map() noexcept {
        void* const at = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) return false;
        if (os_hook.armed()) {
            os_hook.announce({os_call::reserve, at, bytes{size_}, bytes{}, false});
        }
        start_ = static_cast<std::byte*>(at);
        return mapped_ = true;
    }

    std::byte* start_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t groups_ = 0;
    bool mapped_ = false;
};

}  // namespace steady::detail
