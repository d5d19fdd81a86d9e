// errors.hpp - Go's run-time panics about slices as C++ exceptions, with Go's words
// and the numbers that were wrong.
//
//   s[5] of 3 elements      bounds_error   index out of range [5] with length 3
//   s[2:9], capacity 4      bounds_error   slice bounds out of range [:9] with capacity 4
//   s[3:2]                  bounds_error   slice bounds out of range [3:2]
//   s[::9], capacity 4      bounds_error   slice bounds out of range [::9] with capacity 4
//   make_slice<int>(-1)     size_error     makeslice: len out of range
//
// A negative number is reported without the length, as Go does: whoever counted below
// zero is not interested in how many there are.
//
// All functions are cold and out of line: a check costs its comparison.
// Source  Go 1.19 runtime/error.go boundsErrorFmts, boundsNegErrorFmts.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace steady {

/// An index or a slice bound lies outside.
class bounds_error : public std::out_of_range {
public:
    using std::out_of_range::out_of_range;
};

/// A length or a capacity that no array can have.
class size_error : public std::length_error {
public:
    using std::length_error::length_error;
};

/// An array of elements that can only be moved would have to be copied, because another
/// slice sees it too.
class sharing_error : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

namespace detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_bounds(const char* before,
                                                                std::ptrdiff_t wrong,
                                                                const char* after) {
    throw bounds_error(before + std::to_string(wrong) + after);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_bounds(const char* before,
                                                                std::ptrdiff_t wrong,
                                                                const char* between,
                                                                std::ptrdiff_t limit,
                                                                const char* after = "") {
    throw bounds_error(before + std::to_string(wrong) + between + std::to_string(limit) + after);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_index(std::ptrdiff_t i,
                                                               std::ptrdiff_t length) {
    if (i < 0) throw_bounds("index out of range [", i, "]");
    throw_bounds("index out of range [", i, "] with length ", length);
}

/// s[lo:hi] where not 0 <= lo <= hi <= limit; `what` is "capacity" for slices and
/// "length" for arrays.
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_slice2(std::ptrdiff_t lo,
                                                                std::ptrdiff_t hi,
                                                                std::ptrdiff_t limit,
                                                                const char* what) {
    constexpr const char* text = "slice bounds out of range [";
    if (hi < 0) throw_bounds("slice bounds out of range [:", hi, "]");
    if (hi > limit)
        throw_bounds("slice bounds out of range [:", hi,
                     (std::string("] with ") + what + ' ').c_str(), limit);
    if (lo < 0) throw_bounds(text, lo, ":]");
    throw_bounds(text, lo, ":", hi, "]");
}

/// s[lo:hi:max] where not 0 <= lo <= hi <= max <= limit.
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_slice3(std::ptrdiff_t lo,
                                                                std::ptrdiff_t hi,
                                                                std::ptrdiff_t max,
                                                                std::ptrdiff_t limit,
                                                                const char* what) {
    constexpr const char* text = "slice bounds out of range [";
    if (max < 0) throw_bounds("slice bounds out of range [::", max, "]");
    if (max > limit)
        throw_bounds("slice bounds out of range [::", max,
                     (std::string("] with ") + what + ' ').c_str(), limit);
    if (hi < 0) throw_bounds("slice bounds out of range [:", hi, ":]");
    if (hi > max) throw_bounds("slice bounds out of range [:", hi, ":", max, "]");
    if (lo < 0) throw_bounds(text, lo, "::]");
    throw_bounds(text, lo, ":", hi, ":]");
}

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_growslice() {
    throw size_error("growslice: cap out of range");
}

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_size(const char* text) {
    throw size_error(text);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void throw_shared_move_only() {
    throw sharing_error(
        "steady::slice: append must copy an array that another slice sees too, and its elements "
        "can only be moved. Append through the only slice of the array, or moved: "
        "append(std::move(s), ...).");
}

}  // namespace detail
}  // namespace steady
