// experiment.hpp - the rounds of a demo: which passes run, in which order, and
// which of their answers must agree.
//
//   reference          counted, plain      what to expect: words, checksum, allocations
//   round 1            steady plain, system plain, map plain, the same timed, control
//   round 2            system plain, steady plain, map plain, the same timed, control
//   ...                and so on in alternation
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
    heap_round steady;
    heap_round system;
    heap_round map;
    pass_report control;
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

    bool passed() const;
};

/// Runs the reference and `rounds` rounds over `text`, then the checks.
///
/// Throws     check_failure when a pass could not be completed; stopped_by_signal.
void run_experiment(std::string_view text, unsigned rounds, progress_line& progress,
                    experiment& into);

}  // namespace steady::cli::demo
