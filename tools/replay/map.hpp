// map.hpp - `steady replay map`: runs a script of map operations on steady's
// re-creation of Go's map and prints what the real runtime prints, byte for byte.
//
//   map.cpp           the script, line by line
//   map_types.hpp     the types a script can name, their values and hashes
//   map_machine.hpp   the map, its walks, its trace and its growth events
//   map_dump.cpp      buckets as text, and counted
#pragma once

#include <string>
#include <string_view>

namespace steady::cli::replay {

/// Runs the script `text`, called `name` in messages, and writes to stdout.
///
/// Returns    exit_done; exit_check_failed when a map contradicts itself (`stats`).
/// Throws     usage_error, naming the line, for a script that cannot be understood.
///            What the lines before it printed has been written then.
int replay_map(std::string_view text, const std::string& name);

}  // namespace steady::cli::replay
