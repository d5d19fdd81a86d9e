// lone_counts.cpp - the slow half of counting by address. The story is in lone_counts.hpp.
#include "steady/heap/detail/lone_counts.hpp"

#include <iterator>

#include "steady/os/mutex.hpp"

namespace steady::detail {

constinit lone_slot lone_table[lone_slots]{};
constinit std::atomic<bool> lone_counts_used{false};

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// Which pieces of the table were used: settling leaves the others untouched.
constexpr std::size_t piece = 4096 / sizeof(lone_slot);
constinit bool piece_used[lone_slots / piece]{};
constinit os::mutex settling;  // its holder takes no other

// Plain arithmetic: a locked instruction is what a lone thread does without.
void add(share_counter& counter, std::uint32_t n) noexcept {
    counter.store(counter.load(relaxed) + n, relaxed);
}

// LC2: the slot's slices, of which the counter knows one already, are the counter's.
void settle(lone_slot& slot) noexcept {
    if (slot.tag == 0) return;
    const auto index = static_cast<std::size_t>(&slot - lone_table);
    const auto* const p = reinterpret_cast<const void*>(lone_address(index, slot.tag));
    STEADY_ASSERT(2, slot.count != 0, "LC1 a slot with an address counts at least one slice");
    if (share_counter* counter = share_count(p)) add(*counter, slot.count - 1);
    slot = {0, 0};
}

void take(lone_slot& slot, const void* p) noexcept {
    slot = {1, lone_tag(reinterpret_cast<std::uintptr_t>(p))};
    piece_used[static_cast<std::size_t>(&slot - lone_table) / piece] = true;
    lone_counts_used.store(true, relaxed);
}

}  // namespace

void lone_share_slowly(const void* p) noexcept {
    if (p == nullptr) return;
    lone_slot& slot = lone_slot_of(p);
    settle(slot);
    if (share_counter* counter = share_count(p)) add(*counter, 1);
    take(slot, p);
}

bool lone_release_slowly(const void* p) noexcept {
    if (p == nullptr) return false;
    if (lone_slot& slot = lone_slot_of(p); is_slot_of(slot, p)) slot = {0, 0};
    share_counter* const counter = share_count(p);
    if (counter == nullptr) return false;
    add(*counter, ~std::uint32_t{0});
    return counter->load(relaxed) == 0;
}

void lone_begin(const void* p) noexcept {
    lone_slot& slot = lone_slot_of(p);
    settle(slot);
    take(slot, p);
}

// The slice's own count goes from slot to counter, and into the new slot if that is free.
void lone_move(const void* from, const void* to) noexcept {
    lone_slot& left = lone_slot_of(from);
    if (is_slot_of(left, from) && from != nullptr) {
        if (--left.count == 0) {
            left.tag = 0;
        } else if (share_counter* counter = share_count(from)) {
            add(*counter, 1);
        }
    }
    lone_slot& slot = lone_slot_of(to);
    if (slot.tag == 0) take(slot, to);
}

void settle_lone_counts() noexcept {
    const os::lock_guard guard(settling);
    if (!lone_counts_used.load(relaxed)) return;
    for (std::size_t i = 0; i < std::size(piece_used); ++i) {
        if (!piece_used[i]) continue;
        for (std::size_t k = i * piece; k < (i + 1) * piece; ++k) settle(lone_table[k]);
        piece_used[i] = false;
    }
    // release; pairs with the acquire of whoever counts next (LC3).
    lone_counts_used.store(false, std::memory_order_release);
}

void lone_counts_before_fork() noexcept {
    if (!one_thread_only()) settle_lone_counts();
    settling.lock();
}
void lone_counts_after_fork() noexcept {
    settling.unlock();
}

}  // namespace steady::detail
