// map_types.hpp - keys and elems for the tests of go::map: counted, move-only, throwing.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>

namespace steady::test {

/// What a test decided shall fail: the n-th chance from now on throws.
struct planned_failure : std::runtime_error {
    planned_failure() : std::runtime_error("planned") {}
};
inline int chances_left = -1;  // negative: nothing fails
inline void take_chance() {
    if (chances_left >= 0 && chances_left-- == 0) throw planned_failure();
}

/// Counts how many live, and throws when it is copied at the planned moment. Its move
/// throws too, so the map keeps it behind a pointer.
template <bool NothrowMove>
struct tracked {
    static inline std::int64_t living = 0;

    std::uint64_t value = 0;
    tracked* self = this;  // notices being moved as bytes

    tracked() { ++living; }
    tracked(std::uint64_t v) : value{v} {
        take_chance();
        ++living;
    }
    tracked(const tracked& other) : value{other.value} {
        take_chance();
        ++living;
    }
    tracked(tracked&& other) noexcept(NothrowMove) : value{other.value} {
        if constexpr (!NothrowMove) take_chance();
        other.value = ~std::uint64_t{0};
        ++living;
    }
    /// In two halves, so that a failure in between shows.
    tracked& operator=(const tracked& other) {
        const std::uint64_t whole = other.value;
        value = whole ^ 0xff;
        take_chance();
        value = whole;
        return *this;
    }
    tracked& operator=(tracked&& other) noexcept(NothrowMove) {
        value = std::exchange(other.value, ~std::uint64_t{0});
        return *this;
    }
    ~tracked() {
        if (self == this) --living;
    }
    friend bool operator==(const tracked& a, const tracked& b) {
        take_chance();
        return a.value == b.value;
    }
};

struct hash_tracked {
    using is_transparent = void;
    template <bool N>
    std::uint64_t operator()(const tracked<N>& key, std::uint64_t seed) const {
        take_chance();
        return (key.value ^ seed) * 0x9e3779b97f4a7c15;
    }
};

/// A key that can only be moved.
struct only_moves {
    std::unique_ptr<std::uint64_t> p;
    explicit only_moves(std::uint64_t n) : p{std::make_unique<std::uint64_t>(n)} {}
    friend bool operator==(const only_moves& a, const only_moves& b) { return *a.p == *b.p; }
};
struct hash_only_moves {
    std::size_t operator()(const only_moves& key) const { return *key.p * 31; }
};

}  // namespace steady::test
