// range_of_parts.hpp - the smallest and the largest of each part, over all the ways in which
// a container may turn out.
#pragma once

#include <cstdint>

#include "steady/audit/memory_plan.hpp"

namespace steady::audit::detail {

/// The smallest and the largest of everything that was seen.
struct range_of_parts {
    memory_parts low, high;
    std::uint64_t total_low = 0, total_high = 0, objects_low = 0, objects_high = 0;
    bool any = false;

    constexpr void see(const memory_parts& p, std::uint64_t objects) noexcept {
        const std::uint64_t total = p.total().count();
        if (!any) {
            any = true;
            low = high = p;
            total_low = total_high = total;
            objects_low = objects_high = objects;
            return;
        }
        constexpr bytes memory_parts::*fields[] = {
            &memory_parts::header, &memory_parts::extra,    &memory_parts::array,
            &memory_parts::spare,  &memory_parts::overflow, &memory_parts::old,
            &memory_parts::nodes,  &memory_parts::rounding, &memory_parts::payload,
            &memory_parts::vacant, &memory_parts::padding,  &memory_parts::metadata,
            &memory_parts::links};
        for (const auto field : fields) {
            if (p.*field < low.*field) low.*field = p.*field;
            if (p.*field > high.*field) high.*field = p.*field;
        }
        if (total < total_low) total_low = total;
        if (total > total_high) total_high = total;
        if (objects < objects_low) objects_low = objects;
        if (objects > objects_high) objects_high = objects;
    }
    constexpr void give(memory_plan& p, std::uint64_t objects) const noexcept {
        p.low = low;
        p.high = high;
        p.total = {total_low, total_high, static_cast<double>(p.expected.total().count())};
        p.objects = {objects_low, objects_high, static_cast<double>(objects)};
    }
};

}  // namespace steady::audit::detail
