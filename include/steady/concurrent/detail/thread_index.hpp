// thread_index.hpp - small numbers for threads: 0, 1, 2, ... the lowest that is free. A
// number goes back when its thread ends.
//
// A counter that only one thread writes needs no locked instruction; the number says which.
// The next owner of a number sees what the last one wrote: taking and giving back go
// through one atomic word (T1).

#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include <pthread.h>

namespace steady::concurrent_detail {

/// Numbers below this are owned by one thread at a time; all others share this one.
inline constexpr unsigned owned_indices = 63;

struct index_book {
    std::atomic<std::uint64_t> taken{0};
    std::atomic<bool> ready{false};
    pthread_key_t key{};
    pthread_once_t once = PTHREAD_ONCE_INIT;
};
inline constinit index_book thread_indices;
inline constinit thread_local unsigned my_index = ~0u;

[[gnu::cold, gnu::noinline]] inline unsigned take_thread_index() noexcept {
    index_book& book = thread_indices;
    // A pthread key, not a thread_local destructor: those run earlier, and another one of
    // them may still use a map. The key's destructor is called again when we register again.
    pthread_once(&book.once, [] {
        pthread_key_create(&thread_indices.key, [](void* index) {
            const auto n = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(index) - 1);
            my_index = ~0u;
            // release; pairs with the acquire below (T1).
            thread_indices.taken.fetch_and(~(std::uint64_t{1} << n), std::memory_order_release);
        });
    });
    std::uint64_t seen = book.taken.load(std::memory_order_relaxed);
    for (;;) {
        const unsigned n = static_cast<unsigned>(std::countr_one(seen));
        if (n >= owned_indices) return my_index = owned_indices;
        // acquire; pairs with the release of whoever gave n back (T1).
        if (book.taken.compare_exchange_weak(seen, seen | std::uint64_t{1} << n,
                                             std::memory_order_acquire)) {
            pthread_setspecific(book.key, reinterpret_cast<void*>(std::uintptr_t{n} + 1));
            return my_index = n;
        }
    }
}

[[nodiscard, gnu::always_inline]] inline unsigned thread_index() noexcept {
    const unsigned n = my_index;
    return n != ~0u ? n : take_thread_index();
}

}  // namespace steady::concurrent_detail
