// audit.cpp - recomputing what the heap claims. See audit.hpp.
//
// One walk over the pages with every lock of objects held: each span says what the
// address map, the page heaps and its central must know of it. What the centrals say is
// then compared with sums of the walk, and what instances say with their own lists.
#include "steady/heap/detail/audit.hpp"

#include <bit>

#include "steady/heap/detail/instances.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/heap/statistics.hpp"
#include "steady/os/memory.hpp"
#include "steady/os/metadata.hpp"

namespace steady::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// What a walk found of one central.
struct tally {
    std::uint64_t spans;
    std::uint64_t objects_out;
};

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

bool audit_span(message& why, const span& s) noexcept {
    if (s.kind != span_kind::small) return true;
    if (free_bits(s) != s.free_count) return wrong(why, "S1 free bits", free_bits(s), s.free_count);
    if (s.free_count > s.object_count)
        return wrong(why, "S4 bits of a span", s.free_count, s.object_count);
    if (s.object_count % 64 != 0 &&
        s.free_bits()[s.bitmap_words() - 1] >> (s.object_count % 64) != 0) {
        return wrong(why, "S4 bits beyond the last object", 1, 0);
    }
    if (s.listed != (s.free_count != 0))
        return wrong(why, "S2 a span is listed when it has free objects", s.listed, s.free_count);
    return true;
}

bool audit_central(message& why, const central_list& list, const tally& found) noexcept {
    unsigned empty = 0;
    const span* previous = nullptr;
    for (const span* s = list.first; s != nullptr; s = s->list.next) {
        if (s->list.previous != previous || !s->listed)
            return wrong(why, "S2 partial list is linked both ways", 0, 1);
        if (s->free_count == 0) return wrong(why, "S2 a listed span has free objects", 0, 1);
        if (s->free_count == s->object_count) ++empty;
        previous = s;
    }
    if (previous != list.last) return wrong(why, "S2 last is the last", 0, 1);
    if (empty != list.empty_spans) return wrong(why, "empty spans kept", empty, list.empty_spans);
    if (found.spans != list.spans)
        return wrong(why, "C1 spans of a class", found.spans, list.spans);
    if (found.objects_out != list.objects_out)
        return wrong(why, "C1 objects out", found.objects_out, list.objects_out);
    return true;
}

void add_up(tally& t, const span& s) noexcept {
    ++t.spans;
    t.objects_out += static_cast<std::uint64_t>(s.object_count - s.free_count);
}

// What the walk adds up: the centrals of the default heap, then the record core's.
struct walk {
    message& why;
    tally* centrals;
    std::uint64_t of_instances = 0;  // spans
    std::size_t ready = 0;           // bytes of pages

    void count(const span& s) noexcept {
        if (!s.owner->is_default() && s.owner != &record_core) {
            ++of_instances;
        } else if (s.kind == span_kind::small) {
            const unsigned record_part = s.owner == &record_core ? default_core.nodes_ : 0;
            const unsigned node = default_core.nodes_ == 1 || record_part != 0 ? 0 : s.node;
            add_up(centrals[(record_part + node) * span_class_count + s.sclass], s);
        }
    }
};

bool audit_node(walk& w, unsigned node) noexcept {
    message& why = w.why;
    node_pages& n = store.node(node);
    if (!n.pages.check(&why)) return false;
    std::uint64_t spans = 0, used_pages = 0;
    const std::size_t end = n.first_page + n.pages.high_water().count();
    if (end > heap_map.pages_ready.load(relaxed))
        return wrong(why, "A1 pages with table entries", heap_map.pages_ready.load(relaxed), end);
    for (std::size_t page = n.first_page; page < end;) {
        const span* s = heap_map.span_of_page[page].load(relaxed);
        if (s == nullptr) {
            if (heap_map.class_of_page[page].load(relaxed) != 0)
                return wrong(why, "A2 class of a page without a span", 1, 0);
            ++page;
            continue;
        }
        ++spans;
        used_pages += s->page_count;
        const bool fast = s->kind == span_kind::small && s->owner->is_default();
        for (std::size_t i = 0; i < s->page_count; ++i) {
            if (heap_map.span_of_page[page + i].load(relaxed) != s)
                return wrong(why, "S3 pages that name their span", i, s->page_count);
            const unsigned cls = heap_map.class_of_page[page + i].load(relaxed);
            if (cls != (fast ? s->sclass : 0u))
                return wrong(why, "A2 class of a page", cls, s->sclass);
        }
        if (!audit_span(why, *s)) return false;
        w.count(*s);
        page += s->page_count;
    }
    if (spans != n.span_count) return wrong(why, "P1 spans", spans, n.span_count);
    if (used_pages != n.pages.in_use().count())
        return wrong(why, "P1 pages of spans", used_pages, n.pages.in_use().count());
    w.ready += (to_bytes(n.pages.in_use() + n.pages.free_resident()) + n.pages.tables()).count();
    return true;
}

// An instance's spans are all in its list, each where the address map says, and its
// centrals know them.
bool audit_instance(message& why, heap_core& core, std::uint64_t& spans) noexcept {
    tally found[span_class_count] = {};
    const span* previous = nullptr;
    for (span* s = core.all_spans_; s != nullptr; s = owner_links(*s).next, ++spans) {
        if (owner_links(*s).previous != previous || s->owner != &core)
            return wrong(why, "an instance's spans are linked both ways", 0, 1);
        if (heap_map.find(reinterpret_cast<void*>(s->base)) != s)
            return wrong(why, "S3 an instance's span is where it says", 0, 1);
        if (s->kind == span_kind::small) add_up(found[s->sclass], *s);
        previous = s;
    }
    for (unsigned c = 0; c < span_class_count; ++c) {
        if (!audit_central(why, core.centrals_[c], found[c])) return false;
    }
    return true;
}

bool audit_instances(walk& w) noexcept {
    struct {
        message& why;
        std::uint64_t spans;
        bool sound;
    } all{w.why, 0, true};
    for_each_instance(
        [](void* context, heap_core& core) noexcept {
            auto& a = *static_cast<decltype(all)*>(context);
            a.sound = a.sound && audit_instance(a.why, core, a.spans);
        },
        &all);
    if (!all.sound) return false;
    if (all.spans != w.of_instances)
        return wrong(w.why, "spans of instances in the pages", w.of_instances, all.spans);
    return true;
}

// P2. Everything in the state Ready is pages, their tables, huge blocks, or was mapped
// whole: records, huge blocks' tables, the background thread's stack.
bool audit_ready(walk& w) noexcept {
    std::size_t expected = w.ready, ready = 0;
    huge_blocks.while_at_rest([&](bytes of_huge_blocks) noexcept {
        const os::memory_ledgers& ledgers = os::ledgers();
        ready = ledgers.ready.value().count();
        expected += (of_huge_blocks + store.map_tables() + ledgers.plain.value()).count();
    });
    if (ready != expected) return wrong(w.why, "P2 ready bytes", expected, ready);
    const bytes records = metadata_ledgers.spans.value() + metadata_ledgers.caches.value() +
                          metadata_ledgers.centrals.value() + metadata_ledgers.counts.value() +
                          os::metadata_unused().value();
    const bytes plain = os::ledgers().plain.value();
    if (plain < records) return wrong(w.why, "P2 bytes of records", records.count(), plain.count());
    return true;
}

bool audit_locked(walk& w) noexcept {
    for (unsigned i = 0; i < store.node_count(); ++i) {
        if (!audit_node(w, i)) return false;
    }
    for (unsigned i = 0; i < (default_core.nodes_ + 1) * span_class_count; ++i) {
        if (!audit_central(w.why, default_core.centrals_[i], w.centrals[i])) return false;
    }
    return audit_instances(w) && audit_ready(w);
}

}  // namespace

bool audit_heap(message& why) noexcept {
    if (!open_heap()) return true;
    const bytes size = round_up(bytes{sizeof(tally) * (default_core.nodes_ + 1) * span_class_count},
                                os::os_page());
    const auto memory = os::map_plain(size, "steady audit");
    if (!memory) return true;  // no memory for the question, so no answer either
    walk w{why, reinterpret_cast<tally*>(*memory)};
    lock_objects();
    const bool sound = audit_locked(w);
    unlock_objects();
    static_cast<void>(os::unmap_plain(*memory, size));
    return sound && huge_blocks.check(&why);
}

}  // namespace steady::detail

namespace steady {

bool check_heap(char* why, std::size_t capacity) noexcept {
    message found("heap");
    const bool sound = detail::audit_heap(found);
    if (capacity == 0) return sound;
    const char* const text = sound ? "" : found.c_str();
    std::size_t i = 0;
    for (; text[i] != 0 && i + 1 < capacity; ++i) why[i] = text[i];
    why[i] = 0;
    return sound;
}

}  // namespace steady
