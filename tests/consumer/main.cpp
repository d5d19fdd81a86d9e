// main.cpp - what a stranger writes first: two containers on steady's heap, and
// a look at what the heap says about them. The build script beside this file
// compares the printed line.
#include <cstdio>
#include <string>
#include <unordered_map>
#include <vector>

#include <steady/core/version.hpp>
#include <steady/heap/allocator.hpp>
#include <steady/heap/statistics.hpp>

int main() {
    using entry = std::pair<const std::string, int>;
    std::unordered_map<std::string, int, std::hash<std::string>, std::equal_to<>,
                       steady::allocator<entry>>
        words;
    std::vector<int, steady::allocator<int>> lengths;

    const auto before = steady::read_statistics();
    for (int i = 0; i < 1000; ++i) {
        const std::string word = "word " + std::to_string(i);
        words.emplace(word, i);
        lengths.push_back(static_cast<int>(word.size()));
    }
    const auto after = steady::read_statistics();

    // Each entry of the map is one object of the heap, so the heap must have seen them all.
    if (after.mallocs - before.mallocs < words.size() || lengths.size() != words.size()) return 1;
    std::printf("steady %s: %zu words kept\n", steady::version(), words.size());
}
