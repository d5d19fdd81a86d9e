// page_text.hpp - text that grows in pages of its own, straight from os.
//
// The debug server tells about a heap. Were its answers made in that heap, every scrape
// would change what the next one reports. So whatever is asked for every few seconds
// (metrics, statistics, the chart's data) is written here.
//
//   | text ............................ | free |      one mapping, doubled by copying
//   0                              size_      capacity_
//
// Invariants
//   PT1  Nothing here allocates from the heap, and nothing throws.
//   PT2  When the system has no pages the text stays as it was before the call that
//        failed, and failed() says so: a half answer must not look like a whole one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace steady::web {

class page_text {
public:
    constexpr page_text() noexcept = default;
    ~page_text() { release(); }
    page_text(page_text&& other) noexcept { swap(other); }
    page_text& operator=(page_text&& other) noexcept {
        swap(other);
        return *this;
    }
    page_text(const page_text&) = delete;
    page_text& operator=(const page_text&) = delete;

    page_text& text(std::string_view words) noexcept;
    page_text& character(char c) noexcept { return text({&c, 1}); }
    page_text& number(std::uint64_t value) noexcept;
    page_text& number(std::int64_t value) noexcept;
    page_text& number(int value) noexcept { return number(std::int64_t{value}); }
    page_text& number(unsigned value) noexcept { return number(std::uint64_t{value}); }
    /// The shortest digits that read back as the same double; NaN and infinities as
    /// Prometheus spells them.
    page_text& real(double value) noexcept;
    page_text& hex(std::uint64_t value) noexcept;
    /// In double quotes, as JSON (RFC 8259) wants it. Bytes that are no UTF-8 become U+FFFD.
    /// `<` is escaped as well, so that the text may stand in an HTML script.
    page_text& json(std::string_view words) noexcept;
    /// With <, >, & and quotes as entities.
    page_text& html(std::string_view words) noexcept;

    [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
    [[nodiscard]] char* data() noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    /// Room for `more` bytes behind the text. Returns false (and failed()) without pages.
    bool make_room(std::size_t more) noexcept;
    /// Takes `count` bytes that were written into that room.
    void append_from_room(std::size_t count) noexcept { size_ += count; }
    void drop_front(std::size_t count) noexcept;
    void cut(std::size_t size) noexcept { size_ = size < size_ ? size : size_; }
    /// Empty; keeps up to `keep` bytes of pages for the next text.
    void clear(std::size_t keep = std::size_t{64} << 10) noexcept;
    void release() noexcept;
    void swap(page_text& other) noexcept;

private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    bool failed_ = false;
};

}  // namespace steady::web
