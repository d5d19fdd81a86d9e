// memstats.cpp - see memstats.hpp.
#include "steady/profile/memstats.hpp"

#include <algorithm>
#include <iterator>

#include "steady/profile/detail/web_pages.hpp"
#include "steady/profile/profile.hpp"

namespace steady {

go_memstats read_memstats() noexcept {
    const heap_statistics s = profile::read_heap_statistics();
    go_memstats m{};
    m.Alloc = m.HeapAlloc = s.heap_alloc;
    m.TotalAlloc = s.total_alloc;
    m.Mallocs = s.mallocs;
    m.Frees = s.frees;
    m.HeapSys = s.heap_sys;
    m.HeapIdle = s.heap_idle;
    m.HeapInuse = s.heap_inuse;
    m.HeapReleased = s.heap_released;
    m.HeapObjects = s.heap_objects;
    m.MSpanInuse = s.mspan_inuse;
    m.MSpanSys = s.mspan_sys;
    m.MCacheInuse = s.mcache_inuse;
    m.MCacheSys = s.mcache_sys;
    m.BuckHashSys = profile::read_counters().table_bytes;
    m.OtherSys = s.other_sys;
#if !defined(STEADY_PROFILE_LIBRARY)
    // Linked together the tables are from the heap's own os, which has counted them as other.
    m.OtherSys -= std::min(m.OtherSys, m.BuckHashSys);
#endif
    m.Sys =
        m.HeapSys + m.StackSys + m.MSpanSys + m.MCacheSys + m.BuckHashSys + m.GCSys + m.OtherSys;
    static_assert(std::size(go_memstats{}.BySize) <= class_count);
    for (std::size_t i = 0; i < std::size(m.BySize); ++i) {
        m.BySize[i].Size = s.by_size[i].size;
        if (i == 0) continue;  // Go's class 0 has no line of its own: large objects
        m.BySize[i].Mallocs = s.by_size[i].mallocs;
        m.BySize[i].Frees = s.by_size[i].frees;
    }
    return m;
}

namespace web {
namespace {

struct field {
    const char* name;
    std::uint64_t go_memstats::*value;
};
constexpr field first_fields[] = {
    {"Alloc", &go_memstats::Alloc},
    {"TotalAlloc", &go_memstats::TotalAlloc},
    {"Sys", &go_memstats::Sys},
    {"Lookups", &go_memstats::Lookups},
    {"Mallocs", &go_memstats::Mallocs},
    {"Frees", &go_memstats::Frees},
    {"HeapAlloc", &go_memstats::HeapAlloc},
    {"HeapSys", &go_memstats::HeapSys},
    {"HeapIdle", &go_memstats::HeapIdle},
    {"HeapInuse", &go_memstats::HeapInuse},
    {"HeapReleased", &go_memstats::HeapReleased},
    {"HeapObjects", &go_memstats::HeapObjects},
    {"StackInuse", &go_memstats::StackInuse},
    {"StackSys", &go_memstats::StackSys},
    {"MSpanInuse", &go_memstats::MSpanInuse},
    {"MSpanSys", &go_memstats::MSpanSys},
    {"MCacheInuse", &go_memstats::MCacheInuse},
    {"MCacheSys", &go_memstats::MCacheSys},
    {"BuckHashSys", &go_memstats::BuckHashSys},
    {"GCSys", &go_memstats::GCSys},
    {"OtherSys", &go_memstats::OtherSys},
    {"NextGC", &go_memstats::NextGC},
    {"LastGC", &go_memstats::LastGC},
    {"PauseTotalNs", &go_memstats::PauseTotalNs},
};

void write_ring(const char* name, const std::uint64_t (&ring)[256], page_text& out) noexcept {
    out.json(name).text(":[");
    for (std::size_t i = 0; i < std::size(ring); ++i) {
        if (i != 0) out.character(',');
        out.number(ring[i]);
    }
    out.text("],");
}

}  // namespace

void write_memstats_json(const go_memstats& m, page_text& out) noexcept {
    out.character('{');
    for (const field& f : first_fields)
        out.json(f.name).character(':').number(m.*f.value).character(',');
    write_ring("PauseNs", m.PauseNs, out);
    write_ring("PauseEnd", m.PauseEnd, out);
    out.text("\"NumGC\":").number(m.NumGC).text(",\"NumForcedGC\":").number(m.NumForcedGC);
    out.text(",\"GCCPUFraction\":").real(m.GCCPUFraction);
    out.text(",\"EnableGC\":").text(m.EnableGC ? "true" : "false");
    out.text(",\"DebugGC\":").text(m.DebugGC ? "true" : "false");
    out.text(",\"BySize\":[");
    bool first = true;
    for (const auto& line : m.BySize) {
        if (!first) out.character(',');
        first = false;
        out.text("{\"Size\":").number(line.Size).text(",\"Mallocs\":").number(line.Mallocs);
        out.text(",\"Frees\":").number(line.Frees).character('}');
    }
    out.text("]}");
}

}  // namespace web
}  // namespace steady
