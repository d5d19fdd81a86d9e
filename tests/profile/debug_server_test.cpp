// debug_server_test.cpp - the debug server inside this process: what it says, and what it
// stands. Invariants DS1-DS4 are in debug_server.hpp.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "http_client.hpp"
#include "steady/heap/heap.hpp"
#include "steady/profile/debug_server.hpp"
#include "steady/profile/memstats.hpp"
#include "steady/profile/profile.hpp"
#include "support.hpp"

namespace {

using namespace steady::profile::test;
using steady::debug_server;
using steady::debug_server_options;
namespace profile = steady::profile;

debug_server_options quiet() {
    debug_server_options o;
    o.address = "127.0.0.1:0";
    return o;
}

/// A running server on a port of its own.
struct running_server {
    debug_server server;
    explicit running_server(const debug_server_options& o = quiet()) {
        EXPECT_TRUE(server.start(o)) << server.problem();
    }
    [[nodiscard]] std::string address() const { return server.address(); }
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// Objects that a heap profile at rate 1 must show.
struct some_objects {
    std::vector<void*> kept;
    some_objects() {
        profile::start();
        profile::set_rate(1);
        for (int i = 0; i < 100; ++i) kept.push_back(steady::allocate(1000));
    }
    ~some_objects() {
        for (void* p : kept) steady::deallocate(p);
        profile::set_rate(524288);
    }
};

unsigned threads_now() {
    unsigned n = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/self/task"))
        ++n;
    return n;
}

// ---- What it says.

TEST(debug_server, every_page_answers_with_its_type) {
    const some_objects objects;
    const running_server s;
    const std::vector<std::pair<std::string, std::string>> pages{
        {"/", "text/html; charset=utf-8"},
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8"},
        {"/memstats", "application/json"},
        {"/healthz", "application/json"},
        {"/debug/pprof/", "text/html; charset=utf-8"},
        {"/debug/pprof/heap", "application/octet-stream"},
        {"/debug/pprof/allocs", "application/octet-stream"},
        {"/debug/pprof/growth", "application/octet-stream"},
        {"/debug/pprof/retained", "application/octet-stream"},
        {"/debug/pprof/profile?seconds=1", "application/octet-stream"},
        {"/debug/pprof/heap?debug=1", "text/plain; charset=utf-8"},
        {"/debug/pprof/growth?debug=1", "text/plain; charset=utf-8"},
        {"/debug/pprof/cmdline", "text/plain; charset=utf-8"},
        {"/debug/pprof/symbol", "text/plain; charset=utf-8"},
        {"/debug/flame", "text/html; charset=utf-8"},
        {"/debug/steady/history", "application/json"},
        {"/debug/steady/statistics", "application/json"},
        {"/debug/steady/facts", "application/json"},
        {"/debug/steady/top", "application/json"},
    };
    for (const auto& [path, type] : pages) {
        const reply r = get(s.address(), path);
        EXPECT_EQ(r.status, 200) << path;
        EXPECT_EQ(r.header("Content-Type"), type) << path;
        EXPECT_FALSE(r.body.empty()) << path;
        EXPECT_EQ(r.header("X-Content-Type-Options"), "nosniff") << path;
    }
    EXPECT_EQ(get(s.address(), "/debug/pprof/heap").header("Content-Disposition"),
              "attachment; filename=\"heap\"");
}

TEST(debug_server, profiles_are_those_of_the_heap) {
    const some_objects objects;
    const running_server s;
    const std::string text = get(s.address(), "/debug/pprof/heap?debug=1").body;
    EXPECT_TRUE(text.starts_with("heap profile: ")) << text.substr(0, 200);
    EXPECT_TRUE(contains(text, "@ heap/2\n")) << "twice the rate, as Go";
    EXPECT_TRUE(contains(text, "some_objects::some_objects")) << text.substr(0, 2000);
    EXPECT_TRUE(contains(text, "\n# runtime.MemStats\n# Alloc = "));

    temporary_file file(".pb.gz");
    file.write(get(s.address(), "/debug/pprof/heap").body);
    const outcome top = run(pprof + " -top -sample_index=inuse_space " + file.path());
    EXPECT_TRUE(contains(top.output, "some_objects")) << top.output;
}

TEST(debug_server, a_profile_over_seconds_is_what_changed_meanwhile) {
    const some_objects before;
    const running_server s;
    client c(s.address());
    c.send("GET /debug/pprof/allocs?seconds=1&debug=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::vector<void*> kept;
    std::atomic<bool> enough{false};
    std::thread during([&] {
        while (!enough) {
            kept.push_back(steady::allocate(3000));
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    });
    const reply r = c.receive();
    enough = true;
    during.join();
    for (void* p : kept) steady::deallocate(p);
    EXPECT_EQ(r.status, 200);
    EXPECT_TRUE(contains(r.body, "what_changed_meanwhile")) << r.body.substr(0, 1000);
    EXPECT_FALSE(contains(r.body, "some_objects::some_objects"))
        << "what was there before has not changed";
    EXPECT_EQ(get(s.address(), "/debug/pprof/heap?seconds=many").status, 400);
    EXPECT_EQ(get(s.address(), "/debug/pprof/heap?seconds=301").status, 400);
}

TEST(debug_server, the_command_line_is_as_go_writes_it) {
    const running_server s;
    std::ifstream in("/proc/self/cmdline", std::ios::binary);
    std::string expected{std::istreambuf_iterator<char>(in), {}};
    ASSERT_FALSE(expected.empty());
    expected.pop_back();  // Go joins with zero bytes and ends without one
    EXPECT_EQ(get(s.address(), "/debug/pprof/cmdline").body, expected);
}

TEST(debug_server, symbols_of_addresses_are_named) {
    const running_server s;
    EXPECT_EQ(get(s.address(), "/debug/pprof/symbol").body, "num_symbols: 1\n");
    char address[32];
    std::snprintf(address, sizeof address, "%p", reinterpret_cast<void*>(&::getpid));
    client c(s.address());
    c.send("POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
           std::to_string(std::string(address).size()) + "\r\n\r\n" + address);
    const reply r = c.receive();
    EXPECT_EQ(r.status, 200);
    EXPECT_TRUE(contains(r.body, "getpid")) << r.body;
}

TEST(debug_server, health_is_what_the_program_says) {
    running_server s;
    EXPECT_TRUE(contains(get(s.address(), "/healthz").body, "\"status\":\"ready\""));
    s.server.set_status("draining \"now\"");
    const reply r = get(s.address(), "/healthz");
    EXPECT_EQ(r.status, 503);
    EXPECT_TRUE(contains(r.body, "\"status\":\"draining \\\"now\\\"\"")) << r.body;
    s.server.set_status("ready");
    EXPECT_EQ(get(s.address(), "/healthz").status, 200);
}

TEST(debug_server, what_is_not_there_is_explained) {
    const running_server s;
    const reply r = get(s.address(), "/debug/pprof/gc");
    EXPECT_EQ(r.status, 404);
    EXPECT_TRUE(contains(r.body, "/debug/pprof/heap"));
    client c(s.address());
    c.send("DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const reply refused = c.receive();
    EXPECT_EQ(refused.status, 405);
    EXPECT_EQ(refused.header("Allow"), "GET, HEAD");
}

TEST(debug_server, a_page_of_another_site_is_not_served) {
    const running_server s;
    client c(s.address());
    c.send("GET /debug/pprof/cmdline HTTP/1.1\r\nHost: evil.example:6060\r\n\r\n");
    EXPECT_EQ(c.receive().status, 403);
}

TEST(debug_server, head_says_what_get_would_and_connections_are_kept) {
    const running_server s;
    client c(s.address());
    c.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const reply head = c.receive(true);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.header("Connection"), "keep-alive");
    const reply body = c.get("/healthz");
    EXPECT_EQ(std::to_string(body.body.size()), head.header("Content-Length"));
    // Three at once: answers come in the order of the requests, slow or not.
    const std::string host = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    c.send("GET /healthz" + host + "GET /debug/pprof/heap?debug=1" + host + "GET /nowhere" + host);
    EXPECT_TRUE(contains(c.receive().body, "ready"));
    EXPECT_TRUE(contains(c.receive().body, "heap profile"));
    EXPECT_EQ(c.receive().status, 404);
}

// ---- Statistics.

TEST(debug_server, memstats_add_up_as_gos_do) {
    const some_objects objects;
    const steady::go_memstats m = steady::read_memstats();
    EXPECT_EQ(m.Sys, m.HeapSys + m.StackSys + m.MSpanSys + m.MCacheSys + m.BuckHashSys + m.GCSys +
                         m.OtherSys);
    EXPECT_EQ(m.HeapSys, m.HeapInuse + m.HeapIdle);
    EXPECT_EQ(m.Alloc, m.HeapAlloc);
    EXPECT_EQ(m.HeapObjects, m.Mallocs - m.Frees);
    EXPECT_GE(m.HeapIdle, m.HeapReleased);
    EXPECT_GE(m.HeapInuse, m.HeapAlloc);
    EXPECT_GT(m.BuckHashSys, 0u) << "profiling runs, so its tables are there";
    std::uint64_t live = 0;
    for (const auto& line : m.BySize) live += (line.Mallocs - line.Frees) * line.Size;
    EXPECT_LE(live, m.HeapAlloc);
    EXPECT_GE(live, 100u * 1024);
    EXPECT_EQ(m.BySize[0].Size, 0u);
    EXPECT_EQ(m.BySize[1].Size, 8u);
    EXPECT_EQ(m.BySize[60].Size, 18432u) << "the table ends where Go's does";
}

// Go reads the answer into its own runtime.MemStats, refuses unknown fields, and writes it
// again: every byte must be as it was.
TEST(debug_server, memstats_are_gos_to_the_byte) {
    const std::string go = "/usr/lib/go-1.19/bin/go";
    if (!std::filesystem::exists(go)) GTEST_SKIP() << "no Go here";
    const some_objects objects;
    const running_server s;
    const std::string said = get(s.address(), "/memstats").body;
    temporary_file program(".go");
    program.write(R"(package main

import (
    "encoding/json"
    "os"
    "runtime"
)

func main() {
    var m runtime.MemStats
    d := json.NewDecoder(os.Stdin)
    d.DisallowUnknownFields()
    if err := d.Decode(&m); err != nil {
        panic(err)
    }
    out, err := json.Marshal(m)
    if err != nil {
        panic(err)
    }
    os.Stdout.Write(out)
}
)");
    temporary_file input(".json");
    input.write(said);
    const outcome again = run("GOCACHE=/tmp/steady-go-cache GOFLAGS=-mod=mod " + go + " run " +
                              program.path() + " < " + input.path());
    EXPECT_EQ(again.output, said);
}

// The parser of Prometheus' own Python client, which refuses what breaks the format; then
// the conventions it does not know.
TEST(debug_server, metrics_are_prometheus_text) {
    const some_objects objects;
    const running_server s;
    temporary_file file(".txt");
    file.write(get(s.address(), "/metrics").body);
    temporary_file script(".py");
    script.write(R"(import sys
try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    sys.exit(77)
seen = {}
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    assert family.name not in seen, family.name + ' stands twice'
    assert family.documentation, family.name + ' has no HELP'
    assert family.type in ('counter', 'gauge'), family.name + ' is ' + family.type
    assert family.samples, family.name + ' has no sample'
    for sample in family.samples:
        if family.type == 'counter':
            assert sample.name.endswith('_total'), sample.name
        else:
            assert not sample.name.endswith('_total'), sample.name
        assert sample.value >= 0, sample
    seen[family.name] = family.samples[0].value
for wanted in ('process_resident_memory_bytes', 'process_cpu_seconds', 'process_open_fds',
               'process_start_time_seconds', 'steady_heap_live_bytes', 'steady_heap_allocations',
               'steady_heap_class_allocations', 'steady_container_growth_steps',
               'steady_profile_samples', 'steady_build_info'):
    assert wanted in seen, wanted + ' is missing'
assert seen['steady_heap_live_bytes'] >= 102400
assert seen['process_resident_memory_bytes'] > 1000000
print('ok', len(seen))
)");
    const outcome parsed = run("/usr/bin/python3 " + script.path() + " " + file.path());
    if (WEXITSTATUS(parsed.status) == 77) GTEST_SKIP() << "no python3-prometheus-client here";
    EXPECT_TRUE(parsed.output.starts_with("ok ")) << parsed.output;
}

TEST(debug_server, the_history_goes_on_from_where_one_asks) {
    const running_server s;
    const std::string first = get(s.address(), "/debug/steady/history").body;
    EXPECT_TRUE(contains(first, "\"rows\":[[")) << "the first row is there at once: " << first;
    const std::size_t at = first.find("\"next\":");
    ASSERT_NE(at, std::string::npos);
    const int next = std::atoi(first.c_str() + at + 7);
    EXPECT_GE(next, 1);
    const std::string later =
        get(s.address(), "/debug/steady/history?after=" + std::to_string(next)).body;
    if (contains(later, "\"next\":" + std::to_string(next) + ",")) {
        EXPECT_TRUE(contains(later, "\"rows\":[]")) << later;
    }
}

// ---- Starting.

TEST(debug_server, a_port_in_use_is_named_and_the_program_goes_on) {
    const running_server first;
    debug_server second;
    debug_server_options o;
    const std::string taken = first.address();
    o.address = taken.c_str();
    EXPECT_FALSE(second.start(o));
    EXPECT_TRUE(contains(second.problem(), taken + " is in use")) << second.problem();
    EXPECT_TRUE(contains(second.problem(), "port 0")) << "what to do";
    EXPECT_FALSE(second.running());
    EXPECT_STREQ(second.address(), "");
    // The same object may try again.
    o.address = "127.0.0.1:0";
    EXPECT_TRUE(second.start(o)) << second.problem();
    EXPECT_STREQ(second.problem(), "");
    EXPECT_FALSE(second.start(o)) << "it runs already";
}

TEST(debug_server, bad_addresses_are_explained) {
    for (const char* address :
         {"", "x", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:80x", "host:80", "1.2.3:80",
          "[::1]80", "[]:80", "[127.0.0.1]:80", ":-1"}) {
        debug_server s;
        debug_server_options o;
        o.address = address;
        EXPECT_FALSE(s.start(o)) << address;
        EXPECT_TRUE(contains(s.problem(), "is no address with a port")) << s.problem();
        EXPECT_TRUE(contains(s.problem(), "127.0.0.1:6060")) << s.problem();
    }
}

TEST(debug_server, other_machines_are_served_only_when_that_is_said) {
    for (const char* address : {"0.0.0.0:0", "[::]:0"}) {
        debug_server s;
        debug_server_options o;
        o.address = address;
        EXPECT_FALSE(s.start(o));
        EXPECT_TRUE(contains(s.problem(), "other machines")) << s.problem();
        EXPECT_TRUE(contains(s.problem(), "http_any=1")) << s.problem();
    }
    debug_server s;
    debug_server_options o;
    o.address = "0.0.0.0:0";
    o.any_address = true;
    ASSERT_TRUE(s.start(o)) << s.problem();
    EXPECT_EQ(get(s.address(), "/healthz").status, 200);
}

TEST(debug_server, starting_and_stopping_leaves_nothing) {
    const auto descriptors = [] {
        unsigned n = 0;
        for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator("/proc/self/fd"))
            ++n;
        return n;
    };
    { const running_server warm_up; }
    const unsigned before = descriptors();
    for (int i = 0; i < 50; ++i) {
        const running_server s;
        EXPECT_EQ(get(s.address(), "/healthz").status, 200);
    }
    EXPECT_EQ(descriptors(), before);
    // Workers that were told to end may need a moment.
    for (int i = 0; i < 200 && threads_now() > 4; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_LE(threads_now(), 4u);
}

TEST(debug_server, stopping_does_not_wait_for_a_profile) {
    auto s = std::make_unique<running_server>();
    client c(s->address());
    c.send("GET /debug/pprof/heap?seconds=20 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto start = std::chrono::steady_clock::now();
    s.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    EXPECT_EQ(c.receive().status, 0);
}

// ---- Faults.

TEST(debug_server, malformed_and_oversized_requests_are_refused_and_the_next_is_served) {
    const running_server s;
    const std::vector<std::pair<std::string, int>> bad{
        {"\x16\x03\x01\x02", 400},  // TLS
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET /" + std::string(9000, 'x'), 431},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(9000, 'x'), 431},
        {"POST /debug/pprof/symbol HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", 413},
    };
    for (const auto& [text, status] : bad) {
        client c(s.address());
        c.send(text);
        const reply r = c.receive();
        EXPECT_EQ(r.status, status) << text.substr(0, 60);
        EXPECT_FALSE(r.body.empty());
        EXPECT_EQ(r.header("Connection"), "close");
        EXPECT_TRUE(c.ended());
    }
    // A client that floods is cut off, and neither blocks nor ends the server.
    client flood(s.address());
    const std::string megabyte(1 << 20, 'A');
    for (int i = 0; i < 20 && flood.send(megabyte); ++i) {
    }
    EXPECT_EQ(get(s.address(), "/healthz").status, 200);
}

TEST(debug_server, slow_clients_do_not_keep_others_out) {
    const running_server s;
    std::vector<client> slow;
    for (int i = 0; i < 300; ++i) {  // more than it has places for
        slow.emplace_back(s.address());
        ASSERT_TRUE(slow.back().connected()) << i;
        slow.back().send("G");
        if (i % 50 == 49) {
            EXPECT_EQ(get(s.address(), "/healthz").status, 200) << i;
        }
    }
    for (int i = 0; i < 20; ++i) EXPECT_EQ(get(s.address(), "/memstats").status, 200);
    // Clients that ask for much and read nothing.
    std::vector<client> deaf;
    for (int i = 0; i < 200; ++i) {
        deaf.emplace_back(s.address());
        for (int n = 0; n < 20; ++n) deaf.back().send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    EXPECT_EQ(get(s.address(), "/healthz").status, 200);
}

TEST(debug_server, a_request_that_never_ends_is_ended) {
    debug_server_options o = quiet();
    o.request_seconds = 1;
    const running_server s(o);
    client c(s.address());
    c.send("GET / HTTP/1.1\r\nHost: local");
    std::atomic<bool> done{false};
    // A byte now and then does not buy time.
    std::thread trickle([&] {
        while (!done) {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            if (!done) ::send(c.descriptor(), "h", 1, MSG_NOSIGNAL);
        }
    });
    const reply r = c.receive();
    done = true;
    trickle.join();
    EXPECT_EQ(r.status, 408);
}

TEST(debug_server, an_answer_that_nobody_reads_is_given_up) {
    debug_server_options o = quiet();
    o.answer_seconds = 1;
    const running_server s(o);
    client deaf(s.address());
    const int small = 4096;
    setsockopt(deaf.descriptor(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int n = 0; n < 200; ++n) deaf.send("GET /debug/flame HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // Once the server has let go of it, the kernel answers whatever arrives with a reset.
    bool cut_off = false;
    for (int i = 0; i < 100 && !cut_off; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        cut_off = !deaf.send("x");
    }
    EXPECT_TRUE(cut_off);
    EXPECT_EQ(get(s.address(), "/healthz").status, 200);
}

TEST(debug_server, more_profiles_at_once_than_workers_are_all_answered) {
    const some_objects objects;
    const running_server s;
    std::vector<client> timed;
    for (int i = 0; i < 20; ++i) {
        timed.emplace_back(s.address());
        timed.back().send("GET /debug/pprof/heap?seconds=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    // They wait; one worker is left for whoever wants a profile now.
    EXPECT_EQ(get(s.address(), "/debug/pprof/heap").status, 200);
    unsigned served = 0;
    unsigned refused = 0;
    for (client& c : timed) {
        const reply r = c.receive();
        served += r.status == 200;
        refused += r.status == 503;
        if (r.status == 503) {
            EXPECT_EQ(r.header("Retry-After"), "1");
        }
    }
    EXPECT_EQ(served + refused, 20u);
    EXPECT_EQ(served, 8u) << "half of the sixteen places are for those that wait";
}

TEST(debug_server, clients_that_vanish_leave_nothing) {
    const running_server s;
    for (int i = 0; i < 200; ++i) {
        client c(s.address());
        switch (i % 4) {
            case 0: break;
            case 1: c.send("GET / HT"); break;
            case 2: c.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); break;
            default:
                c.send("GET /debug/pprof/heap HTTP/1.1\r\nHost: localhost\r\n\r\n");
                const linger hard{1, 0};
                setsockopt(c.descriptor(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
    }
    EXPECT_EQ(get(s.address(), "/healthz").status, 200);
}

TEST(debug_server, a_forked_child_neither_serves_nor_hangs_nor_holds_the_port) {
    for (const bool own : {true, false}) {
        debug_server_options o = quiet();
        o.own_descriptors = own;
        auto s = std::make_unique<running_server>(o);
        const std::string address = s->address();
        client c(address);
        c.send("GET /debug/pprof/heap?seconds=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        int go[2];
        ASSERT_EQ(pipe2(go, O_CLOEXEC), 0);
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            if (s->server.running() || *s->server.address() != '\0') _exit(1);
            s->server.stop();
            s.reset();
#if !defined(__SANITIZE_THREAD__)  // which wants no threads in such a child
            debug_server mine;
            if (!mine.start(quiet())) _exit(2);  // one of its own works
            mine.stop();
#endif
            char ignored;
            if (read(go[0], &ignored, 1) != 1) _exit(3);
            _exit(0);
        }
        EXPECT_EQ(c.receive().status, 200) << "the parent's request goes on";
        s.reset();
        debug_server again;
        debug_server_options same = o;
        same.address = address.c_str();
        EXPECT_TRUE(again.start(same)) << "the child holds the port: " << again.problem();
        ASSERT_EQ(write(go[1], "x", 1), 1);
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
        close(go[0]);
        close(go[1]);
    }
}

// DS2. In a child process, because it closes everything.
int close_all_and_look(bool own) {
    debug_server_options o = quiet();
    o.own_descriptors = own;
    debug_server s;
    if (!s.start(o)) return 10;
    const std::string address = s.address();
    if (get(address, "/healthz").status != 200) return 11;
    client half(address);  // a connection in the middle of a request
    half.send("GET / HTTP/1.1\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    // The program closes everything from 3 on, and at once has files of its own there: at no
    // moment does one of these numbers name nothing.
    temporary_file file(".txt");
    file.write("untouched");
    const int mine_first = open(file.path().c_str(), O_RDWR | O_CLOEXEC);
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    const int end = limit.rlim_cur < 2000 ? static_cast<int>(limit.rlim_cur) : 2000;
    std::vector<int> mine;
    for (int n = end - 1; n >= 3; --n) {
        if (n == mine_first || dup3(mine_first, n, O_CLOEXEC) == n) mine.push_back(n);
    }
    if (mine.size() != static_cast<std::size_t>(end) - 3) return 12;
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    for (const int f : mine) {
        if (fcntl(f, F_GETFD) < 0) return 13;  // closed by the server
    }
    if (file.read() != "untouched") return 14;
    for (int i = 0; i < 16; ++i) close(mine[static_cast<std::size_t>(i)]);
    const bool serves = s.running();
    if (serves && get(address, "/healthz").status != 200) return 15;
    s.stop();
    return serves ? 1 : 2;
}

TEST(debug_server, a_program_that_closes_all_descriptors_closes_none_of_the_servers) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the thread sanitizer wants no threads in a forked child";
#endif
    for (const bool own : {true, false}) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(close_all_and_look(own));
        }
        int status = 0;
        waitpid(child, &status, 0);
        ASSERT_TRUE(WIFEXITED(status)) << status;
        EXPECT_EQ(WEXITSTATUS(status), own ? 1 : 2) << "1: it serves on; 2: it noticed and stopped";
    }
}

TEST(debug_server, the_program_sees_none_of_its_descriptors) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "descriptors are shared under the thread sanitizer";
#endif
    const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    const running_server s;
    EXPECT_EQ(get(s.address(), "/debug/pprof/heap").status, 200);
    const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    EXPECT_EQ(after, before) << "the lowest free number is as if there was no server";
}

TEST(debug_server, signals_of_the_program_are_not_its) {
    const running_server s;
    static std::atomic<int> elsewhere{0};
    static std::atomic<long> main_thread{0};
    main_thread = syscall(SYS_gettid);
    struct sigaction act {};
    struct sigaction old {};
    act.sa_handler = [](int) { elsewhere += syscall(SYS_gettid) != main_thread; };
    act.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &act, &old);
    for (int i = 0; i < 200; ++i) {
        kill(getpid(), SIGUSR1);
        if (i % 20 == 0) {
            EXPECT_EQ(get(s.address(), "/healthz").status, 200);
        }
    }
    sigaction(SIGUSR1, &old, nullptr);
    EXPECT_EQ(elsewhere, 0);
}

TEST(debug_server, threads_allocate_while_profiles_are_taken) {
    profile::start();
    profile::set_rate(4096);
    {
        const running_server s;
        std::atomic<bool> enough{false};
        std::vector<std::thread> workers;
        for (int t = 0; t < 4; ++t) {
            workers.emplace_back([&enough, t] {
                std::vector<void*> kept(200);
                for (std::size_t n = 0; !enough; ++n) {
                    void*& p = kept[n % kept.size()];
                    steady::deallocate(p);
                    p = steady::allocate(16 + (n * 37 + static_cast<std::size_t>(t)) % 3000);
                }
                for (void* p : kept) steady::deallocate(p);
            });
        }
        client c(s.address());
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(c.get("/debug/pprof/heap").status, 200);
            EXPECT_EQ(c.get("/metrics").status, 200);
            EXPECT_EQ(c.get("/debug/steady/top").status, 200);
        }
        enough = true;
        for (std::thread& w : workers) w.join();
    }
    profile::set_rate(524288);
}

}  // namespace
