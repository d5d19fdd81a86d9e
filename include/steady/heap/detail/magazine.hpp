// magazine.hpp - blocks of object pointers, the unit in which objects travel
// between threads, and the depot where full ones wait.
//
//   magazine, 1 KiB:  | next | count | depth | slot 0 | slot 1 | ... | slot 125 |
//
// A thread that frees more than it allocates fills magazines; another thread
// that allocates empties them. Exchanging a whole magazine costs one
// compare-and-swap for up to 126 objects, touches none of the objects and none
// of their spans. Pointer arrays, unlike lists threaded through free objects,
// cause no cache miss on a cold object and leave the allocator's data out of
// reach of a use after free.
//
// The stacks are Treiber stacks whose head carries a 26-bit tag in the address
// bits that a magazine does not need. A magazine's address stays mapped for ever,
// so reading `next` of one that was popped meanwhile, and perhaps given back, is
// harmless: the tag makes the exchange fail. How many lie in a stack stands in its top
// one, written before the exchange that puts it there, so that counting costs no other.
//
// Source: Bonwick and Adams, "Magazines and Vmem", USENIX 2001.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/core/units.hpp"

namespace steady::detail {

/// Where an object's address is kept. Atomic, because a thief may read the slots of
/// another thread's magazine; always relaxed, hence a plain load or store.
using slot = std::atomic<void*>;

struct alignas(1024) magazine {
    static constexpr std::size_t slot_count = 126;

    std::atomic<magazine*> next{nullptr};
    std::uint32_t count{0};
    std::atomic<std::uint32_t> depth{0};  // in a stack: it and all below it
    slot slots[slot_count];
};
static_assert(sizeof(magazine) == 1024,
              "sixteen cache lines: the header shares the first with six slots");

using slot_pointer = slot*;

class magazine_stack {
public:
    /// Pushes `m`. Cost: one compare-and-swap. Threads: any.
    void push(magazine* m) noexcept {
        // acquire; pairs with the release below: the depth of the top one.
        std::uint64_t head = head_.load(std::memory_order_acquire);
        do {
            magazine* const below = pointer(head);
            m->next.store(below, std::memory_order_relaxed);
            // Should `below` leave meanwhile, this reads anything and the exchange fails.
            m->depth.store(depth_of(below) + 1, std::memory_order_relaxed);
        } while (!head_.compare_exchange_weak(head, pack(m, head),
                                              std::memory_order_release,  // pairs with pop
                                              std::memory_order_acquire));
    }

    /// Returns the magazine pushed last, or nullptr. Its depth less one are left. Threads: any.
    [[nodiscard]] magazine* pop() noexcept {
        std::uint64_t head =
            head_.load(std::memory_order_acquire);  // pairs with push: count and slots
        while (magazine* m = pointer(head)) {
            magazine* next = m->next.load(std::memory_order_relaxed);
            if (head_.compare_exchange_weak(head, pack(next, head), std::memory_order_acquire,
                                            std::memory_order_acquire)) {
                return m;
            }
        }
        return nullptr;
    }

    /// Whether there is none; a moment's answer. Threads: any.
    [[nodiscard]] bool empty() const noexcept {
        return pointer(head_.load(std::memory_order_relaxed)) == nullptr;
    }
    /// Magazines in the stack; a moment's estimate while others push and pop.
    [[nodiscard]] std::int64_t size() const noexcept {
        return depth_of(pointer(head_.load(std::memory_order_acquire)));  // pairs with push
    }

private:
    // 1 KiB alignment leaves 10 low bits, user space 16 high ones: a tag of 26 bits,
    // so that a thread stopped in the middle must miss 67 million exchanges exactly.
    static constexpr unsigned tag_bits = 26, alignment_bits = 10;
    static constexpr std::uint64_t tag_mask = (std::uint64_t{1} << tag_bits) - 1;

    static magazine* pointer(std::uint64_t head) noexcept {
        return reinterpret_cast<magazine*>(head >> tag_bits << alignment_bits);
    }
    static std::uint32_t depth_of(const magazine* m) noexcept {
        return m == nullptr ? 0 : m->depth.load(std::memory_order_relaxed);
    }
    static std::uint64_t pack(magazine* m, std::uint64_t old_head) noexcept {
        return reinterpret_cast<std::uint64_t>(m) >> alignment_bits << tag_bits |
               ((old_head + 1) & tag_mask);
    }

    std::atomic<std::uint64_t> head_{0};
};

/// Full magazines of one span class.
struct alignas(64) depot {
    magazine_stack full;
    std::atomic<std::int64_t> low_water{
        0};  // fewest magazines since the last trim: what nobody needed
};

/// Empty magazines, shared by all classes. They are objects of the heap's own
/// record_core, so that memory of many magazines can go back to the system when
/// they are no longer needed. `get` returns nullptr when there is none.
[[nodiscard]] magazine* get_empty_magazine() noexcept;
void put_empty_magazine(magazine* m) noexcept;
/// Returns empty magazines that nobody needed since the last call, or all.
std::size_t trim_empty_magazines(bool all) noexcept;

}  // namespace steady::detail
