// http_request_fuzz.cpp - whatever a client sends, the debug server's parser answers the
// same way however the bytes were cut into pieces:
//
//   more      for a prefix of what is whole or refused, or nothing yet
//   whole     views inside the bytes; more bytes behind them change nothing
//   refused   for good: more bytes do not make it right
//
// The parser is compiled in, so that the fuzzer sees its branches.
#include "../src/profile/server/http_request.cpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace steady::web;

void must(bool fine) {
    if (!fine) std::abort();
}

void inside(std::string_view part, std::string_view all) {
    if (part.empty()) return;
    must(part.data() >= all.data() && part.data() + part.size() <= all.data() + all.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    http_request r;
    const parsed_request all = parse_http_request(bytes, r);
    if (all.is == verdict::whole) {
        must(all.length <= bytes.size() && all.length <= longest_head + longest_body);
        for (const std::string_view part : {r.method, r.path, r.query, r.host, r.body})
            inside(part, std::string_view(bytes).substr(0, all.length));
        must(!r.path.empty() && r.path.front() == '/');
        http_request again;
        const std::string longer = bytes + "GET / HTTP/1.1\r\n";
        const parsed_request with_more = parse_http_request(longer, again);
        must(with_more.is == verdict::whole && with_more.length == all.length);
        must(again.method == r.method && again.path == r.path && again.body == r.body);
    }
    if (all.is == verdict::refused) {
        must(all.status >= 400 && all.status <= 505 && *all.reason != '\0');
        must(parse_http_request(bytes + "\r\n\r\n", r).is == verdict::refused);
    }
    // A prefix is never taken for something else than what it will be.
    const std::size_t end = all.is == verdict::whole ? all.length : bytes.size();
    const std::size_t step = end / 16 + 1;
    for (std::size_t n = 0; n < end; n += step) {
        const parsed_request part = parse_http_request(std::string_view(bytes).substr(0, n), r);
        must(part.is != verdict::whole || (all.is == verdict::whole && part.length == all.length));
        must(part.is != verdict::refused || all.is == verdict::refused);
    }
    bool found = false;
    inside(query_value(bytes, "seconds", found), bytes);
    static_cast<void>(number_in(bytes, 0));
    static_cast<void>(host_is_an_address(bytes));
    return 0;
}
