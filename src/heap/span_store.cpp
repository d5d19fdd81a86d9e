// span_store.cpp - spans out of pages, and the tables that find them. The story
// is in span_store.hpp.
#include "steady/heap/detail/span_store.hpp"

#include <bit>
#include <iterator>
#include <new>

#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/os/numa.hpp"

namespace steady::detail {

constinit address_map heap_map;
constinit span_store store;
constinit heap_ledgers metadata_ledgers;

namespace {

constexpr bytes nominal_size{std::size_t{1} << 40};  // 1 TiB: 2^27 pages
constexpr bytes smallest_size{std::size_t{64} << 20};
constexpr std::uintptr_t area_hint =
    0x00c0'0000'0000;  // where Go puts its arenas: far from mmap's and brk's ground
constexpr std::size_t arena_pages =
    8192;  // 64 MiB: tables are prepared for this many pages at a time
// Slices begin at whole 64 KiB of both tables, so that nodes share no page of them.
constexpr std::size_t slice_unit = 65536;

// Instances know their spans, to give them all back at once; their lock is held.
void join_owner(heap_core& core, span* s) noexcept {
    if (core.is_default()) return;
    owner_links(*s) = {core.all_spans_, nullptr};
    if (core.all_spans_ != nullptr) owner_links(*core.all_spans_).previous = s;
    core.all_spans_ = s;
}

void leave_owner(heap_core& core, span* s) noexcept {
    if (core.is_default()) return;
    const span_links links = owner_links(*s);
    (links.previous != nullptr ? owner_links(*links.previous).next : core.all_spans_) = links.next;
    if (links.next != nullptr) owner_links(*links.next).previous = links.previous;
}

result<void> open_table(os::area& table, std::size_t size) noexcept {
    if (table.is_open()) return {};
    const auto opened = os::area::open(bytes{round_up(size, 65536)}, bytes{65536}, 0, false,
                                       bytes{0}, "steady tables");
    if (!opened) return opened.error();
    table = *opened;
    return {};
}

}  // namespace

// What an attempt before has opened is kept and used.
result<void> span_store::open() noexcept {
    if (is_open()) return {};
    if (!memory_.is_open()) {
        auto memory = os::area::open(nominal_size, smallest_size, area_hint, true, smallest_size);
        if (!memory) return memory.error();
        memory_ = *memory;
    }
    const std::size_t total = memory_.size().count() >> page_shift;
    // Address space that was cut short by a limit is not worth dividing.
    const unsigned nodes = total / os::node_count() < slice_unit ? 1 : os::node_count();
    pages_per_node_ =
        static_cast<std::uint32_t>(nodes == 1 ? total : round_down(total / nodes, slice_unit));

    const std::size_t node_tables = page_heap::tables_size(pages{pages_per_node_}).count();
    if (const auto done = open_table(tables_, node_tables * nodes); !done) return done;
    if (const auto done = open_table(classes_, total); !done) return done;
    if (const auto done = open_table(spans_, total * sizeof(span*)); !done) return done;
    if (nodes != 1) {  // A1
        for (os::area* table : {&classes_, &spans_}) {
            if (table->prepared() != bytes{}) continue;
            if (const auto done = table->prepare(bytes{}, table->size()); !done) return done;
        }
    }

    heap_map.base = reinterpret_cast<std::uintptr_t>(memory_.base());
    heap_map.class_of_page = reinterpret_cast<std::atomic<std::uint8_t>*>(classes_.base());
    heap_map.span_of_page = reinterpret_cast<std::atomic<span*>*>(spans_.base());
    if (nodes != 1)
        heap_map.pages_ready.store(std::size_t{pages_per_node_} * nodes, std::memory_order_release);
    for (unsigned i = 0; i < nodes; ++i) {
        nodes_[i].first_page = i * pages_per_node_;
        const auto opened =
            nodes_[i].pages.open(memory_, to_bytes(pages{nodes_[i].first_page}),
                                 pages{pages_per_node_}, tables_, bytes{i * node_tables});
        if (!opened) return opened.error();
    }
    node_count_ = nodes;
    return {};
}

// A1: the tables are readable for every page below pages_ready. With one node
// that is a growing prefix. With several the slices lie far apart, so all of both
// tables is readable from the start, and counts as used - as memory, for the
// limits - only as far as each slice has grown.
result<void> span_store::cover_tables(unsigned node) noexcept {
    node_pages& n = nodes_[node];
    const std::size_t grown = n.pages.high_water().count();
    if (grown <= n.covered) return {};
    const std::size_t from_page = n.first_page + n.covered;
    const std::size_t to_page = n.first_page + round_up(grown, arena_pages);
    const auto from = [&](std::size_t entry) { return bytes{round_up(from_page * entry, 65536)}; };
    const auto size = [&](std::size_t entry) {
        return bytes{round_up(to_page * entry, 65536)} - from(entry);
    };
    constexpr std::size_t entry = sizeof(span*);
    const bool more_classes = size(1) != bytes{};  // an arena has 8 KiB of them
    if (node_count_ == 1) {
        // What one table was prepared ahead of the other stays so, for the next attempt:
        // undoing it may fail as well.
        const bytes have = classes_.prepared(), need = from(1) + size(1);
        if (need > have) {
            if (const auto done = classes_.prepare(have, need - have); !done) return done;
        }
        if (const auto done = spans_.prepare(from(entry), size(entry)); !done) return done;
    }
    if (more_classes) os::use(classes_.base() + from(1).count(), size(1));
    os::use(spans_.base() + from(entry).count(), size(entry));
    n.covered = to_page - n.first_page;
    n.map_tables += size(1) + size(entry);
    if (node_count_ == 1) {
        heap_map.pages_ready.store(to_page, std::memory_order_release);
        return {};
    }
    // A wish: without it pages come from the node that touches them first.
    static_cast<void>(os::bind(memory_.base() + (from_page << page_shift),
                               bytes{(to_page - from_page) << page_shift}, node));
    return {};
}

span* span_store::new_record(node_pages& n, unsigned words) noexcept {
    span* s = nullptr;
    if (words == 1) {
        if (auto* r = n.spans_1.get(metadata_ledgers.spans)) s = &(new (r) span_1{})->head;
    } else if (words <= 8) {
        if (auto* r = n.spans_8.get(metadata_ledgers.spans)) s = &(new (r) span_8{})->head;
    } else {
        if (auto* r = n.spans_18.get(metadata_ledgers.spans)) s = &(new (r) span_18{})->head;
    }
    if (s != nullptr) s->word_count = static_cast<std::uint8_t>(words);
    return s;
}

void span_store::delete_record(node_pages& n, span* s) noexcept {
    if (s->word_count == 1) {
        n.spans_1.put(reinterpret_cast<span_1*>(s));
    } else if (s->word_count <= 8) {
        n.spans_8.put(reinterpret_cast<span_8*>(s));
    } else {
        n.spans_18.put(reinterpret_cast<span_18*>(s));
    }
}

page_index span_store::first_page(const span& s) const noexcept {
    return static_cast<page_index>(heap_map.page_of(s.base) - nodes_[s.node].first_page);
}

void span_store::set_entries(const span* s, std::uint32_t from, std::uint32_t to, span* value,
                             std::uint8_t cls) noexcept {
    const std::size_t first = heap_map.page_of(s->base);
    for (std::size_t page = first + from; page < first + to; ++page) {
        heap_map.span_of_page[page].store(value, std::memory_order_relaxed);
        heap_map.class_of_page[page].store(cls, std::memory_order_relaxed);
    }
}

void span_store::note_levels(node_pages& n) noexcept {
    const std::size_t in_use = n.pages.in_use().count();
    if (in_use > n.peak_in_use) n.peak_in_use = in_use;
    n.idle.store(n.pages.free_resident().count(), std::memory_order_relaxed);
}

// A unit full of small objects becomes one huge page, when the next one has been filled (by
// then the objects of its last span are in use); those that were filled while the heap was
// small follow one by one. In a large heap nearly every access to an object also misses the
// processor's table of small pages. Nothing becomes resident that was not, unlike with huge
// pages from the first touch on.
page_index span_store::next_to_collapse(node_pages& n, page_index page) const noexcept {
    page_index next = no_page;
    const page_index unit = n.pages.filled_unit(page);
    if (unit != no_page && unit != n.filled && holds_small_objects(n, unit)) {
        next = n.filled;
        n.filled = unit;
    }
    if (next == no_page && n.filled != no_page && n.swept < n.filled) {
        next = n.swept;
        n.swept += unit_pages;
    }
    if (next == no_page || n.pages.filled_unit(next) != next || !holds_small_objects(n, next))
        return no_page;
    n.pages.note_collapse(next);
    return next;
}

bool span_store::holds_small_objects(const node_pages& n, page_index unit) const noexcept {
    const std::atomic<std::uint8_t>* const classes =
        heap_map.class_of_page + n.first_page + std::size_t{unit};
    for (unsigned page = 0; page < unit_pages; ++page) {
        if (classes[page].load(std::memory_order_relaxed) == 0) return false;
    }
    return true;
}

// Without the lock: the kernel copies 2 MiB. Whoever frees pages of the unit meanwhile takes it
// for a huge page already, which is right, or careful.
void span_store::collapse_unit(node_pages& n, page_index unit) noexcept {
    const std::uintptr_t start =
        heap_map.base + ((std::uintptr_t{n.first_page} + unit) << page_shift);
    if (os::collapse(reinterpret_cast<void*>(start))) return;
    const os::lock_guard guard(n.lock);
    n.pages.note_no_collapse(unit);
}

result<span*> span_store::make(unsigned node, const span_request& request) noexcept {
    node_pages& n = nodes_[node];
    const room granted(to_bytes(pages{request.page_count}));
    if (!granted) return error{errc::memory_limit, 12, "allocating a span"};

    note_page_traffic();
    page_index to_collapse = no_page;
    const auto made = [&]() -> result<span*> {
        const os::lock_guard guard(n.lock);
        const auto first = make_locked(n, node, request);
        if (first && request.kind == span_kind::small && request.owner->is_default()) {
            const span* last = *first;
            if (!granted.is_limited()) last = make_followers(n, *first, request);
            to_collapse = next_to_collapse(n, first_page(*last) + last->page_count - 1);
        }
        note_levels(n);
        return first;
    }();
    if (to_collapse != no_page) [[unlikely]]
        collapse_unit(n, to_collapse);
    return made;
}

result<span*> span_store::make_locked(node_pages& n, unsigned node,
                                      const span_request& request) noexcept {
    const auto run =
        request.alignment_pages > 1
            ? n.pages.allocate_aligned(pages{request.page_count}, pages{request.alignment_pages})
            : n.pages.allocate(pages{request.page_count});
    if (!run) return run.error();
    if (const auto covered = cover_tables(node); !covered) {
        n.pages.free(run->first, pages{run->count});
        return covered.error();
    }
    span* s = make_on(n, node, request, run->first, run->zeroed);
    if (s == nullptr) {
        n.pages.free(run->first, pages{run->count});
        return error{errc::out_of_memory, 12, "allocating a span record"};
    }
    return s;
}

// Up to request.followers spans of the same kind on the pages behind `s`, as far as those are
// free and belong to the heap already. Linked through list.next; returns the last.
span* span_store::make_followers(node_pages& n, span* s, const span_request& request) noexcept {
    for (std::uint32_t k = 0; k < request.followers; ++k) {
        const page_index page = first_page(*s) + s->page_count;
        if (page + request.page_count > n.pages.high_water().count()) break;
        bool zeroed = false;
        if (!n.pages.extend(page, pages{request.page_count}, zeroed)) break;
        span* const next = make_on(n, s->node, request, page, zeroed);
        if (next == nullptr) {
            n.pages.free(page, pages{request.page_count});
            break;
        }
        s->list.next = next;
        s = next;
    }
    return s;
}

// The record and the table entries for pages that are in use already. nullptr: no memory.
span* span_store::make_on(node_pages& n, unsigned node, const span_request& request,
                          page_index first, bool zeroed) noexcept {
    const bool is_small = request.kind == span_kind::small;
    const unsigned objects = is_small ? class_objects[request.sclass >> 1] : 1;
    const unsigned words = (objects + 63) / 64;
    const unsigned links = request.owner->is_default() ? 0 : 2;
    span* s = new_record(n, words + links);
    if (s == nullptr) return nullptr;
    s->page_count = request.page_count;
    s->base = heap_map.base + ((std::uintptr_t{n.first_page} + first) << page_shift);
    s->small_size =
        request.kind == span_kind::large ? 0 : static_cast<std::uint32_t>(request.object_size);
    s->object_count = static_cast<std::uint16_t>(objects);
    s->divmul = is_small ? class_divmul[request.sclass >> 1] : 0;
    s->sclass = request.sclass;
    s->kind = request.kind;
    s->node = static_cast<std::uint8_t>(node);
    s->owner = request.owner;
    s->zeroed = zeroed;
    if (is_small) {
        s->free_count = s->object_count;
        std::uint64_t* bits = s->free_bits();
        for (unsigned w = 0; w < words; ++w) {
            const unsigned in_word = objects - w * 64 < 64 ? objects - w * 64 : 64;
            bits[w] = in_word == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << in_word) - 1;  // S4
        }
    }
    const bool fast = is_small && request.owner->is_default();  // A2
    set_entries(s, 0, s->page_count, s, fast ? request.sclass : std::uint8_t{0});
    ++n.span_count;
    join_owner(*s->owner, s);
    if (request.kind == span_kind::large) {
        heap_core& core = *request.owner;
        ++(core.is_default() ? n.large_allocated : core.large_allocated_);
        (core.is_default() ? n.large_bytes_allocated : core.large_bytes_allocated_) +=
            s->object_size();
        n.pages.note_sparse(s->page_count);
    }
    return s;
}

void span_store::destroy(span* s) noexcept {
    node_pages& n = nodes_[s->node];
    note_page_traffic();
    bool idle = false;
    {
        const os::lock_guard guard(n.lock);
        idle = destroy_locked(n, s);
    }
    if (idle) scavenger_request();
}

// Returns whether the node now has enough idle pages to wake the scavenger.
bool span_store::destroy_locked(node_pages& n, span* s) noexcept {
    if (s->kind == span_kind::large) {
        heap_core& core = *s->owner;
        ++(core.is_default() ? n.large_freed : core.large_freed_);
        (core.is_default() ? n.large_bytes_freed : core.large_bytes_freed_) += s->object_size();
        n.pages.note_sparse(-static_cast<std::ptrdiff_t>(s->page_count));
    }
    if (object_counts* counts = s->counts.load(std::memory_order_relaxed)) put_counts(n, counts);
    leave_owner(*s->owner, s);
    set_entries(s, 0, s->page_count, nullptr, 0);
    n.pages.free(first_page(*s), pages{s->page_count});
    --n.span_count;
    note_levels(n);
    delete_record(n, s);
    return worth_scavenging(to_bytes(n.pages.free_resident()).count(),
                            to_bytes(n.pages.in_use()).count());
}

result<span*> span_store::make_sampled(unsigned node, span_class sclass, span_kind kind,
                                       heap_core& owner) noexcept {
    const std::size_t size = class_size[sclass >> 1];
    const auto object_pages =
        static_cast<std::uint32_t>((size + page_size.count() - 1) >> page_shift);
    const bool guarded = kind == span_kind::guarded;
    if (object_pages == 1 && !guarded && owner.is_default()) {
        node_pages& n = nodes_[node];
        const os::lock_guard guard(n.lock);
        if (n.kept_sample_count != 0) {
            span* s = n.kept_samples[--n.kept_sample_count];
            s->sclass = sclass;
            s->small_size = static_cast<std::uint32_t>(size);
            s->free_count = 0;
            s->free_bits()[0] = 0;
            return s;
        }
    }
    return make(node, {.sclass = sclass,
                       .kind = kind,
                       .page_count = object_pages + (guarded ? 1 : 0),
                       .object_size = size,
                       .owner = &owner});
}

void span_store::destroy_sampled(span* s) noexcept {
    node_pages& n = nodes_[s->node];
    {
        const os::lock_guard guard(n.lock);
        if (s->page_count == 1 && s->owner->is_default() &&
            n.kept_sample_count < std::size(n.kept_samples)) {
            if (object_counts* counts = s->counts.exchange(nullptr, std::memory_order_relaxed))
                put_counts(n, counts);
            s->side_data.store(nullptr, std::memory_order_relaxed);
            s->zeroed = false;
            s->free_count = 1;  // for a second free, and for walks over live objects
            s->free_bits()[0] = 1;
            n.kept_samples[n.kept_sample_count++] = s;
            return;
        }
    }
    destroy(s);
}

void span_store::release_kept_samples() noexcept {
    for (unsigned i = 0; i < node_count_; ++i) {
        node_pages& n = nodes_[i];
        const os::lock_guard guard(n.lock);
        while (n.kept_sample_count != 0)
            static_cast<void>(destroy_locked(n, n.kept_samples[--n.kept_sample_count]));
    }
}

bool span_store::extend(span* s, std::uint32_t page_count, bool& zeroed) noexcept {
    node_pages& n = nodes_[s->node];
    note_page_traffic();
    const os::lock_guard guard(n.lock);
    const std::uint32_t more = page_count - s->page_count;
    if (!n.pages.extend(first_page(*s) + s->page_count, pages{more}, zeroed)) return false;
    if (!cover_tables(s->node)) {
        n.pages.free(first_page(*s) + s->page_count, pages{more});
        return false;
    }
    note_levels(n);
    set_entries(s, s->page_count, page_count, s, 0);
    heap_core& core = *s->owner;
    (core.is_default() ? n.large_bytes_allocated : core.large_bytes_allocated_) += std::size_t{more}
                                                                                   << page_shift;
    n.pages.note_sparse(more);
    s->page_count = page_count;
    return true;
}

void span_store::shrink(span* s, std::uint32_t page_count) noexcept {
    node_pages& n = nodes_[s->node];
    note_page_traffic();
    bool idle = false;
    {
        const os::lock_guard guard(n.lock);
        set_entries(s, page_count, s->page_count, nullptr, 0);
        n.pages.free(first_page(*s) + page_count, pages{s->page_count - page_count});
        note_levels(n);
        heap_core& core = *s->owner;
        (core.is_default() ? n.large_bytes_freed : core.large_bytes_freed_) +=
            std::size_t{s->page_count - page_count} << page_shift;
        n.pages.note_sparse(std::ptrdiff_t{page_count} - s->page_count);
        s->page_count = page_count;
        idle = worth_scavenging(to_bytes(n.pages.free_resident()).count(),
                                to_bytes(n.pages.in_use()).count());
    }
    if (idle) scavenger_request();
}

std::size_t span_store::free_resident_pages() noexcept {
    std::size_t sum = 0;
    for (unsigned i = 0; i < node_count_; ++i) {
        const os::lock_guard guard(nodes_[i].lock);
        sum += nodes_[i].pages.free_resident().count();
    }
    return sum;
}

bytes span_store::map_tables() const noexcept {
    bytes sum{};
    for (unsigned i = 0; i < node_count_; ++i) sum += nodes_[i].map_tables;
    return sum;
}

std::size_t span_store::in_use_pages() noexcept {
    std::size_t sum = 0;
    for (unsigned i = 0; i < node_count_; ++i) {
        const os::lock_guard guard(nodes_[i].lock);
        sum += nodes_[i].pages.in_use().count();
    }
    return sum;
}

std::size_t span_store::take_peak_pages() noexcept {
    std::size_t sum = 0;
    for (unsigned i = 0; i < node_count_; ++i) {
        const os::lock_guard guard(nodes_[i].lock);
        sum += nodes_[i].peak_in_use;
        nodes_[i].peak_in_use = nodes_[i].pages.in_use().count();
    }
    return sum;
}

void span_store::lock_all() noexcept {
    for (unsigned i = 0; i < node_count_; ++i) nodes_[i].lock.lock();
}
void span_store::unlock_all() noexcept {
    for (unsigned i = node_count_; i-- > 0;) nodes_[i].lock.unlock();
}

}  // namespace steady::detail
