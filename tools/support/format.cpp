// format.cpp - see format.hpp.
#include "support/format.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace steady::cli {
namespace {

/// Three significant digits without an exponent: 1.23, 12.3, 123.
std::string three_digits(double value) {
    const double size = std::fabs(value);
    return fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

}  // namespace

std::string format_count(std::uint64_t count) {
    std::string digits = fmt::format("{}", count);
    for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
    return digits;
}

std::string format_bytes(double bytes) {
    // Below zero when memory was given back that was there before the measurement.
    if (std::fabs(bytes) < 1024) return fmt::format("{:.0f} B", bytes);
    static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = bytes / 1024;
    int unit = 0;
    while (std::fabs(value) >= 999.5 && unit < 3) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", three_digits(value), units[unit]);
}

std::string format_nanoseconds(double nanoseconds) {
    if (nanoseconds < 999.5) return fmt::format("{:.0f} ns", nanoseconds);
    if (nanoseconds < 999.5e3) return three_digits(nanoseconds / 1e3) + " us";
    if (nanoseconds < 999.5e6) return three_digits(nanoseconds / 1e6) + " ms";
    return three_digits(nanoseconds / 1e9) + " s";
}

std::string format_rate(double per_second) {
    if (per_second < 999.5) return fmt::format("{:.0f} /s", per_second);
    if (per_second < 999.5e3) return three_digits(per_second / 1e3) + " k/s";
    return three_digits(per_second / 1e6) + " M/s";
}

std::string count_of(std::uint64_t count, const char* singular) {
    return fmt::format("{} {}{}", format_count(count), singular, count == 1 ? "" : "s");
}

std::string progress_bar(std::size_t done, std::size_t all) {
    constexpr std::size_t columns = 20;
    done = all == 0 ? 0 : std::min(done, all);
    const std::size_t full = all == 0 ? 0 : columns * done / all;
    return fmt::format("[{}{}] {:3} %", std::string(full, '#'), std::string(columns - full, '-'),
                       all == 0 ? 0 : 100 * done / all);
}

}  // namespace steady::cli
