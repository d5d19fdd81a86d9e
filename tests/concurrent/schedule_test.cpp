// The growth protocol under every schedule with two preemptions, on the real code with two
// groups a segment; and random histories of real threads, checked for linearizability.
#define STEADY_CONCURRENT_STEPS 1

#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "concurrent/linearizable.hpp"
#include "concurrent/schedule.hpp"
#include "steady/concurrent/concurrent_map.hpp"

namespace {

using steady::test::explorer;
using steady::test::linearizable;
using steady::test::operation;

struct two_groups : steady::concurrent_map_options {
    static constexpr unsigned largest_log_groups = 1;
};
/// No mixing: a test says which group and which segment a key belongs to.
struct plain {
    using is_avalanching = void;
    std::uint64_t operator()(std::uint64_t k) const noexcept { return k; }
};
using small_map = steady::concurrent_map<std::uint64_t, std::uint64_t, plain,
                                         steady::map_equal<std::uint64_t>, two_groups>;

/// group 0 or 1 of the segment that `low` leads to; different n: different tags.
constexpr std::uint64_t key(std::uint64_t group, std::uint64_t n, std::uint64_t low) {
    return group << 63 | (n + 2) << 49 | low;
}

/// An operation with its times, as the explorer's clock or a real one tells them.
struct recorder {
    std::atomic<std::uint64_t> clock{0};
    template <class Map>
    operation run(Map& m, operation::kind what, std::uint64_t k, std::uint64_t argument) {
        operation o{what, argument, {}, false, ++clock, 0};
        switch (what) {
            case operation::kind::find: o.answer = m.find(k); break;
            case operation::kind::insert: o.yes = m.insert(k, argument); break;
            case operation::kind::assign: o.yes = m.insert_or_assign(k, argument); break;
            case operation::kind::erase: o.yes = m.erase(k); break;
            case operation::kind::add: o.answer = m.fetch_add(k, argument); break;
            case operation::kind::exchange: o.answer = m.exchange(k, argument); break;
        }
        o.end = ++clock;
        return o;
    }
};

/// Explores two threads over a map that `fill` prepared; each runs its operations on `k`.
struct step_of {
    operation::kind what;
    std::uint64_t key, argument;
};
explorer::outcome explore(const std::vector<std::uint64_t>& filled,
                          const std::vector<std::vector<step_of>>& threads,
                          const std::vector<std::uint64_t>& keys, bool& right,
                          unsigned preemptions = 2, std::uint64_t limit = 6000) {
    std::unique_ptr<small_map> map;
    std::unique_ptr<recorder> times;
    std::vector<std::vector<std::pair<std::uint64_t, operation>>> done;
    explorer e;
    right = true;
    const char* more = std::getenv("STEADY_SCHEDULES");
    if (more != nullptr) limit = std::strtoull(more, nullptr, 10);
    return e.explore(
        preemptions, limit,
        [&] {
            map = std::make_unique<small_map>();
            times = std::make_unique<recorder>();
            for (const std::uint64_t k : filled) map->insert(k, k);
            done.assign(threads.size(), {});
            std::vector<explorer::body> bodies;
            for (std::size_t t = 0; t < threads.size(); ++t) {
                bodies.push_back([&, t] {
                    for (const step_of& s : threads[t]) {
                        done[t].emplace_back(s.key, times->run(*map, s.what, s.key, s.argument));
                    }
                });
            }
            return bodies;
        },
        [&] {
            for (const std::uint64_t k : keys) {
                std::vector<operation> history;
                for (const auto& thread : done) {
                    for (const auto& [its, o] : thread) {
                        if (its == k) history.push_back(o);
                    }
                }
                history.push_back(times->run(*map, operation::kind::find, k, 0));
                const bool there = std::find(filled.begin(), filled.end(), k) != filled.end();
                right = right && linearizable(history, there ? std::optional(k) : std::nullopt);
            }
            // What nobody touched is there once, and the count is right.
            std::size_t seen = 0;
            map->cvisit_all([&](std::uint64_t, std::uint64_t) { ++seen; });
            right = right && seen == map->size_exact();
            for (const std::uint64_t k : filled) {
                if (std::find(keys.begin(), keys.end(), k) == keys.end()) {
                    right = right && map->find(k) == k;
                }
            }
            return right;
        });
}

std::vector<std::uint64_t> full_segment() {
    std::vector<std::uint64_t> keys;  // 14 entries: the next one splits
    for (std::uint64_t n = 0; n < 7; ++n) {
        keys.push_back(key(0, n, n % 4));
        keys.push_back(key(1, n, n % 4));
    }
    return keys;
}

using k = operation::kind;

TEST(schedules, a_split_and_a_reader_of_what_it_moves) {
    bool right = false;
    const auto full = full_segment();
    const std::uint64_t fresh = key(0, 20, 1), moved = full[2];
    const auto out =
        explore(full, {{{k::insert, fresh, 5}}, {{k::find, moved, 0}, {k::find, fresh, 0}}},
                {fresh, moved}, right);
    EXPECT_TRUE(right);
    EXPECT_GT(out.schedules, 500u);
    EXPECT_GT(out.steps, 200u);
}
TEST(schedules, a_split_and_a_writer_of_what_it_moves) {
    bool right = false;
    const auto full = full_segment();
    const std::uint64_t fresh = key(0, 20, 1), moved = full[2];
    explore(full, {{{k::insert, fresh, 5}}, {{k::exchange, moved, 77}, {k::erase, moved, 0}}},
            {fresh, moved}, right);
    EXPECT_TRUE(right);
}
TEST(schedules, a_writer_that_sleeps_until_its_segment_is_somebody_elses) {
    bool right = false;
    const auto full = full_segment();
    const std::uint64_t moved = full[2];  // ends in 1; the other thread fills what ends in 0
    std::vector<step_of> splits_twice{{k::insert, key(0, 20, 1), 1}};
    for (std::uint64_t n = 30; n < 38; ++n) {
        splits_twice.push_back({k::insert, key(n % 2, n, 0), n});
    }
    // The second split takes the memory that the first one left behind.
    const auto out = explore(full, {{{k::exchange, moved, 77}, {k::find, moved, 0}}, splits_twice},
                             {moved}, right, 1);
    EXPECT_TRUE(right);
    EXPECT_TRUE(out.complete);
}
TEST(schedules, two_splits_of_one_segment) {
    bool right = false;
    const std::uint64_t a = key(0, 20, 1), b = key(1, 21, 0);
    explore(full_segment(), {{{k::insert, a, 5}}, {{k::insert, b, 6}}}, {a, b}, right);
    EXPECT_TRUE(right);
}
TEST(schedules, a_slot_used_again_between_key_and_value) {
    bool right = false;
    const std::uint64_t a = key(0, 3, 0), b = key(0, 4, 0);
    const auto out =
        explore({a}, {{{k::find, a, 0}}, {{k::erase, a, 0}, {k::insert, b, 9}, {k::insert, a, 8}}},
                {a, b}, right, 2, 20000);
    EXPECT_TRUE(right);
    EXPECT_TRUE(out.complete);
}
TEST(schedules, a_displaced_entry_comes_and_goes) {
    bool right = false;
    std::vector<std::uint64_t> home;  // group 0 is full, group 1 has room
    for (std::uint64_t n = 0; n < 7; ++n) home.push_back(key(0, n, 0));
    const std::uint64_t away = key(0, 30, 0);
    explore(home,
            {{{k::insert, away, 1}, {k::find, away, 0}, {k::erase, away, 0}},
             {{k::find, away, 0}, {k::add, away, 2}}},
            {away}, right);
    EXPECT_TRUE(right);
}
TEST(schedules, a_merge_and_a_reader) {
    // Two segments of a few entries; erasing the last of a group merges them.
    std::vector<std::uint64_t> keys = full_segment();
    keys.push_back(key(0, 20, 1));
    std::unique_ptr<small_map> map;
    std::atomic<bool> good{true};
    explorer e;
    const std::uint64_t stays = key(1, 0, 0), last = key(0, 0, 0);
    const auto out = e.explore(
        2, 4000,
        [&] {
            map = std::make_unique<small_map>();
            for (const std::uint64_t n : keys) map->insert(n, n);
            for (const std::uint64_t n : keys) {
                if (n != stays && n != last) map->erase(n);
            }
            return std::vector<explorer::body>{[&] { map->erase(last); },
                                               [&] {
                                                   if (map->find(stays) != stays) good = false;
                                                   map->insert_or_assign(stays, 5);
                                                   if (map->find(stays) != std::uint64_t{5})
                                                       good = false;
                                               }};
        },
        [&] {
            return good && map->find(stays) == std::uint64_t{5} && !map->find(last) &&
                   map->size_exact() == 1;
        });
    EXPECT_TRUE(good);
    EXPECT_GT(out.schedules, 200u);
}
TEST(schedules, an_exact_size_stops_writers_but_not_for_ever) {
    std::unique_ptr<small_map> map;
    std::atomic<std::size_t> seen{0};
    explorer e;
    bool good = true;
    e.explore(
        2, 4000,
        [&] {
            map = std::make_unique<small_map>();
            for (const std::uint64_t n : full_segment()) map->insert(n, n);
            return std::vector<explorer::body>{
                [&] { map->insert(key(0, 20, 1), 1), map->insert(key(0, 21, 1), 1); },
                [&] { seen = map->size_exact(); }};
        },
        [&] { return good = seen >= 14 && seen <= 16 && map->size() == 16; });
    EXPECT_TRUE(good) << seen;
}

TEST(tags, an_erased_entry_above_a_neighbour_of_its_tag_stays_erased) {
    small_map map;
    const std::uint64_t below = std::uint64_t{1} << 49, erased = below | 4;  // tag bits 0...01
    map.insert(below, 1);
    map.insert(erased, 2);
    map.erase(erased);
    EXPECT_FALSE(map.find(erased));  // S4
    EXPECT_EQ(map.find(below), 1u);
}

// The promise, counted: while others grow the map, a reader takes no lock, stores nothing
// and waits for nobody.
thread_local bool is_reader = false;
std::atomic<std::uint64_t> reader_loads{0}, reader_stores{0}, reader_locks{0}, reader_waits{0};
void count_steps(steady::concurrent_detail::step s) {
    if (!is_reader) return;
    using steady::concurrent_detail::step;
    (s == step::load    ? reader_loads
     : s == step::store ? reader_stores
     : s == step::lock  ? reader_locks
                        : reader_waits)
        .fetch_add(1, std::memory_order_relaxed);
}
TEST(reads, take_no_lock_store_nothing_and_wait_for_nobody_while_the_map_grows) {
    steady::concurrent_map<std::uint64_t, std::uint64_t> map;
    map.insert(0, 0);
    std::atomic<std::uint64_t> inserted{1};
    std::atomic<bool> reading{false};
    steady::concurrent_detail::step_hook.store(&count_steps);
    std::thread reader([&] {
        is_reader = true;
        std::mt19937_64 random(1);
        while (inserted < 150'000) {
            const std::uint64_t n = random() % inserted.load();
            ASSERT_EQ(map.find(n), n);
            ASSERT_FALSE(map.contains(n + 1'000'000));
            reading = true;
        }
    });
    while (!reading) std::this_thread::yield();
    for (std::uint64_t i = 1; i < 150'000; ++i) {
        map.insert(i, i);
        inserted = i + 1;
    }
    reader.join();
    steady::concurrent_detail::step_hook.store(nullptr);
    EXPECT_GT(map.stats().segments_split, 100u);
    EXPECT_GT(reader_loads, 1000u);
    EXPECT_EQ(reader_stores, 0u);
    EXPECT_EQ(reader_locks, 0u);
    EXPECT_EQ(reader_waits, 0u);
}

TEST(linearizability, the_checker_knows_right_from_wrong) {
    operation insert{k::insert, 1, {}, true, 1, 4}, find{k::find, 0, 1, false, 2, 3};
    EXPECT_TRUE(linearizable({insert, find}));  // they overlap
    find.begin = 5, find.end = 6;
    EXPECT_TRUE(linearizable({insert, find}));
    find.answer.reset();
    EXPECT_FALSE(linearizable({insert, find}));  // inserted before, not found
    operation again{k::insert, 2, {}, true, 7, 8};
    EXPECT_FALSE(linearizable({insert, again}));
    operation add{k::add, 1, 0, false, 1, 10}, add2{k::add, 1, 0, false, 2, 9};
    EXPECT_FALSE(linearizable({add, add2}));  // a lost increment
    add2.answer = 1;
    EXPECT_TRUE(linearizable({add, add2}));
}

TEST(linearizability, histories_of_real_threads_can_be_put_in_order) {
    const char* more = std::getenv("STEADY_HISTORIES");
    const int rounds = more != nullptr ? std::atoi(more) : 400;
    std::mt19937_64 seeds(7);
    for (int round = 0; round < rounds; ++round) {
        small_map map;
        recorder times;
        constexpr unsigned threads = 3, each = 12, keys = 3;
        std::vector<std::pair<std::uint64_t, operation>> done[threads];
        std::vector<std::thread> all;
        for (unsigned t = 0; t < threads; ++t) {
            all.emplace_back([&, t, seed = seeds()] {
                std::mt19937_64 random(seed);
                for (unsigned i = 0; i < each; ++i) {
                    // Others fill the segments, so that they split and merge meanwhile.
                    for (unsigned n = 0; n < 4; ++n) {
                        const std::uint64_t other =
                            key(random() % 2, 100 + random() % 20, random() % 8);
                        if (random() % 2)
                            map.insert(other, 0);
                        else
                            map.erase(other);
                    }
                    const std::uint64_t mine = key(0, 1, random() % keys);
                    const auto what = static_cast<k>(random() % 6);
                    done[t].emplace_back(mine, times.run(map, what, mine, random() % 1000));
                }
            });
        }
        for (auto& t : all) t.join();
        for (unsigned n = 0; n < keys; ++n) {
            std::vector<operation> history;
            for (const auto& thread : done) {
                for (const auto& [its, o] : thread) {
                    if (its == key(0, 1, n)) history.push_back(o);
                }
            }
            ASSERT_LE(history.size(), 64u);
            ASSERT_TRUE(linearizable(history)) << "round " << round << ", key " << n;
        }
    }
}

// ---- What happens when memory is refused, and when keys and values throw.

std::atomic<int> allocations_left{-1};
bool refuse() {
    return allocations_left.load() >= 0 && allocations_left.fetch_sub(1) <= 0;
}

template <class Map, class Make>
void refuse_at_every_step(Make make) {
    steady::concurrent_detail::refuse_hook.store(&refuse);
    for (int refused_at = 0; refused_at < 40; ++refused_at) {
        Map map;
        std::size_t in = 0;
        bool threw = false;
        for (std::uint64_t i = 0; i < 120; ++i) {
            allocations_left =
                i == 60 ? refused_at % 4 : (i == static_cast<std::uint64_t>(refused_at) ? 0 : -1);
            for (;;) {
                try {
                    in += map.try_emplace(make(i * 0x9e3779b97f4a7c15), i);
                    break;
                } catch (const std::bad_alloc&) {
                    threw = true;
                    allocations_left = -1;
                    EXPECT_EQ(map.size_exact(), in);
                    EXPECT_FALSE(map.contains(make(i * 0x9e3779b97f4a7c15)));
                }
            }
        }
        allocations_left = -1;
        EXPECT_EQ(in, 120u);
        for (std::uint64_t i = 0; i < 120; ++i) {
            EXPECT_EQ(map.find(make(i * 0x9e3779b97f4a7c15)), i);
        }
        if (refused_at == 0) {
            EXPECT_TRUE(threw);
        }
    }
    steady::concurrent_detail::refuse_hook.store(nullptr);
}

TEST(failure, refused_memory_changes_nothing) {
    refuse_at_every_step<small_map>([](std::uint64_t n) { return n; });
}
TEST(failure, refused_memory_changes_nothing_for_strings) {
    refuse_at_every_step<
        steady::concurrent_map<std::string, std::uint64_t, steady::map_hash<std::string>,
                               steady::map_equal<std::string>, two_groups>>(
        [](std::uint64_t n) { return std::to_string(n); });
}

struct throwing {
    static inline int until = -1;
    std::string text;
    explicit throwing(std::string t) : text(std::move(t)) { step(); }
    throwing(const throwing& o) : text(o.text) { step(); }
    static void step() {
        if (until >= 0 && until-- == 0) throw std::runtime_error("thrown on purpose");
    }
    bool operator==(const throwing& o) const { return step(), text == o.text; }
};
struct throwing_hash {
    std::size_t operator()(const throwing& t) const {
        throwing::step();
        return std::hash<std::string>()(t.text);
    }
};

TEST(failure, keys_and_values_that_throw_change_nothing_and_leave_no_lock) {
    steady::concurrent_map<throwing, throwing, throwing_hash, std::equal_to<throwing>, two_groups>
        map;
    std::size_t thrown = 0, in = 0;
    for (int i = 0; i < 100; ++i) {
        for (int at = 0; at < 12; ++at) {
            const throwing name("name " + std::to_string(i)), value("value");
            const std::size_t before = map.size_exact();
            throwing::until = at;
            try {
                const bool fresh = map.insert_or_assign(name, value);
                throwing::until = -1;
                in += fresh;
                break;
            } catch (const std::runtime_error&) {
                throwing::until = -1;
                ++thrown;
                ASSERT_EQ(map.size_exact(), before);  // would wait for ever for a lock
            }
        }
    }
    EXPECT_EQ(in, 100u);
    EXPECT_EQ(map.size(), 100u);
    EXPECT_GT(thrown, 300u);
    EXPECT_THROW(map.visit(throwing("name 5"), [](throwing&) { throw 1; }), int);
    EXPECT_THROW(map.erase_if([](const auto&, const auto&) -> bool { throw 2; }), int);
    EXPECT_EQ(map.size_exact(), 100u);
    EXPECT_TRUE(map.erase(throwing("name 5")));
}

TEST(failure, a_visitor_that_sleeps_holds_up_only_writers_of_its_group) {
    small_map map;
    map.insert(key(0, 1, 0), 1);
    map.insert(key(1, 1, 0), 2);
    std::atomic<int> stage{0};
    std::thread sleeper([&] {
        map.visit(key(0, 1, 0), [&](std::uint64_t& v) {
            v = 7;
            stage = 1;
            while (stage != 2) std::this_thread::yield();
        });
    });
    while (stage != 1) std::this_thread::yield();
    EXPECT_EQ(map.find(key(0, 1, 0)), 1u);  // reads do not wait
    EXPECT_FALSE(map.insert_or_assign(key(1, 1, 0), 3));
    std::size_t seen = 0;
    map.cvisit_all([&](std::uint64_t, std::uint64_t) { ++seen; });
    EXPECT_EQ(seen, 2u);
    stage = 2;
    sleeper.join();
    EXPECT_EQ(map.find(key(0, 1, 0)), 7u);
}

}  // namespace
