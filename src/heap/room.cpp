// room.cpp - taking memory under the limits. The story is in runtime.hpp, at `room`.
//
// The limits count what is resident or may become so: the os ledger `ready`.
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/os/memory.hpp"

namespace steady::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::size_t step_bytes = os::step.count();

// What comes beside the bytes asked for: a chunk of records (256 KiB), the first piece
// of each table of the address map and of the page bits (140 KiB), and once the stack
// of the background thread (88 KiB); then the tables of each further 64 MiB (76 KiB).
constexpr std::size_t records_at_most = std::size_t{512} << 10;
constexpr std::size_t with_tables(std::size_t size) noexcept {
    return size + size / 512 + records_at_most;
}

std::size_t ready_bytes() noexcept {
    return os::ledgers().ready.value().count();
}

std::size_t above(std::size_t limit, std::size_t more) noexcept {
    const std::size_t wanted = ready_bytes() + more;
    return limit != 0 && wanted > limit ? wanted - limit : 0;
}

// At least `size` bytes of free pages, in steps; false when not a page was free.
bool give_back(std::size_t size) noexcept {
    const std::size_t released = release_free_pages(size, true, false);
    if (released >= size) return true;
    const std::size_t idle = idle_huge_bytes();
    huge_blocks.scavenge(bytes{size - released}, true, false);
    return released != 0 || idle_huge_bytes() < idle;
}

}  // namespace

room::room(bytes more) noexcept {
    const std::size_t soft = limits.soft.load(relaxed);
    const std::size_t hard = limits.hard.load(relaxed);
    if (soft == 0 && hard == 0) return;
    limits.taking.lock();
    alone_ = true;
    const std::size_t size = more.count();
    if (const std::size_t excess = above(soft, size)) {
        const std::size_t most = 2 * size + step_bytes;
        static_cast<void>(give_back(excess < most ? excess : most));
    }
    while (const std::size_t excess = above(hard, with_tables(size))) {
        if (give_back(excess)) continue;
        granted_ = false;
        limits.taking.unlock();
        alone_ = false;
        return;
    }
}

room::~room() {
    if (alone_) limits.taking.unlock();
}

void obey_limits() noexcept {
    for (;;) {
        const std::size_t over_soft = above(limits.soft.load(relaxed), 0);
        const std::size_t over_hard = above(limits.hard.load(relaxed), 0);
        const std::size_t excess = over_soft > over_hard ? over_soft : over_hard;
        if (excess == 0 || !give_back(excess < step_bytes ? excess : step_bytes)) return;
    }
}

}  // namespace steady::detail
