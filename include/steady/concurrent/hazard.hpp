// hazard.hpp - memory that one thread takes out of a container while others may still read
// it: readers say what they look at, and whoever frees looks first.
//
//   reader                                  writer, once for 256 retired things
//   p = slot.load()                         slot no longer leads to p
//   hazard.protect(p)    (plain store)      membarrier()
//   compiler fence                          read all hazards
//   slot still leads to p? else again       free what is not among them
//
// Either the writer sees the hazard, or the reader sees that the slot has changed: as if
// both had executed a full fence, but only the writer pays (os/barrier.hpp). Where the
// kernel has no membarrier, readers execute the fence themselves.
//
// Invariants (tests/concurrent/hazard_test.cpp)
//   Z1  What a guard protects, and was reachable after it was protected, is not freed before
//       the guard lets go.
//   Z2  Garbage is bounded: at most `most_waiting` things wait in a list, and each guard of
//       each thread keeps, until the next look, at most one more. A thread that sleeps for ever with a guard keeps
//       one thing, or one segment of things while it walks.
//   Z3  A forked child forgets the guards of the threads that stayed behind.
//
// Why not epochs: a section costs the same (0.7 ns, one store), but a reader that is put to
// sleep inside one stops all freeing, in the whole process. Measured in docs/design.
//
// Cost    protect: one store and a reload. Retiring frees two things of before; for each
//         `batch` things a system call, which interrupts every processor that runs another
//         thread of the process: 1 us when there is none, 38 us with one in a virtual machine.
// Source  Michael, "Hazard Pointers", 2004; Dice, Herlihy, Kogan, "Fast non-intrusive memory
//         reclamation", 2016 (the asymmetric fence).

#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <new>
#include <vector>

#include <pthread.h>
#include <unistd.h>

#include "steady/concurrent/detail/word.hpp"
#include "steady/os/barrier.hpp"

namespace steady {

namespace concurrent_detail {

/// What one thread says it looks at. Records are linked for ever and used again.
struct alignas(64) hazard_record {
    static constexpr unsigned slots = 14;
    std::atomic<const void*> slot[slots + 1]{};  // the last one is leaf_guard's
    std::atomic<bool> taken{true};
    // The thread, by its my_hazards: a forked child has records of threads it has not.
    std::atomic<const void*> owner{nullptr};
    unsigned used = 0;                         // the owner's: one bit for each slot in use
    hazard_record* next = nullptr;             // never changes once linked
    std::atomic<const void*>* wide = nullptr;  // a thousand more, for walks
    static constexpr unsigned wide_slots = 1024;
    std::atomic<bool> wide_used{false};
};

struct hazard_book {
    std::atomic<hazard_record*> first{nullptr};
    std::atomic<int> fences{0};  // 0: not asked; 1: readers need fences; 2: membarrier works
    pthread_key_t key{};
    pthread_once_t once = PTHREAD_ONCE_INIT;
};
inline constinit hazard_book hazards;
inline constinit thread_local hazard_record* my_hazards = nullptr;

inline void forget_hazards_after_fork() noexcept {
    for (auto* r = hazards.first.load(std::memory_order_acquire); r != nullptr; r = r->next) {
        // Also what this thread borrowed: it may have forked in the middle of a walk.
        if (r->owner.load(std::memory_order_relaxed) == &my_hazards) continue;
        for (auto& s : r->slot) s.store(nullptr, std::memory_order_relaxed);
        r->wide_used.store(false, std::memory_order_relaxed);
        r->used = 0;
        r->taken.store(false, std::memory_order_release);
    }
}

/// Registered while the program is loaded, as in fork_lock.hpp, and for the same reason.
inline const bool hazards_know_of_forks =
    pthread_atfork(nullptr, nullptr, forget_hazards_after_fork) == 0;  // Z3

[[gnu::cold, gnu::noinline]] inline hazard_record* new_hazard_record() {
    for (auto* r = hazards.first.load(std::memory_order_acquire); r != nullptr; r = r->next) {
        bool free = false;
        // acquire; pairs with the release of the thread that had it.
        if (!r->taken.load(std::memory_order_relaxed) &&
            r->taken.compare_exchange_strong(free, true, std::memory_order_acquire)) {
            r->owner.store(&my_hazards, std::memory_order_relaxed);
            return r;
        }
    }
    auto* r = new hazard_record;
    r->owner.store(&my_hazards, std::memory_order_relaxed);
    hazard_record* first = hazards.first.load(std::memory_order_relaxed);
    do {
        r->next = first;
        // release; pairs with the acquire of whoever walks the list.
    } while (!hazards.first.compare_exchange_weak(first, r, std::memory_order_release,
                                                  std::memory_order_relaxed));
    return r;
}

[[gnu::cold, gnu::noinline]] inline hazard_record* register_hazards() {
    pthread_once(&hazards.once, [] {
        hazards.fences.store(os::membarrier_register() ? 2 : 1, std::memory_order_release);
        pthread_key_create(&hazards.key, [](void* record) {
            auto* r = static_cast<hazard_record*>(record);
            my_hazards = nullptr;
            r->used = 0;
            r->owner.store(nullptr, std::memory_order_relaxed);
            r->taken.store(false, std::memory_order_release);
        });
    });
    hazard_record* r = new_hazard_record();
    pthread_setspecific(hazards.key, r);
    return my_hazards = r;
}

[[nodiscard, gnu::always_inline]] inline hazard_record& this_threads_hazards() {
    hazard_record* r = my_hazards;
    return r != nullptr ? *r : *register_hazards();
}

/// Between publishing a hazard and looking again.
[[gnu::always_inline]] inline void reader_fence() noexcept {
    if (hazards.fences.load(std::memory_order_relaxed) == 2) [[likely]] {
        asm volatile("" ::: "memory");
    } else {
        static std::atomic<int> any{0};
        any.fetch_add(0, std::memory_order_seq_cst);  // a fence ThreadSanitizer knows
    }
}

}  // namespace concurrent_detail

/// Says that this thread looks at one object.
///
///   hazard_guard guard;
///   do p = shared.load(); while (!guard.protect(p, [&] { return shared.load() == p; }));
///   ... *p stays until the guard goes ...
class hazard_guard {
public:
    /// Throws     std::bad_alloc at the first use by a thread.
    hazard_guard() : record_(&concurrent_detail::this_threads_hazards()) {
        constexpr unsigned all = (1u << concurrent_detail::hazard_record::slots) - 1;
        if (record_->used == all) [[unlikely]] {
            // Deep inside callbacks of callbacks: a record of its own.
            record_ = concurrent_detail::new_hazard_record();
            borrowed_ = true;
        }
        const int free = std::countr_one(record_->used);
        record_->used |= 1u << free;
        slot_ = &record_->slot[free];
    }
    hazard_guard(const hazard_guard&) = delete;
    hazard_guard& operator=(const hazard_guard&) = delete;
    ~hazard_guard() {
        // release: what was read through the guard happens before the writer frees it.
        slot_->store(nullptr, std::memory_order_release);
        record_->used &= ~(1u << (slot_ - record_->slot));
        if (borrowed_) [[unlikely]]
            record_->taken.store(false, std::memory_order_release);
    }

    /// Protects p if `reachable()` still says so afterwards.
    ///
    /// Returns    false: p may be gone; ask the container again.
    template <class Reachable>
    [[gnu::always_inline]] bool protect(const void* p, Reachable&& reachable) noexcept {
        slot_->store(p, std::memory_order_release);
        concurrent_detail::reader_fence();
        return reachable();
    }

private:
    concurrent_detail::hazard_record* record_;
    std::atomic<const void*>* slot_;
    bool borrowed_ = false;
};

namespace concurrent_detail {

/// A guard for a section that calls nothing of a user's and so is never inside another one: the
/// thread's one slot for it needs no bookkeeping. Copies mean the same slot, so that a look can
/// hold one in registers; whoever made the first lets go.
class leaf_guard {
public:
    /// Throws     std::bad_alloc at the first use by a thread.
    leaf_guard() : slot_(&this_threads_hazards().slot[hazard_record::slots]) {}
    template <class Reachable>
    [[gnu::always_inline]] bool protect(const void* p, Reachable&& reachable) const noexcept {
        slot_->store(p, std::memory_order_release);
        reader_fence();
        return reachable();
    }
    /// release: what was read through the guard happens before the writer frees it.
    void let_go() const noexcept { slot_->store(nullptr, std::memory_order_release); }

private:
    std::atomic<const void*>* slot_;
};

/// A thousand guards at once, for walks over a segment; more when there are more spilled entries.
class wide_guard {
public:
    wide_guard() { (void)this_threads_hazards(); }  // the process's first use decides about fences
    wide_guard(const wide_guard&) = delete;
    wide_guard& operator=(const wide_guard&) = delete;
    ~wide_guard() {
        clear();
        for (hazard_record* r : records_) {
            r->wide_used.store(false, std::memory_order_release);
            r->taken.store(false, std::memory_order_release);
        }
    }
    /// Protects one more. Then fence() and look again.
    ///
    /// Throws     std::bad_alloc; what was protected stays so.
    void add(const void* p) {
        constexpr std::size_t each = hazard_record::wide_slots;
        if (used_ == records_.size() * each) take_record();
        records_[used_ / each]->wide[used_ % each].store(p, std::memory_order_release);
        ++used_;
    }
    static void fence() noexcept { reader_fence(); }
    [[nodiscard]] std::size_t used() const noexcept { return used_; }
    void drop_to(std::size_t n) noexcept {
        constexpr std::size_t each = hazard_record::wide_slots;
        while (used_ > n) {
            --used_;
            records_[used_ / each]->wide[used_ % each].store(nullptr, std::memory_order_release);
        }
    }
    void clear() noexcept { drop_to(0); }

private:
    [[gnu::noinline]] void take_record() {
        records_.reserve(records_.size() + 1);
        hazard_record* r = new_hazard_record();
        if (r->wide == nullptr) {
            auto* w = new (std::nothrow) std::atomic<const void*>[hazard_record::wide_slots];
            if (w == nullptr) {
                r->taken.store(false, std::memory_order_release);
                throw std::bad_alloc();
            }
            for (unsigned i = 0; i < hazard_record::wide_slots; ++i) {
                w[i].store(nullptr, std::memory_order_relaxed);
            }
            r->wide = w;
        }
        r->wide_used.store(true, std::memory_order_seq_cst);
        records_.push_back(r);
    }
    std::vector<hazard_record*> records_;
    std::size_t used_ = 0;
};

}  // namespace concurrent_detail

/// Things taken out of a container that may not be freed yet.
class retired_list {
public:
    using destroyer = void (*)(void*) noexcept;
    /// Things that wait before somebody looks which are watched; fewer, but `few` at least, when
    /// they are many bytes (Z2).
    static constexpr std::size_t batch = 256, few = 16, batch_bytes = std::size_t{256} << 10;
    /// Things in a list at any time, without those that guards kept at the last look.
    static constexpr std::size_t most_waiting = batch + batch / 2;

    constexpr retired_list() noexcept = default;
    retired_list(const retired_list&) = delete;
    retired_list& operator=(const retired_list&) = delete;
    /// Frees all. Nobody reads the container any more.
    ~retired_list() {
        for (std::size_t i = 0; i < count_; ++i) items_[i].destroy(items_[i].object);
        std::free(items_);
    }

    /// Hands over p, which no reader can reach any more. destroy(p) runs when none looks at
    /// it: here, in a later call, or when the list is destroyed. `bytes` may leave out what p owns.
    ///
    /// Cost       frees at most two things; one call in 256, or for large things one in 16 and
    ///            more, makes the system call of the head of the file.
    /// Threads    any. destroy() must not use the container.
    void retire(void* p, destroyer destroy, std::size_t bytes) noexcept {
        concurrent_detail::patience waiting;
        for (bool done = false; !done;) {
            item ready[2];
            std::size_t n = 0;
            {
                const concurrent_detail::holding<concurrent_detail::rare_lock> only{lock_};
                if (count_ < capacity_ || make_room()) {
                    items_[count_++] = {p, destroy, bytes};
                    waiting_bytes_ += bytes;
                    change_bytes(bytes);
                    done = true;
                }
                const std::size_t waiting_now = count_ - free_;
                if (!done || waiting_now >= limit_ ||
                    (waiting_now >= limit_few_ && waiting_bytes_ >= limit_bytes_)) {
                    collect();
                }
                n = take(ready, 2);
            }
            free_all(ready, n);
            if (!done && n == 0) waiting.wait();  // no memory, and all is being looked at
        }
    }

    /// Frees what nobody looks at now.
    void flush() noexcept {
        for (std::size_t n = 1; n != 0;) {
            item ready[32];
            {
                const concurrent_detail::holding<concurrent_detail::rare_lock> only{lock_};
                if (free_ == 0) collect();
                n = take(ready, 32);
            }
            free_all(ready, n);
        }
    }

    [[nodiscard]] std::size_t pending_bytes() const noexcept {
        return bytes_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t pending() noexcept {
        const concurrent_detail::holding<concurrent_detail::rare_lock> only{lock_};
        return count_;
    }

private:
    struct item {
        void* object;
        destroyer destroy;
        std::size_t bytes;
    };

    bool make_room() noexcept {
        const std::size_t wanted = capacity_ == 0 ? most_waiting : capacity_ * 2;
        void* more = concurrent_detail::refuse_allocation()
                         ? nullptr
                         : std::realloc(static_cast<void*>(items_), wanted * sizeof(item));
        if (more == nullptr) return false;
        items_ = static_cast<item*>(more);
        capacity_ = wanted;
        return true;
    }
    /// Under lock_, which is why no locked instruction is needed.
    void change_bytes(std::size_t by) noexcept {
        bytes_.store(pending_bytes() + by, std::memory_order_relaxed);
    }
    /// Takes up to `most` things that may be freed.
    std::size_t take(item* to, std::size_t most) noexcept {
        std::size_t n = 0;
        for (; n < most && free_ > 0; ++n) {
            to[n] = items_[--free_];
            items_[free_] = items_[--count_];
            change_bytes(-to[n].bytes);
        }
        return n;
    }
    /// Moves what nobody looks at to the front, where take() finds it.
    void collect() noexcept {
        using concurrent_detail::hazard_record;
        using concurrent_detail::hazards;
        if (count_ == free_) return;
        // Everybody's hazard that was published before now is visible after these lines.
        static std::atomic<int> any{0};
        if (hazards.fences.load(std::memory_order_acquire) == 2 && !os::membarrier() &&
            !(os::membarrier_register() && os::membarrier())) {
            // Forbidden since the first use (a filter of system calls): readers get fences from
            // now on. Those at work have none, so nothing is freed this time.
            hazards.fences.store(1, std::memory_order_seq_cst);
            set_limits();
            return;
        }
        any.fetch_add(0, std::memory_order_seq_cst);
        // Hazards come in portions, however many there are: nothing is allocated here. What no
        // portion names is left between free_ and `watched`.
        std::size_t watched = count_;
        const void* portion[64];
        std::size_t n = 0;
        const auto look = [&] {
            std::sort(portion, portion + n);
            for (std::size_t i = free_; i < watched;) {
                if (std::binary_search(portion, portion + n, items_[i].object)) {
                    std::swap(items_[i], items_[--watched]);
                } else {
                    ++i;
                }
            }
            n = 0;
        };
        const auto name = [&](const std::atomic<const void*>& hazard) {
            const void* p = hazard.load(std::memory_order_acquire);
            if (p == nullptr) return;
            portion[n++] = p;
            if (n == std::size(portion)) look();
        };
        for (auto* r = hazards.first.load(std::memory_order_acquire); r != nullptr; r = r->next) {
            for (auto& s : r->slot) name(s);
            if (r->wide_used.load(std::memory_order_seq_cst)) {
                for (unsigned i = 0; i < hazard_record::wide_slots; ++i) name(r->wide[i]);
            }
        }
        if (n != 0) look();
        free_ = watched;
        set_limits();
    }
    /// What is watched now does not count.
    void set_limits() noexcept {
        waiting_bytes_ = 0;
        for (std::size_t i = free_; i < count_; ++i) waiting_bytes_ += items_[i].bytes;
        limit_ = std::max(batch, count_ - free_ + batch / 2);
        limit_few_ = count_ - free_ + few;
        limit_bytes_ = std::max(batch_bytes, waiting_bytes_ + batch_bytes / 2);
    }
    static void free_all(item* ready, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) ready[i].destroy(ready[i].object);
    }

    concurrent_detail::rare_lock lock_;
    // Under lock_: first what may be freed, then what waits.
    item* items_ = nullptr;
    std::size_t free_ = 0, count_ = 0, capacity_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::size_t limit_ = batch, limit_few_ = few, limit_bytes_ = batch_bytes;
    std::atomic<std::size_t> bytes_{0};
};

}  // namespace steady
