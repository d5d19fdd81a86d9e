// replay.hpp - `steady replay`: does what a script says to steady's re-creations of
// Go's structures and prints what the real runtime printed, byte for byte.
//
//   steady replay map FILE          a map script (docs/guide/replay.md has the format)
//   steady replay slice MODE ...    capacities that append and make arrive at
//   steady replay heap MODE ...     what maps cost, read from the heap's own accounts
//
// The Go program in tests/oracle speaks the same formats and drives the real
// runtime; whatever the two print for one input can be compared with cmp.
//
//   map.hpp     scripts, dumps, traces
//   slice.hpp   growth chains, grids and samples
//   heap.hpp    size classes, maps, one map
//   input.hpp   what a file or standard input holds
#pragma once

namespace CLI {
class App;
}

namespace steady::cli {

/// Adds the subcommand to `app`. When the user chose it, parsing runs it and
/// leaves its result in `exit_code`.
void add_replay_command(CLI::App& app, int& exit_code);

}  // namespace steady::cli
