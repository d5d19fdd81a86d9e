// slice.hpp - `steady replay slice`: the capacities that append arrives at and the
// memory that make occupies, in the format of the Go program that asked the real
// runtime (docs/guide/replay.md).
//
//   chain    capacities when elements are appended one at a time to a nil slice
//   grid     hashes over the new capacity for many old capacities and ten needs
//   big      single growths up to 10^9 elements
//   full     every old capacity up to 5000, one element more
//   sample   the same question for lines of standard input
//   make     bytes that make occupies, read from the heap's own accounts
//
// Only the element's size matters, so these ask steady::growth::capacity, the function
// that append itself calls. `make` makes real slices and reads real statistics.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace steady::cli::replay {

std::string slice_chain();
std::string slice_grid();
std::string slice_big();
std::string slice_full(std::size_t element_size);

/// `input`    lines of `ES C NEED ...`; what follows the third number is ignored.
/// Throws     usage_error that names the line which is none.
std::string slice_sample(std::string_view input);

/// Cost       about two seconds: 140000 slices are made, one after the other.
std::string slice_make();

}  // namespace steady::cli::replay
