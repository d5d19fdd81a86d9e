// dynamic_layout.hpp - the layout of a map whose types are known at run time only,
// described as Go's maptype describes them. Keys and elems are plain bytes: what they
// point to belongs to whoever filled them in.
//
// With it map_core leaves behind exactly the bytes that Go's runtime leaves: `steady
// replay` prints them, and the goldens prove them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "steady/core/random.hpp"
#include "steady/go/detail/header.hpp"

namespace steady::go::internal {

struct map_type {
    std::size_t key_value_size = 0;  // of the key itself
    std::size_t elem_value_size = 0;
    std::size_t key_size = 0;  // of its cell: 8 when behind a pointer
    std::size_t elem_size = 0;
    std::size_t bucket_size = 0;
    bool key_pointers = false;  // a collector would look into it
    bool elem_pointers = false;
    bool indirect_key = false;
    bool indirect_elem = false;
    bool reflexive = true;
    bool update_key = false;            // an assignment replaces an equal key: +0 by -0
    std::size_t cleared_key_bytes = 0;  // how much of a deleted key Go wipes
    std::uint64_t (*hash)(const void* context, const void* key, std::uint32_t seed) = nullptr;
    bool (*equal)(const void* a, const void* b, std::size_t size) = nullptr;
    const void* context = nullptr;

    /// Sizes of cells and bucket from the sizes of the values.
    constexpr void lay_out() noexcept {
        indirect_key = key_value_size > largest_inline;
        indirect_elem = elem_value_size > largest_inline;
        key_size = indirect_key ? sizeof(void*) : key_value_size;
        elem_size = indirect_elem ? sizeof(void*) : elem_value_size;
        bucket_size = data_offset + cells * (key_size + elem_size) + sizeof(bmap*);
    }
    [[nodiscard]] constexpr bool pointers() const noexcept {
        return key_pointers || elem_pointers || indirect_key || indirect_elem;
    }
};

struct dynamic_layout {
    static constexpr bool as_go = true;
    static constexpr bool cells_survive = true;

    const map_type* type = nullptr;
    wyrand* draws = nullptr;

    [[nodiscard]] std::size_t key_size() const noexcept { return type->key_size; }
    [[nodiscard]] std::size_t elem_size() const noexcept { return type->elem_size; }
    [[nodiscard]] std::size_t bucket_size() const noexcept { return type->bucket_size; }
    [[nodiscard]] bool pointers() const noexcept { return type->pointers(); }
    [[nodiscard]] bool indirect_key() const noexcept { return type->indirect_key; }
    [[nodiscard]] bool indirect_elem() const noexcept { return type->indirect_elem; }
    [[nodiscard]] bool reflexive() const noexcept { return type->reflexive; }
    /// Whether ending a map may skip its cells.
    [[nodiscard]] bool trivial_cells() const noexcept {
        return !indirect_key() && !indirect_elem();
    }

    [[nodiscard]] wyrand& random() const noexcept { return *draws; }
    [[nodiscard]] std::uint64_t hash(const void* key, std::uint32_t seed) const {
        return type->hash(type->context, key, seed);
    }
    static void fetch_key(const void*) noexcept {}
    [[nodiscard]] bool equal(const void* a, const void* b) const {
        return type->equal(a, b, type->key_value_size);
    }
    [[nodiscard]] bool equals_itself(const void* key) const { return equal(key, key); }

    void relocate_key(void* to, void* from) const noexcept {
        std::memcpy(to, from, type->key_size);
    }
    void relocate_elem(void* to, void* from) const noexcept {
        std::memcpy(to, from, type->elem_size);
    }
    /// A deleted key without pointers stays where it was.
    void clear_key(void* k) const noexcept {
        if (type->cleared_key_bytes != 0) std::memset(k, 0, type->cleared_key_bytes);
    }
    void clear_elem(void* e) const noexcept { std::memset(e, 0, type->elem_size); }
    void destroy_key(void*) const noexcept {}
    void destroy_elem(void*) const noexcept {}
};

}  // namespace steady::go::internal
