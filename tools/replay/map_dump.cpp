// map_dump.cpp - buckets as text, and counted: section 8 of the format.
//
//   N 3.1 p0 efb9db8209000000 0:6162=0100000000000000 1:-=...
//   | | |  |  the 8 tophash bytes  cell:key=elem
//   | | |  raw only: head, preallocated overflow bucket 0, or x for a separate one
//   | | position in the chain
//   | bucket;  N the current array, O the old one while growing
#include "replay/map_machine.hpp"

#include <fmt/format.h>

namespace steady::cli::replay {

using go::internal::bmap;
using go::internal::cells;
using go::internal::min_top_hash;

void append_hex(std::string& to, std::string_view bytes) {
    if (bytes.empty()) {
        to += '-';
        return;
    }
    for (const char c : bytes) {
        to += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        to += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
    }
}

namespace {

void append_number(std::string& to, std::uint64_t n) {
    const fmt::format_int text(n);
    to.append(text.data(), text.size());
}

std::string list_text(const go::internal::bucket_list* list) {
    return list == nullptr ? std::string("-") : fmt::format("{}/{}", list->len, list->cap);
}

}  // namespace

std::string machine::header(bool raw) const {
    const auto& h = *core_.h;
    std::string next = "-";
    if (h.extra != nullptr && h.extra->nextOverflow != nullptr) {
        const auto offset = reinterpret_cast<const char*>(h.extra->nextOverflow) -
                            reinterpret_cast<const char*>(h.buckets);
        next = fmt::format(
            "{}", static_cast<std::size_t>(offset) / type.layout.bucket_size - h.bucket_count());
    }
    return fmt::format("count={} flags={} B={} noverflow={} nevacuate={} old={:d} next={}", h.count,
                       raw ? h.flags : h.flags & go::internal::flag_same_size, h.B, h.noverflow,
                       h.nevacuate, h.growing(), next);
}

void machine::append_cell_text(std::string& to, const value_type& t, bool indirect,
                               const void* at) const {
    if (indirect) at = *static_cast<void* const*>(at);
    if (at == nullptr) {
        to += "nil";
        return;
    }
    if (t.kind == kind::str) {
        const auto& s = *static_cast<const go_string*>(at);
        if (s.data == nullptr && s.length != 0) {
            to += "nil/";
            append_number(to, static_cast<std::uint64_t>(s.length));
            return;
        }
    }
    append_hex(to, canonical_bytes(t, at));
}

void machine::append_bucket(std::string& to, char array, std::size_t index, std::size_t position,
                            bmap* b, bmap* first, unsigned B, bool raw) const {
    to += array;
    to += ' ';
    append_number(to, index);
    to += '.';
    append_number(to, position);
    to += ' ';
    if (raw) {
        const std::size_t offset = static_cast<std::size_t>(reinterpret_cast<const char*>(b) -
                                                            reinterpret_cast<const char*>(first)) /
                                   type.layout.bucket_size;
        if (position == 0) {
            to += "h ";
        } else if (reinterpret_cast<std::uintptr_t>(b) >= reinterpret_cast<std::uintptr_t>(first) &&
                   offset < core_.all_buckets(B)) {
            to += 'p';
            append_number(to, offset - (std::size_t{1} << B));
            to += ' ';
        } else {
            to += "x ";
        }
    }
    append_hex(to, {reinterpret_cast<const char*>(b->tophash), cells});
    for (unsigned i = 0; i < cells; ++i) {
        if (!raw && b->tophash[i] < min_top_hash) continue;
        to += ' ';
        append_number(to, i);
        to += ':';
        append_cell_text(to, type.key, type.layout.indirect_key, core_.key_cell(b, i));
        to += '=';
        append_cell_text(to, type.elem, type.layout.indirect_elem, core_.elem_cell(b, i));
    }
    to += '\n';
}

void machine::append_array(std::string& to, char array, bmap* first, unsigned B, bool raw) const {
    for (std::size_t index = 0; index < std::size_t{1} << B; ++index) {
        std::size_t position = 0;
        for (bmap* b = core_.bucket(first, index); b != nullptr; b = core_.overflow(b)) {
            append_bucket(to, array, index, position++, b, first, B, raw);
            if (!raw && go::internal::is_evacuated(b)) break;
        }
    }
}

/// The lines from H to the last bucket, and their hash.
std::string machine::dump(bool raw, std::uint64_t* hash) const {
    const auto& h = *core_.h;
    std::string text = "H " + header(raw) + '\n';
    if (raw) {
        text += fmt::format("R hash0={:08x} fastrand={:016x}\n", h.hash0, draws.state());
        const auto* extra = h.extra;
        text += fmt::format("X extra={:d} overflow={} oldoverflow={}\n", extra != nullptr,
                            list_text(extra != nullptr ? extra->overflow : nullptr),
                            list_text(extra != nullptr ? extra->oldoverflow : nullptr));
    }
    if (h.buckets != nullptr) append_array(text, 'N', h.buckets, h.B, raw);
    if (h.oldbuckets != nullptr) append_array(text, 'O', h.oldbuckets, core_.old_B(), raw);
    if (hash != nullptr) {
        fnv f;
        f.absorb(text);
        *hash = f.value();
    }
    return text;
}

std::uint64_t machine::dump_hash() const {
    std::uint64_t hash;
    static_cast<void>(dump(false, &hash));
    return hash;
}

bool machine::stats() {
    const auto& h = *core_.h;
    std::uint64_t entries = 0, moved = 0, longest = 0;
    std::uint64_t overflow_new = 0, overflow_old = 0;
    const auto count_chain = [&](bmap* head, std::size_t index, std::size_t mask,
                                 std::uint64_t& overflow_buckets) {
        std::uint64_t length = 0;
        bool right = true;
        for (bmap* b = head; b != nullptr; b = core_.overflow(b)) {
            if (b != head) ++length;
            for (unsigned i = 0; i < cells; ++i) {
                if (b->tophash[i] < min_top_hash) continue;
                ++entries;
                const void* const key = core_.key_at(b, i);
                if (!type.layout.reflexive && !core_.t.equals_itself(key)) continue;
                const std::uint64_t hash = core_.t.hash(key, h.hash0);
                right = right && (hash & mask) == index &&
                        go::internal::top_hash(hash) == b->tophash[i];
            }
        }
        overflow_buckets += length;
        if (length > longest) longest = length;
        return right;
    };
    bool right = true;
    if (h.buckets != nullptr) {
        for (std::size_t i = 0; i < h.bucket_count(); ++i) {
            right &= count_chain(core_.bucket(h.buckets, i), i, h.bucket_mask(), overflow_new);
        }
    }
    if (h.growing()) {
        const std::size_t old_buckets = h.old_bucket_count();
        for (std::size_t i = 0; i < old_buckets; ++i) {
            bmap* const head = core_.bucket(h.oldbuckets, i);
            if (go::internal::is_evacuated(head)) {
                ++moved;
            } else {
                right &= count_chain(head, i, old_buckets - 1, overflow_old);
            }
        }
    }
    out +=
        fmt::format("stats live={} ovfnew={} ovfold={} maxchain={} evacuated={} grows={} same={}\n",
                    entries, overflow_new, overflow_old, longest, moved, grows_, same_);
    return right;
}

}  // namespace steady::cli::replay
