// report.hpp - the findings of experiments, for people, for programs, and as pages.
#pragma once

#include <string>
#include <vector>

#include "lab/experiment.hpp"

namespace steady::cli::lab {

struct result {
    entry who;
    findings found;
    double seconds = 0;
};

/// The table of --list.
[[nodiscard]] std::string list_of(const std::vector<entry>& all);
[[nodiscard]] std::string list_json(const std::vector<entry>& all);

/// One experiment, ready to be printed.
[[nodiscard]] std::string to_text(const result& done, bool colour);
[[nodiscard]] std::string to_json(const std::vector<result>& done, unsigned repeat, bool checking);

/// Writes one page for each result and index.html with all of them and `others`.
///
/// Throws     usage_error when `folder` cannot be made; check_failure.
void write_pages(const std::string& folder, const std::vector<result>& done,
                 const std::vector<entry>& others, unsigned repeat);
void require_folder(const std::string& folder);

}  // namespace steady::cli::lab
