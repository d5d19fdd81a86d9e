// metrics.hpp - every figure a demo reports, named once for the table and the JSON.
//
// A figure of a heap is the median over the rounds. A ratio is steady / system
// within one round, then the median over the rounds, with its smallest and
// largest value beside it.
#pragma once

#include <array>
#include <optional>

#include "demo/experiment.hpp"
#include "support/summary.hpp"

namespace steady::cli::demo {

enum class unit { nanoseconds, bytes, count, per_second };

struct metric {
    const char* key;    // in JSON, with its unit
    const char* label;  // in the table
    unit in;
    bool less_is_better;
    double (*of)(const heap_round&);
};

/// Times, memory and page faults: from the plain passes.
inline constexpr std::array<metric, 11> plain_metrics{{
    {"index_nanoseconds", "time to index", unit::nanoseconds, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.index_nanoseconds); }},
    {"index_cpu_nanoseconds", "CPU time to index", unit::nanoseconds, true,
     [](const heap_round& heap) {
         return static_cast<double>(heap.plain.indexing.cpu_nanoseconds);
     }},
    {"words_per_second", "words indexed per second", unit::per_second, false,
     [](const heap_round& heap) {
         return static_cast<double>(heap.plain.seen.words) * 1e9 /
                static_cast<double>(heap.plain.index_nanoseconds);
     }},
    {"free_nanoseconds", "time to destroy the index", unit::nanoseconds, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.free_nanoseconds); }},
    {"peak_resident_bytes", "peak resident memory", unit::bytes, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.peak_resident_bytes); }},
    {"indexed_resident_bytes", "resident, index complete", unit::bytes, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.indexed_resident_bytes); }},
    {"freed_resident_bytes", "resident, index just destroyed", unit::bytes, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.freed_resident_bytes); }},
    {"live_bytes", "live bytes, the heap's count", unit::bytes, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.indexed.live_bytes); }},
    {"held_bytes", "held from the system, its count", unit::bytes, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.indexed.held_bytes); }},
    {"minor_page_faults", "page faults without disk", unit::count, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.indexing.minor_faults); }},
    {"major_page_faults", "page faults with disk", unit::count, true,
     [](const heap_round& heap) { return static_cast<double>(heap.plain.indexing.major_faults); }},
}};

struct percentile {
    const char* key;    // in JSON; no dot, which jq would take for a path
    const char* label;  // in the table
    double fraction;
};

inline constexpr std::array<percentile, 6> percentiles{{{"p50", "p50", 0.5},
                                                        {"p90", "p90", 0.9},
                                                        {"p99", "p99", 0.99},
                                                        {"p99_9", "p99.9", 0.999},
                                                        {"p99_99", "p99.99", 0.9999},
                                                        {"max", "max", 1.0}}};

/// One row of the result: both heaps and their ratio, over all rounds.
struct comparison {
    summary steady;
    summary system;
    std::optional<summary> ratio;  // empty when the system's figure is 0 or less in some round
};

/// Which two are compared: the heaps under one table, or the tables on one heap.
struct contest {
    heap_round round::*mine;
    heap_round round::*other;
};
inline constexpr contest heaps{&round::steady, &round::system};
inline constexpr contest tables{&round::map, &round::steady};

/// A figure of one map's timed passes.
inline double latency(const experiment& done, histogram pass_report::*which,
                      const pass_report& pass, double fraction) {
    return done.clock.nanoseconds((pass.*which).percentile(fraction));
}

/// Figures that do not depend on the clock or the rounds: from the accounts and the
/// followed passes, one for each map.
struct counted_metric {
    const char* key;
    const char* label;
    unit in;
    double (*of)(const byte_account&, const follow_summary&);
};

inline constexpr std::array<counted_metric, 5> counted_metrics{{
    {"requested_bytes", "bytes asked for, index complete", unit::bytes,
     [](const byte_account& a, const follow_summary&) {
         return static_cast<double>(a.table + a.nodes + a.text);
     }},
    {"requested_peak_bytes", "bytes asked for, at the peak", unit::bytes,
     [](const byte_account& a, const follow_summary&) { return static_cast<double>(a.peak); }},
    {"growth_steps", "inserts that grew the table", unit::count,
     [](const byte_account&, const follow_summary& f) { return static_cast<double>(f.growths); }},
    {"most_entries_moved", "entries moved by one insert", unit::count,
     [](const byte_account&, const follow_summary& f) {
         return static_cast<double>(f.most_moved);
     }},
    {"followed_page_faults", "page faults while inserting", unit::count,
     [](const byte_account&, const follow_summary& f) {
         return static_cast<double>(f.minor_faults);
     }},
}};

/// `value` maps a heap_round to a figure.
template <class Value>
comparison compare(const experiment& done, Value&& value, contest between = heaps) {
    std::vector<double> steady;
    std::vector<double> system;
    std::vector<double> ratios;
    for (const round& each : done.rounds) {
        steady.push_back(value(each.*between.mine));
        system.push_back(value(each.*between.other));
        if (system.back() > 0) ratios.push_back(steady.back() / system.back());
    }
    comparison result{summarise(steady), summarise(system), std::nullopt};
    if (ratios.size() == done.rounds.size()) result.ratio = summarise(ratios);
    return result;
}

}  // namespace steady::cli::demo
