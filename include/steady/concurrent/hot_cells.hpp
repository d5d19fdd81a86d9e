// hot_cells.hpp - finds the few keys that get most of the writes while the program runs, and
// gives each a place of its own, so that they stop disturbing each other and everybody else.
//
//   every 256th write of a thread   -> its own sketch: 32 counters, Space-Saving
//   every 256 such samples          -> keys with 1/16 of them and more are promoted;
//                                      hot keys with less than 1/64 for two windows cool
//
//   cold   the value is in the map
//   hot    counter:    the value is the map's plus the sum of 16 padded stripes; a thread
//                      adds to its own
//          last value: the value is in a padded cell; the map has the value of before
//
//               promote (under the key's lock in the map)
//         cold ------------------------------------------> open
//           ^                                                |
//           +------- closed <--- all stripes locked, sum put back, closed ---+
//
// Invariants (tests/concurrent/hot_cells_test.cpp)
//   K1  A cell belongs to one key at a time: the key is in the cell and is compared, whatever
//       its hash is.
//   K2  No write is lost or counted twice at a promotion or a demotion.
//   K3  read() is linearizable: it accepts stripes whose versions are all the same before
//       and after, the map's part having been read between.
//   K4  While no key is hot, an operation pays one load and one thread-local countdown.
//
// Cost    hot add: one lock of a line that usually belongs to this processor, 7 ns.
// Source  Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k
//         Elements in Data Streams", ICDT 2005: an element with more than N/32 of N samples
//         is always among the 32, overestimated by at most N/32.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "steady/concurrent/concurrent_map.hpp"

namespace steady {

enum class hot_kind : std::uint8_t { counter, last_value };

struct hot_cells_statistics {
    std::uint64_t promotions = 0, demotions = 0;
    std::uint64_t hot_keys = 0;
    std::uint64_t samples = 0;
};

/// K, V   trivially copyable, at most 8 bytes; V integral for counters.
template <class K, class V = std::int64_t, hot_kind Kind = hot_kind::counter,
          class Hash = map_hash<K>>
class hot_cells {
    static_assert(std::is_trivially_copyable_v<K> && sizeof(K) <= 8 &&
                      std::is_trivially_copyable_v<V> && sizeof(V) <= 8,
                  "hot_cells keeps keys and values in 8-byte words");
    static_assert(std::has_unique_object_representations_v<K>,
                  "hot_cells compares the bytes of keys: no padding, no floating point");
    static_assert(Kind == hot_kind::last_value || std::is_integral_v<V>, "counters are integers");

    using word = concurrent_detail::word;

public:
    static constexpr unsigned cells = 16;
    static constexpr unsigned stripes = 16;
    static constexpr unsigned sample_every = 256;
    static constexpr unsigned window = 256;  // samples of one thread: 65,536 writes
    static constexpr unsigned hot_share = 16, cold_share = 64;

    using map_type = concurrent_map<K, V, Hash>;

    hot_cells() = default;
    hot_cells(const hot_cells&) = delete;
    hot_cells& operator=(const hot_cells&) = delete;

    /// Adds to the key's counter, which begins at 0.
    ///
    /// Throws     std::bad_alloc when the map cannot take a new key.
    /// Threads    any.
    void add(const K& key, V by) requires(Kind == hot_kind::counter) {
        if (hot_keys_.load(std::memory_order_acquire) != 0 && add_hot(key, by)) return sample(key);
        map_.fetch_add(key, by);
        sample(key);
    }
    /// Stores the key's value.
    void store(const K& key, V value) requires(Kind == hot_kind::last_value) {
        for (;;) {
            if (hot_keys_.load(std::memory_order_acquire) != 0 && store_hot(key, value)) break;
            bool became_hot = false;
            map_.insert_or_visit(key, value, [&](V& there) {
                // Under the key's lock, under which it would be promoted (K2).
                if (find_open(key) != nullptr) {
                    became_hot = true;
                } else {
                    there = value;
                }
            });
            if (!became_hot) break;
        }
        sample(key);
    }
    /// Returns    the key's value at one instant of the call.
    [[nodiscard]] std::optional<V> read(const K& key) const {
        concurrent_detail::patience p;
        for (;;) {
            const cell* c = hot_keys_.load(std::memory_order_acquire) == 0 ? nullptr : find(key);
            if (c == nullptr) {
                auto v = map_.find(key);
                // A key promoted between the two is a write that may come after this read.
                return v;
            }
            std::uint64_t states[stripes];
            std::uint64_t sum = 0;
            bool good = true;
            for (unsigned i = 0; i < used_stripes && good; ++i) {
                states[i] = c->parts[i].state.load();
                good = (states[i] & (lock_bit | closed_bit)) == 0;
                sum += c->parts[i].value.load();
            }
            if (good) {
                const auto base = map_.find(key);
                for (unsigned i = 0; i < used_stripes && good; ++i) {
                    good = c->parts[i].state.load() == states[i];
                }
                if (good && c->key.load() == bits(key)) {
                    if constexpr (Kind == hot_kind::last_value) return value_of(sum);
                    return static_cast<V>((base ? *base : V{}) + static_cast<V>(sum));
                }
            } else if (find_open(key) == nullptr && !locked_now(*c)) {
                return map_.find(key);  // closed: the map has it all
            }
            p.wait();
        }
    }
    /// The same without the check: off by writes that run meanwhile, and never waits. During
    /// a demotion it may miss or repeat what is being moved.
    [[nodiscard]] std::optional<V> read_fast(const K& key) const {
        const auto base = map_.find(key);
        const cell* c = hot_keys_.load(std::memory_order_acquire) == 0 ? nullptr : find_open(key);
        if (c == nullptr) return base;
        std::uint64_t sum = 0;
        for (unsigned i = 0; i < used_stripes; ++i) sum += c->parts[i].value.load();
        if constexpr (Kind == hot_kind::last_value) return value_of(sum);
        return static_cast<V>((base ? *base : V{}) + static_cast<V>(sum));
    }

    /// Makes a key hot, whatever the samples say.
    ///
    /// Returns    false when all cells are in use, or the key has no value yet.
    bool promote(const K& key) {
        const concurrent_detail::holding<concurrent_detail::rare_lock> only{control_};
        return promote_locked(key);
    }
    /// Moves a hot key's value back into the map.
    bool demote(const K& key) {
        const concurrent_detail::holding<concurrent_detail::rare_lock> only{control_};
        cell* c = find_open(key);
        if (c == nullptr) return false;
        demote_locked(*c);
        return true;
    }
    /// Demotes all, so that the map alone has the values.
    void cool() {
        const concurrent_detail::holding<concurrent_detail::rare_lock> only{control_};
        for (cell& c : cells_) {
            if (c.open.load() != 0) demote_locked(c);
        }
    }
    [[nodiscard]] bool is_hot(const K& key) const noexcept { return find_open(key) != nullptr; }

    /// The map with the cold values (of hot counters: a part).
    [[nodiscard]] map_type& map() noexcept { return map_; }
    [[nodiscard]] hot_cells_statistics stats() const noexcept {
        return {
            promotions_.load(std::memory_order_relaxed), demotions_.load(std::memory_order_relaxed),
            hot_keys_.load(std::memory_order_relaxed), samples_.load(std::memory_order_relaxed)};
    }
    /// Cells and sketches; the map tells its own.
    [[nodiscard]] bytes memory() const noexcept { return bytes{sizeof *this}; }

private:
    static constexpr std::uint64_t lock_bit = 1, closed_bit = 2, one_version = 4;
    static constexpr unsigned used_stripes = Kind == hot_kind::counter ? stripes : 1;

    struct alignas(128) part {
        word state{closed_bit};
        word value;
    };
    struct alignas(128) cell {
        word open;  // 1: part of the index below, the key is hot
        word key;
        unsigned quiet = 0;  // windows with little traffic; under control_
        part parts[used_stripes];
    };
    struct counted {
        std::uint64_t key;
        std::uint32_t count = 0;
    };
    struct alignas(64) sketch {
        std::array<counted, 32> top{};
        std::uint32_t samples = 0;
        std::atomic<bool> busy{false};
    };

    static std::uint64_t bits(const K& key) noexcept {
        std::uint64_t w = 0;
        concurrent_detail::to_words(key, &w);
        return w;
    }
    static V value_of(std::uint64_t w) noexcept { return concurrent_detail::from_words<V>(&w); }
    static std::uint64_t bits_of(const V& v) noexcept {
        if constexpr (Kind == hot_kind::counter) {
            return static_cast<std::uint64_t>(v);
        } else {
            std::uint64_t w = 0;
            concurrent_detail::to_words(v, &w);
            return w;
        }
    }

    /// The key's cell, open or just being closed. Sixteen keys in two lines: compared one by
    /// one (K1).
    [[nodiscard, gnu::always_inline]] cell* find(const K& key) const noexcept {
        const std::uint64_t wanted = bits(key);
        const unsigned n = used_cells_.load(std::memory_order_acquire);
        for (unsigned i = 0; i < n; ++i) {
            if (keys_[i].load() == wanted && cells_[i].key.load() == wanted) return &cells_[i];
        }
        return nullptr;
    }
    [[nodiscard]] cell* find_open(const K& key) const noexcept {
        cell* c = find(key);
        return c != nullptr && c->open.load() != 0 ? c : nullptr;
    }
    static bool locked_now(const cell& c) noexcept {
        for (unsigned i = 0; i < used_stripes; ++i) {
            if (c.parts[i].state.load() & lock_bit) return true;
        }
        return false;
    }

    /// Changes a stripe of an open cell: false when it is closed, or belongs to another key.
    template <class Change>
    [[gnu::always_inline]] bool change_hot(const K& key, Change&& change) {
        cell* c = find(key);
        if (c == nullptr) return false;
        part& mine = c->parts[concurrent_detail::thread_index() % used_stripes];
        concurrent_detail::patience p;
        for (;;) {
            const std::uint64_t s = mine.state.load();
            if ((s & closed_bit) != 0) return false;
            if ((s & lock_bit) != 0 || !mine.state.lock(s, s | lock_bit)) {
                p.wait();
                continue;
            }
            // Locked and open: the cell cannot change its key now.
            const bool right = c->key.load() == bits(key);
            if (right) change(mine.value);
            mine.state.store(right ? s + one_version : s);
            return right;
        }
    }
    bool add_hot(const K& key, V by) {
        return change_hot(key, [&](word& value) { value.store(value.load() + bits_of(by)); });
    }
    bool store_hot(const K& key, V value) {
        return change_hot(key, [&](word& w) { w.store(bits_of(value)); });
    }

    bool promote_locked(const K& key) {
        if (find_open(key) != nullptr) return true;
        unsigned at = 0;
        while (at < cells && cells_[at].open.load() != 0) ++at;
        if (at == cells) return false;
        cell& c = cells_[at];
        // Under the key's lock in the map: a last value is seeded from there, and whoever
        // stores coldly looks under the same lock whether the key is still cold.
        const bool there = map_.visit(key, [&](V& value) {
            keys_[at].store(bits(key));
            c.key.store(bits(key));
            c.quiet = 0;
            if (used_cells_.load(std::memory_order_relaxed) <= at) {
                used_cells_.store(at + 1, std::memory_order_release);
            }
            for (part& p : c.parts) {
                p.value.store(Kind == hot_kind::last_value ? bits_of(value) : 0);
            }
            c.open.store(1);
            hot_keys_.fetch_add(1, std::memory_order_seq_cst);
            for (part& p : c.parts) {
                // Closed, so nobody changes it: a new version, open.
                p.state.store((p.state.load() | closed_bit) - closed_bit + one_version);
            }
        });
        if (there) promotions_.fetch_add(1, std::memory_order_relaxed);
        return there;
    }
    void demote_locked(cell& c) {
        std::uint64_t states[used_stripes];
        std::uint64_t sum = 0;
        for (unsigned i = 0; i < used_stripes; ++i) {
            concurrent_detail::patience p;
            for (;;) {
                states[i] = c.parts[i].state.load();
                if ((states[i] & lock_bit) == 0 &&
                    c.parts[i].state.lock(states[i], states[i] | lock_bit)) {
                    break;
                }
                p.wait();
            }
            sum += c.parts[i].value.load();
        }
        const std::uint64_t key_word = c.key.load();
        const K key = concurrent_detail::from_words<K>(&key_word);
        map_.visit(key, [&](V& value) {
            if constexpr (Kind == hot_kind::counter) {
                value = static_cast<V>(value + static_cast<V>(sum));
            } else {
                value = value_of(sum);
            }
            c.open.store(0);
        });
        c.open.store(0);  // also when somebody erased the key from the map
        hot_keys_.fetch_sub(1, std::memory_order_seq_cst);
        for (unsigned i = 0; i < used_stripes; ++i) {
            c.parts[i].value.store(0);
            c.parts[i].state.store((states[i] + one_version) | closed_bit);
        }
        demotions_.fetch_add(1, std::memory_order_relaxed);
    }

    // ---- Finding the hot.

    [[gnu::always_inline]] void sample(const K& key) {
        if (--countdown_ == 0) [[unlikely]]
            take_sample(key);
    }
    [[gnu::noinline]] void take_sample(const K& key) {
        countdown_ = sample_every;
        sketch& s = sketches_[concurrent_detail::thread_index() % sketches];
        if (s.busy.exchange(true, std::memory_order_acquire)) return;  // shared, and in use
        const std::uint64_t k = bits(key);
        counted* least = &s.top[0];
        bool found = false;
        for (counted& c : s.top) {
            if (c.count != 0 && c.key == k) {
                ++c.count;
                found = true;
                break;
            }
            if (c.count < least->count) least = &c;
        }
        if (!found) {  // Space-Saving: the least counted gives its place and its count
            least->key = k;
            ++least->count;
        }
        if (++s.samples >= window) judge(s);
        s.busy.store(false, std::memory_order_release);
    }
    void judge(sketch& s) {
        samples_.fetch_add(s.samples, std::memory_order_relaxed);
        // Not now, if somebody else decides: the counts stay.
        const concurrent_detail::holding<concurrent_detail::rare_lock> only{control_};
        for (const counted& c : s.top) {
            // What Space-Saving may have counted too much does not make a key hot.
            if (c.count >= window / hot_share + window / 32) {
                promote_locked(concurrent_detail::from_words<K>(&c.key));
            }
        }
        for (cell& c : cells_) {
            if (c.open.load() == 0) continue;
            std::uint32_t seen = 0;
            for (const counted& t : s.top) {
                if (t.count != 0 && t.key == c.key.load()) seen = t.count;
            }
            if (seen >= window / cold_share + window / 32) {
                c.quiet = 0;
            } else if (++c.quiet >= 2 * sketches) {
                demote_locked(c);
            }
        }
        s.top = {};
        s.samples = 0;
    }

    static constexpr unsigned sketches = 8;
    static inline constinit thread_local unsigned countdown_ = sample_every;

    map_type map_;
    alignas(128) std::atomic<std::uint32_t> hot_keys_{0};
    std::atomic<unsigned> used_cells_{0};
    mutable word keys_[cells];
    alignas(128) concurrent_detail::rare_lock control_;
    std::atomic<std::uint64_t> promotions_{0}, demotions_{0}, samples_{0};
    mutable cell cells_[cells];
    sketch sketches_[sketches];
};

}  // namespace steady
