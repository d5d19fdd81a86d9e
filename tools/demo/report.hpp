// report.hpp - what a demo found: as tables for a terminal, as JSON for programs, and as a
// page with its charts.
#pragma once

#include <string>

#include "demo/corpus.hpp"
#include "demo/experiment.hpp"

namespace steady::cli::demo {

/// The tables. `colour` marks what is clearly better and what is clearly worse.
std::string to_table(const corpus& input, const experiment& done, bool colour);

/// Everything, each round and each insert included; docs/guide/demo.md names the fields.
std::string to_json(const corpus& input, const experiment& done);

/// One HTML file that needs nothing else.
std::string to_page(const corpus& input, const experiment& done);

/// "/usr/include, /usr/share/doc and 2 more".
std::string describe_sources(const corpus& input);
std::string describe_left_out(const corpus& input);

}  // namespace steady::cli::demo
