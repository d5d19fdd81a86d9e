// c_family.cpp - malloc, free and the other C functions that hand out memory.
//
//   function                              alignment that fails    result then
//   malloc calloc realloc reallocarray    -                       16 (8 for sizes up to 8)
//   posix_memalign                        not 2^n * 8             returns EINVAL, *out untouched
//   aligned_alloc                         not 2^n                 nullptr, EINVAL
//   memalign                              > 2^63                  nullptr, EINVAL; others round up
//   valloc pvalloc                        -                       OS page
//
// Promises, the same for all
//   * A size above PTRDIFF_MAX, a product that overflows, and no memory all give
//     nullptr and ENOMEM. Nothing changes then: realloc's block stays as it was.
//   * Size 0 gives an address of its own, except that realloc(p, 0) frees p and
//     returns nullptr, as glibc's does.
//   * free keeps errno (POSIX 2024).
//   * malloc_usable_size is memory the caller owns to the last byte, and realloc
//     to that size returns the same pointer. Code built with _FORTIFY_SOURCE=3,
//     where the compiler trusts the size in the call, announces the larger size
//     by such a realloc and then may use it.
//
// Source: POSIX.1-2024, C23 7.24.3, and the manual of glibc 2.36 where they leave
// a choice. aligned_alloc follows glibc 2.38, which checks the alignment.
#include <bit>
#include <cstring>

#include "family.hpp"
#include "replaced.hpp"
#include "steady/core/units.hpp"
#include "steady/os/memory.hpp"

namespace steady::detail {

STEADY_SLOW void* allocate_or_null(std::size_t size) noexcept {
    if (!ready()) return early_allocate(size, 16);
    return size <= largest_object ? allocate(size) : nullptr;
}

STEADY_SLOW void* allocate_aligned_or_null(std::size_t size, std::size_t alignment) noexcept {
    if (!ready()) return early_allocate(size, alignment);
    if (size > largest_object) return nullptr;
    return allocate_aligned(size, alignment);
}

STEADY_SLOW void free_slow(void* p) noexcept {
    if (p == nullptr || is_early(p)) return;
    deallocate(p);
}

STEADY_SLOW void free_of_size_slow(void* p, std::size_t size) noexcept {
    if (p == nullptr || is_early(p)) return;
    deallocate_sized(p, size);
}

STEADY_SLOW void free_of_size_slow(void* p, std::size_t size, std::size_t alignment) noexcept {
    if (p == nullptr || is_early(p)) return;
    deallocate_aligned(p, size, alignment);
}

namespace {

STEADY_SLOW void* malloc_slow(std::size_t size) noexcept {
    void* p = allocate_or_null(size);
    return p != nullptr ? p : out_of_memory();
}

// Sizes above the first table are rarer, and still worth a path without a frame.
[[gnu::noinline]] void* malloc_medium(std::size_t size) noexcept {
    if (void* p = pop_medium(size)) [[likely]]
        return p;
    return malloc_slow(size);
}

STEADY_SLOW void* calloc_slow(std::size_t size) noexcept {
    void* p = ready() ? size <= largest_object ? allocate_zeroed(size) : nullptr
                      : early_allocate(size, 16);
    return p != nullptr ? p : out_of_memory();
}

STEADY_SLOW void* realloc_slow(void* p, std::size_t size) noexcept {
    if (p == nullptr) return malloc_slow(size);
    if (size == 0) {
        free_slow(p);
        return nullptr;
    }
    if (size > largest_object) return out_of_memory();
    void* moved = is_early(p) ? early_reallocate(p, size) : reallocate(p, size);
    return moved != nullptr ? moved : out_of_memory();
}

void* aligned(std::size_t alignment, std::size_t size) noexcept {
    void* p = allocate_aligned_or_null(size, alignment);
    return p != nullptr ? p : out_of_memory();
}

std::size_t os_page_size() noexcept {
    return ready() ? os::os_page().count() : 4096;
}

}  // namespace

}  // namespace steady::detail

namespace sd = steady::detail;

STEADY_MEMBER void* malloc(std::size_t size) noexcept {
    if (size >= sd::small_limit) [[unlikely]]
        return sd::malloc_medium(size);
    if (void* p = sd::pop_small(size)) [[likely]]
        return p;
    return sd::malloc_slow(size);
}

STEADY_MEMBER void free(void* p) noexcept {
    if (sd::push(p)) [[likely]]
        return;
    sd::free_slow(p);
}

STEADY_MEMBER void* calloc(std::size_t count, std::size_t size) noexcept {
    std::size_t total;
    if (__builtin_mul_overflow(count, size, &total)) [[unlikely]]
        return sd::out_of_memory();
    if (void* p = sd::pop_small(total)) [[likely]]
        return std::memset(p, 0, total);
    return sd::calloc_slow(total);
}

STEADY_MEMBER void* realloc(void* p, std::size_t size) noexcept {
    if (p == nullptr || size - 1 >= sd::largest_object || sd::is_early(p)) [[unlikely]] {
        return sd::realloc_slow(p, size);
    }
    void* moved = sd::reallocate(p, size);
    return moved != nullptr ? moved : sd::out_of_memory();
}

STEADY_MEMBER void* reallocarray(void* p, std::size_t count, std::size_t size) noexcept {
    std::size_t total;
    if (__builtin_mul_overflow(count, size, &total)) [[unlikely]]
        return sd::out_of_memory();
    return sd::bound_realloc(p, total);
}

STEADY_MEMBER int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
    if (!steady::is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
    void* p = sd::allocate_aligned_or_null(size, alignment);
    if (p == nullptr) return ENOMEM;
    *out = p;
    return 0;
}

STEADY_MEMBER void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    if (!steady::is_power_of_two(alignment)) {
        errno = EINVAL;
        return nullptr;
    }
    return sd::aligned(alignment, size);
}

STEADY_MEMBER void* memalign(std::size_t alignment, std::size_t size) noexcept {
    constexpr std::size_t last_power = std::size_t{1} << 63;
    if (alignment > last_power) {
        errno = EINVAL;
        return nullptr;
    }
    return sd::aligned(std::bit_ceil(alignment), size);
}

STEADY_MEMBER void* valloc(std::size_t size) noexcept {
    return sd::aligned(sd::os_page_size(), size);
}

STEADY_MEMBER void* pvalloc(std::size_t size) noexcept {
    const std::size_t page = sd::os_page_size();
    const std::size_t whole = steady::round_up(size, page);
    if (whole < size) return sd::out_of_memory();
    return sd::aligned(page, whole);
}

STEADY_MEMBER std::size_t malloc_usable_size(void* p) noexcept {
    if (p == nullptr) return 0;
    return sd::is_early(p) ? sd::early_usable_size(p) : sd::usable_size(p);
}

// C23. The size tells the heap nothing it would not find out; it lets the heap
// notice that the caller is wrong about it.
STEADY_MEMBER void free_sized(void* p, std::size_t size) noexcept {
    if (sd::push_unchecked(p)) [[likely]]
        return;
    sd::free_of_size_slow(p, size);
}

STEADY_MEMBER void free_aligned_sized(void* p, std::size_t alignment, std::size_t size) noexcept {
    if (sd::push_unchecked(p)) [[likely]]
        return;
    sd::free_of_size_slow(p, size, alignment);
}

// Our own address of malloc, whatever the loader binds.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-attributes"  // only the address is used
#endif
extern "C" [[gnu::visibility("hidden"), gnu::alias("malloc")]] void* steady_own_malloc(std::size_t);
