#include "run/program.hpp"

#include <elf.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace steady::cli::run {
namespace {

#if defined(__x86_64__)
constexpr unsigned this_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned this_machine = EM_AARCH64;
#endif

/// 0, or why exec would refuse the file.
int refusal(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return errno;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    return access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

std::vector<std::string> directories_of_path() {
    const char* path = std::getenv("PATH");
    const std::string_view text = path != nullptr ? path : "/bin:/usr/bin";  // as execvp
    std::vector<std::string> directories;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(':', at), text.size());
        // An empty entry is the current directory.
        directories.emplace_back(end == at ? "." : text.substr(at, end - at));
        at = end + 1;
    }
    return directories;
}

/// What happens to LD_PRELOAD when the kernel gives the program other rights than ours.
std::string why_protected(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return {};
    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) return "is setuid";
    const bool group_runs_it = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if (group_runs_it && status.st_gid != getgid()) return "is setgid";
    if (getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
        return "has file capabilities";
    }
    return {};
}

/// The path in the program's PT_INTERP: its dynamic loader. No value: it has none.
std::optional<std::string> loader_of(std::ifstream& file, const Elf64_Ehdr& header) {
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment{};
        file.seekg(static_cast<std::streamoff>(header.e_phoff + i * sizeof segment));
        if (!file.read(reinterpret_cast<char*>(&segment), sizeof segment)) return std::nullopt;
        if (segment.p_type != PT_INTERP) continue;
        std::string loader(std::min<std::size_t>(segment.p_filesz, 4096), '\0');
        file.seekg(static_cast<std::streamoff>(segment.p_offset));
        file.read(loader.data(), static_cast<std::streamsize>(loader.size()));
        return loader.substr(0, loader.find('\0'));
    }
    return std::nullopt;
}

/// glibc's dynamic loader, run as a program, has no loader itself and yet preloads.
bool is_the_loader(const std::string& path) {
    std::error_code unreadable;
    const auto file = std::filesystem::canonical(path, unreadable).filename().string();
    return file.starts_with("ld-linux");
}

std::string why_elf_fails(const std::string& path, std::ifstream& file) {
    Elf64_Ehdr header{};
    file.seekg(0);
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64) return "is a 32-bit program";
    if (header.e_machine != this_machine) return "is a program for another machine";
    const std::optional<std::string> loader = loader_of(file, header);
    if (!loader) return is_the_loader(path) ? "" : "is statically linked";
    if (loader->find("ld-musl") != std::string::npos) return "runs on musl, the library on glibc";
    return {};
}

/// The interpreter in a script's first line "#! path argument".
std::string interpreter_in(const std::string& first_line) {
    const std::size_t start = first_line.find_first_not_of(" \t", 2);
    if (start == std::string::npos) return {};
    return first_line.substr(start, first_line.find_first_of(" \t", start) - start);
}

}  // namespace

found_program find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        const int reason = refusal(name);
        return {reason == ENOENT || reason == ENOTDIR ? std::string() : name, reason, {}};
    }
    found_program found{{}, ENOENT, directories_of_path()};
    for (const std::string& directory : found.searched) {
        const std::string path = directory + "/" + name;
        const int reason = refusal(path);
        if (reason == 0) return {path, 0, {}};
        // Remembered, as execvp does: a program without permission is not "not found".
        if (reason == EACCES && found.reason == ENOENT) {
            found.path = path;
            found.reason = EACCES;
        }
    }
    return found;
}

std::string why_preload_fails(const std::string& path) {
    if (const std::string reason = why_protected(path); !reason.empty()) {
        return fmt::format("{} {}", path, reason);
    }
    std::ifstream file(path, std::ios::binary);
    char magic[SELFMAG] = {};
    if (!file.read(magic, sizeof magic)) return {};  // unreadable or tiny: exec will tell
    if (magic[0] == '#' && magic[1] == '!') {
        std::string line;
        file.seekg(0);
        std::getline(file, line);
        const std::string interpreter = interpreter_in(line);
        std::ifstream inner(interpreter, std::ios::binary);
        if (!inner.read(magic, sizeof magic) || std::memcmp(magic, ELFMAG, SELFMAG) != 0) return {};
        const std::string reason = why_elf_fails(interpreter, inner);
        return reason.empty() ? reason
                              : fmt::format("{}, which runs {}, {}", interpreter, path, reason);
    }
    if (std::memcmp(magic, ELFMAG, SELFMAG) != 0) return {};  // the shell will run it
    const std::string reason = why_elf_fails(path, file);
    return reason.empty() ? reason : fmt::format("{} {}", path, reason);
}

}  // namespace steady::cli::run
