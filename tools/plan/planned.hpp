// planned.hpp - a plan for types known at run time, and the text that lies beside it.
#pragma once

#include <string>

#include "plan/types.hpp"
#include "steady/audit/memory_plan.hpp"

namespace steady::cli::plan {

enum class kind { map, go_map, slice, std_map };
/// Throws     usage_error.
kind parse_kind(const std::string& word);
const char* name_of(kind k);

struct request {
    kind what = kind::map;
    type key, value;
    std::uint64_t count = 0;
    bool hint = false;
    audit::allocator_model allocator = audit::allocator_model::steady_heap;
    length_distribution lengths;
};

/// Bytes of text outside of the container.
struct text_cost {
    audit::estimate bytes;
    audit::estimate objects;
    bool counted = false;
};

struct planned {
    audit::memory_plan container;
    text_cost text;
    std::string description;  // map<int64, string>
};

/// Throws     usage_error for entries that no address space holds, or more entries than
///            there are keys.
planned make_plan(const request& r);

}  // namespace steady::cli::plan
