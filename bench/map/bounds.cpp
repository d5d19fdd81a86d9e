// bounds.cpp - what does one operation do at most, and how much memory is there, up to any size?
//
//   bench_map_bounds [ENTRIES]
//
// Counted, not timed: entries moved and fresh pages by one operation as the growth hook reports
// them, bytes of one system call as the os hook does, resident memory from /proc/self/statm.
// Each line is an octave of a map of 8 + 8 bytes that grows to ENTRIES; then it loses nine tenths
// and is used on.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "map/peers.hpp"
#include "steady/core/hooks.hpp"
#include "support/clocks.hpp"

namespace {

using subject = steady::map<std::uint64_t, std::uint64_t>;

struct most {
    std::uint64_t moved = 0, pages = 0, call = 0;
};

/// The most of one operation, and the sum of the one that is being made.
class watch {
public:
    watch() {
        steady::growth_hook.install(
            [](void* self, const steady::growth_event& e) {
                auto& w = *static_cast<watch*>(self);
                w.now_.moved += e.entries_moved;
                w.now_.pages += e.pages_touched;
            },
            this);
        steady::os_hook.install(
            [](void* self, const steady::os_event& e) {
                auto& w = *static_cast<watch*>(self);
                if (e.call == steady::os_call::prepare || e.call == steady::os_call::decommit) {
                    w.now_.call = std::max(w.now_.call, e.size.count());
                }
            },
            this);
    }
    ~watch() {
        steady::os_hook.remove();
        steady::growth_hook.remove();
    }
    void end_of_operation() {
        worst_.moved = std::max(worst_.moved, now_.moved);
        worst_.pages = std::max(worst_.pages, now_.pages);
        worst_.call = std::max(worst_.call, now_.call);
        now_ = {};
    }
    most take() { return std::exchange(worst_, {}); }

private:
    most worst_, now_;
};

double per_entry(std::uint64_t bytes, std::uint64_t entries) {
    return static_cast<double>(bytes) / static_cast<double>(entries);
}
double resident(std::uint64_t before, std::uint64_t entries) {
    return per_entry(steady::bench::resident_bytes() - before, entries);
}
std::uint64_t key_of(std::uint64_t i) {
    return steady::bench::make_key<std::uint64_t>(i);
}
void print(const most& m) {
    std::printf(" %8llu %8llu %8llu", static_cast<unsigned long long>(m.moved),
                static_cast<unsigned long long>(m.pages),
                static_cast<unsigned long long>(m.call >> 10));
}

}  // namespace

int main(int argc, char** argv) {
    const auto n = static_cast<std::uint64_t>(argc > 1 ? std::atof(argv[1]) : 1e6);
    const std::uint64_t before = steady::bench::resident_bytes();
    watch w;
    subject m;
    std::printf("%-26s %8s %8s %8s %10s %10s\n", "", "moved", "pages", "KiB/call", "B/entry",
                "at most");
    std::uint64_t octave = 64'000, samples = 0;  // less says more about the process than the map
    double sum = 0, highest = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
        m.try_emplace(key_of(i), i);
        w.end_of_operation();
        if (i >= octave && i % (octave / 128) == 0) {
            const double bytes = resident(before, m.size());
            sum += bytes;
            highest = std::max(highest, bytes);
            ++samples;
        }
        if (m.size() == 2 * octave || m.size() == n) {
            std::printf("grown to %17llu", static_cast<unsigned long long>(m.size()));
            print(w.take());
            std::printf(" %10.2f %10.2f\n",
                        sum / static_cast<double>(std::max<std::uint64_t>(samples, 1)), highest);
            octave = m.size();
            sum = highest = 0;
            samples = 0;
        }
    }
    const std::uint64_t left = n / 10;
    for (std::uint64_t i = 0; i < n - left; ++i) {
        m.erase(key_of(i));
        w.end_of_operation();
    }
    std::printf("shrunk to %16llu", static_cast<unsigned long long>(m.size()));
    print(w.take());
    std::printf(" %10.2f\n", resident(before, m.size()));
    for (std::uint64_t i = 0; i < n; ++i) {
        m.erase(key_of(n - left + i));
        m.try_emplace(key_of(n + i), i);
        w.end_of_operation();
    }
    std::printf("used on, %17llu", static_cast<unsigned long long>(m.size()));
    print(w.take());
    std::printf(" %10.2f", resident(before, m.size()));
    const std::uint64_t with = steady::bench::resident_bytes();
    subject fresh;
    for (std::uint64_t i = 0; i < left; ++i) fresh.try_emplace(key_of(i), i);
    std::printf("   a fresh map of that size %.2f\n", resident(with, left));
}
