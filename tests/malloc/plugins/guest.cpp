// guest.cpp - a C++ plugin whose C++ runtime is not in the program that loads it
// with RTLD_LOCAL, as with extensions of Python.
#include <cstddef>
#include <cstdint>
#include <new>

// 1: std::bad_alloc was thrown and caught.
extern "C" int catches_bad_alloc() {
    try {
        volatile std::size_t size = PTRDIFF_MAX;
        ::operator delete(::operator new(size));
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}
