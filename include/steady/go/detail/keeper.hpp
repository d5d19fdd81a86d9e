// keeper.hpp - what the walks over a map may still look at, after the map itself
// has let go of it.
//
// Go's iterators keep outgrown arrays alive through the collector. Here a map that
// is walked has a keeper: it counts the walks, and whatever the map drops meanwhile
// waits in its list until the last walk ends. A map that nobody walks has no keeper
// or an idle one, and frees at once.
//
//   map ------+             kept: array 3 -> array 2 -> bucket -> ...
//             v               ^
//   walk --> keeper ----------+    walks = 2
//   walk ------^
//
// Invariants
//   K1  While walks > 0 nothing that a walk can reach is freed.
//   K2  A kept array knows its successor, the array its entries moved to, so that
//       a walk can follow an entry through any number of growths.
//   K3  The keeper outlives the map and every walk; whoever goes last frees it.
//
// Threads  Walks may start and end on several threads at a time (they only read the
//          map). Whoever ends the last one takes the whole list by one exchange.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "steady/go/detail/header.hpp"
#include "steady/go/detail/memory.hpp"

namespace steady::go::internal {

/// Something dropped: an array of buckets, or one object.
struct kept {
    kept* next;
    void* what;
    bmap* successor;          // of an array: where its entries went
    bucket_list* list;        // of an array of a pointer-free map, or null
    std::size_t buckets;      // regular ones of an array; 0 for an object
    std::size_t all_buckets;  // spares included
    std::size_t bucket_size;
};

[[nodiscard]] inline bmap*& overflow_of(bmap* b, std::size_t bucket_size) noexcept {
    return *reinterpret_cast<bmap**>(forward(b, bucket_size - sizeof(bmap*)));
}

inline void free_list(bucket_list* list) noexcept {
    if (list == nullptr) return;
    free_object(list->data);
    free_object(list);
}

/// Frees the overflow buckets behind `head` that lie outside their array.
inline void free_chain(bmap* head, const bmap* array, std::size_t all_buckets,
                       std::size_t bucket_size) noexcept {
    const auto from = reinterpret_cast<std::uintptr_t>(array);
    const std::uintptr_t size = all_buckets * bucket_size;
    for (bmap* b = overflow_of(head, bucket_size); b != nullptr;) {
        bmap* const next = overflow_of(b, bucket_size);
        if (reinterpret_cast<std::uintptr_t>(b) - from >= size) free_object(b);
        b = next;
    }
}

/// Frees an array whose entries are gone, with the chains still linked to it.
inline void free_array(const kept& k) noexcept {
    auto* const array = static_cast<bmap*>(k.what);
    for (std::size_t i = 0; i < k.buckets; ++i) {
        free_chain(forward(array, i * k.bucket_size), array, k.all_buckets, k.bucket_size);
    }
    free_list(k.list);
    free_object(array);
}

class keeper {
public:
    [[nodiscard]] bool walked() const noexcept {
        return walks_.load(std::memory_order_relaxed) != 0;
    }
    void enter() noexcept { walks_.fetch_add(1, std::memory_order_relaxed); }

    /// Ends a walk; the last one frees what was kept, and the keeper of a dead map.
    void leave() noexcept {
        // acq_rel; pairs with itself in other threads: what they read, they have read.
        if (walks_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        if (map_alive_) {
            free_kept();
        } else {
            destroy();
        }
    }

    /// The map is gone. Its arrays are freed already: no walk may be advanced any more.
    void orphan() noexcept {
        if (!walked()) {
            destroy();
        } else {
            map_alive_ = false;
        }
    }

    /// Takes over `k`, made by new_kept().
    void keep(kept* k) noexcept {
        k->next = first_.load(std::memory_order_relaxed);
        first_.store(k, std::memory_order_release);
    }
    [[nodiscard]] kept* find(const bmap* array) const noexcept {
        kept* k = first_.load(std::memory_order_acquire);
        while (k != nullptr && k->what != array) k = k->next;
        return k;
    }

    /// Some chain of the growth under way stayed linked because of a walk.
    bool chains_left = false;
    /// How often the map was cleared: a walk that sees another number than at its
    /// start ends, and so touches nothing that clear() freed.
    std::uint64_t clears = 0;

    /// Makes sure that take_spare() has something to give. Throws std::bad_alloc.
    /// Called where a walk or a growth begins, so that the end of a growth, which
    /// must not fail, never needs memory.
    void have_spare() {
        if (spare_.load(std::memory_order_relaxed) != nullptr) return;
        void* const fresh = allocate_object(sizeof(kept), true);
        kept* none = nullptr;
        if (!spare_.compare_exchange_strong(none, static_cast<kept*>(fresh),
                                            std::memory_order_release)) {
            free_object(fresh);
        }
    }
    [[nodiscard]] kept* take_spare() noexcept {
        return spare_.exchange(nullptr, std::memory_order_acquire);
    }

    [[nodiscard]] static keeper* make() {
        return new (allocate_object(sizeof(keeper), true)) keeper;
    }

private:
    ~keeper() = default;
    void destroy() noexcept {
        free_kept();
        free_object(spare_.load(std::memory_order_relaxed));
        free_object(this);
    }
    void free_kept() noexcept {
        kept* k = first_.exchange(nullptr, std::memory_order_acq_rel);
        while (k != nullptr) {
            kept* const next = k->next;
            if (k->buckets != 0) {
                free_array(*k);
            } else {
                free_object(k->what);
            }
            free_object(k);
            k = next;
        }
    }

    std::atomic<std::size_t> walks_{0};
    std::atomic<kept*> first_{nullptr};
    std::atomic<kept*> spare_{nullptr};
    bool map_alive_ = true;
};

}  // namespace steady::go::internal
