// header.hpp - the three structures of Go's classic map, field by field, and the
// arithmetic on them that needs no type.
//
//   hmap, 48 bytes                    mapextra, 24 bytes       bmap, a bucket
//    0 count       live entries        0 overflow              0   8 tophash bytes
//    8 flags                           8 oldoverflow           8   8 keys
//    9 B           log2 of buckets    16 nextOverflow              8 elems
//   10 noverflow   about how many                              end overflow pointer
//   12 hash0       the seed
//   16 buckets     2^B of them, and spares behind them
//   24 oldbuckets  the array before, while growing
//   32 nevacuate   old buckets below it have moved
//   40 extra       mapextra or null
//
// The names are Go's, because whoever reads this beside the runtime, or a core
// dump, knows them; everything else in this room is named as the house names.
//
//   tophash   0 emptyRest       nothing here nor later in the chain
//             1 emptyOne        nothing here
//             2 evacuatedX      moved to the bucket of the same index
//             3 evacuatedY      moved to that index + the old number of buckets
//             4 evacuatedEmpty  nothing was here when the bucket moved
//             5..255            the top byte of the hash, plus 5 if it was below 5
//
// Invariants (check() in verify.hpp tests each one)
//   G1  All cells of a chain are evacuated, or none is; the head's first byte tells.
//   G2  After a 0 in a chain come only 0s, so that a search may end there.
//   G3  0 is emptyRest: fresh zero pages read as empty buckets, and starting to
//       grow touches none of them but the last spare.
//   G4  No 1 stands before a 0, nor at the end of a chain: what follows the last entry is
//       rest. So a bucket that ends with a 1 has another one behind it, with entries.
//
// Source  Go 1.19 runtime/map.go; facts are Go's, words and code are not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "steady/heap/size_classes.gen.hpp"

namespace steady::go::internal {

inline constexpr unsigned cells = 8;  // of a bucket

inline constexpr std::uint8_t empty_rest = 0;
inline constexpr std::uint8_t empty_one = 1;
inline constexpr std::uint8_t evacuated_x = 2;
inline constexpr std::uint8_t evacuated_y = 3;
inline constexpr std::uint8_t evacuated_empty = 4;
inline constexpr std::uint8_t min_top_hash = 5;
static_assert(empty_rest == 0, "G3: fresh zero pages must read as empty buckets");
static_assert(evacuated_x + 1 == evacuated_y, "the state is evacuated_x plus the way it went");

inline constexpr std::uint8_t flag_iterator = 1;      // somebody may walk buckets
inline constexpr std::uint8_t flag_old_iterator = 2;  // somebody may walk oldbuckets
inline constexpr std::uint8_t flag_writing = 4;
inline constexpr std::uint8_t flag_same_size = 8;  // the growth under way keeps B

/// Cells larger than this are stored behind a pointer.
inline constexpr std::size_t largest_inline = 128;
inline constexpr std::size_t data_offset = 8;

struct bmap {
    std::uint8_t tophash[cells];
};
static_assert(sizeof(bmap) == data_offset, "keys follow the tophash bytes without a gap");

/// Go's []*bmap: which overflow buckets a collector must keep for a map whose
/// buckets it does not scan. The map of steady frees by chain; the list is here
/// so that layout and memory equal Go's.
struct bucket_list {
    bmap** data;
    std::int64_t len;
    std::int64_t cap;
};

struct mapextra {
    bucket_list* overflow;
    bucket_list* oldoverflow;
    bmap* nextOverflow;
};

struct hmap {
    std::int64_t count;
    std::uint8_t flags;
    std::uint8_t B;
    std::uint16_t noverflow;
    std::uint32_t hash0;
    bmap* buckets;
    bmap* oldbuckets;
    std::uintptr_t nevacuate;
    mapextra* extra;

    [[nodiscard]] bool growing() const noexcept { return oldbuckets != nullptr; }
    [[nodiscard]] bool same_size() const noexcept { return (flags & flag_same_size) != 0; }
    [[nodiscard]] std::size_t bucket_count() const noexcept { return std::size_t{1} << B; }
    [[nodiscard]] std::size_t bucket_mask() const noexcept { return bucket_count() - 1; }
    /// Buckets of the old array, while growing.
    [[nodiscard]] std::size_t old_bucket_count() const noexcept {
        return same_size() ? bucket_count() : bucket_count() / 2;
    }
};

static_assert(sizeof(bucket_list) == 24 && sizeof(mapextra) == 24 && sizeof(hmap) == 48);
static_assert(offsetof(hmap, count) == 0 && offsetof(hmap, flags) == 8 && offsetof(hmap, B) == 9);
static_assert(offsetof(hmap, noverflow) == 10 && offsetof(hmap, hash0) == 12);
static_assert(offsetof(hmap, buckets) == 16 && offsetof(hmap, oldbuckets) == 24);
static_assert(offsetof(hmap, nevacuate) == 32 && offsetof(hmap, extra) == 40);
static_assert(offsetof(mapextra, overflow) == 0 && offsetof(mapextra, oldoverflow) == 8);
static_assert(offsetof(mapextra, nextOverflow) == 16);

[[nodiscard]] constexpr bool is_empty(std::uint8_t top) noexcept {
    return top <= empty_one;
}

[[nodiscard]] inline bool is_evacuated(const bmap* head) noexcept {
    return static_cast<std::uint8_t>(head->tophash[0] - evacuated_x) <=
           evacuated_empty - evacuated_x;
}

[[nodiscard]] constexpr std::uint8_t top_hash(std::uint64_t hash) noexcept {
    const auto top = static_cast<std::uint8_t>(hash >> 56);
    return top < min_top_hash ? static_cast<std::uint8_t>(top + min_top_hash) : top;
}

/// More than 6.5 entries a bucket, and more than one bucket holds.
[[nodiscard]] constexpr bool over_load_factor(std::uint64_t count, unsigned B) noexcept {
    return count > cells && count > 13 * ((std::uint64_t{1} << B) / 2);
}

/// About as many overflow buckets as buckets: deletes left the chains sparse.
[[nodiscard]] constexpr bool too_many_overflow_buckets(std::uint16_t noverflow,
                                                       unsigned B) noexcept {
    return noverflow >= std::uint16_t{1} << (B > 15 ? 15 : B);
}

/// log2 of the buckets that hold `hint` entries.
[[nodiscard]] constexpr std::uint8_t buckets_for(std::uint64_t hint) noexcept {
    std::uint8_t B = 0;
    while (over_load_factor(hint, B)) ++B;
    return B;
}
static_assert(buckets_for(8) == 0 && buckets_for(9) == 1 && buckets_for(13) == 1 &&
              buckets_for(14) == 2 && buckets_for(6656) == 10);

/// What an allocation of `size` bytes occupies: Go's roundupsize.
[[nodiscard]] constexpr std::size_t round_up_size(std::size_t size) noexcept {
    if (size == 0) return 0;
    if (size <= 1024) return class_size[size_to_class8[(size + 7) / 8]];
    if (size <= max_small_size) return class_size[size_to_class128[(size - 1024 + 127) / 128]];
    constexpr std::size_t page = 8192;
    return size > std::numeric_limits<std::size_t>::max() - page ? size
                                                                 : (size + page - 1) / page * page;
}

/// Buckets in the array of a map with 2^B: from B = 4 on some spares, one for each
/// sixteen buckets and as many more as the allocation is rounded up.
[[nodiscard]] constexpr std::size_t array_buckets(std::size_t bucket_size, unsigned B) noexcept {
    std::size_t n = std::size_t{1} << B;
    if (B >= 4) {
        n += std::size_t{1} << (B - 4);
        const std::size_t rounded = round_up_size(bucket_size * n);
        if (rounded != bucket_size * n) n = rounded / bucket_size;
    }
    return n;
}
static_assert(array_buckets(144, 4) == 18 && array_buckets(144, 8) == 256 + 28 &&
              array_buckets(208, 11) == 2048 + 157);

/// The capacity of a []*bmap that grows from `cap` by one: Go's append, 1.18 and later.
[[nodiscard]] constexpr std::int64_t next_list_capacity(std::int64_t cap) noexcept {
    const std::int64_t wanted = cap == 0 ? 1 : cap < 256 ? 2 * cap : cap + (cap + 3 * 256) / 4;
    return static_cast<std::int64_t>(round_up_size(static_cast<std::size_t>(wanted) * 8) / 8);
}
static_assert(next_list_capacity(0) == 1 && next_list_capacity(4) == 8 &&
              next_list_capacity(256) == 512 && next_list_capacity(512) == 848);

/// Adds `offset` bytes.
template <class T>
[[nodiscard]] inline T* forward(T* p, std::size_t offset) noexcept {
    using byte = std::conditional_t<std::is_const_v<T>, const unsigned char, unsigned char>;
    return reinterpret_cast<T*>(reinterpret_cast<byte*>(p) + offset);
}

}  // namespace steady::go::internal
