// frame_rule.cpp - reads .eh_frame for one pc.
//
//   .eh_frame_hdr   | version, encodings | .eh_frame | count | (pc, FDE) (pc, FDE) ... |  sorted
//   FDE             | length | CIE | pc | range | augmentation | instructions |
//   CIE             | length | 0 | version | "zR..." | alignments | ... | instructions |
//
// The instructions are those of a small machine that says for each pc where the CFA is and
// where registers were saved; they run from the start of the function up to `pc`. Followed
// are rsp, rbp and the return address; whatever needs more makes the rule `unknown`.
//
// The tables were written by a compiler and mapped by the loader; they are trusted to be
// what they claim, but lengths are obeyed, so that one mistake stays inside its entry.
#include "frame_rule.hpp"

#include <cstring>

#include <dlfcn.h>

#if defined(__x86_64__)

namespace steady::profile::detail {
namespace {

constexpr unsigned dwarf_rbp = 6, dwarf_rsp = 7, dwarf_ra = 16;

constexpr std::uint8_t pe_omit = 0xff, pe_absptr = 0x00, pe_uleb128 = 0x01, pe_udata2 = 0x02,
                       pe_udata4 = 0x03, pe_udata8 = 0x04, pe_sleb128 = 0x09, pe_sdata2 = 0x0a,
                       pe_sdata4 = 0x0b, pe_sdata8 = 0x0c, pe_pcrel = 0x10;

/// A place in the tables and the end of what may be read from there.
struct reader {
    const std::uint8_t* at;
    const std::uint8_t* end;
    bool failed = false;

    template <class T>
    T read() noexcept {
        T value{};
        if (static_cast<std::size_t>(end - at) < sizeof value) {
            failed = true;
            at = end;
            return value;
        }
        std::memcpy(&value, at, sizeof value);
        at += sizeof value;
        return value;
    }
    std::uint64_t uleb() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = read<std::uint8_t>();
            if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
            if ((byte & 0x80) == 0 || failed) return value;
        }
    }
    std::int64_t sleb() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0;;) {
            const auto byte = read<std::uint8_t>();
            if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
            shift += 7;
            if ((byte & 0x80) != 0 && !failed) continue;
            if ((byte & 0x40) != 0 && shift < 64) value |= ~std::uint64_t{0} << shift;
            return static_cast<std::int64_t>(value);
        }
    }
    void skip(std::uint64_t n) noexcept {
        if (n > static_cast<std::uint64_t>(end - at)) {
            failed = true;
            n = static_cast<std::uint64_t>(end - at);
        }
        at += n;
    }
    /// A pointer in encoding `e`, relative to its own place or not at all.
    std::uintptr_t encoded(std::uint8_t e) noexcept {
        const auto here = reinterpret_cast<std::uintptr_t>(at);
        std::uintptr_t value = 0;
        switch (e & 0x0f) {
            case pe_absptr:
            case pe_udata8:
            case pe_sdata8: value = read<std::uint64_t>(); break;
            case pe_uleb128: value = uleb(); break;
            case pe_sleb128: value = static_cast<std::uintptr_t>(sleb()); break;
            case pe_udata2: value = read<std::uint16_t>(); break;
            case pe_sdata2:
                value = static_cast<std::uintptr_t>(std::intptr_t{read<std::int16_t>()});
                break;
            case pe_udata4: value = read<std::uint32_t>(); break;
            case pe_sdata4:
                value = static_cast<std::uintptr_t>(std::intptr_t{read<std::int32_t>()});
                break;
            default: failed = true;
        }
        if ((e & 0x70) == pe_pcrel)
            value += here;
        else if ((e & 0x70) != 0)
            failed = true;
        return value;
    }
};

reader entry_at(const std::uint8_t* place) noexcept {
    std::uint32_t length = 0;
    std::memcpy(&length, place, sizeof length);
    if (length == 0 || length == 0xffffffff) return {place, place, true};
    return {place + 4, place + 4 + length, false};
}

struct common_part {
    reader instructions{nullptr, nullptr};
    std::uint64_t code_step = 1;
    std::int64_t data_step = 1;
    std::uint8_t pointer_encoding = pe_absptr;
    bool has_length = false;  // 'z'
    bool of_signal = false;   // 'S'
    bool good = false;
};

common_part read_cie(const std::uint8_t* place) noexcept {
    common_part c;
    reader r = entry_at(place);
    if (r.failed || r.read<std::uint32_t>() != 0) return c;
    const auto version = r.read<std::uint8_t>();
    const auto* augmentation = reinterpret_cast<const char*>(r.at);
    while (r.read<std::uint8_t>() != 0) {
        if (r.failed) return c;
    }
    if (version != 1 && version != 3) return c;
    c.code_step = r.uleb();
    c.data_step = r.sleb();
    const std::uint64_t ra = version == 1 ? r.read<std::uint8_t>() : r.uleb();
    if (ra != dwarf_ra) return c;
    if (*augmentation == 'z') {
        c.has_length = true;
        const std::uint64_t length = r.uleb();
        const std::uint8_t* instructions = r.at + length;
        for (const char* a = augmentation + 1; *a != '\0'; ++a) {
            switch (*a) {
                case 'R': c.pointer_encoding = r.read<std::uint8_t>(); break;
                case 'P': {
                    const auto e = r.read<std::uint8_t>();
                    static_cast<void>(r.encoded(e & 0x7f));
                    break;
                }
                case 'L': r.read<std::uint8_t>(); break;
                case 'S': c.of_signal = true; break;
                default: return c;
            }
        }
        if (instructions > r.end) return c;
        r.at = instructions;
    } else if (*augmentation != '\0') {
        return c;
    }
    c.instructions = r;
    c.good = !r.failed;
    return c;
}

/// What the machine knows at one pc.
struct state {
    enum class cfa_kind : std::uint8_t {
        register_offset,
        at_bp,
        plt,
        other
    } cfa = cfa_kind::register_offset;
    unsigned cfa_register = dwarf_rsp;
    std::int64_t cfa_offset = 8;
    enum class place : std::uint8_t { unchanged, from_cfa, from_bp, undefined, other };
    place bp = place::unchanged;
    std::int64_t bp_offset = 0;
    place ra = place::from_cfa;
    std::int64_t ra_offset = -8;
};

constexpr std::uint8_t op_breg6 = 0x76, op_breg7 = 0x77, op_deref = 0x06;

class machine {
public:
    machine(std::uintptr_t start, std::uintptr_t pc, const common_part& common) noexcept
        : location_(start), pc_(pc), common_(common) {}

    bool run_common() noexcept {
        if (!run(common_.instructions, true)) return false;
        initial_ = now;
        return true;
    }
    bool run_own(reader instructions) noexcept { return run(instructions, false); }

    state now;

private:
    void set(std::uint64_t reg, state::place place, std::int64_t offset) noexcept {
        if (reg == dwarf_rbp) now.bp = place, now.bp_offset = offset;
        if (reg == dwarf_ra) now.ra = place, now.ra_offset = offset;
    }
    void restore(std::uint64_t reg) noexcept {
        if (reg == dwarf_rbp) now.bp = initial_.bp, now.bp_offset = initial_.bp_offset;
        if (reg == dwarf_ra) now.ra = initial_.ra, now.ra_offset = initial_.ra_offset;
    }
    void set_cfa(std::uint64_t reg, std::int64_t offset) noexcept {
        now.cfa = state::cfa_kind::register_offset;
        now.cfa_register = static_cast<unsigned>(reg);
        now.cfa_offset = offset;
    }
    void cfa_expression(reader e) noexcept {
        now.cfa = state::cfa_kind::other;
        const auto op = e.read<std::uint8_t>();
        const std::int64_t offset = e.sleb();
        if (op == op_breg6 && e.read<std::uint8_t>() == op_deref && e.at == e.end) {
            now.cfa = state::cfa_kind::at_bp;
            now.cfa_offset = offset;
            return;
        }
        // ld's PLT: rsp + 8 + ((pc & 15) >= n) * 8
        static constexpr std::uint8_t before[] = {0x80, 0x00, 0x3f, 0x1a},
                                      after[] = {0x2a, 0x33, 0x24, 0x22};
        const reader p = e;
        if (op == op_breg7 && offset == 8 && p.end - p.at == 9 &&
            std::memcmp(p.at, before, 4) == 0 && std::memcmp(p.at + 5, after, 4) == 0) {
            const unsigned n = p.at[4] - 0x30u;
            now.cfa = state::cfa_kind::plt;
            now.cfa_offset = (pc_ & 15) >= n ? 16 : 8;
        }
    }
    bool advance(std::uint64_t delta, bool common) noexcept {
        if (common) return true;
        location_ += delta * common_.code_step;
        return location_ <= pc_;
    }

    bool run(reader r, bool common) noexcept {
        state kept[8];
        unsigned depth = 0;
        while (r.at < r.end && !r.failed) {
            const auto op = r.read<std::uint8_t>();
            const std::uint8_t low = op & 0x3f;
            switch (op & 0xc0) {
                case 0x40:
                    if (!advance(low, common)) return true;
                    continue;
                case 0x80:
                    set(low, state::place::from_cfa,
                        static_cast<std::int64_t>(r.uleb()) * common_.data_step);
                    continue;
                case 0xc0: restore(low); continue;
                default: break;
            }
            switch (op) {
                case 0x00: break;  // nop
                case 0x01:         // set_loc
                    location_ = r.encoded(common_.pointer_encoding);
                    if (location_ > pc_) return true;
                    break;
                case 0x02:
                    if (!advance(r.read<std::uint8_t>(), common)) return true;
                    break;
                case 0x03:
                    if (!advance(r.read<std::uint16_t>(), common)) return true;
                    break;
                case 0x04:
                    if (!advance(r.read<std::uint32_t>(), common)) return true;
                    break;
                case 0x05: {  // offset_extended
                    const std::uint64_t reg = r.uleb();
                    set(reg, state::place::from_cfa,
                        static_cast<std::int64_t>(r.uleb()) * common_.data_step);
                    break;
                }
                case 0x06: restore(r.uleb()); break;
                case 0x07: set(r.uleb(), state::place::undefined, 0); break;
                case 0x08: set(r.uleb(), state::place::unchanged, 0); break;
                case 0x09: {  // register
                    const std::uint64_t reg = r.uleb();
                    r.uleb();
                    set(reg, state::place::other, 0);
                    break;
                }
                case 0x0a:
                    if (depth == 8) return false;
                    kept[depth++] = now;
                    break;
                case 0x0b:
                    if (depth == 0) return false;
                    now = kept[--depth];
                    break;
                case 0x0c: {  // def_cfa
                    const std::uint64_t reg = r.uleb();
                    set_cfa(reg, static_cast<std::int64_t>(r.uleb()));
                    break;
                }
                case 0x0d: now.cfa_register = static_cast<unsigned>(r.uleb()); break;
                case 0x0e: now.cfa_offset = static_cast<std::int64_t>(r.uleb()); break;
                case 0x0f: {  // def_cfa_expression
                    const std::uint64_t length = r.uleb();
                    reader e = r;
                    r.skip(length);
                    e.end = r.at;
                    cfa_expression(e);
                    break;
                }
                case 0x10: {  // expression: saved at the address it computes
                    const std::uint64_t reg = r.uleb(), length = r.uleb();
                    reader e = r;
                    r.skip(length);
                    e.end = r.at;
                    const bool by_bp = e.read<std::uint8_t>() == op_breg6;
                    const std::int64_t offset = e.sleb();
                    set(reg, by_bp && e.at == e.end ? state::place::from_bp : state::place::other,
                        offset);
                    break;
                }
                case 0x11: {  // offset_extended_sf
                    const std::uint64_t reg = r.uleb();
                    set(reg, state::place::from_cfa, r.sleb() * common_.data_step);
                    break;
                }
                case 0x12: {  // def_cfa_sf
                    const std::uint64_t reg = r.uleb();
                    set_cfa(reg, r.sleb() * common_.data_step);
                    break;
                }
                case 0x13: now.cfa_offset = r.sleb() * common_.data_step; break;
                case 0x14: {  // val_offset
                    const std::uint64_t reg = r.uleb();
                    r.uleb();
                    set(reg, state::place::other, 0);
                    break;
                }
                case 0x15: {  // val_offset_sf
                    const std::uint64_t reg = r.uleb();
                    r.sleb();
                    set(reg, state::place::other, 0);
                    break;
                }
                case 0x16: {  // val_expression
                    const std::uint64_t reg = r.uleb();
                    r.skip(r.uleb());
                    set(reg, state::place::other, 0);
                    break;
                }
                case 0x2e: r.uleb(); break;  // GNU_args_size
                default: return false;
            }
        }
        return !r.failed;
    }

    std::uintptr_t location_;
    std::uintptr_t pc_;
    const common_part& common_;
    state initial_;
};

frame_rule rule_of(const state& s) noexcept {
    frame_rule rule;
    if (s.ra == state::place::undefined) return rule;  // the outermost frame says so
    if (s.ra != state::place::from_cfa || s.ra_offset != -8) return rule;
    auto kind = frame_rule::unknown;
    switch (s.cfa) {
        case state::cfa_kind::register_offset:
            if (s.cfa_register == dwarf_rsp) kind = frame_rule::from_sp;
            if (s.cfa_register == dwarf_rbp) kind = frame_rule::from_bp;
            break;
        case state::cfa_kind::at_bp: kind = frame_rule::at_bp; break;
        case state::cfa_kind::plt: kind = frame_rule::from_sp; break;
        case state::cfa_kind::other: break;
    }
    if (kind == frame_rule::unknown) return rule;
    auto bp = frame_rule::bp_unchanged;
    if (s.bp == state::place::from_cfa) bp = frame_rule::bp_from_cfa;
    if (s.bp == state::place::from_bp) bp = frame_rule::bp_from_bp;
    if (!rule.set(kind, s.cfa_offset, bp, bp == frame_rule::bp_unchanged ? 0 : s.bp_offset))
        rule = {};
    return rule;
}

frame_rule by_frame_pointer() noexcept {
    frame_rule rule;
    rule.set(frame_rule::frame_pointer, 0, frame_rule::bp_unchanged, 0);
    return rule;
}

/// The FDE whose function may contain pc: binary search in .eh_frame_hdr.
const std::uint8_t* find_fde(const std::uint8_t* header, std::uintptr_t pc) noexcept {
    constexpr std::uint8_t sorted_table = 0x3b;  // relative to the header, 4 bytes, signed
    if (header[0] != 1 || header[2] == pe_omit || header[3] != sorted_table) return nullptr;
    reader r{header + 4, header + 4 + 32};
    static_cast<void>(r.encoded(header[1]));
    const std::uintptr_t count = r.encoded(header[2]);
    if (r.failed || count == 0) return nullptr;
    struct row {
        std::int32_t pc, fde;
    };
    const auto base = reinterpret_cast<std::uintptr_t>(header);
    const auto row_at = [&](std::uintptr_t i) noexcept {
        row one;
        std::memcpy(&one, r.at + i * sizeof one, sizeof one);
        return one;
    };
    std::uintptr_t first = 0, last = count;  // the last row that begins at or before pc
    while (last - first > 1) {
        const std::uintptr_t middle = first + (last - first) / 2;
        if (base + static_cast<std::uintptr_t>(std::intptr_t{row_at(middle).pc}) <= pc)
            first = middle;
        else
            last = middle;
    }
    const row found = row_at(first);
    if (base + static_cast<std::uintptr_t>(std::intptr_t{found.pc}) > pc) return nullptr;
    return header + found.fde;
}

}  // namespace

frame_rule read_frame_rule(std::uintptr_t pc) noexcept {
    dl_find_object object{};
    // Lock-free and safe in signal handlers (glibc 2.35).
    if (_dl_find_object(reinterpret_cast<void*>(pc), &object) != 0) return by_frame_pointer();
    const auto* header = static_cast<const std::uint8_t*>(object.dlfo_eh_frame);
    if (header == nullptr) return by_frame_pointer();
    const std::uint8_t* fde = find_fde(header, pc);
    if (fde == nullptr) return by_frame_pointer();

    reader r = entry_at(fde);
    if (r.failed) return {};
    const std::uint8_t* place = r.at;
    const auto back = r.read<std::uint32_t>();
    const common_part common = read_cie(place - back);
    if (!common.good) return {};
    const std::uintptr_t start = r.encoded(common.pointer_encoding);
    const std::uintptr_t range = r.encoded(common.pointer_encoding & 0x0f);
    if (r.failed) return {};
    if (pc - start >= range) return by_frame_pointer();  // between two functions
    if (common.has_length) r.skip(r.uleb());
    if (common.of_signal) {
        frame_rule rule;
        rule.set(frame_rule::signal, 0, frame_rule::bp_unchanged, 0);
        return rule;
    }
    machine m(start, pc, common);
    if (!m.run_common() || !m.run_own(r)) return {};
    return rule_of(m.now);
}

}  // namespace steady::profile::detail

#else

namespace steady::profile::detail {

frame_rule read_frame_rule(std::uintptr_t) noexcept {
    return {};
}

}  // namespace steady::profile::detail

#endif
