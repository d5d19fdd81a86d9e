// debug_server.hpp - the program tells about its memory over HTTP, to people and to the
// tools they have: a browser, `go tool pprof`, Prometheus, curl.
//
//   steady::debug_server server;
//   if (!server.start({.address = "127.0.0.1:6060"})) std::puts(server.problem());
//
//   STEADY_DEBUG=http=127.0.0.1:6060 PROGRAM          without a line of code
//   steady run --http 127.0.0.1:6060 -- PROGRAM       and without building anything
//
//   /                      a page for people: charts, top allocators, links
//   /debug/pprof/          heap allocs growth retained profile cmdline symbol, as in Go;
//                          ?debug=1 as text, ?seconds=N what changes meanwhile
//   /debug/flame           a flame graph of what is allocated and alive
//   /metrics               Prometheus          /memstats   Go's runtime.MemStats as JSON
//   /healthz               {"status": "ready"}
//
//      the program's threads              threads of the server
//      |  allocate, as ever  |            loop    accepts, reads, writes; never waits
//      |                     |            worker  profiles: 1 to 4, started when needed
//      file descriptors 0..n              file descriptors of their own (DS2)
//
// Invariants (tests/profile/debug_server_test.cpp)
//   DS1  The program never waits for the server: no lock of it is taken on a path of the
//        program, but for start(), stop() and fork().
//   DS2  The server's descriptors are in no table but its own threads' (close_range with
//        CLOSE_RANGE_UNSHARE). The program may close all descriptors it can count and
//        touches none of the server's; a forked child inherits none, so it neither serves
//        nor holds the port. Where the kernel refuses, they lie high in the program's table,
//        and each use asks first whether the number still names the server's socket.
//   DS3  Whatever clients do, time and memory are bounded: 128 connections, of which the
//        slowest goes when another comes; 8 KiB of headers, 64 KiB of body; 10 s for a
//        request to arrive, 120 s for its answer to leave.
//   DS4  /metrics, /memstats, /healthz and the data of the charts allocate nothing from the
//        heap they tell about.
//
// Why no library: see docs/design/debug-server.md. cpp-httplib allocates for each request
// from the heap it would report on, gives each connection a thread, and brings OpenSSL and
// brotli into every preloaded program.
#pragma once

#include <string_view>

namespace steady {

struct debug_server_options {
    /// ADDRESS:PORT with an address in digits or `localhost`; [ADDRESS]:PORT for IPv6; port 0
    /// takes any free one.
    const char* address = "127.0.0.1:6060";
    /// Also addresses that other machines reach. Profiles show what a program does and
    /// where: only for networks where everybody may know.
    bool any_address = false;
    /// One line on stderr with the address, or with the problem.
    bool announce = false;
    /// How long a client may take to send a request, and to take its answer.
    unsigned request_seconds = 10;
    unsigned answer_seconds = 120;
    /// DS2. For tests of the other way.
    bool own_descriptors = true;
};

/// One server. A program may have several, on different ports.
class debug_server {
public:
    constexpr debug_server() noexcept = default;
    ~debug_server() { stop(); }
    debug_server(const debug_server&) = delete;
    debug_server& operator=(const debug_server&) = delete;

    /// Opens the port and begins to serve. Starts to sample too, unless profilerate=0.
    ///
    /// Returns    false when that failed, and problem() says why and what to do; or when it
    ///            runs already.
    /// Cost       two threads; about 200 us, in which the caller waits.
    /// Threads    one at a time for one server.
    bool start(const debug_server_options& options = {}) noexcept;

    /// Closes the port and all connections. A profile that is being made is finished and
    /// thrown away, by its own thread: nobody waits for it.
    ///
    /// Cost       milliseconds. In a forked child, where nothing runs: nothing.
    void stop() noexcept;

    [[nodiscard]] bool running() const noexcept;
    /// "127.0.0.1:40123", with the port that was chosen; empty when it does not run.
    [[nodiscard]] const char* address() const noexcept;
    /// Why start() failed; empty after it succeeded.
    [[nodiscard]] const char* problem() const noexcept { return problem_; }

    /// What /healthz says. "ready" answers 200, anything else 503: set "starting" or
    /// "draining" and a load balancer keeps away. At most 63 bytes.
    ///
    /// Threads    any.
    void set_status(std::string_view status) noexcept;

private:
    struct handle;
    handle* handle_ = nullptr;
    char problem_[512] = {};
};

/// Starts the server that STEADY_DEBUG asks for, once in a process and without waiting for it. Done by
/// itself when a program links steady::profile or preloads libsteady_profile.so: then the
/// server's threads are there before main, and wait for clients only. A child process
/// that inherits the variable does not compete for the port when `steady run` started its
/// parent (http_process).
void start_debug_server_from_environment() noexcept;

}  // namespace steady
