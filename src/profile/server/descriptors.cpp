// descriptors.cpp - the server's descriptors and the program's, and what a fork leaves of them.
#include "server_state.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace steady::web {
namespace {

constexpr int first_high_number = 900;  // above what programs close in a loop or expect to get

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

}  // namespace

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

}  // namespace steady::web
