// syncmap.cpp - E-25 and E-26: the objects that maps for many threads make, and what the first
// new key after a promotion costs in Go's sync.Map until 1.23.
//
// The old sync.Map is rebuilt here on go::map, with Go's sizes: a key is an interface of two
// words (a string_view here), an entry is 8 bytes, a stored value an interface of 16.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/concurrent/sharded.hpp"
#include "steady/concurrent/sync_map.hpp"
#include "steady/go/map.hpp"
#include "steady/heap/heap.hpp"
#include "steady/map/map.hpp"

namespace steady::cli::lab {
namespace {

/// The map with a read-only and a dirty half. One mutex around all: objects are counted here,
/// not time. Its nodes stay until the process ends, as experiments have one of their own.
class old_sync_map {
public:
    void store(std::string_view key, std::int64_t value) {
        const std::lock_guard only(lock_);
        if (void** e = find(read_, key)) {
            *e = interface_of(value);
            return;
        }
        if (dirty_) {
            if (void** e = find(*dirty_, key)) {
                miss();
                *e = interface_of(value);
                return;
            }
        } else {
            // dirtyLocked: a map with room for all of read, and the entry pointers copied.
            dirty_ = half::make(read_.size());
            for (const auto& [k, e] : all_) dirty_->assign(k, e);
            (void)steady::allocate(16);  // read.Store(readOnly{m, amended: true})
        }
        (void)steady::allocate(16);  // the key becomes an interface
        auto** entry = static_cast<void**>(steady::allocate(8, 8));
        *entry = interface_of(value);
        dirty_->assign(key, entry);
        all_.emplace_back(key, entry);
    }
    bool load(std::string_view key, std::int64_t& value) {
        const std::lock_guard only(lock_);
        void** e = find(read_, key);
        if (e == nullptr && dirty_) {
            e = find(*dirty_, key);
            miss();
        }
        if (e == nullptr) return false;
        value = *static_cast<std::int64_t*>(*e);
        return true;
    }
    std::uint64_t promotions() const { return promotions_; }

private:
    using half = go::map<std::string_view, void**>;
    static void** find(half& in, std::string_view key) {
        const auto at = in.find(key);
        return at == in.end() ? nullptr : at->second;
    }
    static void* interface_of(std::int64_t value) {
        auto* i = static_cast<std::int64_t*>(steady::allocate(16));
        *i = value;
        return i;
    }
    void miss() {
        if (++misses_ < dirty_->size()) return;
        read_ = std::move(*dirty_);
        dirty_.reset();
        misses_ = 0;
        ++promotions_;
    }

    std::mutex lock_;
    half read_ = half::make();
    std::optional<half> dirty_;
    // What read has when dirty is made. Go walks read with an iterator on the stack; ours is an
    // object, and would be counted.
    std::vector<std::pair<std::string_view, void**>> all_;
    std::size_t misses_ = 0;
    std::uint64_t promotions_ = 0;
};

std::vector<std::string> make_texts(std::size_t count) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) texts.push_back(fmt::format("key-{}", i));
    return texts;
}

// ---- E-26

void promote(laboratory& lab) {
    const std::vector<std::string> texts = make_texts(1010);
    old_sync_map m;
    for (std::size_t i = 0; i < 1000; ++i) m.store(texts[i], 1);
    std::int64_t v = 0;
    // As many misses as dirty has entries promote it.
    for (std::size_t i = 0; i < 1000; ++i) (void)m.load(texts[i], v);
    lab.expect("promotions after 1000 misses", m.promotions(), 1u);
    const auto cost_of = [&](std::size_t i) {
        const heap_meter meter;
        m.store(texts[i], 1);
        return meter.read();
    };
    const auto first = cost_of(1000), second = cost_of(1001);
    lab.figure("first new key after it, objects", static_cast<double>(first.objects), unit::number,
               {"-", "7"});
    lab.figure("first new key after it, bytes", static_cast<double>(first.bytes), unit::bytes,
               {"-", "57472"});
    // The array, the header, its extra, the readOnly, and three of the key.
    lab.expect("objects of the first new key", first.objects, 7u);
    lab.expect("bytes of the first new key", first.bytes, 57472u);
    lab.expect("objects of the one after", second.objects, 3u);
    lab.expect("bytes of the one after", second.bytes, 40u);

    // The same in ours: no halves, nothing to promote.
    steady::sync_map<std::uint64_t, std::int64_t> ours;
    for (std::uint64_t i = 0; i < 1000; ++i) ours.store(i, 1);
    for (std::uint64_t i = 0; i < 1000; ++i) (void)ours.load(i);
    std::uint64_t most = 0;
    for (std::uint64_t i = 1000; i < 3000; ++i) {
        const std::uint64_t before = ours.stats().entries_moved;
        ours.store(i, 1);
        most = std::max(most, ours.stats().entries_moved - before);
    }
    lab.figure("sync_map: most entries one of the next 2000 new keys moves",
               static_cast<double>(most), unit::number);
    lab.expect_within("never more than a segment", static_cast<double>(most), 1, 896);
    if (lab.quick()) return;
    for (const std::size_t n : {std::size_t{1000}, std::size_t{10'000}, std::size_t{100'000}}) {
        const std::vector<std::string> keys = make_texts(n + 1);
        old_sync_map large;
        for (std::size_t i = 0; i < n; ++i) large.store(keys[i], 1);
        for (std::size_t i = 0; i < n; ++i) (void)large.load(keys[i], v);
        lab.figure(fmt::format("first new key after promoting {}", n),
                   nanoseconds_of([&] { large.store(keys[n], 1); }), unit::nanoseconds);
    }
}

const experiment promotion{{.id = "E-26",
                            .name = "syncmap-promote",
                            .question = "What does the first new key after a promotion cost?",
                            .rows = "S2-51,52",
                            .reference = "7 / 57472 B, then 3 / 40 B",
                            .exact = true,
                            .run = promote}};

// ---- E-25

std::atomic<std::uint64_t> counted_objects{0};
template <class T>
struct counting_allocator {
    using value_type = T;
    counting_allocator() = default;
    template <class U>
    explicit(false) counting_allocator(const counting_allocator<U>&) noexcept {}
    T* allocate(std::size_t n) {
        ++counted_objects;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept { std::allocator<T>().deallocate(p, n); }
    template <class U>
    bool operator==(const counting_allocator<U>&) const noexcept {
        return true;
    }
};

void objects(laboratory& lab) {
    const std::uint64_t workers = lab.size<std::uint64_t>(10'000, 1'000), writes = 100;
    const std::uint64_t all = workers * writes;
    const auto work = [&](auto&& write) {  // four threads take the workers in turn
        std::atomic<std::uint64_t> next{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (std::uint64_t w = next++; w < workers; w = next++) {
                    for (std::uint64_t i = 0; i < writes; ++i) write(w * writes + i);
                }
            });
        }
        for (auto& t : threads) t.join();
    };
    const auto show = [&](const std::string& name, double made, beside others) {
        lab.figure(name + ": objects", made, unit::number, std::move(others));
        lab.figure(name + ": objects a new key", made / static_cast<double>(all), unit::ratio);
    };
    const std::vector<std::string> texts = make_texts(all);
    {
        auto m = go::map<std::string_view, std::int64_t>::make();
        std::mutex lock;
        const heap_meter meter;
        work([&](std::uint64_t k) {
            const std::lock_guard only(lock);
            m.assign(std::string_view(texts[k]), 1);
        });
        show("go::map behind a lock", static_cast<double>(meter.read().objects),
             {"12800", "2 a new key (text and all)"});
        lab.expect("its entries", static_cast<std::uint64_t>(m.size()), all);
    }
    {
        old_sync_map m;
        const heap_meter meter;
        work([&](std::uint64_t k) { m.store(texts[k], 1); });
        const double made = static_cast<double>(meter.read().objects);
        show("sync.Map until 1.23", made, {"34200", "5 a new key"});
        lab.expect_within("objects it makes a new key", made / static_cast<double>(all), 3, 3.5);
    }
    {
        steady::sharded<steady::map<
            std::uint64_t, std::int64_t, map_hash<std::uint64_t>, map_equal<std::uint64_t>,
            counting_allocator<std::pair<const std::uint64_t, std::int64_t>>>>
            m;
        counted_objects = 0;
        work([&](std::uint64_t k) { m.insert_or_assign(k, 1); });
        show("steady::sharded", static_cast<double>(counted_objects.load()), {"9500", "-"});
        lab.expect("entries of sharded", std::uint64_t{m.size()}, all);
    }
    {
        steady::sync_map<std::uint64_t, std::int64_t> m;
        work([&](std::uint64_t k) { m.store(k, 1); });
        const auto s = m.stats();
        const std::uint64_t segments = 1 + s.resizes + 2 * s.segments_split + s.directory_doublings;
        show("steady::sync_map, segments", static_cast<double>(segments), {});
        lab.expect("entries of sync_map", std::uint64_t{m.size()}, all);
        lab.expect_within("a segment for many keys",
                          static_cast<double>(segments) / static_cast<double>(all), 0, 0.01);
    }
    lab.impossible(
        "34,200 objects for a million writes of new keys to a sync.Map: each new key "
        "makes three and more");
}

const experiment here{
    {.id = "E-25",
     .name = "syncmap-objects",
     .question = "How many objects do a locked map, sync.Map and a sharded map make?",
     .rows = "S2-50",
     .reported = "12800 / 34200 / 9500",
     .reference = "2 and 5 a new key",
     .exact = true,
     .run = objects}};

}  // namespace
}  // namespace steady::cli::lab
