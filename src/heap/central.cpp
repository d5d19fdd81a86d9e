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

constexpr auto relaxed = std::memory_order_relaxed;

// Moves up to `want` free objects of `s` to the slots below `end`, lowest address
// on top.
std::size_t take_from(span* s, slot* end, std::size_t want) noexcept {
    std::size_t taken = 0;
    std::uint64_t* bits = s->free_bits();
    const std::size_t size = s->small_size;
    for (unsigned w = 0; w < s->bitmap_words() && taken < want; ++w) {
        std::uint64_t word = bits[w];
        const std::uintptr_t word_base = s->base + std::uintptr_t{w} * 64 * size;
        while (word != 0 && taken < want) {
            const auto bit = static_cast<unsigned>(std::countr_zero(word));
            word &= word - 1;
            ++taken;
            end[-static_cast<std::ptrdiff_t>(taken)].store(
                reinterpret_cast<void*>(word_base + bit * size), relaxed);
        }
        bits[w] = word;
    }
    s->free_count = static_cast<std::uint16_t>(s->free_count - taken);
    return taken;
}

}  // namespace

std::size_t heap_core::take(unsigned node, span_class sclass, slot* end, std::size_t want,
                            bool may_grow) noexcept {
    central_list& list = central(nodes_ == 1 ? 0 : node, sclass);
    const os::lock_guard guard(list.lock);
    return take_locked(list, node, sclass, end, want, may_grow);
}

std::size_t heap_core::take_locked(central_list& list, unsigned node, span_class sclass, slot* end,
                                   std::size_t want, bool may_grow) noexcept {
    std::size_t taken = 0;
    while (taken < want) {
        span* s = list.first;
        if (s == nullptr) {
            if (taken != 0 || !may_grow) break;  // a short magazine is better than a new span
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
        const std::size_t got = take_from(s, end - taken, want - taken);
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
void heap_core::put(span_class sclass, const slot* objects, std::size_t count) noexcept {
    std::size_t page = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const void* object = objects[i].load(relaxed);
        const std::size_t at = reinterpret_cast<std::uintptr_t>(object) >> page_shift;
        if (at != page) __builtin_prefetch(heap_map.find(object), 1);
        page = at;
    }
    std::size_t i = 0;
    while (i < count) {
        const span* home = heap_map.find(objects[i].load(relaxed));
        const unsigned node = home == nullptr || nodes_ == 1 ? 0 : home->node;
        central_list& list = central(node, sclass);
        const os::lock_guard guard(list.lock);
        while (i < count) {
            void* object = objects[i].load(relaxed);
            span* s = heap_map.find(object);
            if (s == nullptr || s->owner != this || s->sclass != sclass ||
                s->kind != span_kind::small) {
                report_invalid_free(object);
            }
            if (nodes_ != 1 && s->node != node) break;
            const std::size_t run = put_run(*s, objects + i, count - i);
            i += run;
            returned(list, s, run);
        }
    }
}

// Sets the bits of the leading objects that lie in `s`; returns how many.
std::size_t heap_core::put_run(span& s, const slot* objects, std::size_t count) noexcept {
    const std::uintptr_t base = s.base;
    const std::size_t span_size = s.byte_count();
    const std::size_t size = s.small_size;
    const std::uint64_t divmul = s.divmul;
    const std::uint32_t object_count = s.object_count;
    std::uint64_t* bits = s.free_bits();
    std::uint32_t word = 0;
    std::uint64_t gathered = bits[0];
    std::size_t i = 0;
    for (; i < count; ++i) {
        void* object = objects[i].load(relaxed);
        const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(object) - base;
        if (offset >= span_size) break;
        const auto index = static_cast<std::uint32_t>((offset * divmul) >> 32);
        if (index * size != offset || index >= object_count) report_invalid_free(object);
        if (index / 64 != word) {
            bits[word] = gathered;
            word = index / 64;
            gathered = bits[word];
        }
        const std::uint64_t bit = std::uint64_t{1} << (index % 64);
        if ((gathered & bit) != 0) report_double_free(object, s);
        gathered |= bit;
    }
    bits[word] = gathered;
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
