// server_state.hpp - what the threads of one server share. Its files, from the bottom:
//
//   descriptors.cpp   a table of descriptors of our own, or numbers that are checked (DS2, WS3);
//                     fork
//   open_port.cpp     the address, the port, and why there is none
//   workers.cpp       threads, and jobs that take long
//   connections.cpp   one client: its requests and the answers to them (WS1)
//   web_server.cpp    the loop over all clients; start and stop
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <string_view>

#include "steady/core/fatal.hpp"
#include "steady/profile/detail/listen_address.hpp"
#include "steady/profile/detail/web_server.hpp"

namespace steady::web {

inline constexpr unsigned most_connections = 128;
inline constexpr unsigned most_jobs = 16;

struct descriptor {
    // Atomic because a forked child reads it, whatever the loop was doing.
    std::atomic<int> number{-1};
    dev_t device{};
    ino_t inode{};

    [[nodiscard]] int get() const noexcept { return number.load(std::memory_order_relaxed); }
    [[nodiscard]] bool open() const noexcept { return get() >= 0; }
    [[nodiscard]] bool still_names_it() const noexcept {
        struct stat s {};
        return open() && fstat(get(), &s) == 0 && s.st_dev == device && s.st_ino == inode;
    }
};

enum class phase : std::uint8_t { free, reading, working, writing, closing };

struct connection {
    descriptor socket;
    phase is = phase::free;
    std::uint32_t generation = 0;
    std::int64_t since = 0;     // of this phase; who is to go is decided by it
    std::int64_t deadline = 0;  // it goes then
    page_text in;
    page_text head;
    answer out;
    std::size_t sent = 0;
    bool without_body = false;  // HEAD
    bool keep_alive = false;
    bool continued = false;
};

struct job {
    enum class step : std::uint8_t { free, queued, running, done } is = step::free;
    bool timed = false;
    unsigned place = 0;
    std::uint32_t generation = 0;
    page_text input;  // request's views point into it
    http_request request;
    answer out;
};

struct server_state {
    server_options options{};
    site what{};
    listen_address address;
    char address_text[64] = {};
    message problem{"profile"};

    std::mutex lock;
    std::condition_variable changed;
    enum class phase_of_server : std::uint8_t {
        starting,
        serving,
        failed,
        ended
    } is = phase_of_server::starting;
    bool stopping = false;
    unsigned workers = 0;
    unsigned idle_workers = 0;
    unsigned timed_running = 0;
    job jobs[most_jobs];

    bool private_table = false;
    descriptor listener;
    descriptor wake;
    connection connections[most_connections];
    std::int64_t accept_again = 0;

    std::atomic<int> references{1};
    // In a forked child: no thread of it is here.
    std::atomic<bool> forgotten{false};
    server_state* next = nullptr;  // in the list of all
};

using server_phase = server_state::phase_of_server;

// ---- descriptors.cpp

/// Gives this thread, and those it will start, a table with 0, 1 and 2 and nothing else.
[[nodiscard]] bool take_private_table() noexcept;
[[nodiscard]] bool ours(const server_state& server, const descriptor& d) noexcept;
void adopt(const server_state& server, descriptor& d, int number) noexcept;
void let_go(const server_state& server, descriptor& d) noexcept;
/// The list of all servers of the process, for fork().
void add_to_all(server_state& server) noexcept;
void take_from_all(server_state& server) noexcept;

// ---- open_port.cpp: on failure the reason is in server.problem.

[[nodiscard]] bool check_address(server_state& server) noexcept;
[[nodiscard]] bool open_port(server_state& server) noexcept;

// ---- workers.cpp

/// A thread shares the descriptors of the one that starts it: workers are started by the
/// loop. The state lives until the last of its threads has let go of it.
[[nodiscard]] bool start_thread(void* (*body)(void*), server_state& server,
                                std::size_t stack) noexcept;
void drop_reference(server_state* server) noexcept;
/// Another worker, if there may be one more. Under the lock.
void add_worker(server_state& server) noexcept;
/// Makes a job of the first `length` bytes that arrived. False: there are too many.
[[nodiscard]] bool queue_job(server_state& server, connection& c, std::size_t length,
                             bool timed) noexcept;

// ---- connections.cpp

void free_connection(server_state& server, connection& c) noexcept;
void await_request(server_state& server, connection& c, std::int64_t now) noexcept;
/// The answer in c.out is on its way.
void begin_answer(server_state& server, connection& c, std::int64_t now) noexcept;
void send_answer(server_state& server, connection& c, std::int64_t now) noexcept;
void refuse_request(server_state& server, connection& c, int status, std::string_view sentence,
                    std::int64_t now) noexcept;
/// What poll() saw.
void serve(server_state& server, connection& c, short events, std::int64_t now) noexcept;

}  // namespace steady::web
