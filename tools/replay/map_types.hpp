// map_types.hpp - the key and elem types a script can name, and their values.
//
// Terms   canonical bytes: what a value is compared, hashed and printed as. For all
//         types but strings they are the bytes in the cell.
//         cell: for a string Go's {pointer, length}; behind a pointer above 128 bytes.
//
//   u8 u16 u32 u64   little endian          bN     N bytes
//   f64              IEEE, little endian    s16    two u64
//   str              the content            void   nothing
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <memory_resource>
#include <string>
#include <string_view>

#include "steady/core/random.hpp"
#include "steady/go/detail/dynamic_layout.hpp"

namespace steady::cli::replay {

enum class kind : std::uint8_t { integer, f64, str, bytes };
enum class hash_kind : std::uint8_t { fmix, seeded, weak, zero, id };

struct value_type {
    replay::kind kind = kind::bytes;
    std::size_t size = 0;  // of the Go value: 16 for a string
    std::string name;
};

/// A string cell.
struct go_string {
    const char* data;
    std::int64_t length;
};
static_assert(sizeof(go_string) == 16);

inline constexpr std::uint64_t fnv_basis = 0xcbf29ce484222325;
inline constexpr std::uint64_t fnv_prime = 0x100000001b3;

class fnv {
public:
    constexpr explicit fnv(std::uint64_t state = fnv_basis) noexcept : state_{state} {}
    void absorb(std::string_view bytes) noexcept {
        std::uint64_t s = state_;
        for (const char c : bytes) s = (s ^ static_cast<unsigned char>(c)) * fnv_prime;
        state_ = s;
    }
    /// `size` bytes of `n`, little endian.
    void absorb(std::uint64_t n, unsigned size) noexcept {
        for (; size != 0; --size, n >>= 8) state_ = (state_ ^ (n & 0xff)) * fnv_prime;
    }
    /// A value as traces and walks take it: a string is preceded by its length.
    void absorb(const value_type& type, std::string_view canonical) noexcept {
        if (type.kind == kind::str) absorb(canonical.size(), 8);
        absorb(canonical);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

private:
    std::uint64_t state_;
};

/// The type named `name`. Returns false for a name that is none.
bool parse_value_type(std::string_view name, value_type& type);
bool parse_hash(std::string_view name, hash_kind& hash);
std::string_view name_of(hash_kind hash);

/// A whole number, decimal or 0x hex, of at most 64 bits.
bool parse_number(std::string_view token, std::uint64_t& n);

/// The canonical bytes of `#n`.
void indexed_value(const value_type& type, std::uint64_t n, std::string& canonical);
/// The canonical bytes of a token; on failure `problem` says what was expected.
bool parse_value(const value_type& type, std::string_view token, std::string& canonical,
                 std::string& problem);

/// The canonical bytes of a stored value (of what the cell points to, if indirect).
inline std::string_view canonical_bytes(const value_type& type, const void* value) noexcept {
    if (type.kind == kind::str) {
        const auto* s = static_cast<const go_string*>(value);
        return s->data == nullptr ? std::string_view{}
                                  : std::string_view{s->data, static_cast<std::size_t>(s->length)};
    }
    return {static_cast<const char*>(value), type.size};
}

/// A map type of a script: what map_core asks for, and what printing needs.
class script_type {
public:
    value_type key, elem;
    hash_kind hash = hash_kind::fmix;
    wyrand* draws = nullptr;
    go::internal::map_type layout;

    /// Fills `layout` in from the rest. `fast_strings`: deletes leave lengths behind.
    void lay_out(bool fast_strings);
    /// What the type line prints after the names.
    [[nodiscard]] unsigned flags() const noexcept;
};

/// The memory that string cells point to.
class string_store {
public:
    /// Writes a value with these canonical bytes to `value`.
    void write(const value_type& type, std::string_view canonical, void* value);
    void forget() { memory_.release(); }

private:
    std::pmr::monotonic_buffer_resource memory_{1 << 16};
};

}  // namespace steady::cli::replay
