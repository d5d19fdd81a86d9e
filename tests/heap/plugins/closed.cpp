// closed.cpp - a plugin that links the heap, as a plugin of somebody else's program does:
// the heap lives in it and nowhere else, and the program closes it when it likes.
#include "steady/heap/heap.hpp"

#include <cstddef>
#include <cstring>

/// Touches `size` bytes of a block and frees it.
extern "C" void allocate_and_free(std::size_t size) {
    void* block = steady::allocate(size);
    std::memset(block, 1, size);
    steady::deallocate(block);
}
