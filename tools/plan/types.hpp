// types.hpp - the words of the command line for types, counts and lengths of text.
//
//   int8 ... int64, uint8 ... uint64, float32, float64, bool
//   string       in Go's containers 16 bytes, in C++ 32; its text lies elsewhere
//   bytesN       N bytes aligned to 1
//   N:ALIGN      N bytes aligned to ALIGN
//   void         nothing: a set, or Go's struct{}
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace steady::cli::plan {

struct type {
    std::string name;
    std::size_t size = 0;  // in C++
    std::size_t alignment = 1;
    bool text = false;
    bool pointers = false;      // as Go's collector sees it
    bool cheap_to_hash = true;  // steady::map keeps no hash beside it
    bool fast_std_hash = true;  // nor does libstdc++
    double distinct = 0;        // how many values differ; 0: more than anyone can count

    /// Go's string has no room inside.
    [[nodiscard]] std::size_t go_size() const { return text ? 16 : size; }
};

/// Throws     usage_error.
type parse_type(const std::string& word);
/// 100000, 100_000, 1e6, 64k, 16M. Throws usage_error above 2^48 and for what is no count.
std::uint64_t parse_count(const std::string& word);

/// How long texts are: lengths and how often each comes, as parts of 1.
struct length_distribution {
    struct share {
        std::size_t length;
        double part;
    };
    std::vector<share> shares;  // empty: text is not counted
    std::string name;
};
/// fixed:N, mean:N (Poisson around N), or a file of lines `LENGTH COUNT`.
length_distribution parse_lengths(const std::string& word);

}  // namespace steady::cli::plan
