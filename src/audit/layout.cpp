// layout.cpp - layout.hpp's structures as text.
#include "steady/audit/layout.hpp"

#include <cstdio>

namespace steady::audit {

std::string to_text(const structure& s) {
    std::string text;
    char line[160];
    std::snprintf(line, sizeof line, "%s, %zu bytes, aligned to %zu\n", s.name, s.size,
                  s.alignment);
    text += line;
    for (std::size_t i = 0; i < s.field_count; ++i) {
        const field& f = s.fields[i];
        std::snprintf(line, sizeof line, "  %6zu  %6zu  %-14s %s\n", f.offset, f.size, f.name,
                      f.meaning);
        text += line;
        if (f.padding_after != 0) {
            std::snprintf(line, sizeof line, "  %6zu  %6zu  (padding)\n", f.offset + f.size,
                          f.padding_after);
            text += line;
        }
    }
    return text;
}

}  // namespace steady::audit
