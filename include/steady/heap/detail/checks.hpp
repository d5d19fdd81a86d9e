// checks.hpp - what the heap says when a program misuses it. Each function
// prints what was seen, what was expected and what to do, and does not return
// (unless a test's fatal handler jumps out). Nothing here allocates.
#pragma once

#include <cstddef>

#include "steady/heap/detail/span.hpp"

namespace steady::detail {

[[noreturn]] void report_double_free(const void* object, const span& s) noexcept;
/// An address that is no live object's start: foreign, interior, or in a span
/// that was given back.
[[noreturn]] void report_invalid_free(const void* object) noexcept;
[[noreturn]] void report_wrong_size(const void* object, std::size_t said, const span& s) noexcept;
[[noreturn]] void report_wrong_huge_size(const void* object, std::size_t said,
                                         std::size_t actual) noexcept;
[[noreturn]] void report_write_after_free(const void* object, const span& s,
                                          std::size_t offset) noexcept;
[[noreturn]] void report_wrong_heap(const void* object) noexcept;

}  // namespace steady::detail
