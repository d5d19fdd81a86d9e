// indexes.hpp - the maps of the demo: from word to count, one alias each, for any allocator.
//
// All of them use the same hash (std::hash of the text), so what differs is the table. The
// flat maps are those the build found (tools/CMakeLists.txt); `subject` in pass.hpp names
// them whether they are there or not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "steady/map/map.hpp"

#if defined(STEADY_WITH_ABSEIL)
#include <absl/container/flat_hash_map.h>
#endif
#if defined(STEADY_WITH_BOOST)
#include <boost/unordered/unordered_flat_map.hpp>
#endif

namespace steady::cli::demo {

/// The same hash for every string type; std::hash knows only std::allocator's.
struct word_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const noexcept {
        return std::hash<std::string_view>{}(word);
    }
};

template <template <class> class Allocator>
using key_of = std::basic_string<char, std::char_traits<char>, Allocator<char>>;

template <template <class> class Allocator>
using std_index = std::unordered_map<key_of<Allocator>, std::uint64_t, word_hash, std::equal_to<>,
                                     Allocator<std::pair<const key_of<Allocator>, std::uint64_t>>>;

template <template <class> class Allocator>
using steady_index = steady::map<key_of<Allocator>, std::uint64_t, word_hash, std::equal_to<>,
                                 Allocator<std::pair<const key_of<Allocator>, std::uint64_t>>>;

/// Keys that look into the text instead of owning a copy.
template <template <class> class Allocator>
using view_index = steady::map<std::string_view, std::uint64_t, word_hash, std::equal_to<>,
                               Allocator<std::pair<const std::string_view, std::uint64_t>>>;

#if defined(STEADY_WITH_ABSEIL)
template <template <class> class Allocator>
using abseil_index =
    absl::flat_hash_map<key_of<Allocator>, std::uint64_t, word_hash, std::equal_to<>,
                        Allocator<std::pair<const key_of<Allocator>, std::uint64_t>>>;
#endif
#if defined(STEADY_WITH_BOOST)
template <template <class> class Allocator>
using boost_index =
    boost::unordered_flat_map<key_of<Allocator>, std::uint64_t, word_hash, std::equal_to<>,
                              Allocator<std::pair<const key_of<Allocator>, std::uint64_t>>>;
#endif

}  // namespace steady::cli::demo
