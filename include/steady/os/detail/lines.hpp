// lines.hpp - reads the text files of /proc and /sys line by line, through a fixed buffer
// and raw calls, because this happens inside malloc.
//
//   line_reader file("/proc/self/maps");
//   for (std::string_view line; file.next(line);) ...
//
// A line longer than the buffer is cut; what os looks for always stands at the start of a
// line. Reading from text in memory makes every parser testable without the file.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace steady::os::detail {

class line_reader {
public:
    explicit line_reader(const char* path) noexcept;
    explicit line_reader(std::string_view text) noexcept;
    ~line_reader();
    line_reader(const line_reader&) = delete;
    line_reader& operator=(const line_reader&) = delete;

    /// The next line without its end mark; valid until the next call.
    ///
    /// Returns    false at the end, or when the file does not exist.
    bool next(std::string_view& line) noexcept;

private:
    bool refill() noexcept;

    static constexpr std::size_t capacity = 2048;  // callers may stand on a stack of 16 KiB
    long file_ = -1;
    std::string_view rest_;  // read, but not handed out
    char buffer_[capacity];
};

/// Takes a number off the front of `text`.
///
/// Returns    false when there is no digit; then `text` is unchanged.
bool take_number(std::string_view& text, std::uint64_t& number, unsigned base = 10) noexcept;

/// Takes `prefix` off the front of `text`; false when it is not there.
inline bool take(std::string_view& text, std::string_view prefix) noexcept {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

/// Takes the part before `mark` off the front, and the mark; all of it when there is none.
inline std::string_view take_until(std::string_view& text, char mark) noexcept {
    std::size_t n = 0;
    while (n < text.size() && text[n] != mark) ++n;
    const std::string_view part(text.data(), n);
    text.remove_prefix(n < text.size() ? n + 1 : n);
    return part;
}

/// The first line of a file as a number; false when there is none ("max", no file).
bool read_number(const char* path, std::uint64_t& number) noexcept;

}  // namespace steady::os::detail
