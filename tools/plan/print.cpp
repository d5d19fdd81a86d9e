// print.cpp - see print.hpp.
#include "plan/print.hpp"

#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "steady/go/geometry.hpp"
#include "support/exit_code.hpp"
#include "support/format.hpp"
#include "support/table.hpp"

namespace steady::cli::plan {
namespace {

using audit::estimate;
using audit::memory_plan;
using json = nlohmann::ordered_json;

struct part {
    const char* name;
    bytes memory_parts::*field;
    const char* meaning;
};
constexpr part places[] = {
    {"header", &memory_parts::header, "the fixed block"},
    {"extra", &memory_parts::extra, "what hangs from it"},
    {"array", &memory_parts::array, "places in use"},
    {"spare", &memory_parts::spare, "places that come with the array"},
    {"overflow", &memory_parts::overflow, "places chained to full ones"},
    {"old", &memory_parts::old, "what a growth is leaving"},
    {"nodes", &memory_parts::nodes, "entries out of line"},
    {"rounding", &memory_parts::rounding, "what the allocator adds"},
};
constexpr part contents[] = {
    {"payload", &memory_parts::payload, "keys, values, elements"},
    {"vacant", &memory_parts::vacant, "room for more of them"},
    {"padding", &memory_parts::padding, "for alignment"},
    {"metadata", &memory_parts::metadata, "tags, tophash bytes, kept hashes"},
    {"links", &memory_parts::links, "pointers from place to place"},
    {"header, extra", nullptr, ""},
    {"rounding", &memory_parts::rounding, "what the allocator adds"},
};

std::uint64_t value_of(const memory_parts& p, const part& which) {
    return which.field != nullptr ? (p.*which.field).count() : (p.header + p.extra).count();
}

std::string bounds(std::uint64_t low, std::uint64_t high) {
    return low == high ? "exact" : fmt::format("{} .. {}", format_count(low), format_count(high));
}

std::string percent(double part_of, double whole) {
    return whole == 0 ? "" : fmt::format("{:.1f} %", 100 * part_of / whole);
}

template <class Parts>
void add_parts(table& t, const memory_plan& p, const Parts& parts) {
    for (const part& each : parts) {
        const std::uint64_t low = value_of(p.low, each), high = value_of(p.high, each);
        if (high == 0) continue;
        const std::uint64_t expected = value_of(p.expected, each);
        t.add({{each.name},
               {format_count(expected)},
               {percent(static_cast<double>(expected), p.total.expected)},
               {bounds(low, high), low == high ? tone::faint : tone::plain},
               {each.meaning, tone::faint}});
    }
    t.add({{"total", tone::strong},
           {format_count(p.total.rounded()), tone::strong},
           {"100.0 %"},
           {bounds(p.total.low, p.total.high)},
           {""}});
}

request with(const request& r, kind what, bool hint, audit::allocator_model allocator) {
    request other = r;
    other.what = what;
    other.hint = hint;
    other.allocator = allocator;
    return other;
}

struct rival {
    std::string name;
    planned p;
};
std::vector<rival> rivals(const request& r) {
    using audit::allocator_model;
    std::vector<rival> all;
    const auto add = [&](kind what, allocator_model allocator) {
        const planned p = make_plan(with(r, what, r.hint, allocator));
        all.push_back({fmt::format("{}, {}", name_of(what), audit::name_of(allocator)), p});
    };
    add(kind::map, r.allocator);
    add(kind::go_map, allocator_model::steady_heap);
    add(kind::std_map, allocator_model::glibc);
    add(kind::std_map, allocator_model::steady_heap);
    add(kind::slice, allocator_model::steady_heap);
    return all;
}

double with_text(const planned& p) {
    return p.container.total.expected + p.text.bytes.expected;
}

json to_json(const estimate& e) {
    return {{"low", e.low}, {"expected", e.expected}, {"high", e.high}};
}

template <class Parts>
json parts_json(const memory_plan& p, const Parts& parts) {
    json all = json::object();
    for (const part& each : parts) {
        if (each.field == nullptr) continue;
        all[each.name] = {{"low", value_of(p.low, each)},
                          {"expected", value_of(p.expected, each)},
                          {"high", value_of(p.high, each)}};
    }
    return all;
}

struct item {
    const char* name;
    std::uint64_t bytes;
    const char* where;
    bool counts;  // towards the sum; else it lies inside another item
};
std::vector<item> seven_items(const request& r, const planned& p) {
    if (r.what != kind::go_map) {
        throw usage_error("plan: the seven items are those of Go's map; add --kind go-map");
    }
    const memory_parts& m = p.container.expected;
    return {
        {"1 hmap", m.header.count(), "", true},
        {"2 bucket array head", sizeof(void*), "hmap.buckets, inside 1", false},
        {"3 bucket array", (m.array + m.spare).count(), "regular and unused spare buckets", true},
        {"4 overflow head", m.extra.count(), "mapextra, lists of overflow buckets", true},
        {"5 overflow buckets", (m.overflow + m.old).count(), "in chains; growing: the old array",
         true},
        {"6 keys and elems", m.payload.count(), "inside 3 and 5, or out of line", false},
        {"7 hash0", sizeof(std::uint32_t), "inside 1", false},
        {"  out of line", m.nodes.count(), "keys and elems above 128 bytes", true},
        {"  rounding", m.rounding.count(), "size classes and pages", true}};
}

}  // namespace

std::string to_table(const request& r, const planned& p, bool colour) {
    const memory_plan& c = p.container;
    std::string text = fmt::format(
        "{} with {} entries, {}, {}\n", p.description, format_count(r.count),
        r.hint ? "made for them at once" : "grown one by one", audit::name_of(c.allocator));
    if (c.growing) text += "  A growth is under way at this count.\n";
    table where;
    where.add({{"where the bytes lie", tone::strong}, {"bytes"}, {"share"}, {"bounds"}, {""}});
    add_parts(where, c, places);
    text += fmt::format("\n{}", where.print(colour));
    table what;
    what.add({{"what they hold", tone::strong}, {"bytes"}, {"share"}, {"bounds"}, {""}});
    add_parts(what, c, contents);
    text += fmt::format("\n{}", what.print(colour));

    table sums;
    const auto line = [&sums](const char* name, const std::string& value,
                              const std::string& more = "") {
        sums.add({{name}, {value}, {more, tone::faint}});
    };
    line("bytes per entry", fmt::format("{:.2f}", c.bytes_per_entry()));
    line("payload per byte", fmt::format("{:.3f}", c.density()));
    line("objects", format_count(c.objects.rounded()), bounds(c.objects.low, c.objects.high));
    line("peak on the way", format_bytes(c.peak.expected), bounds(c.peak.low, c.peak.high));
    line("ever allocated", format_bytes(static_cast<double>(c.allocated)));
    line("span tail waste", format_bytes(c.span_tail), "this container's share");
    if (p.text.counted) {
        line("text outside", format_bytes(p.text.bytes.expected),
             bounds(p.text.bytes.low, p.text.bytes.high));
    } else if (r.key.text || r.value.text) {
        line("text outside", "not counted", "--length-distribution adds it");
    }
    for (std::size_t i = 0; i < c.fact_count; ++i) {
        const double v = c.facts[i].value;
        line(c.facts[i].name, v == std::floor(v) ? format_count(static_cast<std::uint64_t>(v))
                                                 : fmt::format("{:.3f}", v));
    }
    text += fmt::format("\n{}", sums.print(colour));

    if (c.step_count != 0) {
        table steps;
        steps.add({{"growth at insert", tone::strong},
                   {"before"},
                   {"both held"},
                   {"after"},
                   {"entries moved"}});
        constexpr std::size_t shown = 24;
        const std::size_t first = c.step_count > shown ? c.step_count - shown : 0;
        if (first != 0) steps.add({{fmt::format("({} before)", first), tone::faint}});
        for (std::size_t i = first; i < c.step_count; ++i) {
            const audit::growth_step& s = c.steps[i];
            steps.add({{format_count(s.at)},
                       {format_count(s.before)},
                       {format_count(s.both)},
                       {format_count(s.after)},
                       {format_count(s.moved)}});
        }
        text += fmt::format("\n{}", steps.print(colour));
    }

    const memory_plan grown = make_plan(with(r, r.what, false, r.allocator)).container;
    const memory_plan hinted = make_plan(with(r, r.what, true, r.allocator)).container;
    table saves;
    const auto saved = [](double before, double after) { return format_bytes(before - after); };
    saves.add({{"a hint saves", tone::strong}, {"grown"}, {"hinted"}, {"saved"}});
    saves.add({{"peak"},
               {format_bytes(grown.peak.expected)},
               {format_bytes(hinted.peak.expected)},
               {saved(grown.peak.expected, hinted.peak.expected)}});
    saves.add(
        {{"ever allocated"},
         {format_bytes(static_cast<double>(grown.allocated))},
         {format_bytes(static_cast<double>(hinted.allocated))},
         {saved(static_cast<double>(grown.allocated), static_cast<double>(hinted.allocated))}});
    saves.add({{"at the end"},
               {format_bytes(grown.total.expected)},
               {format_bytes(hinted.total.expected)},
               {saved(grown.total.expected, hinted.total.expected)}});
    saves.add({{"entries moved"},
               {format_count(grown.moved)},
               {format_count(hinted.moved)},
               {format_count(grown.moved - hinted.moved)}});
    text += fmt::format("\n{}", saves.print(colour));

    table others;
    others.add({{"the same as", tone::strong},
                {"bytes"},
                {"touched"},
                {"per entry"},
                {"peak"},
                {"with text"}});
    for (const rival& each : rivals(r)) {
        const memory_plan& o = each.p.container;
        // Segments of steady::map behind the last cluster are addresses, not memory.
        const double touched = o.total.expected - o.fact_named("untouched_bytes");
        others.add(
            {{each.name},
             {format_bytes(o.total.expected)},
             {format_bytes(touched)},
             {o.entries == 0 ? ""
                             : fmt::format("{:.1f}", touched / static_cast<double>(o.entries))},
             {format_bytes(o.peak.expected)},
             {each.p.text.counted ? format_bytes(with_text(each.p)) : ""}});
    }
    text += fmt::format("\n{}", others.print(colour));
    if (r.key.text || r.value.text) {
        text +=
            "\n  A string is 16 bytes in Go's map and 32 in the others; its text lies outside.\n";
    }
    return text;
}

std::string to_json(const request& r, const planned& p) {
    const memory_plan& c = p.container;
    json all = {{"container", p.description},
                {"kind", c.kind},
                {"entries", r.count},
                {"hint", c.hint},
                {"allocator", audit::name_of(c.allocator)},
                {"growing", c.growing},
                {"total", to_json(c.total)},
                {"bytes_per_entry", c.bytes_per_entry()},
                {"density", c.density()},
                {"objects", to_json(c.objects)},
                {"overflow", to_json(c.overflow)},
                {"peak", to_json(c.peak)},
                {"allocated", c.allocated},
                {"moved", c.moved},
                {"span_tail", c.span_tail},
                {"where", parts_json(c, places)},
                {"what", parts_json(c, contents)}};
    json facts = json::object();
    for (std::size_t i = 0; i < c.fact_count; ++i) facts[c.facts[i].name] = c.facts[i].value;
    all["facts"] = facts;
    json steps = json::array();
    for (std::size_t i = 0; i < c.step_count; ++i) {
        const audit::growth_step& s = c.steps[i];
        steps.push_back({{"at", s.at},
                         {"before", s.before},
                         {"both", s.both},
                         {"after", s.after},
                         {"moved", s.moved}});
    }
    all["growth"] = steps;
    if (p.text.counted) {
        all["text"] = {{"lengths", r.lengths.name},
                       {"bytes", to_json(p.text.bytes)},
                       {"objects", to_json(p.text.objects)}};
    }
    const memory_plan grown = make_plan(with(r, r.what, false, r.allocator)).container;
    const memory_plan hinted = make_plan(with(r, r.what, true, r.allocator)).container;
    all["hint_saves"] = {
        {"peak", grown.peak.expected - hinted.peak.expected},
        {"allocated", static_cast<double>(grown.allocated) - static_cast<double>(hinted.allocated)},
        {"moved", grown.moved - hinted.moved}};
    return all.dump(2) + "\n";
}

std::string to_seven(const request& r, const planned& p, bool colour, bool as_json) {
    const std::vector<item> items = seven_items(r, p);
    std::uint64_t sum = 0;
    for (const item& each : items) sum += each.counts ? each.bytes : 0;
    if (sum != p.container.expected.total().count()) {
        throw check_failure(fmt::format("plan: the seven items sum to {} bytes, the parts to {}",
                                        sum, p.container.expected.total().count()));
    }
    if (as_json) {
        json all = json::array();
        for (const item& each : items) {
            all.push_back({{"item", each.name}, {"bytes", each.bytes}, {"counts", each.counts}});
        }
        return json{{"container", p.description},
                    {"entries", r.count},
                    {"hint", p.container.hint},
                    {"total", to_json(p.container.total)},
                    {"items", all}}
                   .dump(2) +
               "\n";
    }
    table t;
    t.add({{"item", tone::strong}, {"bytes"}, {""}});
    for (const item& each : items) {
        if (each.bytes == 0) continue;
        t.add({{each.name, each.counts ? tone::plain : tone::faint},
               {format_count(each.bytes), each.counts ? tone::plain : tone::faint},
               {each.where, tone::faint}});
    }
    t.add({{"total", tone::strong},
           {format_count(sum), tone::strong},
           {bounds(p.container.total.low, p.container.total.high)}});
    return fmt::format("{} with {} entries, {}\n\n{}", p.description, format_count(r.count),
                       r.hint ? "made for them at once" : "grown one by one", t.print(colour));
}

}  // namespace steady::cli::plan
