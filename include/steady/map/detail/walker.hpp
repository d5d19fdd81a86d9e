// walker.hpp - a walk during which everything may happen to the map, with Go's rules.
//
//   for (auto walk = words.walk(); walk.next();) {
//       if (walk->second == 0) words.erase(walk->first);        // or insert, or clear
//   }
//
// Invariants (tests/map/walk_test.cpp)
//   W1  An entry that is there throughout is visited exactly once.
//   W2  An entry that was erased before it was reached is not visited.
//   W3  An entry that was inserted during the walk is visited at most once.
//
// How: the walk follows the order of hashes, which is the table's own, whatever its size. It
// notes the places of one cluster's entries. When the table says that entries may have
// moved, it notes them again, from the hash it had come to.
//
// Keys with equal hashes, all 64 bits of them, have no order among each other: if such a
// cluster is moved while the walk is among them, W1 holds for all of them together only. A
// Hash that takes (key, seed) or spreads does not produce them.
//
// Cost    one pass, and 32 bytes for each entry of a cluster (some 200 entries).

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "steady/map/detail/table.hpp"

namespace steady::detail {

template <class Table, class Value>
class table_walker {
public:
    explicit table_walker(const Table& table) noexcept : table_{&table} {}

    /// Goes to the next entry. It may be erased, and anything inserted, before the next call.
    ///
    /// Returns    false at the end.
    /// Throws     std::bad_alloc, when it cannot note a cluster; the walk can go on later.
    bool next() {
        for (;;) {
            if (noted_at_ != table_->relocations() || !started_) note_cluster();
            while (index_ < noted_.size()) {
                const note& n = noted_[index_++];
                if (*n.at.tag == 0 || table_->hash_of_slot(n.at.slot()) != n.hash) {
                    continue;  // erased since
                }
                const std::uint64_t order = n.hash;
                ties_ = order == from_ ? ties_ + 1 : 1;
                from_ = order;
                current_ = n.at;
                return true;
            }
            if (interval_end_ == 0) return false;
            from_ = interval_end_;
            ties_ = 0;
            started_ = false;
        }
    }
    /// The entry that the last next() went to.
    [[nodiscard]] Value& operator*() const noexcept { return current_.slot().value(); }
    [[nodiscard]] Value* operator->() const noexcept { return &**this; }

    // For range-based for.
    struct sentinel {};
    class iterator {
    public:
        explicit iterator(table_walker* walk) : walk_{walk}, more_{walk->next()} {}
        [[nodiscard]] Value& operator*() const noexcept { return **walk_; }
        iterator& operator++() {
            more_ = walk_->next();
            return *this;
        }
        [[nodiscard]] bool operator==(sentinel) const noexcept { return !more_; }

    private:
        table_walker* walk_;
        bool more_;
    };
    [[nodiscard]] iterator begin() { return iterator(this); }
    [[nodiscard]] sentinel end() const noexcept { return {}; }

private:
    struct note {
        std::uint64_t hash;
        typename Table::position_type at;
    };

    /// Notes the entries of the cluster it has come to, from `from_` on.
    void note_cluster() {
        noted_.clear();
        index_ = 0;
        noted_at_ = table_->relocations();
        interval_end_ = table_->for_each_from(from_, [&](const auto& at, std::uint64_t hash) {
            noted_.push_back({hash, at});
        });
        std::sort(noted_.begin(), noted_.end(),
                  [](const note& a, const note& b) { return b.hash > a.hash; });
        // Those visited already have the lowest order.
        for (unsigned n = 0; n < ties_ && index_ < noted_.size(); ++n) {
            if (noted_[index_].hash != from_) break;
            ++index_;
        }
        started_ = true;
    }

    const Table* table_;
    std::vector<note> noted_;
    std::size_t index_ = 0;
    std::uint64_t from_ = 0;          // everything before has been visited
    unsigned ties_ = 0;               // and so many at from_ itself
    std::uint64_t interval_end_ = 0;  // of the noted cluster; 0: the last
    std::uint64_t noted_at_ = 0;
    bool started_ = false;
    typename Table::position_type current_{};
};

}  // namespace steady::detail
