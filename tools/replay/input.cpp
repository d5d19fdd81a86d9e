// input.cpp - see input.hpp. A directory opens like a file and fails at the first
// read, so it is the read that decides whether there is anything to do.
#include "replay/input.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "support/exit_code.hpp"

namespace steady::cli::replay {
namespace {

constexpr std::size_t block_size = 1 << 16;

struct closes_file {
    void operator()(std::FILE* file) const {
        if (file != stdin) std::fclose(file);
    }
};

[[noreturn]] void cannot_read(const std::string& name, int reason) {
    throw usage_error(
        fmt::format("replay: cannot read {}: {}; name a script, or - for standard "
                    "input",
                    name == "-" ? "standard input" : '\'' + name + '\'', std::strerror(reason)));
}

}  // namespace

std::string read_input(const std::string& name) {
    const std::unique_ptr<std::FILE, closes_file> file(
        name == "-" ? stdin : std::fopen(name.c_str(), "rb"));
    if (file == nullptr) cannot_read(name, errno);
    std::string text;
    for (std::size_t got = block_size; got == block_size;) {
        const std::size_t before = text.size();
        text.resize(before + block_size);
        got = std::fread(text.data() + before, 1, block_size, file.get());
        text.resize(before + got);
    }
    if (std::ferror(file.get()) != 0) cannot_read(name, errno);
    return text;
}

}  // namespace steady::cli::replay
