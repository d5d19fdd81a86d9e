// pipeline.cpp - E-16: a migration by batches: a producer, a queue, workers that take 128 items
// or what is there after 500 ms.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/core/hash.hpp"
#include "steady/go/map.hpp"
#include "support/histogram.hpp"

namespace steady::cli::lab {
namespace {

using namespace std::chrono_literals;

struct item {
    std::uint64_t key;
    std::uint64_t queued_at;
};

class batch_queue {
public:
    void put(const item& one) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(one);
        if (waiting_.size() >= wanted_) ready_.notify_one();
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        ready_.notify_all();
    }
    void want(std::size_t size) { wanted_ = size; }

    /// A full batch, or what is there when `patience` is over. Empty: closed and drained.
    std::vector<item> take(std::chrono::milliseconds patience, bool& timed_out) {
        std::unique_lock lock(mutex_);
        const auto full = [&] { return waiting_.size() >= wanted_ || closed_; };
        do {
            timed_out = !ready_.wait_for(lock, patience, full);
        } while (waiting_.empty() && !closed_);
        std::vector<item> batch(
            waiting_.begin(),
            waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(wanted_, waiting_.size())));
        waiting_.erase(waiting_.begin(),
                       waiting_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
        return batch;
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<item> waiting_;
    std::size_t wanted_ = 128;
    bool closed_ = false;
};

struct outcome {
    double seconds = 0;
    std::uint64_t batches = 0, full = 0, by_timeout = 0, moved = 0;
    histogram waited;  // nanoseconds from queue to target
};

outcome migrate(std::size_t batch_size, std::uint64_t count, std::chrono::microseconds pause) {
    batch_queue queue;
    queue.want(batch_size);
    outcome found;
    auto target = go::map<std::uint64_t, std::uint64_t>::make();
    std::thread worker([&] {
        for (;;) {
            bool timed_out = false;
            const std::vector<item> batch = queue.take(500ms, timed_out);
            if (batch.empty()) return;
            ++found.batches;
            found.full += batch.size() == batch_size ? 1 : 0;
            found.by_timeout += timed_out ? 1 : 0;
            for (const item& one : batch) {
                target.assign(one.key, one.key);
                found.waited.record(monotonic_nanoseconds() - one.queued_at);
            }
        }
    });
    found.seconds = wall_nanoseconds_of([&] {
                        for (std::uint64_t i = 0; i < count; ++i) {
                            queue.put({finalise(i), monotonic_nanoseconds()});
                            if (pause.count() > 0) std::this_thread::sleep_for(pause);
                        }
                        queue.close();
                        worker.join();
                    }) /
                    1e9;
    found.moved = target.size();
    return found;
}

void run(laboratory& lab) {
    constexpr std::uint64_t count = 200'000;
    curve drawn{"Items a second by batch size",
                "batch",
                "items a second",
                true,
                false,
                unit::number,
                {},
                {{"moved", {}}}};
    for (const std::size_t size : {1u, 16u, 128u, 1024u}) {
        const outcome seen = migrate(size, count, 0us);
        const std::string what = fmt::format("batches of {}", size);
        lab.figure(what + ": items a second", static_cast<double>(seen.moved) / seen.seconds,
                   unit::number);
        lab.figure(what + ": batches", static_cast<double>(seen.batches), unit::number);
        lab.figure(what + ": from queue to target, median",
                   static_cast<double>(seen.waited.percentile(0.5)), unit::nanoseconds);
        lab.figure(what + ": from queue to target, p99",
                   static_cast<double>(seen.waited.percentile(0.99)), unit::nanoseconds);
        lab.expect(what + ": every item arrived once", seen.moved, count);
        drawn.x.push_back(static_cast<double>(size));
        drawn.lines[0].values.push_back(static_cast<double>(seen.moved) / seen.seconds);
    }
    // A producer that is slower than 128 in half a second: the timeout decides.
    const outcome slow = migrate(128, 300, 5ms);
    lab.figure("200 items a second: batches by timeout", static_cast<double>(slow.by_timeout),
               unit::number, {.reported = "500 ms timeout"});
    lab.figure("200 items a second: from queue to target, p99",
               static_cast<double>(slow.waited.percentile(0.99)), unit::nanoseconds,
               {.reported = "at most 500 ms"});
    lab.expect("200 items a second: every item arrived once", slow.moved, 300);
    lab.plot(std::move(drawn));
    lab.note(
        "One producer and one worker over a mutex. The times contain the queue's backlog when "
        "the producer is faster than the worker.");
}

const experiment here{
    {.id = "E-16",
     .name = "pipeline",
     .question = "What do batches of 128 with a timeout of 500 ms do to a migration?",
     .rows = "S1-51",
     .reported = "batches of 128, 500 ms",
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
