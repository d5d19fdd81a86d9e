// page_heap_bench.cpp - what does a page cost? No page is touched, so this is the
// price of the bookkeeping alone: bits, summaries, hints, marks, ledgers.
//
// Healthy (docs/design/page-heap.md has the figures of the reference machine): a
// few ns while one chunk is worked on, well below 100 ns when every operation
// meets another chunk, and no dependence on the size of the heap beyond its cache
// misses. Each row checks its own answer with page_heap::check().
#include <steady/heap/detail/page_heap.hpp>
#include <steady/os/memory.hpp>

#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <vector>

namespace {

using namespace steady;
using detail::page_heap;
using detail::page_index;

struct slice {
    explicit slice(pages capacity) {
        memory = os::area::open(to_bytes(capacity), 4_MiB, 0, false, bytes{}).value();
        tables =
            os::area::open(page_heap::tables_size(capacity), 64_KiB, 0, false, bytes{}).value();
        heap.open(memory, bytes{}, capacity, tables, bytes{}).value();
    }
    ~slice() {
        const bytes ready = to_bytes(heap.in_use() + heap.free_resident());
        if (heap.grown() != pages{})
            memory.unprepare(bytes{}, to_bytes(heap.grown()), ready).value();
        if (heap.grown() != pages{})
            tables.unprepare(bytes{}, tables.prepared(), tables.prepared()).value();
        memory.close().value();
        tables.close().value();
    }
    void check(benchmark::State& state) const {
        message why("bench");
        if (!heap.check(&why)) state.SkipWithError(why.c_str());
    }

    os::area memory, tables;
    page_heap heap;
};

struct block {
    page_index first;
    unsigned count;
};

/// Span sizes as Go's classes ask for them: mostly one page, at most ten.
unsigned span_size(std::mt19937_64& random) {
    static constexpr unsigned sizes[] = {1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 7, 9, 10};
    return sizes[random() % std::size(sizes)];
}

void take_and_free_one_page(benchmark::State& state) {
    slice s(pages{4096});
    (void)s.heap.allocate(pages{100});
    for (auto _ : state) s.heap.free(s.heap.allocate(pages{1})->first, pages{1});
    s.check(state);
}
BENCHMARK(take_and_free_one_page);

// A program that only grows: one run after the other, each for the first time, with
// one page free at the bottom that is too small for all but single pages.
template <unsigned Pages>
void take_fresh(benchmark::State& state) {
    const std::size_t capacity = std::size_t{1} << 27;
    std::unique_ptr<slice> s;
    for (auto _ : state) {
        if (!s || s->heap.in_use().count() > capacity / 16) {
            state.PauseTiming();
            s = std::make_unique<slice>(pages{capacity});
            (void)s->heap.allocate(pages{100});
            s->heap.free(50, pages{1});
            state.ResumeTiming();
        }
        benchmark::DoNotOptimize(s->heap.allocate(pages{Pages})->first);
    }
    s->check(state);
}
BENCHMARK(take_fresh<1>);
BENCHMARK(take_fresh<4>);

// Frees a random block and takes another: nearly every operation meets another
// chunk. Argument: MiB in use.
template <bool Spans>
void replace_at_random(benchmark::State& state) {
    slice s(pages{std::size_t{1} << 24});
    std::mt19937_64 random(1);
    const std::size_t target = static_cast<std::size_t>(state.range(0)) * 128;
    std::vector<block> live;
    while (s.heap.in_use().count() < target) {
        const unsigned n = Spans ? span_size(random) : 1;
        live.push_back({s.heap.allocate(pages{n})->first, n});
    }
    for (std::size_t i = 0; i < live.size(); i += 10) {  // holes, as in a lived-in heap
        s.heap.free(live[i].first, pages{live[i].count});
        live[i] = live.back();
        live.pop_back();
    }
    for (auto _ : state) {
        block& b = live[random() % live.size()];
        s.heap.free(b.first, pages{b.count});
        b.count = Spans ? span_size(random) : 1;
        b.first = s.heap.allocate(pages{b.count})->first;
    }
    s.check(state);
}
BENCHMARK(replace_at_random<false>)->Arg(16)->Arg(256)->Arg(4096);
BENCHMARK(replace_at_random<true>)->Arg(16)->Arg(256)->Arg(4096);

// Large blocks, 33 KiB to 4 MiB, as the heap asks for them.
void replace_large_blocks(benchmark::State& state) {
    slice s(pages{std::size_t{1} << 24});
    std::mt19937_64 random(1);
    const auto some_size = [&] {
        return static_cast<unsigned>(5u << random() % 7) + static_cast<unsigned>(random() % 5);
    };
    std::vector<block> live(2000);
    for (block& b : live) {
        b.count = some_size();
        b.first = s.heap.allocate(pages{b.count})->first;
    }
    for (auto _ : state) {
        block& b = live[random() % live.size()];
        s.heap.free(b.first, pages{b.count});
        b.count = some_size();
        b.first = s.heap.allocate(pages{b.count})->first;
    }
    s.check(state);
}
BENCHMARK(replace_large_blocks);

// One round of the scavenger without its system call. Argument: MiB of a heap in
// which the candidate is the one dirty run.
void take_a_candidate(benchmark::State& state) {
    slice s(pages{std::size_t{1} << 24});
    (void)s.heap.allocate(pages{static_cast<std::size_t>(state.range(0)) * 128});
    for (auto _ : state) {
        s.heap.free(700, pages{100});
        page_heap::scavenge_candidate taken{};
        if (!s.heap.take_scavenge_candidate(pages{256}, false, taken))
            state.SkipWithError("nothing found");
        s.heap.finish_scavenge(taken, true);
        os::ledgers().ready.sub(to_bytes(pages{taken.count}));  // what the decommit would do
        os::ledgers().prepared.add(to_bytes(pages{taken.count}));
        (void)s.heap.extend(700, pages{100});
    }
    s.check(state);
}
BENCHMARK(take_a_candidate)->Arg(256)->Arg(65536);

}  // namespace

BENCHMARK_MAIN();
