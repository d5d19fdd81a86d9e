// slice_make.cpp - what make costs: slices are made, and the heap is asked before and
// after. No size class is named here.
#include <array>
#include <cstdint>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "replay/slice.hpp"
#include "steady/heap/statistics.hpp"
#include "steady/slice/slice.hpp"

namespace steady::cli::replay {
namespace {

using text = fmt::memory_buffer;

// Objects as MemStats counts them: an array that shares a tiny block is one.
struct costs {
    std::uint64_t mallocs;
    std::uint64_t bytes;
};

costs read_costs() {
    const heap_statistics now = read_statistics();
    return {now.mallocs + detail::tiny.shared, now.total_alloc};
}

template <class Work>
costs cost_of(Work work) {
    const costs before = read_costs();
    work();
    const costs after = read_costs();
    return {after.mallocs - before.mallocs, after.bytes - before.bytes};
}

template <class Element>
std::uint64_t bytes_of_make(std::ptrdiff_t n) {
    return cost_of([n] { static_cast<void>(make_slice<Element>(n)); }).bytes;
}

void add_tiny(text& out, std::ptrdiff_t size) {
    constexpr std::ptrdiff_t requests = 4080;
    std::vector<slice<std::uint8_t>> alive(requests);
    detail::forget_tiny_block();
    const costs cost = cost_of([&] {
        for (auto& s : alive) s = make_slice<std::uint8_t>(size);
    });
    fmt::format_to(std::back_inserter(out), "tiny noscan {} bytes x{}: mallocs={} bytes={}\n", size,
                   requests, cost.mallocs, cost.bytes);
}

// One line for each run of sizes that occupy the same.
template <class Element>
void add_ranges(text& out, std::string_view kind, std::ptrdiff_t from, std::ptrdiff_t to) {
    constexpr std::ptrdiff_t step = sizeof(Element);
    std::ptrdiff_t first = from;
    std::uint64_t occupied = bytes_of_make<Element>(from / step);
    for (std::ptrdiff_t size = from + step; size <= to + step; size += step) {
        const std::uint64_t next = size > to ? 0 : bytes_of_make<Element>(size / step);
        if (next == occupied) continue;
        fmt::format_to(std::back_inserter(out), "make {} {}..{} -> {}\n", kind, first, size - step,
                       occupied);
        first = size;
        occupied = next;
    }
}

}  // namespace

std::string slice_make() {
    static_cast<void>(make_slice<std::uint8_t>(64));  // the heap opens, counters are made
    text out;
    for (std::ptrdiff_t size = 1; size < 16; ++size) add_tiny(out, size);
    const costs nothing = cost_of([] { static_cast<void>(make_slice<std::uint8_t>(0)); });
    fmt::format_to(std::back_inserter(out), "zero noscan 0 bytes: mallocs={} bytes={}\n",
                   nothing.mallocs, nothing.bytes);
    constexpr std::ptrdiff_t last = 131072;
    add_ranges<std::uint8_t>(out, "noscan", 16, last);
    add_ranges<void*>(out, "scan", 8, last);
    constexpr std::array<std::ptrdiff_t, 9> large{131073,     1048576,    1048577,
                                                  10000000,   100000000,  1073741823,
                                                  1073741824, 1073741825, 1000000000};
    for (const std::ptrdiff_t size : large) {
        fmt::format_to(std::back_inserter(out), "make noscan {} -> {}\n", size,
                       bytes_of_make<std::uint8_t>(size));
    }
    return fmt::to_string(out);
}

}  // namespace steady::cli::replay
