// web_server.cpp - the loop over all clients, its start and its end: see web_server.hpp.
#include "steady/profile/detail/web_server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "../recorder.hpp"
#include "server_state.hpp"
#include "steady/profile/detail/in_pages.hpp"

namespace steady::web {
namespace {

constexpr std::int64_t tick_ms = 1000;
constexpr std::int64_t look_again_ms = 50;  // while workers are busy: one of them wakes the loop
constexpr std::size_t stack_of_loop = std::size_t{256} << 10;

std::int64_t now_ms() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
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
        add_worker(server);
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
