// memory_resource.cpp - std::pmr containers choose their heap at run time: the
// default heap, or an instance of its own that one call empties.
#include <steady/heap/heap.hpp>
#include <steady/heap/memory_resource.hpp>

#include <iostream>
#include <map>
#include <memory_resource>
#include <string>
#include <vector>

// Code that takes a resource neither knows nor cares which heap it is.
std::size_t count_letters(std::pmr::memory_resource& memory) {
    std::pmr::vector<std::pmr::string> lines(&memory);
    for (int n = 1; n <= 100; ++n) lines.emplace_back(static_cast<std::size_t>(n), 'x');
    std::size_t letters = 0;
    for (const auto& line : lines) letters += line.size();
    return letters;
}

int main() {
    steady::memory_resource default_heap;
    std::cout << count_letters(default_heap) << '\n';                      // prints: 5050
    std::cout << count_letters(*std::pmr::new_delete_resource()) << '\n';  // prints: 5050

    // Two resources over the default heap are interchangeable.
    steady::memory_resource another;
    std::cout << default_heap.is_equal(another) << '\n';  // prints: 1

    steady::heap scratch;
    steady::heap_resource own(scratch);
    std::cout << count_letters(own) << '\n';               // prints: 5050
    std::cout << own.is_equal(default_heap) << '\n';       // prints: 0
    std::cout << scratch.read_usage().live_bytes << '\n';  // prints: 0

    // As the resource of everything else in the program:
    std::pmr::set_default_resource(&default_heap);
    std::pmr::map<int, std::pmr::string> names;
    names.emplace(7, "seven");
    std::cout << names.at(7) << '\n';  // prints: seven
    std::pmr::set_default_resource(nullptr);
}
