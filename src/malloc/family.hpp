// family.hpp - what the members of the malloc family share: how they are
// exported, their fast path, and how they fail.
//
// Terms   member: an exported function. slow half: the rest of a member, out of
//         line, entered by a jump and not by a call.
//
//   malloc:  size < small_limit? --no--> slow half: early? too large? errno
//                 | yes                    ^
//            magazine empty? --yes---------+
//                 | no
//            return top of magazine
//
// The fast half of a member calls nothing, so it needs no stack frame, and the
// slow half is its last action, so the compiler makes it a jump. The instruction
// counts are kept in tests/malloc/fast_path.txt.
//
// Every function here that is not exported is hidden (-fvisibility=hidden), so
// calls between our own functions never pass the PLT.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "early.hpp"
#include "steady/core/check.hpp"
#include "steady/heap/detail/front.hpp"

/// A member of the family with its C name. Each begins a cache line: the fast half of malloc
/// and that of free then lie in two lines each, wherever the linker puts them.
#define STEADY_MEMBER extern "C" [[gnu::visibility("default"), gnu::aligned(64)]]
/// A member whose name C++ mangles.
#define STEADY_OPERATOR [[gnu::visibility("default"), gnu::aligned(64)]]
/// The half that is not worth a place in the instruction cache beside the fast one.
#define STEADY_SLOW [[gnu::cold, gnu::noinline]]

namespace steady::detail {

/// Pointers to the last byte and one past it must differ by a ptrdiff_t, so no
/// object may be larger; compilers rely on it.
inline constexpr std::size_t largest_object = PTRDIFF_MAX;

/// Ends a C member that could not allocate. Returns nullptr.
STEADY_SLOW inline void* out_of_memory() noexcept {
    if (small_limit != 0) errno = ENOMEM;  // before ready, errno cannot be found (B1)
    return nullptr;
}

/// Pops from the thread's magazine of this class; nullptr when none is ready.
[[gnu::always_inline]] inline void* pop(span_class sclass) noexcept {
    const bin b = current_cache->bins[sclass];
    const slot_pointer top = b.pop.load(std::memory_order_relaxed);
    if (!is_above(top, b.pop_floor)) [[unlikely]]
        return nullptr;
    b.pop.store(top - 1, std::memory_order_relaxed);
    void* p = top[-1].load(std::memory_order_relaxed);
    if (p == nullptr) __builtin_unreachable();  // one branch serves this test and the caller's
    return p;
}

/// The fast half of malloc and operator new; nullptr sends the caller to its slow
/// half. `limit` is small_limit or a variable that is equal to it or 0.
[[gnu::always_inline]] inline void* pop_small(std::size_t size, const std::size_t& limit) noexcept {
    if (size >= limit) [[unlikely]]
        return nullptr;
    if (size > table_split) __builtin_unreachable();  // limit is 0 or table_split + 1
    return pop(span_classes.by_size[size]);
}
[[gnu::always_inline]] inline void* pop_small(std::size_t size) noexcept {
    return pop_small(size, small_limit);
}

/// The same for the sizes above the first table.
[[gnu::always_inline]] inline void* pop_medium(std::size_t size) noexcept {
    if (size > largest_small || small_limit == 0) [[unlikely]]
        return nullptr;
    if (size <= table_split) return pop_small(size);
    return pop(span_classes.by_128[(size - table_split + 127) >> 7]);
}

/// The fast half of free and delete; false sends the caller to its slow half.
[[gnu::always_inline]] inline bool push(void* p) noexcept {
    const std::size_t page = heap_map.page_of(reinterpret_cast<std::uintptr_t>(p));
    if (!heap_map.is_ready(page)) [[unlikely]]
        return false;
    const bin b = current_cache->bins[heap_map.class_of_page[page].load(std::memory_order_relaxed)];
    const slot_pointer top = b.push.load(std::memory_order_relaxed);
    if (!is_below(top, b.push_end)) [[unlikely]]
        return false;
    top->store(p, std::memory_order_relaxed);
    // release; pairs with the acquire in drain_closed, as in deallocate() of front.hpp.
    b.push.store(top + 1, std::memory_order_release);
    return true;
}

/// The slow halves, without the failure: nullptr when there is no memory.
void* allocate_or_null(std::size_t size) noexcept;
void* allocate_aligned_or_null(std::size_t size, std::size_t alignment) noexcept;

/// The slow half of every form of free and delete; keeps errno, as POSIX asks of
/// free since 2024.
void free_slow(void* p) noexcept;

/// Frees memory that the caller believes to have this size (and alignment).
/// Only the slow half compares it with the truth, and in checked builds and
/// checked mode every call takes the slow half.
void free_of_size_slow(void* p, std::size_t size) noexcept;
void free_of_size_slow(void* p, std::size_t size, std::size_t alignment) noexcept;

[[gnu::always_inline]] inline bool push_unchecked(void* p) noexcept {
    if constexpr (STEADY_CHECK >= 1) return false;
    return push(p);
}

}  // namespace steady::detail
