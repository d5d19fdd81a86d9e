// The thin containers: what each promises beside the map it stands on.
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steady/concurrent/concurrent_map.hpp"
#include "steady/concurrent/epoch_map.hpp"
#include "steady/concurrent/flat_long_map.hpp"
#include "steady/concurrent/hazard.hpp"
#include "steady/concurrent/pool.hpp"
#include "steady/concurrent/sharded.hpp"
#include "steady/concurrent/sync_map.hpp"
#include "steady/map/map.hpp"

namespace {

struct counted {
    static inline std::atomic<int> alive{0};
    int value;
    explicit counted(int v = 0) : value(v) { ++alive; }
    counted(const counted& o) : value(o.value) { ++alive; }
    ~counted() {
        value = -1;
        --alive;
    }
};

// ---- hazard.hpp

TEST(hazard, a_guarded_object_outlives_its_retirement) {
    std::atomic<counted*> shared{new counted(7)};
    {
        steady::retired_list list;
        {
            steady::hazard_guard guard;
            counted* p = shared.load();
            ASSERT_TRUE(guard.protect(p, [&] { return shared.load() == p; }));
            shared.store(nullptr);
            list.retire(
                p, [](void* o) noexcept { delete static_cast<counted*>(o); }, sizeof *p);
            list.flush();
            EXPECT_EQ(p->value, 7);  // Z1
            EXPECT_EQ(list.pending(), 1u);
        }
        list.flush();
        EXPECT_EQ(list.pending(), 0u);
    }
    EXPECT_EQ(counted::alive, 0);
}

TEST(hazard, a_sleeping_reader_keeps_one_thing_of_a_hundred_thousand) {
    steady::retired_list list;
    steady::hazard_guard guard;
    auto* watched = new counted(1);
    ASSERT_TRUE(guard.protect(watched, [] { return true; }));
    std::size_t most = 0;
    const auto destroy = [](void* o) noexcept { delete static_cast<counted*>(o); };
    list.retire(watched, destroy, 1);
    for (int i = 0; i < 100'000; ++i) {
        list.retire(new counted(i), destroy, 1);
        most = std::max(most, list.pending());
    }
    EXPECT_LE(most, steady::retired_list::most_waiting + 1);  // Z2
    list.flush();
    EXPECT_EQ(list.pending(), 1u);
    EXPECT_EQ(watched->value, 1);
}

TEST(hazard, guards_beyond_a_record_get_another_one) {
    std::vector<std::unique_ptr<steady::hazard_guard>> guards;
    std::vector<counted*> objects;
    steady::retired_list list;
    for (int i = 0; i < 40; ++i) {
        guards.push_back(std::make_unique<steady::hazard_guard>());
        objects.push_back(new counted(i));
        guards.back()->protect(objects.back(), [] { return true; });
        list.retire(
            objects.back(), [](void* o) noexcept { delete static_cast<counted*>(o); }, 1);
    }
    list.flush();
    EXPECT_EQ(list.pending(), 40u);
    for (int i = 0; i < 40; ++i) EXPECT_EQ(objects[i]->value, i);
    guards.erase(guards.begin() + 3);  // in any order
    list.flush();
    EXPECT_EQ(list.pending(), 39u);
    guards.clear();
    list.flush();
    EXPECT_EQ(list.pending(), 0u);
}

#if !defined(__SANITIZE_THREAD__)
TEST(hazard, a_forked_child_forgets_the_guards_of_other_threads) {
    std::atomic<int> stage{0};
    auto* object = new counted(1);
    std::thread other([&] {
        steady::hazard_guard guard;
        guard.protect(object, [] { return true; });
        stage = 1;
        while (stage != 2) std::this_thread::yield();
    });
    while (stage != 1) std::this_thread::yield();
    const pid_t child = fork();
    if (child == 0) {
        steady::retired_list list;
        list.retire(
            object, [](void* o) noexcept { delete static_cast<counted*>(o); }, 1);
        list.flush();
        _exit(list.pending() == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    stage = 2;
    other.join();
    delete object;
}
#endif

struct bad {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t) const noexcept { return 42; }
};

// ---- concurrent_map with values that own things

TEST(concurrent_map_nodes, replaced_values_stay_for_those_who_look) {
    {
        steady::concurrent_map<int, counted> map;
        map.insert(1, counted(10));
        map.cvisit(1, [&](const counted& v) {
            for (int i = 0; i < 1000; ++i) map.insert_or_assign(1, counted(i));
            map.erase(1);
            map.flush();
            EXPECT_EQ(v.value, 10);
        });
        EXPECT_FALSE(map.contains(1));
    }
    EXPECT_EQ(counted::alive, 0);
}

TEST(concurrent_map_nodes, everything_made_is_destroyed_once) {
    {
        steady::concurrent_map<std::string, counted> map;
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 5000; ++i) {
                    const std::string key = "key " + std::to_string((i * 7 + t) % 500);
                    if (i % 3 == 0) map.erase(key);
                    if (i % 3 == 1) map.insert_or_assign(key, counted(i));
                    if (i % 3 == 2) {
                        map.cvisit(key, [](const counted& v) { ASSERT_GE(v.value, 0); });
                    }
                }
            });
        }
        for (int i = 0; i < 20; ++i) {
            map.cvisit_all([](const std::string& k, const counted& v) {
                ASSERT_EQ(k.substr(0, 4), "key ");
                ASSERT_GE(v.value, 0);
            });
        }
        for (auto& t : threads) t.join();
        EXPECT_LT(map.memory().retired.count(), 8 * steady::retired_list::most_waiting * 200u);
    }
    EXPECT_EQ(counted::alive, 0);
}

TEST(concurrent_map_nodes, values_that_cannot_be_copied_are_looked_at) {
    steady::concurrent_map<int, std::unique_ptr<int>> map;
    EXPECT_TRUE(map.try_emplace(1, std::make_unique<int>(5)));
    int seen = 0;
    EXPECT_TRUE(map.cvisit(1, [&](const std::unique_ptr<int>& p) { seen = *p; }));
    EXPECT_EQ(seen, 5);
    map.insert_or_assign(1, std::make_unique<int>(6));
    EXPECT_TRUE(map.erase(1));
}

TEST(concurrent_map, values_of_two_words_are_never_seen_in_halves) {
    struct pair {
        std::uint64_t a, b;
    };
    steady::concurrent_map<std::uint64_t, pair> map;
    map.insert(1, pair{0, 0});
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < 50'000; ++i) map.insert_or_assign(1, pair{i, ~i});
        stop = true;
    });
    std::uint64_t looked = 0;
    while (!stop || looked == 0) {
        const auto v = map.find(1);
        ASSERT_TRUE(v.has_value());
        ASSERT_TRUE((v->a == 0 && v->b == 0) || v->b == ~v->a);
        ++looked;
    }
    writer.join();
}

TEST(concurrent_map, a_hash_that_is_the_same_for_all_still_works) {
    steady::concurrent_map<std::uint64_t, std::uint64_t, bad> map;
    for (std::uint64_t i = 0; i < 600; ++i) ASSERT_TRUE(map.insert(i, i));
    for (std::uint64_t i = 0; i < 600; ++i) ASSERT_EQ(map.find(i), i);
    EXPECT_GT(map.stats().spilled, 0u);
    std::map<std::uint64_t, std::uint64_t> seen;
    map.cvisit_all([&](auto k, auto v) { ASSERT_TRUE(seen.emplace(k, v).second); });
    EXPECT_EQ(seen.size(), 600u);
    for (std::uint64_t i = 0; i < 600; i += 2) ASSERT_TRUE(map.erase(i));
    EXPECT_EQ(map.size(), 300u);
    EXPECT_EQ(map.erase_if([](auto, auto) { return true; }), 300u);
    EXPECT_EQ(map.size_exact(), 0u);
}

TEST(concurrent_map, a_walk_sees_what_stays_exactly_once_while_segments_split_and_merge) {
    steady::concurrent_map<std::uint64_t, std::uint64_t> map;
    constexpr std::uint64_t stays = 3000;
    for (std::uint64_t i = 0; i < stays; ++i) map.insert(i, i);
    std::atomic<bool> stop{false};
    std::thread churn([&] {
        while (!stop) {
            for (std::uint64_t i = stays; i < 20 * stays && !stop; ++i) map.insert(i, i);
            for (std::uint64_t i = stays; i < 20 * stays; ++i) map.erase(i);
        }
    });
    // Until there was something to survive.
    for (int round = 0; round < 30 || map.stats().segments_merged < 30; ++round) {
        std::vector<int> seen(stays, 0);
        map.cvisit_all([&](std::uint64_t k, std::uint64_t) {
            if (k < stays) ++seen[k];
        });
        for (std::uint64_t i = 0; i < stays; ++i) ASSERT_EQ(seen[i], 1) << i;
    }
    stop = true;
    churn.join();
    EXPECT_GT(map.stats().segments_split, 20u);
}

TEST(concurrent_map, exact_size_is_exact_while_others_write_in_pairs) {
    steady::concurrent_map<std::uint64_t, std::uint64_t> map;
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (std::uint64_t i = 0; !stop; ++i) {
            map.insert(i % 4096, i);
            map.erase(i % 4096);
        }
    });
    for (int i = 0; i < 200; ++i) ASSERT_LE(map.size_exact(), 1u);
    stop = true;
    writer.join();
    EXPECT_EQ(map.size_exact(), 0u);
}

TEST(concurrent_map, many_keys_at_once) {
    steady::concurrent_map<std::uint64_t, std::uint64_t> map;
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        keys.push_back(i * 3);
        if (i % 2 == 0) map.insert(i * 3, i);
    }
    std::size_t right = 0;
    EXPECT_EQ(
        map.visit_many(std::span(keys), [&](std::size_t i, std::uint64_t v) { right += v == i; }),
        500u);
    EXPECT_EQ(right, 500u);
}

TEST(concurrent_map, memory_is_what_the_parts_say_and_growth_is_announced) {
    struct seen {
        std::uint64_t events = 0, most = 0;
    } s;
    steady::growth_hook.install(
        [](void* context, const steady::growth_event& e) {
            auto& to = *static_cast<seen*>(context);
            ++to.events;
            to.most = std::max(to.most, e.entries_moved);
        },
        &s);
    steady::concurrent_map<std::uint64_t, std::uint64_t> map;
    EXPECT_EQ(map.memory().segments.count(), 0u);
    for (std::uint64_t i = 0; i < 100'000; ++i) map.insert(i, i);
    steady::growth_hook.remove();
    const auto& c = map.stats();
    EXPECT_EQ(s.events, c.segments_split + c.resizes + 1);
    EXPECT_GT(s.events, 100u);
    EXPECT_LE(s.most, 896u);
    EXPECT_EQ(map.memory().segments.count(), (c.segments_split + 1) * 16384);
    EXPECT_EQ(c.slots, (c.segments_split + 1) * 896);
    const double each = double(map.memory().total().count()) / 100'000;
    EXPECT_LT(each, 45);
}

// ---- pool

TEST(pool, an_object_survives_one_age_and_not_two) {
    steady::pool<counted> pool([] { return std::make_unique<counted>(1); }, 0);
    pool.put(std::make_unique<counted>(42));
    pool.age();
    auto o = pool.get();
    EXPECT_EQ(o->value, 42);
    pool.put(std::move(o));
    pool.age();
    pool.age();
    EXPECT_EQ(pool.get()->value, 1);  // P2
    EXPECT_EQ(pool.stats().made, 1u);
    EXPECT_EQ(pool.stats().victims, 1u);
}

TEST(pool, is_bounded_and_gives_each_object_to_one) {
    std::atomic<int> twice{0};
    {
        steady::pool<std::atomic<int>> pool([] { return std::make_unique<std::atomic<int>>(0); });
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 20000; ++i) {
                    auto a = pool.get(), b = pool.get();
                    if (a->fetch_add(1) != 0 || b->fetch_add(1) != 0) ++twice;
                    a->fetch_sub(1);
                    b->fetch_sub(1);
                    pool.put(std::move(a));
                    pool.put(std::move(b));
                }
            });
        }
        for (auto& t : threads) t.join();
        EXPECT_LE(pool.stats().made, 64u);
        for (int i = 0; i < 1000; ++i) pool.put(std::make_unique<std::atomic<int>>(0));
        EXPECT_LE(pool.size(), 2 * 16 * 65u);
        EXPECT_GT(pool.stats().dropped, 0u);
    }
    EXPECT_EQ(twice, 0);
}

TEST(pool, others_are_stolen_from) {
    steady::pool<counted> pool([] { return std::make_unique<counted>(1); }, 0);
    for (int i = 0; i < 10; ++i) pool.put(std::make_unique<counted>(100));
    std::thread([&] { EXPECT_EQ(pool.get()->value, 100); }).join();
    EXPECT_EQ(pool.stats().stolen, 1u);
}

// ---- sync_map

TEST(sync_map, does_what_gos_does) {
    steady::sync_map<std::string, int> m;
    EXPECT_FALSE(m.load("a"));
    m.store("a", 1);
    EXPECT_EQ(m.load("a"), 1);
    auto r = m.load_or_store("a", 2);
    EXPECT_TRUE(r.loaded);
    EXPECT_EQ(r.value, 1);
    r = m.load_or_store("b", 2);
    EXPECT_FALSE(r.loaded);
    EXPECT_EQ(r.value, 2);
    EXPECT_EQ(m.swap("a", 5), 1);
    EXPECT_FALSE(m.swap("c", 6));
    EXPECT_FALSE(m.compare_and_swap("a", 1, 9));
    EXPECT_TRUE(m.compare_and_swap("a", 5, 9));
    EXPECT_FALSE(m.compare_and_swap("none", 0, 9));
    EXPECT_FALSE(m.compare_and_delete("a", 5));
    EXPECT_TRUE(m.compare_and_delete("a", 9));
    EXPECT_EQ(m.load_and_delete("b"), 2);
    EXPECT_FALSE(m.load_and_delete("b"));
    EXPECT_TRUE(m.erase("c"));
    for (int i = 0; i < 100; ++i) m.store(std::to_string(i), i);
    int seen = 0;
    m.range([&](const std::string&, int) { return ++seen < 10; });
    EXPECT_EQ(seen, 10);
    m.range([&](const std::string& k, int) { return m.erase(k), true; });
    EXPECT_EQ(m.size(), 0u);
    m.store("x", 1);
    m.clear();
    EXPECT_EQ(m.size(), 0u);
}

// ---- sharded

TEST(sharded, any_map_behind_locks) {
    steady::sharded<steady::map<std::uint64_t, std::uint64_t>, 16> m;
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i < 5000; ++i) {
                m.try_emplace(i * 4 + t, i);
                m.visit(i * 4 + t, [](std::uint64_t& v) { ++v; });
                if (i % 2) m.erase(i * 4 + t);
            }
        });
    }
    for (auto& t : threads) t.join();
    EXPECT_EQ(m.size(), 10000u);
    EXPECT_EQ(m.size_exact(), 10000u);
    EXPECT_EQ(m.find(0), 1u);
    EXPECT_FALSE(m.contains(4));
    steady::sharded<std::map<int, int>> ordered;
    ordered.insert_or_assign(1, 2);
    EXPECT_EQ(ordered.find(1), 2);
}

// ---- flat_long_map, epoch_map

TEST(flat_long_map, has_entries_of_16_to_24_bytes) {
    steady::flat_long_map<std::int64_t> m;
    EXPECT_TRUE(m.insert(-5, 1));
    EXPECT_EQ(m.find(-5), 1);
    EXPECT_LT(steady::flat_long_map<std::int64_t>::slot_bytes, 18.3);
    struct two {
        std::int64_t a, b;
    };
    EXPECT_LT(steady::flat_long_map<two>::slot_bytes, 27.5);
}

TEST(epoch_map, a_pinned_value_stays_where_it_is) {
    {
        steady::epoch_map<int, counted> m;
        EXPECT_TRUE(m.try_emplace(1, 10));
        EXPECT_FALSE(m.try_emplace(1, 11));
        {
            const auto p = m.pin(1);
            ASSERT_TRUE(bool(p));
            const counted* address = &*p;
            for (int i = 0; i < 10000; ++i) m.replace(1, i);
            EXPECT_EQ(p->value, 10);
            EXPECT_EQ(&*p, address);
            EXPECT_LE(m.retired(),
                      steady::retired_list::most_waiting + 1);  // E2, with one that sleeps
            EXPECT_EQ(m.pin(1)->value, 9999);
        }
        EXPECT_FALSE(bool(m.pin(2)));
        EXPECT_TRUE(m.erase(1));
        m.flush();
        EXPECT_EQ(counted::alive, 0);
        m.try_emplace(5, 5);
        EXPECT_LT(m.memory().count(), 64u << 10);
    }
    EXPECT_EQ(counted::alive, 0);
}

}  // namespace
