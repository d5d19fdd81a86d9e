// transitions_bench.cpp - what does each arrow between the states cost? The heap's back end
// is built around these figures: what is dear goes to the background or is done in bulk.
//
// Healthy (docs/design/os.md has the figures of the reference machine): `use` is two
// additions; prepare and unprepare of untouched memory stay near one system call whatever
// the length; decommit grows with the resident pages and is some twenty times cheaper when
// they are huge; move costs microseconds per 2 MiB, a small part of copying the same bytes
// (row `copy`), and its contents are checked.
//
// pages/s counts OS pages of 4 KiB, also where they come as huge pages.
#include <steady/os/memory.hpp>
#include <steady/os/metadata.hpp>
#include <steady/os/mutex.hpp>
#include <steady/os/thread.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>

namespace {

using namespace steady;

struct room {
    explicit room(bytes size) {
        area = os::area::open(size, 2_MiB, 0, false, size).value();
        area.prepare({}, size).value();
    }
    ~room() {
        area.unprepare({}, area.size(), ready).value();
        area.close().value();
    }
    void make_ready(bytes length, bool huge) {
        os::use(area.base(), length);
        ready += length;
        (void)(huge ? os::hint_huge(area.base(), length) : os::hint_no_huge(area.base(), length));
    }
    void touch(bytes from, bytes length) {
        for (std::size_t i = 0; i < length.count(); i += 4096) {
            area.base()[from.count() + i] = static_cast<std::byte>(1 + i / 4096 % 127);
        }
    }
    os::area area;
    bytes ready;
};

void stop_when_wrong(bool right, benchmark::State& state) {
    if (!right) {
        state.SkipWithError("wrong contents");
        std::abort();
    }
}

void count_pages(benchmark::State& state, bytes each) {
    state.counters["pages/s"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(each.count() / 4096),
        benchmark::Counter::kIsRate);
}

void reserve_and_close(benchmark::State& state) {
    const bytes size{static_cast<std::size_t>(state.range(0)) << 20};
    for (auto _ : state) {
        os::area a = os::area::open(size, 2_MiB, 0, false, size).value();
        a.close().value();
    }
}
BENCHMARK(reserve_and_close)->ArgName("MiB")->Arg(4)->Arg(1 << 20);

void prepare_and_unprepare_untouched(benchmark::State& state) {
    const bytes length{static_cast<std::size_t>(state.range(0)) << 20};
    os::area a = os::area::open(2 * length, 2_MiB, 0, false, 2 * length).value();
    for (auto _ : state) {
        a.prepare({}, length).value();
        a.unprepare({}, length, {}).value();
    }
    a.close().value();
}
BENCHMARK(prepare_and_unprepare_untouched)->ArgName("MiB")->Arg(4)->Arg(1024);

void use_only(benchmark::State& state) {
    room r(4_MiB);
    r.make_ready(4_MiB, false);
    for (auto _ : state) {
        os::ledgers().ready.sub(64_KiB);  // what the other direction does to the ledgers
        os::ledgers().prepared.add(64_KiB);
        os::use(r.area.base(), 64_KiB);
    }
}
BENCHMARK(use_only);

// The row's own first touch is not timed.
void decommit(benchmark::State& state) {
    const bytes length{static_cast<std::size_t>(state.range(0)) << 10};
    const bool huge = state.range(1) != 0;
    room r(32_MiB);
    r.make_ready(32_MiB, huge);
    for (auto _ : state) {
        state.PauseTiming();
        r.touch({}, length);
        state.ResumeTiming();
        os::decommit(r.area.base(), length, true).value();
        state.PauseTiming();
        stop_when_wrong(r.area.base()[length.count() - 4096] == std::byte{0}, state);
        os::use(r.area.base(), length);
        state.ResumeTiming();
    }
    count_pages(state, length);
}
BENCHMARK(decommit)
    ->ArgNames({"KiB", "huge"})
    ->Args({8, 0})
    ->Args({64, 0})
    ->Args({2048, 0})
    ->Args({2048, 1})
    ->Args({32768, 0})
    ->Args({32768, 1})
    ->Iterations(200);

void move(benchmark::State& state) {
    const bytes length{static_cast<std::size_t>(state.range(0)) << 20};
    room r(2 * length);
    r.make_ready(length, state.range(1) != 0);
    r.touch({}, length);
    std::byte* from = r.area.base();
    std::byte* to = from + length.count();
    for (auto _ : state) {
        static_cast<void>(os::move(from, to, length).value());
        std::swap(from, to);
    }
    stop_when_wrong(from[0] == std::byte{1} && from[4096] == std::byte{2}, state);
    count_pages(state, length);
}
BENCHMARK(move)->ArgNames({"MiB", "huge"})->Args({2, 0})->Args({128, 0})->Args({128, 1});

// What realloc does where nobody moves pages; both sides are resident already.
void copy(benchmark::State& state) {
    const bytes length{static_cast<std::size_t>(state.range(0)) << 20};
    room r(2 * length);
    r.make_ready(2 * length, false);
    r.touch({}, 2 * length);
    for (auto _ : state) {
        std::memcpy(r.area.base() + length.count(), r.area.base(), length.count());
        benchmark::ClobberMemory();
    }
    count_pages(state, length);
}
BENCHMARK(copy)->ArgName("MiB")->Arg(2)->Arg(128);

void record(benchmark::State& state) {
    ledger mine{"bench"};
    for (auto _ : state) benchmark::DoNotOptimize(os::metadata_alloc(64_B, 64, mine));
}
BENCHMARK(record)->Iterations(1'000'000);

void lock_and_unlock(benchmark::State& state) {
    static os::mutex lock;
    static long counter;
    for (auto _ : state) {
        const os::lock_guard guard(lock);
        benchmark::DoNotOptimize(++counter);
    }
}
BENCHMARK(lock_and_unlock)->Threads(1)->Threads(2)->Threads(16)->UseRealTime();

void start_and_join_a_thread(benchmark::State& state) {
    static os::background_thread thread;
    for (auto _ : state) {
        thread.start([](void*) {}, nullptr).value();
        thread.join();
    }
}
BENCHMARK(start_and_join_a_thread);

}  // namespace

BENCHMARK_MAIN();
