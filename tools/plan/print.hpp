// print.hpp - a plan as a table and as JSON.
#pragma once

#include <string>

#include "plan/planned.hpp"

namespace steady::cli::plan {

std::string to_table(const request& r, const planned& p, bool colour);
std::string to_json(const request& r, const planned& p);
/// The seven items of the source documents, of a go-map. Throws usage_error for others.
std::string to_seven(const request& r, const planned& p, bool colour, bool json);

}  // namespace steady::cli::plan
