// page_text.cpp - see page_text.hpp.
#include "steady/profile/detail/page_text.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "steady/profile/detail/in_pages.hpp"

namespace steady::web {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `s`; 0 when there is none.
std::size_t utf8_length(std::string_view s) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const auto tail = [&](std::size_t i) { return i < s.size() && (byte(i) & 0xC0) == 0x80; };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!tail(1) || !tail(2)) return 0;
        if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
        if (first == 0xED && byte(1) > 0x9F) return 0;  // a surrogate
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!tail(1) || !tail(2) || !tail(3)) return 0;
        if (first == 0xF0 && byte(1) < 0x90) return 0;
        if (first == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
        return 4;
    }
    return 0;
}

}  // namespace

bool page_text::make_room(std::size_t more) noexcept {
    if (more <= capacity_ - size_) return true;
    std::size_t wanted = 0;
    if (__builtin_add_overflow(size_, more, &wanted) || wanted > (std::size_t{1} << 40)) {
        failed_ = true;
        return false;
    }
    const std::size_t room = std::bit_ceil(wanted < page_step ? page_step : wanted);
    char* const fresh = static_cast<char*>(take_pages(room));
    if (fresh == nullptr) {
        failed_ = true;
        return false;
    }
    if (size_ != 0) std::memcpy(fresh, data_, size_);
    if (data_ != nullptr) give_pages_back(data_, capacity_);
    data_ = fresh;
    capacity_ = room;
    return true;
}

page_text& page_text::text(std::string_view words) noexcept {
    if (words.empty() || !make_room(words.size())) return *this;
    std::memcpy(data_ + size_, words.data(), words.size());
    size_ += words.size();
    return *this;
}

page_text& page_text::number(std::uint64_t value) noexcept {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return text({digits, static_cast<std::size_t>(end - digits)});
}

page_text& page_text::number(std::int64_t value) noexcept {
    char digits[21];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return text({digits, static_cast<std::size_t>(end - digits)});
}

page_text& page_text::hex(std::uint64_t value) noexcept {
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
    return text("0x").text({digits, static_cast<std::size_t>(end - digits)});
}

page_text& page_text::real(double value) noexcept {
    if (std::isnan(value)) return text("NaN");
    if (std::isinf(value)) return text(value > 0 ? "+Inf" : "-Inf");
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return text({digits, static_cast<std::size_t>(end - digits)});
}

page_text& page_text::json(std::string_view words) noexcept {
    constexpr char hex[] = "0123456789abcdef";
    character('"');
    while (!words.empty()) {
        const std::size_t length = utf8_length(words);
        const auto c = static_cast<unsigned char>(words.front());
        if (length == 0) {
            text("\\ufffd");
            words.remove_prefix(1);
            continue;
        }
        if (c == '"' || c == '\\') {
            character('\\').character(words.front());
        } else if (c < 0x20 || c == 0x7F || c == '<' || c == '>' || c == '&') {
            text("\\u00").character(hex[c >> 4]).character(hex[c & 15]);
        } else {
            text(words.substr(0, length));
        }
        words.remove_prefix(length);
    }
    return character('"');
}

page_text& page_text::html(std::string_view words) noexcept {
    for (const char c : words) {
        switch (c) {
            case '<': text("&lt;"); break;
            case '>': text("&gt;"); break;
            case '&': text("&amp;"); break;
            case '"': text("&quot;"); break;
            case '\'': text("&#39;"); break;
            default: character(c);
        }
    }
    return *this;
}

void page_text::drop_front(std::size_t count) noexcept {
    if (count >= size_) {
        size_ = 0;
        return;
    }
    std::memmove(data_, data_ + count, size_ - count);
    size_ -= count;
}

void page_text::clear(std::size_t keep) noexcept {
    if (capacity_ > keep) release();
    size_ = 0;
    failed_ = false;
}

void page_text::release() noexcept {
    if (data_ != nullptr) give_pages_back(data_, capacity_);
    data_ = nullptr;
    size_ = capacity_ = 0;
}

void page_text::swap(page_text& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(failed_, other.failed_);
}

}  // namespace steady::web
