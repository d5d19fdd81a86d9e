// options.cpp - reads STEADY_DEBUG. A table says for each name what it takes and
// where it goes; the rest is cutting text into pairs and explaining mistakes.
//
//   memory_limit=2GiB , hugepages=off , ...
//   '-- name --' '-v-'
//
// The member pointers below keep the table honest: an entry with the wrong type
// does not compile.

#include "steady/core/options.hpp"

#include <atomic>
#include <cstddef>
#include <type_traits>

#include <signal.h>
#include <sys/auxv.h>

extern "C" char** environ;

namespace steady {
namespace {

/// A piece of the text; it has no end mark.
struct words {
    const char* start = nullptr;
    std::size_t length = 0;

    constexpr char operator[](std::size_t i) const noexcept { return start[i]; }
};

constexpr words whole(const char* text) noexcept {
    words w{text, 0};
    while (text[w.length] != '\0') ++w.length;
    return w;
}

constexpr bool same(words a, words b) noexcept {
    if (a.length != b.length) return false;
    for (std::size_t i = 0; i < a.length; ++i) {
        if (a[i] != b[i]) return false;
    }
    return true;
}

constexpr bool same(words a, const char* b) noexcept {
    return same(a, whole(b));
}

constexpr words trimmed(words w) noexcept {
    while (w.length != 0 && (w[0] == ' ' || w[0] == '\t')) ++w.start, --w.length;
    while (w.length != 0 && (w[w.length - 1] == ' ' || w[w.length - 1] == '\t')) --w.length;
    return w;
}

// ---- Values. Each reader says whether it understood and leaves `out` alone if not.

bool read_switch(words w, bool& out) noexcept {
    if (same(w, "1") || same(w, "on") || same(w, "true")) return out = true, true;
    if (same(w, "0") || same(w, "off") || same(w, "false")) return out = false, true;
    return false;
}

bool read_number(words w, std::uint64_t limit, std::uint64_t& out) noexcept {
    if (w.length == 0) return false;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < w.length; ++i) {
        if (w[i] < '0' || w[i] > '9') return false;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, static_cast<unsigned>(w[i] - '0'), &value)) {
            return false;
        }
    }
    if (value > limit) return false;
    return out = value, true;
}

bool read_size(words w, std::uint64_t& out) noexcept {
    if (same(w, "off")) return out = 0, true;
    std::size_t digits = 0;
    while (digits < w.length && w[digits] >= '0' && w[digits] <= '9') ++digits;
    const words unit{w.start + digits, w.length - digits};
    std::uint64_t scale = 0;
    if (unit.length == 0 || same(unit, "B")) scale = 1;
    if (same(unit, "KiB")) scale = std::uint64_t{1} << 10;
    if (same(unit, "MiB")) scale = std::uint64_t{1} << 20;
    if (same(unit, "GiB")) scale = std::uint64_t{1} << 30;
    if (same(unit, "TiB")) scale = std::uint64_t{1} << 40;
    std::uint64_t count = 0;
    if (scale == 0 || !read_number({w.start, digits}, UINT64_MAX / scale, count)) return false;
    return out = count * scale, true;
}

bool read_text(words w, char* out, std::size_t capacity) noexcept {
    if (w.length >= capacity) return false;
    for (std::size_t i = 0; i < w.length; ++i) out[i] = w[i];
    out[w.length] = '\0';
    return true;
}

bool read_signal(words w, std::uint8_t& out) noexcept {
    if (same(w, "usr2") || same(w, "on") || same(w, "1")) return out = SIGUSR2, true;
    if (same(w, "usr1")) return out = SIGUSR1, true;
    if (same(w, "off") || same(w, "0")) return out = 0, true;
    return false;
}

bool read_policy(words w, debug_options::huge_page_policy& out) noexcept {
    using policy = debug_options::huge_page_policy;
    if (same(w, "adaptive")) return out = policy::adaptive, true;
    if (same(w, "on") || same(w, "1")) return out = policy::on, true;
    if (same(w, "off") || same(w, "0")) return out = policy::off, true;
    return false;
}

// ---- The table.

struct option {
    const char* name;
    const char* expected;
    bool (*read)(words value, debug_options& into) noexcept;
};

template <auto Member>
bool into_switch(words value, debug_options& into) noexcept {
    return read_switch(value, into.*Member);
}
template <auto Member>
bool into_size(words value, debug_options& into) noexcept {
    return read_size(value, into.*Member);
}
template <auto Member, std::uint64_t Limit>
bool into_number(words value, debug_options& into) noexcept {
    std::uint64_t number = 0;
    if (!read_number(value, Limit, number)) return false;
    using target = std::remove_reference_t<decltype(into.*Member)>;
    into.*Member = static_cast<target>(number);
    return true;
}
template <auto Member>
bool into_text(words value, debug_options& into) noexcept {
    return read_text(value, into.*Member, sizeof(into.*Member));
}

constexpr const char* a_switch = "1, on or true; 0, off or false";
constexpr const char* a_size =
    "digits and B, KiB, MiB, GiB or TiB (64MiB), less than 16 EiB; or off";

constexpr const char* a_path = "a path of at most 255 bytes";

constexpr option table[] = {
    {"profilerate", a_size, into_size<&debug_options::profilerate>},
    {"profile_tune", a_switch, into_switch<&debug_options::profile_tune>},
    {"profile_file", a_path, into_text<&debug_options::profile_file>},
    {"allocs_file", a_path, into_text<&debug_options::allocs_file>},
    {"profile_signal", "usr1, usr2, on or off",
     [](words value, debug_options& into) noexcept {
         return read_signal(value, into.profile_signal);
     }},
    {"profile_limit", a_size, into_size<&debug_options::profile_limit>},
    {"profile_on_failure", a_switch, into_switch<&debug_options::profile_on_failure>},
    {"scavtrace", a_switch, into_switch<&debug_options::scavtrace>},
    {"stats_at_exit", a_switch, into_switch<&debug_options::stats_at_exit>},
    {"stats_json", a_switch, into_switch<&debug_options::stats_json>},
    {"stats_file", a_path, into_text<&debug_options::stats_file>},
    {"memory_limit", a_size, into_size<&debug_options::memory_limit>},
    {"hard_memory_limit", a_size, into_size<&debug_options::hard_memory_limit>},
    {"check", "0, 1, 2 or 3", into_number<&debug_options::check, 3>},
    {"hugepages", "adaptive, on or off",
     [](words value, debug_options& into) noexcept { return read_policy(value, into.hugepages); }},
    {"background", a_switch, into_switch<&debug_options::background>},
    {"http", "ADDRESS:PORT, at most 127 bytes", into_text<&debug_options::http>},
    {"http_any", a_switch, into_switch<&debug_options::http_any>},
    {"http_process", "a process id", into_number<&debug_options::http_process, UINT32_MAX>},
    {"report", a_switch, into_switch<&debug_options::report>},
    {"report_file", "a path of at most 255 bytes", into_text<&debug_options::report_file>},
    {"pretend_nodes", "a number from 0 to 64", into_number<&debug_options::pretend_nodes, 64>},
    {"guard_rate", "a number from 0 to 4294967295",
     into_number<&debug_options::guard_rate, UINT32_MAX>},
    {"junk", a_switch, into_switch<&debug_options::junk>},
    {"madvfree", a_switch, into_switch<&debug_options::madvfree>},
};

// ---- Mistakes.

constexpr std::size_t longest_name = 24;

/// Levenshtein's distance: how many characters to insert, drop or change.
std::size_t distance(words a, words b) noexcept {
    std::size_t row[longest_name + 1];  // row[j]: a's first i characters against b's first j
    for (std::size_t j = 0; j <= b.length; ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.length; ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.length; ++j) {
            std::size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.length];
}

constexpr bool names_fit() noexcept {
    for (const option& o : table) {
        if (whole(o.name).length > longest_name) return false;
    }
    return true;
}
static_assert(names_fit(), "distance() keeps one row per name on the stack");

/// The known name most like this one, if it is like it at all: less than half of
/// it would have to change.
const option* nearest(words name) noexcept {
    if (name.length > 2 * longest_name) return nullptr;
    const option* best = nullptr;
    std::size_t best_distance = (name.length + 1) / 2;
    for (const option& o : table) {
        const std::size_t d = distance(name, whole(o.name));
        if (d < best_distance) best = &o, best_distance = d;
    }
    return best;
}

/// Starts every report; shows at most 80 characters of what the user wrote.
message seen(const char* what, words text) noexcept {
    constexpr std::size_t shown = 80;
    message m{"core"};
    m.text("STEADY_DEBUG: ").text(what).text(" `");
    if (text.length <= shown) return m.text(text.start, text.length).text("`");
    return m.text(text.start, shown).text("...`");
}

message unknown_name(words name) noexcept {
    message m = seen("unknown name", name);
    m.text("; it is ignored.");
    if (const option* like = nearest(name))
        return m.line("Did you mean `").text(like->name).text("`?");
    m.line("Known names:");
    for (const option& o : table) m.text(" ").text(o.name);
    return m;
}

message bad_value(const option& o, words value, bool has_value) noexcept {
    message m = has_value ? seen("the value", value) : seen("no value in", whole(o.name));
    if (has_value) m.text(" of `").text(o.name).text("` cannot be read");
    return m.text("; it is ignored.").line("Expected: ").text(o.name).text("=").text(o.expected);
}

// ---- Pairs.

struct pair {
    words name, value;
    bool has_value = false;
};

/// Cuts the next pair off the text; an empty one between two commas has no name.
pair next_pair(const char*& text) noexcept {
    words piece{text, 0};
    while (text[piece.length] != '\0' && text[piece.length] != ',') ++piece.length;
    text += piece.length;
    if (*text == ',') ++text;
    piece = trimmed(piece);

    pair p{piece, {}, false};
    for (std::size_t i = 0; i < piece.length; ++i) {
        if (piece[i] != '=') continue;
        p.name = trimmed({piece.start, i});
        p.value = trimmed({piece.start + i + 1, piece.length - i - 1});
        p.has_value = true;
        break;
    }
    return p;
}

/// True when this name occurs earlier in the text: it was reported then.
bool named_before(const char* text, words name) noexcept {
    for (;;) {
        const pair p = next_pair(text);
        if (p.name.start == name.start) return false;
        if (p.name.length != 0 && same(p.name, name)) return true;
    }
}

const option* find(words name) noexcept {
    for (const option& o : table) {
        if (same(name, o.name)) return &o;
    }
    return nullptr;
}

// ---- The options of the process.

enum state : std::uint32_t { unread, reading, read };

constinit std::atomic<std::uint32_t> process_state{unread};
constinit debug_options process_options{};  // written once, in state `reading`
constinit const debug_options default_options{};

#if defined(STEADY_PROFILE_LIBRARY)
void report(const message&) noexcept {}  // libsteady_malloc.so has said it
#else
constexpr message_sink report = warn;
#endif

const char* environment_text() noexcept {
    if (getauxval(AT_SECURE) != 0) return nullptr;  // stats_file would write with rights not ours
    constexpr words name = whole("STEADY_DEBUG=");
    for (char** entry = environ; *entry != nullptr; ++entry) {
        std::size_t i = 0;
        while (i < name.length && (*entry)[i] == name[i]) ++i;
        if (i == name.length) return *entry + i;
    }
    return nullptr;
}

}  // namespace

debug_options parse_debug_options(const char* text, message_sink report) noexcept {
    debug_options out;
    if (text == nullptr) return out;
    for (const char* rest = text; *rest != '\0';) {
        const pair p = next_pair(rest);
        if (p.name.length == 0 && !p.has_value) continue;
        const option* o = find(p.name);
        if (o == nullptr) {
            if (!named_before(text, p.name)) report(unknown_name(p.name));
        } else if (!p.has_value || !o->read(p.value, out)) {
            report(bad_value(*o, p.value, p.has_value));
        }
    }
    return out;
}

const debug_options& options() noexcept {
    // acquire; pairs with the release below: whoever sees `read` sees the options.
    if (process_state.load(std::memory_order_acquire) == read) [[likely]]
        return process_options;
    if (environ == nullptr) return default_options;

    std::uint32_t expected = unread;
    if (process_state.compare_exchange_strong(expected, reading, std::memory_order_acquire)) {
        process_options = parse_debug_options(environment_text(), report);
        process_state.store(read, std::memory_order_release);
    }
    while (process_state.load(std::memory_order_acquire) != read) {
        // Another thread reads a line of text right now.
    }
    return process_options;
}

}  // namespace steady
