// statistics.cpp - adding up what the heap's parts counted. The definitions are
// in statistics.hpp.
#include "steady/heap/statistics.hpp"

#include "steady/core/options.hpp"
#include "steady/heap/detail/depots.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/metadata.hpp"

namespace steady {

namespace {

using namespace detail;

// A text that grows inside a fixed buffer; what does not fit is cut off.
class writer {
public:
    writer(char* buffer, std::size_t capacity) noexcept : buffer_(buffer), capacity_(capacity) {}

    writer& text(const char* s) noexcept {
        while (*s != 0) put(*s++);
        return *this;
    }
    // Right-aligned in `width` columns.
    writer& number(std::uint64_t v, unsigned width = 0) noexcept {
        char digits[20];
        unsigned n = 0;
        do {
            digits[n++] = static_cast<char>('0' + v % 10);
            v /= 10;
        } while (v != 0);
        for (unsigned i = n; i < width; ++i) put(' ');
        while (n != 0) put(digits[--n]);
        return *this;
    }
    std::size_t finish() noexcept {
        if (capacity_ == 0) return 0;
        buffer_[length_] = 0;
        return length_;
    }

private:
    void put(char c) noexcept {
        if (length_ + 1 < capacity_) buffer_[length_++] = c;
    }
    char* buffer_;
    std::size_t capacity_;
    std::size_t length_ = 0;
};

struct field {
    const char* name;
    std::uint64_t heap_statistics::*value;
    const char* meaning;
};
constexpr field fields[] = {
    {"sys", &heap_statistics::sys, "bytes from the OS"},
    {"heap_sys", &heap_statistics::heap_sys, "  of these for spans and huge blocks"},
    {"heap_inuse", &heap_statistics::heap_inuse, "    in use"},
    {"heap_idle", &heap_statistics::heap_idle, "    idle"},
    {"heap_released", &heap_statistics::heap_released, "      of these not resident"},
    {"heap_alloc", &heap_statistics::heap_alloc, "bytes of live objects"},
    {"heap_objects", &heap_statistics::heap_objects, "live objects"},
    {"total_alloc", &heap_statistics::total_alloc, "bytes ever allocated"},
    {"total_freed", &heap_statistics::total_freed, "bytes ever freed"},
    {"mallocs", &heap_statistics::mallocs, "objects ever allocated"},
    {"frees", &heap_statistics::frees, "objects ever freed"},
    {"cached_bytes", &heap_statistics::cached_bytes, "free objects in thread caches and depots"},
    {"huge_alloc", &heap_statistics::huge_alloc, "bytes of live huge blocks"},
    {"large_objects", &heap_statistics::large_objects, "live large and huge objects"},
    {"large_bytes", &heap_statistics::large_bytes, "  their bytes"},
    {"mspan_inuse", &heap_statistics::mspan_inuse, "span records in use"},
    {"mspan_sys", &heap_statistics::mspan_sys, "taken for span records"},
    {"mcache_inuse", &heap_statistics::mcache_inuse, "thread caches and magazines in use"},
    {"mcache_sys", &heap_statistics::mcache_sys, "taken for thread caches and magazines"},
    {"other_sys", &heap_statistics::other_sys, "tables and other records"},
    {"reserved", &heap_statistics::reserved, "address space without memory"},
    {"scavenged_total", &heap_statistics::scavenged_total, "bytes ever returned to the OS"},
};

// Parts read at different moments may differ by what happened in between.
std::uint64_t difference(std::uint64_t whole, std::uint64_t part) noexcept {
    return whole > part ? whole - part : 0;
}

template <class Visit>
void for_each_central(Visit visit) noexcept {
    for (unsigned c = 2; c < span_class_count; ++c) {
        for (unsigned n = 0; n < default_core.nodes_; ++n) {
            central_list& list = default_core.central(n, static_cast<span_class>(c));
            const os::lock_guard guard(list.lock);
            visit(list, c >> 1);
        }
    }
}

// Every object that was freed had been allocated before. So all frees are read first,
// and then all mallocs: what is live never comes out below zero. The registry's lock is
// held, so that no thread ends in between and takes its counts elsewhere.
void read_frees(heap_statistics& s, class_counts* counts) noexcept {
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) c->add_freed(counts);
    for (unsigned c = 2; c < span_class_count; ++c)
        s.by_size[c >> 1].frees += counts[c].freed + registry.departed[c].freed;
    for_each_central([&](const central_list& list, unsigned size_class) noexcept {
        s.by_size[size_class].frees += list.direct_freed;
    });
    for (unsigned c = 1; c < class_count; ++c) s.total_freed += s.by_size[c].frees * class_size[c];
    for (unsigned i = 0; i < store.node_count(); ++i) {
        const node_pages& n = store.node(i);
        const os::lock_guard guard(store.node(i).lock);
        s.by_size[0].frees += n.large_freed;
        s.total_freed += n.large_bytes_freed;
        s.large_bytes += n.large_bytes_freed;
    }
    const huge_counts& huge = default_core.huge_;
    // acquire; pairs with the releases in free_huge() and count_resized().
    s.huge_alloc = huge.bytes_freed.load(std::memory_order_acquire);
    s.by_size[0].frees += huge.freed.load(std::memory_order_acquire);
    s.total_freed += s.huge_alloc;
    s.large_bytes += s.huge_alloc;
    for (const auto& line : s.by_size) s.frees += line.frees;
}

void read_mallocs(heap_statistics& s, class_counts* counts) noexcept {
    for (thread_cache* c = registry.first; c != nullptr; c = c->next) c->add_allocated(counts);
    for (unsigned c = 2; c < span_class_count; ++c)
        s.by_size[c >> 1].mallocs += counts[c].allocated + registry.departed[c].allocated;
    for_each_central([&](const central_list& list, unsigned size_class) noexcept {
        auto& line = s.by_size[size_class];
        line.mallocs += list.direct_allocated;
        line.spans += list.spans;
        line.span_bytes += list.spans * class_pages[size_class] * page_size.count();
    });
    for (unsigned c = 1; c < class_count; ++c)
        s.total_alloc += s.by_size[c].mallocs * class_size[c];
    std::uint64_t large = 0;
    for (unsigned i = 0; i < store.node_count(); ++i) {
        const node_pages& n = store.node(i);
        const os::lock_guard guard(store.node(i).lock);
        s.by_size[0].mallocs += n.large_allocated;
        large += n.large_bytes_allocated;
    }
    const huge_counts& huge = default_core.huge_;
    const std::uint64_t huge_bytes = huge.bytes_allocated.load(std::memory_order_relaxed);
    s.by_size[0].mallocs += huge.allocated.load(std::memory_order_relaxed);
    s.huge_alloc = difference(huge_bytes, s.huge_alloc);
    s.large_bytes = difference(large + huge_bytes, s.large_bytes);
    s.total_alloc += large + huge_bytes;
    for (const auto& line : s.by_size) s.mallocs += line.mallocs;
}

void read_objects(heap_statistics& s) noexcept {
    class_counts counts[span_class_count] = {};
    const os::lock_guard guard(registry.lock);
    read_frees(s, counts);
    read_mallocs(s, counts);
    for (thread_cache* c = registry.first; c != nullptr; c = c->next)
        s.cached_bytes += c->cached_bytes();
    s.cached_bytes += depots.held_bytes();
    s.threads = registry.threads;
    s.heap_objects = difference(s.mallocs, s.frees);
    s.heap_alloc = difference(s.total_alloc, s.total_freed);
    s.large_objects = difference(s.by_size[0].mallocs, s.by_size[0].frees);
}

void read_pages(heap_statistics& s) noexcept {
    std::uint64_t resident_idle = 0;
    for (unsigned i = 0; i < store.node_count(); ++i) {
        node_pages& n = store.node(i);
        const os::lock_guard guard(n.lock);
        s.heap_inuse += to_bytes(n.pages.in_use()).count();
        resident_idle += to_bytes(n.pages.free_resident()).count();
        s.heap_released += to_bytes(n.pages.free_scavenged()).count();
        s.mspan_inuse +=
            (n.spans_1.bytes_in_use() + n.spans_8.bytes_in_use() + n.spans_18.bytes_in_use())
                .count();
    }
    const huge_counters huge = huge_blocks.counters();
    s.heap_inuse += huge.in_use.count();
    s.heap_released += huge.prepared.count();
    s.heap_idle = resident_idle + huge.idle.count() + s.heap_released;
}

}  // namespace

heap_statistics read_statistics() noexcept {
    heap_statistics s{};
    for (unsigned c = 0; c < class_count; ++c)
        s.by_size[c].size = static_cast<std::uint32_t>(class_size[c]);
    if (!open_heap()) return s;

    read_objects(s);
    read_pages(s);
    central_list& magazines = record_core.central(0, magazine_class);
    std::uint64_t records = 0;
    {
        const os::lock_guard guard(magazines.lock);
        records = magazines.spans * class_pages[magazine_class >> 1] * page_size.count();
        s.mcache_inuse = magazines.objects_out * sizeof(magazine);
    }
    s.heap_inuse = difference(s.heap_inuse, records);
    s.heap_sys = s.heap_inuse + s.heap_idle;
    s.mspan_sys = (metadata_ledgers.spans.value() + metadata_ledgers.counts.value()).count();
    s.mcache_sys = metadata_ledgers.caches.value().count() + records;
    s.mcache_inuse += s.threads * sizeof(thread_cache);
    const os::memory_ledgers& os_ledgers = os::ledgers();
    s.reserved = os_ledgers.reserved.value().count();
    s.sys = os_ledgers.ready.value().count() + os_ledgers.prepared.value().count();
    s.other_sys = difference(s.sys, s.heap_sys + s.mspan_sys + s.mcache_sys);
    s.scavenged_total = read_scavenger_statistics().released_bytes;
    return s;
}

thread_statistics read_thread_statistics() noexcept {
    thread_statistics s{};
    if (!open_heap()) return s;
    const large_taken large = large_taken_by_thread();
    s.mallocs = large.objects;
    s.total_alloc = large.bytes;
    s.exact = !checked_mode();
    thread_cache* const own = current_cache;
    if (own == &empty_cache) return s;
    class_counts counts[span_class_count] = {};
    own->add_counts(counts);
    for (unsigned c = 2; c < span_class_count; ++c) {
        s.mallocs += counts[c].allocated;
        s.total_alloc += counts[c].allocated * class_size[c >> 1];
        s.small_frees += counts[c].freed;
    }
    return s;
}

std::size_t write_statistics_text(const heap_statistics& s, char* buffer,
                                  std::size_t capacity) noexcept {
    writer out(buffer, capacity);
    out.text("steady heap\n");
    for (const field& f : fields) out.number(s.*f.value, 16).text("  ").text(f.meaning).text("\n");
    out.number(s.threads, 16).text("  threads with a cache\n\n");
    out.text(
        "    size        mallocs          frees           live      live bytes   spans    span "
        "bytes\n");
    for (const auto& line : s.by_size) {
        if (line.mallocs == 0) continue;
        const std::uint64_t live = line.mallocs - line.frees;
        if (line.size == 0) {
            out.text("   large");
        } else {
            out.number(line.size, 8);
        }
        out.number(line.mallocs, 15)
            .number(line.frees, 15)
            .number(live, 15)
            .number(line.size == 0 ? s.large_bytes : live * line.size, 16);
        out.number(line.spans, 8).number(line.span_bytes, 14).text("\n");
    }
    return out.finish();
}

std::size_t write_statistics_json(const heap_statistics& s, char* buffer,
                                  std::size_t capacity) noexcept {
    writer out(buffer, capacity);
    out.text("{");
    for (const field& f : fields)
        out.text("\"").text(f.name).text("\": ").number(s.*f.value).text(", ");
    out.text("\"threads\": ").number(s.threads).text(", \"by_size\": [");
    bool first = true;
    for (const auto& line : s.by_size) {
        out.text(first ? "" : ", ").text("{\"size\": ").number(line.size);
        out.text(", \"mallocs\": ").number(line.mallocs).text(", \"frees\": ").number(line.frees);
        out.text(", \"spans\": ")
            .number(line.spans)
            .text(", \"span_bytes\": ")
            .number(line.span_bytes)
            .text("}");
        first = false;
    }
    out.text("]}");
    return out.finish();
}

}  // namespace steady
