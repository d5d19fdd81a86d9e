// heap_api_fuzz.cpp - any sequence of calls on the default heap and on two heap
// instances keeps every object's contents, place and kind, and every count.
//
//   input bytes ->  operation, size (2), alignment, which object, ...   (missing: 0)
//
//   size    the low six bits of the first byte choose a decade, the rest a value in
//           it, so that class borders, large and huge objects come up as often
//   model   start, usable bytes, kind, heap and a stamp of each live object. Stamped
//           are the first and last bytes and one in 509, so that two owners of one
//           byte show without touching megabytes
//
// Checked after each operation: the object named by it. At the end of an input: all
// objects, the counts of the three heaps, and every invariant audit_heap() knows;
// then everything is freed and the heap is as it was.
//
// A broken promise prints its name and aborts, so it works under libFuzzer and in the
// replay alike.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "steady/heap/detail/audit.hpp"
#include "steady/heap/detail/front.hpp"
#include "steady/heap/heap.hpp"

namespace {

using namespace steady;

#define FUZZ_EXPECT(condition, promise)                                                       \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            std::fprintf(stderr, "heap_api: %s\n  expected: %s\n  at operation %zu, %s:%d\n", \
                         promise, #condition, operation_, __FILE__, __LINE__);                \
            std::abort();                                                                     \
        }                                                                                     \
    } while (false)

class heap_model {
public:
    heap_model(const std::uint8_t* data, std::size_t size) : data_{data}, left_{size} {
        live_.reserve(most_live);
    }

    void run() {
        before_ = read_statistics();
        for (operation_ = 0; left_ > 0 && operation_ < 4000; ++operation_) one_operation();
        compare_everything();
        while (!live_.empty()) free_object(live_.size() - 1);
        compare_counts();
        message why("fuzz");
        FUZZ_EXPECT(detail::audit_heap(why) || say(why), "every invariant holds");
    }

private:
    enum : unsigned { default_heap, first_instance, second_instance, heap_count };

    struct object {
        unsigned char* p;
        std::size_t size;    // asked for
        std::size_t usable;  // got
        unsigned heap;
        contents kind;
        unsigned char stamp;
    };
    struct counts {
        std::uint64_t mallocs = 0, frees = 0, live_bytes = 0;
    };

    static constexpr std::size_t most_live = 600;
    static constexpr std::size_t most_bytes = std::size_t{12} << 20;

    static bool say(const message& why) {
        std::fprintf(stderr, "%s\n", why.c_str());
        return false;
    }

    // ---- Input.

    unsigned next() {
        if (left_ == 0) return 0;
        --left_;
        return *data_++;
    }
    std::size_t next_size() {
        const unsigned first = next();
        const std::size_t value = next() * 256 + (first & 0xc0u) + (first >> 2);
        switch (first & 15) {
            case 0: return value;                                  // up to 64 KiB
            case 1: return value * 8;                              // to 512 KiB
            case 2: return value * 64;                             // to 4 MiB
            case 3: return class_size[value % class_count];        // exactly a class
            case 4: return class_size[value % class_count] + 1;    // and one more
            case 5: return (value % 1024) * 8192 + value % 3 - 1;  // around whole pages
            case 6: return value < 16 ? ~std::size_t{0} >> value : value % 3;
            default: return value % 700;
        }
    }
    std::size_t pick() { return (next() * 256 + next()) % live_.size(); }

    // ---- Operations.

    void one_operation() {
        const unsigned what = next() % 24;
        if (live_.empty() || what < 9) return allocate(what);
        switch (what) {
            case 9:
            case 10:
            case 11:
            case 12:
            case 13:
            case 14: return free_object(pick());
            case 15:
            case 16: return reallocate(pick());
            case 17:
            case 18: return grow(pick());
            case 19:
            case 20: return find(pick());
            case 21: return release(1 + next() % 2);
            case 22: return next() % 32 == 0 ? trim_all() : free_many();
            default: return next() % 8 == 0 ? compare_everything() : find(pick());
        }
    }

    void allocate(unsigned what) {
        if (live_.size() == most_live) return free_object(pick());
        const std::size_t size = next_size();
        const unsigned flags = next();
        const std::size_t alignment = what < 4 ? 16 : std::size_t{1} << flags % 18;
        const unsigned heap = what == 8 ? 1 + (flags >> 5) % 2 : default_heap;
        const contents kind =
            what >= 6 && (flags & 128) != 0 ? contents::may_hold_pointers : contents::no_pointers;
        void* p = nullptr;
        if (what < 3) {
            p = detail::allocate(size);
        } else if (what == 3) {
            p = detail::allocate_zeroed(size);
        } else if (what < 6) {
            p = detail::allocate_aligned(size, alignment);
        } else {
            p = heap == default_heap ? steady::allocate(size, alignment, kind)
                                     : instances_[heap - 1].allocate(size, alignment, kind);
        }
        if (p == nullptr) {
            FUZZ_EXPECT(size > most_bytes, "memory is refused only when there is none");
            return;
        }
        const std::size_t aligned = size <= 8 && what < 4 ? 8 : alignment;
        FUZZ_EXPECT(reinterpret_cast<std::uintptr_t>(p) % aligned == 0, "alignment is kept");
        const object o{static_cast<unsigned char*>(p),
                       size,
                       usable_size(p),
                       heap,
                       kind,
                       static_cast<unsigned char>(operation_ * 37 + 1)};
        if (what == 3) expect_zero(o);
        ++counts_[heap].mallocs;
        add(o);
        if (bytes_ > most_bytes) free_many();
    }

    void free_object(std::size_t i) {
        const object o = live_[i];
        expect_intact(o, o.size);
        forget(i);
        ++counts_[o.heap].frees;
        switch (next() % 3) {
            case 0:
                if (o.heap != default_heap) return instances_[o.heap - 1].deallocate(o.p);
                return detail::deallocate(o.p);
            case 1: return steady::deallocate(o.p);
            default: return detail::deallocate(o.p);
        }
    }

    void free_many() {
        for (std::size_t n = live_.size() / 2; n > 0; --n) free_object(n * 2 - 1);
    }

    void reallocate(std::size_t i) {
        object o = live_[i];
        if (o.heap != default_heap) return grow(i);
        const std::size_t size = std::max<std::size_t>(next_size(), 1);
        expect_intact(o, o.size);
        auto* p = static_cast<unsigned char*>(steady::reallocate(o.p, size));
        if (p == nullptr) {
            FUZZ_EXPECT(size > most_bytes, "memory is refused only when there is none");
            expect_intact(o, o.size);
            return;
        }
        forget(i);
        if (p != o.p) {  // a new object and the end of the old one, unless pages moved
            const std::uint64_t frees = read_statistics().frees - before_.frees;
            const std::uint64_t moved = frees - counts_[default_heap].frees;
            FUZZ_EXPECT(moved <= 1, "realloc frees one object at most");
            counts_[default_heap].frees += moved;
            counts_[default_heap].mallocs += moved;
        }
        o.p = p;
        expect_intact(o, std::min(o.size, size));
        o.size = size;
        o.usable = usable_size(p);
        add(o);
        if (bytes_ > most_bytes) free_many();
    }

    void grow(std::size_t i) {
        object o = live_[i];
        const std::size_t wanted = next_size();
        expect_intact(o, o.size);
        const bool grew = steady::grow_in_place(o.p, wanted);
        const std::size_t usable = usable_size(o.p);
        FUZZ_EXPECT(usable >= o.usable, "growing never shrinks");
        FUZZ_EXPECT(grew == (usable >= wanted), "grow_in_place says what it did");
        expect_intact(o, o.size);
        forget(i);
        o.usable = usable;
        if (grew) o.size = std::max(o.size, wanted);
        add(o);
        if (bytes_ > most_bytes) free_many();
    }

    void find(std::size_t i) {
        const object& o = live_[i];
        const std::size_t offset = (next() * 65'536u + next() * 257u) % o.usable;
        const object_info info = find_object(o.p + offset);
        FUZZ_EXPECT(info.base == o.p, "any address finds its object");
        FUZZ_EXPECT(info.size == o.usable, "the object has the size that can be used");
        FUZZ_EXPECT(info.kind == o.kind, "what it may hold never changes");
    }

    void release(unsigned heap) {
        instances_[heap - 1].release();
        for (std::size_t i = live_.size(); i-- > 0;) {
            if (live_[i].heap == heap) forget(i);
        }
        counts_[heap].frees = counts_[heap].mallocs;
    }

    void trim_all() { static_cast<void>(trim()); }

    // ---- The model.

    void add(const object& o) {
        FUZZ_EXPECT(o.usable >= o.size, "an object holds what was asked for");
        const auto after = places_.lower_bound(o.p);
        FUZZ_EXPECT(after == places_.end() || o.p + o.usable <= after->first, "none overlap");
        FUZZ_EXPECT(
            after == places_.begin() || std::prev(after)->first + std::prev(after)->second <= o.p,
            "none overlap");
        places_.emplace(o.p, o.usable);
        stamp(o);
        bytes_ += o.usable;
        counts_[o.heap].live_bytes += o.usable;
        live_.push_back(o);
    }
    void forget(std::size_t i) {
        const object& o = live_[i];
        places_.erase(o.p);
        bytes_ -= o.usable;
        counts_[o.heap].live_bytes -= o.usable;
        live_[i] = live_.back();
        live_.pop_back();
    }

    static void stamp(const object& o) {
        for (std::size_t i = 0; i < o.size; i += 509) o.p[i] = o.stamp;
        if (o.size != 0) o.p[o.size - 1] = o.stamp;
    }
    void expect_intact(const object& o, std::size_t up_to) const {
        for (std::size_t i = 0; i < up_to; i += 509)
            FUZZ_EXPECT(o.p[i] == o.stamp, "contents stay");
        FUZZ_EXPECT(up_to != o.size || up_to == 0 || o.p[up_to - 1] == o.stamp, "contents stay");
    }
    void expect_zero(const object& o) const {
        for (std::size_t i = 0; i < o.size; i += o.size < 4096 ? 1 : 251)
            FUZZ_EXPECT(o.p[i] == 0, "zeroed memory is zero");
        FUZZ_EXPECT(o.size == 0 || o.p[o.size - 1] == 0, "zeroed memory is zero");
    }

    void compare_everything() {
        for (const object& o : live_) expect_intact(o, o.size);
        compare_counts();
        std::vector<void*> seen[heap_count];
        for (auto& s : seen) s.reserve(live_.size() + 1);  // the callback must not grow it
        const auto note = [](void* list, const object_info& o) {
            auto& v = *static_cast<std::vector<void*>*>(list);
            if (v.size() < v.capacity()) v.push_back(o.base);
        };
        for (unsigned h = first_instance; h < heap_count; ++h)
            instances_[h - 1].for_each_object(note, &seen[h]);
        std::size_t in_instances = 0;
        for (const object& o : live_) in_instances += o.heap != default_heap;
        FUZZ_EXPECT(seen[first_instance].size() + seen[second_instance].size() == in_instances,
                    "a walk finds the live objects");
        for (const auto& s : seen) {
            for (void* p : s)
                FUZZ_EXPECT(places_.contains(static_cast<unsigned char*>(p)),
                            "a walk finds live objects only");
        }
    }
    void compare_counts() {
        const heap_statistics now = read_statistics();
        const counts& own = counts_[default_heap];
        FUZZ_EXPECT(now.mallocs - before_.mallocs == own.mallocs, "mallocs are exact");
        FUZZ_EXPECT(now.frees - before_.frees == own.frees, "frees are exact");
        FUZZ_EXPECT(now.heap_alloc - before_.heap_alloc == own.live_bytes, "bytes are exact");
        for (unsigned h = first_instance; h < heap_count; ++h) {
            const heap::usage u = instances_[h - 1].read_usage();
            FUZZ_EXPECT(u.mallocs == counts_[h].mallocs, "an instance's mallocs are exact");
            FUZZ_EXPECT(u.frees == counts_[h].frees, "an instance's frees are exact");
            FUZZ_EXPECT(u.live_bytes == counts_[h].live_bytes, "an instance's bytes are exact");
        }
    }

    const std::uint8_t* data_;
    std::size_t left_;
    std::size_t operation_ = 0;
    heap_statistics before_{};
    heap instances_[2];
    std::vector<object> live_;
    std::map<unsigned char*, std::size_t> places_;
    counts counts_[heap_count];
    std::size_t bytes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    heap_model(data, size).run();
    return 0;
}
