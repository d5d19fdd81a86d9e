// trace.hpp - allocations of a real program, as record_trace writes and tuning reads them.
#pragma once

#include <cstdint>

namespace steady::bench {

struct trace_event {
    std::uint64_t address;
    std::uint32_t size;   // 0: freed
    std::uint32_t stack;  // a hash
};

}  // namespace steady::bench
