// follow.hpp - one map followed insert by insert: what each new word took, when the table
// grew, what memory did, and why the slowest inserts were slow.
//
// Only inserts that find the word missing are followed: those allocate, grow and touch fresh
// pages. Which words these are is found out first, so that no lookup warms the table here.
//
//   per insert    counters | clock | ++index[key(word)] | clock | counters
//
//   counter                                    read by                       tells
//   page faults, context switches (thread)     getrusage(RUSAGE_THREAD)      exact
//   time on a CPU (thread)                     CLOCK_THREAD_CPUTIME_ID       exact
//   growth: entries moved, pages, bytes        core's growth_hook            steady::map
//   capacity                                   bucket_count()                all maps
//
// The cause of a slow insert is what these saw during that insert, and nothing else:
//
//   preempted      an involuntary switch, and more than half of the time not on a CPU
//   growth step    entries moved or the capacity changed
//   page fault     the kernel handed out pages, no growth
//   waited         more than half of the time not on a CPU, without an involuntary switch
//   outside        none of these: an interrupt, the hypervisor, a neighbour in the cache
//
// The counters cost two system calls on either side of the clock, outside of what it
// measures. They do cool the caches a little: for the distribution look at the timed passes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "demo/pass.hpp"
#include "support/shared_pages.hpp"

namespace steady::cli::demo {

enum class cause : std::uint8_t { outside, preempted, growth, page_fault, waited };
const char* name_of(cause why);

struct slow_insert {
    std::uint64_t entries;  // in the map after it
    std::uint64_t nanoseconds;
    std::uint64_t cpu_nanoseconds;  // of these, this thread on a CPU
    std::uint64_t minor_faults;
    std::uint64_t major_faults;
    std::uint64_t forced_switches;
    std::uint64_t own_switches;
    std::uint64_t entries_moved;  // growth_hook; other maps: all entries when the capacity changed
    std::uint64_t growth_nanoseconds;  // growth_hook only
    std::uint64_t capacity_before;     // slots or buckets
    std::uint64_t capacity_after;
    bool grew;
    cause why;
};

struct growth_step {
    std::uint64_t entries;
    std::uint64_t nanoseconds;  // of the whole insert
    std::uint64_t undisturbed;  // as above
    std::uint64_t moved;
};

struct memory_sample {
    std::uint64_t entries;
    std::int64_t resident_bytes;  // above what the process had before
    std::uint64_t minor_faults;   // since the first insert
};

struct follow_summary {
    static constexpr std::size_t slowest_kept = 10;

    std::uint64_t inserts;
    std::uint64_t growths;  // inserts in which the table grew
    std::uint64_t growth_nanoseconds;
    std::uint64_t most_moved;
    std::uint64_t steps;  // of `growths`, those recorded
    std::uint64_t samples;
    std::uint64_t minor_faults;
    std::uint64_t forced_switches;
    std::array<slow_insert, slowest_kept> slowest;  // the slowest first
};

/// One map, followed. The numbers lie in pages shared with the child that found them.
struct followed {
    subject who;
    shared_pages<std::uint32_t> nanoseconds;  // of each insert, in order
    shared_pages<std::uint32_t> undisturbed;  // the same; of those switched out, the CPU time
    shared_pages<growth_step> steps;
    shared_pages<memory_sample> samples;
    follow_summary sum{};
};

/// Which words of a text are new where they stand: one byte a word.
///
/// Cost       as indexing the text once, in a child.
shared_pages<std::uint8_t> mark_new_words(std::string_view text, std::uint64_t words);

/// Follows one of the maps, or the control loop, once over the text, in a child.
///
/// Throws     check_failure when the child fails; stopped_by_signal on Ctrl-C.
followed follow(subject who, std::string_view text, const shared_pages<std::uint8_t>& is_new,
                std::uint64_t distinct, const clock_facts& clock);

// ---- Bytes by part: what a map asked its allocator for. Deterministic.

struct byte_account {
    std::uint64_t entries;  // payload: entries * sizeof(entry)
    std::uint64_t table;    // arrays: slots and their tags, buckets
    std::uint64_t nodes;    // objects for one entry each
    std::uint64_t text;     // keys that own memory
    std::uint64_t peak;     // the most that was requested at one time
    std::uint64_t allocations;
    // steady::map: m.memory(), and how full it is
    std::uint64_t groups, slots, unused, overflow, control;
    std::uint64_t room;  // slots that exist
};

byte_account account(subject who, std::string_view text);

}  // namespace steady::cli::demo
