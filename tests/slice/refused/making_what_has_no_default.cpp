// Says: constraints not satisfied
#include "steady/slice/slice.hpp"

struct named {
    explicit named(int) {}
#if defined(RIGHT)
    named() {}
#endif
};

auto s = steady::make_slice<named>(3);
