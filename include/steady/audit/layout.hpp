// layout.hpp - where every field of our structures lies.
//
//   audit::layout<audit::hmap>()                    Go's map header: 48 bytes
//   audit::layout<audit::mapextra>()                24
//   audit::layout<audit::bmap<std::int64_t, std::string_view>>()     208, keys at 8
//   audit::layout<audit::slice_header>()            24
//   audit::layout<audit::map_group>()               steady::map: the tags of 15 slots
//   audit::layout<audit::map_slot<K, V>>()          one slot: kept hash, key and value, or a node
//   audit::layout<audit::map_cluster<K, V>>()       what one step of growth makes
//   audit::layout<audit::map_block<K, V>>()         what is chained to a full cluster
//   audit::layout<audit::size_class<48>>()          a span of that class: objects and tail
//   audit::layout<audit::span_record<1>>()          the heap's record of a span: 80 bytes
//
// The names stand for structures that are private to their rooms; their offsets are taken
// from the structures themselves, and the asserts below say what they must be. Those of a
// slot follow from its types (a base with the hash, then a pair), and tests/audit compares
// them with the addresses of entries.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "steady/go/geometry.hpp"
#include "steady/heap/size_classes.gen.hpp"
#include "steady/map/map.hpp"
#include "steady/slice/slice.hpp"

namespace steady::audit {

struct field {
    const char* name = "";
    std::size_t offset = 0;
    std::size_t size = 0;
    std::size_t padding_after = 0;
    const char* meaning = "";
};

struct structure {
    static constexpr std::size_t most_fields = 16;

    const char* name = "";
    std::size_t size = 0;
    std::size_t alignment = 0;
    std::array<field, most_fields> fields{};
    std::size_t field_count = 0;

    constexpr structure& add(const char* field_name, std::size_t offset, std::size_t field_size,
                             const char* meaning = "") noexcept {
        fields[field_count++] = {field_name, offset, field_size, 0, meaning};
        return *this;
    }
    /// Works out the gaps; fields were added in order.
    constexpr structure& close() noexcept {
        for (std::size_t i = 0; i < field_count; ++i) {
            const std::size_t next = i + 1 < field_count ? fields[i + 1].offset : size;
            fields[i].padding_after = next - fields[i].offset - fields[i].size;
        }
        return *this;
    }
    [[nodiscard]] constexpr std::size_t padding() const noexcept {
        std::size_t sum = 0;
        for (std::size_t i = 0; i < field_count; ++i) sum += fields[i].padding_after;
        return sum;
    }
    /// Every byte is a field or padding, and no two fields overlap.
    [[nodiscard]] constexpr bool complete() const noexcept {
        std::size_t at = 0;
        for (std::size_t i = 0; i < field_count; ++i) {
            if (fields[i].offset != at) return false;
            at += fields[i].size + fields[i].padding_after;
        }
        return at == size;
    }
};

struct hmap {};
struct mapextra {};
template <class K, class V>
struct bmap {};
struct slice_header {};
struct map_group {};
template <class K, class V, class Hash = map_hash<K>, bool Stable = false>
struct map_slot {};
template <class K, class V, class Hash = map_hash<K>, bool Stable = false>
struct map_cluster {};
template <class K, class V, class Hash = map_hash<K>, bool Stable = false>
struct map_block {};
template <std::size_t Bytes>
struct size_class {};
template <unsigned Words>
struct span_record {};

template <class T>
struct structure_of;

template <>
struct structure_of<hmap> {
    static constexpr structure make() noexcept {
        using h = go::internal::hmap;
        structure s{"hmap", sizeof(h), alignof(h)};
        return s.add("count", offsetof(h, count), 8, "live entries; Go's len()")
            .add("flags", offsetof(h, flags), 1, "1 iterator 2 oldIterator 4 writing 8 sameSize")
            .add("B", offsetof(h, B), 1, "log2 of buckets")
            .add("noverflow", offsetof(h, noverflow), 2, "about how many overflow buckets")
            .add("hash0", offsetof(h, hash0), 4, "seed")
            .add("buckets", offsetof(h, buckets), 8, "the array's head")
            .add("oldbuckets", offsetof(h, oldbuckets), 8, "the array before, while growing")
            .add("nevacuate", offsetof(h, nevacuate), 8, "old buckets below it have moved")
            .add("extra", offsetof(h, extra), 8, "mapextra or null")
            .close();
    }
};

template <>
struct structure_of<mapextra> {
    static constexpr structure make() noexcept {
        using x = go::internal::mapextra;
        structure s{"mapextra", sizeof(x), alignof(x)};
        return s.add("overflow", offsetof(x, overflow), 8, "list, of pointer-free buckets only")
            .add("oldoverflow", offsetof(x, oldoverflow), 8, "the same of the array before")
            .add("nextOverflow", offsetof(x, nextOverflow), 8, "the next spare bucket")
            .close();
    }
};

/// A bucket whose types are known by their sizes.
[[nodiscard]] constexpr structure bucket_structure(const go::bucket_shape& shape) noexcept {
    structure s{"bmap", shape.bucket(), 8};
    const std::size_t keys = 8, elems = keys + 8 * shape.key.in_cell();
    return s.add("tophash", 0, 8, "top byte of each hash, or a state")
        .add("keys", keys, 8 * shape.key.in_cell(), shape.key.indirect ? "8 pointers" : "8")
        .add("elems", elems, 8 * shape.elem.in_cell(), shape.elem.indirect ? "8 pointers" : "8")
        .add("overflow", shape.bucket() - 8, 8, "the next bucket of the chain")
        .close();
}

template <class K, class V>
struct structure_of<bmap<K, V>> {
    static constexpr structure make() noexcept { return bucket_structure(go::bucket_of<K, V>); }
};

template <>
struct structure_of<slice_header> {
    static constexpr structure make() noexcept {
        structure s{"slice", sizeof(slice<int>), alignof(slice<int>)};
        return s.add("data", 0, 8, "the first element")
            .add("len", 8, 8, "elements the view shows")
            .add("cap", 16, 8, "elements it may use")
            .close();
    }
};

template <>
struct structure_of<map_group> {
    static constexpr structure make() noexcept {
        using namespace steady::detail;
        structure s{"group", group_bytes, group_bytes};
        return s.add("tags", 0, group_slots, "7 bits of each hash; 0: empty")
            .add("overflow", group_slots, 1, "a bit for hashes that went further")
            .close();
    }
};

namespace detail {

template <class K, class V, class Hash, bool Stable>
using slot_type =
    typename steady::detail::slot_choice<steady::detail::map_element<K, V>, Hash, Stable>::type;

/// Tags first, then slots: what a cluster, a chained block and a small table have in common.
template <class Slot>
constexpr structure& add_groups(structure& s, std::size_t groups, std::size_t slots_at) noexcept {
    return s
        .add("groups", 0, groups * steady::detail::group_bytes, "tags, 16 bytes for each 15 slots")
        .add("slots", slots_at, groups * steady::detail::group_slots * sizeof(Slot), "15 a group");
}

}  // namespace detail

template <class K, class V, class Hash, bool Stable>
struct structure_of<map_slot<K, V, Hash, Stable>> {
    static constexpr structure make() noexcept {
        using slot = detail::slot_type<K, V, Hash, Stable>;
        structure s{"slot", sizeof(slot), alignof(slot)};
        std::size_t at = 0;
        if (slot::caches_hash) {
            s.add("hash", 0, sizeof(std::uint64_t), "kept: growing must not hash the key again");
            at = sizeof(std::uint64_t);
        }
        if (slot::is_node)
            return s.add("node", at, sizeof(void*), "the entry, out of line").close();
        at = round_up(at, alignof(typename slot::value_type));
        return s.add("key", at, sizeof(K))
            .add("value", at + round_up(sizeof(K), alignof(V)), sizeof(V))
            .close();
    }
};

/// Of a large table. Its tags and its slots lie side by side with those of other clusters,
/// in two rows of one region; here they stand behind each other.
template <class K, class V, class Hash, bool Stable>
struct structure_of<map_cluster<K, V, Hash, Stable>> {
    static constexpr structure make() noexcept {
        using slot = detail::slot_type<K, V, Hash, Stable>;
        using shape = steady::detail::cluster_shape<slot>;
        structure s{"cluster", shape::group_area + shape::stride, shape::alignment};
        return detail::add_groups<slot>(s, shape::groups, shape::group_area).close();
    }
};

template <class K, class V, class Hash, bool Stable>
struct structure_of<map_block<K, V, Hash, Stable>> {
    static constexpr structure make() noexcept {
        using slot = detail::slot_type<K, V, Hash, Stable>;
        using shape = steady::detail::cluster_shape<slot>;
        using header = steady::detail::chain_header;
        structure s{"block", shape::block_size, shape::alignment};
        return detail::add_groups<slot>(s, shape::block_groups,
                                        shape::slots_at(shape::block_groups))
            .add("next", shape::header_at + offsetof(header, next), 8, "of the same list of blocks")
            .add("cluster", shape::header_at + offsetof(header, cluster), 8, "whose it is")
            .close();
    }
};

/// What the heap knows of a span; Words of bitmap, a bit for each object.
template <unsigned Words>
struct structure_of<span_record<Words>> {
    static constexpr structure make() noexcept {
        using r = steady::detail::span;
        using whole = steady::detail::span_with_bits<Words>;
        structure s{"span record", sizeof(whole), alignof(whole)};
        return s.add("base", offsetof(r, base), 8, "the first object")
            .add("owner", offsetof(r, owner), 8, "which heap")
            .add("page_count", offsetof(r, page_count), 4, "of 8 KiB")
            .add("small_size", offsetof(r, small_size), 4, "bytes of an object; 0: one of pages")
            .add("divmul", offsetof(r, divmul), 4, "turns a division into a multiplication")
            .add("object_count", offsetof(r, object_count), 2)
            .add("sclass", offsetof(r, sclass), 1, "size class * 2 + noscan")
            .add("kind", offsetof(r, kind), 1, "small, large, sampled or guarded")
            .add("node", offsetof(r, node), 1, "of memory")
            .add("word_count", offsetof(r, word_count), 1, "behind this head")
            .add("listed", offsetof(r, listed), 1, "in the list of partly free spans")
            .add("zeroed", offsetof(r, zeroed), 1, "never used, and zero")
            .add("free_count", offsetof(r, free_count), 2)
            .add("list", offsetof(r, list), sizeof(r::list), "or the facts of a sample")
            .add("side_data, counts", offsetof(r, side_data), 16,
                 "of upper rooms; of shared objects")
            .add("free_bits", offsetof(whole, bits), 8 * Words, "1: free")
            .close();
    }
};

template <std::size_t Bytes>
struct structure_of<size_class<Bytes>> {
    static constexpr structure make() noexcept {
        constexpr std::size_t c = Bytes <= 1024 ? size_to_class8[(Bytes + 7) / 8]
                                                : size_to_class128[(Bytes - 1024 + 127) / 128];
        structure s{"span", class_pages[c] * std::size_t{8192}, 8192};
        const std::size_t objects = std::size_t{class_objects[c]} * class_size[c];
        return s.add("objects", 0, objects, "of one size").close();
    }
};

/// Offsets, sizes and padding of a structure of ours.
template <class T>
[[nodiscard]] constexpr structure layout() noexcept {
    return structure_of<T>::make();
}

[[nodiscard]] std::string to_text(const structure& s);

// What the source documents of this project got wrong in five different ways.
static_assert(layout<hmap>().size == 48 && layout<hmap>().padding() == 0);
static_assert(layout<hmap>().complete() && layout<hmap>().fields[5].offset == 16);
static_assert(layout<mapextra>().size == 24 && layout<mapextra>().complete());
static_assert(layout<slice_header>().size == 24 && layout<slice_header>().complete());
static_assert(layout<bmap<std::int64_t, std::int64_t>>().size == 144);
static_assert(layout<bmap<std::int32_t, std::int32_t>>().size == 80);
static_assert(layout<bmap<std::int32_t, std::int32_t>>().fields[1].offset == 8,
              "keys follow the tophash bytes, whatever their alignment");
static_assert(layout<bmap<std::int64_t, std::int8_t>>().size == 88);
static_assert(layout<bmap<std::int64_t, std::string_view>>().size == 208 &&
              layout<bmap<std::int64_t, std::string_view>>().padding() == 0);
static_assert(layout<bmap<std::string_view, std::string_view>>().size == 272);
static_assert(layout<bmap<std::array<char, 128>, std::array<char, 128>>>().size == 2064);
static_assert(layout<bmap<std::array<char, 129>, std::array<char, 129>>>().size == 144,
              "behind pointers above 128 bytes");
static_assert(layout<size_class<48>>().padding() == 32);

static_assert(layout<map_group>().size == 16 && layout<map_group>().complete());
static_assert(layout<map_slot<std::int64_t, std::int64_t>>().size == 16 &&
              layout<map_slot<std::int64_t, std::int64_t>>().complete());
static_assert(layout<map_slot<std::string, std::int32_t>>().size == 48 &&
                  layout<map_slot<std::string, std::int32_t>>().padding() == 4,
              "a string is dear to hash: 8 bytes of hash, 32, 4, and 4 of padding");
static_assert(layout<map_slot<std::int64_t, std::array<char, 300>>>().size == 16,
              "large entries lie out of line, their hash beside the pointer");
static_assert(layout<map_cluster<std::int64_t, std::int64_t>>().size == 16 * (16 + 15 * 16) &&
                  layout<map_cluster<std::int64_t, std::int64_t>>().complete(),
              "one page of 4 KiB");
static_assert(layout<map_block<std::int64_t, std::int64_t>>().size == 4 * (16 + 15 * 16) + 16 &&
              layout<map_block<std::int64_t, std::int64_t>>().complete());
static_assert(layout<span_record<1>>().size == 80 && layout<span_record<1>>().complete() &&
                  layout<span_record<1>>().padding() == 2,
              "1 % of a span of one page");

}  // namespace steady::audit
