// What a reader of this code tried to break it with: threads that are stopped at the worst
// moment, die in a visitor, throw at random, or are left behind by a fork.
#define STEADY_CONCURRENT_STEPS 1

// GCC 12 with sanitizers takes the address that seeds a map's hash for a read of the map.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "steady/concurrent/concurrent_map.hpp"
#include "steady/concurrent/epoch_map.hpp"

// The counters of a map are made once, with memory that may be long in coming.
namespace {
std::atomic<bool> slow_memory{false};
void maybe_sleep() {
    if (!slow_memory.load()) return;
    const timespec t{0, 2'000'000};
    nanosleep(&t, nullptr);
}
}  // namespace
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    maybe_sleep();
    try {
        return ::operator new(size);
    } catch (...) {
        return nullptr;
    }
}

namespace {

using namespace steady;
using concurrent_detail::step;
using concurrent_detail::step_hook;

struct two_groups : concurrent_map_options {
    static constexpr unsigned largest_log_groups = 1;
};
/// No mixing: a test says which group and which segment a key belongs to.
struct plain {
    using is_avalanching = void;
    std::uint64_t operator()(std::uint64_t k) const noexcept { return k; }
};
struct bad {
    using is_avalanching = void;
    std::uint64_t operator()(std::uint64_t) const noexcept { return 42; }
};
constexpr std::uint64_t key(std::uint64_t group, std::uint64_t n, std::uint64_t low) {
    return group << 63 | (n + 2) << 49 | low;
}

// ---- A reader that is stopped between the slot and the hazard.

struct watched {
    static inline std::atomic<std::uint64_t> watch{~std::uint64_t{0}};
    static inline std::atomic<bool> gone{false};
    std::uint64_t name;
    explicit watched(std::uint64_t n) : name(n) {}
    watched(const watched& o) : name(o.name) {}
    ~watched() {
        if (name == watch) gone = true;
    }
};
struct equal_while_alive {
    static inline thread_local bool reading = false;
    static inline std::atomic<bool> too_late{false};
    bool operator()(std::uint64_t a, std::uint64_t b) const noexcept {
        if (reading && watched::gone) too_late = true;
        return a == b;
    }
};
using node_map = concurrent_map<std::uint64_t, watched, plain, equal_while_alive, two_groups>;

thread_local int steps_left = -1;
std::atomic<int> stage{0};
void stop_the_reader(step) {
    if (steps_left < 0 || steps_left-- != 0) return;
    stage = 1;
    while (stage != 2) sched_yield();
}

TEST(attack, erase_if_frees_nothing_that_a_stopped_reader_will_still_look_at) {
    bool reached = true;
    int stops = 0;
    for (int at = 0; reached; ++at) {
        node_map map;
        for (std::uint64_t n = 0; n < 3; ++n) map.insert(key(0, n, 0), watched(key(0, n, 0)));
        const std::uint64_t first = key(0, 0, 0);
        watched::gone = false;
        watched::watch = first;
        equal_while_alive::too_late = false;
        stage = 0;
        step_hook.store(&stop_the_reader);
        std::atomic<bool> finished{false};
        std::thread reader([&] {
            equal_while_alive::reading = true;
            steps_left = at;
            map.cvisit(first, [](const watched&) {
                if (watched::gone) equal_while_alive::too_late = true;
            });
            steps_left = -1;
            equal_while_alive::reading = false;
            finished = true;
        });
        while (stage != 1 && !finished) sched_yield();
        reached = stage == 1;
        stops += reached;
        int seen = 0;
        map.erase_if([&](std::uint64_t, const watched&) {
            if (++seen == 2) {
                map.flush();  // the first entry's node, unless somebody says he looks at it
                stage = 2;
                while (!finished) sched_yield();
            }
            return true;
        });
        stage = 2;
        reader.join();
        step_hook.store(nullptr);
        watched::watch = ~std::uint64_t{0};
        ASSERT_FALSE(equal_while_alive::too_late) << "stopped at step " << at;
    }
    EXPECT_GE(stops, 6);
}

// ---- A segment that comes back to the entry it left.

struct words_are_hashes {
    std::uint64_t operator()(const std::uint64_t* words) const noexcept { return words[0]; }
};

TEST(attack, a_segment_that_is_split_and_merged_has_another_name) {
    using table = concurrent_detail::table<2, words_are_hashes, 1>;
    table t(words_are_hashes{});
    const auto insert = [&](std::uint64_t k) {
        t.write(
            k, [&](const auto& s) { return s.words[0].load() == k; },
            [](auto&, auto&, auto&) { return concurrent_detail::verdict::keep; },
            [&](std::uint64_t* words) { return words[0] = k, words[1] = k, true; });
    };
    const auto erase = [&](std::uint64_t k) {
        t.write(
            k, [&](const auto& s) { return s.words[0].load() == k; },
            [](auto&, auto&, auto&) { return concurrent_detail::verdict::erase; }, table::never{});
    };
    int came_back = 0;
    for (int round = 0; round < 8; ++round) {
        for (std::uint64_t n = 0; n < 7; ++n) insert(key(0, n, n % 2)), insert(key(1, n, n % 2));
        const auto before = t.locate(0);
        insert(key(0, 20, 1));
        ASSERT_NE(t.locate(0).name.raw, before.name.raw);
        erase(key(0, 20, 1));
        for (std::uint64_t n = 0; n < 7; ++n) erase(key(0, n, n % 2)), erase(key(1, n, n % 2));
        ASSERT_EQ(t.size(), 0u);
        const auto after = t.locate(0);
        if (after.groups == before.groups && after.name.depth() == before.name.depth()) {
            ++came_back;
            EXPECT_NE(after.name.raw, before.name.raw);
        }
    }
    EXPECT_GT(came_back, 0);
}

template <unsigned Words>
void groups_of_all_sizes_stand_at_the_same_places() {
    using pool = concurrent_detail::segment_pool<Words, 7>;
    constexpr std::size_t large = pool::size_of(7);
    for (unsigned log = 1; log <= 7; ++log) {
        EXPECT_EQ(pool::size_of(log) % sizeof(typename pool::group_type), 0u) << Words << log;
        EXPECT_EQ(pool::size_of(log) % concurrent_detail::segment_alignment, 0u) << Words << log;
        EXPECT_EQ(large % pool::size_of(log), 0u) << Words << log;
    }
    EXPECT_EQ(large, 128 * sizeof(typename pool::group_type));
}
TEST(attack, memory_of_a_large_segment_is_cut_only_between_its_groups) {
    groups_of_all_sizes_stand_at_the_same_places<2>();
    groups_of_all_sizes_stand_at_the_same_places<3>();
    groups_of_all_sizes_stand_at_the_same_places<4>();
}

TEST(attack, a_dropped_segment_is_not_taken_while_a_late_writer_has_a_lock_in_it) {
    using pool_type = concurrent_detail::segment_pool<2, 7>;
    pool_type& pool = pool_type::of_process();
    std::vector<pool_type::group_type*> taken;
    for (std::size_t i = 0; i < pool_type::kept + 8; ++i) {
        taken.push_back(pool.take(7));
        ASSERT_NE(taken.back(), nullptr);
        for (int g = 0; g < 128; ++g) taken.back()[g].state.store(1);
    }
    auto* late = taken.back();
    for (auto* s : taken) pool.give(s, 7);
    ASSERT_EQ(late[5].state.load(), 0u) << "the pool keeps more than it says";
    ASSERT_TRUE(late[5].state.lock(0, 1));
    std::atomic<bool> have{false};
    std::vector<pool_type::group_type*> again;
    std::thread taker([&] {
        for (std::size_t i = 0; i < taken.size(); ++i) again.push_back(pool.take(7));
        have = true;
    });
    const timespec t{0, 20'000'000};
    nanosleep(&t, nullptr);
    EXPECT_FALSE(have);
    late[5].state.store(0);
    taker.join();
    EXPECT_EQ(late[5].state.load(), 1u);  // S3: the taker's own
    for (auto* s : again) pool.give(s, 7);
}

// ---- Two threads that split the first segment at the same time.

TEST(attack, no_count_is_lost_when_two_threads_make_the_counters) {
    slow_memory = true;
    for (int round = 0; round < 5; ++round) {
        concurrent_map<std::uint64_t, std::uint64_t> map;
        std::vector<std::thread> threads;
        for (std::uint64_t t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (std::uint64_t i = 0; i < 2000; ++i) map.insert(i * 4 + t, i);
            });
        }
        for (auto& t : threads) t.join();
        ASSERT_EQ(map.size(), 8000u);
    }
    slow_memory = false;
}

// ---- Bad hashes.

struct pair {
    std::uint64_t a, b;
};

std::atomic<unsigned> seeds{1};
void preempt_at_random(step) {
    static thread_local std::uint64_t state = seeds.fetch_add(1) * 0x9e3779b97f4a7c15;
    state = state * 6364136223846793005u + 1442695040888963407u;
    const unsigned r = static_cast<unsigned>(state >> 33) % 4096;
    if (r < 40) sched_yield();
    if (r == 4095) {
        const timespec t{0, 50'000};
        nanosleep(&t, nullptr);
    }
}

TEST(attack, a_spilled_value_of_two_words_stays_while_it_is_replaced) {
    concurrent_map<std::uint64_t, pair, bad> map;
    std::uint64_t filled = 0;
    while (map.stats().spilled < 4) map.insert(filled, pair{filled, ~filled}), ++filled;
    const std::uint64_t last = filled - 1;
    std::atomic<bool> stop{false};
    step_hook.store(&preempt_at_random);
    std::thread writer([&] {
        for (std::uint64_t i = 0; !stop; ++i) map.insert_or_assign(last, pair{i, ~i});
    });
    std::thread spiller([&] {
        for (std::uint64_t i = 0; !stop; ++i) {
            map.insert(filled + i % 3, pair{i, ~i});
            map.erase(filled + i % 3);
        }
    });
    int missed = 0, torn = 0;
    for (int i = 0; i < 2000; ++i) {
        const auto v = map.find(last);
        missed += !v;
        torn += v && v->b != ~v->a;
        if (i % 100 == 0) {
            std::size_t seen = 0;
            map.cvisit_all([&](std::uint64_t k, const pair& p) {
                seen += k < filled;
                torn += p.b != ~p.a;
            });
            EXPECT_EQ(seen, filled);
        }
    }
    stop = true;
    writer.join();
    spiller.join();
    step_hook.store(nullptr);
    EXPECT_EQ(missed, 0);
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(map.size_exact(), filled);
}

TEST(attack, a_walk_over_more_spilled_nodes_than_one_record_has_hazards) {
    struct same {
        std::size_t operator()(const std::string&) const noexcept { return 42; }
    };
    concurrent_map<std::string, int, same> map;
    for (int i = 0; i < 1600; ++i) map.insert(std::to_string(i), i);
    std::map<std::string, int> seen;
    map.cvisit_all([&](const std::string& k, int v) { EXPECT_TRUE(seen.emplace(k, v).second); });
    EXPECT_EQ(seen.size(), 1600u);
}

// ---- Forced preemption at random.

template <class Map, class Make>
void threads_keep_what_is_theirs(Make make, int operations) {
    Map map;
    step_hook.store(&preempt_at_random);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0}, running{3};
    for (std::uint64_t t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            std::map<std::uint64_t, std::uint64_t> mine;
            for (int i = 0; i < operations; ++i) {
                const std::uint64_t n = random() % 40 * 4 + t;
                const auto k = make(n);
                switch (random() % 5) {
                    case 0:
                    case 1:
                        wrong += map.insert_or_assign(k, i) !=
                                 mine.insert_or_assign(n, std::uint64_t(i)).second;
                        break;
                    case 2: wrong += map.erase(k) != (mine.erase(n) == 1); break;
                    case 3:
                        if (random() % 16 == 0) {
                            // Only this thread's: others see theirs kept.
                            const std::size_t erased = map.erase_if(
                                [&](const auto&, auto v) { return v % 7 == 3 && false; });
                            wrong += erased != 0;
                        }
                        [[fallthrough]];
                    default: {
                        const auto got = map.find(k);
                        const auto there = mine.find(n);
                        wrong += got.has_value() != (there != mine.end());
                        if (got && there != mine.end()) wrong += *got != there->second;
                    }
                }
            }
            std::size_t count = 0;
            for (const auto& [n, v] : mine) wrong += map.find(make(n)) != v, ++count;
            --running;
        });
    }
    std::thread walker([&] {
        while (running != 0) {
            std::size_t seen = 0;
            map.cvisit_all([&](const auto&, auto) { ++seen; });
            wrong += seen > 3 * 40;
            wrong += map.size_exact() > 3 * 40;
        }
    });
    for (auto& t : threads) t.join();
    walker.join();
    step_hook.store(nullptr);
    EXPECT_EQ(wrong, 0);
}

TEST(preemption, at_random_places_loses_nothing) {
    threads_keep_what_is_theirs<
        concurrent_map<std::uint64_t, std::uint64_t, map_hash<std::uint64_t>,
                       map_equal<std::uint64_t>, two_groups>>([](std::uint64_t n) { return n; },
                                                              20000);
}
TEST(preemption, at_random_places_loses_no_node) {
    threads_keep_what_is_theirs<concurrent_map<std::string, std::uint64_t, map_hash<std::string>,
                                               map_equal<std::string>, two_groups>>(
        [](std::uint64_t n) { return "key " + std::to_string(n); }, 10000);
}
TEST(preemption, erase_if_and_readers_of_nodes) {
    concurrent_map<std::string, std::string, map_hash<std::string>, map_equal<std::string>,
                   two_groups>
        map;
    step_hook.store(&preempt_at_random);
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (unsigned t = 0; t < 2; ++t) {
        readers.emplace_back([&, t] {
            std::mt19937_64 random(t);
            while (!stop) {
                const std::string k = "a key that is not short: " + std::to_string(random() % 60);
                map.cvisit(k, [&](const std::string& v) { wrong += v != k; });
            }
        });
    }
    for (int round = 0; round < 60; ++round) {
        for (int i = 0; i < 60; ++i) {
            const std::string k = "a key that is not short: " + std::to_string(i);
            map.insert(k, k);
        }
        map.clear();
    }
    stop = true;
    for (auto& t : readers) t.join();
    step_hook.store(nullptr);
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(map.size_exact(), 0u);
}

// ---- Threads that die in a visitor.

using word_map = concurrent_map<std::uint64_t, std::uint64_t>;
using text_map = concurrent_map<std::string, std::string>;

template <class Map, class Die>
void dies(Map& map, Die die) {
    struct call {
        Map* map;
        Die* die;
    } c{&map, &die};
    pthread_t thread;
    ASSERT_EQ(pthread_create(
                  &thread, nullptr,
                  [](void* p) -> void* {
                      auto* what = static_cast<call*>(p);
                      (*what->die)(*what->map);
                      return what;  // not reached
                  },
                  &c),
              0);
    void* result = &c;
    ASSERT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ(result, nullptr) << "the thread did not die";
}

template <class Map, class K, class V>
void dead_visitors_leave_no_lock(const K& k, const V& v) {
    Map map;
    map.insert(k, v);
    const auto exit = [](auto&&...) { pthread_exit(nullptr); };
    dies(map, [&](Map& m) { m.visit(k, exit); });
    dies(map, [&](Map& m) { m.cvisit(k, exit); });
    dies(map, [&](Map& m) { m.upsert(k, exit, v); });
    dies(map, [&](Map& m) { m.insert_or_cvisit(k, v, exit); });
    dies(map, [&](Map& m) { m.compute(k, exit); });
    dies(map, [&](Map& m) { m.erase_if(k, [](const V&) -> bool { pthread_exit(nullptr); }); });
    dies(map,
         [&](Map& m) { m.erase_if([](const K&, const V&) -> bool { pthread_exit(nullptr); }); });
    dies(map, [&](Map& m) { m.cvisit_all(exit); });
    EXPECT_EQ(map.find(k), v);
    EXPECT_EQ(map.size_exact(), 1u);  // waits for every lock
    EXPECT_FALSE(map.insert_or_assign(k, v));
    map.flush();
    EXPECT_EQ(map.memory().retired.count(), 0u) << "a dead thread still guards";
    EXPECT_TRUE(map.erase(k));
}
TEST(death, in_a_visitor_leaves_no_lock_and_no_guard) {
    dead_visitors_leave_no_lock<word_map>(std::uint64_t{7}, std::uint64_t{8});
    dead_visitors_leave_no_lock<text_map>(std::string("a key"), std::string("a value of its own"));
}
TEST(death, a_thread_that_sleeps_in_a_read_keeps_one_thing_and_holds_up_nobody) {
    text_map map;
    map.insert("a", "first");
    std::atomic<int> at{0};
    std::thread sleeper([&] {
        map.cvisit("a", [&](const std::string& v) {
            at = 1;
            while (at != 2) sched_yield();
            EXPECT_EQ(v, "first");
        });
    });
    while (at != 1) sched_yield();
    for (int i = 0; i < 5000; ++i) map.insert_or_assign("a", std::to_string(i));
    EXPECT_LE(map.memory().retired.count(),
              (steady::retired_list::most_waiting + 1) * sizeof(std::string));
    EXPECT_EQ(map.size_exact(), 1u);
    map.clear();
    at = 2;
    sleeper.join();
    EXPECT_FALSE(map.contains("a"));
}

// ---- Keys that throw at random, from several threads.

struct moody {
    static inline std::atomic<bool> armed{false};
    std::uint64_t n;
    static void mood() {
        static thread_local std::uint64_t state = seeds.fetch_add(1) * 0x9e3779b97f4a7c15;
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (armed && (state >> 33) % 16 == 0) throw std::runtime_error("not today");
    }
    explicit moody(std::uint64_t v) : n(v) {}
    moody(const moody& o) : n(o.n) { mood(); }
    moody& operator=(const moody&) = default;
    bool operator==(const moody& o) const { return mood(), n == o.n; }
};
struct moody_hash {
    std::size_t operator()(const moody& m) const {
        moody::mood();
        return std::hash<std::uint64_t>()(m.n * 0x9e3779b97f4a7c15);
    }
};
TEST(failure, keys_that_throw_in_four_threads_lose_nothing) {
    concurrent_map<moody, moody, moody_hash, std::equal_to<moody>, two_groups> map;
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> thrown{0}, wrong{0}, expected{0};
    moody::armed = true;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            std::map<std::uint64_t, std::uint64_t> mine;
            for (int i = 0; i < 3000; ++i) {
                const moody k(random() % 60 * 4 + t);
                const moody v(std::uint64_t(i) + 1);
                const auto what = random() % 4;
                try {
                    if (what == 0) {
                        wrong += map.erase(k) != (mine.erase(k.n) == 1);
                    } else if (what == 1) {
                        const auto f = map.find(k);
                        wrong += f.has_value() != mine.contains(k.n);
                        if (f && mine.contains(k.n)) wrong += f->n != mine[k.n];
                    } else {
                        // A failed call has changed nothing, a successful one the model too.
                        const bool fresh = map.insert_or_assign(k, v);
                        wrong += fresh != mine.insert_or_assign(k.n, v.n).second;
                    }
                } catch (const std::runtime_error&) {
                    ++thrown;
                }
            }
            expected += mine.size();
        });
    }
    for (auto& t : threads) t.join();
    moody::armed = false;
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(thrown, 500u);
    EXPECT_EQ(map.size_exact(), expected);
}

// ---- Forks.

#if !defined(__SANITIZE_THREAD__)
int wait_for(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

TEST(fork, a_child_makes_maps_though_another_thread_was_taking_segments) {
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) {
            word_map map;
            map.insert(1, 1);
        }
    });
    for (int i = 0; i < 100; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            alarm(10);
            word_map map;
            for (std::uint64_t n = 0; n < 3; ++n) map.insert(n, n);
            _exit(map.size_exact() == 3 ? 0 : 1);
        }
        ASSERT_EQ(wait_for(child), 0);
    }
    stop = true;
    busy.join();
}

TEST(fork, in_the_middle_of_a_walk_the_child_keeps_what_it_looks_at) {
    node_map map;
    for (std::uint64_t n = 0; n < 3; ++n) map.insert(key(0, n, 0), watched(n));
    watched::gone = false;
    bool first = true;
    map.cvisit_all([&](std::uint64_t, const watched& v) {
        if (!first) return;
        first = false;
        const pid_t child = ::fork();
        if (child == 0) {
            alarm(10);
            watched::watch = v.name;
            const std::uint64_t name = v.name;
            map.clear();
            map.flush();
            _exit(!watched::gone && v.name == name ? 0 : 1);
        }
        EXPECT_EQ(wait_for(child), 0);
    });
    EXPECT_FALSE(first);
}

TEST(fork, a_child_destroys_a_map_in_which_a_lost_thread_has_a_lock) {
    word_map map;
    map.insert(1, 1);
    std::atomic<int> at{0};
    std::thread other([&] {
        map.visit(1, [&](std::uint64_t&) {
            at = 1;
            while (at != 2) sched_yield();
        });
    });
    while (at != 1) sched_yield();
    const pid_t child = ::fork();
    if (child == 0) {
        alarm(10);
        map.~word_map();
        _exit(0);
    }
    EXPECT_EQ(wait_for(child), 0);
    at = 2;
    other.join();
}
#endif

}  // namespace
