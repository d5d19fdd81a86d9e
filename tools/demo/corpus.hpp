// corpus.hpp - finds and reads the text files of `steady demo`.
//
//   argument      what happens
//   a file        read, whatever its name; a pipe is read to its end
//   a directory   walked in the order of names; symbolic links in it are not followed
//   -             standard input
//   (none)        /usr/include and /usr/share/doc, where they exist
//
// Left out and counted: binary files (a NUL in the first block), *.gz, and in
// directories whatever is no regular file. Files that cannot be read are
// reported with the reason. What remains is one text, a line end after each
// file, in memory before anything is timed.
//
// The limit is shared evenly among the arguments, and what one of them leaves
// unused goes to the next: a large first directory does not starve the others.
// A file that crosses the limit is read in part.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

#include "support/plain_pages.hpp"
#include "support/terminal.hpp"

namespace steady::cli::demo {

struct unreadable_file {
    std::pmr::string path;
    const char* reason;  // static text of strerror
};

struct corpus {
    page_resource memory;  // first, because the lists below are freed into it
    growing_bytes text;
    std::pmr::vector<std::pmr::string> sources{&memory};
    std::pmr::vector<unreadable_file> unreadable{&memory};
    std::uint64_t limit_bytes = 0;
    std::uint64_t files = 0;  // read, at least in part
    std::uint64_t binary = 0;
    std::uint64_t compressed = 0;  // *.gz
    std::uint64_t special = 0;     // devices, sockets, links inside directories
    bool limit_reached = false;
};

/// Reads everything `arguments` name, at most `limit_bytes` of it, into `into`.
///
/// Throws     usage_error for an argument that does not exist; stopped_by_signal.
/// Cost       the files are read once; directory listings are sorted.
void read_corpus(const std::vector<std::string>& arguments, std::uint64_t limit_bytes,
                 progress_line& progress, corpus& into);

/// The default arguments that exist on this machine.
std::vector<std::string> default_sources();

}  // namespace steady::cli::demo
