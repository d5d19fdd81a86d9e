// scavenger.hpp - returns memory to the system in the background, also when the
// program has stopped allocating.
//
// Each tick (100 ms):
//   1  depots: magazines nobody needed since the last tick go back to the spans
//   2  caches of threads that were idle for 10 ticks are emptied, and half a second without
//      page traffic sends the empty spans of the centrals home
//   3  free resident pages beyond the goal are decommitted, whole huge pages
//      first, highest addresses first, each call covering at most 2 MiB
//   4  huge blocks freed a second ago are decommitted
//
// Goal: while the heap is busy keep a tenth over the most that was in use in the
// last second, as Go retains 10 % over the goal of its last cycle; once it has
// been quiet for a second keep a 128th of what is in use, at least 1 MiB.
//
// Pace: time spent releasing is at most 1 % of a CPU while the heap is busy and
// 10 % while it is quiet (nobody to disturb, and memory to be given back soon).
//
// The thread exists only while there is something to do: it starts when more
// than 4 MiB and a sixteenth of the heap lie idle, and ends after two quiet
// seconds at its goal. STEADY_DEBUG=background=0 forbids it; then callers
// release in steps of at most 2 MiB as they free.
//
// Source: Go 1.19, mgcscavenge.go, for goals and pacing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace steady::detail {

/// Whether `idle` bytes beside `in_use` ones deserve a thread.
[[nodiscard]] constexpr bool worth_scavenging(std::size_t idle, std::size_t in_use) noexcept {
    return idle > (std::size_t{4} << 20) && idle > in_use / 16;
}

/// Says that memory lies idle (worth_scavenging). Cost: one load, rarely a thread
/// start. Threads: any, with any of the heap's locks but `pages` and `huge` held.
void scavenger_request() noexcept;

/// Set by whoever takes or frees pages, cleared each tick: tells rest from work.
extern std::atomic<bool> page_traffic;
inline void note_page_traffic() noexcept {
    if (!page_traffic.load(std::memory_order_relaxed))
        page_traffic.store(true, std::memory_order_relaxed);
}

/// One step for callers without a background thread, or that must make room:
/// releases free pages, at most `bytes_wanted` and at most 2 MiB a system call.
/// Returns the bytes released. Takes `pages`.
std::size_t release_free_pages(std::size_t bytes_wanted, bool force, bool background) noexcept;

struct scavenger_statistics {
    std::uint64_t released_bytes;  // ever, by callers too
    std::uint64_t work_ns;         // spent releasing
    std::uint64_t ticks;
    std::uint64_t starts;
    bool running;
};
[[nodiscard]] scavenger_statistics read_scavenger_statistics() noexcept;

/// No page is between the heap and the system while a fork is under way.
void scavenger_before_fork() noexcept;
void scavenger_after_fork() noexcept;
void scavenger_forget_after_fork() noexcept;

}  // namespace steady::detail
