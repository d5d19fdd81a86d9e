// profile_text.cpp - ?debug=1: profiles as Go's runtime/pprof writes them for people.
//
//   heap profile: 3: 4096 [10: 16384] @ heap/1048576
//   1: 1024 [2: 2048] @ 0x55d0c8 0x55d0a1
//   #	0x55d0c8	index::add(char const*)+0x0	/src/index.cpp:12
//   ...
//   # runtime.MemStats
//   # Alloc = 4096
//
// live objects: live bytes [allocated objects: bytes] @ addresses. The number behind
// "heap/" is twice the rate: that is how the old tools scale. Here the values are scaled
// already, and the lines below say who the addresses are.
#include "steady/profile/detail/web_pages.hpp"
#include "steady/profile/detail/report.hpp"

namespace steady::web {
namespace {

using profile::stack_record;

std::int64_t value(const stack_record& r, std::size_t v) {
    return v < r.values.size() ? r.values[v] : 0;
}

void write_stack(const stack_record& r, page_text& out) {
    out.text(" @");
    for (const profile::frame& f : r.frames) {
        if (!f.inlined) out.character(' ').hex(f.address);
    }
    out.character('\n');
    for (const profile::frame& f : r.frames) {
        out.text("#\t").hex(f.address).character('\t').text(name_of(f));
        if (!f.file.empty()) out.character('\t').text(f.file).character(':').number(f.line);
        out.character('\n');
    }
    out.character('\n');
}

void write_memstats_comment(page_text& out) {
    const go_memstats m = read_memstats();
    const auto line = [&](const char* name, std::uint64_t v) {
        out.text("# ").text(name).text(" = ").number(v).character('\n');
    };
    const auto pair = [&](const char* name, std::uint64_t a, std::uint64_t b) {
        out.text("# ").text(name).text(" = ").number(a).text(" / ").number(b).character('\n');
    };
    out.text("\n# runtime.MemStats\n");
    line("Alloc", m.Alloc);
    line("TotalAlloc", m.TotalAlloc);
    line("Sys", m.Sys);
    line("Lookups", m.Lookups);
    line("Mallocs", m.Mallocs);
    line("Frees", m.Frees);
    line("HeapAlloc", m.HeapAlloc);
    line("HeapSys", m.HeapSys);
    line("HeapIdle", m.HeapIdle);
    line("HeapInuse", m.HeapInuse);
    line("HeapReleased", m.HeapReleased);
    line("HeapObjects", m.HeapObjects);
    pair("Stack", m.StackInuse, m.StackSys);
    pair("MSpan", m.MSpanInuse, m.MSpanSys);
    pair("MCache", m.MCacheInuse, m.MCacheSys);
    line("BuckHashSys", m.BuckHashSys);
    line("GCSys", m.GCSys);
    line("OtherSys", m.OtherSys);
    line("NextGC", m.NextGC);
    line("LastGC", m.LastGC);
    line("NumGC", m.NumGC);
    line("MaxRSS", read_process_facts().peak_resident);
}

}  // namespace

void write_profile_text(profile::kind what, const std::vector<stack_record>& records,
                        page_text& out) {
    const auto types = profile::value_types(what);
    if (what != profile::kind::heap && what != profile::kind::allocs) {
        out.text(profile::name(what)).text(" profile:");
        for (const profile::value_type& t : types)
            out.character(' ').text(t.type).character('/').text(t.unit);
        out.character('\n');
        for (const stack_record& r : records) {
            for (std::size_t v = 0; v < types.size(); ++v) {
                if (v != 0) out.character(' ');
                out.number(value(r, v));
            }
            write_stack(r, out);
        }
        return;
    }
    const auto write_line = [&](std::int64_t live, std::int64_t live_bytes, std::int64_t all,
                                std::int64_t all_bytes) {
        out.number(live).text(": ").number(live_bytes).text(" [").number(all).text(": ");
        out.number(all_bytes).character(']');
    };
    std::int64_t totals[profile::heap_values] = {};
    for (const stack_record& r : records) {
        for (std::size_t v = 0; v < profile::heap_values; ++v) totals[v] += value(r, v);
    }
    out.text("heap profile: ");
    write_line(totals[profile::inuse_objects], totals[profile::inuse_space],
               totals[profile::alloc_objects], totals[profile::alloc_space]);
    out.text(" @ heap/").number(2 * profile::rate()).character('\n');
    for (const stack_record& r : records) {
        write_line(value(r, profile::inuse_objects), value(r, profile::inuse_space),
                   value(r, profile::alloc_objects), value(r, profile::alloc_space));
        write_stack(r, out);
    }
    write_memstats_comment(out);
}

void write_pprof_index(page_text& out) noexcept {
    struct row {
        profile::kind what;
        const char* meaning;
    };
    constexpr row rows[] = {
        {profile::kind::allocs, "A sampling of all past memory allocations"},
        {profile::kind::growth,
         "Stacks that made maps, slices and arenas grow, with the bytes moved"},
        {profile::kind::heap,
         "A sampling of memory allocations of live objects. gc=1 empties the threads' caches "
         "first"},
        {profile::kind::retained, "Slices that keep much larger arrays alive"},
    };
    out.text(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><title>/debug/pprof/</title><style>"
        "body{font:15px/1.6 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem}"
        "td{padding:.1rem 1rem .1rem 0;vertical-align:top}td:first-child{text-align:right}"
        "code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}</style></head><body>"
        "<h1>/debug/pprof/</h1><p>Profiles of ");
    out.html(program_invocation_short_name);
    out.text(
        ", <a href=\"/\">the page for people</a></p><table>\n<tr><td>Count</td><td>Profile</td>"
        "<td></td></tr>\n");
    for (const row& r : rows) {
        const char* name = profile::name(r.what);
        out.text("<tr><td>").number(profile::count(r.what)).text("</td><td><a href=\"");
        out.text(name).text("?debug=1\">").text(name).text("</a></td><td>").text(r.meaning);
        out.text("</td></tr>\n");
    }
    out.text(
        "<tr><td></td><td><a href=\"cmdline\">cmdline</a></td><td>The command line</td></tr>\n"
        "<tr><td></td><td><a href=\"profile?seconds=5\">profile</a></td><td>CPU profile; seconds=N "
        "says for how long</td></tr>\n</table>\n"
        "<p>With <code>seconds=N</code> a profile is what changed meanwhile; with "
        "<code>debug=1</code> it is text.</p>"
        "<p><code>go tool pprof http://HOST:PORT/debug/pprof/heap</code></p></body></html>\n");
}

}  // namespace steady::web
