// find_object.cpp - which object does this address lie in? The heap answers for
// any address inside it, in constant time: what a collector, a leak report or a
// debugger's "what is this pointer" needs.
#include <cstdint>
#include <iostream>

#include <steady/heap/heap.hpp>

int main() {
    auto* block = static_cast<std::byte*>(steady::allocate(100));
    const steady::object_info object = steady::find_object(block + 77);

    std::cout << (object.base == block) << '\n';               // prints: 1
    std::cout << object.size << " bytes\n";                    // prints: 112 bytes
    std::cout << object.count << " objects in its span\n";     // prints: 73 objects in its span
    std::cout << object.span_size / 1024 << " KiB of span\n";  // prints: 8 KiB of span
    steady::deallocate(block);

    // An address that is not the heap's: no object, and no crash.
    const int on_the_stack = 0;
    std::cout << static_cast<bool>(steady::find_object(&on_the_stack)) << '\n';  // prints: 0
}
