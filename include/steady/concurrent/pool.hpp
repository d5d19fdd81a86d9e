// pool.hpp - objects that are expensive to make, kept for the next one who needs one:
// Go's sync.Pool.
//
//   per thread   | private | ring of 64: the owner pushes and pops at the head, |
//                            others steal at the tail
//
//   get   private, own ring, the rings of others, then the same of the last generation,
//         then make()
//   put   private if free, else own ring, else destroyed
//
// Generations (Go: at each garbage collection). When `age()` is called, or after
// `generation` puts, what lay in the pool becomes the victim, and the victim of before is
// destroyed. So an object that nobody asks for survives one age() and not two, and a pool
// that is no longer used becomes empty.
//
// Invariants (tests/concurrent/pool_test.cpp)
//   P1  An object is given to one caller.
//   P2  An object survives one age() and not two.
//   P3  The pool holds at most 2 * shelves * (ring + 1) objects.
//
// Differences to Go: there is no collector to call age(), so it happens every `generation`
// puts; a ring is bounded (Go's chain doubles up to 2^30).
//
// Cost    get and put through the private slot: one exchange each, about 6 ns.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "steady/concurrent/detail/thread_index.hpp"
#include "steady/concurrent/detail/word.hpp"
#include "steady/core/units.hpp"

namespace steady {

struct pool_statistics {
    std::uint64_t hits = 0;     // get() found one
    std::uint64_t stolen = 0;   // of these, in another thread's ring
    std::uint64_t victims = 0;  // of these, in the last generation
    std::uint64_t made = 0;
    std::uint64_t dropped = 0;  // put() found no room, or age() destroyed it
    std::uint64_t generations = 0;
};

template <class T>
class pool {
public:
    static constexpr std::size_t shelves = 16;
    static constexpr std::size_t ring = 64;

    /// make         returns a std::unique_ptr<T>; called when the pool has nothing
    /// generation   puts after which age() happens by itself; 0: never
    explicit pool(
        std::function<std::unique_ptr<T>()> make = [] { return std::make_unique<T>(); },
        std::uint64_t generation = 1 << 20)
        : make_(std::move(make)), generation_(generation) {}
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    /// Destroys what it holds. Nobody else uses the pool any more.
    ~pool() {
        age();
        age();
    }

    /// Returns    an object from the pool, as it was put there, or a new one.
    /// Throws     what make() throws.
    /// Threads    any.
    [[nodiscard]] std::unique_ptr<T> get() {
        const std::size_t me = concurrent_detail::thread_index() % shelves;
        const unsigned now = current_.load(std::memory_order_acquire) & 1;
        if (T* t = take(now, me)) return std::unique_ptr<T>(t);
        for (std::size_t i = 1; i < shelves; ++i) {
            if (T* t = take(now, (me + i) % shelves)) {
                count(me).stolen.fetch_add(1, std::memory_order_relaxed);
                return std::unique_ptr<T>(t);
            }
        }
        for (std::size_t i = 0; i < shelves; ++i) {
            if (T* t = take(now ^ 1, (me + i) % shelves)) {
                count(me).victims.fetch_add(1, std::memory_order_relaxed);
                return std::unique_ptr<T>(t);
            }
        }
        count(me).made.fetch_add(1, std::memory_order_relaxed);
        return make_();
    }

    /// Gives an object back. Whatever it remembers, the next one gets; null is ignored.
    void put(std::unique_ptr<T> object) noexcept {
        if (object == nullptr) return;
        const std::size_t me = concurrent_detail::thread_index() % shelves;
        shelf& s = shelf_of(current_.load(std::memory_order_acquire) & 1, me);
        T* t = object.release();
        T* none = nullptr;
        // acq_rel; pairs with the exchange in take(): the object's contents go along.
        if (s.own.load(std::memory_order_relaxed) != nullptr ||
            !s.own.compare_exchange_strong(none, t, std::memory_order_acq_rel)) {
            const concurrent_detail::holding<concurrent_detail::rare_lock> only{s.lock};
            if (s.head - s.tail < ring) {
                s.items[s.head++ % ring] = t;
                s.waiting.store(s.head - s.tail, std::memory_order_relaxed);
                t = nullptr;
            }
        } else {
            t = nullptr;
        }
        if (t != nullptr) {
            delete t;
            count(me).dropped.fetch_add(1, std::memory_order_relaxed);
        }
        counters& c = count(me);
        const std::uint64_t puts = c.puts.fetch_add(1, std::memory_order_relaxed) + 1;
        if (generation_ != 0 && puts % generation_ == 0) age();
    }

    /// Begins a new generation: what is here becomes the victim, the victim is destroyed.
    ///
    /// Returns    objects destroyed.
    std::size_t age() noexcept {
        const concurrent_detail::holding<concurrent_detail::rare_lock> only{ageing_};
        const std::uint64_t now = current_.load(std::memory_order_relaxed);
        std::size_t destroyed = 0;
        // The victims become the place of the new generation, and are emptied for it.
        for (std::size_t i = 0; i < shelves; ++i) {
            while (T* t = take((now & 1) ^ 1, i, false)) {
                delete t;
                ++destroyed;
            }
        }
        current_.store(now + 1, std::memory_order_release);
        count(0).dropped.fetch_add(destroyed, std::memory_order_relaxed);
        return destroyed;
    }

    [[nodiscard]] pool_statistics stats() const noexcept {
        pool_statistics out;
        for (const auto& c : counters_) {
            out.hits += c.hits.load(std::memory_order_relaxed);
            out.stolen += c.stolen.load(std::memory_order_relaxed);
            out.victims += c.victims.load(std::memory_order_relaxed);
            out.made += c.made.load(std::memory_order_relaxed);
            out.dropped += c.dropped.load(std::memory_order_relaxed);
        }
        out.generations = current_.load(std::memory_order_relaxed);
        return out;
    }
    /// Objects in the pool, about.
    [[nodiscard]] std::size_t size() const noexcept {
        std::size_t n = 0;
        for (const auto& generation : shelves_) {
            for (const shelf& s : generation) {
                n += s.waiting.load(std::memory_order_relaxed);
                n += s.own.load(std::memory_order_relaxed) != nullptr;
            }
        }
        return n;
    }
    /// The pool itself, and the objects in it without what they own.
    [[nodiscard]] bytes memory() const noexcept { return bytes{sizeof *this + size() * sizeof(T)}; }

private:
    struct alignas(64) shelf {
        std::atomic<T*> own{nullptr};
        std::atomic<std::size_t> waiting{0};
        concurrent_detail::rare_lock lock;
        std::size_t head = 0, tail = 0;  // under lock
        T* items[ring];
    };
    struct alignas(64) counters {
        std::atomic<std::uint64_t> hits{0}, stolen{0}, victims{0}, made{0}, dropped{0}, puts{0};
    };

    [[nodiscard]] shelf& shelf_of(unsigned generation, std::size_t i) noexcept {
        return shelves_[generation][i];
    }
    [[nodiscard]] counters& count(std::size_t me) noexcept { return counters_[me]; }

    T* take(unsigned generation, std::size_t i, bool counts = true) noexcept {
        shelf& s = shelf_of(generation, i);
        T* t = nullptr;
        if (s.own.load(std::memory_order_relaxed) != nullptr) {
            t = s.own.exchange(nullptr, std::memory_order_acq_rel);
        }
        if (t == nullptr && s.waiting.load(std::memory_order_relaxed) != 0) {
            const concurrent_detail::holding<concurrent_detail::rare_lock> only{s.lock};
            if (s.head != s.tail) {
                // The owner takes the newest, which is warm; a thief the oldest.
                const bool mine = concurrent_detail::thread_index() % shelves == i;
                t = mine ? s.items[--s.head % ring] : s.items[s.tail++ % ring];
                s.waiting.store(s.head - s.tail, std::memory_order_relaxed);
            }
        }
        if (t != nullptr && counts) {
            count(concurrent_detail::thread_index() % shelves)
                .hits.fetch_add(1, std::memory_order_relaxed);
        }
        return t;
    }

    std::function<std::unique_ptr<T>()> make_;
    std::uint64_t generation_;
    std::atomic<std::uint64_t> current_{0};
    concurrent_detail::rare_lock ageing_;
    shelf shelves_[2][shelves];
    counters counters_[shelves];
};

}  // namespace steady
