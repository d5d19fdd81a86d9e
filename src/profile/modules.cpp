// modules.cpp - asks the loader. The story is in modules.hpp.
#include "modules.hpp"

#include <cstddef>
#include <cstring>

#include <elf.h>
#include <link.h>
#include <unistd.h>

namespace steady::profile::detail {
namespace {

std::string own_path() {
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "program";
}

/// The hex digits of the NT_GNU_BUILD_ID note.
std::string build_id_of(const dl_phdr_info& info) {
    for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info.dlpi_phdr[i];
        if (segment.p_type != PT_NOTE) continue;
        const auto* at = reinterpret_cast<const char*>(info.dlpi_addr + segment.p_vaddr);
        const char* end = at + segment.p_memsz;
        const std::size_t step = segment.p_align == 8 ? 8 : 4;
        while (end - at >= static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
            ElfW(Nhdr) note;
            std::memcpy(&note, at, sizeof note);
            const char* name = at + sizeof note;
            const char* text = name + (note.n_namesz + step - 1) / step * step;
            at = text + (note.n_descsz + step - 1) / step * step;
            if (at > end) break;
            if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
                std::memcmp(name, "GNU", 4) != 0) {
                continue;
            }
            static constexpr char digits[] = "0123456789abcdef";
            std::string id;
            for (unsigned b = 0; b < note.n_descsz; ++b) {
                const auto byte = static_cast<unsigned char>(text[b]);
                id += digits[byte >> 4];
                id += digits[byte & 15];
            }
            return id;
        }
    }
    return {};
}

int add_module(dl_phdr_info* info, std::size_t size, void* list) {
    auto& out = *static_cast<module_list*>(list);
    if (size >= offsetof(dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs) {
        out.loads = info->dlpi_adds;
        out.unloads = info->dlpi_subs;
    }
    module m;
    m.bias = info->dlpi_addr;
    m.path = info->dlpi_name != nullptr ? info->dlpi_name : "";
    if (m.path.empty()) m.path = out.modules.empty() ? own_path() : "[anonymous library]";
    if (m.path == "linux-vdso.so.1") m.path = "[vdso]";
    m.build_id = build_id_of(*info);
    bool found = false;
    for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
        const std::uintptr_t start = info->dlpi_addr + segment.p_vaddr;
        constexpr std::uintptr_t in_page = 4095;
        if (!found) {
            m.start = start & ~in_page;
            m.file_offset = segment.p_offset & ~std::uint64_t{in_page};
        }
        m.limit = (start + segment.p_memsz + in_page) & ~in_page;
        found = true;
    }
    if (found || out.modules.empty()) out.modules.push_back(std::move(m));
    return 0;
}

}  // namespace

module_list read_modules() {
    module_list list;
    dl_iterate_phdr(&add_module, &list);
    return list;
}

}  // namespace steady::profile::detail
