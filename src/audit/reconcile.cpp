// reconcile.cpp - see reconcile.hpp. The kernel's files are read into memory that was taken
// before anything is counted, so that counting changes nothing.
#include "steady/audit/reconcile.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "steady/heap/statistics.hpp"
#include "steady/os/mappings.hpp"
#include "steady/os/memory.hpp"

namespace steady::audit {
namespace {

/// A file of /proc, read through one buffer, line by line.
class proc_file {
public:
    explicit proc_file(const char* path) noexcept : file_{open(path, O_RDONLY | O_CLOEXEC)} {}
    ~proc_file() {
        if (file_ >= 0) close(file_);
    }
    proc_file(const proc_file&) = delete;
    proc_file& operator=(const proc_file&) = delete;

    const char* next() noexcept {
        for (;;) {
            char* const end = static_cast<char*>(std::memchr(buffer_ + at_, '\n', size_ - at_));
            if (end != nullptr) {
                *end = '\0';
                const char* const line = buffer_ + at_;
                at_ = static_cast<std::size_t>(end - buffer_) + 1;
                return line;
            }
            if (at_ != 0) std::memmove(buffer_, buffer_ + at_, size_ - at_);
            size_ -= at_;
            at_ = 0;
            if (size_ == sizeof buffer_) size_ = 0;  // no line of /proc is as long
            const ssize_t got =
                file_ < 0 ? 0 : read(file_, buffer_ + size_, sizeof buffer_ - size_);
            if (got <= 0) return nullptr;
            size_ += static_cast<std::size_t>(got);
        }
    }

private:
    int file_;
    std::size_t at_ = 0, size_ = 0;
    char buffer_[8192];
};

struct range_list {
    os::mapped_range range[os::most_mapped_ranges];
    std::size_t count = 0;

    /// Calls what(from, to) for the part of [start, end) in each range.
    template <class What>
    void within(std::uintptr_t start, std::uintptr_t end, What what) const {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uintptr_t from = start > range[i].start ? start : range[i].start;
            const std::uintptr_t last = range[i].start + range[i].size;
            const std::uintptr_t to = end < last ? end : last;
            if (from < to) what(from, to);
        }
    }
};

/// Resident bytes between two addresses, asked page by page: for mappings of ours that the
/// kernel has merged with somebody else's.
std::size_t resident_between(std::uintptr_t from, std::uintptr_t to) noexcept {
    const std::size_t page = os::os_page().count();
    std::size_t sum = 0;
    unsigned char pages[512];
    for (std::uintptr_t at = from; at < to; at += sizeof pages * page) {
        const std::size_t length = to - at < sizeof pages * page ? to - at : sizeof pages * page;
        if (mincore(reinterpret_cast<void*>(at), length, pages) != 0) continue;
        for (std::size_t i = 0; i * page < length; ++i) sum += (pages[i] & 1) * page;
    }
    return sum;
}

/// Changes start and end only when the line begins a mapping.
bool mapping_line(const char* line, std::uintptr_t& start, std::uintptr_t& end) noexcept {
    char* after = nullptr;
    const std::uintptr_t from = std::strtoull(line, &after, 16);
    if (after == line || *after != '-') return false;
    const std::uintptr_t to = std::strtoull(after + 1, &after, 16);
    if (*after != ' ' || to <= from) return false;
    start = from;
    end = to;
    return true;
}

}  // namespace

/// One count, good if the ledgers were the same before and after.
static bool count_once(reconciliation& r, range_list& list) {
    r.heap_is_sound = check_heap(r.why_not, sizeof r.why_not);
    const heap_statistics heap = read_statistics();
    const os::mapped_list read = os::read_mapped(list.range, os::most_mapped_ranges);
    list.count = r.ranges = read.count;
    r.listed = read.unlisted;
    for (std::size_t i = 0; i < list.count; ++i) r.listed += bytes{list.range[i].size};
    const os::memory_ledgers& ledgers = os::ledgers();
    r.reserved = ledgers.reserved.value();
    r.prepared = ledgers.prepared.value();
    r.ready = ledgers.ready.value();
    r.plain = ledgers.plain.value();
    r.heap_spans = heap.heap_inuse;
    r.heap_idle = heap.heap_idle;
    r.records = heap.mspan_sys + heap.mcache_sys;
    r.tables = heap.other_sys;

    std::uintptr_t start = 0, end = 0;
    std::size_t mapped = 0;
    {
        proc_file maps("/proc/self/maps");
        while (const char* line = maps.next()) {
            if (!mapping_line(line, start, end)) continue;
            list.within(start, end,
                        [&](std::uintptr_t from, std::uintptr_t to) { mapped += to - from; });
        }
    }
    r.mapped = bytes{mapped};
    std::size_t resident = 0, ours = 0;
    proc_file smaps("/proc/self/smaps");
    while (const char* line = smaps.next()) {
        if (mapping_line(line, start, end)) {
            ours = 0;
            list.within(start, end,
                        [&](std::uintptr_t from, std::uintptr_t to) { ours += to - from; });
        } else if (ours != 0 && std::strncmp(line, "Rss:", 4) == 0) {
            const std::size_t rss = std::strtoull(line + 4, nullptr, 10) << 10;
            if (ours == end - start || rss == 0) {
                resident += rss;
            } else {
                list.within(start, end, [&](std::uintptr_t from, std::uintptr_t to) {
                    resident += resident_between(from, to);
                });
            }
            ours = 0;
        }
    }
    r.resident = bytes{resident};
    return r.reserved == ledgers.reserved.value() && r.prepared == ledgers.prepared.value() &&
           r.ready == ledgers.ready.value();
}

// The background thread gives memory back whenever it likes; a count it fell into is made
// again.
reconciliation reconcile() {
    static thread_local range_list list;  // no allocation while counting
    reconciliation r;
    for (int attempt = 0; attempt < 50; ++attempt) {
        r = {};
        if (count_once(r, list)) break;
    }
    return r;
}

std::string to_text(const reconciliation& r) {
    char text[1024];
    const auto count = [](bytes b) { return b.count(); };
    std::snprintf(text, sizeof text,
                  "  ledger reserved      %20zu\n  ledger prepared      %20zu\n"
                  "  ledger ready         %20zu   of these plain %zu\n"
                  "  sum of ledgers       %20zu\n  list of mappings     %20zu   in %llu ranges\n"
                  "  mapped, kernel       %20zu\n  resident, kernel     %20zu\n"
                  "  heap: spans          %20llu\n  heap: idle pages     %20llu\n"
                  "  heap: records        %20llu\n  heap: tables, other  %20llu\n"
                  "  kernel - ledgers     %20lld\n  list - ledgers       %20lld\n"
                  "  heap's own walk      %s%s\n",
                  count(r.reserved), count(r.prepared), count(r.ready), count(r.plain),
                  count(r.ledgers()), count(r.listed), static_cast<unsigned long long>(r.ranges),
                  count(r.mapped), count(r.resident), static_cast<unsigned long long>(r.heap_spans),
                  static_cast<unsigned long long>(r.heap_idle),
                  static_cast<unsigned long long>(r.records),
                  static_cast<unsigned long long>(r.tables), static_cast<long long>(r.difference()),
                  static_cast<long long>(r.list_difference()),
                  r.heap_is_sound ? "agrees" : "found: ", r.why_not);
    return text;
}

}  // namespace steady::audit
