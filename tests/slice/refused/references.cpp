// Says: steady::slice<T> holds objects: T is a reference, an array or volatile
#include "steady/slice/slice.hpp"

#if !defined(RIGHT)
steady::slice<int[3]> s;
#else
steady::slice<int> s;
#endif
