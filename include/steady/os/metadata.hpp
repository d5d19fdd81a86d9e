// metadata.hpp - memory for the heap's own records: it comes from the system
// directly, is counted to the byte, and is never given back.
//
//   chunk of 256 KiB, mapped at once, pages come by first touch
//   | record | record | pad | table ... | not handed out yet              |
//                                       ^ cursor
//
// Terms   chunk: what is asked from the system at a time (Go: persistentalloc).
//         pool: records of one type, with a free list (Go: fixalloc).
//
// Invariants
//   T1  Chunks mapped = the callers' ledgers + metadata_unused(): every byte is
//       either somebody's record or said to be unused (room ahead, alignment
//       padding, the tail of a chunk that a bigger request left behind).
//   T2  Memory comes zeroed; what a pool hands out again does not.
//
// Why never given back: records of different owners share chunks, and a span
// record must stay readable for a stale pointer lookup.

#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/core/ledger.hpp"
#include "steady/core/units.hpp"

namespace steady::os {

/// Memory that lives as long as the process.
///
/// Returns    `size` zero bytes at a multiple of `align` (a power of two up to an OS
///            page), entered into `owner`; nullptr when the system refuses, and then
///            nothing has changed.
/// Cost       a lock and an addition; a system call per 256 KiB. Requests of 64 KiB
///            and more are mapped on their own.
/// Threads    any.
void* metadata_alloc(bytes size, std::size_t align, ledger& owner) noexcept;

/// Bytes of chunks that no record uses (T1).
ledger& metadata_unused() noexcept;

/// For the one thread of a forked child: frees the locks inside os, this one and that of
/// the table of nominal areas.
void metadata_reset_after_fork() noexcept;

namespace detail {

/// The untyped half of fixed_pool: depends on sizes only, so it exists once.
class slot_pool {
public:
    constexpr slot_pool() noexcept = default;

    void* get(std::size_t size, std::size_t align, ledger& owner) noexcept;
    void put(void* slot) noexcept;

private:
    struct free_slot {
        free_slot* next;
    };
    free_slot* free_ = nullptr;
    std::byte* cursor_ = nullptr;  // the part of the current piece not cut yet
    std::byte* end_ = nullptr;
};

}  // namespace detail

/// Storage for records of one type, reused last in, first out.
///
/// Threads    not safe: callers hold the lock of whatever the records describe.
template <class T>
class fixed_pool {
public:
    constexpr fixed_pool() noexcept = default;
    fixed_pool(const fixed_pool&) = delete;
    fixed_pool& operator=(const fixed_pool&) = delete;

    /// Storage for one T; the caller constructs it (a reused slot is not zero).
    ///
    /// Returns    nullptr when the system refuses.
    /// Cost       a pop; per 16 KiB of records one metadata_alloc, entered into `owner`.
    T* get(ledger& owner) noexcept {
        void* slot = slots_.get(slot_size, slot_align, owner);
        if (slot != nullptr) ++in_use_;
        return static_cast<T*>(slot);
    }

    /// Takes back storage from get(); the caller has destroyed the T.
    void put(T* slot) noexcept {
        --in_use_;
        slots_.put(slot);
    }

    /// Slots handed out now.
    [[nodiscard]] std::size_t in_use() const noexcept { return in_use_; }
    [[nodiscard]] bytes bytes_in_use() const noexcept { return bytes{in_use_ * slot_size}; }

private:
    static constexpr std::size_t slot_align = alignof(T) > alignof(void*) ? alignof(T)
                                                                          : alignof(void*);
    static constexpr std::size_t slot_size =
        round_up(sizeof(T) > sizeof(void*) ? sizeof(T) : sizeof(void*), slot_align);

    detail::slot_pool slots_;
    std::size_t in_use_ = 0;
};

}  // namespace steady::os
