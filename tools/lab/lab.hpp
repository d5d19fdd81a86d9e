// lab.hpp - `steady lab`: the experiments behind what the source documents report, for real.
//
//   command.cpp    the command line; each experiment in a child process of its own
//   experiment.hpp how to add one; the registry
//   experiments/   one file each
//   measure.hpp    clocks and counters they share
//   report.hpp     the findings as text, JSON and pages
#pragma once

namespace CLI {
class App;
}

namespace steady::cli {

/// Adds the command to the parser; it runs while the command line is parsed.
void add_lab_command(CLI::App& app, int& exit_code);

}  // namespace steady::cli
