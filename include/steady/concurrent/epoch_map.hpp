// epoch_map.hpp - entries with stable addresses, from a pool of nodes, that a reader may
// hold on to: pin() gives a pointer that stays valid until the pin goes, though the key may
// have been erased or replaced meanwhile.
//
//   concurrent_map<K, node*>      a slot leads to a node
//   pool of nodes                 slabs of 64; a node that is free again is used again
//   list of retired nodes         its most_waiting at most wait; each pin keeps one more
//
// The name is of the design this follows (a ring of retired nodes for each epoch). Epochs are
// replaced by hazards (hazard.hpp), for the reason given there: a reader that goes to sleep
// with a pin keeps one node, not all that are retired after it.
//
// Invariants (tests/concurrent/epoch_map_test.cpp)
//   E1  A pinned node is neither destroyed nor used again.
//   E2  Retired nodes that are not pinned are at most retired_list::most_waiting.

#pragma once

#include <memory>
#include <new>
#include <utility>

#include "steady/concurrent/concurrent_map.hpp"

namespace steady {

template <class K, class V, class Hash = map_hash<K>, class Equal = map_equal<K>>
class epoch_map {
    struct node_pool;
    struct node {
        union {
            V value;
            node* next_free;
        };
        node_pool* home;  // null: free
        node() noexcept {}
        ~node() {}
    };
    struct node_pool {
        static constexpr std::size_t slab_nodes = 64;
        struct slab {
            slab* next;
            node nodes[slab_nodes];
        };
        concurrent_detail::rare_lock lock;
        node* free = nullptr;   // under lock
        slab* slabs = nullptr;  // under lock
        std::atomic<std::size_t> bytes_taken{0};

        void* take();
        void give(node* n) noexcept;
        ~node_pool();
    };

public:
    using key_type = K;
    using mapped_type = V;

    /// A look at one value. Keep it short: it keeps one node from being used again.
    class pinned {
    public:
        [[nodiscard]] explicit operator bool() const noexcept { return node_ != nullptr; }
        [[nodiscard]] const V& operator*() const noexcept { return node_->value; }
        [[nodiscard]] const V* operator->() const noexcept { return &node_->value; }

    private:
        friend epoch_map;
        template <class Find>
        explicit pinned(Find&& find) {
            do node_ = find();
            while (node_ != nullptr && !guard_.protect(node_, [&] { return find() == node_; }));
        }
        hazard_guard guard_;
        node* node_ = nullptr;
    };

    epoch_map() = default;
    epoch_map(const epoch_map&) = delete;
    epoch_map& operator=(const epoch_map&) = delete;
    /// Destroys the values, without needing memory to find them.
    ~epoch_map() = default;

    /// Returns    the key's value, or nothing. A pin belongs to the thread that made it.
    /// Cost       two lookups, the second of which finds all lines in the cache.
    [[nodiscard]] pinned pin(const K& key) const {
        return pinned([&]() -> node* {
            const auto n = map_.find(key);
            return n ? *n : nullptr;
        });
    }
    [[nodiscard]] bool contains(const K& key) const { return map_.contains(key); }

    /// Returns    true when the key was absent.
    /// Throws     std::bad_alloc, and what V throws: nothing has changed.
    template <class... Args>
    bool try_emplace(const K& key, Args&&... args) {
        node* n = make(std::forward<Args>(args)...);
        bool inserted = false;
        try {
            inserted = map_.try_emplace(key, n);
        } catch (...) {
            unmake(n);
            throw;
        }
        if (!inserted) unmake(n);
        return inserted;
    }
    /// Puts a new node in the place of the old one, whose readers keep it.
    template <class... Args>
    bool replace(const K& key, Args&&... args) {
        node* n = make(std::forward<Args>(args)...);
        std::optional<node*> before;
        try {
            before = map_.exchange(key, n);
        } catch (...) {
            unmake(n);
            throw;
        }
        if (before) retire(*before);
        return !before;
    }
    bool erase(const K& key) {
        const auto n = map_.extract(key);
        if (n) retire(*n);
        return n.has_value();
    }
    [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }
    /// Nodes that were taken out and wait, perhaps for a reader (E2).
    [[nodiscard]] std::size_t retired() noexcept { return retired_.pending(); }
    void flush() noexcept { retired_.flush(); }
    [[nodiscard]] bytes memory() const noexcept {
        return map_.memory().total() + bytes{pool_.bytes_taken.load(std::memory_order_relaxed)};
    }

private:
    template <class... Args>
    node* make(Args&&... args) {
        auto* n = static_cast<node*>(pool_.take());
        try {
            std::construct_at(&n->value, std::forward<Args>(args)...);
        } catch (...) {
            pool_.give(n);
            throw;
        }
        n->home = &pool_;
        return n;
    }
    static void unmake(node* n) noexcept {
        std::destroy_at(&n->value);
        std::exchange(n->home, nullptr)->give(n);
    }
    void retire(node* n) noexcept {
        retired_.retire(
            n, [](void* p) noexcept { unmake(static_cast<node*>(p)); }, sizeof(node));
    }

    node_pool pool_;  // outlives what gives nodes back to it
    retired_list retired_;
    concurrent_map<K, node*, Hash, Equal> map_;
};

template <class K, class V, class H, class E>
void* epoch_map<K, V, H, E>::node_pool::take() {
    const concurrent_detail::holding<concurrent_detail::rare_lock> only{lock};
    if (free == nullptr) {
        slab* s = new slab;
        s->next = slabs;
        slabs = s;
        bytes_taken.fetch_add(sizeof(slab), std::memory_order_relaxed);
        for (node& n : s->nodes) {
            n.home = nullptr;
            n.next_free = free;
            free = &n;
        }
    }
    node* n = free;
    free = n->next_free;
    return n;
}
template <class K, class V, class H, class E>
void epoch_map<K, V, H, E>::node_pool::give(node* n) noexcept {
    const concurrent_detail::holding<concurrent_detail::rare_lock> only{lock};
    n->next_free = free;
    free = n;
}
template <class K, class V, class H, class E>
epoch_map<K, V, H, E>::node_pool::~node_pool() {
    while (slabs != nullptr) {
        slab* next = slabs->next;
        for (node& n : slabs->nodes) {
            if (n.home != nullptr) std::destroy_at(&n.value);
        }
        delete slabs;
        slabs = next;
    }
}

}  // namespace steady
