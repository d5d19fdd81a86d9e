// statistics.cpp - exact counts of what a piece of code allocated: read before,
// read after, subtract. No tracing, no special build.
#include <iostream>
#include <list>
#include <vector>

#include <steady/heap/allocator.hpp>
#include <steady/heap/statistics.hpp>

int main() {
    const steady::heap_statistics start = steady::read_statistics();

    std::list<int, steady::allocator<int>> numbers;
    for (int n = 0; n < 1000; ++n) numbers.push_back(n);

    // A list node is two pointers and an int: 24 bytes, which has a class of its own.
    const steady::heap_statistics filled = steady::read_statistics();
    std::cout << filled.mallocs - start.mallocs << " objects\n";      // prints: 1000 objects
    std::cout << filled.heap_alloc - start.heap_alloc << " bytes\n";  // prints: 24000 bytes

    // A vector that grows to 1000 by doubling allocates 11 arrays and keeps one.
    std::vector<int, steady::allocator<int>> grown;
    for (int n = 0; n < 1000; ++n) grown.push_back(n);
    const steady::heap_statistics between = steady::read_statistics();
    std::cout << between.mallocs - filled.mallocs << " arrays\n";  // prints: 11 arrays
    std::cout << between.frees - filled.frees << " given back\n";  // prints: 10 given back

    std::vector<int, steady::allocator<int>> reserved;
    reserved.reserve(1000);
    for (int n = 0; n < 1000; ++n) reserved.push_back(n);
    const steady::heap_statistics after = steady::read_statistics();
    std::cout << after.mallocs - between.mallocs << " with reserve\n";  // prints: 1 with reserve

    numbers.clear();
    grown = {};
    grown.shrink_to_fit();
    reserved = {};
    reserved.shrink_to_fit();
    const steady::heap_statistics end = steady::read_statistics();
    std::cout << end.heap_objects - start.heap_objects << " left\n";  // prints: 0 left

    // The parts add up: every byte from the OS is in exactly one of them.
    std::cout << (end.sys == end.heap_sys + end.mspan_sys + end.mcache_sys + end.other_sys)
              << (end.heap_sys == end.heap_inuse + end.heap_idle) << '\n';  // prints: 11
}
