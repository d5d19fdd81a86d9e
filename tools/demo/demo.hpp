// demo.hpp - `steady demo`: the main job on real input.
//
// Reads text files, indexes their words on steady's heap and on the system's,
// in alternation, and shows every insert's latency and every byte side by side.
//
//   words.hpp        what a word is
//   corpus.hpp       which files, read into one text
//   pass.hpp         one heap, once over the text, in a process of its own
//   experiment.hpp   the rounds, and what must agree between them
//   metrics.hpp      the figures, named once
//   report.hpp       the table and the JSON
#pragma once

namespace CLI {
class App;
}

namespace steady::cli {

/// Adds the subcommand to `app`. When the user chose it, parsing runs it and
/// leaves its result in `exit_code`.
void add_demo_command(CLI::App& app, int& exit_code);

}  // namespace steady::cli
