// metrics.cpp - /metrics in Prometheus' text format 0.0.4.
//
// Names follow prometheus.io/docs/practices/naming: base units, `_total` for what only
// grows, and for the process itself the names that client libraries share, so that
// existing dashboards work.
#include "steady/core/version.hpp"
#include "steady/profile/detail/web_pages.hpp"

namespace steady::web {
namespace {

class families {
public:
    explicit families(page_text& out) noexcept : out_(out) {}

    families& gauge(const char* name, const char* help) noexcept {
        return begin(name, "gauge", help);
    }
    families& counter(const char* name, const char* help) noexcept {
        return begin(name, "counter", help);
    }
    void is(std::uint64_t value) noexcept {
        out_.text(name_).character(' ').number(value).character('\n');
    }
    void is(double value) noexcept { out_.text(name_).character(' ').real(value).character('\n'); }
    families& with(const char* label, std::uint64_t label_value, std::uint64_t value) noexcept {
        out_.text(name_).character('{').text(label).text("=\"").number(label_value);
        out_.text("\"} ").number(value).character('\n');
        return *this;
    }
    families& with(const char* label, const char* label_value, std::uint64_t value) noexcept {
        out_.text(name_).character('{').text(label).text("=\"").text(label_value);
        out_.text("\"} ").number(value).character('\n');
        return *this;
    }

private:
    families& begin(const char* name, const char* type, const char* help) noexcept {
        name_ = name;
        out_.text("# HELP ").text(name).character(' ').text(help).text("\n# TYPE ").text(name);
        out_.character(' ').text(type).character('\n');
        return *this;
    }
    page_text& out_;
    const char* name_ = "";
};

void write_process(families& f) noexcept {
    const process_facts p = read_process_facts();
    f.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
        .is(p.cpu_seconds);
    f.gauge("process_resident_memory_bytes", "Resident memory size in bytes.").is(p.resident);
    f.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.").is(p.virtual_size);
    f.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
        .is(p.start_time);
    f.gauge("process_open_fds", "Number of open file descriptors.").is(p.open_descriptors);
    f.gauge("process_max_fds", "Maximum number of open file descriptors.").is(p.descriptor_limit);
    f.gauge("process_threads", "Number of OS threads.").is(p.threads);
    f.gauge("steady_process_peak_resident_memory_bytes",
            "The most resident memory the process has had in bytes.")
        .is(p.peak_resident);
    f.counter("steady_process_page_faults_total", "Page faults; major ones waited for a disk.")
        .with("kind", "minor", p.minor_faults)
        .with("kind", "major", p.major_faults);
}

void write_heap(families& f, const heap_statistics& s) noexcept {
    f.gauge("steady_heap_live_bytes", "Bytes of live objects.").is(s.heap_alloc);
    f.gauge("steady_heap_live_objects", "Live objects.").is(s.heap_objects);
    f.counter("steady_heap_allocated_bytes_total", "Bytes of all objects ever allocated.")
        .is(s.total_alloc);
    f.counter("steady_heap_freed_bytes_total", "Bytes of all objects ever freed.")
        .is(s.total_freed);
    f.counter("steady_heap_allocations_total", "Objects ever allocated.").is(s.mallocs);
    f.counter("steady_heap_frees_total", "Objects ever freed.").is(s.frees);
    f.gauge("steady_heap_system_bytes", "Memory from the system for spans and huge blocks.")
        .is(s.heap_sys);
    f.gauge("steady_heap_inuse_bytes", "Bytes in spans in use and huge blocks.").is(s.heap_inuse);
    f.gauge("steady_heap_idle_bytes", "Bytes in pages without a span.").is(s.heap_idle);
    f.gauge("steady_heap_released_bytes", "Idle bytes that were given back to the system.")
        .is(s.heap_released);
    f.gauge("steady_heap_cached_bytes", "Free objects in thread caches and depots, in bytes.")
        .is(s.cached_bytes);
    f.gauge("steady_heap_large_bytes", "Bytes of live objects larger than all size classes.")
        .is(s.large_bytes);
    f.gauge("steady_heap_large_objects", "Live objects larger than all size classes.")
        .is(s.large_objects);
    f.gauge("steady_heap_huge_bytes", "Bytes of live blocks that have room to grow in place.")
        .is(s.huge_alloc);
    f.counter("steady_heap_scavenged_bytes_total", "Bytes ever given back to the system.")
        .is(s.scavenged_total);
    f.gauge("steady_heap_thread_caches", "Threads with a cache.").is(std::uint64_t{s.threads});
    f.gauge("steady_memory_system_bytes", "All memory obtained from the system.").is(s.sys);
    f.gauge("steady_memory_metadata_bytes", "Memory from the system that holds no objects.")
        .with("part", "spans", s.mspan_sys)
        .with("part", "caches", s.mcache_sys)
        .with("part", "other", s.other_sys);
}

void write_classes(families& f, const heap_statistics& s) noexcept {
    const auto each = [&](auto value) noexcept {
        for (unsigned c = 1; c < class_count; ++c) {
            const auto& line = s.by_size[c];
            if (line.mallocs != 0 || line.spans != 0)
                f.with("object_bytes", std::uint64_t{line.size}, value(line));
        }
    };
    using line = heap_statistics::class_line;
    f.counter("steady_heap_class_allocations_total", "Objects ever allocated, by size class.");
    each([](const line& l) noexcept { return l.mallocs; });
    f.counter("steady_heap_class_frees_total", "Objects ever freed, by size class.");
    each([](const line& l) noexcept { return l.frees; });
    f.gauge("steady_heap_class_span_bytes", "Bytes in spans, by size class.");
    each([](const line& l) noexcept { return l.span_bytes; });
}

void write_profiler(families& f) noexcept {
    const profile::counters c = profile::read_counters();
    f.gauge("steady_profile_running", "1 while allocations are sampled.")
        .is(std::uint64_t{c.running});
    f.gauge("steady_profile_sampling_interval_bytes", "Mean bytes allocated between two samples.")
        .is(profile::rate());
    f.counter("steady_profile_samples_total", "Allocations sampled.").is(c.samples);
    f.gauge("steady_profile_live_samples", "Sampled objects not freed yet.").is(c.live_samples);
    f.gauge("steady_profile_sites", "Stacks with an object size that have samples.").is(c.sites);
    f.counter("steady_profile_lost_samples_total", "Samples lost because the tables were full.")
        .is(c.lost);
    f.gauge("steady_profile_table_bytes", "Memory of the profile's tables.").is(c.table_bytes);
    f.counter("steady_container_growth_steps_total", "Growth steps of maps, slices and arenas.")
        .is(c.growths);
}

}  // namespace

void write_metrics(page_text& out) noexcept {
    families f(out);
    const heap_statistics s = profile::read_heap_statistics();
    write_process(f);
    write_heap(f, s);
    write_classes(f, s);
    write_profiler(f);
    f.gauge("steady_build_info", "Always 1; the version is in the label.")
        .with("version", version(), 1);
}

}  // namespace steady::web
