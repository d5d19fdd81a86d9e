// central.cpp - taking and returning objects of one span class. The story is in
// central.hpp.
#include "steady/heap/detail/central.hpp"

#include <algorithm>
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

// An empty span is kept up to this size: a longer one holds few objects, and what its
// pages cost a small program is more than a new span now and then.
constexpr std::uint32_t most_kept_pages = 2;

// A class that grows gets its spans by the run, 64 KiB at most and an eighth of what it has:
// a program that walks through its objects in the order of their making then meets rows that
// a processor can fetch ahead, not one span of every class in turn.
constexpr std::uint32_t longest_run_pages = 8;
std::uint32_t followers(const central_list& list, unsigned size_class) noexcept {
    const std::uint64_t run = longest_run_pages / class_pages[size_class];
    const std::uint64_t share = list.spans / 8 + 1;
    const std::uint64_t most = run < share ? run : share;
    return static_cast<std::uint32_t>(most > 1 ? most - 1 : 0);
}

// `count` bits from `first` on, within one word.
constexpr std::uint64_t bit_run(unsigned first, unsigned count) noexcept {
    return (~std::uint64_t{0} >> (64 - count)) << first;
}

// Moves up to `want` free objects of `s` to the slots below `end`, lowest address
// on top. Neighbours are taken as one run of bits: a new span is nothing else.
std::size_t take_from(span* s, slot* end, std::size_t want) noexcept {
    std::size_t taken = 0;
    std::uint64_t* bits = s->free_bits();
    const std::size_t size = s->small_size;
    for (unsigned w = 0; w < s->bitmap_words() && taken < want; ++w) {
        std::uint64_t word = bits[w];
        const std::uintptr_t word_base = s->base + std::uintptr_t{w} * 64 * size;
        while (word != 0 && taken < want) {
            const auto first = static_cast<unsigned>(std::countr_zero(word));
            const auto length = static_cast<unsigned>(std::countr_one(word >> first));
            const auto run = static_cast<unsigned>(length < want - taken ? length : want - taken);
            word &= ~bit_run(first, run);
            slot_pointer at = end - taken - 1;
            std::uintptr_t object = word_base + first * size;
            unsigned left = run;
            for (; left >= 4; left -= 4, at -= 4, object += 4 * size) {
                at[0].store(reinterpret_cast<void*>(object), relaxed);
                at[-1].store(reinterpret_cast<void*>(object + size), relaxed);
                at[-2].store(reinterpret_cast<void*>(object + 2 * size), relaxed);
                at[-3].store(reinterpret_cast<void*>(object + 3 * size), relaxed);
            }
            for (; left != 0; --left, --at, object += size)
                at->store(reinterpret_cast<void*>(object), relaxed);
            taken += run;
        }
        bits[w] = word;
    }
    s->free_count = static_cast<std::uint16_t>(s->free_count - taken);
    return taken;
}

// Marks `count` objects from `first` on as free. Returns the index of one that
// already was, or object_count.
std::uint32_t mark_free(span& s, std::uint32_t first, std::uint32_t count) noexcept {
    std::uint64_t* bits = s.free_bits();
    while (count != 0) {
        const unsigned bit = first % 64;
        const std::uint32_t run = count < 64 - bit ? count : 64 - bit;
        const std::uint64_t mask = bit_run(bit, run);
        std::uint64_t& word = bits[first / 64];
        if ((word & mask) != 0) [[unlikely]] {
            return first / 64 * 64 + static_cast<std::uint32_t>(std::countr_zero(word & mask));
        }
        word |= mask;
        first += run;
        count -= run;
    }
    return s.object_count;
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
                                                .followers = followers(list, size_class),
                                                .object_size = class_size[size_class],
                                                .owner = this});
            if (!made) break;
            s = *made;
            for (span* each = s; each != nullptr; ++list.spans, ++list.empty_spans) {
                span* const next = each->list.next;
                append(list, each);
                each = next;
            }
            --list.empty_spans;
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
    const auto at = [&](std::size_t k) {
        return reinterpret_cast<std::uintptr_t>(objects[k].load(relaxed));
    };
    // Two or three records need no fetching ahead: then the ends are close together, or the
    // first two are neighbours.
    const auto is_row = [&] {
        const std::size_t size = class_size[sclass >> 1];
        return at(0) - at(1) == size || at(1) - at(0) == size;
    };
    if (count > 1 && (at(0) >> page_shift) - (at(count - 1) >> page_shift) + 2 > 4 && !is_row()) {
        for (std::size_t k = 0; k < count; ++k) {
            __builtin_prefetch(heap_map.find(objects[k].load(relaxed)), 1);
        }
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

// How many objects at the front of `objects`, in a row, lie `step` bytes apart.
std::size_t row_length(const slot* objects, std::size_t longest, std::uintptr_t step) noexcept {
    const auto at = [objects](std::size_t i) {
        return reinterpret_cast<std::uintptr_t>(objects[i].load(relaxed));
    };
    std::size_t length = 1;
    std::uintptr_t expected = at(0) + step;
    for (; length + 4 <= longest; length += 4, expected += 4 * step) {
        const std::uintptr_t differences =
            (at(length) ^ expected) | (at(length + 1) ^ (expected + step)) |
            (at(length + 2) ^ (expected + 2 * step)) | (at(length + 3) ^ (expected + 3 * step));
        if (differences != 0) break;
    }
    for (; length < longest && at(length) == expected; ++length) expected += step;
    return length;
}

// Sets the bits of the leading objects that lie in `s`; returns how many. Only the
// first of a row of neighbours is divided: rows that rise come from queues and
// arrays, rows that fall from stacks and lists.
std::size_t heap_core::put_run(span& s, const slot* objects, std::size_t count) noexcept {
    const std::uintptr_t base = s.base;
    const std::size_t span_size = s.byte_count();
    const std::size_t size = s.small_size;
    const std::uint64_t divmul = s.divmul;
    const std::uint32_t object_count = s.object_count;
    std::size_t i = 0;
    while (i < count) {
        void* object = objects[i].load(relaxed);
        const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(object) - base;
        if (offset >= span_size) break;
        auto index = static_cast<std::uint32_t>((offset * divmul) >> 32);
        if (index * size != offset || index >= object_count) report_invalid_free(object);
        const std::size_t left = count - i;
        const std::uintptr_t next =
            left > 1 ? reinterpret_cast<std::uintptr_t>(objects[i + 1].load(relaxed)) : 0;
        std::size_t row = 1;
        if (next == base + offset + size) {
            row = row_length(objects + i, std::min<std::size_t>(left, object_count - index), size);
        } else if (next == base + offset - size) {
            row = row_length(objects + i, std::min<std::size_t>(left, index + 1), -size);
            index -= static_cast<std::uint32_t>(row - 1);
        }
        const std::uint32_t doubly = mark_free(s, index, static_cast<std::uint32_t>(row));
        if (doubly != object_count) {
            report_double_free(reinterpret_cast<void*>(base + doubly * size), s);
        }
        i += row;
    }
    return i;
}

void heap_core::trim_empty() noexcept {
    const unsigned lists = nodes_ * span_class_count;
    for (unsigned i = 0; i < lists; ++i) {
        central_list& list = centrals_[i];
        const os::lock_guard guard(list.lock);
        for (span* s = list.last; s != nullptr && list.empty_spans != 0;) {
            span* before = s->list.previous;
            if (s->free_count == s->object_count) {
                --list.empty_spans;
                unlink(list, s);
                --list.spans;
                store.destroy(s);
            }
            s = before;
        }
    }
}

// `count` objects came back to `s`: it joins the partial list, or goes.
void heap_core::returned(central_list& list, span* s, std::size_t count) noexcept {
    list.objects_out -= count;
    if (s->free_count == 0) append(list, s);
    s->free_count = static_cast<std::uint16_t>(s->free_count + count);
    if (s->free_count != s->object_count) return;
    if (list.empty_spans == 0 && s->page_count <= most_kept_pages) {
        list.empty_spans = 1;
        return;
    }
    unlink(list, s);
    --list.spans;
    store.destroy(s);
}

}  // namespace steady::detail
