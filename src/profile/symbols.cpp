// symbols.cpp - libdw, loaded when it is needed. The story is in symbols.hpp.
#include "symbols.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unordered_map>

#include <cxxabi.h>
#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <unistd.h>

#include "recorder.hpp"
#include "steady/os/mutex.hpp"

namespace steady::profile::detail {
namespace {

// ---- The functions of libdw that are used here.

struct libdw {
#define STEADY_DW(name) decltype(&::name) name = nullptr;
#define STEADY_DW_ALL                       \
    STEADY_DW(dwfl_begin)                   \
    STEADY_DW(dwfl_end)                     \
    STEADY_DW(dwfl_report_begin)            \
    STEADY_DW(dwfl_report_elf)              \
    STEADY_DW(dwfl_report_end)              \
    STEADY_DW(dwfl_addrmodule)              \
    STEADY_DW(dwfl_module_addrinfo)         \
    STEADY_DW(dwfl_module_addrdie)          \
    STEADY_DW(dwfl_module_getsrc)           \
    STEADY_DW(dwfl_module_build_id)         \
    STEADY_DW(dwfl_lineinfo)                \
    STEADY_DW(dwfl_offline_section_address) \
    STEADY_DW(dwfl_build_id_find_elf)       \
    STEADY_DW(dwarf_getscopes)              \
    STEADY_DW(dwarf_getscopes_die)          \
    STEADY_DW(dwarf_tag)                    \
    STEADY_DW(dwarf_attr_integrate)         \
    STEADY_DW(dwarf_formstring)             \
    STEADY_DW(dwarf_formudata)              \
    STEADY_DW(dwarf_attr)                   \
    STEADY_DW(dwarf_getsrcfiles)            \
    STEADY_DW(dwarf_filesrc)                \
    STEADY_DW(dwarf_decl_line)
    STEADY_DW_ALL
#undef STEADY_DW

    bool load() {
        void* library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) return false;
#define STEADY_DW(name)                                             \
    name = reinterpret_cast<decltype(name)>(dlsym(library, #name)); \
    if (name == nullptr) return false;
        STEADY_DW_ALL
#undef STEADY_DW
        return true;
    }
};

/// Under `guard`. No local static: a child that was forked while it is made waits for ever.
const libdw* library() {
    static constinit bool tried = false;
    static constinit const libdw* loaded = nullptr;  // never destroyed: the last profile is
                                                     // written when the process ends
    if (tried) return loaded;
    auto d = std::make_unique<libdw>();
    if (d->load()) loaded = d.release();
    tried = true;
    return loaded;
}

/// "ns::f(int, char) const [clone .cold]" becomes "ns::f": lists of functions are read by
/// name. The system name keeps the rest.
std::string without_parameters(std::string name) {
    const auto ends_with = [&](const char* suffix) { return name.ends_with(suffix); };
    if (const std::size_t clone = name.find(" [clone"); clone != std::string::npos)
        name.resize(clone);
    for (const char* suffix : {" const", " volatile", " &", " &&"}) {
        if (ends_with(suffix)) name.resize(name.size() - std::strlen(suffix));
    }
    if (name.empty() || name.back() != ')') return name;
    std::size_t depth = 0;
    for (std::size_t i = name.size(); i-- > 0;) {
        if (name[i] == ')') ++depth;
        if (name[i] == '(' && --depth == 0) {
            if (i == 0 || name.compare(i, std::string::npos, "(anonymous namespace)") == 0 ||
                name.compare(0, i, "operator") == 0 ||
                (i >= 10 && name.compare(i - 10, 10, "::operator") == 0)) {
                return name;
            }
            name.resize(i);
            return name;
        }
    }
    return name;
}

std::string demangled(const char* name) {
    int status = 0;
    char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    if (status != 0 || text == nullptr) return name;
    std::string out = without_parameters(text);
    std::free(text);
    return out;
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
}

// ---- Debug files of stripped programs.

int find_debug_file(Dwfl_Module* m, void**, const char*, Dwarf_Addr, const char* file_name,
                    const char* debug_link, GElf_Word, char** found_name) {
    const auto open_it = [&](const std::string& path) {
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd >= 0) *found_name = strdup(path.c_str());
        return fd;
    };
    const unsigned char* id = nullptr;
    GElf_Addr where = 0;
    const int length = library()->dwfl_module_build_id(m, &id, &where);
    if (length > 2) {
        static constexpr char digits[] = "0123456789abcdef";
        std::string path = "/usr/lib/debug/.build-id/";
        for (int i = 0; i < length; ++i) {
            if (i == 1) path += '/';
            path += digits[id[i] >> 4];
            path += digits[id[i] & 15];
        }
        if (const int fd = open_it(path + ".debug"); fd >= 0) return fd;
    }
    if (debug_link == nullptr || file_name == nullptr) return -1;
    const std::string folder = folder_of(file_name);
    for (const std::string& path : {folder + "/" + debug_link, folder + "/.debug/" + debug_link,
                                    "/usr/lib/debug" + folder + "/" + debug_link}) {
        if (path == file_name) continue;
        if (const int fd = open_it(path); fd >= 0) return fd;
    }
    return -1;
}

class dwarf_session {
public:
    dwarf_session(const libdw& d, const module_list& modules) : d_(d) {
        static const Dwfl_Callbacks callbacks = {
            .find_elf = d.dwfl_build_id_find_elf,
            .find_debuginfo = &find_debug_file,
            .section_address = d.dwfl_offline_section_address,
            .debuginfo_path = nullptr,
        };
        dwfl_ = d_.dwfl_begin(&callbacks);
        if (dwfl_ == nullptr) return;
        d_.dwfl_report_begin(dwfl_);
        for (const module& m : modules.modules) {
            // Relative and odd names are not files: the vdso, memfd, deleted ones.
            if (m.path.empty() || m.path[0] != '/') continue;
            d_.dwfl_report_elf(dwfl_, m.path.c_str(), m.path.c_str(), -1, m.bias, false);
        }
        d_.dwfl_report_end(dwfl_, nullptr, nullptr);
    }
    ~dwarf_session() {
        if (dwfl_ != nullptr) d_.dwfl_end(dwfl_);
    }
    dwarf_session(const dwarf_session&) = delete;
    dwarf_session& operator=(const dwarf_session&) = delete;

    lines find(std::uintptr_t address) {
        lines out;
        Dwfl_Module* m = dwfl_ != nullptr ? d_.dwfl_addrmodule(dwfl_, address) : nullptr;
        if (m == nullptr) return out;
        line outermost;
        GElf_Off offset = 0;
        GElf_Sym symbol;
        if (const char* name =
                d_.dwfl_module_addrinfo(m, address, &offset, &symbol, nullptr, nullptr, nullptr)) {
            outermost.system_name = name;
            outermost.function = demangled(name);
        }
        std::string file;
        int number = 0;
        if (Dwfl_Line* source = d_.dwfl_module_getsrc(m, address)) {
            Dwarf_Addr at = 0;
            const char* path = d_.dwfl_lineinfo(source, &at, &number, nullptr, nullptr, nullptr);
            if (path != nullptr) file = path;
        }
        add_inlined(m, address, file, number, outermost, out);
        outermost.file = std::move(file);
        outermost.number = number;
        if (!outermost.function.empty() || !outermost.file.empty())
            out.push_back(std::move(outermost));
        return out;
    }

private:
    /// Appends a line for each inlined call; `file` and `number` become those of the call
    /// in the function that has a symbol.
    void add_inlined(Dwfl_Module* m, std::uintptr_t address, std::string& file, int& number,
                     line& outermost, lines& out) {
        Dwarf_Addr bias = 0;
        Dwarf_Die* unit = d_.dwfl_module_addrdie(m, address, &bias);
        if (unit == nullptr) return;
        Dwarf_Die* at = nullptr;
        if (d_.dwarf_getscopes(unit, address - bias, &at) <= 0) return;
        Dwarf_Die* scopes = nullptr;
        // getscopes() jumps from an inlined call to where it was defined; what is asked
        // here is where it was called.
        const int count = d_.dwarf_getscopes_die(&at[0], &scopes);
        for (int i = 0; i < count; ++i) {
            const int tag = d_.dwarf_tag(&scopes[i]);
            if (tag == DW_TAG_subprogram) {
                int start = 0;
                if (d_.dwarf_decl_line(&scopes[i], &start) == 0) outermost.start = start;
                if (outermost.function.empty()) name(scopes[i], outermost);
                break;
            }
            if (tag != DW_TAG_inlined_subroutine) continue;
            line one;
            name(scopes[i], one);
            one.file = file;
            one.number = number;
            out.push_back(std::move(one));
            Dwarf_Attribute attribute;
            Dwarf_Word call_line = 0, call_file = 0;
            if (d_.dwarf_formudata(d_.dwarf_attr(&scopes[i], DW_AT_call_line, &attribute),
                                   &call_line) == 0) {
                number = static_cast<int>(call_line);
            }
            if (d_.dwarf_formudata(d_.dwarf_attr(&scopes[i], DW_AT_call_file, &attribute),
                                   &call_file) == 0) {
                Dwarf_Files* files = nullptr;
                std::size_t files_count = 0;
                if (d_.dwarf_getsrcfiles(unit, &files, &files_count) == 0) {
                    if (const char* path = d_.dwarf_filesrc(files, call_file, nullptr, nullptr))
                        file = path;
                }
            }
        }
        std::free(scopes);
        std::free(at);
    }

    void name(Dwarf_Die& die, line& into) {
        Dwarf_Attribute attribute;
        const auto text_of = [&](unsigned what) {
            return d_.dwarf_formstring(d_.dwarf_attr_integrate(&die, what, &attribute));
        };
        const char* linkage = text_of(DW_AT_linkage_name);
        if (linkage == nullptr) linkage = text_of(DW_AT_MIPS_linkage_name);
        if (linkage != nullptr) {
            into.system_name = linkage;
            into.function = demangled(linkage);
        } else if (const char* plain = text_of(DW_AT_name)) {
            into.system_name = into.function = plain;
        }
        int start = 0;
        if (d_.dwarf_decl_line(&die, &start) == 0) into.start = start;
    }

    const libdw& d_;
    Dwfl* dwfl_ = nullptr;
};

lines find_dynamic(std::uintptr_t address) {
    lines out;
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(address), &info) == 0 || info.dli_sname == nullptr)
        return out;
    line one;
    one.system_name = info.dli_sname;
    one.function = demangled(info.dli_sname);
    out.push_back(std::move(one));
    return out;
}

// ---- What was found before.

struct known {
    std::unordered_map<std::uintptr_t, lines> by_address;
    std::uint64_t unloads = 0;
};
constexpr std::size_t most_known = 1u << 18;

constinit os::mutex guard;
constinit std::atomic<bool> in_use{false};
constinit known* the_known = nullptr;

}  // namespace

std::vector<lines> find_lines(std::span<const std::uintptr_t> addresses,
                              const module_list& modules) {
    const os::lock_guard only_one(guard);
    struct mark {
        mark() noexcept { in_use.store(true, std::memory_order_relaxed); }
        ~mark() { in_use.store(false, std::memory_order_relaxed); }
    } const changing;
    if (the_known == nullptr) the_known = new known;
    known& k = *the_known;
    if (k.unloads != modules.unloads || k.by_address.size() > most_known) k.by_address.clear();
    k.unloads = modules.unloads;

    std::vector<lines> out;
    out.reserve(addresses.size());
    std::unique_ptr<dwarf_session> session;
    for (const std::uintptr_t address : addresses) {
        auto found = k.by_address.find(address);
        if (found == k.by_address.end()) {
            lines l;
            if (const libdw* d = library()) {
                if (session == nullptr) session = std::make_unique<dwarf_session>(*d, modules);
                l = session->find(address);
            }
            if (l.empty()) l = find_dynamic(address);
            // Plumbing that was inlined into its caller: the caller is what is shown.
            const auto real = std::find_if(
                l.begin(), l.end(), [](const line& one) { return !is_plumbing(one.function); });
            if (real != l.end()) l.erase(l.begin(), real);
            found = k.by_address.emplace(address, std::move(l)).first;
        }
        out.push_back(found->second);
    }
    return out;
}

bool is_plumbing(const std::string& function) noexcept {
    static constexpr const char* begins[] = {
        "steady::detail::",      "steady::profile::detail::", "steady::hook<",      "operator new",
        "std::__new_allocator<", "__gnu_cxx::new_allocator<", "steady::allocator<",
    };
    static constexpr const char* all[] = {
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "posix_memalign",
        "aligned_alloc",
        "memalign",
        "steady::allocate",
        "steady::reallocate",
        "steady::try_grow",
        "steady::grow_in_place",
        "steady::heap::allocate",
    };
    for (const char* b : begins) {
        if (function.starts_with(b)) return true;
    }
    for (const char* a : all) {
        if (function == a) return true;
    }
    return false;
}

void forget_symbols_after_fork() noexcept {
    // Another thread was in the middle of it: its half-done table stays where it is.
    if (in_use.exchange(false, std::memory_order_relaxed)) the_known = nullptr;
    guard.reset_after_fork();
}

}  // namespace steady::profile::detail
