// http_request.hpp - reads one HTTP/1.x request out of the bytes a client has sent.
//
//   GET /debug/pprof/heap?debug=1 HTTP/1.1\r\n     request line: method, target, version
//   Host: 127.0.0.1:6060\r\n                       headers
//   Content-Length: 4\r\n
//   \r\n
//   0x40                                           body, if any
//
// Strict where leniency has let one message be read as two (RFC 9112): a header with a
// space before its colon, a folded header, a Content-Length beside a Transfer-Encoding, or
// two different ones are refused. A line may end in LF alone, as the RFC allows.
//
// Nothing is copied and nothing allocated: all views point into the caller's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace steady::web {

inline constexpr std::size_t longest_head = std::size_t{8} << 10;
inline constexpr std::size_t longest_body = std::size_t{64} << 10;

struct http_request {
    std::string_view method;
    std::string_view path;   // "/debug/pprof/heap", not decoded
    std::string_view query;  // "debug=1"; empty without one
    std::string_view host;   // empty: none was given
    std::string_view body;
    bool keep_alive = false;
    bool expects_continue = false;  // asks for "100 Continue" before it sends the body
};

struct parsed_request {
    enum class verdict : std::uint8_t { more, whole, refused } is = verdict::more;
    std::size_t length = 0;  // whole: bytes of head and body
    bool head_is_whole = false;
    int status = 0;           // refused: the answer's status
    const char* reason = "";  // refused: what was wrong, for the client; static text
};

/// Reads the request at the start of `bytes`.
///
/// Returns    more: not all of it is there yet; whole: `out` is filled in; refused: never
///            will be one. A head longer than longest_head, and a body longer than
///            longest_body, are refused before they are there.
/// Cost       O(bytes); a request that arrives byte by byte is read anew each time, which
///            the limit of its length bounds.
[[nodiscard]] parsed_request parse_http_request(std::string_view bytes, http_request& out) noexcept;

/// The value of `name` in a query, not decoded: "seconds", "debug=1&seconds=30" -> "30".
/// The first one counts. `found` says whether it was there at all.
[[nodiscard]] std::string_view query_value(std::string_view query, std::string_view name,
                                           bool& found) noexcept;

/// A decimal number that is all of `text`; `otherwise` for anything else.
[[nodiscard]] std::uint64_t number_in(std::string_view text, std::uint64_t otherwise) noexcept;

/// A browser may be led to ask this server by a page of somebody else whose host name was
/// made to point here (DNS rebinding); its Host header then names that host. Addresses and
/// `localhost` cannot be made to point elsewhere.
[[nodiscard]] bool host_is_an_address(std::string_view host) noexcept;

}  // namespace steady::web
