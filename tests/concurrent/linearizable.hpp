// linearizable.hpp - is there an order of these operations that respects real time and in
// which each answer is right? Wing and Gong's search, with Lowe's memory of states seen.
//
// One key at a time: a map is linearizable when each of its keys is (Herlihy and Wing), and a
// key is a register that may be empty.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace steady::test {

using register_value = std::optional<std::uint64_t>;

struct operation {
    enum class kind : std::uint8_t { find, insert, assign, erase, add, exchange } what;
    std::uint64_t argument;
    register_value answer;  // find, add, exchange: the value before
    bool yes;               // insert, assign: the key was new; erase: it was there
    std::uint64_t begin, end;

    /// Returns    whether this operation may happen at `v`, which it then changes.
    bool apply(register_value& v) const {
        switch (what) {
            case kind::find: return answer == v;
            case kind::insert:
                if (yes == v.has_value()) return false;
                if (yes) v = argument;
                return true;
            case kind::assign:
                if (yes == v.has_value()) return false;
                v = argument;
                return true;
            case kind::erase:
                if (yes != v.has_value()) return false;
                v.reset();
                return true;
            case kind::add:
                if (v.value_or(0) != answer.value_or(0)) return false;
                v = v.value_or(0) + argument;
                return true;
            case kind::exchange:
                if (answer != v) return false;
                v = argument;
                return true;
        }
        return false;
    }
};

/// Returns    true when the history (at most 64 operations) can be put in order.
inline bool linearizable(const std::vector<operation>& history, register_value start = {}) {
    const std::uint64_t all =
        history.size() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << history.size()) - 1;
    std::set<std::pair<std::uint64_t, register_value>> seen;
    struct state {
        std::uint64_t done;
        register_value value;
    };
    std::vector<state> todo{{0, start}};
    while (!todo.empty()) {
        const state s = todo.back();
        todo.pop_back();
        if (s.done == all) return true;
        if (!seen.emplace(s.done, s.value).second) continue;
        std::uint64_t first_end = ~std::uint64_t{0};
        for (std::size_t i = 0; i < history.size(); ++i) {
            if ((s.done >> i & 1) == 0) first_end = std::min(first_end, history[i].end);
        }
        for (std::size_t i = 0; i < history.size(); ++i) {
            if ((s.done >> i & 1) != 0 || history[i].begin > first_end) continue;
            state next = s;
            if (history[i].apply(next.value)) {
                next.done |= std::uint64_t{1} << i;
                todo.push_back(next);
            }
        }
    }
    return false;
}

}  // namespace steady::test
