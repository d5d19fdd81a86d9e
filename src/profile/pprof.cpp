// pprof.cpp - profile.proto, gzip'd.
//
//   Profile  1 sample_type  2 sample  3 mapping  4 location  5 function  6 string_table
//            7 drop_frames  9 time_nanos  10 duration_nanos  11 period_type  12 period  13 comment
//            14 default_sample_type
//   Sample   1 location_id (innermost first)  2 value  3 label
//   Label    1 key  2 str  3 num  4 num_unit
//   Mapping  1 id  2 start  3 limit  4 offset  5 filename  6 build_id  7-10 has_...
//   Location 1 id  2 mapping_id  3 address  4 line        Line  1 function_id  2 line
//   Function 1 id  2 name  3 system_name  4 filename  5 start_line
//
// The program is mapping 1, as pprof wants it. An address is one inside the call (return
// address - 1): a return address may belong to the next line or function.
//
// Source  github.com/google/pprof, proto/profile.proto.
#include <atomic>
#include <stdexcept>
#include <unordered_map>

#include <protozero/pbf_writer.hpp>
#include <zlib.h>

#include "collect.hpp"
#include "recorder.hpp"
#include "steady/profile/detail/unwind.hpp"
#include "symbols.hpp"

namespace steady::profile {

using namespace detail;

namespace {

constexpr value_type heap_types[] = {{"alloc_objects", "count"}, {"alloc_space", "bytes"},
                                     {"inuse_objects", "count"}, {"inuse_space", "bytes"},
                                     {"frag_space", "bytes"},    {"resident_space", "bytes"}};
constexpr value_type growth_types[] = {
    {"growths", "count"}, {"entries_moved", "count"}, {"grown", "bytes"}};
constexpr value_type retained_types[] = {{"views", "count"}, {"retained", "bytes"}};
constexpr value_type cpu_types[] = {{"samples", "count"}, {"cpu", "nanoseconds"}};

struct of_kind {
    const char* name;
    std::span<const value_type> types;
    const char* default_type;
    value_type period;
};
const of_kind& facts(kind what) noexcept {
    static constexpr of_kind all[] = {
        {"heap", heap_types, "inuse_space", {"space", "bytes"}},
        {"allocs", heap_types, "alloc_space", {"space", "bytes"}},
        {"growth", growth_types, "grown", {"growths", "count"}},
        {"retained", retained_types, "retained", {"views", "count"}},
        {"cpu", cpu_types, "cpu", {"cpu", "nanoseconds"}},
    };
    return all[static_cast<std::size_t>(what)];
}

class strings {
public:
    strings() { index_of(""); }  // string 0 is empty
    std::int64_t index_of(const std::string& text) {
        const auto [place, fresh] =
            places_.try_emplace(text, static_cast<std::int64_t>(all_.size()));
        if (fresh) all_.push_back(&place->first);
        return place->second;
    }
    void write(protozero::pbf_writer& out) const {
        for (const std::string* s : all_) out.add_string(6, *s);
    }

private:
    std::unordered_map<std::string, std::int64_t> places_;
    std::vector<const std::string*> all_;
};

void write_type(protozero::pbf_writer& out, protozero::pbf_tag_type field, strings& s,
                const value_type& type) {
    protozero::pbf_writer message(out, field);
    message.add_int64(1, s.index_of(type.type));
    message.add_int64(2, s.index_of(type.unit));
}

/// Another library may lie where one was unloaded.
void forget_rules_of_unloaded(std::uint64_t unloads) noexcept {
    static constinit std::atomic<std::uint64_t> seen{0};
    if (seen.exchange(unloads, std::memory_order_relaxed) != unloads) forget_rules();
}

/// Below these, stacks are the allocator's own. pprof cuts them off a profile that it
/// symbolises itself; where names are known, first_frame() has done it.
constexpr const char* entries_of_the_allocator =
    "malloc|calloc|realloc|reallocarray|posix_memalign|aligned_alloc|memalign|operator new.*|"
    "steady::(heap::)?allocate|steady::reallocate|steady::try_grow|steady::grow_in_place";

constexpr const char* not_sampled = "[not sampled]";

/// The addresses of a collection, numbered, and what they mean.
struct places {
    std::unordered_map<std::uintptr_t, std::uint64_t> ids;  // from 1
    std::vector<std::uintptr_t> addresses;
    module_list modules;
    std::vector<lines> meaning;  // empty unless symbolised

    places(const collection& c, bool symbolize) {
        for (const raw_sample& s : c.samples) {
            if (s.where == nullptr) continue;
            for (std::size_t i = 0; i < s.where->depth; ++i) {
                const std::uintptr_t a = s.where->frames[i];
                if (ids.try_emplace(a, addresses.size() + 1).second) addresses.push_back(a);
            }
        }
        modules = read_modules();
        forget_rules_of_unloaded(modules.unloads);
        if (symbolize) meaning = find_lines(addresses, modules);
    }

    /// The innermost frame that is shown: the allocator's own say nothing.
    [[nodiscard]] std::size_t first_frame(const site& s) const {
        if (meaning.empty() || s.what == domain::cpu) return 0;
        for (std::size_t i = 0; i < s.depth; ++i) {
            const lines& l = meaning[ids.at(s.frames[i]) - 1];
            if (l.empty() || !is_plumbing(l.front().function)) return i;
        }
        return 0;
    }
};

class profile_writer {
public:
    profile_writer(kind what, const collection& c, const places& p, bool symbolize)
        : what_(what), facts_(facts(what)), collection_(c), places_(p), symbolize_(symbolize) {}

    std::string write() {
        protozero::pbf_writer out(bytes_);
        for (const value_type& t : facts_.types) write_type(out, 1, strings_, t);
        for (const raw_sample& s : collection_.samples) write_sample(out, s);
        write_mappings(out);
        write_locations(out);
        if (has_rest_) write_rest_location(out);
        if (!symbolize_ && what_ != kind::cpu)
            out.add_int64(7, strings_.index_of(entries_of_the_allocator));
        out.add_int64(9, collection_.time_ns);
        if (collection_.duration_ns != 0) out.add_int64(10, collection_.duration_ns);
        write_type(out, 11, strings_, facts_.period);
        out.add_int64(12, static_cast<std::int64_t>(collection_.period));
        for (const std::string& text : collection_.comments)
            out.add_int64(13, strings_.index_of(text));
        out.add_int64(14, strings_.index_of(facts_.default_type));
        strings_.write(out);  // last: everything above has named its strings
        return std::move(bytes_);
    }

private:
    void write_label(protozero::pbf_writer& sample, const char* key, const char* text) {
        protozero::pbf_writer label(sample, 3);
        label.add_int64(1, strings_.index_of(key));
        label.add_int64(2, strings_.index_of(text));
    }

    void write_sample(protozero::pbf_writer& out, const raw_sample& s) {
        protozero::pbf_writer sample(out, 2);
        if (s.where == nullptr) {
            has_rest_ = true;
            protozero::packed_field_uint64 ids(sample, 1);
            ids.add_element(rest_location());
        } else {
            protozero::packed_field_uint64 ids(sample, 1);
            for (std::size_t i = places_.first_frame(*s.where); i < s.where->depth; ++i)
                ids.add_element(places_.ids.at(s.where->frames[i]));
        }
        {
            protozero::packed_field_int64 values(sample, 2);
            for (std::size_t i = 0; i < facts_.types.size(); ++i) values.add_element(s.values[i]);
        }
        if (s.where == nullptr) return;
        if (s.where->size != 0) {
            protozero::pbf_writer label(sample, 3);
            label.add_int64(1, strings_.index_of("bytes"));
            label.add_int64(3, static_cast<std::int64_t>(s.where->size));
            label.add_int64(4, strings_.index_of("bytes"));
        }
        if (const label_set* l = s.where->labels) {
            for (std::uint32_t i = 0; i < l->count; ++i)
                write_label(sample, l->pairs[i].key, l->pairs[i].text);
        }
        if (s.where->detail != nullptr) write_label(sample, "container", s.where->detail);
        if (s.where->cut != 0) write_label(sample, "stack", "cut");
    }

    void write_mappings(protozero::pbf_writer& out) {
        std::uint64_t id = 0;
        for (const module& m : places_.modules.modules) {
            protozero::pbf_writer mapping(out, 3);
            mapping.add_uint64(1, ++id);
            mapping.add_uint64(2, m.start);
            mapping.add_uint64(3, m.limit);
            mapping.add_uint64(4, m.file_offset);
            mapping.add_int64(5, strings_.index_of(m.path));
            mapping.add_int64(6, strings_.index_of(m.build_id));
            if (!symbolize_) continue;
            for (const protozero::pbf_tag_type has : {7u, 8u, 9u, 10u}) mapping.add_bool(has, true);
        }
    }

    void write_locations(protozero::pbf_writer& out) {
        const module* first = places_.modules.modules.data();
        for (std::size_t i = 0; i < places_.addresses.size(); ++i) {
            const std::uintptr_t address = places_.addresses[i];
            std::vector<std::pair<std::uint64_t, std::int64_t>> numbered;
            if (symbolize_) {
                for (const line& l : places_.meaning[i])
                    numbered.emplace_back(function_id(out, l), l.number);
            }
            protozero::pbf_writer location(out, 4);
            location.add_uint64(1, i + 1);
            if (const module* m = places_.modules.find(address))
                location.add_uint64(2, static_cast<std::uint64_t>(m - first) + 1);
            location.add_uint64(3, address);
            for (const auto& [function, number] : numbered) {
                protozero::pbf_writer one(location, 4);
                one.add_uint64(1, function);
                one.add_int64(2, number);
            }
        }
    }

    /// The one of the objects that no sample stands for, behind those with an address.
    [[nodiscard]] std::uint64_t rest_location() const { return places_.addresses.size() + 1; }

    void write_rest_location(protozero::pbf_writer& out) {
        line l;
        l.function = not_sampled;
        const std::uint64_t function = function_id(out, l);
        protozero::pbf_writer location(out, 4);
        location.add_uint64(1, rest_location());
        protozero::pbf_writer one(location, 4);
        one.add_uint64(1, function);
    }

    std::uint64_t function_id(protozero::pbf_writer& out, const line& l) {
        const std::string& system = l.system_name.empty() ? l.function : l.system_name;
        const auto [place, fresh] =
            functions_.try_emplace(system + '\n' + l.file, functions_.size() + 1);
        if (!fresh) return place->second;
        protozero::pbf_writer function(out, 5);
        function.add_uint64(1, place->second);
        function.add_int64(2, strings_.index_of(l.function));
        function.add_int64(3, strings_.index_of(system));
        function.add_int64(4, strings_.index_of(l.file));
        function.add_int64(5, l.start);
        return place->second;
    }

    kind what_;
    const of_kind& facts_;
    const collection& collection_;
    const places& places_;
    bool symbolize_;
    bool has_rest_ = false;  // a sample that is nobody's
    std::string bytes_;
    strings strings_;
    std::unordered_map<std::string, std::uint64_t> functions_;
};

std::string gzip(const std::string& plain) {
    z_stream z{};
    constexpr int with_gzip_header = 16 + MAX_WBITS;
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, with_gzip_header, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc();
    std::string out(deflateBound(&z, plain.size()), '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    z.avail_in = static_cast<uInt>(plain.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

}  // namespace

const char* name(kind what) noexcept {
    return facts(what).name;
}

std::span<const value_type> value_types(kind what) noexcept {
    return facts(what).types;
}

std::string write_pprof(kind what, const options& how) {
    const collection c = collect(what, how);
    const places p(c, how.symbolize);
    return gzip(profile_writer(what, c, p, how.symbolize).write());
}

std::vector<stack_record> snapshot(kind what, const options& how) {
    const collection c = collect(what, how);
    const places p(c, how.symbolize);
    std::vector<stack_record> out;
    out.reserve(c.samples.size());
    for (const raw_sample& s : c.samples) {
        stack_record r;
        r.values.assign(s.values, s.values + facts(what).types.size());
        if (s.where == nullptr) {
            frame f;
            f.function = not_sampled;
            r.frames.push_back(std::move(f));
            out.push_back(std::move(r));
            continue;
        }
        for (std::size_t i = p.first_frame(*s.where); i < s.where->depth; ++i) {
            const std::uintptr_t address = s.where->frames[i];
            const module* m = p.modules.find(address);
            frame f;
            f.address = address;
            if (m != nullptr) f.module = m->path;
            const lines* meaning = how.symbolize ? &p.meaning[p.ids.at(address) - 1] : nullptr;
            if (meaning == nullptr || meaning->empty()) {
                r.frames.push_back(std::move(f));
                continue;
            }
            for (const line& l : *meaning) {
                f.function = l.function;
                f.file = l.file;
                f.line = l.number;
                f.inlined = &l != &meaning->back();
                r.frames.push_back(f);
            }
        }
        if (s.where->size != 0)
            r.labels.push_back({"bytes", "", static_cast<std::int64_t>(s.where->size), "bytes"});
        if (const label_set* l = s.where->labels) {
            for (std::uint32_t i = 0; i < l->count; ++i)
                r.labels.push_back({l->pairs[i].key, l->pairs[i].text, 0, ""});
        }
        if (s.where->detail != nullptr) r.labels.push_back({"container", s.where->detail, 0, ""});
        out.push_back(std::move(r));
    }
    return out;
}

}  // namespace steady::profile
