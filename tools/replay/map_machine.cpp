// map_machine.cpp - see map_machine.hpp.
#include "replay/map_machine.hpp"

#include <fmt/format.h>

namespace steady::cli::replay {

using go::internal::hiter;
using go::internal::keeper;
using go::internal::spot;

void machine::drop_walks() noexcept {
    for (slot& s : slots_) {
        if (s.open && core_.side != nullptr) core_.side->leave();
        s = slot{};
    }
}

void machine::drop_map() noexcept {
    drop_walks();
    core_.destroy();
    strings_.forget();
}

void machine::begin_type(const script_type& next, bool fast_strings) {
    drop_map();
    type = next;
    type.draws = &draws;
    type.lay_out(fast_strings);
    core_.t = {&type.layout, &draws};
    draws = wyrand{0};
    trace_ = fnv{};
    ops_ = grows_ = same_ = 0;
}

void machine::make() {
    drop_map();
    core_.make_small();
}

void machine::make(std::uint64_t hint) {
    drop_map();
    core_.make(hint);
}

machine::before machine::look() const noexcept {
    return {core_.h->buckets, core_.h->oldbuckets, core_.h->B};
}

/// Counts the operation, absorbs the state it left, and prints what it did to the arrays.
void machine::finish(const before& was) {
    const auto& h = *core_.h;
    ++ops_;
    trace_.absorb(static_cast<std::uint64_t>(h.count), 8);
    trace_.absorb(h.B, 1);
    trace_.absorb(h.flags & go::internal::flag_same_size, 1);
    trace_.absorb(h.noverflow, 2);
    trace_.absorb(h.nevacuate, 8);
    trace_.absorb(h.growing(), 1);
    if (was.buckets != nullptr && h.buckets != was.buckets) {
        const bool same = h.B == was.B;
        ++(same ? same_ : grows_);
        if (events) {
            out +=
                fmt::format("event op={} start B={}->{} same={:d} count={} noverflow={} old={:d}\n",
                            ops_, was.B, h.B, same, h.count, h.noverflow, h.growing());
        }
    } else if (was.old != nullptr && !h.growing() && events) {
        out += fmt::format("event op={} done B={} count={} noverflow={}\n", ops_, h.B, h.count,
                           h.noverflow);
    }
}

/// The stored form of a key that is only looked up.
void* machine::key_cell(std::string_view canonical) {
    if (type.key.kind != kind::str) {
        scratch_.assign(canonical);
        return scratch_.data();
    }
    const go_string s{canonical.data(), static_cast<std::int64_t>(canonical.size())};
    scratch_.assign(reinterpret_cast<const char*>(&s), sizeof s);
    return scratch_.data();
}

void machine::set(std::string_view key, std::string_view elem) {
    const before was = look();
    const auto& t = core_.t;
    const void* const sought = key_cell(key);
    const std::uint64_t hash = t.hash(sought, core_.h->hash0);
    const std::uint8_t flags = core_.begin_write(core_.h);
    const spot f = core_.place(hash, [&](const void* stored) { return t.equal(sought, stored); });
    if (!f.present) {
        void* k = core_.key_cell(f.b, f.i);
        void* const e = core_.elem_cell(f.b, f.i);
        if (t.indirect_key()) {
            k = *static_cast<void**>(k) = go::internal::allocate_object(type.key.size, false);
        }
        if (t.indirect_elem()) {
            *static_cast<void**>(e) = go::internal::allocate_object(type.elem.size, false);
        }
        strings_.write(type.key, key, k);
        core_.fill(f);
    } else if (type.key.kind == kind::f64) {
        // The other type with this rule is str, where an equal key looks the same.
        strings_.write(type.key, key, core_.key_at(f.b, f.i));
    }
    core_.end_write(core_.h, flags);
    strings_.write(type.elem, elem, core_.elem_at(f.b, f.i));
    trace_.absorb("S");
    finish(was);
}

void machine::erase(std::string_view key) {
    const before was = look();
    const auto& t = core_.t;
    if (core_.h->count != 0) {
        const void* const sought = key_cell(key);
        const std::uint64_t hash = t.hash(sought, core_.h->hash0);
        const map_core::writing w(core_);
        core_.erase(hash, [&](const void* stored) { return t.equal(sought, stored); });
    }
    trace_.absorb("D");
    finish(was);
}

bool machine::get(std::string_view key, std::string_view& elem) {
    const before was = look();
    const auto& t = core_.t;
    go::internal::cell found;
    if (core_.h->count != 0) {
        const void* const sought = key_cell(key);
        found = core_.find(t.hash(sought, core_.h->hash0),
                           [&](const void* stored) { return t.equal(sought, stored); });
    }
    trace_.absorb("G");
    trace_.absorb(found ? 1 : 0, 1);
    if (found) {
        elem = canonical_bytes(type.elem, core_.elem_at(found.b, found.i));
        trace_.absorb(type.elem, elem);
    }
    finish(was);
    return static_cast<bool>(found);
}

void machine::clear() {
    const before was = look();
    if (core_.h->count != 0) {
        const map_core::writing w(core_);
        core_.clear();
    }
    trace_.absorb("C");
    finish(was);
}

void machine::enter_walk() {
    if (core_.side == nullptr) core_.side = keeper::make();
    core_.side->have_spare();
    core_.side->enter();
}

machine::walked machine::iterate(std::string* keys) {
    const before was = look();
    walked w;
    fnv seen;
    if (core_.h->count != 0) {
        hiter it;
        enter_walk();
        core_.start_walk(it);
        w.start = it.startBucket;
        w.offset = it.offset;
        for (; it.key != nullptr; core_.next(it)) {
            const std::string_view key = canonical_bytes(type.key, it.key);
            seen.absorb(type.key, key);
            seen.absorb(type.elem, canonical_bytes(type.elem, it.elem));
            ++w.entries;
            if (keys != nullptr) {
                *keys += ' ';
                append_hex(*keys, key);
            }
        }
        core_.side->leave();
    }
    w.fnv = seen.value();
    trace_.absorb("I");
    trace_.absorb(w.entries, 8);
    trace_.absorb(w.fnv, 8);
    finish(was);
    return w;
}

/// Key and elem are read when a walk arrives, as a range statement does.
void machine::read_position(slot& s) {
    s.live = s.it.key != nullptr;
    if (!s.live) return;
    s.key.assign(canonical_bytes(type.key, s.it.key));
    s.elem.assign(canonical_bytes(type.elem, s.it.elem));
}

void machine::open(unsigned index) {
    slot& s = slots_[index];
    if (s.open) core_.side->leave();
    s = slot{};
    if (core_.h->count == 0) return;
    enter_walk();
    s.open = true;
    core_.start_walk(s.it);
    read_position(s);
}

machine::walked machine::next(unsigned index, std::uint64_t steps) {
    const before was = look();
    slot& s = slots_[index];
    walked w;
    fnv seen;
    for (; s.live && w.entries != steps; ++w.entries) {
        seen.absorb(type.key, s.key);
        seen.absorb(type.elem, s.elem);
        core_.next(s.it);
        read_position(s);
    }
    w.fnv = seen.value();
    if (!s.live && s.open) {
        core_.side->leave();
        s.open = false;
    }
    trace_.absorb("N");
    trace_.absorb(index, 1);
    trace_.absorb(w.entries, 8);
    trace_.absorb(w.fnv, 8);
    trace_.absorb(s.live, 1);
    finish(was);
    return w;
}

}  // namespace steady::cli::replay
