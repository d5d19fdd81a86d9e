// os_transitions_fuzz.cpp - any sequence of transitions, with and without refused system
// calls, leaves ledgers, /proc/self/maps and page contents in agreement. The story and the
// body are in tests/os/support/transitions_model.hpp.
#include "os/support/transitions_model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static steady::testing::transitions_model model;
    model.run(data, size);
    return 0;
}
