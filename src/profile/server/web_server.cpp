// web_server.cpp - see web_server.hpp.
#include "steady/profile/detail/web_server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <new>
#include <utility>

#include "../recorder.hpp"
#include "steady/core/fatal.hpp"
#include "steady/profile/detail/in_pages.hpp"
#include "steady/profile/detail/listen_address.hpp"

namespace steady::web {
namespace {

constexpr unsigned most_connections = 128;
constexpr unsigned most_jobs = 16;
constexpr unsigned most_workers = 4;
constexpr unsigned most_timed = 3;
constexpr std::int64_t tick_ms = 1000;
constexpr std::int64_t idle_ms = 60'000;    // between two requests of one connection
constexpr std::int64_t linger_ms = 1'000;   // for a client to read why it was refused
constexpr std::int64_t look_again_ms = 50;  // while workers are busy: one of them wakes the loop
constexpr std::size_t stack_of_loop = std::size_t{256} << 10;
constexpr std::size_t stack_of_worker = std::size_t{2} << 20;  // symbols: demanglers recurse
constexpr int first_high_number = 900;  // above what programs close in a loop or expect to get

std::int64_t now_ms() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

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

}  // namespace

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

namespace {

using server_phase = server_state::phase_of_server;

// ---- Every server of the process, for fork().

constinit std::mutex all_lock;
constinit server_state* all_servers = nullptr;

void close_in_child(const descriptor& d) noexcept {
    if (d.still_names_it()) close(d.get());
}

void before_fork() noexcept {
    all_lock.lock();
}
void after_fork_in_parent() noexcept {
    all_lock.unlock();
}
// The child has neither the threads nor, with a table of our own, the descriptors. What
// the threads held at this moment, their locks included, is left alone for ever.
void after_fork_in_child() noexcept {
    for (server_state* s = all_servers; s != nullptr; s = s->next) {
        s->forgotten.store(true, std::memory_order_relaxed);
        if (s->private_table) continue;
        close_in_child(s->listener);
        close_in_child(s->wake);
        for (const connection& c : s->connections) close_in_child(c.socket);
    }
    all_servers = nullptr;
    all_lock.unlock();
}

void add_to_all(server_state& server) noexcept {
    static std::once_flag once;
    std::call_once(once,
                   [] { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); });
    const std::lock_guard guard(all_lock);
    server.next = all_servers;
    all_servers = &server;
}

void take_from_all(server_state& server) noexcept {
    const std::lock_guard guard(all_lock);
    for (server_state** at = &all_servers; *at != nullptr; at = &(*at)->next) {
        if (*at != &server) continue;
        *at = server.next;
        return;
    }
}

void drop_reference(server_state* server) noexcept {
    // acq_rel: the last one sees what all others did.
    if (server->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (server->what.release != nullptr) server->what.release(server->what.context);
    drop_in_pages(server);
}

// ---- Descriptors (DS2, WS3).

/// Gives this thread, and those it will start, a table with 0, 1 and 2 and nothing else.
bool take_private_table() noexcept {
#if defined(__SANITIZE_THREAD__)
    return false;  // it takes equal numbers of two tables for one file
#else
    constexpr unsigned close_range_unshare = 2;  // CLOSE_RANGE_UNSHARE, Linux 5.9
    constexpr long close_range_call = 436;
    return syscall(close_range_call, 3u, ~0u, close_range_unshare) == 0;
#endif
}

bool ours(const server_state& server, const descriptor& d) noexcept {
    return d.open() && (server.private_table || d.still_names_it());
}

void adopt(const server_state& server, descriptor& d, int number) noexcept {
    struct stat s {};
    if (!server.private_table) {
        const int high = fcntl(number, F_DUPFD_CLOEXEC, first_high_number);
        if (high >= 0) {
            close(number);
            number = high;
        }
    }
    if (fstat(number, &s) == 0) {
        d.device = s.st_dev;
        d.inode = s.st_ino;
    }
    d.number.store(number, std::memory_order_relaxed);
}

void let_go(const server_state& server, descriptor& d) noexcept {
    const bool close_it = ours(server, d);
    const int number = d.number.exchange(-1, std::memory_order_relaxed);
    if (close_it) close(number);
}

// ---- Opening the port.

void explain(server_state& server, const char* what, int reason) noexcept {
    const char* advice = "The program runs on without it.";
    bool known = true;
    switch (reason) {
        case EADDRINUSE:
            what = "is in use by another program";
            advice = "Choose another port, or port 0 for any that is free; the program runs on.";
            break;
        case EADDRNOTAVAIL:
            what = "is no address of this machine";
            advice = "Choose 127.0.0.1, or an address that `ip addr` lists; the program runs on.";
            break;
        case EACCES:
        case EPERM:
            what = "may not be opened by this user";
            advice = "Choose a port of 1024 or more; the program runs on.";
            break;
        default: known = false;
    }
    server.problem.text("no debug server: ").text(server.options.address).text(" ").text(what);
    if (!known)
        server.problem.text(" (errno ").number(static_cast<std::uint64_t>(reason)).text(")");
    server.problem.text(".").line(advice);
}

bool check_address(server_state& server) noexcept {
    if (!read_listen_address(server.options.address, server.address)) {
        server.problem.text("no debug server: `")
            .text(server.options.address)
            .text("` is no address with a port.")
            .line("Expected 127.0.0.1:6060, localhost:6060 or [::1]:6060, port 0 for any free one;")
            .line("names other than localhost are not looked up.");
        return false;
    }
    if (!server.address.loopback && !server.options.any_address) {
        server.problem.text("no debug server: ")
            .text(server.options.address)
            .text(" can be reached from other machines.")
            .line("Profiles show what a program does. If all who reach it may know, say so: ")
            .line(
                "http_any=1 in STEADY_DEBUG, --http-any of `steady run`, or any_address in code.");
        return false;
    }
    return true;
}

bool open_port(server_state& server) noexcept {
    const int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake < 0) {
        explain(server, "cannot be opened: no eventfd", errno);
        return false;
    }
    adopt(server, server.wake, wake);
    const int s =
        socket(server.address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) {
        explain(server, "cannot be opened: no socket", errno);
        return false;
    }
    const int on = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s, server.address.get(), server.address.length) != 0 || listen(s, 128) != 0) {
        explain(server, "cannot be opened", errno);
        close(s);
        return false;
    }
    listen_address chosen = server.address;
    chosen.length = sizeof chosen.storage;
    if (getsockname(s, reinterpret_cast<sockaddr*>(&chosen.storage), &chosen.length) == 0)
        write_listen_address(chosen, server.address_text, sizeof server.address_text);
    adopt(server, server.listener, s);
    return true;
}

void announce(const server_state& server) noexcept {
    warn(message("profile")
             .text("the debug server of ")
             .text(program_invocation_short_name)
             .text(", process ")
             .number(static_cast<std::uint64_t>(getpid()))
             .text(", is at http://")
             .text(server.address_text)
             .text("/"));
}

// ---- Workers.

void* run_worker(void* argument) noexcept;

/// A thread shares the descriptors of the one that starts it: workers are started by the
/// loop. The state lives until the last of its threads has let go of it.
bool start_thread(void* (*body)(void*), server_state& server, std::size_t stack) noexcept {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack);
    // The program's handlers run on the program's threads only.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server.references.fetch_add(1, std::memory_order_relaxed);
    pthread_t thread;
    const bool started = pthread_create(&thread, &attributes, body, &server) == 0;
    if (!started) server.references.fetch_sub(1, std::memory_order_relaxed);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    return started;
}

void wake_loop(server_state& server) noexcept {
    const std::uint64_t one = 1;
    if (ours(server, server.wake) && write(server.wake.get(), &one, sizeof one) < 0) return;
}

job* next_job(server_state& server) noexcept {
    for (job& j : server.jobs) {
        if (j.is != job::step::queued) continue;
        if (j.timed && server.timed_running >= most_timed) continue;
        return &j;
    }
    return nullptr;
}

void* run_worker(void* argument) noexcept {
    server_state& server = *static_cast<server_state*>(argument);
    pthread_setname_np(pthread_self(), "steady-web-job");
    profile::detail::thread_is_unrecorded = true;
    {
        std::unique_lock guard(server.lock);
        while (!server.stopping) {
            job* const next = next_job(server);
            if (next == nullptr) {
                ++server.idle_workers;
                server.changed.wait(guard);
                --server.idle_workers;
                continue;
            }
            next->is = job::step::running;
            server.timed_running += next->timed;
            guard.unlock();
            server.what.speak(server.what.context, next->request, next->out);
            guard.lock();
            next->is = job::step::done;
            server.timed_running -= next->timed;
            wake_loop(server);
            server.changed.notify_all();  // a timed job may have waited for this one
        }
        // stop_server() cannot reach the loop: the descriptor is in our table, not in its.
        if (server.is == server_phase::serving) wake_loop(server);
        --server.workers;
    }
    drop_reference(&server);
    return nullptr;
}

// ---- Connections. All of this runs in the loop's thread (WS1).

void free_connection(server_state& server, connection& c) noexcept {
    let_go(server, c.socket);
    ++c.generation;
    c.is = phase::free;
    c.in.release();
    c.head.release();
    c.out = answer{};
    c.sent = 0;
    c.continued = false;
}

void enter(connection& c, phase next, std::int64_t now, std::int64_t patience) noexcept {
    c.is = next;
    c.since = now;
    c.deadline = now + patience;
}

void await_request(server_state& server, connection& c, std::int64_t now) noexcept {
    enter(c, phase::reading, now, std::int64_t{server.options.request_seconds} * 1000);
    c.continued = false;
}

const char* words_of(int status) noexcept {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 411: return "Length Required";
        case 413: return "Content Too Large";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "Unknown";
    }
}

/// "Tue, 01 Dec 2026 06:33:05 GMT". gmtime() may allocate and reads the program's time zone.
void write_date(page_text& out, std::time_t t) noexcept {
    constexpr const char* days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::int64_t day = t / 86400;
    const int second = static_cast<int>(t % 86400);
    // Days to a date: Hinnant, "chrono-compatible low-level date algorithms".
    const std::int64_t z = day + 719468;
    const std::int64_t era = z / 146097;
    const auto doe = static_cast<unsigned>(z - era * 146097);
    const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const unsigned mp = (5 * doy + 2) / 153;
    const unsigned d = doy - (153 * mp + 2) / 5 + 1;
    const unsigned m = mp < 10 ? mp + 3 : mp - 9;
    const int year = static_cast<int>(yoe) + static_cast<int>(era) * 400 + (m <= 2);
    char text[40];
    std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT", days[day % 7], d,
                  months[m - 1], year, second / 3600, second / 60 % 60, second % 60);
    out.text(text);
}

void begin_answer(server_state& server, connection& c, std::int64_t now) noexcept {
    if (c.out.text.failed()) {  // PT2
        c.out = answer{};
        c.out.status = 503;
        c.out.fixed = "no memory for the answer\n";
        c.keep_alive = false;
    }
    page_text& h = c.head;
    h.clear();
    h.text("HTTP/1.1 ").number(c.out.status).text(" ").text(words_of(c.out.status));
    h.text("\r\nDate: ");
    write_date(h, std::time(nullptr));
    h.text("\r\nContent-Type: ").text(c.out.content_type);
    h.text("\r\nContent-Length: ").number(std::uint64_t{c.out.body().size()});
    if (c.out.compressed) h.text("\r\nContent-Encoding: gzip");
    if (c.out.filename != nullptr) {
        h.text("\r\nContent-Disposition: attachment; filename=\"").text(c.out.filename).text("\"");
    }
    if (c.out.allow != nullptr) h.text("\r\nAllow: ").text(c.out.allow);
    if (c.out.status == 503) h.text("\r\nRetry-After: 1");
    h.text(
        "\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY"
        "\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer"
        "\r\nContent-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; connect-src 'self'; img-src data:");
    h.text(c.keep_alive ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
    c.sent = 0;
    if (h.failed()) return free_connection(server, c);
    enter(c, phase::writing, now, std::int64_t{server.options.answer_seconds} * 1000);
}

void refuse_request(server_state& server, connection& c, int status, std::string_view sentence,
                    std::int64_t now) noexcept {
    c.out = answer{};
    refuse(c.out, status, sentence);
    c.keep_alive = false;
    c.without_body = false;
    c.in.clear();
    begin_answer(server, c, now);
}

bool queue_job(server_state& server, connection& c, std::size_t length, bool timed) noexcept {
    const std::lock_guard guard(server.lock);
    unsigned timed_jobs = 0;
    for (const job& j : server.jobs) timed_jobs += j.is != job::step::free && j.timed;
    if (timed && timed_jobs == most_jobs / 2) return false;
    for (job& j : server.jobs) {
        if (j.is != job::step::free) continue;
        // What came behind the request stays with the connection.
        page_text rest;
        rest.text(c.in.view().substr(length));
        if (rest.failed()) return false;
        c.in.cut(length);
        j.input.swap(c.in);
        c.in.swap(rest);
        if (parse_http_request(j.input.view(), j.request).is != parsed_request::verdict::whole)
            return false;  // cannot be: the same bytes were whole a moment ago
        j.timed = timed;
        j.out = answer{};
        j.place = static_cast<unsigned>(&c - server.connections);
        j.generation = c.generation;
        j.is = job::step::queued;
        if (server.idle_workers == 0 && server.workers < most_workers &&
            start_thread(run_worker, server, stack_of_worker)) {
            ++server.workers;
        }
        server.changed.notify_one();
        return true;
    }
    return false;
}

/// Looks at what has arrived; returns when more is needed or an answer is under way.
void read_request(server_state& server, connection& c, std::int64_t now) noexcept {
    http_request request;
    const parsed_request parsed = parse_http_request(c.in.view(), request);
    if (parsed.is == parsed_request::verdict::refused)
        return refuse_request(server, c, parsed.status, parsed.reason, now);
    if (parsed.is == parsed_request::verdict::more) {
        if (parsed.head_is_whole && request.expects_continue && !c.continued) {
            constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            c.continued = true;
            if (ours(server, c.socket))
                static_cast<void>(
                    send(c.socket.get(), go_on.data(), go_on.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
        }
        return;
    }
    if (server.address.loopback && !host_is_an_address(request.host)) {
        return refuse_request(
            server, c, 403,
            "the Host header names neither an address nor localhost. A page of another site "
            "may be asking; open http://localhost:PORT/ yourself.",
            now);
    }
    c.keep_alive = request.keep_alive;
    c.without_body = request.method == "HEAD";
    c.out = answer{};
    const pace how = server.what.pace_of(request);
    if (how == pace::quick) {
        server.what.speak(server.what.context, request, c.out);
        c.in.drop_front(parsed.length);
        return begin_answer(server, c, now);
    }
    if (!queue_job(server, c, parsed.length, how == pace::timed)) {
        return refuse_request(server, c, 503, "too many profiles are being made; try again", now);
    }
    enter(c, phase::working, now, std::int64_t{24} * 3600 * 1000);
}

/// Reads what is there. Returns false when the client is gone.
bool receive(server_state& server, connection& c) noexcept {
    constexpr std::size_t most = longest_head + longest_body;
    if (!ours(server, c.socket)) return false;
    while (c.in.size() < most) {
        if (!c.in.make_room(4096)) return false;
        const ssize_t got = recv(c.socket.get(), c.in.data() + c.in.size(),
                                 c.in.capacity() - c.in.size(), MSG_DONTWAIT);
        if (got > 0) {
            c.in.append_from_room(static_cast<std::size_t>(got));
            continue;
        }
        if (got < 0 && errno == EINTR) continue;
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    return true;
}

void send_answer(server_state& server, connection& c, std::int64_t now) noexcept {
    while (true) {
        const std::string_view head = c.head.view();
        const std::string_view body = c.without_body ? std::string_view() : c.out.body();
        if (c.sent == head.size() + body.size()) break;
        iovec parts[2];
        std::size_t count = 0;
        const auto add = [&](std::string_view piece) {
            if (!piece.empty()) parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
        };
        add(head.substr(c.sent < head.size() ? c.sent : head.size()));
        add(body.substr(c.sent > head.size() ? c.sent - head.size() : 0));
        msghdr letter{};
        letter.msg_iov = parts;
        letter.msg_iovlen = count;
        if (!ours(server, c.socket)) return free_connection(server, c);
        const ssize_t wrote = sendmsg(c.socket.get(), &letter, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (wrote < 0) return free_connection(server, c);
        c.sent += static_cast<std::size_t>(wrote);
    }
    c.out = answer{};
    c.head.clear();
    if (!c.keep_alive) {
        // The client has to read the answer before the kernel hears of unread bytes and
        // resets the connection.
        shutdown(c.socket.get(), SHUT_WR);
        return enter(c, phase::closing, now, linger_ms);
    }
    await_request(server, c, now);
    if (c.in.size() != 0) return read_request(server, c, now);
    c.in.release();
    c.deadline = now + idle_ms;
}

void serve(server_state& server, connection& c, short events, std::int64_t now) noexcept {
    if ((events & POLLNVAL) != 0) return free_connection(server, c);
    switch (c.is) {
        case phase::free: return;
        case phase::reading: {
            const bool was_idle = c.in.size() == 0;
            const bool there = receive(server, c);
            if (c.in.size() == 0 || !there) {
                // Half a request and then the end: nobody waits for an answer.
                http_request request;
                const bool whole =
                    c.in.size() != 0 &&
                    parse_http_request(c.in.view(), request).is != parsed_request::verdict::more;
                if (!there && !whole) return free_connection(server, c);
                if (c.in.size() == 0) return;
            }
            if (was_idle) await_request(server, c, now);
            read_request(server, c, now);
            if (c.is == phase::writing) send_answer(server, c, now);
            return;
        }
        case phase::working:  // only the end of the connection is looked for
            if ((events & (POLLERR | POLLHUP)) != 0) free_connection(server, c);
            return;
        case phase::writing: return send_answer(server, c, now);
        case phase::closing: {
            char ignored[4096];
            if (!ours(server, c.socket)) return free_connection(server, c);
            const ssize_t got = recv(c.socket.get(), ignored, sizeof ignored, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
                free_connection(server, c);
            return;
        }
    }
}

/// A place for a new client: a free one, or that of whoever has kept us waiting longest
/// (DS3). A client whose profile is being made does not keep us waiting.
connection* find_place(server_state& server) noexcept {
    connection* slowest = nullptr;
    const auto dispensable = [](const connection& c) {
        return c.is == phase::reading || c.is == phase::closing || c.is == phase::writing;
    };
    for (connection& c : server.connections) {
        if (c.is == phase::free) return &c;
        if (!dispensable(c)) continue;
        // Whoever has not even asked goes before one that still reads.
        const bool earlier = slowest == nullptr ||
                             (c.is == phase::writing) < (slowest->is == phase::writing) ||
                             ((c.is == phase::writing) == (slowest->is == phase::writing) &&
                              c.since < slowest->since);
        if (earlier) slowest = &c;
    }
    if (slowest != nullptr) free_connection(server, *slowest);
    return slowest;
}

void accept_clients(server_state& server, std::int64_t now) noexcept {
    for (int n = 0; n < 64; ++n) {
        if (!ours(server, server.listener)) return;
        const int s =
            accept4(server.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (s < 0) {
            // No descriptors left: the queue waits in the kernel, and we do not spin.
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                server.accept_again = now + 100;
            return;
        }
        connection* const c = find_place(server);
        if (c == nullptr) {
            close(s);
            continue;
        }
        const int on = 1;
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        adopt(server, c->socket, s);
        await_request(server, *c, now);
    }
}

void collect_jobs(server_state& server, std::int64_t now) noexcept {
    for (job& j : server.jobs) {
        answer out;
        unsigned place = 0;
        std::uint32_t generation = 0;
        {
            const std::lock_guard guard(server.lock);
            if (j.is != job::step::done) continue;
            out = std::move(j.out);
            j.out = answer{};
            j.input.release();
            place = j.place;
            generation = j.generation;
            j.is = job::step::free;
        }
        connection& c = server.connections[place];
        if (c.generation != generation || c.is != phase::working) continue;  // it left
        c.out = std::move(out);
        begin_answer(server, c, now);
        if (c.is == phase::writing) send_answer(server, c, now);
    }
}

void expire(server_state& server, std::int64_t now) noexcept {
    for (connection& c : server.connections) {
        if (c.is == phase::free || now < c.deadline) continue;
        if (c.is == phase::reading && c.in.size() != 0) {
            refuse_request(server, c, 408, "the request did not arrive in time", now);
            if (c.is == phase::writing) send_answer(server, c, now);
            continue;
        }
        free_connection(server, c);
    }
}

/// The program closed what it could count, and our listener was among it.
bool listener_is_lost(const server_state& server) noexcept {
    return !server.private_table &&
           (!server.listener.still_names_it() || !server.wake.still_names_it());
}

void loop_once(server_state& server, std::int64_t& next_tick) noexcept {
    pollfd watched[most_connections + 2];
    connection* whose[most_connections + 2];
    nfds_t count = 0;
    const auto watch = [&](int number, short events, connection* c) {
        watched[count] = {number, events, 0};
        whose[count++] = c;
    };
    std::int64_t now = now_ms();
    std::int64_t until = next_tick;
    watch(server.wake.get(), POLLIN, nullptr);
    watch(now >= server.accept_again ? server.listener.get() : -1, POLLIN, nullptr);
    if (now < server.accept_again && server.accept_again < until) until = server.accept_again;
    for (connection& c : server.connections) {
        if (c.is == phase::free) continue;
        if (c.deadline < until) until = c.deadline;
        short events = POLLIN;
        if (c.is == phase::working) {
            events = 0;
            if (now + look_again_ms < until) until = now + look_again_ms;
        }
        if (c.is == phase::writing) events = POLLOUT;
        watch(c.socket.get(), events, &c);
    }
    const int ready = poll(watched, count, until > now ? static_cast<int>(until - now) : 0);
    now = now_ms();
    if (ready > 0) {
        if (watched[0].revents != 0 && ours(server, server.wake)) {
            std::uint64_t ignored = 0;
            if (read(server.wake.get(), &ignored, sizeof ignored) < 0) ignored = 0;
        }
        for (nfds_t i = 2; i < count; ++i) {
            if (watched[i].revents != 0 && whose[i]->socket.get() == watched[i].fd)
                serve(server, *whose[i], watched[i].revents, now);
        }
        if (watched[1].revents != 0) accept_clients(server, now);
    }
    collect_jobs(server, now);
    expire(server, now);
    if (now >= next_tick) {
        if (server.what.tick != nullptr) server.what.tick(server.what.context);
        next_tick = now + tick_ms;
    }
}

bool must_stop(server_state& server) noexcept {
    const std::lock_guard guard(server.lock);
    return server.stopping;
}

void set_phase(server_state& server, server_phase next) noexcept {
    const std::lock_guard guard(server.lock);
    server.is = next;
    server.changed.notify_all();
}

void* run_loop(void* argument) noexcept {
    server_state& server = *static_cast<server_state*>(argument);
    pthread_setname_np(pthread_self(), "steady-web");
    profile::detail::thread_is_unrecorded = true;
    server.private_table = server.options.own_descriptors && take_private_table();
    if (!open_port(server)) {
        if (server.options.announce) warn(server.problem);
        let_go(server, server.wake);
        set_phase(server, server_phase::failed);
        drop_reference(&server);
        return nullptr;
    }
    {
        const std::lock_guard guard(server.lock);
        if (start_thread(run_worker, server, stack_of_worker)) ++server.workers;
    }
    if (server.options.announce) announce(server);
    if (server.what.tick != nullptr) server.what.tick(server.what.context);
    set_phase(server, server_phase::serving);

    std::int64_t next_tick = now_ms() + tick_ms;
    while (!must_stop(server) && !listener_is_lost(server)) loop_once(server, next_tick);

    for (connection& c : server.connections) {
        if (c.is != phase::free) free_connection(server, c);
    }
    let_go(server, server.listener);
    {
        const std::lock_guard guard(server.lock);
        server.stopping = true;
        server.is = server_phase::ended;
        let_go(server, server.wake);
        server.changed.notify_all();
    }
    take_from_all(server);
    drop_reference(&server);
    return nullptr;
}

}  // namespace

void refuse(answer& out, int status, std::string_view sentence) noexcept {
    out.status = status;
    out.content_type = "text/plain; charset=utf-8";
    out.text.clear();
    out.text.text(sentence).text("\n");
}

server_state* start_server(const server_options& options, const site& what, bool wait,
                           char* problem, std::size_t problem_capacity) noexcept {
    auto* const server = make_in_pages<server_state>();
    if (server == nullptr) {
        std::snprintf(problem, problem_capacity, "steady: profile: no memory for a debug server.");
        if (what.release != nullptr) what.release(what.context);
        return nullptr;
    }
    server->options = options;
    server->what = what;
    if (!check_address(*server)) {
        std::snprintf(problem, problem_capacity, "%s", server->problem.c_str());
        drop_reference(server);
        return nullptr;
    }
    add_to_all(*server);
    if (!start_thread(run_loop, *server, stack_of_loop)) {
        std::snprintf(problem, problem_capacity,
                      "steady: profile: no debug server: the system gives no thread for it.\n"
                      "  Check RLIMIT_NPROC and the cgroup's pids.max; the program runs on.");
        take_from_all(*server);
        drop_reference(server);
        return nullptr;
    }
    if (!wait) return server;
    bool failed = false;
    {
        std::unique_lock guard(server->lock);
        while (server->is == server_phase::starting) server->changed.wait(guard);
        failed = server->is == server_phase::failed;
    }
    if (!failed) return server;
    std::snprintf(problem, problem_capacity, "%s", server->problem.c_str());
    take_from_all(*server);
    drop_reference(server);
    return nullptr;
}

void stop_server(server_state* server) noexcept {
    if (server == nullptr) return;
    // In a child of fork the locks may be held by threads that are not there: what is left
    // of the server stays as it is.
    if (server->forgotten.load(std::memory_order_relaxed)) return;
    {
        std::unique_lock guard(server->lock);
        server->stopping = true;
        server->changed.notify_all();
        while (server->is == server_phase::starting || server->is == server_phase::serving)
            server->changed.wait(guard);
    }
    drop_reference(server);
}

bool server_runs(const server_state* server) noexcept {
    if (server == nullptr || server->forgotten.load(std::memory_order_relaxed)) return false;
    auto* const s = const_cast<server_state*>(server);
    const std::lock_guard guard(s->lock);
    return s->is == server_phase::serving;
}

const char* server_address(const server_state* server) noexcept {
    return server_runs(server) ? server->address_text : "";
}

}  // namespace steady::web
