// memory.cpp - the transitions. The story is in memory.hpp; opening an area, which has to
// find its addresses, is in area_open.cpp.
#include "steady/os/memory.hpp"

#include <atomic>

#include "steady/core/check.hpp"
#include "steady/core/options.hpp"
#include "steady/os/detail/failure.hpp"
#include "steady/os/detail/mapping.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/mappings.hpp"

#include <linux/mman.h>

#if !defined(MADV_DONTNEED_LOCKED)
#define MADV_DONTNEED_LOCKED 24  // Linux 5.18
#endif
#if !defined(MREMAP_DONTUNMAP)
#define MREMAP_DONTUNMAP 4  // Linux 5.7
#endif

namespace steady::os {

using namespace detail;

namespace {

constinit memory_ledgers all_ledgers;

constexpr int read_write = PROT_READ | PROT_WRITE;

error misuse(const char* action) noexcept {
    return {errc::invalid_argument, 0, action};
}

bool whole_os_pages(std::uintptr_t start, bytes length) noexcept {
    const std::size_t mask = os_page().count() - 1;
    return length != bytes{} && ((start | length.count()) & mask) == 0 &&
           start + length.count() > start;
}
bool whole_os_pages(const void* start, bytes length) noexcept {
    return whole_os_pages(reinterpret_cast<std::uintptr_t>(start), length);
}

// O3: calls one_step(offset, length) for pieces that end at 2 MiB boundaries of the address,
// so that a huge page is always dropped or moved whole, which is 23 times cheaper.
template <class OneStep>
result<void> in_steps(const void* start, bytes length, OneStep one_step) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    for (std::size_t done = 0; done < length.count();) {
        const std::size_t to_boundary = step.count() - ((address + done) & (step.count() - 1));
        const std::size_t left = length.count() - done;
        const std::size_t piece = left < to_boundary ? left : to_boundary;
        if (const result<void> stepped = one_step(done, piece); !stepped) return stepped;
        done += piece;
    }
    return {};
}

// Gives the pages of one step back to the system. MADV_DONTNEED refuses memory that the
// program has locked (mlockall); the newer call does not.
result<void> drop_step(std::byte* start, std::size_t length, int advice, bool background) noexcept {
    long done = sys_madvise(start, length, advice);
    announce(os_call::decommit, start, length, length, background);
    if (done == -EINVAL) {
        done = sys_madvise(start, length, MADV_DONTNEED_LOCKED);
        announce(os_call::decommit, start, length, length, background);
    }
    if (done < 0) return failure(done, "madvise to give pages back");
    return {};
}

result<void> drop_contents(void* start, bytes length, int advice, bool background) noexcept {
    auto* const base = static_cast<std::byte*>(start);
    return in_steps(start, length, [&](std::size_t at, std::size_t piece) {
        return drop_step(base + at, piece, advice, background);
    });
}

}  // namespace

memory_ledgers& ledgers() noexcept {
    return all_ledgers;
}

// ---- Areas.

bytes area::prepared() const noexcept {
    return bytes{
        std::atomic_ref(const_cast<std::size_t&>(prepared_)).load(std::memory_order_relaxed)};
}

bool area::contains(bytes offset, bytes length) const noexcept {
    return offset <= size_ && length <= size_ - offset &&
           whole_os_pages(base_ + offset.count(), length);
}

result<void> area::prepare(bytes offset, bytes length) noexcept {
    if (!contains(offset, length)) {
        return misuse("prepare: the range is empty, outside the area or not whole OS pages");
    }
    std::byte* const start = base() + offset.count();
    const auto done =
        reserved_up_front() ? prepare_reserved(start, length) : prepare_nominal(start, length);
    if (!done) return done;
    all_ledgers.prepared.add(length);
    std::atomic_ref(prepared_).fetch_add(length.count(), std::memory_order_relaxed);
    return {};
}

result<void> area::prepare_reserved(std::byte* start, bytes length) noexcept {
    const long done = sys_mprotect(start, length.count(), read_write);
    announce(os_call::prepare, start, length.count(), 0);
    if (done < 0) {
        // The range may consist of several mappings, and the first ones may have changed.
        sys_mprotect(start, length.count(), PROT_NONE);
        announce(os_call::prepare, start, length.count(), 0);
        return failure(done, "mprotect to prepare reserved memory");
    }
    all_ledgers.reserved.sub(length);
    return {};
}

result<void> area::prepare_nominal(std::byte* start, bytes length) noexcept {
    const long mapped = sys_mmap(start, length.count(), read_write,
                                 private_pages | MAP_NORESERVE | MAP_FIXED_NOREPLACE);
    announce(os_call::prepare, start, length.count(), 0);
    if (mapped < 0) return failure(mapped, "mmap to prepare nominal memory");
    if (mapped != word(start)) {
        // Before 4.17 the kernel takes the address for a hint, and somebody is there.
        // These pages were never ours in any ledger.
        sys_munmap(reinterpret_cast<void*>(mapped), length.count());
        announce(os_call::release, reinterpret_cast<void*>(mapped), length.count(), 0);
        return error{errc::occupied, EEXIST, "mmap to prepare nominal memory"};
    }
    list_mapped(start, length);
    return {};
}

result<void> area::unprepare(bytes offset, bytes length, bytes ready) noexcept {
    if (!contains(offset, length) || ready > length) {
        return misuse("unprepare: the range is empty, outside the area or not whole OS pages");
    }
    std::byte* const start = base() + offset.count();
    // The contents first, in bounded steps; then one call that has nothing left to walk.
    if (ready != bytes{} || !decommit_clears()) {
        const auto dropped = drop_contents(start, length, MADV_DONTNEED, false);
        if (!dropped) return dropped;
    }
    long done;
    if (reserved_up_front()) {
        // A new mapping, not mprotect: under vm.overcommit_memory=2 only this returns the
        // kernel's promise.
        done =
            sys_mmap(start, length.count(), PROT_NONE, private_pages | MAP_NORESERVE | MAP_FIXED);
        announce(os_call::release, start, length.count(), 0);
        if (done < 0) return failure(done, "mmap to take back prepared memory");
        all_ledgers.reserved.add(length);
        give_name(start, length.count(), name_);  // or it would not merge with its neighbours
    } else {
        done = sys_munmap(start, length.count());
        announce(os_call::release, start, length.count(), 0);
        if (done < 0) return failure(done, "munmap of nominal memory");
        unlist_mapped(start, length);
    }
    all_ledgers.ready.sub(ready);
    all_ledgers.prepared.sub(length - ready);
    std::atomic_ref(prepared_).fetch_sub(length.count(), std::memory_order_relaxed);
    return {};
}

result<void> area::close() noexcept {
    if (!is_open()) return {};
    if (prepared() != bytes{}) return misuse("close: parts of the area are still prepared");
    if (reserved_up_front()) {
        auto* const mapping = reinterpret_cast<std::byte*>(mapping_);
        const long done = sys_munmap(mapping, mapping_size_.count());
        announce(os_call::release, mapping, mapping_size_.count(), 0);
        if (done < 0) return failure(done, "munmap of a reserved area");
        all_ledgers.reserved.sub(mapping_size_);
        unlist_mapped(mapping, mapping_size_);
    } else {
        forget_nominal(base_);
    }
    *this = area{};
    return {};
}

// ---- Prepared <-> Ready.

void use([[maybe_unused]] void* start, bytes length) noexcept {
    STEADY_ASSERT(1, whole_os_pages(start, length), "O1 use: the range is not whole OS pages");
    all_ledgers.prepared.sub(length);
    all_ledgers.ready.add(length);
}

void populate(void* start, bytes length) noexcept {
    STEADY_ASSERT(1, whole_os_pages(start, length), "O1 populate: the range is not whole OS pages");
    (void)sys_madvise(start, length.count(), MADV_POPULATE_WRITE);
}

bool decommit_clears() noexcept {
    return !options().madvfree;
}

result<void> decommit(void* start, bytes length, bool background) noexcept {
    if (!whole_os_pages(start, length)) {
        return misuse("decommit: the range is empty or not whole OS pages");
    }
    const int advice = decommit_clears() ? MADV_DONTNEED : MADV_FREE;
    const auto dropped = drop_contents(start, length, advice, background);
    if (!dropped) return dropped;
    all_ledgers.ready.sub(length);
    all_ledgers.prepared.add(length);
    return {};
}

// ---- Moving.

namespace detail {

// MAP_FIXED_NOREPLACE: should another thread have mapped something into the hole, it is
// not ours to destroy.
void restore_destination(std::byte* to, std::size_t length) noexcept {
    unsigned char resident[2_MiB / 4_KiB];
    const long mapped_already = sys_mincore(to, length, resident);
    announce(os_call::query, to, length, length);
    if (mapped_already == 0) return;
    long mapped =
        sys_mmap(to, length, read_write, private_pages | MAP_NORESERVE | MAP_FIXED_NOREPLACE);
    announce(os_call::remap, to, length, 0);
    if (mapped == word(to)) return;
    if (mapped >= 0) {  // before 4.17 the address is a hint, and something is there
        sys_munmap(reinterpret_cast<void*>(mapped), length);
        announce(os_call::release, reinterpret_cast<void*>(mapped), length, 0);
        mapped = -EEXIST;
    }
    // Only ENOMEM speaks of a hole. Another refusal (a seccomp filter) says nothing, and
    // then this answer does: the destination is still there.
    if (mapped == -EEXIST && mapped_already != -ENOMEM) return;
    fatal(message("os")
              .text("mremap failed after it had unmapped its destination, ")
              .size(bytes{length})
              .text(" at ")
              .hex(reinterpret_cast<std::uintptr_t>(to))
              .text(", and mapping it again failed with errno ")
              .number(static_cast<std::uint64_t>(-mapped))
              .text(".")
              .line("The process is at a limit (vm.max_map_count, RLIMIT_AS, overcommit), and a")
              .line("block that was being moved lost its new place. Raise the limit."));
}

}  // namespace detail

namespace {

constinit std::atomic<bool> kernel_moves{true};  // until it says that it cannot

// Adds to `copied` what the kernel did not move.
result<void> move_step(std::byte* from, std::byte* to, std::size_t length, bytes& copied) noexcept {
    if (kernel_moves.load(std::memory_order_relaxed)) {
        const long moved =
            sys_mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
        announce(os_call::remap, from, length, length);
        if (moved == word(to)) return {};
        if (moved == -EINVAL || moved == -ENOSYS) {
            kernel_moves.store(false, std::memory_order_relaxed);
        }
        restore_destination(to, length);
    }
    __builtin_memcpy(to, from, length);
    copied += bytes{length};
    // The source must read as zero (O4), with or without the kernel's help.
    if (!drop_step(from, length, MADV_DONTNEED, false)) __builtin_memset(from, 0, length);
    return {};
}

}  // namespace

result<bytes> move(void* from, void* to, bytes length) noexcept {
    auto* const source = static_cast<std::byte*>(from);
    auto* const target = static_cast<std::byte*>(to);
    const bool apart = source + length.count() <= target || target + length.count() <= source;
    if (!whole_os_pages(from, length) || !whole_os_pages(to, length) || !apart) {
        return misuse("move: the ranges overlap, are empty or not whole OS pages");
    }
    // No ledger changes: as many bytes become Ready over there as become Prepared here.
    bytes copied;
    const auto done = in_steps(from, length, [&](std::size_t at, std::size_t piece) {
        return move_step(source + at, target + at, piece, copied);
    });
    if (!done) return done.error();
    return copied;
}

// ---- Small blocks.

result<std::byte*> map_plain(bytes size, const char* name) noexcept {
    if (!whole_os_pages(std::uintptr_t{0}, size)) {
        return misuse("map_plain: the size is 0 or not whole OS pages");
    }
    const long mapped = sys_mmap(nullptr, size.count(), read_write, private_pages);
    announce(os_call::reserve, nullptr, size.count(), 0);
    if (mapped < 0) return failure(mapped, "mmap of a block for records");
    auto* const start = reinterpret_cast<std::byte*>(mapped);
    all_ledgers.ready.add(size);
    all_ledgers.plain.add(size);
    list_mapped(start, size);
    give_name(start, size.count(), name);
    return start;
}

result<void> unmap_plain(void* start, bytes size) noexcept {
    if (!whole_os_pages(start, size)) {
        return misuse("unmap_plain: the range is empty or not whole OS pages");
    }
    if (const auto dropped = drop_contents(start, size, MADV_DONTNEED, false); !dropped) {
        return dropped;
    }
    const long done = sys_munmap(start, size.count());
    announce(os_call::release, start, size.count(), 0);
    if (done < 0) return failure(done, "munmap of a block for records");
    all_ledgers.plain.sub(size);
    all_ledgers.ready.sub(size);
    unlist_mapped(start, size);
    return {};
}

}  // namespace steady::os
