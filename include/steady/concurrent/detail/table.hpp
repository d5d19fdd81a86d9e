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
#include "steady/concurrent/detail/striped_count.hpp"
#include "steady/core/check.hpp"
#include "steady/core/hooks.hpp"

namespace steady::concurrent_detail {

enum class probe : std::uint8_t { no, yes, again };
enum class verdict : std::uint8_t { keep, erase };

/// What is to become of an entry that was found, and a word that write() returns.
struct change {
    verdict what;
    std::uint64_t word;
    constexpr change(verdict v, std::uint64_t w = 0) noexcept : what{v}, word{w} {}  // NOLINT
};

/// What a look at a slot says: yes, with a word of what is there; small enough for registers.
struct sight {
    std::uint64_t word;
    probe what;
};

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
    /// Look       is copied, so that what it holds can stay in registers.
    /// Returns    what the look said that ended the search; probe::no: the key was absent.
    template <class Look>
    [[gnu::always_inline]] sight read(std::uint64_t hash, Look look) const {
        const place at = locate(hash);
        const group_type& g = at.groups[at.home];
        // Four of seven slots are in the second line: both misses at once.
        __builtin_prefetch(reinterpret_cast<const char*>(&g) + 64);
        const std::uint64_t state = g.state.load();
        const std::uint64_t tags = g.tags.load();
        const auto valid = [&]() noexcept {
            return ((g.state.load() ^ state) & ~locked_bit) == 0 && still(at);
        };
        if (Words == 2 || (state & window_bit) == 0) [[likely]] {
            if (const std::uint64_t m = match(tags, tag_of(hash)); m != 0) [[likely]] {
                const sight s = look(g.first_of(m), valid);
                if (s.what == probe::yes) [[likely]]
                    return s;
            } else if ((tags & filter_bit(hash)) == 0 && (state & spilled_bit) == 0) {
                if (valid()) [[likely]]
                    return {0, probe::no};
            }
        }
        return read_slowly(hash, look);
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
    /// found      returns keep or erase, and perhaps a word
    /// absent     returns true when the words are to be inserted
    /// All three are copied, so that what they hold can stay in registers.
    ///
    /// Returns    yes with found's word; no: the key was absent.
    /// Throws     std::bad_alloc when the table has to grow and cannot.
    template <class Same, class Found, class Absent>
    [[gnu::always_inline]] sight write(std::uint64_t hash, Same same, Found found, Absent absent) {
        {
            const place at = locate(hash);
            group_type& home = at.groups[at.home];
            prefetch_to_write(&home);
            prefetch_to_write(reinterpret_cast<char*>(&home) + 64);
            const std::uint64_t state = home.state.load();
            if ((state & locked_bit) == 0 && home.state.lock(state, state | locked_bit))
                [[likely]] {
                home_lock lock{home, state};
                const std::uint64_t tags = home.tags.load();
                if (still(at) && frozen_.load_seq_cst() == 0) [[likely]] {
                    for (std::uint64_t m = match(tags, tag_of(hash)); m != 0; m &= m - 1) {
                        slot_type& slot = home.first_of(m);
                        if (!same(slot)) continue;
                        const change c = found(slot, lock.state, home);
                        if (c.what == verdict::erase && !erase_at_home(lock, tags, lowest(m))) {
                            lock.release();
                            look_for_shrinking(hash, at);
                        }
                        return {c.word, probe::yes};
                    }
                    if ((tags & filter_bit(hash)) == 0 && (state & spilled_bit) == 0) [[likely]] {
                        if constexpr (std::is_same_v<std::decay_t<Absent>, never>) {
                            return {0, probe::no};
                        } else if (const std::uint64_t empty = match_empty(tags); empty != 0) {
                            insert_at_home(hash, home, tags, empty, absent);
                            return {0, probe::no};
                        }
                    }
                }
            }
        }
        return write_slowly(hash, same, found, absent);
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
                               Take&& take, EndGroup&& end_group) const;
    /// Calls each(slot, state) for every entry, under its group's lock; it returns keep or erase.
    /// An entry may be seen twice when its segment is split meanwhile.
    template <class Each>
    std::uint64_t write_all(Each&& each);
    /// Stops all writers, waits for those that are at work, and calls f().
    template <class F>
    auto while_frozen(F&& f);

    // ---- Sizes.

    [[nodiscard]] std::uint64_t size() const noexcept { return entries_.sum(); }
    [[nodiscard]] const table_counters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::uint64_t segment_bytes() const noexcept {
        return segment_bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t directory_bytes() const noexcept {
        return directory_bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t other_bytes() const noexcept {
        return other_bytes_.load(std::memory_order_relaxed) + entries_.bytes();
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
    struct old_directory {
        old_directory* next;
        std::size_t bytes;
    };

    /// An empty map's segment: nobody can lock it.
    alignas(segment_alignment) static inline group_type nothing_[2] = {
        {word{locked_bit}, word{0}, {}}, {word{locked_bit}, word{0}, {}}};
    [[nodiscard]] static group_type* nothing() noexcept { return nothing_; }
    [[nodiscard]] static std::uint64_t nothing_name() noexcept {
        return segment_name::of<Words>(nothing_, 1, 0).raw;
    }

    [[nodiscard]] spilled_node* first_spilled() const noexcept {
        return reinterpret_cast<spilled_node*>(spilled_list_.load());
    }

    /// Returns    false when the group is empty now.
    [[gnu::always_inline]] bool erase_at_home(home_lock& lock, std::uint64_t tags,
                                              unsigned slot) noexcept {
        const std::uint64_t left = with_tag(tags, slot, 0);
        lock.g.tags.store(left);
        lock.state += one_version;
        entries_.add(-1);
        return left << 8 != 0;
    }
    template <class Absent>
    [[gnu::always_inline]] void insert_at_home(std::uint64_t hash, group_type& home,
                                               std::uint64_t tags, std::uint64_t empty,
                                               Absent& absent) {
        std::uint64_t words[Words];
        if (!absent(words)) return;
        slot_type& slot = home.first_of(empty);
        for (unsigned w = 0; w < Words; ++w) slot.words[w].store(words[w]);
        home.tags.store(with_tag(tags, lowest(empty), tag_of(hash)));
        entries_.add(+1);
    }
    // ---- When the home group does not decide. See elsewhere.hpp.

    template <class Look>
    [[gnu::noinline]] sight read_slowly(std::uint64_t hash, Look look) const;
    template <class Same, class Found, class Absent>
    [[gnu::noinline]] sight write_slowly(std::uint64_t hash, Same same, Found found, Absent absent);
    template <class Look>
    sight read_elsewhere(std::uint64_t hash, const place& at, std::uint64_t state,
                         Look& look) const;
    template <class Same, class Found>
    [[gnu::noinline]] sight write_elsewhere(std::uint64_t hash, const place& at, home_lock& lock,
                                            Same& same, Found& found);
    template <class Found>
    change found_spilled(spilled_node* n, Found& found, std::uint64_t live);
    template <class Same>
    bool contains_locked(std::uint64_t hash, const place& at, std::uint64_t state, Same& same);
    template <class Absent>
    [[gnu::noinline]] probe insert_displaced(std::uint64_t hash, const place& at, home_lock& lock,
                                             Absent& absent);
    template <class Absent>
    void spill(std::uint64_t hash, home_lock& lock, Absent& absent);

    // ---- Growing. See grow.hpp.

    bool grow(const place& seen, std::uint64_t hash);
    bool lock_segment(const place& at) noexcept;
    static void unlock_groups(group_type* groups, std::size_t count) noexcept;
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

    // Read by everybody, changed rarely.
    alignas(64) word directory_;  // address of the entries | log2 of their number
    word frozen_;
    word spilled_list_;
    Rehash rehash_;
    striped_count entries_;
    alignas(64) word first_entry_[1];
    // Changed by everybody who grows.
    alignas(64) rare_lock directory_lock_, spill_lock_, freezers_;
    word* next_directory_ = nullptr;  // all under directory_lock_
    unsigned next_bits_ = 0;
    std::size_t copied_ = 0;
    old_directory* directories_ = nullptr;
    std::atomic<std::uint64_t> segment_bytes_{0}, directory_bytes_{0}, other_bytes_{0};
    table_counters counters_;
};

}  // namespace steady::concurrent_detail

#include "steady/concurrent/detail/directory.hpp"
#include "steady/concurrent/detail/elsewhere.hpp"
#include "steady/concurrent/detail/grow.hpp"
#include "steady/concurrent/detail/shrink.hpp"
#include "steady/concurrent/detail/walk.hpp"
