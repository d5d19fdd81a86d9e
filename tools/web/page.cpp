// page.cpp - see page.hpp.
#include "web/page.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embedded/charts_script.hpp"
#include "embedded/page_style.hpp"
#include "embedded/uplot_script.hpp"
#include "embedded/uplot_style.hpp"
#include "support/exit_code.hpp"

namespace steady::cli::web {
namespace {

/// In a script element "</" would end it; JSON may spell it "<\/".
std::string for_script(std::string_view json) {
    std::string text;
    text.reserve(json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
        text += json[i];
        if (json[i] == '<' && i + 1 < json.size() && (json[i + 1] == '/' || json[i + 1] == '!')) {
            text += '\\';
        }
    }
    return text;
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string to_html(const page& parts) {
    std::string text;
    text += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    text += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    text += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    text += "<title>" + escaped(parts.title) + "</title>\n<style>\n";
    text += embedded::uplot_style;
    text += embedded::page_style;
    text += "</style>\n</head>\n<body>\n<main>\n";
    text += parts.body;
    text += "</main>\n<script type=\"application/json\" id=\"data\">";
    text += for_script(parts.data.empty() ? "{}" : parts.data);
    text += "</script>\n<script>\n";
    text += embedded::uplot_script;
    text += "\n</script>\n<script>\n";
    text += embedded::charts_script;
    text += parts.script;
    text += "</script>\n</body>\n</html>\n";
    return text;
}

std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            default: safe += c;
        }
    }
    return safe;
}

void require_writable(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0) {
        if (S_ISDIR(status.st_mode)) {
            throw usage_error(fmt::format(
                "the report cannot be written to '{}', a directory; name a file", path));
        }
        if (!S_ISREG(status.st_mode)) return;  // a device or pipe: written to as it is
    }
    const std::string folder = folder_of(path);
    if (access(folder.c_str(), W_OK | X_OK) != 0) {
        throw usage_error(
            fmt::format("the report cannot be written to '{}': {}; name another place", path,
                        std::strerror(errno)));
    }
}

void write_file(const std::string& path, std::string_view text) {
    const auto fail = [&](const char* what) {
        return check_failure(
            fmt::format("'{}' could not be {}: {}", path, what, std::strerror(errno)));
    };
    struct stat status {};
    const bool in_place = stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
    std::string target = in_place ? path : path + ".XXXXXX";
    const int file =
        in_place ? open(path.c_str(), O_WRONLY | O_CLOEXEC) : mkostemp(target.data(), O_CLOEXEC);
    if (file < 0) throw fail("written");
    bool written = true;
    while (!text.empty() && written) {
        const ssize_t count = write(file, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        written = count > 0;
        if (written) text.remove_prefix(static_cast<std::size_t>(count));
    }
    // mkostemp's files are their owner's alone; a report is as readable as others.
    if (written && !in_place) {
        const mode_t mask = umask(0);
        umask(mask);
        fchmod(file, 0666 & ~mask);
    }
    written = close(file) == 0 && written;
    if (written && !in_place) written = std::rename(target.c_str(), path.c_str()) == 0;
    if (written) return;
    const int problem = errno;
    if (!in_place) unlink(target.c_str());
    errno = problem;
    throw fail("written");
}

}  // namespace steady::cli::web
