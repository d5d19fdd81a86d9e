// walk.hpp - all entries of a table, segment by segment, in the order of the reversed hash:
// for readers (scan_segment), for writers (write_all), and for who wants all writers to
// stop (while_frozen).
//
// A segment of depth d has all hashes that end in the same d bits, which are neighbours when
// hashes are read backwards. So the cursor of a walk is a reversed hash: wherever segments are
// split or merged meanwhile, what lies before the cursor has been seen and what lies behind it
// has not.

#pragma once

#include "steady/concurrent/detail/table.hpp"

namespace steady::concurrent_detail {

template <unsigned W, class R, unsigned L>
template <class Begin, class BeginGroup, class Take, class EndGroup>
std::uint64_t table<W, R, L>::scan_segment(std::uint64_t from, Begin&& begin,
                                           BeginGroup&& begin_group, Take&& take,
                                           EndGroup&& end_group) const {
    const std::uint64_t pattern = reversed(from);
    for (;;) {
        const place at = locate(pattern);
        begin();
        const std::size_t groups = std::size_t{1} << at.name.log_groups();
        bool stale = false;
        for (std::size_t i = 0; i < groups && !stale; ++i) {
            const group_type& g = at.groups[i];
            patience p;
            for (;;) {
                begin_group();
                if (!still(at)) {
                    stale = true;
                    break;
                }
                const std::uint64_t state = g.state.load();
                if (state & window_bit) {
                    p.wait();
                    continue;
                }
                const auto valid = [&]() noexcept {
                    return ((g.state.load() ^ state) & ~locked_bit) == 0;
                };
                const std::uint64_t tags = g.tags.load();
                bool good = true;
                for (std::uint64_t m = match_occupied(tags); m != 0 && good; m &= m - 1) {
                    copied_slot c;
                    for (unsigned w = 0; w < W; ++w) {
                        c.words[w] = g.slots[lowest(m)].words[w].load();
                    }
                    if (!valid()) {
                        good = false;
                        break;
                    }
                    c.hash = rehash_(c.words);
                    if (reversed(c.hash) >= from) take(c);
                }
                if (good && end_group(valid)) break;
                p.wait();
            }
        }
        if (stale || !still(at)) continue;
        const unsigned depth = at.name.depth();
        if (spilled_list_.load() != 0) [[unlikely]] {
            patience waiting;
            const std::uint64_t mask = ~(~std::uint64_t{0} << depth);
            for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
                for (;;) {
                    begin_group();
                    const std::uint64_t live = n->live.load();
                    if ((live & spilled_live) == 0) break;
                    if ((live & spilled_window) != 0) {
                        waiting.wait();
                        continue;
                    }
                    copied_slot c;
                    for (unsigned w = 0; w < W; ++w) c.words[w] = n->slot.words[w].load();
                    c.hash = n->hash.load();
                    const auto valid = [&]() noexcept { return n->live.load() == live; };
                    if (!valid()) continue;
                    if (((c.hash ^ pattern) & mask) == 0 && reversed(c.hash) >= from) take(c);
                    if (end_group(valid)) break;
                }
            }
            if (!still(at)) continue;
        }
        if (depth == 0) return 0;
        const std::uint64_t span = std::uint64_t{1} << (64 - depth);
        return (from & ~(span - 1)) + span;
    }
}

template <unsigned W, class R, unsigned L>
template <class Each>
std::uint64_t table<W, R, L>::write_all(Each&& each) {
    std::uint64_t erased = 0, from = 0;
    do {
        const std::uint64_t pattern = reversed(from);
        for (;;) {
            const place at = locate(pattern);
            if (at.groups == nothing()) break;
            if (write_segment(at, each, erased)) {
                if (spilled_list_.load() != 0) write_spilled(at, pattern, each, erased);
                const unsigned depth = at.name.depth();
                const std::uint64_t span = depth == 0 ? 0 : std::uint64_t{1} << (64 - depth);
                from = depth == 0 ? 0 : (from & ~(span - 1)) + span;
                look_for_shrinking_now(pattern, at);
                break;
            }
        }
        if (locate(pattern).groups == nothing()) break;
    } while (from != 0);
    return erased;
}

template <unsigned W, class R, unsigned L>
template <class F>
auto table<W, R, L>::while_frozen(F&& f) {
    const holding<rare_lock> one_at_a_time{freezers_};
    frozen_.store_seq_cst(1);
    struct thaw {
        table* t;
        ~thaw() { t->frozen_.store_seq_cst(0); }
    } at_the_end{this};
    // Whoever took a group's lock before the store above is waited for; whoever takes
    // one later sees frozen_ (both sides are sequentially consistent).
    std::uint64_t from = 0;
    for (;;) {
        const place at = locate(reversed(from));
        if (at.groups == nothing()) break;
        const std::size_t groups = std::size_t{1} << at.name.log_groups();
        bool stale = false;
        for (std::size_t i = 0; i < groups && !stale; ++i) {
            patience p;
            while ((at.groups[i].state.load_seq_cst() & locked_bit) != 0 && !stale) {
                p.wait();
                stale = !still(at);
            }
        }
        if (stale || !still(at)) continue;
        const unsigned depth = at.name.depth();
        if (depth == 0) break;
        const std::uint64_t span = std::uint64_t{1} << (64 - depth);
        from = (from & ~(span - 1)) + span;
        if (from == 0) break;
    }
    return f();
}

template <unsigned W, class R, unsigned L>
template <class Each>
bool table<W, R, L>::write_segment(const place& at, Each& each, std::uint64_t& erased) {
    const std::size_t groups = std::size_t{1} << at.name.log_groups();
    for (std::size_t i = 0; i < groups;) {
        group_type& home = at.groups[i];
        patience p;
        const std::uint64_t state = home.state.load();
        if ((state & locked_bit) != 0 || !home.state.lock(state, state | locked_bit)) {
            if (!still(at)) return false;
            p.wait();
            continue;
        }
        home_lock lock{home, state};
        if (!still(at)) return false;
        if (frozen_.load_seq_cst() != 0) {
            lock.release();
            while (frozen_.load() != 0) p.wait();
            continue;
        }
        bool again = false;
        const unsigned farthest = distance_of(state);
        for (unsigned d = 0; d <= farthest && !again; ++d) {
            group_type& g = at.groups[(i + d) & (groups - 1)];
            std::uint64_t there = lock.state;
            if (d != 0) {
                there = g.state.load();
                if ((there & locked_bit) != 0 || !g.state.lock(there, there | locked_bit)) {
                    again = true;
                    break;
                }
            }
            home_lock other{g, there};
            if (d == 0) other.held = false;
            std::uint64_t& its_state = d == 0 ? lock.state : other.state;
            for (std::uint64_t m = match_occupied(g.tags.load()); m != 0; m &= m - 1) {
                const unsigned s = lowest(m);
                std::uint64_t words[W];
                for (unsigned w = 0; w < W; ++w) words[w] = g.slots[s].words[w].load();
                const std::uint64_t hash = rehash_(words);
                if (home_of(hash, at.name.log_groups()) != i) continue;
                if (each(g.slots[s], its_state, g) == verdict::keep) continue;
                g.tags.store(with_tag(g.tags.load(), s, 0));
                its_state += one_version;
                // Visible at once, not only when the group is unlocked: the next each() may free
                // the node, and a reader that has just protected it must find out.
                g.state.store(its_state | locked_bit);
                entries_.add(-1);
                ++erased;
                if (d != 0) {
                    const unsigned left = displaced_of(lock.state);
                    if (left < many_displaced) {
                        lock.state = with_displaced(lock.state, left - 1,
                                                    left == 1 ? 0 : distance_of(lock.state));
                        if (left == 1) {
                            home.tags.store(home.tags.load() & ~(std::uint64_t{0xff} << 56));
                        }
                    }
                }
            }
        }
        if (again) {
            lock.release();
            p.wait();
            continue;
        }
        ++i;
    }
    return true;
}

template <unsigned W, class R, unsigned L>
template <class Each>
void table<W, R, L>::write_spilled(const place& at, std::uint64_t pattern, Each& each,
                                   std::uint64_t& erased) {
    const std::uint64_t mask = ~(~std::uint64_t{0} << at.name.depth());
    for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
        for (;;) {
            const std::uint64_t hash = n->hash.load(), live = n->live.load();
            if ((live & spilled_live) == 0 || ((hash ^ pattern) & mask) != 0) break;
            const place there = locate(hash);
            group_type& home = there.groups[there.home];
            const std::uint64_t state = home.state.load();
            patience p;
            if ((state & locked_bit) != 0 || !home.state.lock(state, state | locked_bit)) {
                p.wait();
                continue;
            }
            home_lock lock{home, state};
            if (!still(there) || n->live.load() != live || frozen_.load_seq_cst() != 0) continue;
            if (found_spilled(n, each, live).what == verdict::erase) {
                n->live.store(freed(live));
                entries_.add(-1);
                ++erased;
            }
            break;
        }
    }
}

template <unsigned W, class R, unsigned L>
void table<W, R, L>::release_all() noexcept {
    std::uint64_t from = 0;
    do {
        const place at = locate(reversed(from));
        const unsigned depth = at.name.depth();
        if (at.groups != nothing()) {
            const std::size_t groups = std::size_t{1} << at.name.log_groups();
            // Nobody uses this table, but who comes late from another one may have a lock for a
            // moment (S3). In a forked child it may be held by a thread that is not there: then
            // the segment is left alone.
            unsigned turns = 0;
            patience p;
            for (std::size_t i = 0; i < groups && turns < 2000;) {
                word& state = at.groups[i].state;
                const std::uint64_t s = state.load();
                if ((s & locked_bit) == 0 && state.lock(s, s | locked_bit)) {
                    ++i;
                } else {
                    p.wait();
                    ++turns;
                }
            }
            if (turns < 2000) {
                give_segment(at.groups, at.name.log_groups());
            } else {
                segment_bytes_.fetch_sub(pool_type::size_of(at.name.log_groups()),
                                         std::memory_order_relaxed);
            }
        }
        if (depth == 0) break;
        const std::uint64_t span = std::uint64_t{1} << (64 - depth);
        from = (from & ~(span - 1)) + span;
    } while (from != 0);
    first_entry_[0].store(nothing_name());
    directory_.store(reinterpret_cast<std::uint64_t>(first_entry_));
    while (directories_ != nullptr) {
        old_directory* d = directories_;
        directories_ = d->next;
        const std::size_t size = d->bytes;
        directory_bytes_.fetch_sub(size, std::memory_order_relaxed);
        if (size >= 128 * 1024) {
            (void)os::unmap_plain(d, bytes{(size + 4095) & ~std::size_t{4095}});
        } else {
            ::operator delete (static_cast<void*>(d), std::align_val_t{64});
        }
    }
    next_directory_ = nullptr;
    copied_ = 0;
    for (spilled_node* n = first_spilled(); n != nullptr;) {
        spilled_node* next = n->next_spilled();
        delete n;
        n = next;
    }
    spilled_list_.store(0);
    entries_.clear();
    other_bytes_.store(0, std::memory_order_relaxed);
}

}  // namespace steady::concurrent_detail
