// words.hpp - where one word ends and the next begins.
//
// A word is the longest run of letters, digits, '_' and bytes from 0x80 on. The
// last keep UTF-8 words whole without decoding them, and case is kept: this is
// an index of tokens, as a code search or a log store builds it.
//
//   "std::max<int>(größe, 0x7f)"  ->  std  max  int  größe  0x7f
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace steady::cli::demo {

inline constexpr std::array<bool, 256> is_word_byte = [] {
    std::array<bool, 256> table{};
    for (unsigned c = 0; c < table.size(); ++c) {
        table[c] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                   c == '_' || c >= 0x80;
    }
    return table;
}();

/// Hands out the words of a text, first to last. The views point into the text.
class word_reader {
public:
    explicit word_reader(std::string_view text)
        : next_(text.data()), end_(text.data() + text.size()) {}

    /// Returns    false when there are no more words; `word` is then unchanged.
    bool read(std::string_view& word) noexcept {
        while (next_ != end_ && !is_word(*next_)) ++next_;
        const char* first = next_;
        while (next_ != end_ && is_word(*next_)) ++next_;
        if (first == next_) return false;
        word = {first, static_cast<std::size_t>(next_ - first)};
        return true;
    }

private:
    static bool is_word(char c) noexcept { return is_word_byte[static_cast<unsigned char>(c)]; }

    const char* next_;
    const char* end_;
};

}  // namespace steady::cli::demo
