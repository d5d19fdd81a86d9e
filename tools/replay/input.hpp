// input.hpp - reads the whole of a script, from a file or from standard input.
#pragma once

#include <string>

namespace steady::cli::replay {

/// Everything `name` holds; `-` is standard input.
///
/// Throws     usage_error when the file cannot be opened or read, with the reason.
std::string read_input(const std::string& name);

}  // namespace steady::cli::replay
