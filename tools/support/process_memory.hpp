// process_memory.hpp - what the kernel says about this process: resident memory,
// page faults, time on a CPU.
//
// Terms   resident: anonymous pages of this process in memory now. Heaps, stacks
//         and variables; not the code and files it mapped, which come in by
//         whichever page happens to be executed first.
//         peak: the most there ever were, since fork.
//         minor fault: a page handed out or mapped, no disk.   major: with disk.
//
//   resident   smaps_rollup "Anonymous:"          walks the page table: exact
//   peak       status "VmHWM:" - "RssFile:"       kept in per-CPU batches: a few pages off
//   faults     getrusage(RUSAGE_SELF)             exact
//   CPU time   CLOCK_PROCESS_CPUTIME_ID           exact; wall time on a busy machine is not
//
// The kernel keeps a peak for all pages together. File pages of a process that
// only runs its own code grow and do not shrink, so taking off what they are
// now never takes off too little.
//
// Nothing here allocates: a reading must not disturb the heap it looks at.
#pragma once

#include <cstdint>

namespace steady::cli {

/// Bytes; 0 when /proc cannot be read.
std::uint64_t resident_bytes() noexcept;
std::uint64_t peak_resident_bytes() noexcept;

struct process_counts {
    std::uint64_t cpu_nanoseconds = 0;  // of all its threads, a heap's helper included
    std::uint64_t minor_faults = 0;
    std::uint64_t major_faults = 0;
    std::uint64_t forced_switches = 0;  // somebody else got the CPU: explains a tail
};

process_counts read_process_counts() noexcept;

}  // namespace steady::cli
