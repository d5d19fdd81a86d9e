// schedule.hpp - runs a few threads one at a time, switching only where it decides, and
// tries every schedule with at most a given number of preemptions.
//
// The code under test is the real one: built with STEADY_CONCURRENT_STEPS it stops before
// each access to shared memory (detail/word.hpp) and asks who goes on. A thread that says it
// waits always gives way, which is no preemption. Most mistakes need two preemptions
// (Musuvathi and Qadeer, PLDI 2007: iterative context bounding).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "steady/concurrent/detail/word.hpp"

namespace steady::test {

class explorer {
public:
    using body = std::function<void()>;

    struct outcome {
        std::uint64_t schedules = 0;
        std::uint64_t steps = 0;  // of the longest
        bool complete = true;     // false: stopped at the limit
    };

    /// prepare() makes fresh threads for each schedule; check() looks at what they did.
    outcome explore(unsigned preemptions, std::uint64_t limit,
                    const std::function<std::vector<body>()>& prepare,
                    const std::function<bool()>& check) {
        outcome out;
        // A schedule is where it preempts: (step, to whom), in order. After a run
        // one knows how many steps there were, and adds one more preemption behind the last.
        std::vector<std::vector<point>> todo{{}};
        std::mt19937_64 random(1);
        while (!todo.empty()) {
            if (out.schedules == limit) {
                out.complete = false;
                break;
            }
            // Any of them: a search that stops at the limit has then seen a bit of everything.
            std::swap(todo[random() % todo.size()], todo.back());
            plan_ = todo.back();
            todo.pop_back();
            run(prepare());
            ++out.schedules;
            out.steps = std::max(out.steps, step_);
            if (!check()) {
                failed_ = plan_;
                return out;
            }
            if (plan_.size() < preemptions) {
                const std::uint64_t from = plan_.empty() ? 0 : plan_.back().step + 1;
                for (std::uint64_t s = from; s < step_; ++s) {
                    for (unsigned t = 0; t < threads_; ++t) {
                        if (t != ran_[s]) todo.push_back(with(plan_, {s, t}));
                    }
                }
            }
        }
        return out;
    }

private:
    struct point {
        std::uint64_t step;
        unsigned to;
    };
    static std::vector<point> with(std::vector<point> p, point more) {
        p.push_back(more);
        return p;
    }

    void run(const std::vector<body>& bodies) {
        threads_ = static_cast<unsigned>(bodies.size());
        step_ = 0;
        next_ = 0;
        ran_.clear();
        finished_.assign(threads_, false);
        current_ = 0;
        active_ = this;
        concurrent_detail::step_hook.store(&explorer::hook);
        std::vector<std::thread> all;
        for (unsigned t = 0; t < threads_; ++t) {
            all.emplace_back([this, t, &bodies] {
                me_ = static_cast<int>(t);
                wait_for_turn();
                bodies[t]();
                me_ = -1;
                std::lock_guard only(lock_);
                finished_[t] = true;
                pass_on();
            });
        }
        for (auto& t : all) t.join();
        concurrent_detail::step_hook.store(nullptr);
    }
    static void hook(concurrent_detail::step s) {
        if (me_ >= 0) active_->stop(s);
    }
    void stop(concurrent_detail::step s) {
        const unsigned me = static_cast<unsigned>(me_);
        {
            std::lock_guard only(lock_);
            ran_.push_back(me);
            const std::uint64_t here = step_++;
            if (next_ < plan_.size() && plan_[next_].step == here) {
                const unsigned to = plan_[next_++].to;
                if (!finished_[to]) current_ = to;
            } else if (s == concurrent_detail::step::wait) {
                pass_on();
            }
            if (current_ == me) return;
            changed_.notify_all();
        }
        wait_for_turn();
    }
    void pass_on() {
        for (unsigned i = 1; i <= threads_; ++i) {
            const unsigned t = (current_ + i) % threads_;
            if (!finished_[t]) {
                current_ = t;
                break;
            }
        }
        changed_.notify_all();
    }
    void wait_for_turn() {
        std::unique_lock only(lock_);
        changed_.wait(only, [&] { return current_ == static_cast<unsigned>(me_); });
    }

    static inline explorer* active_ = nullptr;
    static inline thread_local int me_ = -1;

    std::mutex lock_;
    std::condition_variable changed_;
    unsigned threads_ = 0, current_ = 0;
    std::uint64_t step_ = 0;
    std::size_t next_ = 0;
    std::vector<point> plan_, failed_;
    std::vector<unsigned> ran_;
    std::vector<bool> finished_;
};

}  // namespace steady::test
