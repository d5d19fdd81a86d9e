// grow.hpp - how a table (table.hpp) becomes larger, one segment at a time; shrink.hpp has the
// other direction.
//
//   resize   one segment of 2^n groups -> one of 2^(n+1), or back      while the table is small
//   split    one full segment -> two, by the next bit of the hash
//   merge    two that are together two fifths full -> one
//
// All three are: take new segments (may fail: nothing has changed), lock the old groups,
// copy, change the directory, unlock the new groups. A segment that is left behind goes to
// the pool at once, its groups still locked (S2, S3 in segment.hpp): there is no garbage.
//
// Invariants
//   W1  A split cannot fail after it has begun: in the worst case each entry goes into the
//       group of the same number as before, where there is room because its old neighbours
//       are all there were.
//   W2  A directory is published complete. The next one is filled ahead, and until then
//       each change is made in both.

#pragma once

#include <algorithm>
#include <cstring>

#include "steady/concurrent/detail/table.hpp"

namespace steady::concurrent_detail {

inline std::atomic<std::uint64_t> fresh_versions{1};

template <unsigned W, class R, unsigned L>
auto table<W, R, L>::take_segment(unsigned log_groups) -> group_type* {
    group_type* s = pool_type::of_process().take(log_groups);
    if (s == nullptr) throw std::bad_alloc();
    const std::uint64_t fresh = fresh_versions.fetch_add(1 << 16, std::memory_order_relaxed);
    for (std::size_t i = 0; i < std::size_t{1} << log_groups; ++i) {
        word& state = s[i].state;
        std::uint64_t seen = state.load();
        patience p;
        // Fresh memory is not locked yet.
        while ((seen & locked_bit) == 0 && !state.lock(seen, seen | locked_bit)) {
            p.wait();
            seen = state.load();
        }
        const std::uint64_t version = seen / one_version;
        state.store((version == 0 ? fresh : version + 1) * one_version | locked_bit);
        s[i].tags.store(0);
    }
    segment_bytes_.fetch_add(pool_type::size_of(log_groups), std::memory_order_relaxed);
    return s;
}

template <unsigned W, class R, unsigned L>
void table<W, R, L>::give_segment(group_type* groups, unsigned log_groups) noexcept {
    segment_bytes_.fetch_sub(pool_type::size_of(log_groups), std::memory_order_relaxed);
    pool_type::of_process().give(groups, log_groups);
}

template <unsigned W, class R, unsigned L>
void table<W, R, L>::unlock_groups(group_type* groups, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        groups[i].state.store(groups[i].state.load() & ~locked_bit);
    }
}

/// Returns    false when the segment is no longer what `at` says; nothing is locked then.
template <unsigned W, class R, unsigned L>
bool table<W, R, L>::lock_segment(const place& at) noexcept {
    const std::size_t groups = std::size_t{1} << at.name.log_groups();
    patience p;
    for (std::size_t i = 0; i < groups; ++i) {
        // All misses at once: one after the other they would be half of a split's time.
        prefetch_to_write(&at.groups[i]);
        prefetch_to_write(reinterpret_cast<const char*>(&at.groups[i]) + 64);
    }
    for (std::size_t i = 0; i < groups;) {
        const std::uint64_t s = at.groups[i].state.load();
        if ((s & locked_bit) == 0 && at.groups[i].state.lock(s, s | locked_bit)) {
            ++i;
            if (i > 1) continue;
            // With one group locked the segment stays what it is.
            if (still(at) && frozen_.load_seq_cst() == 0) continue;
            unlock_groups(at.groups, 1);
            return false;
        }
        if (i == 0 && !still(at)) return false;
        p.wait();
    }
    // The directory may have doubled meanwhile; its new entry is the same then.
    return true;
}

/// Puts a slot into a segment that nobody else sees.
template <unsigned W, class R, unsigned L>
bool table<W, R, L>::put(group_type* to, unsigned log_groups, std::uint64_t hash,
                         const slot_type& from, std::size_t) noexcept {
    const std::size_t mask = (std::size_t{1} << log_groups) - 1;
    const std::size_t home = home_of(hash, log_groups);
    const std::size_t farthest = std::min<std::size_t>(reach, mask + 1);
    for (std::size_t d = 0; d < farthest; ++d) {
        group_type& g = to[(home + d) & mask];
        const std::uint64_t tags = g.tags.load();
        const std::uint64_t empty = match_empty(tags);
        if (empty == 0) continue;
        const unsigned i = lowest(empty);
        for (unsigned w = 0; w < W; ++w) g.slots[i].words[w].store(from.words[w].load());
        g.tags.store(with_tag(tags, i, tag_of(hash)));
        if (d != 0) {
            group_type& h = to[home];
            const std::uint64_t s = h.state.load();
            const unsigned now = displaced_of(s);
            h.state.store(with_displaced(s, now + (now < many_displaced),
                                         std::max(static_cast<unsigned>(d), distance_of(s))));
            h.tags.store(h.tags.load() | filter_bit(hash));
        }
        return true;
    }
    return false;
}

/// Copies all entries of a locked segment to where choose(hash) says: first those at home,
/// then the displaced ones, which come nearer to home that way.
template <unsigned W, class R, unsigned L>
template <class Choose>
bool table<W, R, L>::distribute(group_type* from, unsigned from_log, unsigned to_log,
                                Choose&& choose, std::uint64_t& moved) noexcept {
    const std::size_t groups = std::size_t{1} << from_log;
    std::uint16_t displaced[most_entries];
    std::size_t left = 0;
    for (std::size_t i = 0; i < groups; ++i) {
        const std::uint64_t tags = from[i].tags.load();
        for (std::uint64_t m = match_occupied(tags); m != 0; m &= m - 1) {
            const unsigned s = lowest(m);
            std::uint64_t words[W];
            for (unsigned w = 0; w < W; ++w) words[w] = from[i].slots[s].words[w].load();
            const std::uint64_t hash = rehash_(words);
            if (home_of(hash, from_log) != i) {
                displaced[left++] = static_cast<std::uint16_t>(i * 8 + s);
                continue;
            }
            if (!put(choose(hash), to_log, hash, from[i].slots[s], 0)) return false;
            ++moved;
        }
        if (const std::uint64_t flag = from[i].state.load() & spilled_bit) {
            // Every home that this one becomes part of, or falls into, may have spilled entries.
            const std::size_t first =
                to_log >= from_log ? i << (to_log - from_log) : i >> (from_log - to_log);
            const std::size_t last =
                to_log >= from_log ? first + (std::size_t{1} << (to_log - from_log)) : first + 1;
            for (std::size_t k = first; k < last; ++k) {
                for (const std::uint64_t bit : {std::uint64_t{0}, ~std::uint64_t{0}}) {
                    word& state = choose(bit)[k].state;
                    state.store(state.load() | flag);
                }
            }
        }
    }
    for (std::size_t k = 0; k < left; ++k) {
        const slot_type& slot = from[displaced[k] / 8].slots[displaced[k] % 8];
        std::uint64_t words[W];
        for (unsigned w = 0; w < W; ++w) words[w] = slot.words[w].load();
        const std::uint64_t hash = rehash_(words);
        if (!put(choose(hash), to_log, hash, slot, 0)) return false;
        ++moved;
    }
    return true;
}

template <unsigned W, class R, unsigned L>
std::uint64_t table<W, R, L>::count_entries(group_type* groups,
                                            unsigned log_groups) const noexcept {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < std::size_t{1} << log_groups; ++i) {
        n += static_cast<unsigned>(std::popcount(match_occupied(groups[i].tags.load())));
    }
    return n;
}

/// Makes room for one more entry with this hash.
///
/// Returns    false when a split would not help or has to wait for the directory.
/// Throws     std::bad_alloc; nothing has changed.
template <unsigned W, class R, unsigned L>
[[gnu::noinline]] bool table<W, R, L>::grow(const place& seen, std::uint64_t hash) {
    const bool listened = growth_hook.armed();
    const std::uint64_t start = listened ? now() : 0;
    const std::uint64_t before = segment_bytes();
    if (seen.groups == nothing()) {
        group_type* first = take_segment(first_log);
        bool published = false;
        {
            const holding<rare_lock> only{directory_lock_};
            word& entry = *const_cast<word*>(seen.entry);
            if (entry.load() == nothing_name()) {
                entry.store(segment_name::of<W>(first, first_log, 0).raw);
                published = true;
            }
        }
        if (published) {
            unlock_groups(first, std::size_t{1} << first_log);
            if (listened) announce(0, 1, before, start);
        } else {
            give_segment(first, first_log);
        }
        return true;
    }

    const unsigned log_groups = seen.name.log_groups(), depth = seen.name.depth();
    const std::size_t groups = std::size_t{1} << log_groups;
    const std::uint64_t slots = groups * slots_per_group;
    const std::uint64_t pattern = hash & ~(~std::uint64_t{0} << depth);
    std::uint64_t moved = 0;

    if (log_groups < L) {
        for (unsigned wanted = log_groups + 1; wanted <= L; ++wanted) {
            group_type* larger = take_segment(wanted);
            if (!lock_segment(seen)) {
                give_segment(larger, wanted);
                return true;
            }
            moved = 0;
            if (distribute(
                    seen.groups, log_groups, wanted, [&](std::uint64_t) { return larger; },
                    moved)) {
                const std::uint64_t name = segment_name::of<W>(larger, wanted, depth).raw;
                publish(pattern, depth, name, name);
                unlock_groups(larger, std::size_t{1} << wanted);
                give_segment(seen.groups, log_groups);
                counters_.resizes.fetch_add(1, std::memory_order_relaxed);
                announce(moved, pool_type::size_of(wanted) / 4096 + 1, before, start);
                return true;
            }
            unlock_groups(seen.groups, groups);
            give_segment(larger, wanted);
        }
        return false;
    }

    if (depth >= deepest || count_entries(seen.groups, log_groups) * 2 < slots) return false;
    if (!room_in_directory(depth + 1)) return false;
    entries_.make_stripes();
    group_type* child[2] = {take_segment(L), nullptr};
    try {
        child[1] = take_segment(L);
    } catch (...) {
        give_segment(child[0], L);
        throw;
    }
    place now_there = locate(hash);
    if (now_there.name.raw != seen.name.raw || !lock_segment(now_there)) {
        give_segment(child[0], L);
        give_segment(child[1], L);
        return true;
    }
    const auto choose = [&](std::uint64_t h) { return child[h >> depth & 1]; };
    if (!distribute(seen.groups, L, L, choose, moved)) [[unlikely]] {
        // W1: all entries keep the number of their group.
        moved = 0;
        for (group_type* c : child) {
            for (std::size_t i = 0; i < groups; ++i) {
                c[i].tags.store(0);
                const std::uint64_t flag = seen.groups[i].state.load() & spilled_bit;
                c[i].state.store(with_displaced(c[i].state.load(), 0, 0) | flag);
            }
        }
        for (std::size_t i = 0; i < groups; ++i) {
            const std::uint64_t tags = seen.groups[i].tags.load();
            for (std::uint64_t m = match_occupied(tags); m != 0; m &= m - 1) {
                const slot_type& from = seen.groups[i].slots[lowest(m)];
                std::uint64_t words[W];
                for (unsigned w = 0; w < W; ++w) words[w] = from.words[w].load();
                const std::uint64_t h = rehash_(words);
                group_type* c = choose(h);
                const unsigned s = lowest(match_empty(c[i].tags.load()));
                for (unsigned w = 0; w < W; ++w) c[i].slots[s].words[w].store(words[w]);
                c[i].tags.store(with_tag(c[i].tags.load(), s, tag_of(h)));
                const std::size_t home = home_of(h, L);
                if (home != i) {
                    const std::uint64_t st = c[home].state.load();
                    const unsigned n = displaced_of(st);
                    c[home].state.store(
                        with_displaced(st, n + (n < many_displaced),
                                       std::max(static_cast<unsigned>((i - home) & (groups - 1)),
                                                distance_of(st))));
                    c[home].tags.store(c[home].tags.load() | filter_bit(h));
                }
                ++moved;
            }
        }
    }
    publish(pattern, depth + 1, segment_name::of<W>(child[0], L, depth + 1).raw,
            segment_name::of<W>(child[1], L, depth + 1).raw);
    unlock_groups(child[0], groups);
    unlock_groups(child[1], groups);
    give_segment(seen.groups, L);
    counters_.splits.fetch_add(1, std::memory_order_relaxed);
    announce(moved, 2 * pool_type::size_of(L) / 4096, before, start);
    return true;
}

template <unsigned W, class R, unsigned L>
void table<W, R, L>::announce(std::uint64_t moved, std::uint64_t pages, std::uint64_t before,
                              std::uint64_t start) noexcept {
    counters_.moved.fetch_add(moved, std::memory_order_relaxed);
    std::uint64_t most = counters_.most_moved.load(std::memory_order_relaxed);
    while (moved > most && !counters_.most_moved.compare_exchange_weak(most, moved)) {
    }
    STEADY_ASSERT(1, moved <= most_entries, "C4: a step moved more than a segment's entries");
    if (growth_hook.armed()) {
        growth_hook.announce({this, "concurrent_map", moved, pages, before, segment_bytes(),
                              start == 0 ? 0 : now() - start});
    }
}

}  // namespace steady::concurrent_detail
