// pool_victim.cpp - E-51: what lies in a pool survives one turn of the generations, not two.
#include <memory>

#include "lab/experiment.hpp"
#include "steady/concurrent/pool.hpp"

namespace steady::cli::lab {
namespace {

struct object {
    int mark = 0;
};

void run(laboratory& lab) {
    const auto survives = [](int ages) {
        steady::pool<object> pool([] { return std::make_unique<object>(); }, 0);
        auto o = pool.get();
        o->mark = 42;
        pool.put(std::move(o));
        for (int i = 0; i < ages; ++i) pool.age();
        return std::uint64_t{pool.get()->mark == 42};
    };
    lab.expect("survives no collection", survives(0), 1u);
    lab.expect("survives one", survives(1), 1u);
    lab.expect("survives two", survives(2), 0u);
    lab.note(
        "Go ages its pools at each garbage collection; here age() does, called by whoever "
        "knows when, and by itself after a million puts.");
}

const experiment here{{.id = "E-51",
                       .name = "pool-victim",
                       .question = "Does a pooled object survive one collection, and not two?",
                       .rows = "S3-53",
                       .reference = "true / false",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
