// directory.hpp - the directory of a table: which segment has the hashes that end in these
// bits.
//
// W2 (grow.hpp)   A directory is published complete. The next one is filled ahead, 64 entries
//                 with each split once a segment has reached the last level, and until then each
//                 change is made in both.
// Directories that were replaced stay until the table goes: a reader may be in any of them.

#pragma once

#include <algorithm>

#include "steady/concurrent/detail/table.hpp"

namespace steady::concurrent_detail {

/// Directories up to this size double in one step: 32 KiB are copied in 2 us.
inline constexpr unsigned small_directory_bits = 12;

/// Entries that end in pattern's depth - 1 bits: the next bit chooses between the two names.
template <unsigned W, class R, unsigned L>
void table<W, R, L>::publish(std::uint64_t pattern, unsigned depth, std::uint64_t zero,
                             std::uint64_t one) noexcept {
    const holding<rare_lock> only{directory_lock_};
    const std::uint64_t d = directory_.load();
    const unsigned bits = d & 63;
    auto* entries = reinterpret_cast<word*>(d & ~std::uint64_t{63});
    const bool split = zero != one;
    const unsigned common = split ? depth - 1 : depth;
    const std::size_t size = std::size_t{1} << bits;
    for (std::size_t i = pattern & ~(~std::uint64_t{0} << common); i < size;
         i += std::size_t{1} << common) {
        const std::uint64_t name = split && (i >> common & 1) != 0 ? one : zero;
        entries[i].store(name);
        if (i < copied_) {  // W2
            next_directory_[i].store(name);
            next_directory_[i + size].store(name);
        }
    }
    if (split && depth == bits && bits >= small_directory_bits && next_directory_ == nullptr) {
        // This split reached the last level: soon one will need the next.
        next_directory_ = new_directory(bits + 1);
        next_bits_ = bits + 1;
        copied_ = 0;
    }
    if (next_directory_ != nullptr) copy_ahead(64);
}

/// Under directory_lock_.
template <unsigned W, class R, unsigned L>
void table<W, R, L>::copy_ahead(std::size_t entries) noexcept {
    const std::uint64_t d = directory_.load();
    const std::size_t size = std::size_t{1} << (d & 63);
    const auto* from = reinterpret_cast<const word*>(d & ~std::uint64_t{63});
    for (; entries != 0 && copied_ < size; --entries, ++copied_) {
        const std::uint64_t name = from[copied_].load();
        next_directory_[copied_].store(name);
        next_directory_[copied_ + size].store(name);
    }
}

/// Returns    true when a segment may have this depth.
/// Cost       copies at most 2^small_directory_bits entries.
template <unsigned W, class R, unsigned L>
bool table<W, R, L>::room_in_directory(unsigned depth) {
    const holding<rare_lock> only{directory_lock_};
    const unsigned bits = directory_.load() & 63;
    if (depth <= bits) return true;
    // Sixteen entries for each segment: a worse hash does not get a larger directory.
    if (bits > 4 && (segment_bytes() / pool_type::size_of(L)) * 16 < std::size_t{1} << bits) {
        return false;
    }
    if (next_directory_ == nullptr) {
        next_directory_ = new_directory(bits + 1);
        if (next_directory_ == nullptr) throw std::bad_alloc();
        next_bits_ = bits + 1;
        copied_ = 0;
    }
    copy_ahead(std::size_t{1} << small_directory_bits);
    if (copied_ < std::size_t{1} << bits) return false;
    directory_.store(reinterpret_cast<std::uint64_t>(next_directory_) | next_bits_);
    next_directory_ = nullptr;
    copied_ = 0;
    counters_.doublings.fetch_add(1, std::memory_order_relaxed);
    return true;
}

/// Room for 2^bits entries, behind a line that links all directories of this table. They
/// stay until the table goes: together they are as large as the last one, one part in a
/// thousand of the table, and a reader may be in any of them.
template <unsigned W, class R, unsigned L>
word* table<W, R, L>::new_directory(unsigned bits) {
    if (refuse_allocation()) return nullptr;
    const std::size_t size = 64 + (sizeof(word) << bits);
    std::byte* block = nullptr;
    if (size >= 128 * 1024) {
        const auto mapped =
            os::map_plain(bytes{(size + 4095) & ~std::size_t{4095}}, "steady concurrent directory");
        if (!mapped) return nullptr;
        block = *mapped;
    } else {
        block = static_cast<std::byte*>(::operator new (size, std::align_val_t{64}, std::nothrow));
        if (block == nullptr) return nullptr;
    }
    directories_ = new (block) old_directory{directories_, size};
    auto* entries = reinterpret_cast<word*>(block + 64);
    if (size < 128 * 1024) {
        for (std::size_t i = 0; i < std::size_t{1} << bits; ++i) new (entries + i) word;
    }
    directory_bytes_.fetch_add(size, std::memory_order_relaxed);
    return entries;
}

}  // namespace steady::concurrent_detail
