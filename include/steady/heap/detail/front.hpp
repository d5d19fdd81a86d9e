// front.hpp - malloc and free as the rest of the program sees them: the few
// instructions that serve almost every call, inline, and the doors to the slow
// paths.
//
//   allocate(size):   span class by table -> bin of this thread -> pop
//   deallocate(p):    page of p -> class_of_page -> bin of this thread -> push
//
// A thread starts with `empty_cache`, all zeros: both comparisons of every bin
// fail, so the first call of a thread enters the slow path without the fast path
// asking whether there is a cache. The same cache serves a thread whose
// destructors have run, a process in its first instructions, and checked mode
// (STEADY_DEBUG=check=1), in which every call takes the slow path on purpose.
//
// Sizes. Any size of 9 bytes or more gets 16-byte alignment, as the ABI's
// max_align_t asks, so the 24-byte class serves only callers who say that 8 is
// enough. 1..8 bytes get 8 (no type with a larger alignment fits).
#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/heap/detail/address_map.hpp"
#include "steady/heap/detail/cache.hpp"

namespace steady::detail {

/// The cache of the calling thread. initial-exec: the access is one instruction
/// and never calls the loader, which would call malloc.
extern STEADY_HEAP_HIDDEN __thread thread_cache* current_cache
    __attribute__((tls_model("initial-exec")));
extern STEADY_HEAP_HIDDEN thread_cache empty_cache;

inline constexpr std::size_t largest_small = 32768;
inline constexpr std::size_t table_split = 1024;  // an entry a byte up to here, for 128 above

/// malloc_class8 and size_to_class128, doubled with the noscan bit: one load
/// from size to bin. An entry for every size up to 1 KiB, not for every eighth, saves malloc
/// the rounding, two instructions.
struct span_class_tables {
    span_class by_size[table_split + 1]{};
    span_class by_128[249]{};
    constexpr span_class_tables() noexcept {
        for (unsigned size = 0; size <= table_split; ++size) {
            const unsigned c = malloc_class8[(size + 7) / 8];
            by_size[size] = static_cast<span_class>((c == 0 ? 1 : c) * 2 + 1);
        }
        for (unsigned i = 0; i < 249; ++i)
            by_128[i] = static_cast<span_class>(size_to_class128[i] * 2 + 1);
    }
};
inline constexpr span_class_tables span_classes{};

[[nodiscard]] void* allocate_slow(std::size_t size, span_class sclass) noexcept;
[[nodiscard]] void* allocate_large(std::size_t size, std::size_t alignment, bool noscan,
                                   bool* zeroed) noexcept;
void deallocate_slow(void* p) noexcept;

/// Pops an object of `sclass`. `size` is what the program asked for (samples
/// report it). nullptr when there is no memory.
[[nodiscard]] inline void* allocate_class(span_class sclass, std::size_t size) noexcept {
    const bin b = current_cache->bins[sclass];
    const slot_pointer top = b.pop.load(std::memory_order_relaxed);
    if (is_above(top, b.pop_floor)) [[likely]] {
        b.pop.store(top - 1, std::memory_order_relaxed);
        return top[-1].load(std::memory_order_relaxed);
    }
    return allocate_slow(size, sclass);
}

/// malloc: at least `size` bytes, or nullptr. Sizes of 0 give a unique object.
/// Cost: about 10 instructions; a slow path once per magazine. Threads: any.
[[nodiscard]] inline void* allocate(std::size_t size) noexcept {
    if (size <= table_split) [[likely]]
        return allocate_class(span_classes.by_size[size], size);
    if (size <= largest_small)
        return allocate_class(span_classes.by_128[(size - table_split + 127) >> 7], size);
    return allocate_large(size, 1, true, nullptr);
}

/// free: `p` may be nullptr. A pointer that is no live object of this heap is
/// fatal, at the latest when its magazine returns to the spans.
/// Cost: about 12 instructions; a slow path once per magazine. Threads: any.
inline void deallocate(void* p) noexcept {
    const std::size_t page = heap_map.page_of(reinterpret_cast<std::uintptr_t>(p));
    if (heap_map.is_ready(page)) [[likely]] {
        const bin b =
            current_cache->bins[heap_map.class_of_page[page].load(std::memory_order_relaxed)];
        const slot_pointer top = b.push.load(std::memory_order_relaxed);
        if (is_below(top, b.push_end)) [[likely]] {
            top->store(p, std::memory_order_relaxed);
            // release; pairs with the acquire in drain_closed: a thief that sees the
            // object also sees everything its last owner did with it.
            b.push.store(top + 1, std::memory_order_release);
            return;
        }
    }
    deallocate_slow(p);
}

/// calloc without the multiplication. Large fresh memory is not touched.
[[nodiscard]] void* allocate_zeroed(std::size_t size) noexcept;
/// Any power-of-two alignment.
[[nodiscard]] void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept;
/// delete with a size: checked against the span when STEADY_CHECK >= 1 or in checked mode.
void deallocate_sized(void* p, std::size_t size) noexcept;
void deallocate_aligned(void* p, std::size_t size, std::size_t alignment) noexcept;
/// realloc for size > 0: stays in place when the class or the neighbourhood
/// allows; moves page tables instead of bytes when large. nullptr: `p` is intact.
[[nodiscard]] void* reallocate(void* p, std::size_t size) noexcept;
/// Grows `p` to hold `size` bytes without moving it, or leaves it alone.
[[nodiscard]] bool grow_in_place(void* p, std::size_t size) noexcept;

[[nodiscard]] std::size_t usable_size(const void* p) noexcept;
[[nodiscard]] bool owns(const void* p) noexcept;

/// Empties every cache and depot and releases all free pages. Returns bytes released.
std::size_t trim() noexcept;

void before_fork() noexcept;
void after_fork_in_parent() noexcept;
void after_fork_in_child() noexcept;

}  // namespace steady::detail
