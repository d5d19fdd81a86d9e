// history.cpp - what the charts of the index page show: a row a second, for a quarter of
// an hour, kept by the server so that a page opened now shows what was before.
#include <ctime>

#include "steady/profile/detail/web_pages.hpp"

namespace steady::web {

history_row read_history_row() noexcept {
    const heap_statistics s = profile::read_heap_statistics();
    timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    history_row row{};
    row.time_ms = std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
    row.heap_alloc = s.heap_alloc;
    row.heap_inuse = s.heap_inuse;
    row.heap_idle_resident = s.heap_idle > s.heap_released ? s.heap_idle - s.heap_released : 0;
    row.resident = read_resident();
    row.mallocs = s.mallocs;
    row.total_alloc = s.total_alloc;
    row.growths = profile::read_counters().growths;
    return row;
}

void history::add(const history_row& row) noexcept {
    rows_[count_ % most] = row;
    ++count_;
}

void history::write(std::uint64_t after, page_text& out) const noexcept {
    std::uint64_t first = count_ > most ? count_ - most : 0;
    if (after > first && after <= count_) first = after;
    out.text(
        "{\"columns\":[\"time_ms\",\"live\",\"inuse\",\"idle\",\"rss\",\"mallocs\",\"allocated\","
        "\"growths\"],\"next\":");
    out.number(count_).text(",\"rows\":[");
    for (std::uint64_t i = first; i < count_; ++i) {
        const history_row& r = rows_[i % most];
        if (i != first) out.character(',');
        out.character('[').number(r.time_ms).character(',').number(r.heap_alloc).character(',');
        out.number(r.heap_inuse).character(',').number(r.heap_idle_resident).character(',');
        out.number(r.resident).character(',').number(r.mallocs).character(',');
        out.number(r.total_alloc).character(',').number(r.growths).character(']');
    }
    out.text("]}");
}

}  // namespace steady::web
