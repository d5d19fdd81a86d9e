// checks.cpp - messages for misuse, and checked mode. The stories are in
// checks.hpp and checked.hpp.
#include "steady/heap/detail/checks.hpp"

#include "steady/core/check.hpp"
#include "steady/core/fatal.hpp"
#include "steady/heap/detail/checked.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/detail/huge.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/heap.hpp"
#include "steady/heap/lock_order.hpp"

namespace steady::detail {

namespace {

std::uintptr_t value(const void* p) noexcept {
    return reinterpret_cast<std::uintptr_t>(p);
}

// "(class 6, object 71 of 128)". An object alone in its span need not begin with it.
void say_place(message& m, const span& s, const void* object) noexcept {
    const std::uint32_t index = s.object_count == 1 ? 0 : s.index_of(value(object));
    m.text("class ").number(s.sclass >> 1).text(", object ").number(index);
    m.text(" of ").number(s.object_count);
}

}  // namespace

void report_double_free(const void* object, const span& s) noexcept {
    message m("heap");
    m.text("freed ")
        .hex(value(object))
        .text(" twice: its ")
        .size(bytes{s.object_size()})
        .text(" object (");
    say_place(m, s, object);
    m.text(") is already free.");
    m.line(
        "  Look for two owners of one pointer. STEADY_DEBUG=check=1 stops at the second free "
        "itself.");
    fatal(m);
}

void report_invalid_free(const void* object) noexcept {
    message m("heap");
    m.text("freed ").hex(value(object)).text(", ");
    const span* s = heap_map.find(object);
    if (s != nullptr && s->owner != &record_core) {
        const object_info o = find_object(object);
        if (!o) {
            m.text("which lies in the unused tail of a span.");
        } else {
            m.text("which is ").number(value(object) - value(o.base)).text(" bytes inside the ");
            m.size(bytes{o.size}).text(" object at ").hex(value(o.base)).text(" (");
            say_place(m, *s, object);
            m.text(").");
        }
        m.line(
            "  Expected the address that malloc returned. Free the object through its first byte.");
    } else if (const huge_block* b = huge_blocks.find(object)) {
        m.text("which is ")
            .number(value(object) - value(b->base))
            .text(" bytes inside the block at ");
        m.hex(value(b->base)).text(" of ").size(bytes{b->size}).text(".");
        m.line(
            "  Expected the address that malloc returned. Free the block through its first byte.");
    } else {
        m.text("which this heap never handed out, or has since given back.");
        m.line(
            "  Expected an address from malloc, realloc or new. Usually a pointer to a stack or "
            "static");
        m.line("  object, one from another allocator, or a second free of a large block.");
    }
    fatal(m);
}

void report_wrong_size(const void* object, std::size_t said, const span& s) noexcept {
    message m("heap");
    m.text("freed ")
        .hex(value(object))
        .text(" as ")
        .size(bytes{said})
        .text(", but its span holds ");
    m.size(bytes{s.object_size()}).text(" objects (");
    say_place(m, s, object);
    m.text(").");
    m.line(
        "  Usually a delete through the wrong type, or a base class without a virtual destructor.");
    fatal(m);
}

void report_wrong_huge_size(const void* object, std::size_t said, std::size_t actual) noexcept {
    message m("heap");
    m.text("freed ").hex(value(object)).text(" as ").size(bytes{said}).text(", but the block has ");
    m.size(bytes{actual}).text(".");
    m.line("  Usually a delete through the wrong type.");
    fatal(m);
}

void report_write_after_free(const void* object, const span& s, std::size_t offset) noexcept {
    message m("heap");
    m.text("the freed ")
        .size(bytes{s.object_size()})
        .text(" object at ")
        .hex(value(object))
        .text(" (");
    say_place(m, s, object);
    m.text(") was written to at offset ").number(offset).text(".");
    m.line(
        "  Somebody kept a pointer after free. STEADY_DEBUG=guard_rate=1,profilerate=1 makes every "
        "freed");
    m.line("  small object unreadable and shows who writes.");
    fatal(m);
}

void report_wrong_heap(const void* object) noexcept {
    message m("heap");
    m.text("freed ").hex(value(object)).text(" through a heap that does not own it.");
    m.line("  Free it through the heap instance it came from, or with steady::deallocate.");
    fatal(m);
}

namespace checked {

namespace {

constexpr unsigned ring_size = 1024;

struct quarantine {
    ranked_mutex<lock_rank::quarantine> lock;
    struct entry {
        void* object;
        span* home;
    } ring[ring_size];
    unsigned next;
};
constinit quarantine waiting{};

void verify(const span& s, const void* p) noexcept {
    const auto* byte = static_cast<const unsigned char*>(p);
    for (std::size_t i = 0; i < s.object_size(); ++i) {
        if (byte[i] != freed_pattern) report_write_after_free(p, s, i);
    }
}

}  // namespace

bool sizes_are_compared() noexcept {
    return STEADY_CHECK >= 1 || checked_mode();
}

void check_size(const span& s, const void* p, std::size_t said, std::size_t alignment) noexcept {
    const span_class asked = class_for(said, alignment, s.noscan());
    if (s.kind == span_kind::large) {
        if (asked != 0 || said > s.object_size()) report_wrong_size(p, said, s);
        return;
    }
    // Callers content with 8-byte alignment use two classes more.
    if (asked != s.sclass && class_for(said, 8, s.noscan()) != s.sclass)
        report_wrong_size(p, said, s);
}

void* allocate(heap_core& core, unsigned node, span_class sclass, std::size_t) noexcept {
    auto* p = static_cast<unsigned char*>(allocate_direct(core, node, sclass));
    if (p != nullptr)
        __builtin_memset(p, 0xcd, class_size[sclass >> 1]);  // nobody may rely on zeros
    return p;
}

bool waits(const void* p) noexcept {
    for (const auto& e : waiting.ring) {
        if (e.object == p) return true;
    }
    return false;
}

void free(heap_core& core, span* s, void* p) noexcept {
    const std::uint32_t index = s->index_of(reinterpret_cast<std::uintptr_t>(p));
    if (index >= s->object_count || s->object_at(index) != reinterpret_cast<std::uintptr_t>(p))
        report_invalid_free(p);
    quarantine::entry out{};
    {
        const os::lock_guard guard(waiting.lock);
        for (const auto& e : waiting.ring) {
            if (e.object == p) report_double_free(p, *s);
        }
        {
            central_list& list = core.central(core.nodes_ == 1 ? 0u : s->node, s->sclass);
            const os::lock_guard span_guard(list.lock);
            if (s->is_free(index)) report_double_free(p, *s);
            ++list.direct_freed;  // to the program it is free from here on
        }
        __builtin_memset(p, freed_pattern, s->object_size());
        out = waiting.ring[waiting.next];
        waiting.ring[waiting.next] = {p, s};
        waiting.next = (waiting.next + 1) % ring_size;
    }
    if (out.object != nullptr) {
        verify(*out.home, out.object);
        const slot object{out.object};
        out.home->owner->put(out.home->sclass, &object, 1);
    }
}

void before_fork() noexcept {
    waiting.lock.lock();
}
void after_fork() noexcept {
    waiting.lock.unlock();
}

}  // namespace checked
}  // namespace steady::detail
