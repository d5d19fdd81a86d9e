// area_open.cpp - where an area comes from: reserved up front, or nominal.
//
//   RLIMIT_AS finite? ---- yes ---------------------------+
//        | no                                             v
//   reserve at the hint -> reserve anywhere        a gap in /proc/self/maps that no other
//        | refused                                 nominal area has, from the hint upwards
//   half the size, while it may shrink -- refused ------> |
//
// A nominal area owns nothing in the kernel's eyes, so two of them must not choose the
// same addresses: a small table remembers who has which.
#include "steady/os/memory.hpp"

#include <atomic>
#include <bit>

#include "steady/os/detail/failure.hpp"
#include "steady/os/detail/lines.hpp"
#include "steady/os/detail/mapping.hpp"
#include "steady/os/detail/syscall.hpp"
#include "steady/os/mutex.hpp"
#include "steady/os/mappings.hpp"

#include <linux/mman.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEADY_OS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STEADY_OS_SANITIZED 1
#endif
#endif

namespace steady::os {

using namespace detail;

namespace {

// Sanitizers lay their shadow over the low addresses where hints point, so under them an
// area lies where the kernel puts mappings. Nominal areas start below the kernel's own.
#if defined(STEADY_OS_SANITIZED)
constexpr bool hints_count = false;
constexpr std::uintptr_t nominal_ground = 0x7e90'0000'0000;
#else
constexpr bool hints_count = true;
constexpr std::uintptr_t nominal_ground = 0x00c0'0000'0000;  // Go's: far from brk and mmap
#endif

// ---- Nominal areas.

struct address_range {
    std::uintptr_t base, end;
};
constinit mutex nominal_lock;
constinit address_range nominal_ranges[64] = {};  // end 0: unused. Guarded by nominal_lock

// The first address from `from` on where `size` bytes are free of mappings; 0 when there is
// none below the end of this process's addresses.
std::uintptr_t gap_in_maps(std::uintptr_t from, bytes size, std::size_t alignment) noexcept {
    std::uintptr_t candidate = round_up(from, alignment);
    // A stack lies in the upper half of what this processor and kernel offer (39, 47, 48
    // bits...), so its address rounded up to a power of two is the end.
    std::uintptr_t highest = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    bool found = false;
    line_reader maps("/proc/self/maps");
    for (std::string_view line; maps.next(line);) {
        std::uint64_t start = 0, end = 0;
        if (!take_number(line, start, 16) || !take(line, "-") || !take_number(line, end, 16)) {
            continue;
        }
        if (static_cast<std::int64_t>(end) < 0) continue;  // [vsyscall] is the kernel's
        if (end > highest) highest = end - 1;
        if (found || end <= candidate) continue;
        if (start >= candidate && start - candidate >= size.count()) {
            found = true;
        } else {
            candidate = round_up(end, alignment);
        }
    }
    const std::uintptr_t limit = std::bit_ceil(highest);
    return candidate < limit && limit - candidate >= size.count() ? candidate : 0;
}

// The address after the nominal area that overlaps the range; 0 when none does.
std::uintptr_t nominal_in_the_way(std::uintptr_t base, bytes size) noexcept {
    for (const address_range& range : nominal_ranges) {
        if (base < range.end && range.base < base + size.count()) return range.end;
    }
    return 0;
}

std::uintptr_t choose_nominal(bytes size, std::size_t alignment, std::uintptr_t from) noexcept {
    const lock_guard guard(nominal_lock);
    address_range* entry = nullptr;
    for (address_range& range : nominal_ranges) {
        if (range.end == 0) entry = &range;
    }
    if (entry == nullptr) return 0;
    // Each round passes at least one known area, so this ends.
    for (;;) {
        const std::uintptr_t base = gap_in_maps(from, size, alignment);
        if (base == 0) return 0;
        from = nominal_in_the_way(base, size);
        if (from != 0) continue;
        *entry = {base, base + size.count()};
        return base;
    }
}

bool address_space_is_limited() noexcept {
    resource_limit limit{};
    return sys_get_limit(RLIMIT_AS, &limit) == 0 && limit.soft != ~std::uint64_t{0};
}

}  // namespace

namespace detail {

void forget_nominal(std::uintptr_t base) noexcept {
    const lock_guard guard(nominal_lock);
    for (address_range& range : nominal_ranges) {
        if (range.base == base) range = {};
    }
}

void free_nominal_lock() noexcept {
    nominal_lock.reset_after_fork();
}

void give_name(const void* start, std::size_t length, const char* name) noexcept {
    constexpr int set_vma = 0x53564d41, anon_name = 0;  // PR_SET_VMA, Linux 5.17
    static constinit std::atomic<bool> kernel_names{true};
    if (name == nullptr || !kernel_names.load(std::memory_order_relaxed)) return;
    const long done = sys_prctl(set_vma, anon_name, static_cast<unsigned long>(word(start)), length,
                                static_cast<unsigned long>(word(name)));
    announce(os_call::query, start, length, 0);
    if (done == -EINVAL) kernel_names.store(false, std::memory_order_relaxed);
}

}  // namespace detail

result<area> area::open(bytes size, bytes alignment, std::uintptr_t hint, bool may_shrink,
                        bytes min, const char* name) noexcept {
    const bytes page = os_page();
    if (alignment < page) alignment = page;
    if (size == bytes{} || size % page != bytes{} || !is_power_of_two(alignment.count()) ||
        min > size) {
        return error{errc::invalid_argument, 0, "open: size, alignment or minimum of an area"};
    }
    if (min < page) min = page;
    if (!may_shrink) min = size;

    if (!address_space_is_limited()) {
        for (bytes wanted = size; wanted >= min; wanted = round_down(wanted / 2, page)) {
            if (const auto reserved = reserve(wanted, alignment, hint, name)) return reserved;
        }
    }
    for (bytes wanted = size; wanted >= min; wanted = round_down(wanted / 2, page)) {
        if (const auto nominal = make_nominal(wanted, alignment, hint, name)) return nominal;
    }
    return error{errc::address_space_limit, ENOMEM, "open: finding addresses for an area"};
}

result<area> area::reserve(bytes size, bytes alignment, std::uintptr_t hint,
                           const char* name) noexcept {
    const auto try_map = [](std::uintptr_t at, bytes length, int flags) noexcept {
        const long mapped = sys_mmap(reinterpret_cast<void*>(at), length.count(), PROT_NONE,
                                     private_pages | MAP_NORESERVE | flags);
        announce(os_call::reserve, reinterpret_cast<void*>(at), length.count(), 0);
        if (mapped >= 0) {
            ledgers().reserved.add(length);
            list_mapped(reinterpret_cast<void*>(mapped), length);
        }
        return mapped;
    };
    const auto unmap = [](long mapped, bytes length) noexcept {
        const long unmapped = sys_munmap(reinterpret_cast<void*>(mapped), length.count());
        announce(os_call::release, reinterpret_cast<void*>(mapped), length.count(), 0);
        if (unmapped < 0) return;
        ledgers().reserved.sub(length);
        unlist_mapped(reinterpret_cast<void*>(mapped), length);
    };
    // The kernel does not know nominal areas and may map over them; they could not grow then.
    const auto covers_nominal = [](long mapped, bytes length) noexcept {
        const lock_guard guard(nominal_lock);
        return nominal_in_the_way(static_cast<std::uintptr_t>(mapped), length) != 0;
    };
    const auto as_area = [&](long mapped, bytes length) noexcept {
        area opened;
        opened.mapping_ = static_cast<std::uintptr_t>(mapped);
        opened.mapping_size_ = length;
        opened.base_ = round_up(opened.mapping_, alignment.count());
        opened.size_ = size;
        opened.name_ = name;
        give_name(reinterpret_cast<void*>(mapped), length.count(), name);
        return opened;
    };

    if (hint != 0 && hints_count) {
        const std::uintptr_t wish = round_up(hint, alignment.count());
        const long mapped = try_map(wish, size, MAP_FIXED_NOREPLACE);
        if (mapped >= 0) {
            // A kernel before 4.17 may have gone elsewhere; that is as good when aligned.
            if (static_cast<std::uintptr_t>(mapped) % alignment.count() == 0 &&
                !covers_nominal(mapped, size)) {
                return as_area(mapped, size);
            }
            unmap(mapped, size);
        }
    }
    const bytes slack = alignment > os_page() ? alignment : bytes{};
    const bytes length = size + slack;
    if (length < size) return error{errc::invalid_argument, 0, "open: the size overflows"};
    const long mapped = try_map(0, length, 0);
    if (mapped < 0) return failure(mapped, "mmap to reserve an area");
    if (covers_nominal(mapped, length)) {
        unmap(mapped, length);
        return error{errc::address_space_limit, ENOMEM, "open: finding addresses for an area"};
    }
    return as_area(mapped, length);
}

result<area> area::make_nominal(bytes size, bytes alignment, std::uintptr_t hint,
                                const char* name) noexcept {
    const std::uintptr_t from = hint != 0 && hints_count ? hint : nominal_ground;
    std::uintptr_t base = choose_nominal(size, alignment.count(), from);
    // Addresses of 39 bits end below the usual ground: take what is free from 4 GiB on.
    if (base == 0) base = choose_nominal(size, alignment.count(), std::uintptr_t{1} << 32);
    if (base == 0) return error{errc::address_space_limit, ENOMEM, "open: no free addresses"};
    area opened;
    opened.base_ = base;
    opened.size_ = size;
    opened.name_ = name;
    return opened;
}

}  // namespace steady::os
