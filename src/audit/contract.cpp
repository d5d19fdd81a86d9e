// contract.cpp - see contract.hpp.
#include "steady/audit/contract.hpp"

#include <cstdio>

namespace steady::audit {

std::string contract_result::text() const {
    char line[256];
    const auto number = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
    std::snprintf(
        line, sizeof line,
        "memory contract %s: %llu entries, stated %llu bytes, measured %llu, ceiling %s%llu",
        kept() ? "kept" : "broken", number(entries), number(stated), number(measured),
        ceiling == 0 ? "none, " : "", number(ceiling));
    std::string text = line;
    if (measured > stated) {
        std::snprintf(line, sizeof line, "\n  %llu bytes more than stated (%.1f %%)",
                      number(measured - stated),
                      100.0 * static_cast<double>(measured - stated) /
                          static_cast<double>(stated == 0 ? 1 : stated));
        text += line;
    }
    if (ceiling != 0 && stated > ceiling) text += "\n  the estimate itself is above the ceiling";
    return text;
}

}  // namespace steady::audit
