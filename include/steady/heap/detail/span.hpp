// span.hpp - a run of heap pages cut into objects of one size, and the bitmap
// that says which of them are free.
//
// Terms   span class: size class * 2 + noscan. 0 and 1 are large spans, which
//         hold one object of whole pages. noscan: objects without pointers, so
//         a collector need not look inside; kept apart from the others because
//         two spans never share a page.
//         central: the list that hands out the objects of one span class.
//
//   base                                                      base + pages * 8 KiB
//   | object 0 | object 1 | object 2 |  ...  | object n-1 | tail waste |
//   free_bits     1          0          1               0        (1 = free)
//
// A bit says where the object is, as the span sees it: 1 in the span, 0 handed
// to somebody - a thread cache, the depot or the program. The caches know the
// rest, which is why exact counts come from them and not from here.
//
// Invariants
//   S1  free_count is the number of set bits.
//   S2  A span is in its central's partial list exactly when 0 < free_count,
//       unless the central is about to give it back.
//   S3  span_of_page names the span for every page of it, before the first
//       object leaves and until after the last one is back.
//   S4  Bits beyond object_count are 0.
//
// Locking: fields below "fixed" do not change while the span is in use and may be
// read without a lock by anyone who owns an object of it. The one exception is the
// page_count of a large span, which its only owner changes, by extend and shrink, under
// the pages lock. Those below "central" belong to the central's lock; large, sampled
// and guarded spans are in no central, and there they belong to whoever has the object.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/heap/size_classes.gen.hpp"

namespace steady::detail {

class heap_core;
struct object_counts;
using span_class = std::uint8_t;

inline constexpr unsigned span_class_count = 2 * class_count;

/// What a span holds, which decides how its objects are freed.
enum class span_kind : std::uint8_t {
    small,    // objects of one size class
    large,    // one object of whole pages
    sampled,  // one small object on pages of its own, because it was sampled
    guarded,  // sampled, with an unreadable page behind it
};

struct span;

struct span_links {
    span* next;
    span* previous;
};

struct sample_facts {
    std::size_t requested;  // bytes the program asked for
    double probability;     // with which this object had to be sampled; 0: it is no sample
};

struct span {
    // fixed
    std::uintptr_t base{};
    heap_core* owner{};
    std::uint32_t page_count{};
    std::uint32_t small_size{};  // object bytes; 0 in large spans, whose object is the pages
    std::uint32_t divmul{};      // ceil(2^32 / small_size): turns a division into a multiplication
    std::uint16_t object_count{};
    span_class sclass{};
    span_kind kind{};
    std::uint8_t node{};
    std::uint8_t word_count{};  // behind this head: the bitmap and the owner_links
    // central
    bool listed{};  // in the partial list
    bool zeroed{};  // no object was ever handed out and the pages read as zero
    std::uint16_t free_count{};
    union {
        span_links list;      // partial list
        sample_facts sample;  // sampled and large spans, which are never in a partial list
    };
    std::atomic<void*> side_data{};        // per-span data of upper rooms; null in a new span
    std::atomic<object_counts*> counts{};  // when objects of it are shared: object_counts.hpp

    constexpr span() noexcept : list{nullptr, nullptr} {}

    [[nodiscard]] std::uint64_t* free_bits() noexcept {
        return reinterpret_cast<std::uint64_t*>(this + 1);
    }
    [[nodiscard]] const std::uint64_t* free_bits() const noexcept {
        return reinterpret_cast<const std::uint64_t*>(this + 1);
    }

    [[nodiscard]] std::size_t object_size() const noexcept {
        return small_size != 0 ? small_size : byte_count();
    }

    /// Index of the object that covers `address`, which must lie inside the span.
    /// Returns object_count for an address in the tail waste.
    [[nodiscard]] std::uint32_t index_of(std::uintptr_t address) const noexcept {
        if (object_count == 1) return address - base < object_size() ? 0 : 1;
        return static_cast<std::uint32_t>(((address - base) * std::uint64_t{divmul}) >> 32);
    }
    [[nodiscard]] std::uintptr_t object_at(std::uint32_t index) const noexcept {
        return base + index * object_size();
    }
    [[nodiscard]] bool is_free(std::uint32_t index) const noexcept {
        return (free_bits()[index / 64] >> (index % 64)) & 1;
    }
    /// Words of the bitmap itself, without the owner_links behind it.
    [[nodiscard]] unsigned bitmap_words() const noexcept { return (object_count + 63u) / 64; }
    [[nodiscard]] std::size_t byte_count() const noexcept { return std::size_t{page_count} << 13; }
    [[nodiscard]] bool noscan() const noexcept { return (sclass & 1) != 0; }
};

/// The list of all spans of one heap instance: the last two words of the record.
[[nodiscard]] inline span_links& owner_links(span& s) noexcept {
    return *reinterpret_cast<span_links*>(s.free_bits() + s.word_count - 2);
}

/// Spans come in three sizes, by the words their bitmap needs.
template <unsigned Words>
struct span_with_bits {
    span head;
    std::uint64_t bits[Words];
};
using span_1 = span_with_bits<1>;    // 64 objects and fewer: sizes from 128 bytes, and large spans
using span_8 = span_with_bits<8>;    // 512 objects and fewer: sizes from 16 bytes
using span_18 = span_with_bits<18>;  // 1024 objects: the 8-byte class; two words for owner_links
static_assert(sizeof(span_1) == 80, "a span of 8 KiB costs 1.0 % in its record");
static_assert(sizeof(span) % sizeof(std::uint64_t) == 0,
              "the bitmap follows the head without padding");
static_assert(sizeof(span_18) - sizeof(span) == 1024 / 8 + sizeof(span_links),
              "8 KiB of 8-byte objects need 1024 bits");

}  // namespace steady::detail
