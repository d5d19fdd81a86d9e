// What a shared library that shares slices with its program has to define: see visible.cmake.
#include <string>

#include "steady/slice/slice.hpp"

void use(steady::slice<std::string>& s) {
    const auto copy = s;
    s.append("x");
}
