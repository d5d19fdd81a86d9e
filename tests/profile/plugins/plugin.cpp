// A library that is loaded and unloaded while samples with its frames are taken.
#include <cstddef>

extern "C" [[gnu::noinline]] void* steady_test_allocate(void* (*allocate)(std::size_t),
                                                        std::size_t size) {
    void* p = allocate(size);
    asm volatile("" : : "r"(p) : "memory");
    return p;
}
