// experiment.hpp - the rounds of a demo: which passes run, in which order, and
// which of their answers must agree.
//
//   reference          counted, plain      what to expect: words, checksum, allocations
//   round 1            each subject plain, each subject timed, control
//   followed           each map once, insert by insert; its bytes by part
//   round 2            as round 1, in the opposite order
//   ...                and so on in alternation
//
// Ctrl-C after the first round leaves a result of the rounds that are complete.
//
// Each pass has a process of its own, so no heap inherits memory from another.
// Alternation cancels what drifts: a warming processor, a busy neighbour. A
// ratio is taken within a round and its median over the rounds is reported.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

#include "demo/follow.hpp"
#include "demo/pass.hpp"
#include "support/terminal.hpp"

namespace steady::cli::demo {

/// Both passes of one heap, or of the map, in one round.
struct heap_round {
    pass_report plain;
    pass_report timed;
};

struct round {
    bool steady_first = false;
    heap_round steady;  // std::unordered_map on steady's heap
    heap_round system;  // std::unordered_map on the system's heap, as everyone has it
    heap_round map;     // steady::map on steady's heap
    heap_round views;   // the same with keys that own nothing
    heap_round abseil;  // on the system's heap, where they were found
    heap_round boost;
    pass_report control;
};

/// The maps of the report in the order of its columns, with the round's part of each.
struct contestant {
    subject who;
    const char* key;    // in JSON
    const char* name;   // in reports
    const char* brief;  // in the table
    heap_round round::*part;
};
inline constexpr contestant contestants[] = {
    {subject::map, "steady_map", "steady::map", "steady::map", &round::map},
    {subject::views, "steady_map_views", "steady::map, string_view keys", "(views)", &round::views},
    {subject::system, "unordered_map", "std::unordered_map", "unordered", &round::system},
    {subject::abseil, "abseil_flat_hash_map", "absl::flat_hash_map", "absl flat", &round::abseil},
    {subject::boost, "boost_unordered_flat_map", "boost::unordered_flat_map", "boost flat",
     &round::boost},
};

struct check {
    std::string name;  // a sentence: what must hold
    bool passed = false;
    std::string seen;  // what was compared
};

struct experiment {
    /// `memory` keeps the rounds; about 500 KB each.
    explicit experiment(std::pmr::memory_resource* memory) : rounds(memory) {}

    clock_facts clock;
    pass_report reference;
    std::pmr::vector<round> rounds;
    std::vector<check> checks;
    // The maps that are available, in the order of `contestants`; then the control loop.
    std::vector<followed> followed_maps;
    std::vector<byte_account> accounts;  // of the same maps
    unsigned rounds_wanted = 0;
    int stopped_by = 0;  // the signal, when fewer rounds are complete than wanted

    bool passed() const;
};

/// Runs the reference and `rounds` rounds over `text`, then the checks.
///
/// Throws     check_failure when a pass could not be completed; stopped_by_signal before
///            the first round and the followed passes are complete.
void run_experiment(std::string_view text, unsigned rounds, progress_line& progress,
                    experiment& into);

}  // namespace steady::cli::demo
