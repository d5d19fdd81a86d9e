// heap.cpp - see heap.hpp.
#include "replay/heap.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "replay/map_machine.hpp"
#include "steady/heap/heap.hpp"
#include "support/exit_code.hpp"
#include "support/terminal.hpp"

namespace steady::cli::replay {
namespace {

using go::internal::bmap;

/// What the heap has counted since it was made.
class measurement {
public:
    struct counts {
        std::uint64_t mallocs, bytes, live_objects, live_bytes;
    };
    [[nodiscard]] counts now() const {
        const heap_statistics s = read_statistics();
        return {s.mallocs - before_.mallocs, s.total_alloc - before_.total_alloc,
                s.heap_objects - before_.heap_objects, s.heap_alloc - before_.heap_alloc};
    }

private:
    heap_statistics before_ = read_statistics();
};

/// A map with a script's layout and hash, whose operations nobody traces.
class measured_map {
public:
    measured_map(const std::string& key, const std::string& elem) {
        if (!parse_value_type(key, type_.key) || type_.key.kind != kind::integer) {
            throw usage_error(
                fmt::format("replay: '{}' is no integer key; heap takes u8, u16, u32 or u64", key));
        }
        if (!parse_value_type(elem, type_.elem)) {
            throw usage_error(fmt::format(
                "replay: '{}' is no elem type; heap takes u8 u16 u32 u64 f64 str bN s16 void",
                elem));
        }
        type_.lay_out(false);
        core_.t = {&type_.layout, &draws_};
    }
    ~measured_map() { core_.destroy(); }
    measured_map(const measured_map&) = delete;
    measured_map& operator=(const measured_map&) = delete;

    void make(bool hinted, std::uint64_t n) { hinted ? core_.make(n) : core_.make_small(); }

    /// Adds key n with a zero elem. Returns whether a growth began.
    bool add(std::uint64_t n) {
        const bmap* const before = core_.h->buckets;
        const unsigned B = core_.h->B;
        const std::size_t size = before != nullptr ? usable_size(before) : 0;
        const std::uint64_t hash = type_.layout.hash(&type_, &n, core_.h->hash0);
        const auto flags = core_.begin_write(core_.h);
        const auto place = core_.place(hash, [&](const void* stored) {
            return type_.layout.equal(&n, stored, type_.key.size);
        });
        std::memcpy(core_.key_cell(place.b, place.i), &n, type_.key.size);
        if (type_.layout.indirect_elem) {
            *static_cast<void**>(core_.elem_cell(place.b, place.i)) =
                go::internal::allocate_object(type_.elem.size, false);
        }
        core_.fill(place);
        core_.end_write(core_.h, flags);
        if (before == nullptr || core_.h->buckets == before) return false;
        ++(core_.h->B == B ? same : grows);
        outgrown.push_back({B, size});
        return true;
    }

    [[nodiscard]] const map_core& core() const { return core_; }
    [[nodiscard]] const script_type& type() const { return type_; }

    struct old_array {
        unsigned B;
        std::size_t bytes;
    };
    std::vector<old_array> outgrown;
    std::uint64_t grows = 0, same = 0;

private:
    script_type type_;
    wyrand draws_{0};
    map_core core_;
};

/// Adds up the objects of a map, each of the size the heap gave it.
class inventory {
public:
    explicit inventory(const measured_map& map) : map_{map}, core_{map.core()} {}

    /// The lines of everything alive.
    std::string text() {
        count(core_.h);
        lines_ += fmt::format("  live hmap={}x1\n", usable_size(core_.h));
        if (core_.h->extra != nullptr) {
            count(core_.h->extra);
            lines_ += fmt::format("  live mapextra={}x1\n", usable_size(core_.h->extra));
        }
        if (core_.h->buckets != nullptr) array(core_.h->buckets, core_.h->B);
        if (core_.h->growing()) array(core_.h->oldbuckets, core_.old_B());
        if (core_.h->buckets != nullptr) chains(core_.h->buckets, core_.h->B);
        if (core_.h->growing()) chains(core_.h->oldbuckets, core_.old_B());
        if (core_.h->extra != nullptr) {
            list(core_.h->extra->overflow);
            list(core_.h->extra->oldoverflow);
        }
        if (map_.type().layout.indirect_elem) {
            lines_ += fmt::format("  live indirect objects={} bytes={}\n", elems_, elem_bytes_);
        }
        return lines_;
    }

    std::uint64_t objects = 0, bytes = 0;

private:
    std::size_t count(const void* object) {
        const std::size_t size = usable_size(object);
        ++objects;
        bytes += size;
        return size;
    }

    void array(const bmap* first, unsigned B) {
        const std::size_t size = count(first), bucket = map_.type().layout.bucket_size;
        const std::size_t regular = std::size_t{1} << B, spares = core_.all_buckets(B) - regular;
        lines_ += fmt::format(
            "  live array B={} bytes={} regular={} prealloc={} ({} buckets) slack={}\n", B, size,
            regular * bucket, spares * bucket, spares, size - (regular + spares) * bucket);
    }

    void chains(bmap* first, unsigned B) {
        const std::size_t regular = std::size_t{1} << B;
        const std::size_t spares = core_.all_buckets(B) - regular;
        // Overflow buckets of an old array may still be among its own spares only.
        const bmap* const end = core_.bucket(first, regular + spares);
        std::uint64_t used = 0, extra = 0, extra_bytes = 0;
        for (std::size_t i = 0; i < regular; ++i) {
            bmap* b = core_.bucket(first, i);
            count_elems(b, b);
            for (bmap* const head = b; (b = core_.overflow(b)) != nullptr; count_elems(head, b)) {
                if (b >= first && b < end) {
                    ++used;
                } else {
                    ++extra;
                    extra_bytes += count(b);
                }
            }
        }
        lines_ +=
            fmt::format("  live overflow prealloc_used={} of {} extra={}x{}={}\n", used, spares,
                        extra, extra != 0 ? extra_bytes / extra : bucket_class(), extra_bytes);
    }

    /// What a bucket of its own would occupy, when there is none to ask about.
    [[nodiscard]] std::size_t bucket_class() const {
        return go::internal::round_up_size(map_.type().layout.bucket_size);
    }

    void count_elems(const bmap* head, bmap* b) {
        if (!map_.type().layout.indirect_elem || go::internal::is_evacuated(head)) return;
        for (unsigned i = 0; i < go::internal::cells; ++i) {
            if (b->tophash[i] < go::internal::min_top_hash) continue;
            ++elems_;
            elem_bytes_ += count(core_.elem_at(b, i));
        }
    }

    void list(const go::internal::bucket_list* l) {
        if (l == nullptr) return;
        const std::size_t header = count(l);
        const std::size_t backing = l->cap != 0 ? count(l->data) : 0;
        lines_ += fmt::format("  live ovfslice header={} len={} cap={} backing={}\n", header,
                              l->len, l->cap, backing);
    }

    const measured_map& map_;
    const map_core& core_;
    std::string lines_;
    std::uint64_t elems_ = 0, elem_bytes_ = 0;
};

std::string cost_of_map(const std::string& key, const std::string& elem, std::uint64_t n,
                        bool hinted) {
    measured_map map(key, elem);
    const std::size_t key_bits = 8 * map.type().key.size;
    if (key_bits < 64 && n > std::uint64_t{1} << key_bits) {
        throw usage_error(fmt::format("replay: {} keys of type {} cannot all differ; at most {} do",
                                      n, key, std::uint64_t{1} << key_bits));
    }
    const measurement heap;
    map.make(hinted, n);
    for (std::uint64_t i = 0; i < n; ++i) map.add(i);
    const measurement::counts cost = heap.now();

    const auto& h = *map.core().h;
    std::string text = fmt::format(
        "map {}:{} n={} hint={} mallocs={} bytes={} B={} growing={:d} noverflow={} grows={} "
        "same={}\n",
        key, elem, n, hinted ? fmt::to_string(n) : "none", cost.mallocs, cost.bytes, h.B,
        h.growing(), h.noverflow, map.grows, map.same);
    inventory live(map);
    text += live.text();
    if (live.objects != cost.live_objects || live.bytes != cost.live_bytes) {
        throw check_failure(fmt::format(
            "replay: the map {}:{} with {} entries holds {} objects of {} bytes, but the heap "
            "counts "
            "{} of {} bytes",
            key, elem, n, live.objects, live.bytes, cost.live_objects, cost.live_bytes));
    }
    auto dead = map.outgrown;
    if (h.growing()) dead.pop_back();  // still read, so counted above
    std::uint64_t dead_bytes = 0;
    std::vector<std::string> words;
    for (const auto& each : dead) {
        dead_bytes += each.bytes;
        words.push_back(fmt::format("B{}:{}", each.B, each.bytes));
    }
    text += fmt::format("  dead arrays={} bytes={} [{}]\n", dead.size(), dead_bytes,
                        fmt::join(words, " "));
    text += fmt::format("  total live={} objects={} dead_overflow_etc bytes={} objects={}\n",
                        live.bytes, live.objects, cost.bytes - live.bytes - dead_bytes,
                        cost.mallocs - live.objects - dead.size());
    return text;
}

std::string cost_of_hint(const std::string& key, const std::string& elem, std::uint64_t n) {
    measured_map map(key, elem);
    const measurement heap;
    map.make(true, n);
    const measurement::counts cost = heap.now();
    return fmt::format("hint {}:{} {} B={} mallocs={} bytes={}\n", key, elem, n, map.core().h->B,
                       cost.mallocs, cost.bytes);
}

/// Go's MemStats.BySize ends here, and the listing says so of the classes behind it.
constexpr unsigned by_size_entries = 61;

/// One class, as an object of it was found.
std::string class_line(unsigned size_class, std::size_t size_before) {
    const std::size_t size = class_size[size_class];
    const std::uint64_t mallocs = read_statistics().by_size[size_class].mallocs;
    void* const object = allocate(size, 8);
    const object_info found = find_object(object);
    const heap_statistics::class_line counted = read_statistics().by_size[size_class];
    deallocate(object);
    if (counted.size != found.size || counted.mallocs != mallocs + 1) {
        throw check_failure(
            fmt::format("replay: an object of {} bytes was found with {} bytes, but the heap's "
                        "counters of class "
                        "{} say {} bytes and {} more objects",
                        size, found.size, size_class, counted.size, counted.mallocs - mallocs));
    }
    const std::size_t tail = found.span_size - found.count * found.size;
    const double worst = static_cast<double>((found.size - size_before - 1) * found.count + tail) /
                         static_cast<double>(found.span_size);
    constexpr std::size_t page = 8192;
    return fmt::format(
        "class={} bytes={} span={} objects={} tail_waste={} max_waste={:.2f}% min_align={} "
        "bysize={}\n",
        size_class, found.size, found.span_size, found.count, tail, 100 * worst,
        std::min(page, std::size_t{1} << std::countr_zero(found.size)),
        size_class < by_size_entries ? "ok" : "-");
}

/// What a request occupies. Requests for nothing never reach a heap: they get an
/// address that all of them share.
std::size_t occupied(std::size_t size) {
    if (size == 0) return 0;
    const measurement heap;
    void* const object = allocate(size, 8);
    const std::size_t bytes = heap.now().bytes;
    deallocate(object);
    return bytes;
}

}  // namespace

void replay_heap_classes() {
    std::string text =
        fmt::format("numclasses={} pagesize={} maxsmall={} bysize_entries={}\n", class_count,
                    occupied(max_small_size + 1) - max_small_size, max_small_size, by_size_entries);
    for (unsigned c = 1; c < class_count; ++c) text += class_line(c, class_size[c - 1]);
    for (const std::size_t size : {0, 1, 8, 9, 1016, 1017, 1024, 1025, 32760, 32767, 32768, 32769,
                                   40960, 40961, 1048576, 1048577}) {
        text += fmt::format("roundupsize {} -> {}\n", size, occupied(size));
    }
    write_stdout(text);
}

void replay_heap_maps() {
    for (const char* elem : {"str", "u64", "b200"}) {
        for (const std::uint64_t n : {8, 9, 100, 1'000, 10'000, 100'000, 1'000'000}) {
            for (const bool hinted : {false, true})
                write_stdout(cost_of_map("u64", elem, n, hinted));
        }
    }
    std::string text;
    for (const char* elem : {"str", "u64"}) {
        for (const std::uint64_t n :
             {0,   1,   8,   9,   13,  14,  26,   27,   52,   53,     104,     105,
              208, 209, 416, 417, 832, 833, 1000, 1664, 1665, 10'000, 100'000, 1'000'000}) {
            text += cost_of_hint("u64", elem, n);
        }
    }
    write_stdout(text);
}

void replay_heap_one(const std::string& key, const std::string& elem, std::uint64_t n,
                     bool hinted) {
    write_stdout(cost_of_map(key, elem, n, hinted));
}

}  // namespace steady::cli::replay
