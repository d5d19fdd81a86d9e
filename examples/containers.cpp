// containers.cpp - standard containers on the steady heap: name the allocator, and
// nothing else changes. A container of containers needs it at both levels.
#include <steady/heap/allocator.hpp>

#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

using steady_string = std::basic_string<char, std::char_traits<char>, steady::allocator<char>>;

// std::hash knows only std::string; every string converts to a view, which has a hash.
struct string_hash {
    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>{}(text);
    }
};

template <class Key, class Value, class Hash = std::hash<Key>>
using steady_unordered_map = std::unordered_map<Key, Value, Hash, std::equal_to<>,
                                                steady::allocator<std::pair<const Key, Value>>>;

int main() {
    std::vector<int, steady::allocator<int>> squares;
    for (int n = 0; n < 1000; ++n) squares.push_back(n * n);
    std::cout << squares.size() << ' ' << squares.back() << '\n';  // prints: 1000 998001

    steady_unordered_map<steady_string, int, string_hash> stock;
    stock["a name too long for the string's own buffer"] = 3;
    stock["pears"] = 5;
    stock["a name too long for the string's own buffer"] += 4;
    std::cout << stock.size() << ' ' << stock.at("pears") << '\n';  // prints: 2 5

    // Allocators of one type are all equal, so a move takes the memory along.
    auto moved = std::move(stock);
    std::cout << moved["a name too long for the string's own buffer"] << '\n';  // prints: 7

    using row = std::vector<double, steady::allocator<double>>;
    std::map<int, row, std::less<>, steady::allocator<std::pair<const int, row>>> table;
    for (int n = 0; n < 3; ++n) table.emplace(n, row(static_cast<std::size_t>(n), 0.5));
    std::cout << table[2].size() << ' ' << table[2].back() << '\n';  // prints: 2 0.5
}
