// cas_state.cpp - E-20: a state of {index, generation} in one 64-bit word, changed by
// compare-exchange. First the classic mistake step by step, then a stress.
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "lab/experiment.hpp"

namespace steady::cli::lab {
namespace {

constexpr std::uint32_t none = 0;

/// A stack of numbers 1..n. Generation: one more with every change.
class stack {
public:
    stack(std::uint32_t n, bool generations) : next_(n + 1), generations_(generations) {
        for (std::uint32_t i = 1; i <= n; ++i) push(i);
    }
    std::uint64_t head() const { return head_.load(); }
    static std::uint32_t index_of(std::uint64_t head) { return static_cast<std::uint32_t>(head); }
    std::uint32_t next(std::uint32_t i) const { return next_[i].load(); }
    /// The last step of a pop that began when the head was `seen`.
    bool finish_pop(std::uint64_t seen, std::uint32_t next) {
        return head_.compare_exchange_strong(seen, changed(seen, next));
    }
    std::uint32_t pop() {
        std::uint64_t seen = head_.load();
        while (index_of(seen) != none) {
            if (head_.compare_exchange_weak(seen, changed(seen, next_[index_of(seen)].load()))) {
                return index_of(seen);
            }
        }
        return none;
    }
    void push(std::uint32_t i) {
        std::uint64_t seen = head_.load();
        do next_[i].store(index_of(seen));
        while (!head_.compare_exchange_weak(seen, changed(seen, i)));
    }

private:
    std::uint64_t changed(std::uint64_t seen, std::uint32_t index) const {
        return (generations_ ? ((seen >> 32) + 1) << 32 : 0) | index;
    }
    std::atomic<std::uint64_t> head_{0};
    std::vector<std::atomic<std::uint32_t>> next_;
    bool generations_;
};

/// Somebody begins to pop, is put to sleep, and the head comes back to what it was.
bool fooled(bool generations) {
    stack s(3, generations);  // 3, 2, 1
    const std::uint64_t seen = s.head();
    const std::uint32_t next = s.next(stack::index_of(seen));
    const std::uint32_t first = s.pop();
    s.pop();
    s.push(first);  // 3, 1: the same index on top, with another one below
    return s.finish_pop(seen, next);
}

void run(laboratory& lab) {
    lab.expect("without a generation the sleeper puts a number that is taken on top",
               std::uint64_t{fooled(false)}, 1u);
    lab.expect("with one its exchange fails", std::uint64_t{fooled(true)}, 0u);

    const std::uint32_t numbers = 64;
    const std::uint64_t turns = lab.size<std::uint64_t>(200'000, 20'000);
    auto s = std::make_unique<stack>(numbers, true);
    std::vector<std::atomic<int>> owners(numbers + 1);
    std::atomic<std::uint64_t> twice{0}, done{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (std::uint64_t i = 0; i < turns; ++i) {
                const std::uint32_t n = s->pop();
                if (n == none) continue;
                twice += owners[n].fetch_add(1) != 0;
                owners[n].fetch_sub(1);
                s->push(n);
                ++done;
            }
        });
    }
    for (auto& t : threads) t.join();
    std::uint64_t left = 0;
    while (s->pop() != none) ++left;
    lab.figure("pops and pushes by 4 threads", static_cast<double>(done.load()), unit::number);
    lab.expect("numbers that two threads had at once", twice.load(), 0u);
    lab.expect("numbers left at the end", left, std::uint64_t{numbers});
}

const experiment here{{.id = "E-20",
                       .name = "cas-state",
                       .question = "Does a generation in the packed state keep ABA out?",
                       .rows = "S1-48..50",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
