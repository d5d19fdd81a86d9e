// json.cpp - the demo's report for programs; the declaration is in report.hpp.
//
//   command, version, machine, clock, input, index       what was measured, and on what
//   checks[]                                             what had to hold, and what was seen
//   results{KEY: {steady, system, ratio}}                medians with smallest and largest
//   maps{NAME: {...}}                                    every map of the first table: results with
//                                                        ratios, bytes by part, growth steps, the
//                                                        slowest inserts, memory over entries, and
//                                                        the nanoseconds of every new word's insert
//   map{KEY: {steady, system, ratio}}                    the same for steady::map (here `steady`)
//                                                        and unordered_map on steady's heap
//   latencies{every_word, new_words}                     the same per percentile, with control
//   histograms{HEAP: {every_word, new_words}}            all rounds added: [ns, count] pairs
//   rounds[]                                             every figure of every pass
//
// Units are part of the names. A ratio is null where the system's figure is 0.
#include "demo/report.hpp"

#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "demo/metrics.hpp"
#include "steady/core/version.hpp"
#include "support/machine.hpp"

namespace steady::cli::demo {
namespace {

using json = nlohmann::ordered_json;  // keeps the order above, which people read too

json of(const summary& values) {
    return {{"median", values.median}, {"smallest", values.smallest}, {"largest", values.largest}};
}

json of(const comparison& found) {
    return {{"steady", of(found.steady)},
            {"system", of(found.system)},
            {"ratio", found.ratio ? of(*found.ratio) : json(nullptr)}};
}

json of(const fingerprint& seen) {
    return {{"words", seen.words},
            {"distinct", seen.distinct},
            {"checksum", fmt::format("{:016x}", seen.checksum)}};
}

json of(const heap_report& heap) {
    return {{"live_bytes", heap.live_bytes},
            {"held_bytes", heap.held_bytes},
            {"total_bytes", heap.total_bytes},
            {"allocations", heap.allocations},
            {"frees", heap.frees}};
}

json of(const histogram& latencies, const clock_facts& clock) {
    json result{{"count", latencies.count()}};
    for (const percentile& each : percentiles) {
        result[std::string(each.key) + "_nanoseconds"] =
            clock.nanoseconds(latencies.percentile(each.fraction));
    }
    return result;
}

json buckets_of(const histogram& latencies, const clock_facts& clock) {
    json pairs = json::array();
    for (std::size_t i = 0; i < histogram::bucket_count; ++i) {
        if (latencies.in_bucket(i) == 0) continue;
        pairs.push_back({clock.nanoseconds(histogram::upper_end(i)), latencies.in_bucket(i)});
    }
    return pairs;
}

json of(const pass_report& pass, pass_kind kind, const clock_facts& clock) {
    json result{{"index", of(pass.seen)},
                {"index_nanoseconds", pass.index_nanoseconds},
                {"index_cpu_nanoseconds", pass.indexing.cpu_nanoseconds},
                {"free_nanoseconds", pass.free_nanoseconds},
                {"peak_resident_bytes", pass.peak_resident_bytes},
                {"indexed_resident_bytes", pass.indexed_resident_bytes},
                {"freed_resident_bytes", pass.freed_resident_bytes},
                {"minor_page_faults", pass.indexing.minor_faults},
                {"major_page_faults", pass.indexing.major_faults},
                {"forced_switches", pass.indexing.forced_switches},
                {"heap_indexed", of(pass.indexed)},
                {"heap_freed", of(pass.freed)}};
    if (kind == pass_kind::timed) {
        result["every_word"] = of(pass.every_word, clock);
        result["new_words"] = of(pass.new_words, clock);
    }
    return result;
}

json of(const heap_round& heap, const clock_facts& clock) {
    return {{"plain", of(heap.plain, pass_kind::plain, clock)},
            {"timed", of(heap.timed, pass_kind::timed, clock)}};
}

json of_machine() {
    const machine_facts machine = describe_machine();
    return {{"processor", machine.processor},
            {"cpus", machine.cpus},
            {"kernel", machine.kernel},
            {"huge_pages", machine.huge_pages},
            {"build", machine.build},
            {"system_heap", machine.system_heap},
            {"libc", machine.libc}};
}

json of_input(const corpus& input) {
    json unreadable = json::array();
    for (const unreadable_file& each : input.unreadable) {
        unreadable.push_back({{"path", each.path.c_str()}, {"reason", each.reason}});
    }
    json sources = json::array();
    for (const auto& each : input.sources) sources.push_back(each.c_str());
    return {{"sources", sources},
            {"bytes", input.text.size()},
            {"files", input.files},
            {"limit_bytes", input.limit_bytes},
            {"limit_reached", input.limit_reached},
            {"binary_files", input.binary},
            {"compressed_files", input.compressed},
            {"special_files", input.special},
            {"unreadable_files", unreadable}};
}

json latencies_of(const experiment& done, histogram pass_report::*which, bool control) {
    json result = json::object();
    for (const percentile& each : percentiles) {
        const auto value = [&](const pass_report& pass) {
            return done.clock.nanoseconds((pass.*which).percentile(each.fraction));
        };
        json row = of(compare(done, [&](const heap_round& heap) { return value(heap.timed); }));
        if (control) {
            std::vector<double> idle;
            for (const round& one : done.rounds) idle.push_back(value(one.control));
            row["control"] = of(summarise(idle));
        }
        result[std::string(each.key) + "_nanoseconds"] = row;
    }
    return result;
}

json histograms_of(const experiment& done) {
    // 34 KB each: added up one after the other.
    const auto merged = [&](auto&& select) {
        histogram sum;
        for (const round& each : done.rounds) sum.add(select(each));
        return buckets_of(sum, done.clock);
    };
    return {
        {"steady",
         {{"every_word", merged([](const round& r) { return r.steady.timed.every_word; })},
          {"new_words", merged([](const round& r) { return r.steady.timed.new_words; })}}},
        {"system",
         {{"every_word", merged([](const round& r) { return r.system.timed.every_word; })},
          {"new_words", merged([](const round& r) { return r.system.timed.new_words; })}}},
        {"control", {{"every_word", merged([](const round& r) { return r.control.every_word; })}}}};
}

json of(const slow_insert& seen) {
    return {{"entries", seen.entries},
            {"nanoseconds", seen.nanoseconds},
            {"cpu_nanoseconds", seen.cpu_nanoseconds},
            {"minor_page_faults", seen.minor_faults},
            {"major_page_faults", seen.major_faults},
            {"forced_switches", seen.forced_switches},
            {"own_switches", seen.own_switches},
            {"entries_moved", seen.entries_moved},
            {"growth_nanoseconds", seen.growth_nanoseconds},
            {"capacity_before", seen.capacity_before},
            {"capacity_after", seen.capacity_after},
            {"cause", name_of(seen.why)}};
}

json of(const byte_account& bytes, subject who) {
    json parts{{"entries", bytes.entries}, {"table", bytes.table},
               {"nodes", bytes.nodes},     {"key_text", bytes.text},
               {"peak", bytes.peak},       {"allocations", bytes.allocations}};
    if (who == subject::map || who == subject::views) {
        parts["memory"] = {{"groups", bytes.groups},   {"slots", bytes.slots},
                           {"unused", bytes.unused},   {"overflow", bytes.overflow},
                           {"control", bytes.control}, {"nodes", bytes.nodes}};
        parts["slots"] = bytes.room;
    }
    return parts;
}

/// Where the numbers of all inserts go: they would fill a line each.
std::string place_of(const contestant& map) {
    return std::string("every insert of ") + map.key;
}

json map_of(const experiment& done, const contestant& map, const followed& seen,
            const byte_account& bytes) {
    json one{{"name", map.name}};
    const contest between{map.part, map.part};
    const contest against{&round::map, map.part};
    const auto row = [&](auto&& value) {
        const comparison own = compare(done, value, between);
        json figure = of(own.steady);
        const std::optional<summary> ratio = compare(done, value, against).ratio;
        figure["steady_map_ratio"] = ratio ? of(*ratio) : json(nullptr);
        return figure;
    };
    for (const metric& each : plain_metrics) one["results"][each.key] = row(each.of);
    for (const auto& [name, which] : {std::pair{"every_word", &pass_report::every_word},
                                      std::pair{"new_words", &pass_report::new_words}}) {
        for (const percentile& each : percentiles) {
            one["latencies"][name][std::string(each.key) + "_nanoseconds"] =
                row([&, which = which](const heap_round& part) {
                    return latency(done, which, part.timed, each.fraction);
                });
        }
    }
    one["bytes"] = of(bytes, map.who);
    one["growth"] = {{"inserts", seen.sum.growths},
                     {"nanoseconds", seen.sum.growth_nanoseconds},
                     {"most_entries_moved", seen.sum.most_moved}};
    one["growth"]["steps"] = place_of(map) + " that grew";
    for (const slow_insert& each : seen.sum.slowest) {
        if (each.nanoseconds > 0) one["slowest"].push_back(of(each));
    }
    for (std::size_t i = 0; i < seen.sum.samples; ++i) {
        const memory_sample& each = seen.samples[i];
        one["memory"].push_back({{"entries", each.entries},
                                 {"resident_bytes", each.resident_bytes},
                                 {"minor_page_faults", each.minor_faults}});
    }
    one["insert_nanoseconds"] = place_of(map);
    return one;
}

/// Puts the lists where map_of() left a word for them.
void fill_places(std::string& text, const contestant& map, const followed& seen) {
    const auto fill = [&](const std::string& place, const std::string& list) {
        const std::string quoted = '"' + place + '"';
        const std::size_t at = text.rfind(quoted);  // a path of the input may say the same
        if (at != std::string::npos) text.replace(at, quoted.size(), list);
    };
    std::string steps = "[";
    for (std::size_t i = 0; i < seen.sum.steps; ++i) {
        const growth_step& each = seen.steps[i];
        steps += fmt::format("{}[{},{},{}]", i == 0 ? "" : ",", each.entries, each.nanoseconds,
                             each.moved);
    }
    fill(place_of(map) + " that grew", steps + ']');
    std::string all = "[";
    all.reserve(seen.sum.inserts * 5);
    for (std::size_t i = 0; i < seen.sum.inserts; ++i) {
        if (i != 0) all += ',';
        fmt::format_to(std::back_inserter(all), "{}", seen.nanoseconds[i]);
    }
    fill(place_of(map), all + ']');
}

}  // namespace

std::string to_json(const corpus& input, const experiment& done) {
    json report;
    report["command"] = "demo";
    report["version"] = version();
    report["machine"] = of_machine();
    report["clock"] = {{"name", done.clock.name},
                       {"nanoseconds_per_tick", done.clock.nanoseconds_per_tick},
                       {"nanoseconds_per_reading", done.clock.nanoseconds_per_reading},
                       {"step_nanoseconds", done.clock.step_nanoseconds}};
    report["input"] = of_input(input);
    report["index"] = of(done.reference.seen);
    report["index"]["requested"] = of(done.reference.indexed);
    report["passed"] = done.passed();
    for (const check& each : done.checks) {
        report["checks"].push_back(
            {{"name", each.name}, {"passed", each.passed}, {"seen", each.seen}});
    }
    for (const metric& each : plain_metrics) {
        report["results"][each.key] = of(compare(done, each.of));
    }
    for (const metric& each : plain_metrics) {
        report["map"][each.key] = of(compare(done, each.of, tables));
    }
    for (const percentile& each : percentiles) {
        const auto value = [&](const heap_round& pass) {
            return done.clock.nanoseconds(pass.timed.new_words.percentile(each.fraction));
        };
        report["map"]["new_words_" + std::string(each.key) + "_nanoseconds"] =
            of(compare(done, value, tables));
    }
    std::size_t at = 0;
    for (const contestant& each : contestants) {
        if (!is_available(each.who)) continue;
        report["maps"][each.key] = map_of(done, each, done.followed_maps[at], done.accounts[at]);
        ++at;
    }
    report["rounds_wanted"] = done.rounds_wanted;
    report["latencies"] = {{"every_word", latencies_of(done, &pass_report::every_word, true)},
                           {"new_words", latencies_of(done, &pass_report::new_words, false)}};
    report["histograms"] = histograms_of(done);
    for (std::size_t i = 0; i < done.rounds.size(); ++i) {
        const round& each = done.rounds[i];
        report["rounds"].push_back({{"round", i + 1},
                                    {"first", each.steady_first ? "steady" : "system"},
                                    {"steady", of(each.steady, done.clock)},
                                    {"system", of(each.system, done.clock)},
                                    {"map", of(each.map, done.clock)},
                                    {"control", of(each.control.every_word, done.clock)}});
        for (const contestant& map : contestants) {
            if (map.who == subject::map || map.who == subject::system) continue;
            if (!is_available(map.who)) continue;
            report["rounds"].back()[map.key] = of(each.*map.part, done.clock);
        }
    }
    // A path need not be UTF-8; what is not is replaced rather than thrown at.
    std::string text = report.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
    at = 0;
    for (const contestant& each : contestants) {
        if (is_available(each.who)) fill_places(text, each, done.followed_maps[at++]);
    }
    return text;
}

}  // namespace steady::cli::demo
