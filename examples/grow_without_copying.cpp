// grow_without_copying.cpp - an array that reaches 64 MiB at the address where it
// was at 8: a huge block has room behind it, so growing only adds pages.
#include <iostream>

#include <steady/heap/heap.hpp>

int main() {
    constexpr std::size_t mib = std::size_t{1} << 20;

    auto* array = static_cast<char*>(steady::allocate(8 * mib));
    if (array == nullptr) return 1;
    array[0] = 's';

    std::size_t moves = 0;
    for (std::size_t size = 8 * mib; size <= 64 * mib; size += mib) {
        if (!steady::grow_in_place(array, size)) ++moves;
    }
    std::cout << moves << " moves\n";                                  // prints: 0 moves
    std::cout << array[0] << '\n';                                     // prints: s
    std::cout << steady::usable_size(array) / mib << " MiB usable\n";  // prints: 64 MiB usable
    steady::deallocate(array);
}
