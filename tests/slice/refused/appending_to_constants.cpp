// Says: constraints not satisfied
#include "steady/slice/slice.hpp"

void f(steady::slice<int> s, steady::slice<const int> c) {
#if !defined(RIGHT)
    c.append(1);
#else
    s.append(c);
#endif
}
