// lines.cpp - see detail/lines.hpp.
#include "steady/os/detail/lines.hpp"

#include "steady/core/hooks.hpp"
#include "steady/os/detail/syscall.hpp"

namespace steady::os::detail {

line_reader::line_reader(const char* path) noexcept : file_{sys_open_for_reading(path)} {
    os_hook.announce({os_call::query, nullptr, bytes{}, bytes{}, false});
}

line_reader::line_reader(std::string_view text) noexcept : rest_{text} {}

line_reader::~line_reader() {
    if (file_ >= 0) sys_close(file_);
}

// Moves what is left to the front of the buffer and reads behind it.
bool line_reader::refill() noexcept {
    if (file_ < 0) return false;
    const std::size_t kept = rest_.size();
    if (kept == capacity) return false;
    if (kept != 0) __builtin_memmove(buffer_, rest_.data(), kept);
    long got;
    do {
        got = sys_read(file_, buffer_ + kept, capacity - kept);
    } while (got == -EINTR);
    rest_ = {buffer_, kept + (got > 0 ? static_cast<std::size_t>(got) : 0)};
    return got > 0;
}

bool line_reader::next(std::string_view& line) noexcept {
    std::size_t n = 0;
    for (;;) {
        while (n < rest_.size() && rest_[n] != '\n') ++n;
        if (n < rest_.size() || !refill()) break;
    }
    if (rest_.empty()) return false;
    line = {rest_.data(), n};
    if (n < rest_.size()) {
        rest_.remove_prefix(n + 1);
        return true;
    }
    if (n < capacity || file_ < 0) {  // the last line has no end mark
        rest_ = {};
        return true;
    }
    // Cut: skip to the end of the long line. What follows is read into the buffer's
    // second half, so that the first half, which `line` shows, stays.
    line = {buffer_, capacity / 2};
    rest_ = {};
    char* const half = buffer_ + capacity / 2;
    for (;;) {
        const long got = sys_read(file_, half, capacity / 2);
        if (got == -EINTR) continue;
        if (got <= 0) return true;
        std::string_view piece(half, static_cast<std::size_t>(got));
        while (!piece.empty() && piece.front() != '\n') piece.remove_prefix(1);
        if (piece.empty()) continue;
        piece.remove_prefix(1);
        rest_ = piece;
        return true;
    }
}

bool take_number(std::string_view& text, std::uint64_t& number, unsigned base) noexcept {
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size(); ++digits) {
        const char c = text[digits];
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = static_cast<unsigned>(c - '0');
        } else if (base == 16 && c >= 'a' && c <= 'f') {
            digit = static_cast<unsigned>(c - 'a') + 10;
        } else {
            break;
        }
        // Saturates: the kernel writes "no limit" as a number near 2^63 or 2^64.
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            value = ~std::uint64_t{0};
        }
    }
    if (digits == 0) return false;
    text.remove_prefix(digits);
    number = value;
    return true;
}

bool read_number(const char* path, std::uint64_t& number) noexcept {
    line_reader file(path);
    std::string_view line;
    return file.next(line) && take_number(line, number);
}

}  // namespace steady::os::detail
