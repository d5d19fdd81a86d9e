// mappings.hpp - what the kernel says is mapped: /proc/self/maps as a sorted table, read
// without allocating, so that looking does not change what is seen.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "steady/core/units.hpp"
#include "steady/os/detail/lines.hpp"

namespace steady::testing {

class mappings {
public:
    mappings() noexcept { read(); }

    void read() noexcept {
        count_ = 0;
        os::detail::line_reader file("/proc/self/maps");
        for (std::string_view line; count_ < capacity && file.next(line);) {
            std::uint64_t start = 0, end = 0;
            if (!os::detail::take_number(line, start, 16) || !os::detail::take(line, "-") ||
                !os::detail::take_number(line, end, 16) || line.size() < 5) {
                continue;
            }
            table_[count_++] = {start, end, line[1] == 'r' && line[2] == 'w'};
        }
    }

    /// Bytes mapped between the two addresses; `read_write`: only those that are rw.
    [[nodiscard]] bytes mapped(std::uintptr_t from, std::uintptr_t to,
                               bool read_write_only = false) const noexcept {
        std::size_t sum = 0;
        for (std::size_t i = first_ending_after(from); i < count_ && table_[i].start < to; ++i) {
            if (read_write_only && !table_[i].read_write) continue;
            const std::uintptr_t low = table_[i].start > from ? table_[i].start : from;
            const std::uintptr_t high = table_[i].end < to ? table_[i].end : to;
            sum += high - low;
        }
        return bytes{sum};
    }

    /// Everything below the kernel's half.
    [[nodiscard]] bytes mapped_in_all() const noexcept {
        return mapped(0, std::uintptr_t{1} << 62);
    }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    struct entry {
        std::uintptr_t start, end;
        bool read_write;
    };

    // The kernel lists mappings in order of address.
    [[nodiscard]] std::size_t first_ending_after(std::uintptr_t address) const noexcept {
        std::size_t low = 0, high = count_;
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if (table_[middle].end > address) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    static constexpr std::size_t capacity = 8192;
    std::size_t count_ = 0;
    entry table_[capacity];
};

}  // namespace steady::testing
