// elsewhere.hpp - what an entry's home group does not decide: entries that are displaced or
// spilled, groups that somebody else has locked, tables that have to grow.
//
//   home is full                 -> displaced: up to reach - 1 groups behind it, filter bit at home
//   no room there, segment full  -> the segment grows, and the search begins again
//   no room there, half empty    -> spilled: a list of the whole table; the hash is bad
//
// Nothing here is on the path of an operation whose key is at home, or absent while nothing
// of that home is displaced: these functions are calls, so that the path stays short.

#pragma once

#include <algorithm>
#include <new>

#include "steady/concurrent/detail/table.hpp"

namespace steady::concurrent_detail {

/// read() when the home group does not decide, or somebody was writing.
template <unsigned W, class R, unsigned L>
template <class Look>
sight table<W, R, L>::read_slowly(std::uint64_t hash, Look look) const {
    const std::uint64_t tag = tag_of(hash);
    patience for_window;
    for (;;) {
        const place at = locate(hash);
        const group_type& g = at.groups[at.home];
        const std::uint64_t state = g.state.load();
        if constexpr (W > 2) {
            if (state & window_bit) {
                for_window.wait();
                continue;
            }
        }
        const std::uint64_t tags = g.tags.load();
        const auto valid = [&]() noexcept {
            return ((g.state.load() ^ state) & ~locked_bit) == 0 && still(at);
        };
        sight s{0, probe::no};
        for (std::uint64_t m = match(tags, tag); m != 0 && s.what == probe::no; m &= m - 1) {
            s = look(g.first_of(m), valid);
        }
        if (s.what == probe::no && ((tags & filter_bit(hash)) != 0 || (state & spilled_bit) != 0)) {
            s = read_elsewhere(hash, at, state, look);
        }
        if (s.what == probe::yes) return s;
        if (s.what == probe::no && valid()) return s;
        if constexpr (W > 2) {
            if (s.what == probe::again) for_window.wait();
        }
    }
}

/// write() when the home group does not decide, or somebody else was there.
template <unsigned W, class R, unsigned L>
template <class Same, class Found, class Absent>
sight table<W, R, L>::write_slowly(std::uint64_t hash, Same same, Found found, Absent absent) {
    const std::uint64_t tag = tag_of(hash);
    patience p;
    for (;;) {
        place at = locate(hash);
        if (at.groups == nothing()) [[unlikely]] {
            if constexpr (std::is_same_v<std::decay_t<Absent>, never>) return {0, probe::no};
            grow(at, hash);
            continue;
        }
        group_type& home = at.groups[at.home];
        prefetch_to_write(&home);
        prefetch_to_write(reinterpret_cast<char*>(&home) + 64);
        const std::uint64_t state = home.state.load();
        if ((state & locked_bit) != 0 || !home.state.lock(state, state | locked_bit)) {
            // Read only: whoever has the lock needs the line for itself.
            do p.wait();
            while ((home.state.load() & locked_bit) != 0 && still(at));
            continue;
        }
        home_lock lock{home, state};
        if (!still(at)) [[unlikely]]
            continue;
        if (frozen_.load_seq_cst() != 0) [[unlikely]] {
            lock.release();
            while (frozen_.load() != 0) p.wait();
            continue;
        }
        const std::uint64_t tags = home.tags.load();
        for (std::uint64_t m = match(tags, tag); m != 0; m &= m - 1) {
            slot_type& slot = home.first_of(m);
            if (!same(slot)) continue;
            const change c = found(slot, lock.state, home);
            if (c.what == verdict::erase && !erase_at_home(lock, tags, lowest(m))) {
                lock.release();
                look_for_shrinking(hash, at);
            }
            return {c.word, probe::yes};
        }
        if ((tags & filter_bit(hash)) != 0 || (state & spilled_bit) != 0) [[unlikely]] {
            const sight done = write_elsewhere(hash, at, lock, same, found);
            if (done.what == probe::yes) return done;
            if (done.what == probe::again) {
                lock.release();
                p.wait();
                continue;
            }
        }
        if constexpr (std::is_same_v<std::decay_t<Absent>, never>) {
            return {0, probe::no};
        } else {
            if (const std::uint64_t empty = match_empty(tags); empty != 0) [[likely]] {
                insert_at_home(hash, home, tags, empty, absent);
                return {0, probe::no};
            }
            switch (insert_displaced(hash, at, lock, absent)) {
                case probe::yes: return {0, probe::no};
                case probe::again:
                    lock.release();
                    p.wait();
                    continue;
                case probe::no: break;
            }
            lock.release();
            if (grow(at, hash)) continue;
            // No use in splitting: the entry is spilled, under its home's lock.
            place again = locate(hash);
            group_type& g = again.groups[again.home];
            const std::uint64_t s = g.state.load();
            if ((s & locked_bit) != 0 || !g.state.lock(s, s | locked_bit)) continue;
            home_lock relock{g, s};
            if (!still(again) || frozen_.load_seq_cst() != 0) continue;
            if (again.name.raw != at.name.raw || (match_empty(g.tags.load()) != 0)) continue;
            if (contains_locked(hash, again, s, same)) continue;
            spill(hash, relock, absent);
            return {0, probe::no};
        }
    }
}

/// The key's other places: read without a lock.
template <unsigned W, class R, unsigned L>
template <class Look>
sight table<W, R, L>::read_elsewhere(std::uint64_t hash, const place& at, std::uint64_t state,
                                     Look& look) const {
    const std::uint64_t tag = tag_of(hash);
    for (unsigned d = 1; d <= distance_of(state); ++d) {
        const group_type& g = at.group_at(d);
        const std::uint64_t there = g.state.load();
        if constexpr (W > 2) {
            if (there & window_bit) return {0, probe::again};
        }
        const std::uint64_t tags = g.tags.load();
        const auto valid = [&]() noexcept {
            return ((g.state.load() ^ there) & ~locked_bit) == 0 && still(at);
        };
        for (std::uint64_t m = match(tags, tag); m != 0; m &= m - 1) {
            const sight s = look(g.first_of(m), valid);
            if (s.what != probe::no) return s;
        }
    }
    if ((state & spilled_bit) != 0) {
        for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
            const std::uint64_t live = n->live.load();
            if ((live & spilled_live) == 0 || n->hash.load() != hash) continue;
            if ((live & spilled_window) != 0) return {0, probe::again};
            const sight s =
                look(n->slot, [&]() noexcept { return n->live.load() == live && still(at); });
            if (s.what != probe::no) return s;
        }
    }
    return {0, probe::no};
}

/// The same under the home's lock, with a change.
template <unsigned W, class R, unsigned L>
template <class Same, class Found>
sight table<W, R, L>::write_elsewhere(std::uint64_t hash, const place& at, home_lock& lock,
                                      Same& same, Found& found) {
    const std::uint64_t tag = tag_of(hash);
    for (unsigned d = 1; d <= distance_of(lock.state); ++d) {
        group_type& g = at.group_at(d);
        for (std::uint64_t m = match(g.tags.load(), tag); m != 0; m &= m - 1) {
            const unsigned i = lowest(m);
            slot_type& s = g.slots[i];
            // The slot may belong to another home, and may change then: only what same()
            // says under both locks counts. With this group's lock nothing here moves.
            const std::uint64_t there = g.state.load();
            if ((there & locked_bit) != 0 || !g.state.lock(there, there | locked_bit)) {
                return {0, probe::again};
            }
            home_lock other{g, there};
            if ((g.tags.load() >> (8 * i) & 0xff) != tag || !same(s)) continue;
            const change c = found(s, other.state, g);
            if (c.what == verdict::erase) {
                g.tags.store(with_tag(g.tags.load(), i, 0));
                other.state += one_version;
                entries_.add(-1);
                const unsigned left = displaced_of(lock.state);
                if (left < many_displaced) {
                    lock.state = with_displaced(lock.state, left - 1,
                                                left == 1 ? 0 : distance_of(lock.state));
                    if (left == 1) {
                        lock.g.tags.store(lock.g.tags.load() & ~(std::uint64_t{0xff} << 56));
                    }
                }
            }
            return {c.word, probe::yes};
        }
    }
    if ((lock.state & spilled_bit) != 0) {
        for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
            const std::uint64_t live = n->live.load();
            if ((live & spilled_live) == 0 || n->hash.load() != hash || !same(n->slot)) continue;
            const change c = found_spilled(n, found, live);
            if (c.what == verdict::erase) {
                n->live.store(freed(live));
                entries_.add(-1);
            }
            return {c.word, probe::yes};
        }
    }
    return {0, probe::no};
}

template <unsigned W, class R, unsigned L>
template <class Found>
change table<W, R, L>::found_spilled(spilled_node* n, Found& found, std::uint64_t live) {
    if constexpr (W > 2) {
        group_type copy;
        for (unsigned w = 0; w < W; ++w) {
            copy.slots[0].words[w].store(n->slot.words[w].load());
        }
        std::uint64_t state = 0;
        const change v = found(copy.slots[0], state, copy);
        if (v.what == verdict::keep) {
            // Still an entry meanwhile: nobody takes the node, readers wait.
            n->live.store(live | spilled_window);
            for (unsigned w = 0; w < W; ++w) {
                n->slot.words[w].store(copy.slots[0].words[w].load());
            }
            n->live.store(live + spilled_version);
        }
        return v;
    } else {
        static thread_local group_type dummy;
        std::uint64_t state = 0;
        return found(n->slot, state, dummy);
    }
}

template <unsigned W, class R, unsigned L>
template <class Same>
bool table<W, R, L>::contains_locked(std::uint64_t hash, const place& at, std::uint64_t state,
                                     Same& same) {
    const std::uint64_t tag = tag_of(hash);
    for (unsigned d = 0; d <= distance_of(state); ++d) {
        group_type& g = at.group_at(d);
        for (std::uint64_t m = match(g.tags.load(), tag); m != 0; m &= m - 1) {
            if (d == 0 && same(g.slots[lowest(m)])) return true;
            if (d != 0) {
                const std::uint64_t there = g.state.load();
                if ((there & locked_bit) != 0 || !g.state.lock(there, there | locked_bit)) {
                    return true;  // the caller looks again
                }
                home_lock other{g, there};
                if (same(g.slots[lowest(m)])) return true;
            }
        }
    }
    if ((state & spilled_bit) != 0) {
        for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
            if ((n->live.load() & spilled_live) != 0 && n->hash.load() == hash && same(n->slot))
                return true;
        }
    }
    return false;
}

template <unsigned W, class R, unsigned L>
template <class Absent>
probe table<W, R, L>::insert_displaced(std::uint64_t hash, const place& at, home_lock& lock,
                                       Absent& absent) {
    const std::size_t groups = std::size_t{1} << at.name.log_groups();
    const unsigned farthest = static_cast<unsigned>(std::min<std::size_t>(reach, groups));
    for (unsigned d = 1; d < farthest; ++d) {
        group_type& g = at.group_at(d);
        if (match_empty(g.tags.load()) == 0) continue;
        const std::uint64_t there = g.state.load();
        if ((there & locked_bit) != 0 || !g.state.lock(there, there | locked_bit)) {
            return probe::again;
        }
        home_lock other{g, there};
        const std::uint64_t tags = g.tags.load();
        const std::uint64_t empty = match_empty(tags);
        if (empty == 0) continue;
        std::uint64_t words[W];
        if (!absent(words)) return probe::yes;
        const unsigned i = lowest(empty);
        for (unsigned w = 0; w < W; ++w) g.slots[i].words[w].store(words[w]);
        g.tags.store(with_tag(tags, i, tag_of(hash)));
        lock.g.tags.store(lock.g.tags.load() | filter_bit(hash));
        const unsigned now = displaced_of(lock.state);
        lock.state = with_displaced(lock.state, now + (now < many_displaced),
                                    std::max(d, distance_of(lock.state)));
        // Readers compare states: what is displaced now is part of it, and they look
        // again. The new distance must be visible before the lock is free; it is the
        // same store.
        entries_.add(+1);
        return probe::yes;
    }
    return probe::no;
}

template <unsigned W, class R, unsigned L>
template <class Absent>
void table<W, R, L>::spill(std::uint64_t hash, home_lock& lock, Absent& absent) {
    const holding<rare_lock> only{spill_lock_};
    spilled_node* n = first_spilled();
    while (n != nullptr && (n->live.load() & spilled_live) != 0) n = n->next_spilled();
    const bool fresh = n == nullptr;
    if (fresh) {
        if (refuse_allocation()) throw std::bad_alloc();
        n = new spilled_node;
    }
    std::uint64_t words[W];
    bool wanted = false;
    try {
        wanted = absent(words);
    } catch (...) {
        if (fresh) delete n;
        throw;
    }
    if (!wanted) {
        if (fresh) delete n;
        return;
    }
    n->hash.store(hash);
    for (unsigned w = 0; w < W; ++w) n->slot.words[w].store(words[w]);
    n->live.store(n->live.load() | spilled_live);
    if (fresh) {
        other_bytes_.fetch_add(sizeof(spilled_node), std::memory_order_relaxed);
        n->next.store(spilled_list_.load());
        spilled_list_.store(reinterpret_cast<std::uint64_t>(n));
    }
    lock.state |= spilled_bit;
    counters_.spilled.fetch_add(1, std::memory_order_relaxed);
    entries_.add(+1);
}

}  // namespace steady::concurrent_detail
