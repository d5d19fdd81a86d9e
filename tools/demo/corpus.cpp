// corpus.cpp - see corpus.hpp. Names and listings live in the corpus's own
// pages, never in the system heap, which is one of the two heaps measured later
// (support/plain_pages.hpp).
#include "demo/corpus.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/exit_code.hpp"
#include "support/format.hpp"
#include "support/interrupt.hpp"

namespace steady::cli::demo {
namespace {

constexpr std::size_t first_block = 4096;  // binary or not is decided on this much
constexpr std::size_t read_block = 1 << 20;
constexpr std::uint64_t files_between_progress = 64;

enum class entry_kind { file, directory, other };

struct entry {
    std::pmr::string name;
    entry_kind kind;
};

/// What a directory entry is, without following links. Some file systems leave
/// d_type unknown; then the inode is asked.
entry_kind kind_of(const dirent& found, int directory) {
    if (found.d_type == DT_REG) return entry_kind::file;
    if (found.d_type == DT_DIR) return entry_kind::directory;
    if (found.d_type != DT_UNKNOWN) return entry_kind::other;
    struct stat status {};
    if (fstatat(directory, found.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return entry_kind::other;
    }
    return S_ISREG(status.st_mode)   ? entry_kind::file
           : S_ISDIR(status.st_mode) ? entry_kind::directory
                                     : entry_kind::other;
}

class reader {
public:
    reader(corpus& into, progress_line& progress) : into_(into), progress_(progress) {}

    /// Reads one argument of the command line, up to `budget` bytes.
    void read_argument(const std::string& path, std::uint64_t budget) {
        end_ = into_.text.size() + budget;
        if (path == "-") return read_open_file(STDIN_FILENO, path);
        struct stat status {};
        if (stat(path.c_str(), &status) != 0) {
            if (errno == ENOENT || errno == ENOTDIR) {
                throw usage_error(fmt::format(
                    "'{}' is neither a file nor a directory; name text files to index", path));
            }
            return note_unreadable(path, errno);
        }
        if (S_ISDIR(status.st_mode)) return read_directory(path);
        if (S_ISSOCK(status.st_mode)) return note_unreadable(path, ENXIO);
        read_file(path);
    }

private:
    bool full() {
        if (into_.text.size() < end_) return false;
        into_.limit_reached = true;
        return true;
    }

    void note_unreadable(std::string_view path, int error) {
        into_.unreadable.push_back({std::pmr::string(path, &into_.memory), strerrordesc_np(error)});
    }

    void read_directory(std::string_view path) {
        check_interrupt();
        // A listing lives as long as its directory is being walked, and no longer.
        page_resource memory;
        std::pmr::string place(path, &memory);
        DIR* directory = opendir(place.c_str());
        if (directory == nullptr) return note_unreadable(path, errno);
        std::pmr::vector<entry> entries(&memory);
        while (const dirent* found = readdir(directory)) {
            const std::string_view name = found->d_name;
            if (name == "." || name == "..") continue;
            entries.push_back({std::pmr::string(name, &memory), kind_of(*found, dirfd(directory))});
        }
        closedir(directory);
        std::sort(entries.begin(), entries.end(),
                  [](const entry& a, const entry& b) { return a.name < b.name; });
        if (!place.ends_with('/')) place += '/';
        const std::size_t prefix = place.size();
        for (const entry& found : entries) {
            if (full()) return;
            place.resize(prefix);
            place += found.name;
            if (found.kind == entry_kind::directory) {
                read_directory(place);
            } else if (found.kind == entry_kind::file) {
                read_file(place);
            } else {
                ++into_.special;
            }
        }
    }

    void read_file(std::string_view path) {
        check_interrupt();
        if (path.ends_with(".gz")) {
            ++into_.compressed;
            return;
        }
        if (full()) return;
        const int file = open(std::pmr::string(path, &into_.memory).c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) return note_unreadable(path, errno);
        read_open_file(file, path);
        close(file);
    }

    /// Appends the file to the text, or nothing of it when it turns out to be
    /// binary or stops being readable halfway.
    void read_open_file(int file, std::string_view path) {
        const std::size_t start = into_.text.size();
        bool judged = false;
        while (!full()) {
            const std::size_t wanted = std::min<std::uint64_t>(judged ? read_block : first_block,
                                                               end_ - into_.text.size());
            char* room = into_.text.make_room(wanted);
            const ssize_t got = ::read(file, room, wanted);
            check_interrupt();
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) {
                note_unreadable(path, errno);
                into_.text.shrink_to(start);
                return;
            }
            if (got == 0) break;
            if (!judged && std::memchr(room, '\0', static_cast<std::size_t>(got)) != nullptr) {
                ++into_.binary;
                return;
            }
            judged = true;
            into_.text.append_from_room(static_cast<std::size_t>(got));
        }
        *into_.text.make_room(1) = '\n';  // the last word of one file is not the first of the next
        into_.text.append_from_room(1);
        if (++into_.files % files_between_progress == 0 && progress_.visible()) {
            progress_.show(fmt::format("reading: {}, {}", count_of(into_.files, "file"),
                                       format_bytes(static_cast<double>(into_.text.size()))));
        }
    }

    corpus& into_;
    progress_line& progress_;
    std::uint64_t end_ = 0;  // the text may grow up to here
};

}  // namespace

std::vector<std::string> default_sources() {
    std::vector<std::string> found;
    for (const char* path : {"/usr/include", "/usr/share/doc"}) {
        struct stat status {};
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) found.emplace_back(path);
    }
    return found;
}

void read_corpus(const std::vector<std::string>& arguments, std::uint64_t limit_bytes,
                 progress_line& progress, corpus& into) {
    into.limit_bytes = limit_bytes;
    reader files(into, progress);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::uint64_t left =
            limit_bytes - std::min<std::uint64_t>(limit_bytes, into.text.size());
        files.read_argument(arguments[i], left / (arguments.size() - i));
        into.sources.emplace_back(arguments[i]);
    }
    progress.wipe();
}

}  // namespace steady::cli::demo
