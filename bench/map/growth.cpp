// growth.cpp - how does the table grow? Two pictures of a real run, as SVG.
//
//   bench_map_growth > docs/guide/map-growth.svg
//
// The keys and the hash are fixed, so every run draws the same.
//   1  memory from its beginning to its end, at eleven moments of one pass: how full each part is
//   2  bytes per entry over two doublings, and those of a table that doubles
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "map/peers.hpp"

namespace {

struct fixed_hash {
    using is_avalanching = void;
    std::uint64_t operator()(std::uint64_t key) const noexcept { return steady::hash_integer(key); }
};
using subject = steady::map<std::uint64_t, std::uint64_t, fixed_hash>;

constexpr double width = 720, left = 90;

void text(double x, double y, const std::string& what, const char* anchor = "start") {
    std::printf("<text x='%.0f' y='%.0f' text-anchor='%s'>%s</text>\n", x, y, anchor, what.c_str());
}

void grow_to(subject& m, std::uint64_t entries) {
    while (m.size() < entries) {
        m.try_emplace(steady::bench::make_key<std::uint64_t>(m.size()), m.size());
    }
}

/// Entries in each cluster of memory from the first slot on; what is chained lies elsewhere.
std::vector<unsigned> occupation(const subject& m) {
    constexpr std::uintptr_t cluster = 240 * 16, far = 16 << 20;
    std::vector<std::uintptr_t> places;
    for (const auto& entry : m) places.push_back(reinterpret_cast<std::uintptr_t>(&entry));
    std::sort(places.begin(), places.end());
    const std::uintptr_t middle = places[places.size() / 2];
    const auto first = std::lower_bound(places.begin(), places.end(), middle - far);
    const std::uintptr_t start = *first / 4096 * 4096;  // slots begin with a page
    std::vector<unsigned> clusters;
    for (auto place = first; place != places.end() && *place < middle + far; ++place) {
        const std::size_t c = (*place - start) / cluster;
        if (c >= clusters.size()) clusters.resize(c + 1);
        ++clusters[c];
    }
    return clusters;
}

/// One pass, from 512 clusters to 640.
double draw_pass(double top) {
    text(0, top, "One pass: 512 clusters become 640, from the end to the beginning.");
    constexpr unsigned together = 8, all = 640;
    const double row = 15, cell = width / (all / together);
    double y = top + 12;
    const auto grow_until = [](subject& map, bool passing) {
        while (map.raw_table().state()->passing() != passing) grow_to(map, map.size() + 1);
    };
    subject m, end;
    for (subject* map : {&m, &end}) {
        grow_to(*map, 60'000);  // 512 clusters
        grow_until(*map, true);
    }
    grow_until(end, false);
    const std::uint64_t begin = m.size(), rows = 11;
    for (std::uint64_t r = 0; r < rows; ++r) {
        grow_to(m, begin + (end.size() - begin) * r / (rows - 1));
        const std::vector<unsigned> clusters = occupation(m);
        text(left - 6, y + 11, std::to_string(m.size()), "end");
        for (unsigned c = 0; c < all; c += together) {
            unsigned entries = 0;
            for (unsigned i = c; i < std::min<std::size_t>(c + together, clusters.size()); ++i) {
                entries += clusters[i];
            }
            if (entries == 0) continue;
            const double load = entries / (240.0 * together);
            std::printf(
                "<rect x='%.1f' y='%.0f' width='%.1f' height='12' fill='hsl(210,70%%,%.0f%%)'/>\n",
                left + c / together * cell, y, cell, 95 - 65 * load);
        }
        y += row;
    }
    text(left, y + 12,
         "memory, first cluster to last; darker is fuller (30 to 87 %); white: nothing there");
    return y + 40;
}

void draw_line(const std::vector<std::pair<double, double>>& points, double top, double height,
               double low, double high, const char* colour) {
    std::printf("<polyline fill='none' stroke='%s' points='", colour);
    for (const auto& [x, value] : points) {
        const double y = top + height * (high - std::min(value, high)) / (high - low);
        std::printf("%.1f,%.1f ", left + x * width, y);
    }
    std::printf("'/>\n");
}

double draw_memory(double top) {
    text(0, top, "Bytes per entry of 8 + 8 bytes, from 250,000 to 1,000,000 entries.");
    constexpr std::uint64_t from = 250'000, to = 1'000'000, step = 2'500;
    const double low = 15, high = 60, height = 180, y = top + 12;
    std::vector<std::pair<double, double>> ours, doubling;
    subject m;
    std::uint64_t groups = 1;  // of 15 slots, at most seven eighths full, as in Boost
    for (std::uint64_t n = from; n <= to; n += step) {
        grow_to(m, n);
        const double x = static_cast<double>(n - from) / static_cast<double>(to - from);
        const steady::map_memory used = m.memory();
        const auto per_entry = [n](double bytes) { return bytes / static_cast<double>(n); };
        ours.emplace_back(x, per_entry(static_cast<double>((used.total() - used.unused).count())));
        while (groups * 15 * 7 / 8 < n) {
            groups *= 2;
            // While entries move, both tables are there.
            if (n > from) doubling.emplace_back(x, per_entry(384.0 * static_cast<double>(groups)));
        }
        doubling.emplace_back(x, per_entry(256.0 * static_cast<double>(groups)));
    }
    for (int bytes = 20; bytes <= 60; bytes += 10) {
        const double at = y + height * (high - bytes) / (high - low);
        text(left - 6, at + 4, std::to_string(bytes), "end");
        std::printf("<line x1='%.0f' x2='%.0f' y1='%.1f' y2='%.1f' stroke='#ddd'/>\n", left,
                    left + width, at, at);
    }
    draw_line(doubling, y, height, low, high, "#c44");
    draw_line(ours, y, height, low, high, "#26a");
    text(left, y + height + 16,
         "blue: steady::map, memory() without `unused`; red: groups of 15 that double at seven "
         "eighths,");
    text(left, y + height + 32, "both tables while they do (computed)");
    return y + height + 44;
}

}  // namespace

int main() {
    std::printf(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 820 480' font-family='sans-serif' "
        "font-size='12'>\n<rect width='820' height='480' fill='white'/>\n");
    draw_memory(draw_pass(16));
    std::printf("</svg>\n");
}
