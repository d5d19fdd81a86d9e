// budget.cpp - E-19: a budget for background migration that follows the load of the processor:
// begins at min(3, processors / 2); each 30 s one less above 85 %, one more below 40 %; never
// below 0, never above where it began.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "lab/experiment.hpp"

namespace steady::cli::lab {
namespace {

class migration_budget {
public:
    explicit migration_budget(int processors)
        : ceiling_(std::min(3, processors / 2)), now_(ceiling_) {}
    /// One reading of the load, in per cent. Those between two decisions are not looked at.
    void adapt(double load, double at_seconds) {
        if (at_seconds < next_) return;
        next_ = at_seconds + 30;
        if (load > 85) now_ = std::max(0, now_ - 1);
        if (load < 40) now_ = std::min(ceiling_, now_ + 1);
    }
    /// A segment may be moved in the background now.
    bool take() {
        if (in_use_ >= now_) return false;
        ++in_use_;
        return true;
    }
    void give() { --in_use_; }
    [[nodiscard]] int now() const { return now_; }
    [[nodiscard]] int in_use() const { return in_use_; }

private:
    int ceiling_, now_, in_use_ = 0;
    double next_ = 30;
};

struct result {
    std::string budgets;
    std::uint64_t moved = 0, most_at_once = 0, over = 0;
};

/// Simulates seconds; each token moves 8 segments a second and costs 5 % of the processor.
result simulate(int processors, const std::vector<double>& load_of_each_minute, double cost) {
    migration_budget budget(processors);
    result out;
    out.budgets = std::to_string(budget.now());
    int last = budget.now();
    for (int second = 0; second < static_cast<int>(load_of_each_minute.size()) * 60; ++second) {
        const double others = load_of_each_minute[static_cast<std::size_t>(second / 60)];
        while (budget.in_use() > budget.now()) budget.give();  // a step that has just ended
        while (budget.take()) {
        }
        const double load = std::min(100.0, others + cost * budget.in_use());
        out.over += load > 85;
        out.moved += static_cast<std::uint64_t>(8 * budget.in_use());
        out.most_at_once = std::max(out.most_at_once, static_cast<std::uint64_t>(budget.in_use()));
        budget.adapt(load, second + 1);
        if (budget.now() != last) {
            last = budget.now();
            out.budgets += ' ';
            out.budgets += std::to_string(last);
        }
    }
    return out;
}

void run(laboratory& lab) {
    const std::vector<double> day{20, 20, 90, 95, 60, 30, 30};
    const result large = simulate(16, day, 0);
    lab.text("16 processors, 20 20 90 95 60 30 30 % a minute", large.budgets);
    lab.expect("the budget follows the load", large.budgets, "3 2 1 0 1 2 3");
    lab.expect("it is never more than it began with", large.most_at_once, 3u);
    lab.expect("2 processors begin with 1", simulate(2, {60}, 0).budgets, "1");
    lab.expect("one processor never moves in the background", simulate(1, day, 0).moved, 0u);

    // What the rule says nothing about: the migration is part of the load it measures.
    const result feedback = simulate(16, std::vector<double>(10, 72), 5);
    lab.text("72 % of others, 5 % for each token", feedback.budgets);
    lab.expect("its own load pauses nothing for ever: it stops at two", feedback.budgets, "3 2");
    lab.figure("segments moved in 10 minutes", static_cast<double>(feedback.moved), unit::number);
    const result swing = simulate(16, std::vector<double>(10, 84), 5);
    lab.text("84 % of others, 5 % for each token", swing.budgets);
    lab.expect("close to the limit it goes down to nothing", swing.budgets, "3 2 1 0");
    lab.note(
        "steady's maps move at most 896 entries in the insert that needs room, and nothing in "
        "the background: there is no budget to adapt. This simulates the rule itself.");
}

const experiment here{{.id = "E-19",
                       .name = "budget",
                       .question = "How does a migration budget follow the load of the processor?",
                       .rows = "S1-17..19",
                       .reported = "3 at first",
                       .reference = "min(3, processors / 2)",
                       .exact = true,
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
