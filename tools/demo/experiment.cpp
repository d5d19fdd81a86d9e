// experiment.cpp - see experiment.hpp.
#include "demo/experiment.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "support/exit_code.hpp"
#include "support/format.hpp"

namespace steady::cli::demo {
namespace {

std::string describe(const fingerprint& seen) {
    return fmt::format("{} words, {} distinct, checksum {:016x}", format_count(seen.words),
                       format_count(seen.distinct), seen.checksum);
}

/// Compares the fingerprint of every pass with the reference.
check same_index_everywhere(const experiment& done) {
    check result{"every pass on either heap, and every map, built the identical index", true,
                 describe(done.reference.seen)};
    const auto compare = [&](const pass_report& pass, const char* heap, std::size_t number) {
        if (pass.seen == done.reference.seen || !result.passed) return;
        result.passed = false;
        result.seen = fmt::format("{}, round {}: {}; reference: {}", heap, number,
                                  describe(pass.seen), describe(done.reference.seen));
    };
    for (std::size_t i = 0; i < done.rounds.size(); ++i) {
        const round& each = done.rounds[i];
        compare(each.steady.plain, "steady heap", i + 1);
        compare(each.steady.timed, "steady heap", i + 1);
        for (const contestant& map : contestants) {
            if (!is_available(map.who)) continue;
            compare((each.*map.part).plain, map.name, i + 1);
            compare((each.*map.part).timed, map.name, i + 1);
        }
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
        for (const pass_report* pass : {&each.steady.plain, &each.steady.timed, &each.map.plain,
                                        &each.map.timed, &each.views.plain, &each.views.timed}) {
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

namespace {

/// Counts the passes, so that the line on the terminal knows how far it is.
class pass_counter {
public:
    pass_counter(progress_line& line, std::size_t passes) : line_(line), passes_(passes) {}

    void next(const std::string& what) {
        line_.show(fmt::format("{} {}", progress_bar(done_, passes_), what));
        ++done_;
    }

private:
    progress_line& line_;
    std::size_t passes_;
    std::size_t done_ = 0;
};

/// Everything measured in a round, in the order of even rounds; odd ones go backwards.
struct turn {
    subject who;
    heap_round round::*part;
};

std::vector<turn> turns() {
    std::vector<turn> found{{subject::steady, &round::steady}};
    for (const contestant& each : contestants) {
        // The two heaps stand next to each other: their ratio is the closest one.
        const auto at = each.who == subject::system ? found.begin() + 1 : found.end();
        if (is_available(each.who)) found.insert(at, {each.who, each.part});
    }
    return found;
}

}  // namespace

void run_experiment(std::string_view text, unsigned rounds, progress_line& progress,
                    experiment& into) {
    std::vector<turn> order = turns();
    const std::size_t maps = order.size() - 1;
    pass_counter passes(progress, rounds * (2 * order.size() + 1) + 2 * maps + 4);
    passes.next("measuring the clock");
    into.clock = calibrate_clock();
    const auto run = [&](subject who, pass_kind kind, pass_report& report) {
        run_pass(who, kind, text, into.clock, report);
    };
    passes.next("counting allocations");
    run(subject::counted, pass_kind::plain, into.reference);
    const fingerprint& seen = into.reference.seen;

    into.rounds_wanted = rounds;
    // The largest block is asked for before anything is measured, and touched round by round.
    into.rounds.reserve(rounds);
    into.followed_maps.reserve(std::size(contestants) + 1);
    into.accounts.reserve(std::size(contestants));
    unsigned complete = 0;
    try {
        for (unsigned number = 0; number < rounds; ++number) {
            round& now = into.rounds.emplace_back();
            now.steady_first = number % 2 == 0;
            const auto title = [&](const char* who, const char* what) {
                return fmt::format("round {} of {}: {}, {}", number + 1, rounds, who, what);
            };
            for (const pass_kind kind : {pass_kind::plain, pass_kind::timed}) {
                for (const turn& each : order) {
                    const bool heap = each.who == subject::steady || each.who == subject::system;
                    passes.next(title(heap ? fmt::format("{} heap", name_of(each.who)).c_str()
                                           : name_of(each.who),
                                      kind == pass_kind::plain ? "time and memory" : "latencies"));
                    heap_round& part = now.*each.part;
                    run(each.who, kind, kind == pass_kind::plain ? part.plain : part.timed);
                }
            }
            passes.next(fmt::format("round {} of {}: control loop", number + 1, rounds));
            run(subject::control, pass_kind::timed, now.control);
            std::reverse(order.begin(), order.end());
            if (number == 0) {
                passes.next("looking for the new words");
                const shared_pages<std::uint8_t> is_new = mark_new_words(text, seen.words);
                for (const contestant& each : contestants) {
                    if (!is_available(each.who)) continue;
                    passes.next(fmt::format("following {}, insert by insert", each.name));
                    into.followed_maps.push_back(
                        follow(each.who, text, is_new, seen.distinct, into.clock));
                    passes.next(fmt::format("adding up the bytes of {}", each.name));
                    into.accounts.push_back(account(each.who, text));
                }
                passes.next("following the control loop");
                into.followed_maps.push_back(
                    follow(subject::control, text, is_new, seen.distinct, into.clock));
            }
            complete = number + 1;
        }
    } catch (const stopped_by_signal& stop) {
        if (complete == 0) throw;
        into.stopped_by = stop.signal;
        into.rounds.resize(complete);
    }
    progress.wipe();
    into.checks = {same_index_everywhere(into), steady_counts_exactly(into), nothing_is_left(into)};
}

}  // namespace steady::cli::demo
