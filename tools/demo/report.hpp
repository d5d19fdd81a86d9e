// report.hpp - what a demo found, as a table for people and as JSON for programs.
#pragma once

#include <string>

#include "demo/corpus.hpp"
#include "demo/experiment.hpp"

namespace steady::cli::demo {

/// The table. `colour` marks what is clearly better and what is clearly worse.
std::string to_table(const corpus& input, const experiment& done, bool colour);

/// Everything, each round included; docs/guide/demo.md names the fields.
std::string to_json(const corpus& input, const experiment& done);

}  // namespace steady::cli::demo
