// shadow.cpp - E-18: a table at a load of 0.75 gets a burst that takes it to 0.92. Either it is
// moved to one of twice the size, all at once; or the burst goes to a shadow table of a quarter
// of the size, with a list of its keys, and is merged later, a few keys with each operation.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/map/map.hpp"

namespace steady::cli::lab {
namespace {

struct slot {
    std::uint64_t key = 0, value = 0;  // key 0: empty
};

/// Open addressing with linear steps: nothing that hides what moving costs.
class open_table {
public:
    explicit open_table(std::size_t slots) : slots_(slots), mask_(slots - 1) {}
    void insert(std::uint64_t key, std::uint64_t value) {
        std::size_t i = home(key);
        while (slots_[i].key != 0 && slots_[i].key != key) i = (i + 1) & mask_;
        used_ += slots_[i].key == 0;
        slots_[i] = {key, value};
    }
    [[nodiscard]] const std::uint64_t* find(std::uint64_t key) const {
        std::size_t i = home(key);
        for (; slots_[i].key != 0; i = (i + 1) & mask_) {
            if (slots_[i].key == key) return &slots_[i].value;
        }
        return nullptr;
    }
    [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(slot); }
    [[nodiscard]] std::size_t used() const { return used_; }
    [[nodiscard]] const std::vector<slot>& slots() const { return slots_; }

private:
    [[nodiscard]] std::size_t home(std::uint64_t key) const {
        return static_cast<std::size_t>(key * 0x9e3779b97f4a7c15 >> 20) & mask_;
    }
    std::vector<slot> slots_;
    std::size_t mask_, used_ = 0;
};

/// What S1-32..35 draw.
class shadow_table {
public:
    static constexpr std::size_t step = 8;  // keys merged by one operation
    explicit shadow_table(open_table& main) : main_(main), shadow_(main.slots().size() / 4) {}
    void insert(std::uint64_t key, std::uint64_t value) {
        if (main_.find(key) == nullptr && shadow_.find(key) == nullptr) dirty_.push_back(key);
        shadow_.insert(key, value);
    }
    [[nodiscard]] const std::uint64_t* find(std::uint64_t key) const {
        const auto* v = shadow_.find(key);
        return v != nullptr ? v : main_.find(key);
    }
    /// Part of any operation once the burst is over.
    std::size_t merge_some() {
        std::size_t n = 0;
        for (; n < step && merged_ < dirty_.size(); ++n, ++merged_) {
            main_.insert(dirty_[merged_], *shadow_.find(dirty_[merged_]));
        }
        return n;
    }
    [[nodiscard]] std::size_t bytes() const { return shadow_.bytes(); }
    [[nodiscard]] std::size_t dirty_bytes() const { return dirty_.size() * sizeof(std::uint64_t); }
    [[nodiscard]] std::size_t dirty() const { return dirty_.size(); }

private:
    open_table& main_;
    open_table shadow_;
    std::vector<std::uint64_t> dirty_;
    std::size_t merged_ = 0;
};

void run(laboratory& lab) {
    const std::size_t slots = lab.size<std::size_t>(1u << 20, 1u << 16);
    const std::size_t before = slots / 4 * 3, after = slots / 100 * 92;
    const auto key = [](std::size_t i) { return (i + 1) * 0x2545f4914f6cdd1du | 1; };
    const auto fill = [&] {
        auto t = std::make_unique<open_table>(slots);
        for (std::size_t i = 0; i < before; ++i) t->insert(key(i), i);
        return t;
    };
    const auto all_there = [&](const auto& table) {
        std::uint64_t right = 0;
        for (std::size_t i = 0; i < after; ++i) {
            const auto* v = table.find(key(i));
            right += v != nullptr && *v == i;
        }
        return right;
    };

    // All at once, in the insert that finds the table full.
    auto main = fill();
    const std::size_t main_bytes = main->bytes();
    std::size_t moved = 0, with_full = 0;
    std::unique_ptr<open_table> larger;
    const double full_pause = wall_nanoseconds_of([&] {
        larger = std::make_unique<open_table>(2 * slots);
        for (const slot& s : main->slots()) {
            if (s.key != 0) larger->insert(s.key, s.value), ++moved;
        }
        larger->insert(key(before), before);
    });
    with_full = main_bytes + larger->bytes();
    main.reset();
    for (std::size_t i = before; i < after; ++i) larger->insert(key(i), i);
    lab.expect("full: entries there", all_there(*larger), std::uint64_t{after});
    lab.expect("full: entries moved by one insert", moved, before);
    const std::size_t full_after = larger->bytes();
    larger.reset();

    // Into the shadow, and merged behind the burst.
    main = fill();
    auto shadow = std::make_unique<shadow_table>(*main);
    double slowest = 0;
    for (std::size_t i = before; i < after; ++i) {
        if (i % 64 != 0) {
            shadow->insert(key(i), i);
        } else {
            slowest = std::max(slowest, wall_nanoseconds_of([&] { shadow->insert(key(i), i); }));
        }
    }
    lab.expect("shadow: entries there before the merge", all_there(*shadow), std::uint64_t{after});
    const std::size_t with_shadow = main_bytes + shadow->bytes();
    const double lookup_in_burst = nanoseconds_each(after, [&] { keep(all_there(*shadow)); });
    std::size_t steps = 0, most = 0, merged = 0;
    for (std::size_t n = 0; (n = shadow->merge_some()) != 0; ++steps) {
        most = std::max(most, n);
        merged += n;
    }
    lab.expect("shadow: keys merged are those of the burst", merged, after - before);
    lab.expect("shadow: keys merged by one operation, at most", most,
               std::size_t{shadow_table::step});
    const std::size_t dirty_bytes = shadow->dirty_bytes();
    shadow.reset();
    lab.expect("shadow: entries there after it", all_there(*main), std::uint64_t{after});
    const double lookup_after = nanoseconds_each(after, [&] { keep(all_there(*main)); });

    const auto more = [&](std::size_t bytes) {
        return 100 * (static_cast<double>(bytes) / static_cast<double>(main_bytes) - 1);
    };
    lab.figure("full: memory more than the table, while moving", more(with_full), unit::percent,
               {"100 %", "200 %"});
    lab.figure("full: memory more, for good", more(full_after), unit::percent, {"-", "100 %"});
    lab.figure("shadow: memory more", more(with_shadow), unit::percent, {"25 %", "25 %"});
    lab.figure("shadow: list of dirty keys, more",
               100 * static_cast<double>(dirty_bytes) / static_cast<double>(main_bytes),
               unit::percent);
    lab.expect("shadow costs a quarter", static_cast<std::uint64_t>(more(with_shadow) + 0.5), 25u);
    lab.expect("full costs the new table beside the old one",
               static_cast<std::uint64_t>(more(with_full) + 0.5), 200u);
    lab.figure("full: the insert that moves", full_pause, unit::nanoseconds);
    lab.figure("shadow: slowest insert of every 64th", slowest, unit::nanoseconds);
    lab.figure("lookup during the burst, two tables", lookup_in_burst, unit::nanoseconds);
    lab.figure("lookup after the merge, at a load of 0.92", lookup_after, unit::nanoseconds);
    lab.figure("operations until all is merged", static_cast<double>(steps), unit::number);

    steady::map<std::uint64_t, std::uint64_t> ours;
    for (std::size_t i = 0; i < before; ++i) ours.try_emplace(key(i), i);
    double ours_slowest = 0;
    for (std::size_t i = before; i < after; ++i) {
        if (i % 64 != 0) {
            ours.try_emplace(key(i), i);
        } else {
            ours_slowest =
                std::max(ours_slowest, wall_nanoseconds_of([&] { ours.try_emplace(key(i), i); }));
        }
    }
    lab.figure("steady::map: slowest insert of every 64th of the burst", ours_slowest,
               unit::nanoseconds);
    lab.note(
        "The shadow puts the growth off, it does not save it: the main table stays at a load "
        "of 0.92, where each miss walks far. steady's maps split one segment at a time.");
}

const experiment here{
    {.id = "E-18",
     .name = "shadow",
     .question = "What does a burst cost with a shadow table, and what with a full merge?",
     .rows = "S1-32..35",
     .reported = "+100 % vs +25 % memory",
     .reference = "+200 % while moving vs +25 %",
     .exact = true,
     .run = run}};

}  // namespace
}  // namespace steady::cli::lab
