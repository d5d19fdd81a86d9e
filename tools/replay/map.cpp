// map.cpp - the script, line by line: finds the operation, reads its numbers, and
// says what is wrong with a line that cannot be understood.
#include "replay/map.hpp"

#include <algorithm>
#include <functional>
#include <new>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "replay/map_machine.hpp"
#include "support/exit_code.hpp"
#include "support/terminal.hpp"

namespace steady::cli::replay {
namespace {

constexpr std::size_t flush_from = std::size_t{1} << 20;

/// What a line says that it cannot mean; the reader adds the place.
struct line_error {
    std::string what;
};

/// The shares of operations a `gen` profile draws, in thousandths, added up.
struct profile {
    std::string_view name;
    unsigned set, del, get, next;  // clear: the rest
};
constexpr profile profiles[] = {
    {"grow", 1000, 1000, 1000, 1000},
    {"mixed", 500, 750, 1000, 1000},
    {"churn", 500, 1000, 1000, 1000},
    {"drain", 100, 1000, 1000, 1000},
    {"read", 10, 20, 1000, 1000},
    {"iter", 400, 600, 700, 1000},
    {"clear", 600, 800, 998, 998},
    {"all", 450, 699, 799, 999},
    {"fifo", 0, 0, 0, 0},
};

class reader {
public:
    int run(std::string_view text, const std::string& name);

private:
    using arguments = std::span<const std::string_view>;
    struct operation {
        std::string_view name;
        std::size_t least, most;  // arguments
        bool needs_map;
        std::string_view usage;
        void (reader::*run)(arguments);
    };
    static const operation operations[];

    void line(std::string_view text);
    void flush();
    [[nodiscard]] static std::uint64_t number(std::string_view token);
    [[nodiscard]] static unsigned slot(std::string_view token);
    const std::string& key(std::string_view token);
    const std::string& elem(std::string_view token);
    const std::string& key(std::uint64_t n);
    const std::string& elem(std::uint64_t n);

    void type(arguments a);
    void api(arguments a);
    void rand(arguments a);
    void make(arguments a);
    void hint(arguments a);
    void set(arguments a);
    void del(arguments a);
    void get(arguments a);
    void setr(arguments a);
    void delr(arguments a);
    void getr(arguments a);
    void sets(arguments a);
    void dels(arguments a);
    void clear(arguments a);
    void iterate_count(arguments a);
    void iterate(arguments a);
    void keys(arguments a);
    void iter(arguments a);
    void next(arguments a);
    void gen(arguments a);
    void fifo(std::uint64_t seed, std::uint64_t i, std::uint64_t r1, std::uint64_t r2,
              std::uint64_t key_space);
    void dump(arguments a);
    void hash(arguments a);
    void trace(arguments a);
    void stats(arguments a);
    void events(arguments a);

    machine m_;
    std::string key_, elem_;
    std::string_view operation_;  // the line under way, for a message
    std::uint64_t dumps_ = 0;
    bool typed_ = false;
    bool fast_strings_ = false;  // of the next type: `api fast` and `api reflect`
    bool consistent_ = true;
};

// clang-format off
const reader::operation reader::operations[] = {
    {"set",           2, 2, true,  "set KEY ELEM",                       &reader::set},
    {"del",           1, 1, true,  "del KEY",                            &reader::del},
    {"get",           1, 1, true,  "get KEY",                            &reader::get},
    {"setr",          2, 3, true,  "setr A B [S]",                       &reader::setr},
    {"delr",          2, 2, true,  "delr A B",                           &reader::delr},
    {"getr",          2, 2, true,  "getr A B",                           &reader::getr},
    {"sets",          3, 3, true,  "sets START STRIDE COUNT",            &reader::sets},
    {"dels",          3, 3, true,  "dels START STRIDE COUNT",            &reader::dels},
    {"clear",         0, 0, true,  "clear",                              &reader::clear},
    {"iterate-count", 0, 0, true,  "iterate-count",                      &reader::iterate_count},
    {"iterate",       0, 0, true,  "iterate",                            &reader::iterate},
    {"keys",          0, 0, true,  "keys",                               &reader::keys},
    {"iter",          1, 1, true,  "iter SLOT",                          &reader::iter},
    {"next",          2, 2, true,  "next SLOT STEPS",                    &reader::next},
    {"gen",           4, 5, true,  "gen PROFILE SEED NOPS KEYSPACE [EVERY]", &reader::gen},
    {"dump",          0, 1, true,  "dump [raw]",                         &reader::dump},
    {"hash",          0, 1, true,  "hash [raw]",                         &reader::hash},
    {"trace",         0, 0, false, "trace",                              &reader::trace},
    {"stats",         0, 0, true,  "stats",                              &reader::stats},
    {"type",          1, 2, false, "type KEY:ELEM [HASH]",               &reader::type},
    {"api",           1, 1, false, "api generic|reflect|fast",           &reader::api},
    {"rand",          1, 1, false, "rand S",                             &reader::rand},
    {"make",          0, 1, false, "make [HINT]",                        &reader::make},
    {"hint",          1, 1, false, "hint N",                             &reader::hint},
    {"events",        1, 1, false, "events on|off",                      &reader::events},
};
// clang-format on

std::uint64_t reader::number(std::string_view token) {
    std::uint64_t n;
    if (!parse_number(token, n)) {
        throw line_error{
            fmt::format("'{}' is no number: write decimal or 0x hex, at most 64 bits", token)};
    }
    return n;
}

unsigned reader::slot(std::string_view token) {
    const std::uint64_t n = number(token);
    if (n >= machine::slots) {
        throw line_error{
            fmt::format("there is no slot {}: slots are 0 to {}", n, machine::slots - 1)};
    }
    return static_cast<unsigned>(n);
}

const std::string& reader::key(std::string_view token) {
    std::string problem;
    if (!parse_value(m_.type.key, token, key_, problem)) throw line_error{problem};
    return key_;
}
const std::string& reader::elem(std::string_view token) {
    std::string problem;
    if (!parse_value(m_.type.elem, token, elem_, problem)) throw line_error{problem};
    return elem_;
}
const std::string& reader::key(std::uint64_t n) {
    indexed_value(m_.type.key, n, key_);
    return key_;
}
const std::string& reader::elem(std::uint64_t n) {
    indexed_value(m_.type.elem, n, elem_);
    return elem_;
}

void reader::type(arguments a) {
    const std::size_t colon = a[0].find(':');
    script_type t;
    if (colon == std::string_view::npos || !parse_value_type(a[0].substr(0, colon), t.key) ||
        !parse_value_type(a[0].substr(colon + 1), t.elem)) {
        throw line_error{
            fmt::format("'{}' is no KEY:ELEM; types are u8 u16 u32 u64 f64 str bN "
                        "s16 void",
                        a[0])};
    }
    if (a.size() > 1 && !parse_hash(a[1], t.hash)) {
        throw line_error{
            fmt::format("'{}' is no hash; there are fmix, seeded, weak, zero, id", a[1])};
    }
    if (t.hash == hash_kind::id && t.key.kind != kind::integer) {
        throw line_error{
            fmt::format("the hash id takes unsigned integer keys, not {}", t.key.name)};
    }
    m_.begin_type(t, fast_strings_);
    typed_ = true;
    const auto& l = m_.type.layout;
    m_.out += fmt::format(
        "type {} hash={} keysize={} elemsize={} bucketsize={} flags={} "
        "bucketptrdata={:d}\n",
        a[0], name_of(t.hash), l.key_size, l.elem_size, l.bucket_size, m_.type.flags(),
        l.pointers());
}

void reader::api(arguments a) {
    if (a[0] != "generic" && a[0] != "reflect" && a[0] != "fast") {
        throw line_error{fmt::format("'{}' is no api; there are generic, reflect, fast", a[0])};
    }
    fast_strings_ = a[0] != "generic";
}

void reader::rand(arguments a) {
    m_.draws = wyrand{number(a[0])};
}

void reader::make(arguments a) {
    if (!a.empty()) return hint(a);
    if (!typed_) throw line_error{"there is no type yet: begin with `type KEY:ELEM`"};
    m_.make();
    m_.out += "make " + m_.header(false) + '\n';
}

void reader::hint(arguments a) {
    if (!typed_) throw line_error{"there is no type yet: begin with `type KEY:ELEM`"};
    m_.make(number(a[0]));
    m_.out += "make " + m_.header(false) + '\n';
}

void reader::set(arguments a) {
    key(a[0]);
    m_.set(key_, elem(a[1]));
}

void reader::del(arguments a) {
    m_.erase(key(a[0]));
}

void reader::get(arguments a) {
    const std::string_view sought = key(a[0]);
    std::string_view found;
    m_.out += "get ";
    if (m_.get(sought, found)) {
        append_hex(m_.out, found);
    } else {
        m_.out += "absent";
    }
    m_.out += '\n';
}

void reader::setr(arguments a) {
    const std::uint64_t to = number(a[1]), shift = a.size() > 2 ? number(a[2]) : 0;
    for (std::uint64_t i = number(a[0]); i < to; ++i) m_.set(key(i), elem(i + shift));
}

void reader::delr(arguments a) {
    const std::uint64_t to = number(a[1]);
    for (std::uint64_t i = number(a[0]); i < to; ++i) m_.erase(key(i));
}

void reader::getr(arguments a) {
    const std::uint64_t from = number(a[0]), to = number(a[1]);
    std::uint64_t hits = 0;
    std::string_view found;
    for (std::uint64_t i = from; i < to; ++i) hits += m_.get(key(i), found);
    m_.out += fmt::format("getr {} {} hits={}\n", from, to, hits);
}

void reader::sets(arguments a) {
    const std::uint64_t start = number(a[0]), stride = number(a[1]), count = number(a[2]);
    for (std::uint64_t j = 0; j < count; ++j) {
        const std::uint64_t k = start + j * stride;
        m_.set(key(k), elem(k));
    }
}

void reader::dels(arguments a) {
    const std::uint64_t start = number(a[0]), stride = number(a[1]), count = number(a[2]);
    for (std::uint64_t j = 0; j < count; ++j) m_.erase(key(start + j * stride));
}

void reader::clear(arguments) {
    m_.clear();
}

void reader::iterate_count(arguments) {
    const auto w = m_.iterate(nullptr);
    m_.out += fmt::format("iterate-count {}\n", w.entries);
}

void reader::iterate(arguments) {
    const auto w = m_.iterate(nullptr);
    m_.out += fmt::format("iterate n={} start={} offset={} fnv={:016x}\n", w.entries, w.start,
                          w.offset, w.fnv);
}

void reader::keys(arguments) {
    std::string keys;
    m_.iterate(&keys);
    m_.out += "keys" + keys + '\n';
}

void reader::iter(arguments a) {
    const unsigned i = slot(a[0]);
    m_.open(i);
    m_.out += fmt::format("iter {} start={} offset={} live={:d}\n", i, m_.walk(i).startBucket,
                          m_.walk(i).offset, m_.live(i));
}

void reader::next(arguments a) {
    const unsigned i = slot(a[0]);
    const auto w = m_.next(i, number(a[1]));
    m_.out +=
        fmt::format("next {} got={} fnv={:016x} live={:d}\n", i, w.entries, w.fnv, m_.live(i));
}

/// A sliding window of fresh keys, which deletes behind itself.
void reader::fifo(std::uint64_t seed, std::uint64_t i, std::uint64_t r1, std::uint64_t r2,
                  std::uint64_t key_space) {
    const std::uint64_t base = (seed & 0xffff) << 40;
    std::string_view found;
    if (i % 2 == 0) {
        m_.set(key(base + i / 2), elem(r1));
    } else if (i / 2 >= key_space) {
        m_.erase(key(base + i / 2 - key_space));
    } else {
        m_.get(key(base + r2 % (i / 2 + 1)), found);
    }
}

void reader::gen(arguments a) {
    const auto* const p = std::find_if(std::begin(profiles), std::end(profiles),
                                       [&](const profile& each) { return each.name == a[0]; });
    if (p == std::end(profiles)) {
        throw line_error{
            fmt::format("'{}' is no profile; there are grow, mixed, churn, drain, "
                        "read, iter, clear, all, fifo",
                        a[0])};
    }
    const std::uint64_t seed = number(a[1]), ops = number(a[2]), key_space = number(a[3]);
    const std::uint64_t every = a.size() > 4 ? number(a[4]) : 0;
    splitmix64 draws{seed};
    std::string_view found;
    for (std::uint64_t i = 0; i < ops; ++i) {
        const std::uint64_t r1 = draws.next(), r2 = draws.next();
        const std::uint64_t share = r1 % 1000, k = key_space == 0 ? r2 : r2 % key_space;
        if (p->name == "fifo") {
            fifo(seed, i, r1, r2, key_space);
        } else if (share < p->set) {
            m_.set(key(k), elem(r1));
        } else if (share < p->del) {
            m_.erase(key(k));
        } else if (share < p->get) {
            m_.get(key(k), found);
        } else if (share < p->next) {
            const unsigned s = r2 & 3;
            if (!m_.live(s)) m_.open(s);
            m_.next(s, 1 + ((r1 >> 32) & 15));
        } else {
            m_.clear();
        }
        if (every != 0 && (i + 1) % every == 0) {
            m_.out += fmt::format("ckpt {} {} trace={:016x} dump={:016x}\n", i + 1,
                                  m_.header(false), m_.trace(), m_.dump_hash());
        }
        flush();
    }
    m_.out +=
        fmt::format("gen {} {} trace={:016x}\n", fmt::join(a, " "), m_.header(false), m_.trace());
}

namespace {
bool raw_mode(std::span<const std::string_view> a) {
    if (!a.empty() && a[0] != "raw") {
        throw line_error{fmt::format("'{}' is no mode; write nothing, or raw", a[0])};
    }
    return !a.empty();
}
}  // namespace

void reader::dump(arguments a) {
    const bool raw = raw_mode(a);
    std::uint64_t hash;
    m_.out += fmt::format("dump {} {}\n", ++dumps_, raw ? "raw" : "norm");
    m_.out += m_.dump(raw, &hash);
    m_.out += fmt::format("end {:016x}\n", hash);
}

void reader::hash(arguments a) {
    const bool raw = raw_mode(a);
    std::uint64_t hash;
    static_cast<void>(m_.dump(raw, &hash));
    m_.out += fmt::format("hash {} {} {} {:016x}\n", ++dumps_, raw ? "raw" : "norm", m_.header(raw),
                          hash);
}

void reader::trace(arguments) {
    m_.out += fmt::format("trace {:016x} ops={}\n", m_.trace(), m_.ops());
}

void reader::stats(arguments) {
    consistent_ &= m_.stats();
}

void reader::events(arguments a) {
    if (a[0] != "on" && a[0] != "off") {
        throw line_error{fmt::format("'{}' is neither on nor off", a[0])};
    }
    m_.events = a[0] == "on";
}

void reader::flush() {
    if (m_.out.size() < flush_from) return;
    write_stdout(m_.out);
    m_.out.clear();
}

void reader::line(std::string_view text) {
    if (const std::size_t comment = text.find("//"); comment != std::string_view::npos) {
        text = text.substr(0, comment);
    }
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < text.size();) {
        constexpr std::string_view blanks = " \t\r";
        at = text.find_first_not_of(blanks, at);
        if (at == std::string_view::npos) break;
        const std::size_t end = std::min(text.find_first_of(blanks, at), text.size());
        words.push_back(text.substr(at, end - at));
        at = end;
    }
    if (words.empty()) return;
    if (words[0] == "echo") {
        m_.out += fmt::format("{}\n", fmt::join(words, " "));
        return;
    }
    const auto* const op = std::find_if(std::begin(operations), std::end(operations),
                                        [&](const operation& o) { return o.name == words[0]; });
    if (op == std::end(operations)) {
        throw line_error{fmt::format("there is no operation '{}'", words[0])};
    }
    const arguments a = arguments{words}.subspan(1);
    if (a.size() < op->least || a.size() > op->most) {
        throw line_error{fmt::format("{} has {} argument{}; write: {}", op->name, a.size(),
                                     a.size() == 1 ? "" : "s", op->usage)};
    }
    if (op->needs_map && !m_.has_map()) {
        throw line_error{
            fmt::format("{} needs a map: write `type KEY:ELEM` and `make` first", op->name)};
    }
    operation_ = {words.front().data(), words.back().data() + words.back().size()};
    (this->*op->run)(a);
}

int reader::run(std::string_view text, const std::string& name) {
    std::size_t number = 0;
    try {
        while (!text.empty()) {
            ++number;
            const std::size_t end = std::min(text.find('\n'), text.size());
            line(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
            flush();
        }
    } catch (const line_error& problem) {
        write_stdout(m_.out);
        throw usage_error(fmt::format("replay: {}:{}: {}", name == "-" ? "standard input" : name,
                                      number, problem.what));
    } catch (const std::bad_alloc&) {
        // What was printed so far is right, and tells how far the script came.
        write_stdout(m_.out);
        throw check_failure(fmt::format(
            "replay: {}:{}: there was no memory for `{}`; give it a smaller number, or the "
            "command a higher memory limit",
            name == "-" ? "standard input" : name, number, operation_));
    }
    write_stdout(m_.out);
    if (!consistent_) {
        throw check_failure(
            fmt::format("replay: {}: an entry lies where no search finds it", name));
    }
    return exit_done;
}

}  // namespace

int replay_map(std::string_view text, const std::string& name) {
    return reader{}.run(text, name);
}

}  // namespace steady::cli::replay
