// workers.cpp - the threads of a server, and the jobs that take long (WS2).
#include "server_state.hpp"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "../recorder.hpp"
#include "steady/profile/detail/in_pages.hpp"

namespace steady::web {
namespace {

constexpr unsigned most_workers = 4;
constexpr unsigned most_timed = 3;
constexpr std::size_t stack_of_worker = std::size_t{2} << 20;  // symbols: demanglers recurse

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

}  // namespace

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

void drop_reference(server_state* server) noexcept {
    // acq_rel: the last one sees what all others did.
    if (server->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (server->what.release != nullptr) server->what.release(server->what.context);
    drop_in_pages(server);
}

void add_worker(server_state& server) noexcept {
    if (server.workers < most_workers && start_thread(run_worker, server, stack_of_worker))
        ++server.workers;
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
        if (server.idle_workers == 0) add_worker(server);
        server.changed.notify_one();
        return true;
    }
    return false;
}

}  // namespace steady::web
