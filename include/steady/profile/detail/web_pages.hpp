// web_pages.hpp - what the debug server says, one function for each kind of answer.
//
// Answers that are asked for every few seconds are made in page_text and allocate nothing;
// profiles are made by workers and may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "steady/heap/statistics.hpp"
#include "steady/profile/detail/page_text.hpp"
#include "steady/profile/detail/web_server.hpp"
#include "steady/profile/memstats.hpp"
#include "steady/profile/profile.hpp"

namespace steady::web {

// ---- Facts about the process, from the kernel; nothing allocates.

struct process_facts {
    std::uint64_t resident = 0;       // bytes
    std::uint64_t peak_resident = 0;  // bytes
    std::uint64_t virtual_size = 0;   // bytes
    std::uint64_t open_descriptors = 0;
    std::uint64_t descriptor_limit = 0;
    std::uint64_t threads = 0;
    std::uint64_t minor_faults = 0;
    std::uint64_t major_faults = 0;
    double cpu_seconds = 0;
    double start_time = 0;  // seconds since 1970
};
[[nodiscard]] process_facts read_process_facts() noexcept;
[[nodiscard]] std::uint64_t read_resident() noexcept;
/// Appends /proc/self/cmdline: the words of the command line, each ended by a zero byte.
void append_command_line(page_text& out) noexcept;

// ---- Numbers.

void write_memstats_json(const go_memstats& m, page_text& out) noexcept;
void write_metrics(page_text& out) noexcept;

// ---- The last quarter of an hour, a row a second.

struct history_row {
    std::int64_t time_ms;  // since 1970
    std::uint64_t heap_alloc, heap_inuse, heap_idle_resident, resident;
    std::uint64_t mallocs, total_alloc, growths;
};
class history {
public:
    static constexpr std::size_t most = 900;
    void add(const history_row& row) noexcept;
    /// JSON: the rows from number `after` on, and the number to ask for next.
    void write(std::uint64_t after, page_text& out) const noexcept;

private:
    std::uint64_t count_ = 0;
    history_row rows_[most] = {};
};
[[nodiscard]] history_row read_history_row() noexcept;

// ---- Profiles as text and as data for pages.

/// Go's ?debug=1 of heap and allocs, and the like for the others.
void write_profile_text(profile::kind what, const std::vector<profile::stack_record>& records,
                        page_text& out);

/// Go's index of /debug/pprof/.
void write_pprof_index(page_text& out) noexcept;

// ---- The whole site.

/// Everything one server needs: what /healthz says, and the rows of the charts.
struct pages {
    std::mutex lock;
    char status[64] = "ready";
    history rows;  // the loop's thread only
};
[[nodiscard]] site make_site(pages& context) noexcept;

}  // namespace steady::web
