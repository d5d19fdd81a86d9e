// scavenger.cpp - giving memory back. The story is in scavenger.hpp.
#include "steady/heap/detail/scavenger.hpp"

#include <atomic>

#include "steady/core/fatal.hpp"
#include "steady/core/options.hpp"
#include "steady/heap/detail/depots.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/lock_order.hpp"
#include "steady/os/barrier.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/thread.hpp"

namespace steady::detail {

constinit std::atomic<bool> page_traffic{false};

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t millisecond = 1'000'000;
constexpr std::uint64_t tick = 100 * millisecond;
constexpr std::uint32_t idle_cache_ticks = 10;
constexpr std::uint32_t quiet_ticks = 10;     // without page traffic: the heap is at rest
constexpr std::uint32_t farewell_ticks = 20;  // at the goal and at rest: the thread ends
constexpr std::size_t always_kept = std::size_t{1} << 20;
constexpr std::size_t step_pages = 256;     // 2 MiB
constexpr std::size_t depot_budget = 4096;  // magazines a tick
constexpr unsigned busy_share = 100;        // 1 % of a CPU
constexpr unsigned quiet_share = 10;        // 10 %

struct counters {
    std::atomic<std::uint64_t> released_bytes{0};  // of the page heaps
    std::atomic<std::uint64_t> work_ns{0}, ticks{0}, starts{0};
};
constinit counters done;
constinit os::background_thread thread;
constinit ranked_mutex<lock_rank::releasing> releasing;  // held while candidates are in flight
constinit std::atomic<bool> wanted{false};               // a thread is running or being started

std::size_t idle_bytes() noexcept {
    return (store.free_resident_pages() << page_shift) + idle_huge_bytes();
}

// The most pages in use at once over the last second. A program that builds and
// drops the same structure again and again should find its pages where it left
// them: returning them costs a fault of 1.5 us a page when they are wanted again.
class recent_peak {
public:
    void next_tick() noexcept { peaks_[next_++ % ticks] = store.take_peak_pages(); }
    [[nodiscard]] std::size_t pages() const noexcept {
        std::size_t most = 0;
        for (const std::size_t p : peaks_) most = p > most ? p : most;
        return most;
    }

private:
    static constexpr unsigned ticks = 10;
    std::size_t peaks_[ticks] = {};
    unsigned next_ = 0;
};

// Free resident bytes the heap may keep. At rest hardly any: of the tenth over the live
// bytes that an idle program may show, tails of spans and records take most.
std::size_t kept_bytes(bool quiet, const recent_peak& peak) noexcept {
    const std::size_t in_use = store.in_use_pages() << page_shift;
    std::size_t kept = in_use / 128;
    if (!quiet) {
        const std::size_t busy = peak.pages() << page_shift;
        kept = busy + busy / 10 > in_use ? busy + busy / 10 - in_use : 0;
    }
    return kept > always_kept ? kept : always_kept;
}

// Work, then sleep share times as long as the work took: 1 part in `share`.
void pace(std::uint64_t began, unsigned share) noexcept {
    const std::uint64_t spent = os::now_ns() - began;
    done.work_ns.fetch_add(spent, relaxed);
    os::sleep_for(spent * (share - 1));
}

void trace_tick(std::size_t released) noexcept {
    if (!options().scavtrace || released == 0) return;
    message m("heap");
    m.text("scav ")
        .number(released >> 10)
        .text(" KiB work, ")
        .number(read_scavenger_statistics().released_bytes >> 10);
    m.text(" KiB total, ").number(idle_bytes() >> 10).text(" KiB idle");
    warn(m);
}

// One tick's work. Returns whether anything is left to do.
bool work_once(std::uint32_t quiet_for, const recent_peak& peak) noexcept {
    const bool quiet = quiet_for >= quiet_ticks;
    const unsigned share = quiet ? quiet_share : busy_share;
    std::uint64_t began = os::now_ns();
    const std::uint64_t deadline = began + tick;
    bool more = depots.trim(default_core, depot_budget, false) != 0;
    more |= trim_empty_magazines(false) != 0;
    // Before the rest is counted from: giving spans back is page traffic, too.
    if (quiet_for == quiet_ticks / 2) default_core.trim_empty();
    more |= empty_idle_caches(idle_cache_ticks, nullptr);
    pace(began, share);

    std::size_t released = 0;
    while (os::now_ns() < deadline) {
        const std::size_t resident = store.free_resident_pages() << page_shift;
        const std::size_t kept = kept_bytes(quiet, peak);
        if (resident <= kept) break;
        began = os::now_ns();
        const std::size_t got = release_free_pages(resident - kept < (step_pages << page_shift)
                                                       ? resident - kept
                                                       : step_pages << page_shift,
                                                   quiet, true);
        pace(began, share);
        if (got == 0) break;
        released += got;
        more = true;
    }
    began = os::now_ns();
    const std::size_t cached = idle_huge_bytes();
    huge_blocks.scavenge(bytes{std::size_t{64} << 20}, false);
    const std::size_t left = idle_huge_bytes();
    if (cached > left) {
        released += cached - left;
        more = true;
    }
    pace(began, share);
    trace_tick(released);
    return more;
}

bool idle_memory() noexcept {
    return worth_scavenging(idle_bytes(), store.in_use_pages() << page_shift);
}

void run(void*) noexcept {
    std::uint32_t quiet_for = 0;
    std::uint32_t nothing_for = 0;
    recent_peak peak;
    os::membarrier_register();
    for (;;) {
        while (nothing_for < farewell_ticks) {
            const std::uint64_t before = os::now_ns();
            peak.next_tick();
            quiet_for = page_traffic.exchange(false, relaxed) ? 0 : quiet_for + 1;
            nothing_for = work_once(quiet_for, peak) || quiet_for == 0 ? 0 : nothing_for + 1;
            done.ticks.fetch_add(1, relaxed);
            const std::uint64_t spent = os::now_ns() - before;
            if (spent < tick) os::sleep_for(tick - spent);
        }
        huge_blocks.set_background(false);
        // seq_cst; pairs with the exchange in scavenger_request(). Whoever freed memory
        // since the last tick saw us running and left it to us: look once more.
        wanted.store(false, std::memory_order_seq_cst);
        if (!page_traffic.load(relaxed) || !idle_memory()) return;
        if (wanted.exchange(true, std::memory_order_seq_cst)) return;
        huge_blocks.set_background(true);
        nothing_for = 0;
    }
}

}  // namespace

void scavenger_request() noexcept {
    if (wanted.load(relaxed)) return;
    if (!options().background) {
        release_free_pages(step_pages << page_shift, false, false);
        return;
    }
    if (wanted.exchange(true, std::memory_order_acq_rel)) return;
    huge_blocks.set_background(true);
    done.starts.fetch_add(1, relaxed);
    auto started = thread.start(&run, nullptr);
    if (!started && started.error().code == errc::occupied) {
        thread.join();  // the one before has said farewell and is a few instructions from its end
        started = thread.start(&run, nullptr);
    }
    if (!started) {
        // No thread to be had (a limit, a seccomp filter): the caller releases a step.
        huge_blocks.set_background(false);
        wanted.store(false, relaxed);
        release_free_pages(step_pages << page_shift, false, false);
    }
}

std::size_t release_free_pages(std::size_t bytes_wanted, bool force, bool background) noexcept {
    std::size_t released = 0;
    for (unsigned i = 0; i < store.node_count() && released < bytes_wanted; ++i) {
        node_pages& n = store.node(i);
        while (released < bytes_wanted) {
            const os::lock_guard in_flight(releasing);
            page_heap::scavenge_candidate candidate{};
            const std::size_t left =
                bytes_wanted - released;  // may be "all": no rounding up by adding
            const std::size_t wanted_pages = (left >> page_shift) + (left % page_size.count() != 0);
            {
                const os::lock_guard guard(n.lock);
                const std::size_t most = wanted_pages < step_pages ? wanted_pages : step_pages;
                if (!n.pages.take_scavenge_candidate(pages{most}, force, candidate)) break;
            }
            const std::uintptr_t start =
                heap_map.base + ((std::uintptr_t{n.first_page} + candidate.first) << page_shift);
            const bytes size{std::size_t{candidate.count} << page_shift};
            const bool ok =
                static_cast<bool>(os::decommit(reinterpret_cast<void*>(start), size, background));
            {
                const os::lock_guard guard(n.lock);
                n.pages.finish_scavenge(candidate, ok);
            }
            if (!ok) break;
            released += size.count();
            done.released_bytes.fetch_add(size.count(), relaxed);
        }
    }
    return released;
}

scavenger_statistics read_scavenger_statistics() noexcept {
    return {done.released_bytes.load(relaxed) + huge_blocks.released(), done.work_ns.load(relaxed),
            done.ticks.load(relaxed), done.starts.load(relaxed), wanted.load(relaxed)};
}

void scavenger_before_fork() noexcept {
    releasing.lock();
}
void scavenger_after_fork() noexcept {
    releasing.unlock();
}

void scavenger_forget_after_fork() noexcept {
    thread.forget_after_fork();
    huge_blocks.set_background(false);
    wanted.store(false, relaxed);
}

}  // namespace steady::detail
