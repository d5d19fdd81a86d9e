// map_types.cpp - see map_types.hpp.
#include "replay/map_types.hpp"

#include <bit>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

namespace steady::cli::replay {
namespace {

constexpr std::size_t largest_array = std::size_t{1} << 20;

constexpr std::uint64_t fmix64(std::uint64_t h) noexcept {
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccd;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53;
    h ^= h >> 33;
    return h;
}

constexpr std::uint64_t nan_bits = 0x7ff8000000000001;

/// Hashes the key as section 2 of the format says.
std::uint64_t hash_key(const void* context, const void* key, std::uint32_t seed) {
    const auto& type = *static_cast<const script_type*>(context);
    if (type.hash == hash_kind::zero) return 0;
    if (type.hash == hash_kind::id) {
        std::uint64_t n = 0;
        std::memcpy(&n, key, type.key.size);
        return n;
    }
    fnv state{type.hash == hash_kind::seeded ? fnv_basis ^ seed : fnv_basis};
    std::uint64_t random = 0;
    if (type.key.kind == kind::f64) {
        std::uint64_t bits;
        std::memcpy(&bits, key, sizeof bits);
        const double number = std::bit_cast<double>(bits);
        if (number != number) {
            bits = nan_bits;
            random = type.draws->fastrand();
        } else if (number == 0) {
            bits = 0;
        }
        state.absorb(bits, 8);
    } else {
        state.absorb(canonical_bytes(type.key, key));
    }
    const std::uint64_t h = fmix64(state.value() ^ random);
    return type.hash == hash_kind::weak ? h & 0xe00000000000000f : h;
}

bool equal_bytes(const void* a, const void* b, std::size_t size) {
    return std::memcmp(a, b, size) == 0;
}
bool equal_numbers(const void* a, const void* b, std::size_t) {
    double x, y;
    std::memcpy(&x, a, sizeof x);
    std::memcpy(&y, b, sizeof y);
    return x == y;
}
bool equal_strings(const void* a, const void* b, std::size_t) {
    const auto& x = *static_cast<const go_string*>(a);
    const auto& y = *static_cast<const go_string*>(b);
    return x.length == y.length &&
           (x.data == y.data || x.length == 0 ||
            std::memcmp(x.data, y.data, static_cast<std::size_t>(x.length)) == 0);
}

void append_little_endian(std::string& to, std::uint64_t n, std::size_t size) {
    for (; size != 0; --size, n >>= 8) to.push_back(static_cast<char>(n & 0xff));
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool parse_hex_bytes(std::string_view token, std::string& bytes) {
    if (token == "-") return true;
    if (token.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < token.size(); i += 2) {
        const int high = hex_digit(token[i]), low = hex_digit(token[i + 1]);
        if (high < 0 || low < 0) return false;
        bytes.push_back(static_cast<char>(high * 16 + low));
    }
    return true;
}

}  // namespace

bool parse_number(std::string_view token, std::uint64_t& n) {
    int base = 10;
    if (token.starts_with("0x") || token.starts_with("0X")) {
        token.remove_prefix(2);
        base = 16;
    }
    const auto [end, problem] = std::from_chars(token.data(), token.data() + token.size(), n, base);
    return problem == std::errc{} && end == token.data() + token.size() && !token.empty();
}

bool parse_value_type(std::string_view name, value_type& type) {
    type.name = name;
    type.kind = kind::integer;
    if (name == "u8") return type.size = 1, true;
    if (name == "u16") return type.size = 2, true;
    if (name == "u32") return type.size = 4, true;
    if (name == "u64") return type.size = 8, true;
    if (name == "f64") return type.kind = kind::f64, type.size = 8, true;
    if (name == "str") return type.kind = kind::str, type.size = sizeof(go_string), true;
    type.kind = kind::bytes;
    if (name == "s16") return type.size = 16, true;
    if (name == "void") return type.size = 0, true;
    std::uint64_t size;
    if (name.size() < 2 || name[0] != 'b' || name[1] < '0' || name[1] > '9' ||
        name.starts_with("b0x") || !parse_number(name.substr(1), size) || size > largest_array) {
        return false;
    }
    type.size = size;
    return true;
}

namespace {
constexpr std::string_view hash_names[] = {"fmix", "seeded", "weak", "zero", "id"};
}

bool parse_hash(std::string_view name, hash_kind& hash) {
    for (unsigned i = 0; i < std::size(hash_names); ++i) {
        if (hash_names[i] == name) return hash = static_cast<hash_kind>(i), true;
    }
    return false;
}

std::string_view name_of(hash_kind hash) {
    return hash_names[static_cast<unsigned>(hash)];
}

void indexed_value(const value_type& type, std::uint64_t n, std::string& canonical) {
    canonical.clear();
    switch (type.kind) {
        case kind::integer: append_little_endian(canonical, n, type.size); break;
        case kind::f64: {
            std::uint64_t bits = nan_bits;
            if ((n & 63) != 63) {
                const auto number = static_cast<double>((n >> 1) & ((std::uint64_t{1} << 52) - 1));
                bits = std::bit_cast<std::uint64_t>(number) | (n & 1) << 63;
            }
            append_little_endian(canonical, bits, 8);
            break;
        }
        case kind::str:
        case kind::bytes: {
            splitmix64 draws{n};
            const std::size_t size = type.kind == kind::str ? 8 + draws.next() % 25 : type.size;
            while (canonical.size() < size) append_little_endian(canonical, draws.next(), 8);
            canonical.resize(size);
            break;
        }
    }
}

bool parse_value(const value_type& type, std::string_view token, std::string& canonical,
                 std::string& problem) {
    canonical.clear();
    std::uint64_t n;
    if (token.starts_with('#')) {
        if (!parse_number(token.substr(1), n)) {
            problem = fmt::format("'{}' is no index: write #0, #7, #0x1f", token);
            return false;
        }
        indexed_value(type, n, canonical);
        return true;
    }
    switch (type.kind) {
        case kind::integer:
            if (!parse_number(token, n) || (type.size < 8 && n >> (8 * type.size) != 0)) {
                problem =
                    fmt::format("'{}' is no {}: write #n, or a number that fits", token, type.name);
                return false;
            }
            append_little_endian(canonical, n, type.size);
            return true;
        case kind::f64: {
            double number;
            if (token == "nan") {
                append_little_endian(canonical, nan_bits, 8);
                return true;
            }
            const std::string text{token};
            char* end = nullptr;
            number = std::strtod(text.c_str(), &end);
            if (text.empty() || *end != '\0') {
                problem = fmt::format("'{}' is no f64: write #n, a number or nan", token);
                return false;
            }
            append_little_endian(canonical, std::bit_cast<std::uint64_t>(number), 8);
            return true;
        }
        case kind::str:
        case kind::bytes: {
            if (!parse_hex_bytes(token, canonical)) {
                problem = fmt::format("'{}' is no {}: write #n, or bytes in hex (- for none)",
                                      token, type.name);
                return false;
            }
            if (type.kind == kind::bytes && canonical.size() != type.size) {
                problem = fmt::format("'{}' has {} bytes, but a {} has {}", token, canonical.size(),
                                      type.name, type.size);
                return false;
            }
            return true;
        }
    }
    return false;
}

void script_type::lay_out(bool fast_strings) {
    layout = {};
    layout.key_value_size = key.size;
    layout.elem_value_size = elem.size;
    layout.key_pointers = key.kind == kind::str;
    layout.elem_pointers = elem.kind == kind::str;
    layout.reflexive = key.kind != kind::f64;
    layout.update_key = key.kind == kind::f64 || key.kind == kind::str;
    layout.lay_out();
    layout.cleared_key_bytes = key.kind != kind::str ? 0
                               : fast_strings && elem.size <= go::internal::largest_inline
                                   ? sizeof(char*)
                                   : sizeof(go_string);
    layout.hash = hash_key;
    layout.context = this;
    layout.equal = key.kind == kind::f64   ? equal_numbers
                   : key.kind == kind::str ? equal_strings
                                           : equal_bytes;
}

unsigned script_type::flags() const noexcept {
    return (layout.indirect_key ? 1u : 0u) | (layout.indirect_elem ? 2u : 0u) |
           (layout.reflexive ? 4u : 0u) | (layout.update_key ? 8u : 0u);
}

void string_store::write(const value_type& type, std::string_view canonical, void* value) {
    if (type.kind != kind::str) {
        std::memcpy(value, canonical.data(), canonical.size());
        return;
    }
    // An empty string has an address too, as "" has in Go; only a cleared one has none.
    auto* const data = static_cast<char*>(memory_.allocate(canonical.size() + 1, 1));
    std::memcpy(data, canonical.data(), canonical.size());
    const go_string s{data, static_cast<std::int64_t>(canonical.size())};
    std::memcpy(value, &s, sizeof s);
}

}  // namespace steady::cli::replay
