// table.hpp - the concurrent hash table without types: slots of 64-bit words, found by a
// 64-bit hash, growing one segment at a time.
//
//   directory (2^bits entries)         segments of 2^n groups
//   | 00 | 01 | 10 | 11 |
//     |    |    |    +------------->   depth 2: hashes that end in 11
//     |    +----|------------------>   depth 2: hashes that end in 01
//     +----+----+ (both)         --->  depth 1: hashes that end in 0
//
// A table starts with one segment of 4 groups, which doubles until it has 128. From then on
// a full segment is split in two (by the next bit of the hash), and only that one: 896
// entries at most. The directory doubles by copying it ahead, a few entries with each split.
//
//   read     directory, entry, group; then: is the state of the group the same, and the
//            entry? Otherwise again. Writes nothing, waits for nobody.
//   write    the same way to the home group; lock it; is the entry still the same? Then the
//            segment is alive as long as the lock is held.
//   split    lock all groups of the segment in ascending order, copy, change the entries,
//            unlock the new groups. The old ones stay locked for ever: whoever waits for one
//            sees that the entry has changed.
//
// Invariants (tests/concurrent)
//   C1  An entry of the directory that refers to a segment changes only while all groups of
//       that segment are locked, and under directory_lock_.
//   C2  An entry stands in its home group or at most `distance` groups behind it, with the
//       filter bit set at home; or it is spilled, with the spilled bit set at home. It never
//       moves within a segment.
//   C3  Who holds a group's lock takes another one only by trying. Who splits takes them in
//       ascending order, holding none; who merges, one segment after the other.
//   C4  No step moves more than 2^LargestLog * 7 entries.
//
// Why a read is linearizable: word `tags` of the home group is one load, so what it says
// about the home group was true at one instant. A hit is checked (S1 in segment.hpp). A miss
// that also looked at displaced places is right because entries do not move: a key that was
// absent from the home at first and absent from its other place later was, if it went from
// there to home meanwhile, absent in between. A segment that has been split is not changed
// any more until the entry has changed, which the reader would see.
//
// Spilling: when a key finds no room in a segment that is less than half full (its hash is
// bad: many keys with one home), or the directory cannot double yet, the entry goes to a
// list of the whole table. Correct for any hash, slow for bad ones.

#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <time.h>
#include <utility>

#include "steady/concurrent/detail/segment.hpp"
#include "steady/concurrent/detail/thread_index.hpp"
#include "steady/core/check.hpp"
#include "steady/core/hooks.hpp"

namespace steady::concurrent_detail {

enum class probe : std::uint8_t { no, yes, again };
enum class verdict : std::uint8_t { keep, erase };

/// Counted for tests and for stats().
struct table_counters {
    std::atomic<std::uint64_t> splits{0}, merges{0}, resizes{0}, moved{0}, most_moved{0},
        spilled{0}, doublings{0};
};

/// Rehash   how a split learns a slot's hash: static uint64_t of(words, seed) noexcept.
template <unsigned Words, class Rehash, unsigned LargestLog = 7>
class table {
public:
    using group_type = group<Words>;
    using slot_type = typename group_type::slot;
    using pool_type = segment_pool<Words, LargestLog>;
    static constexpr std::uint64_t most_entries = std::uint64_t{slots_per_group} << LargestLog;
    static constexpr unsigned first_log = LargestLog < 2 ? LargestLog : 2;
    static constexpr unsigned deepest = 44;  // bits of the hash below the filter's

    explicit table(Rehash rehash) noexcept : rehash_(rehash) {
        first_entry_[0].store(nothing_name());
        directory_.store(reinterpret_cast<std::uint64_t>(first_entry_));
    }
    table(const table&) = delete;
    table& operator=(const table&) = delete;
    ~table() { release_all(); }

    // ---- Where a hash leads.

    struct place {
        std::uint64_t directory;
        const word* entry;
        segment_name name;
        group_type* groups;
        std::size_t home;

        [[nodiscard]] group_type& group_at(std::size_t distance) const noexcept {
            const std::size_t mask = (std::size_t{1} << name.log_groups()) - 1;
            return groups[(home + distance) & mask];
        }
    };

    [[nodiscard, gnu::always_inline]] place locate(std::uint64_t hash) const noexcept {
        place at;
        at.directory = directory_.load();
        const std::uint64_t index = hash & ~(~std::uint64_t{0} << (at.directory & 63));
        at.entry = reinterpret_cast<const word*>(at.directory & ~std::uint64_t{63}) + index;
        at.name = {at.entry->load()};
        at.groups = at.name.template groups<Words>();
        at.home = home_of(hash, at.name.log_groups());
        return at;
    }
    [[nodiscard, gnu::always_inline]] bool still(const place& at) const noexcept {
        return at.entry->load() == at.name.raw && directory_.load() == at.directory;
    }

    // ---- Reading.

    /// Calls look(slot, valid) for the slots that may hold this hash until it says yes, or
    /// again because valid() was false.
    ///
    /// Returns    true after a yes; false: the key was absent.
    template <class Look>
    [[gnu::always_inline]] bool read(std::uint64_t hash, Look&& look) const {
        const std::uint64_t tag = tag_of(hash);
        patience for_window;
        for (;;) {
            const place at = locate(hash);
            const group_type& g = at.groups[at.home];
            // Four of seven slots are in the second line: both misses at once.
            __builtin_prefetch(reinterpret_cast<const char*>(&g) + 64);
            const std::uint64_t state = g.state.load();
            if constexpr (Words > 2) {
                if (state & window_bit) [[unlikely]] {
                    for_window.wait();
                    continue;
                }
            }
            const std::uint64_t tags = g.tags.load();
            const auto valid = [&]() noexcept {
                return ((g.state.load() ^ state) & ~locked_bit) == 0 && still(at);
            };
            bool stale = false;
            for (std::uint64_t m = match(tags, tag); m != 0; m &= m - 1) {
                const probe p = look(g.slots[lowest(m)], valid);
                if (p == probe::yes) return true;
                if (p == probe::again) {
                    stale = true;
                    break;
                }
            }
            if (stale) [[unlikely]]
                continue;
            if ((tags & filter_bit(hash)) == 0 && (state & spilled_bit) == 0) [[likely]] {
                if (valid()) [[likely]]
                    return false;
                continue;
            }
            const probe p = read_elsewhere(hash, at, state, look);
            if (p == probe::yes) return true;
            if (p == probe::no && valid()) return false;
            if constexpr (Words > 2) {
                if (p == probe::again) for_window.wait();
            }
        }
    }

    [[gnu::always_inline]] void prefetch_entry(std::uint64_t hash) const noexcept {
        const std::uint64_t d = directory_.load();
        const std::uint64_t index = hash & ~(~std::uint64_t{0} << (d & 63));
        __builtin_prefetch(reinterpret_cast<const word*>(d & ~std::uint64_t{63}) + index);
    }
    [[gnu::always_inline]] void prefetch_group(std::uint64_t hash) const noexcept {
        const place at = locate(hash);
        __builtin_prefetch(&at.groups[at.home]);
        __builtin_prefetch(reinterpret_cast<const char*>(&at.groups[at.home]) + 64);
    }

    // ---- Writing.

    /// Calls found(slot, state) with the key's slot under its lock, or absent(words) to get
    /// the words of a new one. `same(slot)` compares; all three may throw, and nothing has
    /// changed then.
    ///
    /// found      returns keep or erase
    /// absent     returns true when the words are to be inserted
    /// Returns    true when the key was there.
    /// Throws     std::bad_alloc when the table has to grow and cannot.
    template <class Same, class Found, class Absent>
    bool write(std::uint64_t hash, Same&& same, Found&& found, Absent&& absent) {
        const std::uint64_t tag = tag_of(hash);
        patience p;
        for (;;) {
            place at = locate(hash);
            if (at.groups == nothing()) [[unlikely]] {
                if constexpr (std::is_same_v<std::decay_t<Absent>, never>) return false;
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
                const unsigned i = lowest(m);
                if ((tags >> (8 * i) & 0xff) != tag || !same(home.slots[i])) continue;
                if (found(home.slots[i], lock.state, home) == verdict::erase) {
                    home.tags.store(with_tag(tags, i, 0));
                    lock.state += one_version;
                    count(-1);
                    if (with_tag(tags, i, 0) << 8 == 0) {
                        lock.release();
                        look_for_shrinking(hash, at);
                    }
                }
                return true;
            }
            if ((tags & filter_bit(hash)) != 0 || (state & spilled_bit) != 0) [[unlikely]] {
                const probe done = write_elsewhere(hash, at, lock, same, found);
                if (done == probe::yes) return true;
                if (done == probe::again) {
                    lock.release();
                    p.wait();
                    continue;
                }
            }
            if constexpr (std::is_same_v<std::decay_t<Absent>, never>) {
                return false;
            } else {
                if (const std::uint64_t empty = match_empty(tags); empty != 0) [[likely]] {
                    const unsigned i = lowest(empty);
                    std::uint64_t words[Words];
                    if (!absent(words)) return false;
                    for (unsigned w = 0; w < Words; ++w) home.slots[i].words[w].store(words[w]);
                    home.tags.store(with_tag(tags, i, tag));
                    count(+1);
                    return false;
                }
                switch (insert_displaced(hash, at, lock, absent)) {
                    case probe::yes: return false;
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
                return false;
            }
        }
    }

    /// For write(): nothing is inserted.
    struct never {
        bool operator()(std::uint64_t*) const noexcept { return false; }
    };

    // ---- All entries.

    /// One segment's slots, copied at one instant each: see scan().
    struct copied_slot {
        std::uint64_t words[Words];
        std::uint64_t hash;
    };
    static std::uint64_t reversed(std::uint64_t x) noexcept {
        x = __builtin_bswap64(x);
        x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
        x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
        return (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
    }

    /// Visits the groups of the segment that holds the reversed hash `from`, and tells where
    /// the next one begins (0: that was the last).
    ///
    /// begin()          the segment's groups come now, possibly once more
    /// take(slot, hash, valid)   an occupied slot; returns false to begin the group again
    /// end_group(valid) returns false to begin the group again
    /// Only hashes whose reversal is `from` or above are passed on.
    template <class Begin, class BeginGroup, class Take, class EndGroup>
    std::uint64_t scan_segment(std::uint64_t from, Begin&& begin, BeginGroup&& begin_group,
                               Take&& take, EndGroup&& end_group) const {
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
                        for (unsigned w = 0; w < Words; ++w) {
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
                        for (unsigned w = 0; w < Words; ++w) c.words[w] = n->slot.words[w].load();
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

    /// Calls each(slot, state) for every entry, under its group's lock; it returns keep or erase.
    /// An entry may be seen twice when its segment is split meanwhile.
    template <class Each>
    std::uint64_t write_all(Each&& each) {
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

    // ---- Sizes.

    [[nodiscard]] std::uint64_t size() const noexcept {
        std::int64_t sum = static_cast<std::int64_t>(few_.load());
        if (const auto* stripes = stripes_.load(std::memory_order_acquire)) {
            for (unsigned i = 0; i < stripes->count; ++i) {
                sum += static_cast<std::int64_t>(stripes->at(i).load());
            }
        }
        return sum < 0 ? 0 : static_cast<std::uint64_t>(sum);
    }
    /// Stops all writers, waits for those that are at work, and calls f().
    template <class F>
    auto while_frozen(F&& f) {
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

    [[nodiscard]] const table_counters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::uint64_t segment_bytes() const noexcept {
        return segment_bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t directory_bytes() const noexcept {
        return directory_bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t other_bytes() const noexcept {
        return other_bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] unsigned directory_bits() const noexcept { return directory_.load() & 63; }
    [[nodiscard]] const Rehash& rehash() const noexcept { return rehash_; }

    /// Forgets all entries. Nobody else uses the table. The words are not destroyed.
    void release_all() noexcept;

    /// Replaces a value of several words; call with the home's lock held and the group the
    /// slot stands in.
    static void store_in_window(group_type& g, slot_type& s, unsigned first,
                                const std::uint64_t* values, unsigned count,
                                std::uint64_t& state) noexcept {
        g.state.store(state | locked_bit | window_bit);
        for (unsigned w = 0; w < count; ++w) s.words[first + w].store(values[w]);
        state += one_version;
    }

private:
    struct home_lock {
        group_type& g;
        std::uint64_t state;  // what unlocking stores
        bool held = true;
        home_lock(group_type& which, std::uint64_t s) noexcept : g{which}, state{s} {}
        ~home_lock() { release(); }
        void release() noexcept {
            if (held) g.state.store(state);
            held = false;
        }
        home_lock(const home_lock&) = delete;
        home_lock& operator=(const home_lock&) = delete;
    };

    struct spilled_node {
        word next;  // never changes once the node is in the list
        word hash;
        word live;  // bit 0: an entry; bit 1: its value is being replaced. Grows with each change.
        slot_type slot;
        [[nodiscard]] spilled_node* next_spilled() const noexcept {
            return reinterpret_cast<spilled_node*>(next.load());
        }
    };
    static constexpr std::uint64_t spilled_live = 1, spilled_window = 2, spilled_version = 4;
    [[nodiscard]] static constexpr std::uint64_t freed(std::uint64_t live) noexcept {
        return (live & ~(spilled_live | spilled_window)) + spilled_version;
    }
    struct counter_stripes {
        unsigned count;
        struct alignas(64) stripe {
            word value;
        };
        stripe* stripes;
        [[nodiscard]] word& at(unsigned i) const noexcept { return stripes[i].value; }
    };
    struct old_directory {
        old_directory* next;
        std::size_t bytes;
    };

    alignas(segment_alignment) static inline group_type nothing_[2];
    [[nodiscard]] static group_type* nothing() noexcept { return nothing_; }
    [[nodiscard]] static std::uint64_t nothing_name() noexcept {
        return segment_name::of<Words>(nothing_, 1, 0).raw;
    }

    [[nodiscard]] spilled_node* first_spilled() const noexcept {
        return reinterpret_cast<spilled_node*>(spilled_list_.load());
    }

    /// The key's other places: read without a lock.
    template <class Look>
    [[gnu::noinline]] probe read_elsewhere(std::uint64_t hash, const place& at, std::uint64_t state,
                                           Look& look) const {
        const std::uint64_t tag = tag_of(hash);
        for (unsigned d = 1; d <= distance_of(state); ++d) {
            const group_type& g = at.group_at(d);
            const std::uint64_t there = g.state.load();
            if constexpr (Words > 2) {
                if (there & window_bit) return probe::again;
            }
            const std::uint64_t tags = g.tags.load();
            const auto valid = [&]() noexcept {
                return ((g.state.load() ^ there) & ~locked_bit) == 0 && still(at);
            };
            for (std::uint64_t m = match(tags, tag); m != 0; m &= m - 1) {
                const probe p = look(g.slots[lowest(m)], valid);
                if (p != probe::no) return p;
            }
        }
        if ((state & spilled_bit) != 0) {
            for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
                const std::uint64_t live = n->live.load();
                if ((live & spilled_live) == 0 || n->hash.load() != hash) continue;
                if ((live & spilled_window) != 0) return probe::again;
                const probe p =
                    look(n->slot, [&]() noexcept { return n->live.load() == live && still(at); });
                if (p != probe::no) return p;
            }
        }
        return probe::no;
    }

    /// The same under the home's lock, with a change.
    template <class Same, class Found>
    [[gnu::noinline]] probe write_elsewhere(std::uint64_t hash, const place& at, home_lock& lock,
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
                    return probe::again;
                }
                home_lock other{g, there};
                if ((g.tags.load() >> (8 * i) & 0xff) != tag || !same(s)) continue;
                if (found(s, other.state, g) == verdict::erase) {
                    g.tags.store(with_tag(g.tags.load(), i, 0));
                    other.state += one_version;
                    count(-1);
                    const unsigned left = displaced_of(lock.state);
                    if (left < many_displaced) {
                        lock.state = with_displaced(lock.state, left - 1,
                                                    left == 1 ? 0 : distance_of(lock.state));
                        if (left == 1) {
                            lock.g.tags.store(lock.g.tags.load() & ~(std::uint64_t{0xff} << 56));
                        }
                    }
                }
                return probe::yes;
            }
        }
        if ((lock.state & spilled_bit) != 0) {
            for (auto* n = first_spilled(); n != nullptr; n = n->next_spilled()) {
                const std::uint64_t live = n->live.load();
                if ((live & spilled_live) == 0 || n->hash.load() != hash || !same(n->slot))
                    continue;
                if (found_spilled(n, found, live) == verdict::erase) {
                    n->live.store(freed(live));
                    count(-1);
                }
                return probe::yes;
            }
        }
        return probe::no;
    }
    template <class Found>
    verdict found_spilled(spilled_node* n, Found& found, std::uint64_t live) {
        if constexpr (Words > 2) {
            group_type copy;
            for (unsigned w = 0; w < Words; ++w) {
                copy.slots[0].words[w].store(n->slot.words[w].load());
            }
            std::uint64_t state = 0;
            const verdict v = found(copy.slots[0], state, copy);
            if (v == verdict::keep) {
                // Still an entry meanwhile: nobody takes the node, readers wait.
                n->live.store(live | spilled_window);
                for (unsigned w = 0; w < Words; ++w) {
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
    template <class Same>
    bool contains_locked(std::uint64_t hash, const place& at, std::uint64_t state, Same& same) {
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

    template <class Absent>
    [[gnu::noinline]] probe insert_displaced(std::uint64_t hash, const place& at, home_lock& lock,
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
            std::uint64_t words[Words];
            if (!absent(words)) return probe::yes;
            const unsigned i = lowest(empty);
            for (unsigned w = 0; w < Words; ++w) g.slots[i].words[w].store(words[w]);
            g.tags.store(with_tag(tags, i, tag_of(hash)));
            lock.g.tags.store(lock.g.tags.load() | filter_bit(hash));
            const unsigned now = displaced_of(lock.state);
            lock.state = with_displaced(lock.state, now + (now < many_displaced),
                                        std::max(d, distance_of(lock.state)));
            // Readers compare states: what is displaced now is part of it, and they look
            // again. The new distance must be visible before the lock is free; it is the
            // same store.
            count(+1);
            return probe::yes;
        }
        return probe::no;
    }

    template <class Absent>
    void spill(std::uint64_t hash, home_lock& lock, Absent& absent) {
        const holding<rare_lock> only{spill_lock_};
        spilled_node* n = first_spilled();
        while (n != nullptr && (n->live.load() & spilled_live) != 0) n = n->next_spilled();
        const bool fresh = n == nullptr;
        if (fresh) {
            if (refuse_allocation()) throw std::bad_alloc();
            n = new spilled_node;
        }
        std::uint64_t words[Words];
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
        for (unsigned w = 0; w < Words; ++w) n->slot.words[w].store(words[w]);
        n->live.store(n->live.load() | spilled_live);
        if (fresh) {
            other_bytes_.fetch_add(sizeof(spilled_node), std::memory_order_relaxed);
            n->next.store(spilled_list_.load());
            spilled_list_.store(reinterpret_cast<std::uint64_t>(n));
        }
        lock.state |= spilled_bit;
        counters_.spilled.fetch_add(1, std::memory_order_relaxed);
        count(+1);
    }

    // ---- Counting: the first 31 threads own a line each; the others share one. While the
    // table has one segment, all share one word.

    [[gnu::always_inline]] void count(std::int64_t by) noexcept {
        const auto* stripes = stripes_.load(std::memory_order_acquire);
        if (stripes == nullptr) {
            few_.fetch_add(static_cast<std::uint64_t>(by));
            return;
        }
        const unsigned me = thread_index();
        if (me + 1 < stripes->count) [[likely]] {
            word& mine = stripes->at(me);
            mine.store(mine.load() + static_cast<std::uint64_t>(by));
        } else {
            stripes->at(stripes->count - 1).fetch_add(static_cast<std::uint64_t>(by));
        }
    }
    void make_stripes() noexcept {
        if (stripes_.load(std::memory_order_acquire) != nullptr) return;
        constexpr unsigned lines = 32;
        auto* s = new (std::nothrow) counter_stripes;
        if (s == nullptr) return;  // all go on sharing one word
        s->count = lines;
        s->stripes = new (std::nothrow) typename counter_stripes::stripe[lines];
        if (s->stripes == nullptr) {
            delete s;
            return;
        }
        // Of two who split at the same time one makes them: what was counted in the other's would
        // be lost.
        counter_stripes* none = nullptr;
        if (!stripes_.compare_exchange_strong(none, s, std::memory_order_acq_rel)) {
            delete[] s->stripes;
            delete s;
            return;
        }
        other_bytes_.fetch_add(sizeof *s + lines * sizeof(typename counter_stripes::stripe),
                               std::memory_order_relaxed);
    }

    // ---- Growing. See grow.hpp.

    bool grow(const place& seen, std::uint64_t hash);
    bool lock_segment(const place& at) noexcept;
    static void unlock_groups(group_type* groups, std::size_t count, bool changed) noexcept;
    group_type* take_segment(unsigned log_groups);
    void give_segment(group_type* groups, unsigned log_groups) noexcept;
    static bool put(group_type* to, unsigned log_groups, std::uint64_t hash, const slot_type& from,
                    std::size_t at_most_before) noexcept;
    template <class Choose>
    bool distribute(group_type* from, unsigned from_log, unsigned to_log, Choose&& choose,
                    std::uint64_t& moved) noexcept;
    bool room_in_directory(unsigned depth);
    void publish(std::uint64_t pattern, unsigned depth, std::uint64_t zero,
                 std::uint64_t one) noexcept;
    void copy_ahead(std::size_t entries) noexcept;
    word* new_directory(unsigned bits);
    std::uint64_t count_entries(group_type* groups, unsigned log_groups) const noexcept;
    void look_for_shrinking(std::uint64_t hash, const place& at) noexcept {
        // An empty group is rare in a segment that is well filled; one group in sixteen looks.
        if ((at.home & 15) == 0) look_for_shrinking_now(hash, at);
    }
    void look_for_shrinking_now(std::uint64_t hash, const place& at) noexcept;
    bool shrink(const place& at) noexcept;
    bool merge(std::uint64_t hash, const place& at) noexcept;
    template <class Each>
    bool write_segment(const place& at, Each& each, std::uint64_t& erased);
    template <class Each>
    void write_spilled(const place& at, std::uint64_t pattern, Each& each, std::uint64_t& erased);
    void announce(std::uint64_t moved, std::uint64_t pages, std::uint64_t before,
                  std::uint64_t start) noexcept;
    [[nodiscard]] static std::uint64_t now() noexcept {
        timespec t{};
        clock_gettime(CLOCK_MONOTONIC, &t);
        return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
               static_cast<std::uint64_t>(t.tv_nsec);
    }

    // Read by everybody, changed rarely: one line.
    alignas(64) word directory_;  // address of the entries | log2 of their number
    word frozen_;
    std::atomic<counter_stripes*> stripes_{nullptr};
    word spilled_list_;
    Rehash rehash_;
    alignas(64) word first_entry_[1];
    // Changed by everybody who grows.
    alignas(64) word few_;
    rare_lock directory_lock_, spill_lock_, freezers_;
    word* next_directory_ = nullptr;  // all under directory_lock_
    unsigned next_bits_ = 0;
    std::size_t copied_ = 0;
    old_directory* directories_ = nullptr;
    std::atomic<std::uint64_t> segment_bytes_{0}, directory_bytes_{0}, other_bytes_{0};
    table_counters counters_;
};

}  // namespace steady::concurrent_detail

#include "steady/concurrent/detail/grow.hpp"
