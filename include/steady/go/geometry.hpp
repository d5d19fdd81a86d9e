// geometry.hpp - what a go::map of given types takes, as arithmetic: for whoever plans
// memory before there is a map, and for the map's own memory().
//
//   bucket   | 8 tophash | 8 keys | 8 elems | overflow pointer |     keys and elems behind
//            8           8*key    8*elem    8                        pointers take 8 each
//
//   array    2^B buckets, from B = 4 on 2^(B-4) spares, and as many more as the heap's
//            rounding gives room for
//
// The functions are the map's own (detail/header.hpp), so plan and map cannot disagree
// about them; what they cannot know is how the hash spreads the entries. That is the
// `state`: counted in a map, expected in a plan.
#pragma once

#include <cstddef>
#include <cstdint>

#include "steady/core/memory_parts.hpp"
#include "steady/go/detail/header.hpp"
#include "steady/go/detail/static_layout.hpp"
#include "steady/slice/growth.hpp"

namespace steady::go {

/// A key or an elem: its size, and how it stands in a cell.
struct cell_shape {
    std::size_t size = 0;  // of the object itself
    std::size_t alignment = 1;
    bool pointers = false;  // a collector would look into it
    bool indirect = false;  // behind a pointer

    [[nodiscard]] constexpr std::size_t in_cell() const noexcept {
        return indirect ? sizeof(void*) : size;
    }
    /// What the object behind the pointer takes from the heap.
    [[nodiscard]] constexpr std::size_t object() const noexcept {
        return indirect ? growth::round_up_size(size, alignment) : 0;
    }
};

/// Go's rule for a type known by its size: behind a pointer above 128 bytes, and here also
/// above an alignment of 8, which Go has none of.
[[nodiscard]] constexpr cell_shape cell_of(std::size_t size, std::size_t alignment,
                                           bool pointers) noexcept {
    return {size, alignment, pointers, size > internal::largest_inline || alignment > 8};
}
template <class T>
[[nodiscard]] constexpr cell_shape cell_of() noexcept {
    constexpr bool none = internal::takes_no_room<T>;
    return {none ? 0 : sizeof(T), alignof(T), !none && !holds_no_pointers<T>,
            internal::behind_pointer<T>};
}

struct bucket_shape {
    cell_shape key, elem;

    [[nodiscard]] constexpr std::size_t cell() const noexcept {
        return key.in_cell() + elem.in_cell();
    }
    [[nodiscard]] constexpr std::size_t bucket() const noexcept {
        return internal::data_offset + internal::cells * cell() + sizeof(internal::bmap*);
    }
    [[nodiscard]] constexpr bool pointers() const noexcept {
        return key.indirect || elem.indirect || key.pointers || elem.pointers;
    }
};
template <class K, class V>
inline constexpr bucket_shape bucket_of{cell_of<K>(), cell_of<V>()};

inline constexpr std::size_t bucket_cells = internal::cells;
inline constexpr std::size_t header_bytes = sizeof(internal::hmap);
inline constexpr std::size_t extra_bytes = sizeof(internal::mapextra);
inline constexpr std::size_t list_bytes = sizeof(internal::bucket_list);

/// log2 of the buckets of make(map[K]V, hint), and of a map that was filled with as many.
[[nodiscard]] constexpr unsigned buckets_log2(std::uint64_t entries) noexcept {
    return internal::buckets_for(entries);
}
/// The most entries in 2^B buckets; one more starts a growth.
[[nodiscard]] constexpr std::uint64_t most_entries(unsigned B) noexcept {
    return B == 0 ? internal::cells : 13 * (std::uint64_t{1} << (B - 1));
}
static_assert(most_entries(0) == 8 && most_entries(1) == 13 && most_entries(14) == 106496 &&
              buckets_log2(most_entries(14)) == 14 && buckets_log2(most_entries(14) + 1) == 15);

/// Buckets of an array with 2^B, spares included.
[[nodiscard]] constexpr std::size_t array_buckets(const bucket_shape& shape, unsigned B) noexcept {
    return internal::array_buckets(shape.bucket(), B);
}
/// The hint counts as none when no address space could hold it.
[[nodiscard]] constexpr bool hint_counts(const bucket_shape& shape, std::uint64_t hint) noexcept {
    std::uint64_t size = 0;
    return !__builtin_mul_overflow(hint, std::uint64_t{shape.bucket()}, &size) &&
           size <= std::uint64_t{1} << 48;
}
/// The capacity of the list of `n` overflow buckets that a map without pointers keeps.
[[nodiscard]] constexpr std::uint64_t list_capacity(std::uint64_t n) noexcept {
    std::int64_t cap = 0;
    while (static_cast<std::uint64_t>(cap) < n) cap = internal::next_list_capacity(cap);
    return static_cast<std::uint64_t>(cap);
}

/// How a map stands: what the hash decides, and how far a growth has come.
struct map_state {
    std::uint64_t count = 0;        // entries
    unsigned B = 0;                 // of the array
    unsigned old_B = 0;             // of the one being left, while growing
    bool array = false;             // there is one: not before the first entry
    bool growing = false;           // the one before is there too
    bool extra = false;             // mapextra is there
    std::uint64_t spares_used = 0;  // overflow buckets out of the array's spares
    std::uint64_t outside = 0;      // overflow buckets allocated one by one
    std::uint64_t old_outside = 0;  // the same of the array being left
    std::uint64_t list = 0;         // capacities of the lists of overflow buckets;
    std::uint64_t old_list = 0;     //   0: no list, or an empty one
    unsigned lists = 0;             // how many list headers there are
};

/// Every byte of a map in this state, and the objects they lie in.
struct map_bytes {
    memory_parts parts;
    std::uint64_t objects = 0;
};
[[nodiscard]] constexpr map_bytes bytes_of(const bucket_shape& shape, const map_state& s) noexcept {
    const std::size_t bucket = shape.bucket();
    map_bytes m;
    memory_parts& p = m.parts;
    std::size_t occupied = 0;
    const auto object = [&](std::size_t size, std::uint64_t n) {
        occupied += internal::round_up_size(size) * n;
        m.objects += n;
        return size * n;
    };
    p.header = bytes{object(header_bytes, 1)};
    if (s.extra) p.extra += bytes{object(extra_bytes, 1)};
    p.extra += bytes{object(list_bytes, s.lists)};
    if (s.list != 0) p.extra += bytes{object(s.list * sizeof(void*), 1)};
    if (s.old_list != 0) p.extra += bytes{object(s.old_list * sizeof(void*), 1)};

    std::uint64_t buckets = 0;
    if (s.array) {
        const std::size_t all = array_buckets(shape, s.B), regular = std::size_t{1} << s.B;
        object(all * bucket, 1);
        p.array = bytes{regular * bucket};
        p.spare = bytes{(all - regular - s.spares_used) * bucket};
        p.overflow = bytes{s.spares_used * bucket + object(bucket, s.outside)};
        buckets += all + s.outside;
    }
    if (s.growing) {
        const std::size_t all = array_buckets(shape, s.old_B);
        p.old = bytes{object(all * bucket, 1) + object(bucket, s.old_outside)};
        buckets += all + s.old_outside;
    }
    const auto beside = [&](const cell_shape& c) {
        if (!c.indirect) return std::uint64_t{0};
        occupied += c.object() * s.count;
        m.objects += s.count;
        return c.size * s.count;
    };
    p.nodes = bytes{beside(shape.key) + beside(shape.elem)};
    p.rounding = bytes{occupied} - p.total();

    p.metadata = bytes{buckets * internal::data_offset};
    p.links =
        bytes{(buckets + (shape.key.indirect ? s.count : 0) + (shape.elem.indirect ? s.count : 0)) *
              sizeof(void*)};
    p.payload = bytes{s.count * (shape.key.size + shape.elem.size)};
    p.vacant = bytes{(buckets * internal::cells - s.count) * shape.cell()};
    return m;
}

}  // namespace steady::go
