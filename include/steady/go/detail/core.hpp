// core.hpp - Go's classic map as one algorithm over a layout: declarations.
//
// Everything that depends on types is asked of the Layout: sizes, the hash, whether
// two keys are equal, how a cell moves and dies. There are two layouts:
//
//   static_layout<K, V, ...>   compile-time constants: go::map, fast
//   dynamic_layout             a descriptor read at run time, like Go's maptype:
//                              `steady replay`, which prints what the real runtime
//                              prints; so that proof covers the code that users run
//
// A map_core is a view: the layout, the header, the keeper. Whoever owns the map
// calls destroy(). Bodies:
//
//   buckets.hpp   arrays, spares, overflow buckets
//   access.hpp    find, place, delete, clear
//   grow.hpp      starting a growth, moving one old bucket
//   walk.hpp      iteration
//   verify.hpp    every invariant of a whole map
//
// Exceptions. Hash and equality of user types may throw, and so may every
// allocation. Each operation first does all that can fail, then what cannot:
//   - a growth starts only when its array is there;
//   - an old bucket moves by a plan: destinations and overflow buckets are settled
//     before the first cell moves, and moving is noexcept (static_layout puts types
//     whose moves may throw behind pointers);
//   - a cell counts as filled only when key and elem stand in it.
// So an exception leaves the entries as they were. What may have happened before it
// is progress of a growth, and an empty overflow bucket, neither of which can be seen.
//
// Tried   Returning {cell, flag, hash} of 32 bytes from place(): the compiler built it
//         on the stack and read it back with wider loads. Such a load waits until every
//         store before it has reached the cache, the entry of the insert before, too:
//         an overwrite took 131 ns where a lookup took 10 (1e6 entries, u64 to u64).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "steady/core/check.hpp"
#include "steady/core/fatal.hpp"
#include "steady/core/group.hpp"
#include "steady/core/random.hpp"
#include "steady/go/detail/header.hpp"
#include "steady/go/detail/keeper.hpp"
#include "steady/go/detail/memory.hpp"

namespace steady::go::internal {

/// A cell of a bucket; no bucket: no cell.
struct cell {
    bmap* b = nullptr;
    unsigned i = 0;
    explicit operator bool() const noexcept { return b != nullptr; }
};

/// Where a key is, or the empty cell it may go to. Two registers: passed through
/// memory, its bytes would be read back before they are there (see Tried).
struct spot {
    bmap* b;  // null: the chain is full
    std::uint32_t i;
    bool present;
    std::uint8_t top;
};
static_assert(sizeof(spot) == 16);

/// A walk, field by field Go's hiter; the last four are steady's.
struct hiter {
    void* key = nullptr;  // null: the walk is over
    void* elem = nullptr;
    bmap* buckets = nullptr;
    bmap* bptr = nullptr;
    bucket_list* overflow = nullptr;
    bucket_list* oldoverflow = nullptr;
    std::size_t startBucket = 0;
    std::uint8_t offset = 0;
    bool wrapped = false;
    std::uint8_t B = 0;
    std::uint8_t i = 0;
    std::size_t bucket = 0;
    std::size_t checkBucket = 0;

    std::uint64_t left = 0;    // live cells of bptr not yet visited; not in the replay
    bmap* array = nullptr;     // of the chain being walked
    std::size_t head = 0;      // its bucket there
    std::uint64_t clears = 0;  // of the keeper, when the walk began
};

/// No bucket is checked: the chain holds only what belongs to the bucket.
inline constexpr std::size_t no_check = ~std::size_t{0};

[[noreturn, gnu::cold, gnu::noinline]] inline void fatal_misuse(const char* what,
                                                                const void* map) noexcept {
    fatal(message("go")
              .text(what)
              .text(" (map at ")
              .hex(reinterpret_cast<std::uintptr_t>(map))
              .text(")")
              .line("A go::map, like Go's, has no lock: one thread writes, or many read.")
              .line("Put a mutex around it, or keep a map per thread."));
}

template <class Layout>
class map_core {
public:
    [[no_unique_address]] Layout t;
    hmap* h = nullptr;
    keeper* side = nullptr;

    // ---- making and ending (buckets.hpp)
    void make(std::uint64_t hint);
    void make_small();
    void destroy() noexcept;

    // ---- access (access.hpp). `same(const void* key)` says whether it is the key sought.
    template <class Same>
    [[nodiscard]] cell find(std::uint64_t hash, Same&& same) const;
    template <class Same>
    [[nodiscard]] spot look(std::uint64_t hash, Same same) const;
    template <class Same>
    [[nodiscard]] spot look_on(bmap* b, std::uint8_t top, Same same) const;
    template <class Same>
    [[nodiscard]] spot place(std::uint64_t hash, Same&& same);
    [[nodiscard]] spot lengthen(std::uint64_t hash);
    void fill(const spot& f) noexcept;
    template <class Same>
    bool erase(std::uint64_t hash, Same same);
    template <class Same>
    bool erase_here(std::uint64_t hash, Same same);
    void remove(std::uint64_t hash, cell c);
    void clear();
    /// Whether placing a new key now takes more than a cell of the array.
    [[nodiscard]] bool placing_is_work() const noexcept {
        return h->growing() || h->buckets == nullptr || growth_is_due();
    }

    // ---- growth (grow.hpp)
    void start_growth();
    void fetch_growth(std::size_t index) const noexcept;
    [[nodiscard]] bool about_to_move(std::size_t index, const void* elem) const noexcept;
    void grow_work(std::size_t bucket, cell* track = nullptr);
    [[nodiscard]] cell grow_work_with(std::uint64_t hash, cell held);
    void evacuate(std::size_t index, cell* track = nullptr);

    // ---- walking (walk.hpp)
    void start_walk(hiter& it);
    [[nodiscard]] hiter walk_from(std::uint64_t hash, cell c);
    void next(hiter& it) const;
    [[nodiscard]] bool stays(const hiter& it) const noexcept;

    void check() const;

    // ---- flags
    /// Returns the flags for end_write().
    [[nodiscard]] static std::uint8_t begin_write(hmap* h) {
        const std::uint8_t before = load_flags(h);
        if ((before & flag_writing) != 0) [[unlikely]]
            fatal_misuse("concurrent map writes", h);
        store_flags(h, before | flag_writing);
        return before;
    }
    /// Stores what begin_write() saw rather than what it reads here, unless a growth
    /// began or ended: so one write need not wait for the flags of the write before.
    static void end_write(hmap* h, std::uint8_t before) noexcept {
        const std::uint8_t now = load_flags(h);
        if (now == (before | flag_writing)) [[likely]] {
            store_flags(h, before);
        } else {
            if ((now & flag_writing) == 0) fatal_misuse("concurrent map writes", h);
            store_flags(h, now & ~flag_writing);
        }
    }
    void expect_no_writer(const char* what) const {
        if ((load_flags(h) & flag_writing) != 0) [[unlikely]]
            fatal_misuse(what, h);
    }

    // ---- cells
    [[nodiscard]] bmap* bucket(bmap* array, std::size_t index) const noexcept {
        return forward(array, index * t.bucket_size());
    }
    [[nodiscard]] bmap*& overflow(bmap* b) const noexcept {
        return overflow_of(b, t.bucket_size());
    }
    [[nodiscard]] void* key_cell(bmap* b, unsigned i) const noexcept {
        return forward(b, data_offset + i * t.key_size());
    }
    [[nodiscard]] void* elem_cell(bmap* b, unsigned i) const noexcept {
        return forward(b, data_offset + cells * t.key_size() + i * t.elem_size());
    }
    [[nodiscard]] void* key_at(bmap* b, unsigned i) const noexcept {
        void* k = key_cell(b, i);
        return t.indirect_key() ? *static_cast<void**>(k) : k;
    }
    [[nodiscard]] void* elem_at(bmap* b, unsigned i) const noexcept {
        void* e = elem_cell(b, i);
        return t.indirect_elem() ? *static_cast<void**>(e) : e;
    }
    /// Asks for the lines of a bucket behind the first at once: which of them hold the
    /// key and the elem is known only when the tophash bytes have arrived.
    void fetch_cells(const bmap* b) const noexcept {
        constexpr std::size_t line = 64;
        if (t.bucket_size() > line) __builtin_prefetch(forward(b, line));
        if (t.bucket_size() > 2 * line) __builtin_prefetch(forward(b, 2 * line));
        if (t.bucket_size() > 3 * line) __builtin_prefetch(forward(b, 3 * line));
    }
    /// The cells of a bucket that has not moved in which an entry stands.
    [[nodiscard]] static group8::mask entries_of(const bmap* b) noexcept {
        const group8 tops{b->tophash};
        return group8::mask::all().without(tops.match_empty() | tops.match(empty_one));
    }
    [[nodiscard]] bool walked() const noexcept { return side != nullptr && side->walked(); }

    /// Buckets of `array`, spares included; `array` is buckets or oldbuckets.
    [[nodiscard]] std::size_t all_buckets(unsigned B) const noexcept {
        return array_buckets(t.bucket_size(), B);
    }
    [[nodiscard]] unsigned old_B() const noexcept { return h->same_size() ? h->B : h->B - 1u; }

    /// The writing flag, for as long as it lives; an exception ends the write too. It holds
    /// the header, not the map: what a write stores could otherwise be the map's pointer to
    /// it, for all the compiler knows, which would be read again after each store.
    struct writing {
        hmap* const h;
        const std::uint8_t before;
        explicit writing(map_core& map) : h{map.h}, before{begin_write(map.h)} {}
        writing(const writing&) = delete;
        writing& operator=(const writing&) = delete;
        ~writing() { end_write(h, before); }
    };

private:
    struct stock;
    struct move_plan;

    // Plain loads and stores: atomic_ref only keeps the compiler from dropping a pair
    // that it could prove useless in a program with one thread.
    [[nodiscard]] static std::uint8_t load_flags(const hmap* h) noexcept {
        return __atomic_load_n(&h->flags, __ATOMIC_RELAXED);
    }
    static void store_flags(hmap* h, unsigned flags) noexcept {
        __atomic_store_n(&h->flags, static_cast<std::uint8_t>(flags), __ATOMIC_RELAXED);
    }

    // buckets.hpp
    [[nodiscard]] bmap* make_array(unsigned B, bmap*& next_overflow, bool growing);
    void clear_array(bmap* array, unsigned B, bmap*& next_overflow) noexcept;
    [[nodiscard]] bmap* mark_spares(bmap* array, unsigned B, std::size_t all) noexcept;
    void need_extra();
    void need_overflow_list();
    void reserve_overflow(stock& s, std::size_t n);
    [[nodiscard]] bmap* add_overflow(bmap* last, stock& s) noexcept;
    [[nodiscard]] unsigned draw_overflow() const noexcept;
    void drop_array(bmap* array, unsigned B, bucket_list* list, bmap* successor) noexcept;
    void drop_object(void* object);
    void destroy_cells(bmap* array, std::size_t buckets) noexcept;

    // access.hpp
    [[nodiscard]] bool growth_is_due() const noexcept {
        return over_load_factor(static_cast<std::uint64_t>(h->count) + 1, h->B) ||
               too_many_overflow_buckets(h->noverflow, h->B);
    }
    [[nodiscard]] bmap* home(std::uint64_t hash) const noexcept;
    void release_cell(bmap* b, unsigned i);
    template <class Same>
    bool erase_on(bmap* head, std::uint8_t top, Same same);
    void remove_from(bmap* head, bmap* b, unsigned i);
    void mark_empty(bmap* head, bmap* b, unsigned i) noexcept;

    // grow.hpp
    void plan(bmap* head, move_plan& p);
    void move(bmap* head, std::size_t index, const move_plan& p, stock& s, cell* track) noexcept;
    std::size_t move_bucket(bmap* head, std::size_t index, cell* track);
    std::size_t move_chain(bmap* head, std::size_t index, cell* track, std::size_t& overflows);
    void relocate_cell(cell to, cell from) noexcept;
    void fetch_move(std::size_t index) const noexcept;
    void leave_behind(bmap* head) noexcept;
    void advance(std::size_t old_buckets) noexcept;
    void announce_growth(std::size_t moved, std::size_t pages, std::uint64_t began) const noexcept;

    // verify.hpp
    std::size_t check_chain(bmap* head, std::size_t index, std::size_t mask) const;
    void check_moved(std::size_t index, std::size_t before) const noexcept;

    // walk.hpp
    void next_elsewhere(hiter& it) const;
    [[nodiscard]] cell follow(bmap* array, std::size_t head, bmap* b, unsigned i) const noexcept;
};

}  // namespace steady::go::internal

#include "steady/go/detail/buckets.hpp"

#include "steady/go/detail/access.hpp"
#include "steady/go/detail/grow.hpp"
#include "steady/go/detail/walk.hpp"
#include "steady/go/detail/verify.hpp"
