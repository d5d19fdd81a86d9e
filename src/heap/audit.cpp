// audit.cpp - recomputing what the heap claims. See audit.hpp.
#include "steady/heap/detail/audit.hpp"

#include <bit>

#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/metadata.hpp"

namespace steady::detail {

namespace {

bool wrong(message& why, const char* invariant, std::uint64_t seen,
           std::uint64_t expected) noexcept {
    why.text(invariant)
        .text(": counted ")
        .number(seen)
        .text(", the heap says ")
        .number(expected)
        .text(".");
    return false;
}

unsigned free_bits(const span& s) noexcept {
    unsigned sum = 0;
    for (unsigned w = 0; w < s.bitmap_words(); ++w)
        sum += static_cast<unsigned>(std::popcount(s.free_bits()[w]));
    return sum;
}

bool audit_central(message& why, central_list& list) noexcept {
    const os::lock_guard guard(list.lock);
    unsigned empty = 0;
    const span* previous = nullptr;
    for (const span* s = list.first; s != nullptr; s = s->list.next) {
        if (s->list.previous != previous || !s->listed)
            return wrong(why, "S2 partial list is linked both ways", 0, 1);
        if (s->free_count == 0) return wrong(why, "S2 a listed span has free objects", 0, 1);
        if (free_bits(*s) != s->free_count)
            return wrong(why, "S1 free bits", free_bits(*s), s->free_count);
        if (s->free_count == s->object_count) ++empty;
        previous = s;
    }
    if (previous != list.last) return wrong(why, "S2 last is the last", 0, 1);
    if (empty != list.empty_spans) return wrong(why, "empty spans kept", empty, list.empty_spans);
    return true;
}

bool audit_spans(message& why, unsigned node) noexcept {
    node_pages& n = store.node(node);
    const os::lock_guard guard(n.lock);
    if (!n.pages.check(&why)) return false;
    std::uint64_t spans = 0, used_pages = 0;
    const std::size_t end = n.first_page + n.pages.high_water().count();
    if (end > heap_map.pages_ready.load(std::memory_order_relaxed)) {
        return wrong(why, "A1 pages with table entries",
                     heap_map.pages_ready.load(std::memory_order_relaxed), end);
    }
    for (std::size_t page = n.first_page; page < end;) {
        const span* s = heap_map.span_of_page[page].load(std::memory_order_relaxed);
        if (s == nullptr) {
            if (heap_map.class_of_page[page].load(std::memory_order_relaxed) != 0) {
                return wrong(why, "A2 class of a page without a span", 1, 0);
            }
            ++page;
            continue;
        }
        ++spans;
        used_pages += s->page_count;
        const bool fast = s->kind == span_kind::small && s->owner->is_default();
        for (std::size_t i = 0; i < s->page_count; ++i) {
            if (heap_map.span_of_page[page + i].load(std::memory_order_relaxed) != s) {
                return wrong(why, "S3 pages that name their span", i, s->page_count);
            }
            const unsigned cls = heap_map.class_of_page[page + i].load(std::memory_order_relaxed);
            if (cls != (fast ? s->sclass : 0u))
                return wrong(why, "A2 class of a page", cls, s->sclass);
        }
        if (s->kind == span_kind::small && free_bits(*s) != s->free_count) {
            return wrong(why, "S1 free bits", free_bits(*s), s->free_count);
        }
        page += s->page_count;
    }
    if (spans != n.span_count) return wrong(why, "P1 spans", spans, n.span_count);
    if (used_pages != n.pages.in_use().count())
        return wrong(why, "P1 pages of spans", used_pages, n.pages.in_use().count());
    return true;
}

}  // namespace

bool audit_heap(message& why) noexcept {
    if (!open_heap()) return true;
    for (unsigned i = 0; i < default_core.nodes_ * span_class_count; ++i) {
        if (!audit_central(why, default_core.centrals_[i])) return false;
    }
    // First, because the scavenger may release something meanwhile, and only less is
    // then found below.
    const std::size_t all = os::ledgers().ready.value().count();
    std::size_t ready = 0;
    for (unsigned i = 0; i < store.node_count(); ++i) {
        if (!audit_spans(why, i)) return false;
        node_pages& n = store.node(i);
        const os::lock_guard guard(n.lock);
        ready += to_bytes(n.pages.in_use() + n.pages.free_resident()).count();
    }
    if (!huge_blocks.check(&why)) return false;
    const huge_counters huge = huge_blocks.counters();
    ready += huge.in_use.count() + huge.idle.count();
    // P2: what is left of `ready` are tables and metadata, which only grow.
    if (all < ready) return wrong(why, "P2 ready bytes of pages and huge blocks", ready, all);
    const std::size_t records = (metadata_ledgers.spans.value() + metadata_ledgers.caches.value() +
                                 metadata_ledgers.centrals.value() + metadata_ledgers.counts.value())
                                    .count();
    if (all - ready < records) return wrong(why, "P2 ready bytes of records", records, all - ready);
    return true;
}

}  // namespace steady::detail
