// chance.hpp - what a good hash does, in numbers: how many entries fall into a place, and
// what that costs over all places. Constexpr, so that a plan can be a static_assert.
//
// n entries over m places. The number in one place is binomial, nearly Poisson with mean
// n/m. Some f of it is wanted (overflow buckets, chained blocks), summed over all places:
//
//   mean      m E f(N)
//   variance  m (Var f(N) - Cov(f(N), N)^2 / (n/m))     the sum of all N is n, not random
//
// Bounds are six standard deviations on each side and six places more: beyond them lies
// less than one hash in a hundred million, also where the sum is small and not yet normal.
#pragma once

#include <cstdint>

namespace steady::audit::detail {

/// exp(-x), x >= 0.
[[nodiscard]] constexpr double exp_minus(double x) noexcept {
    constexpr double ln2 = 0.693147180559945309417;
    if (x > 700) return 0;
    const auto halvings = static_cast<unsigned>(x / ln2);
    const double rest = x - halvings * ln2;
    double term = 1, sum = 1;
    for (int i = 1; i < 20; ++i) {
        term *= -rest / i;
        sum += term;
    }
    for (unsigned i = 0; i < halvings; ++i) sum /= 2;
    return sum;
}

[[nodiscard]] constexpr double square_root(double x) noexcept {
    if (x <= 0) return 0;
    double guess = x > 1 ? x : 1;
    for (int i = 0; i < 200; ++i) {
        const double next = (guess + x / guess) / 2;
        if (next >= guess) break;
        guess = next;
    }
    return guess;
}

struct moments {
    double mean = 0, variance = 0;

    friend constexpr moments operator+(moments a, moments b) noexcept {
        return {a.mean + b.mean, a.variance + b.variance};
    }
    friend constexpr moments operator*(moments a, double times) noexcept {
        return {a.mean * times, a.variance * times};
    }
};

/// A number that the hash decides: how much to expect, and between what it stays.
struct estimate {
    std::uint64_t low = 0, high = 0;
    double expected = 0;

    [[nodiscard]] constexpr bool exact() const noexcept { return low == high; }
    [[nodiscard]] constexpr bool contains(std::uint64_t n) const noexcept {
        return low <= n && n <= high;
    }
    [[nodiscard]] constexpr std::uint64_t rounded() const noexcept {
        return static_cast<std::uint64_t>(expected + 0.5);
    }
    [[nodiscard]] static constexpr estimate of(std::uint64_t n) noexcept {
        return {n, n, static_cast<double>(n)};
    }
    friend constexpr bool operator==(const estimate&, const estimate&) noexcept = default;
};

/// f over places that hold `mean` entries each on average; f(0) must be 0.
template <class F>
[[nodiscard]] constexpr moments of_place(double mean, F f) noexcept {
    if (mean <= 0) return {};
    double chance = exp_minus(mean), m1 = 0, m2 = 0, mn = 0;
    const double last = mean + 12 * square_root(mean) + 40;
    for (double n = 1; n <= last; ++n) {
        chance *= mean / n;
        const double value = f(static_cast<std::uint64_t>(n));
        m1 += chance * value;
        m2 += chance * value * value;
        mn += chance * value * n;
    }
    const double cov = mn - m1 * mean;
    const double variance = m2 - m1 * m1 - cov * cov / mean;
    return {m1, variance > 0 ? variance : 0};
}

/// Bounds of a sum, cut to what can be at all.
[[nodiscard]] constexpr estimate bounded(moments m, std::uint64_t most) noexcept {
    const double reach = 6 * square_root(m.variance) + 6;
    estimate e;
    e.expected = m.mean > static_cast<double>(most) ? static_cast<double>(most) : m.mean;
    e.low = m.mean > reach ? static_cast<std::uint64_t>(m.mean - reach) : 0;
    e.high = static_cast<std::uint64_t>(m.mean + reach) + 1;
    if (e.high > most) e.high = most;
    if (e.low > e.high) e.low = e.high;
    return e;
}

/// E max(0, X - s) for a normal X.
[[nodiscard]] constexpr double excess(moments m, double s) noexcept {
    const double sd = square_root(m.variance), ahead = m.mean - s;
    if (sd < 1e-9 || ahead > 8 * sd) return ahead > 0 ? ahead : 0;
    if (ahead < -8 * sd) return 0;
    constexpr int steps = 400;
    double sum = 0;
    for (int i = 0; i < steps; ++i) {
        const double z = -8 + 16 * (i + 0.5) / steps, x = ahead + z * sd;
        if (x > 0) sum += x * exp_minus(z * z / 2);
    }
    return sum * (16.0 / steps) / 2.50662827463100050242;
}

}  // namespace steady::audit::detail
