// planned.cpp - see planned.hpp.
#include "plan/planned.hpp"

#include <cmath>

#include <fmt/format.h>

#include "steady/audit/plan.hpp"
#include "support/exit_code.hpp"
#include "support/format.hpp"

namespace steady::cli::plan {
namespace {

using audit::estimate;
using audit::memory_plan;

/// What a text of this length takes outside of the string.
double text_bytes(const request& r, std::size_t length) {
    if (r.what == kind::go_map) {
        if (length == 0) return 0;
        if (length < 16) {  // such texts share 16-byte blocks, as in Go
            const std::size_t alignment = length % 8 == 0   ? 8
                                          : length % 4 == 0 ? 4
                                          : length % 2 == 0 ? 2
                                                            : 1;
            return 16.0 / static_cast<double>(16 / round_up(length, alignment));
        }
        return static_cast<double>(growth::round_up_size(length));
    }
    constexpr std::size_t inside = 15;  // libstdc++'s std::string
    if (length <= inside) return 0;
    return static_cast<double>(audit::occupied(r.allocator, length + 1, 1));
}

text_cost cost_of_text(const request& r) {
    text_cost cost;
    const double strings = static_cast<double>(r.count) * (int{r.key.text} + int{r.value.text});
    if (r.lengths.shares.empty() || strings == 0) return cost;
    cost.counted = true;
    double mean = 0, square = 0, outside = 0;
    for (const auto& s : r.lengths.shares) {
        const double each = text_bytes(r, s.length);
        mean += s.part * each;
        square += s.part * each * each;
        if (each != 0) outside += s.part;
    }
    const auto bounds = [&](double expected, double variance) {
        const double reach = variance < 1e-9 ? 0 : 6 * std::sqrt(strings * variance) + 6;
        const double low = expected > reach ? expected - reach : 0;
        return estimate{static_cast<std::uint64_t>(std::floor(low)),
                        static_cast<std::uint64_t>(std::ceil(expected + reach)), expected};
    };
    cost.bytes = bounds(strings * mean, square - mean * mean);
    cost.objects = bounds(strings * outside, outside * (1 - outside));
    return cost;
}

go::cell_shape go_cell(const type& t) {
    return go::cell_of(t.go_size(), t.alignment, t.pointers);
}

void require_sense(const request& r) {
    if (r.key.size == 0) {
        throw usage_error("plan: a key of void would allow one entry; name a type that differs");
    }
    if (r.what != kind::slice && r.key.distinct != 0 &&
        static_cast<double>(r.count) > r.key.distinct) {
        throw usage_error(
            fmt::format("plan: {} entries cannot all have different {} keys: there "
                        "are {:.0f} of them",
                        format_count(r.count), r.key.name, r.key.distinct));
    }
    constexpr double addressable = 0x1p47;
    const double least =
        static_cast<double>(r.count) * static_cast<double>(r.key.size + r.value.size);
    if (least > addressable) {
        throw usage_error(fmt::format(
            "plan: {} entries of {} bytes are more than the 2^47 bytes that a process can address",
            format_count(r.count), r.key.size + r.value.size));
    }
}

}  // namespace

kind parse_kind(const std::string& word) {
    if (word == "map") return kind::map;
    if (word == "go-map") return kind::go_map;
    if (word == "slice") return kind::slice;
    if (word == "std") return kind::std_map;
    throw usage_error(
        fmt::format("plan: '{}' is no kind; there are map, go-map, slice and std", word));
}

const char* name_of(kind k) {
    switch (k) {
        case kind::map: return "steady::map";
        case kind::go_map: return "steady::go::map";
        case kind::slice: return "steady::slice";
        case kind::std_map: return "std::unordered_map";
    }
    return "";
}

planned make_plan(const request& r) {
    require_sense(r);
    planned p;
    const audit::plan_options options{r.hint ? r.count : 0, r.allocator};
    const bool set = r.value.size == 0;
    switch (r.what) {
        case kind::map: {
            const auto slot = audit::detail::slot_of(r.key.size, r.key.alignment, r.value.size,
                                                     r.value.alignment, r.key.cheap_to_hash);
            p.container = audit::detail::plan_map(
                [&slot](std::uint64_t n, std::uint64_t reserved) {
                    return audit::detail::outlook_of(slot, n, reserved);
                },
                r.count, options, r.key.size + r.value.size);
            break;
        }
        case kind::go_map:
            p.container = audit::detail::plan_go_map({go_cell(r.key), go_cell(r.value)}, r.count,
                                                     options.hint);
            break;
        case kind::slice: {
            const std::size_t alignment = std::max(r.key.alignment, r.value.alignment);
            const std::size_t size =
                round_up(round_up(r.key.size, r.value.alignment) + r.value.size, alignment);
            p.container = audit::detail::plan_slice(
                size, alignment, r.key.pointers || r.value.pointers || !set, r.count, options);
            break;
        }
        case kind::std_map:
            p.container = audit::detail::plan_unordered_map(
                audit::detail::node_of(r.key.size, r.key.alignment, r.value.size, r.value.alignment,
                                       !r.key.fast_std_hash),
                r.count, options);
            break;
    }
    p.text = cost_of_text(r);
    const char* name = name_of(r.what);
    if (set && r.what == kind::map) name = "steady::set";
    if (set && r.what == kind::std_map) name = "std::unordered_set";
    p.description = set && r.what != kind::go_map
                        ? fmt::format("{}<{}>", name, r.key.name)
                        : fmt::format("{}<{}, {}>", name, r.key.name, r.value.name);
    return p;
}

}  // namespace steady::cli::plan
