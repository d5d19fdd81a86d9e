// statistics_text.hpp - the heap's statistics on a file descriptor, without
// allocating: malloc_stats and the end of the process share it.
#pragma once

#include "early.hpp"
#include "steady/os/mutex.hpp"

namespace steady::detail {

/// Writes the statistics as of now, as text with a headline or as one JSON object.
///
/// Returns    false, with errno, when the file did not take everything.
/// Threads    any; one writes at a time.
bool write_statistics(int file, bool json) noexcept;

/// Guards the buffer. Taken before every lock of the heap, by fork() as well.
extern STEADY_HIDDEN os::mutex statistics_lock;

}  // namespace steady::detail
