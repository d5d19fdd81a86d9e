// web_server.hpp - one thread that talks to all clients and never waits for one of them,
// and a few workers for answers that take long.
//
//   connection   free --accept--> reading --whole request--> working --> writing --+
//                                   ^  |                                           |
//                                   |  +--refused, too late--> closing <--- close --+
//                                   +--------------- keep alive --------------------+
//
//   A quick answer is made by the loop itself. A slow one becomes a job: the connection's
//   bytes move into the job, so that the client may vanish without taking anything away
//   from the worker; a finished job looks for its connection by place and generation.
//
// Invariants
//   WS1  Only the loop's thread touches connections and descriptors. Jobs cross by `state`
//        under the lock.
//   WS2  At most three jobs wait for time to pass (`seconds`), so one worker stays for the
//        others; at most sixteen exist, then the answer is 503.
//   WS3  A descriptor is used only while it is ours: with a table of our own that is always;
//        in the program's table its inode is compared first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "steady/profile/detail/http_request.hpp"
#include "steady/profile/detail/page_text.hpp"

namespace steady::web {

struct answer {
    int status = 200;
    const char* content_type = "text/plain; charset=utf-8";
    const char* filename = nullptr;  // for Content-Disposition
    const char* allow = nullptr;     // methods, with 405
    bool compressed = false;         // Content-Encoding: gzip
    // The body is one of these, the first that is not empty.
    std::string_view fixed;  // lives as long as the process
    page_text text;
    std::string bytes;

    [[nodiscard]] std::string_view body() const noexcept {
        if (!fixed.empty()) return fixed;
        return text.size() != 0 ? text.view() : std::string_view(bytes);
    }
};

enum class pace : std::uint8_t {
    quick,  // made by the loop: microseconds, no allocation
    slow,   // made by a worker
    timed,  // made by a worker that first lets seconds pass
};

/// What is served. `speak` must not throw; for quick paces it must not allocate either.
struct site {
    void* context;
    pace (*pace_of)(const http_request& request) noexcept;
    void (*speak)(void* context, const http_request& request, answer& out) noexcept;
    void (*tick)(void* context) noexcept;               // once a second, in the loop
    void (*release)(void* context) noexcept = nullptr;  // when no thread can speak any more
};

struct server_options {
    const char* address;
    bool any_address;
    bool announce;
    bool own_descriptors;
    unsigned request_seconds;
    unsigned answer_seconds;
};

/// A sentence for the client, with the status.
void refuse(answer& out, int status, std::string_view sentence) noexcept;

struct server_state;

/// Starts the threads. With `wait` the port is open, or the start has failed, when this returns.
///
/// Returns    nullptr, with the reason in `problem`, when that failed.
server_state* start_server(const server_options& options, const site& what, bool wait,
                           char* problem, std::size_t problem_capacity) noexcept;
/// Ends them and forgets the state; the loop's thread is gone when it returns.
void stop_server(server_state* server) noexcept;
[[nodiscard]] bool server_runs(const server_state* server) noexcept;
[[nodiscard]] const char* server_address(const server_state* server) noexcept;

}  // namespace steady::web
