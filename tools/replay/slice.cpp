// slice.cpp - growths by element size; the story is in slice.hpp.
#include "replay/slice.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>

#include "steady/slice/growth.hpp"
#include "support/exit_code.hpp"

namespace steady::cli::replay {
namespace {

using text = fmt::memory_buffer;

std::ptrdiff_t grown(std::size_t size, std::ptrdiff_t cap, std::ptrdiff_t need) {
    return growth::capacity<growth::go>(size, cap, need).cap;
}

constexpr std::uint64_t fnv_basis = 0xcbf29ce484222325;

std::uint64_t fnv_u64(std::uint64_t hash, std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
        hash ^= (value >> (8 * byte)) & 0xff;
        hash *= 0x100000001b3;
    }
    return hash;
}

struct rule {
    std::string_view name;
    std::ptrdiff_t (*need)(std::ptrdiff_t c);
};

constexpr rule one_more{"c+1", [](std::ptrdiff_t c) { return c + 1; }};
constexpr rule quarter_more{"c+c/4+193", [](std::ptrdiff_t c) { return c + c / 4 + 193; }};
constexpr rule twice{"2c", [](std::ptrdiff_t c) { return 2 * c; }};
constexpr rule above_twice{"2c+1", [](std::ptrdiff_t c) { return 2 * c + 1; }};

constexpr std::array grid_rules{
    one_more,
    rule{"c+2", [](std::ptrdiff_t c) { return c + 2; }},
    rule{"c+3", [](std::ptrdiff_t c) { return c + 3; }},
    rule{"c+5", [](std::ptrdiff_t c) { return c + 5; }},
    rule{"c+c/4+1", [](std::ptrdiff_t c) { return c + c / 4 + 1; }},
    quarter_more,
    rule{"2c-1", [](std::ptrdiff_t c) { return 2 * c - 1; }},
    twice,
    above_twice,
    rule{"3c+7", [](std::ptrdiff_t c) { return 3 * c + 7; }},
};

constexpr std::array<std::size_t, 32> grid_sizes{
    257,  264,  288,  300,  320,   384,   400,   448,   500,   511,    512,
    513,  640,  768,  1000, 1023,  1024,  1025,  1280,  1536,  2000,   2048,
    3000, 4096, 4097, 8192, 10000, 16384, 32768, 32769, 65536, 100000,
};

void add_grid_line(text& out, std::size_t size) {
    constexpr std::ptrdiff_t largest_array = 16777216;
    fmt::format_to(std::back_inserter(out), "grid es={}", size);
    for (const rule& r : grid_rules) {
        const std::ptrdiff_t last = r.name == one_more.name ? 5000 : 1100;
        std::uint64_t hash = fnv_basis;
        std::size_t count = 0;
        for (std::ptrdiff_t c = 0; c <= last; ++c) {
            const std::ptrdiff_t need = r.need(c);
            if (need <= c) continue;
            if (need * static_cast<std::ptrdiff_t>(size) > largest_array) break;
            hash = fnv_u64(hash, static_cast<std::uint64_t>(grown(size, c, need)));
            ++count;
        }
        fmt::format_to(std::back_inserter(out), " {}:{}:{:016x}", r.name, count, hash);
    }
    out.push_back('\n');
}

// Reads a number and the blanks in front of it.
bool read_number(std::string_view& line, std::ptrdiff_t& value) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return false;
    line.remove_prefix(start);
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc{}) return false;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    return line.empty() || line.front() == ' ' || line.front() == '\t' || line.front() == '\r';
}

}  // namespace

std::string slice_chain() {
    constexpr std::array<std::size_t, 56> sizes{
        1,   2,   3,   4,    5,    6,    7,    8,    9,    10,   12,    13,    15,    16,
        17,  18,  20,  24,   28,   32,   33,   36,   40,   48,   56,    64,    65,    72,
        80,  96,  100, 112,  120,  128,  144,  160,  192,  200,  208,   255,   256,   257,
        272, 512, 513, 1000, 1024, 1152, 2048, 4096, 5000, 8192, 10000, 32768, 32769, 100000,
    };
    text out;
    for (const std::size_t size : sizes) {
        // Chains end with the first array above this many bytes.
        const bool long_chain = size == 1 || size == 8 || size == 24;
        const std::size_t most = std::size_t{1} << (long_chain ? 31 : 28);
        fmt::format_to(std::back_inserter(out), "chain es={}:", size);
        for (std::ptrdiff_t cap = 0; static_cast<std::size_t>(cap) * size <= most;) {
            cap = grown(size, cap, cap + 1);
            fmt::format_to(std::back_inserter(out), " {}", cap);
        }
        out.push_back('\n');
    }
    return fmt::to_string(out);
}

std::string slice_grid() {
    text out;
    for (std::size_t size = 1; size <= 256; ++size) add_grid_line(out, size);
    for (const std::size_t size : grid_sizes) add_grid_line(out, size);
    return fmt::to_string(out);
}

std::string slice_big() {
    constexpr std::array<std::size_t, 18> sizes{1,  2,  3,  4,   7,   8,   12,  16,   24,
                                                32, 40, 64, 100, 128, 208, 256, 1024, 4096};
    constexpr std::array<std::ptrdiff_t, 24> caps{
        5001,     9999,      10000,     32767,     32768,     65535,     65536,     100000,
        262144,   999999,    1000000,   1048576,   1048577,   3000001,   10000000,  16777216,
        33333333, 100000000, 134217728, 250000000, 500000000, 536870912, 999999999, 1000000000};
    constexpr std::array rules{one_more, quarter_more, twice, above_twice};
    constexpr std::size_t largest_old = std::size_t{3} << 30, largest_new = std::size_t{6} << 30;
    text out;
    for (const std::size_t size : sizes) {
        for (const std::ptrdiff_t cap : caps) {
            if (static_cast<std::size_t>(cap) * size > largest_old) continue;
            for (const rule& r : rules) {
                const std::ptrdiff_t need = r.need(cap);
                if (static_cast<std::size_t>(need) * size > largest_new) continue;
                fmt::format_to(std::back_inserter(out), "big es={} cap={} need={} newcap={}\n",
                               size, cap, r.name, grown(size, cap, need));
            }
        }
    }
    return fmt::to_string(out);
}

std::string slice_full(std::size_t element_size) {
    text out;
    for (std::ptrdiff_t c = 0; c <= 5000; ++c)
        fmt::format_to(std::back_inserter(out), "{} {} {}\n", element_size, c,
                       grown(element_size, c, c + 1));
    return fmt::to_string(out);
}

std::string slice_sample(std::string_view input) {
    text out;
    for (std::size_t number = 1; !input.empty(); ++number) {
        const std::size_t end = input.find('\n');
        const std::string_view line = input.substr(0, end);
        input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
        std::string_view rest = line;
        std::ptrdiff_t size = 0, cap = 0, need = 0;
        if (rest.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        if (!read_number(rest, size) || !read_number(rest, cap) || !read_number(rest, need) ||
            size < 0 || cap < 0 || need <= cap) {
            throw usage_error(fmt::format(
                "replay: line {} is '{}'; it should be `ES C NEED`: the element's size, the old "
                "capacity, and a length above it",
                number, line));
        }
        try {
            fmt::format_to(std::back_inserter(out), "{} {} {} {}\n", size, cap, need,
                           grown(static_cast<std::size_t>(size), cap, need));
        } catch (const size_error& e) {
            throw usage_error(
                fmt::format("replay: line {} is '{}': {}, as Go panics", number, line, e.what()));
        }
    }
    return fmt::to_string(out);
}

}  // namespace steady::cli::replay
