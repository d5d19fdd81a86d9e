// histogram.hpp - millions of latencies in 34 KB: every value to within 1 %,
// the maximum exactly.
//
// Storing each latency would touch fresh memory while memory is being measured.
// A bucket's width is 1/128 of the power of two it lies in:
//
//   ticks     0 .. 255       256 .. 511      512 .. 1023     ...
//   width     1              2               4
//   buckets   256            128             128
//
//   index = ticks                            below 256
//         = 128 * s + (ticks >> s)           s = bit_width(ticks) - 8, above
//
// percentile() answers with the upper end of a bucket, so a figure may be up to
// 0.8 % too high and is never too low.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace steady::cli {

class histogram {
public:
    static constexpr unsigned precision_bits = 7;
    static constexpr unsigned largest_bits = 40;  // 2^40 ticks: minutes on any clock we know
    static constexpr std::size_t bucket_count =
        ((largest_bits - precision_bits - 1) << precision_bits) + (2u << precision_bits);

    static constexpr std::size_t bucket_of(std::uint64_t ticks) noexcept {
        ticks = std::min(ticks, (std::uint64_t{1} << largest_bits) - 1);
        const unsigned width = static_cast<unsigned>(std::bit_width(ticks));
        if (width <= precision_bits + 1) return ticks;
        const unsigned shift = width - precision_bits - 1;
        return (std::size_t{shift} << precision_bits) + (ticks >> shift);
    }

    /// The largest number of ticks that falls into `bucket`.
    static constexpr std::uint64_t upper_end(std::size_t bucket) noexcept {
        if (bucket < (2u << precision_bits)) return bucket;
        const unsigned shift = static_cast<unsigned>((bucket >> precision_bits) - 1);
        const std::uint64_t scaled = bucket - (std::size_t{shift} << precision_bits);
        return ((scaled + 1) << shift) - 1;
    }

    void record(std::uint64_t ticks) noexcept {
        ++counts_[bucket_of(ticks)];
        ++count_;
        if (ticks > largest_) largest_ = ticks;
    }

    void add(const histogram& other) noexcept {
        for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
        count_ += other.count_;
        largest_ = std::max(largest_, other.largest_);
    }

    std::uint64_t count() const noexcept { return count_; }
    std::uint64_t largest() const noexcept { return largest_; }
    std::uint64_t in_bucket(std::size_t bucket) const noexcept { return counts_[bucket]; }

    /// The smallest bucket end that at least `fraction` of the values do not exceed; 1.0
    /// gives the maximum itself. 0 when nothing was recorded.
    std::uint64_t percentile(double fraction) const noexcept {
        if (fraction >= 1.0) return largest_;
        const auto rank =
            static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
        std::uint64_t passed = 0;
        for (std::size_t i = 0; i < bucket_count; ++i) {
            passed += counts_[i];
            if (passed >= rank && passed > 0) return std::min(upper_end(i), largest_);
        }
        return largest_;
    }

private:
    std::uint64_t counts_[bucket_count] = {};
    std::uint64_t count_ = 0;
    std::uint64_t largest_ = 0;
};

// Neighbouring buckets meet without gap or overlap where the width changes, and
// the largest value has the last bucket.
static_assert(histogram::bucket_of(255) == 255 && histogram::bucket_of(256) == 256);
static_assert(histogram::bucket_of(511) == 383 && histogram::bucket_of(512) == 384);
static_assert(histogram::upper_end(256) == 257 && histogram::upper_end(383) == 511);
static_assert(histogram::bucket_of(~std::uint64_t{0}) == histogram::bucket_count - 1);

}  // namespace steady::cli
