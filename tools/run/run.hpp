// run.hpp - `steady run`: an unmodified program on steady's heap.
//
//   steady run --stats=json --stats-file heap.json -- python3 job.py
//     = LD_PRELOAD=/usr/lib/libsteady_malloc.so
//       STEADY_DEBUG=stats_at_exit=1,stats_json=1,stats_file=/here/heap.json  python3 job.py
//
// The program replaces this process, so its process id, its exit code, signals
// and the terminal are as they would be without us. Only what goes wrong before
// that ends here, with the codes that shells, env and timeout use:
//
//   2    wrong usage        126  the program was found and cannot be executed
//   125  no library         127  the program was not found
//
//   program.hpp       where the program is, and whether LD_PRELOAD can reach it
//   environment.hpp   where the library is, and the two variables
#pragma once

namespace CLI {
class App;
}

namespace steady::cli {

/// Adds the subcommand to `app`. When the user chose it, parsing runs it; it
/// returns only if the program could not be started, with the reason in `exit_code`.
void add_run_command(CLI::App& app, int& exit_code);

}  // namespace steady::cli
