// large.cpp - objects of whole pages, over-aligned objects, and realloc.
//
//   up to 32 KiB        size classes, through the thread cache
//   up to 1 MiB         a large span: pages from the page heap, grown in place
//                       while the pages behind it are free
//   from 1 MiB on       a huge block: address space of its own with room to grow
//
// A huge block that cannot be had - no address space, too many mappings - is
// made from pages instead, so the limit between the two is a preference.
#include <cstdint>

#include "steady/core/check.hpp"
#include "steady/core/hooks.hpp"
#include "steady/heap/detail/checked.hpp"
#include "steady/heap/detail/checks.hpp"
#include "steady/heap/detail/depots.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/instances.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/sampler.hpp"
#include "steady/heap/detail/scavenger.hpp"
#include "steady/heap/detail/span_store.hpp"

namespace steady::detail {

namespace {

constexpr std::size_t huge_threshold = huge_heap::threshold.count();
constexpr std::size_t largest_request =
    static_cast<std::size_t>(PTRDIFF_MAX) - (std::size_t{1} << 30);
// Pages at a multiple of more would have to be searched for by growing the heap that far,
// tables and all. A huge block has its place in reserved addresses: only those are passed
// over, and there are 16 TiB of them.
constexpr std::size_t largest_span_alignment = huge_slots::granule.count();
constexpr std::size_t largest_alignment = std::size_t{1} << 38;
constexpr auto relaxed = std::memory_order_relaxed;

constinit __thread large_taken taken __attribute__((tls_model("initial-exec"))) = {0, 0};

void note_taken(const heap_core& core, std::size_t size) noexcept {
    if (!core.is_default()) return;
    ++taken.objects;
    taken.bytes += size;
}

std::uint32_t pages_for(std::size_t size) noexcept {
    const std::size_t count = (size + page_size.count() - 1) >> page_shift;
    return static_cast<std::uint32_t>(count == 0 ? 1 : count);
}

std::size_t in_pages(std::size_t size) noexcept {
    return round_up(size, page_size.count());
}

// Bytes usable from `p` on, whatever holds it.
struct place {
    span* s = nullptr;
    huge_block* b = nullptr;
    std::size_t usable = 0;
};

std::size_t usable_in(const span& s) noexcept {
    switch (s.kind) {
        case span_kind::small:
        case span_kind::large: return s.object_size();
        case span_kind::sampled: return class_size[s.sclass >> 1];
        case span_kind::guarded:
            return round_up(s.sample.requested == 0 ? 1 : s.sample.requested, 16);
    }
    return 0;
}

place place_of(const void* p) noexcept {
    place at;
    if ((at.s = heap_map.find(p)) != nullptr) {
        at.usable = usable_in(*at.s);
    } else if ((at.b = huge_blocks.find(p)) != nullptr) {
        at.usable = at.b->size;
    }
    return at;
}

void count_bytes(huge_block* b, std::size_t before) noexcept {
    huge_counts& counts = static_cast<heap_core*>(b->owner)->huge_;
    const std::size_t after = b->size;
    if (after > before) counts.bytes_allocated.fetch_add(after - before, relaxed);
    // release; pairs with the acquire of whoever reads statistics: what is seen to be freed
    // is seen to have been allocated.
    if (after < before) counts.bytes_freed.fetch_add(before - after, std::memory_order_release);
}

// The block has another size than before, in the same place.
void count_resized(huge_block* b, std::size_t before, std::size_t requested) noexcept {
    count_bytes(b, before);
    sampler::large_resized(*static_cast<heap_core*>(b->owner), b->sample, b->base, before, b->size,
                           requested);
}

// Grows the block by moving its page tables. False: it is where it was.
bool move_huge(huge_block* b, std::size_t size) noexcept {
    const std::size_t before = b->size, requested = b->sample.requested;
    sampler::large_freed(b->sample, b->base, before);  // others may get its place at once
    const bool moved{huge_blocks.grow_moving(b, bytes{in_pages(size)})};
    if (moved) count_bytes(b, before);
    sampler::large_arrived(*static_cast<heap_core*>(b->owner), b->sample, b->base, before, b->size,
                           moved ? size : requested);
    return moved;
}

// Runs `change`, which makes the large span longer or shorter where it stands.
template <class Change>
bool resize_span(span& s, std::size_t size, Change change) noexcept {
    const auto changed = [&]() noexcept {
        const std::size_t before = s.object_size();
        if (!change()) return false;
        sampler::large_resized(*s.owner, s.sample, reinterpret_cast<void*>(s.base), before,
                               s.object_size(), size);
        return true;
    };
    if (s.owner->is_default()) return changed();
    const os::lock_guard guard(instance_lock(*s.owner));
    return changed();
}

// Grows the large span `s` to hold `size` bytes where it stands. `zeroed` tells whether
// the new pages read as zero.
bool grow_span(span& s, std::size_t size, bool& zeroed) noexcept {
    return resize_span(s, size, [&]() noexcept {
        const std::uint32_t wanted = pages_for(size);
        const room granted(bytes{(std::size_t{wanted} - s.page_count) << page_shift});
        return granted && store.extend(&s, wanted, zeroed);
    });
}

// malloc's allocate(), or the same for objects that may hold pointers; beside an object of
// an instance, from that instance.
void* allocate_beside(heap_core& owner, std::size_t size, bool noscan) noexcept {
    if (!owner.is_default()) return instance_allocate(owner, size, 16, noscan);
    if (noscan) return allocate(size);
    if (const span_class sclass = class_for(size, 16, false)) return allocate_class(sclass, size);
    return allocate_large(size, 1, false, nullptr);
}

void huge_memory_is_idle() noexcept {
    note_page_traffic();
    if (worth_scavenging(idle_huge_bytes(), 0)) scavenger_request();
}

void* move_to_new(void* p, std::size_t usable, std::size_t size, heap_core& owner,
                  bool noscan) noexcept {
    void* fresh = allocate_beside(owner, size, noscan);
    if (fresh == nullptr) return nullptr;
    __builtin_memcpy(fresh, p, usable < size ? usable : size);
    deallocate(p);
    return fresh;
}

void* resize_huge(huge_block* b, void* p, std::size_t size) noexcept {
    const std::size_t before = b->size;
    heap_core& owner = *static_cast<heap_core*>(b->owner);
    if (size < huge_threshold / 2) return move_to_new(p, before, size, owner, b->noscan);
    if (size <= before) {
        if (in_pages(size) < before) huge_blocks.shrink(b, bytes{in_pages(size)});
        count_resized(b, before, size);
        huge_memory_is_idle();
        return p;
    }
    {
        const room granted(bytes{size - before});
        if (!granted) return nullptr;
        if (huge_blocks.grow(b, bytes{in_pages(size)})) {
            count_resized(b, before, size);
            return p;
        }
        if (move_huge(b, size)) return b->base;
    }
    return move_to_new(p, before, size, owner, b->noscan);
}

void* resize_large(span* s, void* p, std::size_t size) noexcept {
    const std::size_t before = s->object_size();
    bool zeroed = false;
    if (size > before) {
        if (size < huge_threshold && grow_span(*s, size, zeroed)) return p;
        return move_to_new(p, before, size, *s->owner, s->noscan());
    }
    const std::size_t too_small = checked::sizes_are_compared() ? largest_small : largest_small / 2;
    if (size <= too_small) return move_to_new(p, before, size, *s->owner, s->noscan());
    resize_span(*s, size, [&]() noexcept {
        const std::uint32_t wanted = pages_for(size);
        if (wanted < s->page_count) store.shrink(s, wanted);
        return true;
    });
    return p;
}

}  // namespace

span_class class_for(std::size_t size, std::size_t alignment, bool noscan) noexcept {
    if (size > largest_small || alignment > page_size.count()) return 0;
    if (size == 0) size = 1;
    const auto pick = [noscan](unsigned c) {
        return static_cast<span_class>(c * 2 + (noscan ? 1 : 0));
    };
    if (alignment <= 8) {
        return pick(size <= table_split ? size_to_class8[(size + 7) >> 3]
                                        : size_to_class128[(size - table_split + 127) >> 7]);
    }
    if (alignment == 16 && size > 8) {
        return static_cast<span_class>(
            (size <= table_split ? span_classes.by_size[size]
                                 : span_classes.by_128[(size - table_split + 127) >> 7]) &
            (noscan ? 0xff : 0xfe));
    }
    // Spans begin at a page, so objects are aligned as their size is divisible.
    for (unsigned c = 1; c < class_count; ++c) {
        if (class_size[c] >= size && class_size[c] % alignment == 0) return pick(c);
    }
    return 0;
}

void* allocate_large_for(heap_core& core, unsigned node, std::size_t size, std::size_t alignment,
                         bool noscan, std::size_t* dirty) noexcept {
    if (size > largest_request || alignment > largest_alignment) return nullptr;
    const std::size_t rounded = in_pages(size == 0 ? 1 : size);
    bool is_zero = false;
    if (rounded >= huge_threshold || alignment > largest_span_alignment) {
        const room granted(bytes{rounded} + huge_blocks.tables_to_come());
        const auto block =
            granted ? huge_blocks.allocate(bytes{rounded}, alignment, is_zero, &core, dirty)
                    : error{errc::memory_limit, 12, "allocating a huge block"};
        if (block) {
            (*block)->noscan = noscan;
            core.huge_.allocated.fetch_add(1, relaxed);
            core.huge_.bytes_allocated.fetch_add((*block)->size, relaxed);
            sampler::large_made(core, (*block)->sample, (*block)->base, (*block)->size, size);
            note_taken(core, (*block)->size);
            return (*block)->base;
        }
    }
    if (rounded >> page_shift > UINT32_MAX / 2 || alignment > largest_span_alignment)
        return nullptr;
    if (core.is_default() && store.needs_fresh_pages(node, rounded >> page_shift))
        depots.relieve(core);
    const auto made = store.make(node, {.sclass = static_cast<span_class>(noscan ? 1 : 0),
                                        .kind = span_kind::large,
                                        .page_count = pages_for(rounded),
                                        .alignment_pages = static_cast<std::uint32_t>(
                                            (alignment + page_size.count() - 1) >> page_shift),
                                        .object_size = rounded,
                                        .owner = &core});
    if (!made) return nullptr;
    if (dirty != nullptr) *dirty = (*made)->zeroed ? 0 : rounded;
    sampler::large_made(core, (*made)->sample, reinterpret_cast<void*>((*made)->base), rounded,
                        size);
    note_taken(core, rounded);
    return reinterpret_cast<void*>((*made)->base);
}

void* allocate_large(std::size_t size, std::size_t alignment, bool noscan, bool* zeroed) noexcept {
    if (!open_heap()) return nullptr;
    std::size_t dirty = 0;
    void* p =
        allocate_large_for(default_core, store.current_node(), size, alignment, noscan, &dirty);
    if (p == nullptr) [[unlikely]]
        failure_hook.announce({bytes{size}});
    if (zeroed != nullptr) *zeroed = dirty == 0;
    return p;
}

large_taken large_taken_by_thread() noexcept {
    return taken;
}

void free_large(span* s, void* p) noexcept {
    if (reinterpret_cast<std::uintptr_t>(p) != s->base) report_invalid_free(p);
    sampler::large_freed(s->sample, p, s->object_size());
    store.destroy(s);
}

void free_huge(huge_block* b, void* p) noexcept {
    if (p != b->base) report_invalid_free(p);
    sampler::large_freed(b->sample, p, b->size);
    if (object_counts* shared = b->counts.load(relaxed)) {
        const os::lock_guard guard(store.node(0).lock);
        put_counts(store.node(0), shared);
    }
    huge_counts& counts = static_cast<heap_core*>(b->owner)->huge_;
    counts.freed.fetch_add(1, std::memory_order_release);  // as in count_resized()
    counts.bytes_freed.fetch_add(b->size, std::memory_order_release);
    huge_blocks.free(b);
    huge_memory_is_idle();
}

void* allocate_zeroed(std::size_t size) noexcept {
    if (size > largest_small) {
        if (!open_heap()) return nullptr;
        std::size_t dirty = 0;
        void* p = allocate_large_for(default_core, store.current_node(), size, 1, true, &dirty);
        if (p != nullptr && dirty != 0) __builtin_memset(p, 0, dirty < size ? dirty : size);
        return p;
    }
    void* p = allocate(size);
    if (p != nullptr) __builtin_memset(p, 0, size);
    return p;
}

void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept {
    if (const span_class sclass = class_for(size, alignment, true))
        return allocate_class(sclass, aligned_request(size, alignment));
    return allocate_large(size, alignment, true, nullptr);
}

void deallocate_sized(void* p, std::size_t size) noexcept {
    deallocate_aligned(p, size, 16);
}

void deallocate_aligned(void* p, std::size_t size, std::size_t alignment) noexcept {
    if (p != nullptr && checked::sizes_are_compared()) {
        const place at = place_of(p);
        if (at.s != nullptr) {
            checked::check_size(*at.s, p, size, alignment);
        } else if (at.b != nullptr && size > at.usable) {
            report_wrong_huge_size(p, size, at.usable);
        }
    }
    deallocate(p);
}

void* reallocate(void* p, std::size_t size) noexcept {
    const place at = place_of(p);
    if (size > largest_request) return nullptr;
    if (at.b != nullptr) {
        if (p != at.b->base) report_invalid_free(p);
        return resize_huge(at.b, p, size);
    }
    if (at.s == nullptr || at.s->owner == &record_core) report_invalid_free(p);
    if (at.s->kind == span_kind::large) {
        if (reinterpret_cast<std::uintptr_t>(p) != at.s->base) report_invalid_free(p);
        return resize_large(at.s, p, size);
    }
    // Shrinking by less than half stays: the class would hardly be smaller.
    if (size <= at.usable && size > at.usable / 2 && !checked::sizes_are_compared()) return p;
    const std::size_t alignment = size <= 8 ? 8 : 16;  // as malloc would
    if (size <= at.usable && class_for(size, alignment, at.s->noscan()) == at.s->sclass) return p;
    return move_to_new(p, at.usable, size, *at.s->owner, at.s->noscan());
}

bool grow_in_place(void* p, std::size_t size) noexcept {
    const place at = place_of(p);
    if (size <= at.usable) return true;
    if (size > largest_request) return false;
    if (at.b != nullptr) {
        const room granted(bytes{size - at.usable});
        if (!granted) return false;
        if (!huge_blocks.grow(at.b, bytes{in_pages(size)})) return false;
        count_resized(at.b, at.usable, size);
        return true;
    }
    bool zeroed = false;
    return at.s != nullptr && at.s->kind == span_kind::large && size < (std::size_t{1} << 40) &&
           grow_span(*at.s, size, zeroed);
}

grown_block grow_without_copy(void* p, std::size_t size) noexcept {
    const place at = place_of(p);
    if (size <= at.usable) return {p, size};
    if (size > largest_request) return {nullptr, 0};
    if (at.b == nullptr) {
        bool zeroed = false;
        if (at.s == nullptr || at.s->kind != span_kind::large || size >= huge_threshold ||
            !grow_span(*at.s, size, zeroed)) {
            return {nullptr, 0};
        }
        return {p, zeroed ? at.usable : at.s->object_size()};
    }
    const room granted(bytes{size - at.usable});
    if (!granted) return {nullptr, 0};
    const std::size_t dirty = huge_blocks.dirty_end(at.b);
    if (huge_blocks.grow(at.b, bytes{in_pages(size)})) {
        count_resized(at.b, at.usable, size);
    } else if (!move_huge(at.b, size)) {
        return {nullptr, 0};
    }
    return {at.b->base.load(relaxed), dirty < at.usable ? at.usable : dirty};
}

void* allocate_for_sharing(std::size_t size, std::size_t alignment, bool noscan,
                           bool& zeroed) noexcept {
    zeroed = false;
    if (const span_class sclass = class_for(size, alignment, noscan))
        return allocate_class(sclass, aligned_request(size, alignment));
    return allocate_large(size, alignment, noscan, &zeroed);
}

std::size_t usable_size(const void* p) noexcept {
    return p == nullptr ? 0 : place_of(p).usable;
}

bool owns(const void* p) noexcept {
    return heap_map.find(p) != nullptr || huge_blocks.find(p) != nullptr;
}

}  // namespace steady::detail
