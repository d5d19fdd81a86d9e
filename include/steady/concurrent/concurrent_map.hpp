// concurrent_map.hpp - a hash map for many threads that never stops them.
//
// Reading takes no lock and writes nothing that others read. Writing locks one group of
// seven entries. Growing touches one segment of at most 896 entries, and nobody waits for it
// but writers of that very segment. A reader that sleeps keeps nothing alive but the one
// entry it looks at.
//
//   steady::concurrent_map<std::uint64_t, std::uint64_t> hits;
//   hits.fetch_add(42, 1);                                    // any thread
//   if (auto n = hits.find(42)) std::cout << *n;              // a copy
//   hits.upsert(7, [](auto& n) { ++n; }, 1);
//
// No reference, iterator or lock ever leaves a function, so nothing can be held too long and
// nothing dangles.
//
// How entries are stored is decided by their types:
//
//   inline   key and value trivially copyable, at most 16 bytes each, and a hash that does
//            not throw: both stand in the slot. Callbacks get copies.
//   nodes    everything else: the slot holds the hash and a pointer to a node that is freed
//            when no reader looks at it (hazard.hpp). A value of at most 8 trivially copyable
//            bytes is changed in place; any other value is immutable, and a change puts a
//            new one in its place, so that readers see the old or the new, never a mixture.
//
// Callbacks: those that may change a value (visit, upsert, compute, erase_if) run under the
// lock of the key's group: they must be short and must not use the same map (cvisit may).
//
// Linearizable: every function on one key takes effect at one instant between its call and
// its return. Functions on the whole map say what they promise.
//
// See detail/table.hpp for the table, docs/design/concurrent.md for measurements.

#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "steady/concurrent/detail/entries.hpp"
#include "steady/concurrent/hazard.hpp"
#include "steady/core/hash.hpp"
#include "steady/core/units.hpp"
#include "steady/map/hash_policy.hpp"

namespace steady {

/// Bytes a map holds, by part. Keys and values may own more (the text of a string).
struct concurrent_map_memory {
    bytes segments;
    bytes directory;
    bytes nodes;    // entries out of line
    bytes retired;  // taken out, but perhaps still read
    bytes other;    // counters, spilled entries
    [[nodiscard]] bytes total() const noexcept {
        return segments + directory + nodes + retired + other;
    }
};

struct concurrent_map_statistics {
    std::uint64_t entries = 0;
    std::uint64_t slots = 0;
    std::uint64_t segments_split = 0, segments_merged = 0, resizes = 0, directory_doublings = 0;
    std::uint64_t entries_moved = 0;
    std::uint64_t most_moved_at_once = 0;  // at most 896
    std::uint64_t spilled = 0;             // more than 0: the hash is bad
    [[nodiscard]] double load() const noexcept {
        return slots == 0 ? 0 : static_cast<double>(entries) / static_cast<double>(slots);
    }
};

/// For tests: smaller segments make growth frequent.
struct concurrent_map_options {
    static constexpr unsigned largest_log_groups = 7;
};

template <class K, class V, class Hash = map_hash<K>, class Equal = map_equal<K>,
          class Options = concurrent_map_options>
class concurrent_map {
    using entry = concurrent_detail::entries<K, V, Hash, Equal, Options::largest_log_groups>;
    using node = typename entry::node;
    using table = typename entry::table;
    using slot = typename entry::slot;
    using group = typename entry::group;
    using cell_access = typename entry::cell_access;
    static constexpr bool inline_entries = entry::inline_entries;
    static constexpr bool word_entries = entry::word_entries;
    static constexpr bool word_value = entry::word_value;
    static constexpr bool text_nodes = entry::text_nodes;
    static constexpr bool one_word = entry::one_word;
    static constexpr unsigned key_words = entry::key_words;
    static constexpr unsigned slot_words = entry::slot_words;

    using word = concurrent_detail::word;
    using probe = concurrent_detail::probe;
    using sight = concurrent_detail::sight;
    using change = concurrent_detail::change;
    using verdict = concurrent_detail::verdict;

    static constexpr bool transparent = requires {
        typename Hash::is_transparent;
        typename Equal::is_transparent;
    };
    template <class Q>
    static constexpr bool key_like = [] {
        if constexpr (std::same_as<std::remove_cvref_t<Q>, K>) {
            return true;
        } else if constexpr (std::is_arithmetic_v<K>) {
            return std::convertible_to<Q, K>;
        } else if constexpr (detail::character_text<K>) {
            return std::convertible_to<const Q&, std::string_view>;
        } else {
            return transparent;
        }
    }();

public:
    using key_type = K;
    using mapped_type = V;
    using size_type = std::size_t;
    static constexpr bool stores_inline = inline_entries;

    explicit concurrent_map(const Hash& hash = Hash(), const Equal& equal = Equal())
        : equal_(equal),
          table_(typename entry::rehasher{
              hash, concurrent_detail::seed_at(reinterpret_cast<std::uintptr_t>(this))}) {}
    concurrent_map(const concurrent_map&) = delete;
    concurrent_map& operator=(const concurrent_map&) = delete;
    /// Nobody else may use the map any more.
    ~concurrent_map() { destroy_nodes(); }

    // ---- Reading. No lock, no write to shared memory.

    /// Returns    a copy of the key's value.
    /// Throws     what the hash, the comparison and V's copy throw; std::bad_alloc when entries
    ///            are nodes and this is the thread's first look at one.
    /// Threads    any. Never waits for growth. With values of 9 to 16 inline bytes it waits
    ///            for a writer that is storing those very bytes.
    template <class Q>
        requires key_like<Q>
    [[nodiscard]] std::optional<V> find(const Q& key) const {
        if constexpr (one_word) {
            const sight seen = find_word(hash_of(key), key);
            if (seen.what != probe::yes) return std::nullopt;
            return concurrent_detail::from_words<V>(&seen.word);
        } else {
            std::optional<V> out;
            read(key, [&](const V& value) { out.emplace(value); });
            return out;
        }
    }
    template <class Q>
        requires key_like<Q>
    [[nodiscard]] bool contains(const Q& key) const {
        return read(key, [](const V&) {});
    }
    /// Calls f(value) with the key's value: a copy, or the immutable value itself, which stays
    /// until f returns, whatever others do. f may use the map.
    ///
    /// Returns    false when there is no such key.
    template <class Q, class F>
        requires key_like<Q>
    bool cvisit(const Q& key, F&& f) const { return read(key, f); }
    /// Looks up all keys with overlapping cache misses: f(index, value) for those found.
    ///
    /// Returns    how many were found. Each lookup is linearizable, the whole is not.
    template <class Q, class F>
        requires key_like<Q> size_type visit_many(std::span<Q> keys, F&& f)
    const {
        constexpr std::size_t ahead = 16;
        std::uint64_t hashes[ahead];
        size_type found = 0;
        for (std::size_t at = 0; at < keys.size(); at += ahead) {
            const std::size_t n = std::min(ahead, keys.size() - at);
            for (std::size_t i = 0; i < n; ++i) {
                hashes[i] = hash_of(keys[at + i]);
                table_.prefetch_entry(hashes[i]);
            }
            for (std::size_t i = 0; i < n; ++i) table_.prefetch_group(hashes[i]);
            for (std::size_t i = 0; i < n; ++i) {
                found +=
                    read_hashed(hashes[i], keys[at + i], [&](const V& value) { f(at + i, value); });
            }
        }
        return found;
    }

    // ---- Writing. Locks the key's group; waits for other writers of that group, and for a
    // split of its segment (some 10 us).

    /// Inserts V(args...) if the key is absent.
    ///
    /// Returns    true when it was.
    /// Throws     std::bad_alloc, and what K, V, hash and comparison throw: nothing has changed.
    template <class Q, class... Args>
        requires key_like<Q>
    bool try_emplace(Q&& key, Args&&... args) {
        if constexpr (word_entries && std::is_scalar_v<V>) {
            return write_word(key, V(std::forward<Args>(args)...), [](V v) { return v; }).what !=
                   probe::yes;
        }
        return !write(
            key, [](auto&) { return verdict::keep; },
            [&]() -> V { return V(std::forward<Args>(args)...); });
    }
    template <class Q>
    bool insert(Q&& key, const V& value) {
        return try_emplace(std::forward<Q>(key), value);
    }
    template <class Q>
    bool insert(Q&& key, V&& value) {
        return try_emplace(std::forward<Q>(key), std::move(value));
    }
    /// Returns    true when the key is new.
    template <class Q, class M>
        requires key_like<Q>
    bool insert_or_assign(Q&& key, M&& value) {
        if constexpr (word_entries) {
            const V v(std::forward<M>(value));
            return write_word(key, v, [v](const V&) { return v; }).what != probe::yes;
        }
        return put(key, std::forward<M>(value),
                   [&](auto& cell) { cell.assign(std::forward<M>(value)); });
    }
    /// Inserts, or calls f(const V&) with what is there.
    template <class Q, class M, class F>
        requires key_like<Q>
    bool insert_or_cvisit(Q&& key, M&& value, F&& f) {
        return put(key, std::forward<M>(value), [&](auto& cell) { cell.look(f); });
    }
    /// Inserts, or calls f(V&) with what is there and stores what f left.
    ///
    /// Returns    true when the key was absent.
    template <class Q, class M, class F>
        requires key_like<Q>
    bool insert_or_visit(Q&& key, M&& value, F&& f) {
        return put(key, std::forward<M>(value), [&](auto& cell) { cell.change(f); });
    }
    /// The same with the arguments in the order of other libraries.
    template <class Q, class F, class M>
        requires key_like<Q>
    bool upsert(Q&& key, F&& f, M&& value) {
        return insert_or_visit(std::forward<Q>(key), std::forward<M>(value), std::forward<F>(f));
    }
    /// Calls f(V&) with the key's value and stores what f left. When f throws, nothing changes.
    ///
    /// Returns    false when there is no such key.
    template <class Q, class F>
        requires key_like<Q>
    bool visit(const Q& key, F&& f) {
        return write_existing(key, [&](auto& cell) {
            cell.change(f);
            return verdict::keep;
        });
    }
    /// f(std::optional<V>&) sees the value or nothing, and leaves a value or nothing.
    ///
    /// Returns    what f left.
    template <class Q, class F>
        requires key_like<Q> std::optional<V> compute(Q&& key, F&& f) {
            std::optional<V> box;
            bool decided = false;
            write_optional(
                key,
                [&](auto& cell) {
                    box.emplace(cell.copy());
                    f(box);
                    decided = true;
                    if (!box) return verdict::erase;
                    cell.assign(V(*box));
                    return verdict::keep;
                },
                [&]() -> std::optional<V> {
                    if (!decided) f(box);
                    return box;
                });
            return box;
        }
    /// Adds to the value, inserting V{} first when the key is absent.
    ///
    /// Returns    the value before.
    template <class Q>
        requires(key_like<Q>&& std::integral<V>)
    V fetch_add(Q&& key, V by) {
        if constexpr (word_entries) {
            const sight seen = write_word(key, by, [by](V v) { return static_cast<V>(v + by); });
            return seen.what == probe::yes ? concurrent_detail::from_words<V>(&seen.word) : V{};
        }
        V before{};
        write(
            key,
            [&](auto& cell) {
                before = cell.copy();
                cell.assign(static_cast<V>(before + by));
                return verdict::keep;
            },
            [&]() -> V { return by; });
        return before;
    }
    /// Stores `value` and returns what was there.
    template <class Q>
        requires key_like<Q> std::optional<V> exchange(Q&& key, V value) {
            std::optional<V> before;
            write(
                key,
                [&](auto& cell) {
                    before.emplace(cell.copy());
                    cell.assign(std::move(value));
                    return verdict::keep;
                },
                [&]() -> V { return std::move(value); });
            return before;
        }
    /// Stores `value` if the key is there and pred(const V&).
    template <class Q, class P>
        requires key_like<Q>
    bool assign_if(const Q& key, P&& pred, V value) {
        bool done = false;
        write_existing(key, [&](auto& cell) {
            cell.look([&](const V& there) { done = pred(there); });
            if (done) cell.assign(std::move(value));
            return verdict::keep;
        });
        return done;
    }
    /// Returns    true when there was such a key.
    /// Throws     what hash and comparison throw.
    template <class Q>
        requires key_like<Q>
    bool erase(const Q& key) {
        if constexpr (word_entries) {
            return table_
                       .write(
                           hash_of(key), entry::is_key(key),
                           [](slot&, std::uint64_t&, group&) -> change { return verdict::erase; },
                           typename table::never{})
                       .what == probe::yes;
        }
        return write_existing(key, [](auto&) { return verdict::erase; });
    }
    /// Erases the key if pred(const V&).
    template <class Q, class P>
        requires key_like<Q>
    bool erase_if(const Q& key, P&& pred) {
        bool erased = false;
        write_existing(key, [&](auto& cell) {
            cell.look([&](const V& value) { erased = pred(value); });
            return erased ? verdict::erase : verdict::keep;
        });
        return erased;
    }
    /// Takes the key's value out.
    template <class Q>
        requires key_like<Q> std::optional<V> extract(const Q& key) {
            std::optional<V> out;
            write_existing(key, [&](auto& cell) {
                out.emplace(cell.copy());
                return verdict::erase;
            });
            return out;
        }

    // ---- The whole map.

    /// Erases entries for which pred(const K&, const V&). Those inserted or changed meanwhile
    /// may or may not be seen; pred may see an entry twice when its segment is split.
    ///
    /// Returns    how many were erased.
    template <class P>
    size_type erase_if(P&& pred) {
        size_type erased = 0;
        void* gone[2] = {nullptr, nullptr};
        const auto each = [&](slot& s, std::uint64_t& state, group& g) {
            free_later(gone);
            cell_access cell{s, state, g, nullptr};
            bool yes = false;
            cell.look_entry([&](const K& key, const V& value) { yes = pred(key, value); });
            if (!yes) return verdict::keep;
            cell.give_up(gone);
            return verdict::erase;
        };
        if constexpr (inline_entries) {
            erased = table_.write_all(each);
        } else {
            // Retired only after the slot is empty, which it is when the next one comes.
            try {
                erased = table_.write_all(each);
            } catch (...) {
                free_later(gone);
                throw;
            }
        }
        free_later(gone);
        return erased;
    }
    /// Erases all entries that are there when it begins.
    void clear() {
        erase_if([](const K&, const V&) { return true; });
    }
    /// Calls f(const K&, const V&) for entries of one part of the map, beginning with cursor 0.
    ///
    /// An entry that is there from the first call to the last is seen exactly once, through
    /// growth and shrinking; one that comes or goes meanwhile is seen or not. Locks nothing;
    /// f may use the map.
    ///
    /// Returns    the cursor for the next call; 0 when this was the last part.
    /// Cost       at most 896 entries.
    template <class F>
    std::uint64_t scan(std::uint64_t cursor, F&& f) const {
        if constexpr (inline_entries) {
            std::vector<typename table::copied_slot> part;
            part.reserve(table::most_entries);
            std::size_t begun = 0;
            const std::uint64_t next = table_.scan_segment(
                cursor, [&] { part.clear(), begun = 0; }, [&] { part.resize(begun); },
                [&](const auto& copied) { part.push_back(copied); },
                [&](const auto& valid) {
                    if (!valid()) return false;
                    begun = part.size();
                    return true;
                });
            for (const auto& c : part) {
                f(concurrent_detail::from_words<K>(c.words),
                  concurrent_detail::from_words<V>(c.words + key_words));
            }
            return next;
        } else {
            return scan_nodes(cursor, f);
        }
    }
    /// f for every entry: scan() from beginning to end.
    template <class F>
    void cvisit_all(F&& f) const {
        std::uint64_t cursor = 0;
        do cursor = scan(cursor, f);
        while (cursor != 0);
    }

    /// Entries. Off by at most the number of operations that run meanwhile.
    ///
    /// Cost       32 loads.
    [[nodiscard]] size_type size() const noexcept { return table_.size(); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// Entries, at one instant: stops the writers (not the readers) and waits for those at
    /// work. O(segments). Not from a callback.
    [[nodiscard]] size_type size_exact() {
        return table_.while_frozen([&] { return table_.size(); });
    }

    [[nodiscard]] concurrent_map_memory memory() const noexcept {
        std::size_t retired = 0;
        for (const auto& l : retired_) retired += l.pending_bytes();
        return {bytes{table_.segment_bytes()}, bytes{table_.directory_bytes()},
                bytes{node_bytes_now()}, bytes{retired},
                bytes{table_.other_bytes() + sizeof *this}};
    }
    [[nodiscard]] concurrent_map_statistics stats() const noexcept {
        const auto& c = table_.counters();
        concurrent_map_statistics s;
        s.entries = size();
        s.slots = table_.segment_bytes() / sizeof(group) * concurrent_detail::slots_per_group;
        s.segments_split = c.splits.load(std::memory_order_relaxed);
        s.segments_merged = c.merges.load(std::memory_order_relaxed);
        s.resizes = c.resizes.load(std::memory_order_relaxed);
        s.directory_doublings = c.doublings.load(std::memory_order_relaxed);
        s.entries_moved = c.moved.load(std::memory_order_relaxed);
        s.most_moved_at_once = c.most_moved.load(std::memory_order_relaxed);
        s.spilled = c.spilled.load(std::memory_order_relaxed);
        return s;
    }
    /// Frees what waits for readers that have gone.
    void flush() noexcept {
        for (auto& l : retired_) l.flush();
    }

private:
    template <class Q>
    [[nodiscard, gnu::always_inline]] std::uint64_t hash_of(const Q& key) const {
        return detail::hash_with_seed(table_.rehash().hash, key, table_.rehash().seed);
    }
    /// gone[0]: an erased node; gone[1]: a replaced value. Their slots lead to them no more.
    void free_later(void** gone) noexcept {
        if constexpr (!inline_entries) {
            auto& list = retired_[concurrent_detail::thread_index() % lists];
            if (gone[1] != nullptr) {
                if constexpr (!word_value) {
                    list.retire(
                        gone[1], [](void* v) noexcept { delete static_cast<V*>(v); }, sizeof(V));
                }
                gone[1] = nullptr;
            }
            if (gone[0] != nullptr) {
                const std::size_t size = entry::size_of(*static_cast<node*>(gone[0]));
                list.retire(
                    gone[0], [](void* n) noexcept { entry::destroy_node(static_cast<node*>(n)); },
                    size);
                gone[0] = nullptr;
            }
        }
    }
    [[nodiscard]] std::size_t node_bytes_now() const noexcept {
        return inline_entries ? 0 : size() * entry::node_size;
    }

    template <class Q>
    [[gnu::always_inline]] auto same_as(const Q& key, std::uint64_t hash) const {
        return [this, &key, hash](const slot& s) {
            if constexpr (inline_entries) {
                if constexpr (concurrent_detail::words_decide<K, Equal>) {
                    std::uint64_t wanted[key_words];
                    concurrent_detail::to_words<K>(key, wanted);
                    return s.words[0].load() == wanted[0];
                } else {
                    std::uint64_t words[key_words];
                    for (unsigned w = 0; w < key_words; ++w) words[w] = s.words[w].load();
                    return bool(equal_(concurrent_detail::from_words<K>(words), key));
                }
            } else {
                if (s.words[0].load() != hash) return false;
                return bool(equal_(reinterpret_cast<node*>(s.words[1].load())->key(), key));
            }
        };
    }

    /// Inserts `fresh`, or stores next(value).
    ///
    /// Returns    yes with the value before; no: the key was new.
    template <class Q, class Next>
    [[gnu::always_inline]] sight write_word(const Q& key, const V& fresh, Next next) {
        return table_.write(
            hash_of(key), entry::is_key(key),
            [next](slot& s, std::uint64_t&, group&) -> change {
                const std::uint64_t before = s.words[1].load();
                std::uint64_t after = 0;
                concurrent_detail::to_words<V>(next(concurrent_detail::from_words<V>(&before)),
                                               &after);
                s.words[1].store(after);
                return {verdict::keep, before};
            },
            entry::entry_of(key, fresh));
    }

    template <class Q>
    [[gnu::always_inline]] sight find_word(std::uint64_t hash, const Q& key) const {
        if constexpr (inline_entries) {
            std::uint64_t wanted = 0;
            concurrent_detail::to_words<K>(key, &wanted);
            return table_.read(
                hash, [wanted](const slot& s, const auto& valid) __attribute__((always_inline)) {
                    if (s.words[0].load() != wanted) return sight{0, probe::no};
                    const std::uint64_t value = s.words[1].load();
                    return sight{value, valid() ? probe::yes : probe::again};
                });
        } else {
            const concurrent_detail::leaf_guard guard;
            const std::string_view wanted = key;
            const sight seen = table_.read(
                hash, [=](const slot& s, const auto& valid) __attribute__((always_inline)) {
                    if (s.words[0].load() != hash) return sight{0, probe::no};
                    const auto* n = reinterpret_cast<const node*>(s.words[1].load());
                    if (!guard.protect(n, valid)) return sight{0, probe::again};
                    if (n->key() != wanted) return sight{0, probe::no};
                    return sight{n->value.load(), probe::yes};
                });
            guard.let_go();
            return seen;
        }
    }

    template <class Q, class F>
    [[gnu::always_inline]] bool read(const Q& key, F&& f) const {
        return read_hashed(hash_of(key), key, f);
    }
    template <class Q, class F>
    [[gnu::always_inline]] bool read_hashed(std::uint64_t hash, const Q& key, F&& f) const {
        if constexpr (one_word) {
            const sight seen = find_word(hash, key);
            if (seen.what != probe::yes) return false;
            f(concurrent_detail::from_words<V>(&seen.word));
            return true;
        } else if constexpr (inline_entries) {
            std::uint64_t words[slot_words];
            const sight seen = table_.read(hash, [&](const slot& s, const auto& valid) {
                const auto is = [](probe what) { return sight{0, what}; };
                if constexpr (concurrent_detail::words_decide<K, Equal>) {
                    std::uint64_t wanted[key_words];
                    concurrent_detail::to_words<K>(key, wanted);
                    if (s.words[0].load() != wanted[0]) return is(probe::no);
                    words[0] = wanted[0];
                    for (unsigned w = 1; w < slot_words; ++w) words[w] = s.words[w].load();
                    return is(valid() ? probe::yes : probe::again);
                } else {
                    for (unsigned w = 0; w < slot_words; ++w) words[w] = s.words[w].load();
                    if (!valid()) return is(probe::again);  // the comparison never sees half a key
                    return is(equal_(concurrent_detail::from_words<K>(words), key) ? probe::yes
                                                                                   : probe::no);
                }
            });
            if (seen.what != probe::yes) return false;
            f(concurrent_detail::from_words<V>(words + key_words));
            return true;
        } else {
            hazard_guard guard;
            const sight seen = table_.read(hash, [&](const slot& s, const auto& valid) {
                if (s.words[0].load() != hash) return sight{0, probe::no};
                const std::uint64_t there = s.words[1].load();
                const auto* n = reinterpret_cast<const node*>(there);
                if (!guard.protect(n, valid)) return sight{0, probe::again};
                return sight{there, equal_(n->key(), key) ? probe::yes : probe::no};
            });
            if (seen.what != probe::yes) return false;
            entry::look_at(*reinterpret_cast<const node*>(seen.word),
                           [&](const auto&, const V& value) { f(value); });
            return true;
        }
    }
    template <class Q, class Change>
    [[gnu::always_inline]] bool write_existing(const Q& key, Change&& change) {
        const std::uint64_t hash = hash_of(key);
        void* gone[2] = {nullptr, nullptr};
        const sight seen = table_.write(
            hash, same_as(key, hash),
            [&](slot& s, std::uint64_t& state, group& g) {
                cell_access cell{s, state, g, &gone[1]};
                const verdict v = change(cell);
                if (v == verdict::erase) cell.give_up(gone);
                return v;
            },
            typename table::never{});
        free_later(gone);
        return seen.what == probe::yes;
    }
    /// Makes the value when the key is new; else existing(cell) sees to what is there.
    ///
    /// Returns    true when the key is new.
    template <class Q, class M, class Existing>
    [[gnu::always_inline]] bool put(Q&& key, M&& value, Existing&& existing) {
        return !write(
            key,
            [&](auto& cell) {
                existing(cell);
                return verdict::keep;
            },
            [&]() -> V { return V(std::forward<M>(value)); });
    }
    template <class Q, class Change, class Make>
    [[gnu::always_inline]] bool write(Q&& key, Change&& change, Make&& make) {
        return write_words(key, change, [&](std::uint64_t hash, std::uint64_t* words) {
            entry::build(std::forward<Q>(key), make(), hash, words);
            return true;
        });
    }
    template <class Q, class Change, class Make>
    bool write_optional(Q&& key, Change&& change, Make&& make) {
        return write_words(key, change, [&](std::uint64_t hash, std::uint64_t* words) {
            std::optional<V> value = make();
            if (!value) return false;
            entry::build(std::forward<Q>(key), std::move(*value), hash, words);
            return true;
        });
    }
    template <class Q, class Change, class Build>
    [[gnu::always_inline]] bool write_words(const Q& key, Change& change, Build&& build_words) {
        const std::uint64_t hash = hash_of(key);
        void* gone[2] = {nullptr, nullptr};
        const sight seen = table_.write(
            hash, same_as(key, hash),
            [&](slot& s, std::uint64_t& state, group& g) {
                cell_access cell{s, state, g, &gone[1]};
                const verdict v = change(cell);
                if (v == verdict::erase) cell.give_up(gone);
                return v;
            },
            [&](std::uint64_t* words) { return build_words(hash, words); });
        free_later(gone);
        return seen.what == probe::yes;
    }
    template <class F>
    std::uint64_t scan_nodes(std::uint64_t cursor, F& f) const {
        // All nodes of the segment are protected before the first is shown.
        concurrent_detail::wide_guard guards;
        std::vector<const node*> part;
        part.reserve(table::most_entries);
        std::size_t begun = 0;
        const std::uint64_t next = table_.scan_segment(
            cursor, [&] { part.clear(), begun = 0, guards.clear(); },
            [&] { part.resize(begun), guards.drop_to(begun); },
            [&](const auto& copied) {
                const auto* n = reinterpret_cast<const node*>(copied.words[1]);
                guards.add(n);
                part.push_back(n);
            },
            [&](const auto& valid) {
                concurrent_detail::wide_guard::fence();
                if (!valid()) return false;
                begun = part.size();
                return true;
            });
        const auto with_key = [&](const auto& key, const V& v) {
            if constexpr (text_nodes) {
                f(K(key), v);
            } else {
                f(key, v);
            }
        };
        for (const node* n : part) entry::look_at(*n, with_key);
        return next;
    }

    void destroy_nodes() noexcept {
        if constexpr (!inline_entries) {
            const auto each = [&](slot& s, std::uint64_t&, group&) {
                entry::destroy_node(reinterpret_cast<node*>(s.words[1].load()));
                return verdict::erase;
            };
            table_.write_all(each);
        }
    }

    static constexpr std::size_t lists = inline_entries ? 1 : 8;
    [[no_unique_address]] Equal equal_;
    table table_;
    retired_list retired_[lists];
};

}  // namespace steady
