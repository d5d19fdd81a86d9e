// report.hpp - profiles for people: a table in text, a page with a flame graph.
//
//   flat   what a function allocated itself       %      of the total
//   cum    with what it called                    sum%   of this line and those above
//
// as `go tool pprof -top` prints them. A function that stands in a stack twice counts once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "steady/profile/detail/page_text.hpp"
#include "steady/profile/profile.hpp"

namespace steady::web {

struct function_row {
    std::string function;
    std::string file;
    std::int64_t line = 0;
    std::vector<std::int64_t> flat;  // one for each value of the kind
    std::vector<std::int64_t> cum;
};

/// What to call a frame: its function, or where it lies.
[[nodiscard]] std::string name_of(const profile::frame& f);

/// One row for each function, the largest flat value of `by` first.
[[nodiscard]] std::vector<function_row> add_up(const std::vector<profile::stack_record>& records,
                                               std::size_t values, std::size_t by);

/// "1.50 MB", as pprof prints bytes; plain digits for other units.
[[nodiscard]] std::string in_unit(std::int64_t value, std::string_view unit);

/// The `most` largest rows of value `by` as text.
void write_top_text(const std::vector<profile::stack_record>& records, profile::kind what,
                    std::size_t by, std::size_t most, page_text& out);
/// The same as JSON for the index page, with the values at `alloc_space` and `inuse_space`.
void write_top_json(const std::vector<profile::stack_record>& records, std::size_t most,
                    page_text& out);

/// A page on its own: no network, no other file.
void write_flame_page(const std::vector<profile::stack_record>& records, page_text& out);

}  // namespace steady::web
