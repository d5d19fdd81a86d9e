// http_request.cpp - see http_request.hpp.
#include "steady/profile/detail/http_request.hpp"

#include <charconv>

namespace steady::web {
namespace {

using verdict = parsed_request::verdict;

parsed_request refused(int status, const char* reason) noexcept {
    return {verdict::refused, 0, false, status, reason};
}

bool is_token_char(char c) noexcept {
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
    return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view s) noexcept {
    if (s.empty()) return false;
    for (const char c : s) {
        if (!is_token_char(c)) return false;
    }
    return true;
}

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_word(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

std::string_view trimmed(std::string_view s) noexcept {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
}

/// Whether a comma-separated list holds `word`.
bool lists(std::string_view list, std::string_view word) noexcept {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        if (same_word(trimmed(list.substr(0, comma)), word)) return true;
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return false;
}

/// Takes one line, without its end, off the front of `rest`; false when no end is there.
bool take_line(std::string_view& rest, std::string_view& line) noexcept {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return false;
    line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return true;
}

/// Neither control characters nor a bare CR may stand in a line.
bool is_clean(std::string_view line) noexcept {
    for (const char c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\t') || byte == 0x7F) return false;
    }
    return true;
}

struct head_facts {
    bool has_length = false;
    std::uint64_t length = 0;
    bool has_coding = false;
    bool has_host = false;
    bool close = false;
    bool keep = false;
};

parsed_request read_header(std::string_view line, http_request& out, head_facts& facts) noexcept {
    constexpr parsed_request fine{};
    if (line.front() == ' ' || line.front() == '\t')
        return refused(400, "a header line begins with a space; folded headers are not taken");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return refused(400, "a header line has no colon");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_token(name))
        return refused(400, "a header name has characters that do not belong there");
    if (same_word(name, "content-length")) {
        std::uint64_t length = 0;
        const auto [end, problem] =
            std::from_chars(value.data(), value.data() + value.size(), length);
        if (value.empty() || problem != std::errc() || end != value.data() + value.size())
            return refused(400, "Content-Length is no number");
        if (facts.has_length && facts.length != length)
            return refused(400, "there are two different Content-Length headers");
        facts.has_length = true;
        facts.length = length;
    } else if (same_word(name, "transfer-encoding")) {
        facts.has_coding = true;
    } else if (same_word(name, "host")) {
        if (facts.has_host) return refused(400, "there are two Host headers");
        facts.has_host = true;
        out.host = value;
    } else if (same_word(name, "connection")) {
        facts.close = facts.close || lists(value, "close");
        facts.keep = facts.keep || lists(value, "keep-alive");
    } else if (same_word(name, "expect")) {
        out.expects_continue = same_word(value, "100-continue");
    }
    return fine;
}

parsed_request read_request_line(std::string_view line, http_request& out,
                                 bool& version_1_1) noexcept {
    constexpr parsed_request fine{};
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return refused(400, "the request line is not METHOD TARGET VERSION");
    out.method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    if (!is_token(out.method))
        return refused(400, "the method has characters that do not belong there");
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        if (version.starts_with("HTTP/")) return refused(505, "this server speaks HTTP/1.1");
        return refused(400, "the request line is not METHOD TARGET VERSION");
    }
    version_1_1 = version == "HTTP/1.1";
    if (target.empty() || target.front() != '/' || target.find(' ') != std::string_view::npos)
        return refused(400, "the target is no path");
    const std::size_t mark = target.find('?');
    out.path = target.substr(0, mark);
    out.query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    return fine;
}

}  // namespace

parsed_request parse_http_request(std::string_view bytes, http_request& out) noexcept {
    out = {};
    const std::string_view head = bytes.substr(0, longest_head);
    const auto unfinished = [&]() noexcept {
        if (bytes.size() >= longest_head)
            return refused(431, "the request line and headers are longer than 8 KiB");
        return parsed_request{};
    };
    // TLS, or no HTTP at all: no need to wait for a line end that will not come.
    if (!head.empty() && !is_token_char(head.front()) && head.front() != '\r' &&
        head.front() != '\n')
        return refused(400, "this is no HTTP request; the server speaks plain HTTP");
    std::string_view rest = head;
    std::string_view line;
    // An empty line before a request is tolerated: some clients end a body with one.
    do {
        if (!take_line(rest, line)) return unfinished();
    } while (line.empty());
    if (!is_clean(line)) return refused(400, "there are control characters in the request line");

    bool version_1_1 = false;
    if (const parsed_request r = read_request_line(line, out, version_1_1);
        r.is == verdict::refused)
        return r;
    head_facts facts;
    while (true) {
        if (!take_line(rest, line)) return unfinished();
        if (line.empty()) break;
        if (!is_clean(line)) return refused(400, "there are control characters in a header");
        if (const parsed_request r = read_header(line, out, facts); r.is == verdict::refused)
            return r;
    }
    if (facts.has_coding && facts.has_length)
        return refused(400, "there is a Content-Length beside a Transfer-Encoding");
    if (facts.has_coding) return refused(411, "send a Content-Length, not a Transfer-Encoding");
    if (version_1_1 && !facts.has_host) return refused(400, "there is no Host header");
    if (facts.length > longest_body) return refused(413, "the body is longer than 64 KiB");
    out.keep_alive = version_1_1 ? !facts.close : facts.keep && !facts.close;

    const std::size_t head_length = head.size() - rest.size();
    const std::size_t length = head_length + static_cast<std::size_t>(facts.length);
    if (bytes.size() < length) return {verdict::more, 0, true, 0, ""};
    out.body = bytes.substr(head_length, static_cast<std::size_t>(facts.length));
    return {verdict::whole, length, true, 0, ""};
}

std::string_view query_value(std::string_view query, std::string_view name, bool& found) noexcept {
    found = false;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = pair.find('=');
        if (pair.substr(0, equals) == name) {
            found = true;
            return equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
        }
        if (end == std::string_view::npos) break;
        query.remove_prefix(end + 1);
    }
    return {};
}

std::uint64_t number_in(std::string_view text, std::uint64_t otherwise) noexcept {
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || problem != std::errc() || end != text.data() + text.size())
        return otherwise;
    return value;
}

bool host_is_an_address(std::string_view host) noexcept {
    if (host.empty()) return true;  // HTTP/1.0: no browser of today
    if (host.front() == '[') return host.find(']') != std::string_view::npos;
    const std::string_view name = host.substr(0, host.find(':'));
    if (same_word(name, "localhost")) return true;
    // Four numbers: a name's last label is never all digits.
    unsigned dots = 0;
    for (const char c : name) {
        if (c == '.') {
            ++dots;
        } else if (c < '0' || c > '9') {
            return false;
        }
    }
    return dots == 3 && name.front() != '.' && name.back() != '.';
}

}  // namespace steady::web
