// recorder.hpp - the listeners: what happens in the moment of a sample.
//
//   heap --sample_hook--> on_sample      stack, labels, one look at two tables, under `guard`
//   containers --growth_hook--> on_growth
//   slices --small_view_hook--> on_small_view
//   heap --fork_hook--> on_fork          takes `guard` before the process forks (tables.hpp, T2)
//
// A listener may run under a lock of the heap, in any thread, with any lock of the program
// held: it calls nothing but os, and no function of the loader or of libc that could wait.
#pragma once

#include <atomic>
#include <cstdint>

#include "steady/core/hooks.hpp"
#include "steady/heap/interface.hpp"
#include "steady/slice/watch.hpp"
#include "estimate.hpp"
#include "tables.hpp"

namespace steady::profile::detail {

/// Where a library's code lies; empty in a program that has the heap inside.
struct code_range {
    std::uintptr_t start = 0;
    std::uintptr_t end = 0;
    [[nodiscard]] bool covers(std::uintptr_t pc) const noexcept { return pc - start < end - start; }
};

struct recorder {
    tables records;
    untracked_objects untracked;          // under the guard of `records`
    bool paused = false;                  // likewise: the rate is 0,
    double made_at_pause[class_count]{};  // and so much had been made before
    std::atomic<bool> running{false};
    std::atomic<std::uint64_t> samples{0};
    std::atomic<std::uint64_t> growths{0};
    std::atomic<std::uint64_t> lost{0};
    std::atomic<std::uint64_t> cut_stacks{0};
    std::uint64_t live_at_start = 0;  // under the guard
    os::mutex changing;               // start, stop and set_rate: one at a time
    code_range profiler_code;         // stacks begin with frames of these two,
    code_range heap_code;             // which say nothing to whoever reads them
};

/// The one of the process. Constant-initialised and never destroyed: threads outlive main.
extern recorder the_recorder;

/// Set in the threads of the debug server, which would else appear in the profiles they
/// make: what they allocate is in the heap's statistics and in no profile.
extern constinit thread_local bool thread_is_unrecorded;

/// The same for a stretch of a thread of the program: what starts the server is no work of it.
class unrecorded_scope {
public:
    unrecorded_scope() noexcept : before_(thread_is_unrecorded) { thread_is_unrecorded = true; }
    ~unrecorded_scope() { thread_is_unrecorded = before_; }
    unrecorded_scope(const unrecorded_scope&) = delete;
    unrecorded_scope& operator=(const unrecorded_scope&) = delete;

private:
    bool before_;
};

/// Counts as untracked what was allocated since the rate became 0, if it is 0. Under the guard.
void add_pause(untracked_objects& untracked, const heap_statistics& now) noexcept;

void listen_to_heap(const heap_interface& h) noexcept;
void listen_to_growths(hook<growth_event>& growths) noexcept;
void listen_to_views(hook<small_view_event>& views) noexcept;

/// The heap of this process, or nullptr.
[[nodiscard]] const heap_interface* heap() noexcept;

/// The labels of the calling thread. Under the guard. nullptr: no memory for a new set.
[[nodiscard]] const label_set* current_labels() noexcept;

/// As of the last sample of this thread, for signal handlers; nullptr: not known.
[[nodiscard]] const label_set* labels_in_signal() noexcept;

/// For cpu profiles: a site for a stack that was captured elsewhere. Takes the guard.
void add_cpu_sample(const std::uintptr_t* frames, std::size_t depth, bool cut,
                    const label_set* labels, double samples, double nanoseconds) noexcept;

}  // namespace steady::profile::detail
