// experiment.cpp - see experiment.hpp.
#include "demo/experiment.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "support/format.hpp"

namespace steady::cli::demo {
namespace {

std::string describe(const fingerprint& seen) {
    return fmt::format("{} words, {} distinct, checksum {:016x}", format_count(seen.words),
                       format_count(seen.distinct), seen.checksum);
}

/// Compares the fingerprint of every pass with the reference.
check same_index_everywhere(const experiment& done) {
    check result{"every pass on either heap, and the map, built the identical index", true,
                 describe(done.reference.seen)};
    const auto compare = [&](const pass_report& pass, const char* heap, std::size_t number) {
        if (pass.seen == done.reference.seen || !result.passed) return;
        result.passed = false;
        result.seen = fmt::format("{} heap, round {}: {}; reference: {}", heap, number,
                                  describe(pass.seen), describe(done.reference.seen));
    };
    for (std::size_t i = 0; i < done.rounds.size(); ++i) {
        const round& each = done.rounds[i];
        compare(each.steady.plain, "steady", i + 1);
        compare(each.steady.timed, "steady", i + 1);
        compare(each.system.plain, "system", i + 1);
        compare(each.system.timed, "system", i + 1);
        compare(each.map.plain, "steady::map on the steady", i + 1);
        compare(each.map.timed, "steady::map on the steady", i + 1);
    }
    return result;
}

/// The heap's own count against the counting allocator's, allocation by allocation.
check steady_counts_exactly(const experiment& done) {
    const heap_report& expected = done.reference.indexed;
    check result{"steady's statistics count every allocation of the index", true,
                 fmt::format("{} allocated, {} freed", format_count(expected.allocations),
                             format_count(expected.frees))};
    for (const round& each : done.rounds) {
        for (const pass_report* pass : {&each.steady.plain, &each.steady.timed}) {
            if (pass->indexed.allocations == expected.allocations &&
                pass->indexed.frees == expected.frees) {
                continue;
            }
            result.passed = false;
            result.seen = fmt::format(
                "the statistics say {} allocated and {} freed; the index made {} and {}",
                format_count(pass->indexed.allocations), format_count(pass->indexed.frees),
                format_count(expected.allocations), format_count(expected.frees));
        }
    }
    return result;
}

check nothing_is_left(const experiment& done) {
    check result{"after the index is destroyed, steady counts no live byte of it", true, "0 B"};
    for (const round& each : done.rounds) {
        for (const pass_report* pass :
             {&each.steady.plain, &each.steady.timed, &each.map.plain, &each.map.timed}) {
            if (pass->freed.live_bytes == 0 && pass->freed.allocations == pass->freed.frees) {
                continue;
            }
            result.passed = false;
            result.seen = fmt::format("{} in {} objects are still counted live",
                                      format_bytes(static_cast<double>(pass->freed.live_bytes)),
                                      format_count(pass->freed.allocations - pass->freed.frees));
        }
    }
    return result;
}

}  // namespace

bool experiment::passed() const {
    return std::all_of(checks.begin(), checks.end(), [](const check& each) { return each.passed; });
}

void run_experiment(std::string_view text, unsigned rounds, progress_line& progress,
                    experiment& into) {
    progress.show("measuring the clock");
    into.clock = calibrate_clock();
    const auto run = [&](subject who, pass_kind kind, pass_report& report) {
        run_pass(who, kind, text, into.clock, report);
    };
    progress.show("counting allocations");
    run(subject::counted, pass_kind::plain, into.reference);

    into.rounds.resize(rounds);  // once: the largest block is asked for before anything is measured
    for (unsigned number = 0; number < rounds; ++number) {
        round& now = into.rounds[number];
        now.steady_first = number % 2 == 0;
        for (const pass_kind kind : {pass_kind::plain, pass_kind::timed}) {
            for (const bool steady_turn : {now.steady_first, !now.steady_first}) {
                const subject who = steady_turn ? subject::steady : subject::system;
                heap_round& heap = steady_turn ? now.steady : now.system;
                progress.show(
                    fmt::format("round {} of {}: {} heap, {}", number + 1, rounds, name_of(who),
                                kind == pass_kind::plain ? "time and memory" : "latencies"));
                run(who, kind, kind == pass_kind::plain ? heap.plain : heap.timed);
            }
            progress.show(fmt::format("round {} of {}: steady::map", number + 1, rounds));
            run(subject::map, kind, kind == pass_kind::plain ? now.map.plain : now.map.timed);
        }
        progress.show(fmt::format("round {} of {}: control loop", number + 1, rounds));
        run(subject::control, pass_kind::timed, now.control);
    }
    progress.wipe();
    into.checks = {same_index_everywhere(into), steady_counts_exactly(into), nothing_is_left(into)};
}

}  // namespace steady::cli::demo
