// entries.hpp - what stands for an entry outside its container: an iterator, which knows where
// it is, and an extracted entry, which belongs to no container.

#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "steady/core/check.hpp"

namespace steady::detail {

template <class Element, bool Stable, class Hash, class Equal, class Alloc>
class hash_container;

template <class Table, bool Const>
class table_iterator {
public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = typename Table::value_type;
    using difference_type = std::ptrdiff_t;
    using reference =
        std::conditional_t<Const || !Table::element::is_map, const value_type&, value_type&>;
    using pointer = std::remove_reference_t<reference>*;

    table_iterator() noexcept = default;
    table_iterator(const Table* table, const typename Table::position_type& at) noexcept
        : table_{table} {
        walk_.at = at;
    }
    table_iterator(const Table* table, const typename Table::walk_position& at) noexcept
        : table_{table}, walk_{at} {}
    template <bool OtherConst>
        requires(Const && !OtherConst)
    table_iterator(const table_iterator<Table, OtherConst>& other)
    noexcept : table_{other.table_}, walk_{other.walk_} {}

    [[nodiscard]] reference operator*() const noexcept {
        STEADY_ASSERT(1, walk_.at && *walk_.at.tag != 0,
                      "I1: an iterator is dereferenced at the end or after its entry was erased");
        return walk_.at.slot().value();
    }
    [[nodiscard]] pointer operator->() const noexcept { return &**this; }
    table_iterator& operator++() noexcept {
        table_->advance(walk_);
        return *this;
    }
    table_iterator operator++(int) noexcept {
        table_iterator before = *this;
        table_->advance(walk_);
        return before;
    }
    friend bool operator==(const table_iterator& a, const table_iterator& b) noexcept {
        return a.walk_.at.entry == b.walk_.at.entry;
    }

    [[nodiscard]] const typename Table::position_type& where() const noexcept { return walk_.at; }

private:
    friend class table_iterator<Table, true>;
    template <class, bool, class, class, class>
    friend class hash_container;
    const Table* table_ = nullptr;
    typename Table::walk_position walk_{};
};

/// An entry that belongs to no container: what extract() returns and insert() takes.
template <class Table>
class extracted_entry {
public:
    using slot_type = typename Table::slot_type;
    using value_type = typename Table::value_type;
    using key_type = typename Table::key_type;
    using allocator_type = typename Table::value_allocator;

    extracted_entry() noexcept = default;
    extracted_entry(extracted_entry&& other) noexcept : alloc_{std::move(other.alloc_)} {
        take(other);
    }
    extracted_entry& operator=(extracted_entry&& other) noexcept {
        if (this != &other) {
            drop();
            alloc_ = std::move(other.alloc_);
            take(other);
        }
        return *this;
    }
    ~extracted_entry() { drop(); }

    [[nodiscard]] bool empty() const noexcept { return !held_; }
    [[nodiscard]] explicit operator bool() const noexcept { return held_; }
    [[nodiscard]] allocator_type get_allocator() const { return *alloc_; }
    /// The key, which may be changed here.
    [[nodiscard]] key_type& key() const noexcept requires Table::element::is_map {
        return const_cast<key_type&>(slot_.value().first);
    }
    [[nodiscard]] auto& mapped() const noexcept requires Table::element::is_map {
        return const_cast<slot_type&>(slot_).value().second;
    }
    [[nodiscard]] value_type& value() const noexcept requires(!Table::element::is_map) {
        return const_cast<slot_type&>(slot_).value();
    }
    void swap(extracted_entry& other) noexcept { std::swap(*this, other); }

    // For the containers.
    extracted_entry(slot_type& from, const allocator_type& alloc) noexcept
        : alloc_{alloc}, held_{true} {
        from.relocate_to(slot_);
    }
    void give_to(slot_type& to) noexcept {
        slot_.relocate_to(to);
        held_ = false;
        alloc_.reset();
    }
    [[nodiscard]] const auto& const_key() const noexcept { return slot_.key(); }

private:
    void take(extracted_entry& other) noexcept {
        if (other.held_) {
            other.give_to(slot_);
            held_ = true;
        }
        other.alloc_.reset();
    }
    void drop() noexcept {
        if (held_) slot_.destroy(*alloc_);
        held_ = false;
        alloc_.reset();
    }
    slot_type slot_{};
    std::optional<allocator_type> alloc_{};
    bool held_ = false;
};

}  // namespace steady::detail
