// thread_patterns.hpp - five ways in which threads share a heap, each a small class
// with repeat(); malloc_threads.cpp holds the clock.
//
//   row          what 2 or 8 threads do                                   freed by
//   own-N        each replaces random ones of its own 1,000 objects       the same thread
//   handover-N   half make objects, half free them; whole batches of 256  another, always
//                go through a bounded queue per pair
//   exchange-N   all swap objects in and out of one table of 100,000      a random one
//   larson-N     each replaces among 1,000 objects and ends; an heir goes  an heir, at first
//                on with the same table; ten generations
//   starts-N     threads that allocate 100 objects, free them, and end    the same, briefly
//
// Objects are 16..256 bytes, larson's 8..1000 (the sizes of Larson and Krishnan,
// "Memory Allocation for Long-Running Server Applications", ISMM 1998).
//
// Checks   Each object carries a tag, read before the free and summed. The order
//          is the scheduler's, but a sum has none: the checksum depends on the
//          seed alone, and a heap that serves one block twice changes it.
#pragma once

#include "support/plain_memory.hpp"

#include <atomic>
#include <cinttypes>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace steady::bench {

inline constexpr std::size_t most_threads = 8;

struct object {
    std::uint64_t tag;
};

inline object* make(std::uint32_t size, std::uint64_t tag) {
    auto* made = static_cast<object*>(std::malloc(size));
    if (made == nullptr) {
        std::fprintf(stderr, "bench: malloc(%" PRIu32 ") returned nullptr; stopping.\n", size);
        std::exit(1);
    }
    made->tag = tag;
    escape(made);
    return made;
}

inline std::uint64_t drop(object* dead) {
    if (dead == nullptr) {
        return 0;
    }
    const std::uint64_t tag = dead->tag;
    std::free(dead);
    return tag;
}

inline std::uint32_t size_from(std::uint64_t drawn, std::uint32_t least, std::uint32_t most) {
    return least + below(static_cast<std::uint32_t>(drawn), most - least + 1);
}

// One table of live objects and the loop that replaces random ones of them.
inline std::uint64_t replace_some(object** table, std::uint32_t live, std::size_t steps,
                                  seeded_random& random, std::uint32_t least, std::uint32_t most) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < steps; ++i) {
        const std::uint64_t drawn = random.next();
        object*& slot = table[below(static_cast<std::uint32_t>(drawn >> 32), live)];
        sum += drop(slot);
        slot = make(size_from(drawn, least, most), drawn >> 8);
    }
    return sum;
}

inline std::uint64_t drop_all(object** table, std::size_t live) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < live; ++i) {
        sum += drop(table[i]);
        table[i] = nullptr;
    }
    return sum;
}

// Runs `body(number)` on `count` threads and returns the sum of what they return.
template <class Body>
std::uint64_t on_threads(std::size_t count, Body body) {
    std::atomic<std::uint64_t> sum{0};
    std::thread threads[most_threads];
    for (std::size_t t = 0; t < count; ++t) {
        threads[t] = std::thread([&sum, &body, t] {
            sum.fetch_add(body(t), std::memory_order_relaxed);  // published by join
        });
    }
    for (std::size_t t = 0; t < count; ++t) {
        threads[t].join();
    }
    return sum.load(std::memory_order_relaxed);
}

// Each pattern below has `pairs` and repeat(), which returns its checksum after `pairs`
// allocations and frees in all.

template <std::size_t Threads>
struct own {
    static constexpr std::size_t pairs = 800'000;

    std::uint64_t repeat() {
        return on_threads(Threads, [this](std::size_t t) {
            object** table = &tables_[t * live];
            seeded_random random{t + 1};
            return replace_some(table, live, pairs / Threads, random, 16, 256) +
                   drop_all(table, live);
        });
    }

private:
    static constexpr std::uint32_t live = 1000;
    plain_array<object*> tables_{Threads * live};
};

template <std::size_t Threads>
struct handover {
    static constexpr std::size_t pairs = 409'600;

    std::uint64_t repeat() {
        return on_threads(Threads, [this](std::size_t t) {
            return t % 2 == 0 ? produce(t / 2) : consume(t / 2);
        });
    }

private:
    static constexpr std::size_t batch = 256;
    static constexpr std::size_t depth = 8;  // batches that may wait in a queue
    static constexpr std::size_t lines = Threads / 2;
    static_assert(pairs % (batch * lines) == 0, "every producer makes whole batches");

    struct queue {
        std::mutex mutex;
        std::condition_variable changed;
        std::size_t put = 0;
        std::size_t taken = 0;
        object* objects[depth][batch] = {};
    };
    queue queues_[lines];

    std::uint64_t produce(std::size_t line) {
        queue& to = queues_[line];
        seeded_random random{line + 1};
        for (std::size_t done = 0; done < pairs / lines; done += batch) {
            std::unique_lock lock{to.mutex};
            to.changed.wait(lock, [&] { return to.put - to.taken < depth; });
            object** room = to.objects[to.put % depth];
            lock.unlock();
            for (std::size_t i = 0; i < batch; ++i) {
                const std::uint64_t drawn = random.next();
                room[i] = make(size_from(drawn, 16, 256), drawn >> 8);
            }
            lock.lock();
            ++to.put;
            to.changed.notify_one();
        }
        return 0;
    }

    std::uint64_t consume(std::size_t line) {
        queue& from = queues_[line];
        std::uint64_t sum = 0;
        for (std::size_t done = 0; done < pairs / lines; done += batch) {
            std::unique_lock lock{from.mutex};
            from.changed.wait(lock, [&] { return from.put != from.taken; });
            object** filled = from.objects[from.taken % depth];
            lock.unlock();
            for (std::size_t i = 0; i < batch; ++i) {
                sum += drop(filled[i]);
            }
            lock.lock();
            ++from.taken;
            from.changed.notify_one();
        }
        return sum;
    }
};

template <std::size_t Threads>
struct exchange {
    static constexpr std::size_t pairs = 400'000;

    std::uint64_t repeat() {
        std::uint64_t sum = on_threads(Threads, [this](std::size_t t) {
            seeded_random random{t + 1};
            std::uint64_t own_sum = 0;
            for (std::size_t i = 0; i < pairs / Threads; ++i) {
                const std::uint64_t drawn = random.next();
                object* fresh = make(size_from(drawn, 16, 256), drawn >> 8);
                // acq_rel; pairs with the exchange of the thread that takes it out, which
                // must see the tag.
                own_sum +=
                    drop(table_[below(static_cast<std::uint32_t>(drawn >> 32), live)].exchange(
                        fresh, std::memory_order_acq_rel));
            }
            return own_sum;
        });
        for (auto& slot : table_) {
            sum += drop(slot.exchange(nullptr, std::memory_order_relaxed));
        }
        return sum;
    }

private:
    static constexpr std::uint32_t live = 100'000;
    plain_array<std::atomic<object*>> table_{live};
};

template <std::size_t Threads>
struct larson {
    static constexpr std::size_t pairs = 800'000;

    std::uint64_t repeat() {
        const std::uint64_t sum = on_threads(Threads, [this](std::size_t t) {
            std::uint64_t line_sum = 0;
            for (std::size_t generation = 0; generation < generations; ++generation) {
                std::thread heir{[&, generation] {
                    seeded_random random{t * generations + generation + 1};
                    line_sum += replace_some(&tables_[t * live], live,
                                             pairs / Threads / generations, random, 8, 1000);
                }};
                heir.join();
            }
            return line_sum;
        });
        return sum + drop_all(tables_.begin(), tables_.size());
    }

private:
    static constexpr std::uint32_t live = 1000;
    static constexpr std::size_t generations = 10;
    plain_array<object*> tables_{Threads * live};
};

template <std::size_t Threads>
struct starts {
    static constexpr std::size_t pairs = 80'000;

    std::uint64_t repeat() {
        std::uint64_t sum = 0;
        for (std::size_t done = 0; done < pairs; done += Threads * live) {
            sum += on_threads(Threads, [](std::size_t t) {
                object* table[live] = {};
                seeded_random random{t + 1};
                for (object*& slot : table) {
                    const std::uint64_t drawn = random.next();
                    slot = make(size_from(drawn, 16, 256), drawn >> 8);
                }
                return drop_all(table, live);
            });
        }
        return sum;
    }

private:
    static constexpr std::size_t live = 100;
};

}  // namespace steady::bench
