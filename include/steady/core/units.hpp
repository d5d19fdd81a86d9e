// units.hpp - sizes that know what they count, so that pages are never added to
// bytes and a reader sees the unit in every signature.
//
// Terms   page: a heap page of 8 KiB, as in Go. The pages of the operating
//         system (4, 16 or 64 KiB) are called OS pages and belong to room os.
//
//   bytes{8192} + 4_KiB          adds like to like
//   to_bytes(3_pages)            3 * 8192 B: the only way from pages to bytes
//   whole_pages(8193_B)          2 pages: the only way back, and it rounds up
//
// Nothing here checks for overflow: sizes come from address arithmetic that was
// checked where a caller's number entered (heap and os refuse what cannot fit).
//
// Cost    none: a quantity is one register, and every operation is inline.

#pragma once

#include <compare>
#include <cstddef>
#include <type_traits>

namespace steady {

/// A count of one kind of thing. Two kinds never mix, and a plain number becomes
/// a quantity only when it is written out: bytes{64}.
template <class Unit>
class quantity {
public:
    constexpr quantity() noexcept = default;
    constexpr explicit quantity(std::size_t count) noexcept : count_{count} {}

    /// The plain number, for arithmetic with the outside world.
    [[nodiscard]] constexpr std::size_t count() const noexcept { return count_; }

    friend constexpr auto operator<=>(quantity, quantity) noexcept = default;

    constexpr quantity& operator+=(quantity other) noexcept {
        count_ += other.count_;
        return *this;
    }
    constexpr quantity& operator-=(quantity other) noexcept {
        count_ -= other.count_;
        return *this;
    }
    constexpr quantity& operator*=(std::size_t times) noexcept {
        count_ *= times;
        return *this;
    }
    constexpr quantity& operator/=(std::size_t parts) noexcept {
        count_ /= parts;
        return *this;
    }
    constexpr quantity& operator++() noexcept { return ++count_, *this; }
    constexpr quantity& operator--() noexcept { return --count_, *this; }
    constexpr quantity operator++(int) noexcept { return quantity{count_++}; }
    constexpr quantity operator--(int) noexcept { return quantity{count_--}; }

    friend constexpr quantity operator+(quantity a, quantity b) noexcept { return a += b; }
    friend constexpr quantity operator-(quantity a, quantity b) noexcept { return a -= b; }
    friend constexpr quantity operator*(quantity a, std::size_t times) noexcept {
        return a *= times;
    }
    friend constexpr quantity operator*(std::size_t times, quantity a) noexcept {
        return a *= times;
    }
    friend constexpr quantity operator/(quantity a, std::size_t parts) noexcept {
        return a /= parts;
    }
    /// How many times b fits into a: a plain number, for the unit cancels out.
    friend constexpr std::size_t operator/(quantity a, quantity b) noexcept {
        return a.count_ / b.count_;
    }
    friend constexpr quantity operator%(quantity a, quantity b) noexcept {
        return quantity{a.count_ % b.count_};
    }

private:
    std::size_t count_ = 0;
};

using bytes = quantity<struct byte_unit>;
using pages = quantity<struct page_unit>;

static_assert(sizeof(bytes) == sizeof(std::size_t) && std::is_trivially_copyable_v<bytes>,
              "a quantity travels in one register");

inline constexpr std::size_t page_shift = 13;
inline constexpr bytes page_size{std::size_t{1} << page_shift};

static_assert(page_size.count() == 8192, "Go's heap page: the size class table is built on it");

[[nodiscard]] constexpr bytes to_bytes(pages n) noexcept {
    return bytes{n.count() << page_shift};
}

/// The pages needed to hold n bytes: rounds up, and cannot overflow.
[[nodiscard]] constexpr pages whole_pages(bytes n) noexcept {
    const std::size_t rest = n.count() & (page_size.count() - 1);
    return pages{(n.count() >> page_shift) + (rest != 0)};
}

[[nodiscard]] constexpr bool is_power_of_two(std::size_t v) noexcept {
    return v != 0 && (v & (v - 1)) == 0;
}

/// The next multiple of a power of two; wraps to 0 above the last one, which a
/// caller sees as `result < v`.
[[nodiscard]] constexpr std::size_t round_up(std::size_t v, std::size_t power_of_two) noexcept {
    return (v + power_of_two - 1) & ~(power_of_two - 1);
}
[[nodiscard]] constexpr std::size_t round_down(std::size_t v, std::size_t power_of_two) noexcept {
    return v & ~(power_of_two - 1);
}
[[nodiscard]] constexpr bytes round_up(bytes v, bytes power_of_two) noexcept {
    return bytes{round_up(v.count(), power_of_two.count())};
}
[[nodiscard]] constexpr bytes round_down(bytes v, bytes power_of_two) noexcept {
    return bytes{round_down(v.count(), power_of_two.count())};
}
[[nodiscard]] constexpr bytes round_up(bytes v, std::size_t power_of_two) noexcept {
    return bytes{round_up(v.count(), power_of_two)};
}
[[nodiscard]] constexpr bytes round_down(bytes v, std::size_t power_of_two) noexcept {
    return bytes{round_down(v.count(), power_of_two)};
}

inline namespace literals {

constexpr bytes operator""_B(unsigned long long n) noexcept {
    return bytes{static_cast<std::size_t>(n)};
}
constexpr bytes operator""_KiB(unsigned long long n) noexcept {
    return bytes{static_cast<std::size_t>(n) << 10};
}
constexpr bytes operator""_MiB(unsigned long long n) noexcept {
    return bytes{static_cast<std::size_t>(n) << 20};
}
constexpr bytes operator""_GiB(unsigned long long n) noexcept {
    return bytes{static_cast<std::size_t>(n) << 30};
}
constexpr bytes operator""_TiB(unsigned long long n) noexcept {
    return bytes{static_cast<std::size_t>(n) << 40};
}
constexpr pages operator""_pages(unsigned long long n) noexcept {
    return pages{static_cast<std::size_t>(n)};
}

}  // namespace literals

}  // namespace steady
