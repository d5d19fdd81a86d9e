// pass.hpp - one pass: index the whole text once, in a process of its own, on
// one heap, and report what that took.
//
// Terms   subject  who is measured:  steady   steady::allocator
//                                    map      the same heap, steady::map in the place of
//                                             std::unordered_map
//                                    views    that map with std::string_view keys into the text
//                                    system   std::allocator, so operator new, so malloc
//                                    abseil   absl::flat_hash_map on the same, where it was found
//                                    boost    boost::unordered_flat_map, likewise
//                                    counted  std::allocator behind a counter: the reference
//                                    control  nothing: the words are read, no insert happens
//         pass     plain  no clock inside the loop: times, memory, page faults
//                  timed  two clock readings around every insert: latencies
//
// Why two passes: a clock reading between two inserts keeps the processor from
// overlapping them. Latencies need it; the total time must not contain it.
//
// What one insert is: `++index[key(word)]`, as everyone writes it: a string for
// the key, a node when the word is new, a larger bucket array now and then. (In steady::map
// an entry in the table, and a family split now and then.)
#pragma once

#include <cstdint>
#include <string_view>

#include "support/clock.hpp"
#include "support/histogram.hpp"
#include "support/process_memory.hpp"

namespace steady::cli::demo {

enum class subject : std::uint8_t { steady, map, views, system, abseil, boost, counted, control };
enum class pass_kind : std::uint8_t { plain, timed };

const char* name_of(subject who);
/// Whether this build has it.
bool is_available(subject who);
const char* name_of(pass_kind kind);

/// What was indexed, without regard to the order in which a table holds it.
/// Equal fingerprints: the same words with the same counts.
struct fingerprint {
    std::uint64_t words = 0;
    std::uint64_t distinct = 0;
    std::uint64_t checksum = 0;

    bool operator==(const fingerprint&) const = default;
};

/// What a heap says about itself. Differences to the state before the pass, so
/// that whatever ran earlier in the process does not count.
///   steady   read_statistics(): live = heap_alloc, held = sys - heap_released
///   system   mallinfo2(): live = uordblks + hblkhd, held = arena + hblkhd; no counts
///   counted  the requests themselves
struct heap_report {
    std::int64_t live_bytes = 0;
    std::int64_t held_bytes = 0;
    std::int64_t total_bytes = 0;
    std::uint64_t allocations = 0;
    std::uint64_t frees = 0;
};

struct pass_report {
    fingerprint seen;
    std::uint64_t index_nanoseconds = 0;
    std::uint64_t free_nanoseconds = 0;
    // Resident memory above what the process had before the pass.
    std::int64_t peak_resident_bytes = 0;
    std::int64_t indexed_resident_bytes = 0;  // the index complete
    std::int64_t freed_resident_bytes = 0;    // right after it was destroyed
    process_counts indexing;                  // from the first to the last insert
    heap_report indexed;
    heap_report freed;
    histogram every_word;  // timed passes only
    histogram new_words;   // the inserts among them that found the word missing
};

/// After fork pages are shared with the parent; one read of each maps it in the child.
void touch(std::string_view text);

/// Runs one pass in a child process and brings its report home.
///
/// Throws     check_failure when the child fails; stopped_by_signal on Ctrl-C.
void run_pass(subject who, pass_kind kind, std::string_view text, const clock_facts& clock,
              pass_report& report);

}  // namespace steady::cli::demo
