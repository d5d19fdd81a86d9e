// format.hpp - numbers as people read them: 12,345,678   64.0 MiB   1.23 us.
//
// Three digits that matter, units that keep the number between 1 and 1000, and
// ASCII only, so that columns line up in every terminal and log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace steady::cli {

std::string format_count(std::uint64_t count);       // 12,345,678
std::string format_bytes(double bytes);              // 512 B, 64.0 MiB
std::string format_nanoseconds(double nanoseconds);  // 41 ns, 2.10 us, 0.62 s
std::string format_rate(double per_second);          // 12.6 M/s

/// "[######------]  52 %": 20 columns and the number.
std::string progress_bar(std::size_t done, std::size_t all);

/// "1 file", "2 files".
std::string count_of(std::uint64_t count, const char* singular);

}  // namespace steady::cli
