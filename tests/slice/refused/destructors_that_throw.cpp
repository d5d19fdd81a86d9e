// Says: destroys elements when their last view goes
#include "steady/slice/slice.hpp"

struct explosive {
    explosive() = default;
    explosive(const explosive&) = default;
    explosive& operator=(const explosive&) = default;
#if !defined(RIGHT)
    ~explosive() noexcept(false) {}
#else
    ~explosive() {}
#endif
};

steady::slice<explosive> s;
