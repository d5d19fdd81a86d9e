// Says: moves elements while growing and overwrites them in shared
#include "steady/slice/slice.hpp"

struct pinned {
    pinned() = default;
#if !defined(RIGHT)
    pinned(pinned&&) = delete;
#else
    pinned(pinned&&) = default;
    pinned& operator=(pinned&&) = default;
#endif
    ~pinned() {}
};

steady::slice<pinned> s;
