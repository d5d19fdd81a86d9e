// heap.hpp - `steady replay heap`: what maps cost, as the heap itself counted it.
//
// A map of the layout and the hash that the goldens were made with is filled, and
// the heap's statistics are read before and after: `mallocs` and `bytes` are the
// difference. Nothing is computed from sizes. The lines below them explain where the
// bytes are by asking the heap about every object the map still holds; what the map
// outgrew, and has freed, counts as dead, as it does for a runtime that has not
// collected yet.
#pragma once

#include <cstdint>
#include <string>

namespace steady::cli::replay {

/// Prints the heap's size classes, each as an object of it was found in memory.
/// Throws     check_failure when the heap's own counters disagree with what was found.
void replay_heap_classes();

/// Prints the cost of maps of 8 to a million entries, with and without a hint, then
/// that of hints alone.
void replay_heap_maps();

/// Prints the cost of one map with the keys 0..n-1 and zero elems.
///
/// Throws     usage_error for a type that is none, a key that is no integer, or more
///            entries than the key can tell apart; check_failure when the objects
///            found do not add up to the bytes that the heap says are live.
void replay_heap_one(const std::string& key, const std::string& elem, std::uint64_t n, bool hinted);

}  // namespace steady::cli::replay
