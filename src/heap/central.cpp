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
    s->list.next = nullptr;
    s->list.previous = list.last;
    (list.last != nullptr ? list.last->list.next : list.first) = s;
    list.last = s;
    s->listed = true;
}

void unlink(central_list& list, span* s) noexcept {
    (s->list.previous != nullptr ? s->list.previous->list.next : list.first) = s->list.next;
    (s->list.next != nullptr ? s->list.next->list.previous : list.last) = s->list.previous;
    s->list.next = s->list.previous = nullptr;
    s->listed = false;
}

// Moves up to `want` free objects of `s` to out[0..), in ascending order.
std::size_t take_from(span* s, void** out, std::size_t want) noexcept {
    std::size_t taken = 0;
    std::uint64_t* bits = s->free_bits();
    for (unsigned w = 0; w < s->bitmap_words() && taken < want; ++w) {
        std::uint64_t word = bits[w];
        const std::uintptr_t word_base = s->base + std::uintptr_t{w} * 64 * s->object_size();
        while (word != 0 && taken < want) {
            const auto bit = static_cast<unsigned>(std::countr_zero(word));
            word &= word - 1;
            out[taken++] = reinterpret_cast<void*>(word_base + bit * s->object_size());
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

// Objects that were allocated together tend to be freed together, so they are
// taken in runs of one span: the record is found once a run, the bits of a word
// are gathered in a register. Records are fetched ahead; in a random order each
// is a cache miss, and the misses overlap.
void heap_core::put(span_class sclass, void* const* objects, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(heap_map.find(objects[i]), 1);
    std::size_t i = 0;
    while (i < count) {
        const span* home = heap_map.find(objects[i]);
        const unsigned node = home == nullptr || nodes_ == 1 ? 0 : home->node;
        central_list& list = central(node, sclass);
        const os::lock_guard guard(list.lock);
        while (i < count) {
            span* s = heap_map.find(objects[i]);
            if (s == nullptr || s->sclass != sclass || s->kind != span_kind::small) {
                report_invalid_free(objects[i]);
            }
            if (nodes_ != 1 && s->node != node) break;
            const std::size_t run = put_run(*s, objects + i, count - i);
            i += run;
            returned(list, s, run);
        }
    }
}

// Sets the bits of the leading objects that lie in `s`; returns how many.
std::size_t heap_core::put_run(span& s, void* const* objects, std::size_t count) noexcept {
    const std::uintptr_t base = s.base;
    const std::size_t size = s.byte_count();
    std::uint64_t* bits = s.free_bits();
    std::uint32_t gathered_word = 0;
    std::uint64_t gathered = 0;
    std::size_t i = 0;
    for (; i < count; ++i) {
        const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(objects[i]) - base;
        if (offset >= size) break;
        const auto index = static_cast<std::uint32_t>((offset * std::uint64_t{s.divmul}) >> 32);
        if (index * s.object_size() != offset || index >= s.object_count)
            report_invalid_free(objects[i]);
        if (index / 64 != gathered_word) {
            bits[gathered_word] |= gathered;
            gathered_word = index / 64;
            gathered = 0;
        }
        const std::uint64_t bit = std::uint64_t{1} << (index % 64);
        if (((gathered | bits[gathered_word]) & bit) != 0) report_double_free(objects[i], s);
        gathered |= bit;
    }
    bits[gathered_word] |= gathered;
    return i;
}

// `count` objects came back to `s`: it joins the partial list, or goes.
void heap_core::returned(central_list& list, span* s, std::size_t count) noexcept {
    list.objects_out -= count;
    if (s->free_count == 0) append(list, s);
    s->free_count = static_cast<std::uint16_t>(s->free_count + count);
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
