// central.cpp - taking and returning objects of one span class. The story is in
// central.hpp.
#include "steady/heap/detail/central.hpp"

#include <bit>

#include "steady/core/fatal.hpp"
#include "steady/heap/detail/address_map.hpp"
#include "steady/heap/detail/checks.hpp"
#include "steady/heap/detail/span_store.hpp"

namespace steady::detail {

namespace {

void append(central_list& list, span* s) noexcept {
    s->next = nullptr;
    s->previous = list.last;
    (list.last != nullptr ? list.last->next : list.first) = s;
    list.last = s;
    s->listed = true;
}

void unlink(central_list& list, span* s) noexcept {
    (s->previous != nullptr ? s->previous->next : list.first) = s->next;
    (s->next != nullptr ? s->next->previous : list.last) = s->previous;
    s->next = s->previous = nullptr;
    s->listed = false;
}

// Moves up to `want` free objects of `s` to out[0..), in ascending order.
std::size_t take_from(span* s, void** out, std::size_t want) noexcept {
    std::size_t taken = 0;
    std::uint64_t* bits = s->free_bits();
    for (unsigned w = 0; w < s->word_count && taken < want; ++w) {
        std::uint64_t word = bits[w];
        const std::uintptr_t word_base = s->base + std::uintptr_t{w} * 64 * s->object_size;
        while (word != 0 && taken < want) {
            const auto bit = static_cast<unsigned>(std::countr_zero(word));
            word &= word - 1;
            out[taken++] = reinterpret_cast<void*>(word_base + bit * s->object_size);
        }
        bits[w] = word;
    }
    s->free_count = static_cast<std::uint16_t>(s->free_count - taken);
    return taken;
}

}  // namespace

std::size_t heap_core::take(unsigned node, span_class sclass, void** out,
                            std::size_t want) noexcept {
    central_list& list = central(nodes_ == 1 ? 0 : node, sclass);
    const os::lock_guard guard(list.lock);
    return take_locked(list, node, sclass, out, want);
}

std::size_t heap_core::take_locked(central_list& list, unsigned node, span_class sclass, void** out,
                                   std::size_t want) noexcept {
    std::size_t taken = 0;
    while (taken < want) {
        span* s = list.first;
        if (s == nullptr) {
            if (taken != 0) break;  // a short magazine is better than a new span
            const unsigned size_class = sclass >> 1;
            const auto made = store.make(node, {.sclass = sclass,
                                                .kind = span_kind::small,
                                                .page_count = class_pages[size_class],
                                                .object_size = class_size[size_class],
                                                .owner = this});
            if (!made) break;
            s = *made;
            ++list.spans;
            append(list, s);
        } else if (s->free_count == s->object_count) {
            --list.empty_spans;
        }
        const std::size_t got = take_from(s, out + taken, want - taken);
        s->zeroed = false;
        taken += got;
        if (s->free_count == 0) unlink(list, s);
    }
    list.objects_out += taken;
    return taken;
}

void heap_core::put(span_class sclass, void* const* objects, std::size_t count) noexcept {
    // Objects that were allocated together tend to be freed together, so the
    // span of one object is likely that of the next; its record is looked up,
    // and its node's lock taken, once a run. Records are fetched ahead: with a
    // random order each is a cache miss, and the misses overlap.
    for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(heap_map.find(objects[i]), 1);
    std::size_t i = 0;
    while (i < count) {
        span* s = heap_map.find(objects[i]);
        const unsigned node = s == nullptr || nodes_ == 1 ? 0 : s->node;
        central_list& list = central(node, sclass);
        const os::lock_guard guard(list.lock);
        for (; i < count; ++i) {
            s = heap_map.find(objects[i]);
            if (s == nullptr || s->sclass != sclass || s->kind != span_kind::small)
                report_invalid_free(objects[i]);
            if (nodes_ != 1 && s->node != node) break;
            const auto address = reinterpret_cast<std::uintptr_t>(objects[i]);
            put_locked(list, s, s->index_of(address), objects[i]);
        }
    }
}

void heap_core::put_locked(central_list& list, span* s, std::uint32_t index,
                           const void* object) noexcept {
    if (s->object_at(index) != reinterpret_cast<std::uintptr_t>(object))
        report_invalid_free(object);
    std::uint64_t& word = s->free_bits()[index / 64];
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    if ((word & bit) != 0) report_double_free(object, *s);
    word |= bit;
    --list.objects_out;
    if (s->free_count++ == 0) append(list, s);
    if (s->free_count != s->object_count) return;
    if (list.empty_spans == 0) {
        list.empty_spans = 1;
        return;
    }
    unlink(list, s);
    --list.spans;
    store.destroy(s);
}

}  // namespace steady::detail
