// http_request_test.cpp - what the debug server takes for a request, and what it refuses.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "steady/profile/detail/http_request.hpp"

namespace {

using namespace steady::web;
using verdict = parsed_request::verdict;

TEST(http_request, a_request_is_read_whole) {
    const std::string text =
        "GET /debug/pprof/heap?debug=1&seconds=3 HTTP/1.1\r\nhost:  localhost:6060 \r\n"
        "X-Other: 1\r\n\r\n";
    http_request r;
    const std::string with_the_next = text + "GET";
    const parsed_request p = parse_http_request(with_the_next, r);
    ASSERT_EQ(p.is, verdict::whole) << p.reason;
    EXPECT_EQ(p.length, text.size()) << "the next request begins behind it";
    EXPECT_EQ(r.method, "GET");
    EXPECT_EQ(r.path, "/debug/pprof/heap");
    EXPECT_EQ(r.query, "debug=1&seconds=3");
    EXPECT_EQ(r.host, "localhost:6060");
    EXPECT_TRUE(r.keep_alive);
}

TEST(http_request, no_prefix_of_a_request_is_a_request_or_a_mistake) {
    const std::string text =
        "POST /debug/pprof/symbol HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n0x4010";
    http_request r;
    for (std::size_t n = 0; n < text.size(); ++n) {
        EXPECT_EQ(parse_http_request(text.substr(0, n), r).is, verdict::more) << n;
    }
    ASSERT_EQ(parse_http_request(text, r).is, verdict::whole);
    EXPECT_EQ(r.body, "0x4010");
}

TEST(http_request, connections_are_kept_as_the_version_says) {
    const std::vector<std::pair<std::string, bool>> cases{
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.1\nHost: a\n\n", true},
    };
    for (const auto& [text, kept] : cases) {
        http_request r;
        ASSERT_EQ(parse_http_request(text, r).is, verdict::whole) << text;
        EXPECT_EQ(r.keep_alive, kept) << text;
    }
}

TEST(http_request, what_could_be_read_in_two_ways_is_refused) {
    const std::string long_line(longest_head, 'a');
    const std::vector<std::pair<std::string, int>> cases{
        {"GET /\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400},  // TLS, and no line end in sight
        {"GET  / HTTP/1.1\r\n\r\n", 400},
        {"GET / x HTTP/1.1\r\n\r\n", 400},
        {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", 400},
        {std::string("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29), 400},
        {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413},
        {"GET /" + long_line + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: " + long_line, 431},
    };
    for (const auto& [text, status] : cases) {
        http_request r;
        const parsed_request p = parse_http_request(text, r);
        EXPECT_EQ(p.is, verdict::refused) << text.substr(0, 80);
        EXPECT_EQ(p.status, status) << text.substr(0, 80) << ": " << p.reason;
        EXPECT_STRNE(p.reason, "");
    }
}

TEST(http_request, values_of_a_query_are_found_by_their_whole_name) {
    bool found = false;
    EXPECT_EQ(query_value("debug=1&seconds=30", "seconds", found), "30");
    EXPECT_TRUE(found);
    EXPECT_EQ(query_value("xseconds=30&seconds", "seconds", found), "");
    EXPECT_TRUE(found);
    EXPECT_EQ(query_value("second=30", "seconds", found), "");
    EXPECT_FALSE(found);
    EXPECT_EQ(number_in("30", 7), 30u);
    EXPECT_EQ(number_in("", 7), 7u);
    EXPECT_EQ(number_in("3s", 7), 7u);
    EXPECT_EQ(number_in("-3", 7), 7u);
}

TEST(http_request, only_addresses_and_localhost_are_hosts_that_cannot_be_pointed_here) {
    for (const char* host :
         {"localhost", "LOCALHOST:6060", "127.0.0.1:6060", "10.1.2.3", "[::1]:6060", ""})
        EXPECT_TRUE(host_is_an_address(host)) << host;
    for (const char* host : {"evil.example", "127.0.0.1.evil.example", "1.2.3", "localhost.evil",
                             "1.2.3.4.5:80", "1.2.3.x"})
        EXPECT_FALSE(host_is_an_address(host)) << host;
}

}  // namespace
