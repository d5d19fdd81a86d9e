// order_churn.cpp - E-45: orders that are updated 3.2 times each, each update a new node and a
// dead one: from the heap, and from a pool of nodes that readers may pin.
#include <cstdint>
#include <cstring>
#include <memory>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/concurrent/concurrent_map.hpp"
#include "steady/concurrent/epoch_map.hpp"
#include "steady/heap/heap.hpp"

namespace steady::cli::lab {
namespace {

struct order {
    std::int64_t id = 0, price = 0, quantity = 0, version = 0;
    char rest[32] = {};
    order() = default;
    order(std::int64_t i, std::int64_t v) : id(i), price(100), quantity(10), version(v) {}
};
struct heap_order {
    order what;
    static void* operator new(std::size_t n) { return steady::allocate(n); }
    static void operator delete(void* p) noexcept { steady::deallocate(p); }
};

void run(laboratory& lab) {
    // 16 updates for 5 orders: 3.2. Orders live for a while and are then done.
    const std::int64_t orders = lab.size<std::int64_t>(1'000'000, 50'000), alive = 10'000;
    const std::int64_t updates = orders * 16 / 5;
    const auto play = [&](auto&& open, auto&& update, auto&& close) {
        std::int64_t made = 0;
        std::uint64_t state = 1;
        for (std::int64_t i = 0; i < orders; ++i) {
            open(i);
            if (i >= alive) close(i - alive);
            for (; made < (i + 1) * 16 / 5; ++made) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                const std::int64_t span = i + 1 < alive ? i + 1 : alive;
                update(
                    i - static_cast<std::int64_t>((state >> 33) % static_cast<std::uint64_t>(span)),
                    made);
            }
        }
        return made;
    };

    std::uint64_t heap_objects = 0, pool_nodes = 0;
    std::int64_t made = 0, missed = 0;
    double heap_time = 0, pool_time = 0;
    {
        // A pointer to an immutable order in the slot; the old one is freed when nobody looks.
        steady::concurrent_map<std::int64_t, heap_order*> map;
        steady::retired_list retired;
        const auto free = [&](heap_order* o) {
            retired.retire(
                o, [](void* p) noexcept { delete static_cast<heap_order*>(p); }, sizeof(order));
        };
        const heap_meter meter;
        heap_time = nanoseconds_of([&] {
            made = play([&](std::int64_t i) { map.insert(i, new heap_order{order(i, 0)}); },
                        [&](std::int64_t i, std::int64_t v) {
                            const auto old = map.exchange(i, new heap_order{order(i, v)});
                            old ? free(*old) : void(++missed);
                        },
                        [&](std::int64_t i) {
                            if (const auto old = map.extract(i)) free(*old);
                        });
        });
        heap_objects = meter.read().objects;
        map.cvisit_all([](std::int64_t, heap_order* o) { delete o; });
    }
    lab.expect("updates made", made, updates);
    lab.expect("updates of orders that were not there", missed, 0);
    lab.expect("nodes from the heap: one for each order and update", heap_objects,
               static_cast<std::uint64_t>(orders + updates));
    {
        steady::epoch_map<std::int64_t, order> map;
        missed = 0;
        pool_time = nanoseconds_of([&] {
            play([&](std::int64_t i) { map.try_emplace(i, i, std::int64_t{0}); },
                 [&](std::int64_t i, std::int64_t v) { missed += map.replace(i, i, v); },
                 [&](std::int64_t i) { map.erase(i); });
        });
        pool_nodes = map.memory().count() / sizeof(order);  // more than there are nodes
        const auto pinned = map.pin(orders - 1);
        lab.expect("the last order is there, whole", pinned->id, orders - 1);
        lab.expect("orders alive at the end", static_cast<std::int64_t>(map.size()), alive);
        lab.expect_within("retired nodes that wait", static_cast<double>(map.retired()), 0,
                          double{steady::retired_list::most_waiting} + 1);
    }
    lab.expect("updates of orders that were not there, pool", missed, 0);
    lab.expect_within("nodes the pool ever took, at most", static_cast<double>(pool_nodes),
                      static_cast<double>(alive), 3.0 * static_cast<double>(alive));
    lab.figure("updates an order", static_cast<double>(made) / static_cast<double>(orders),
               unit::ratio, {.reported = "3.2"});
    lab.figure("nodes from the heap, a million orders",
               static_cast<double>(heap_objects) * 1e6 / static_cast<double>(orders), unit::number);
    const double each = static_cast<double>(orders + updates);
    lab.figure("heap nodes: an operation", heap_time / each, unit::nanoseconds);
    lab.figure("pool of nodes: an operation", pool_time / each, unit::nanoseconds);
    lab.figure("time saved", 100 * (1 - pool_time / heap_time), unit::percent,
               {.reported = "68 % (of young collections)"});
    lab.note(
        "Full collections and their share (x7, 43 %) belong to a JVM and have no counterpart: "
        "what is counted here is what would have been garbage.");
}

const experiment here{
    {.id = "E-45",
     .name = "order-churn",
     .question = "What does a pool of nodes save when each order is updated 3.2 times?",
     .rows = "S4-50,51",
     .reported = "Full GC x7, 43 %, -68 %",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
