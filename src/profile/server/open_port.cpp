// open_port.cpp - opens the port, or says why not and what to do.
#include "server_state.hpp"

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace steady::web {
namespace {

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

}  // namespace

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

}  // namespace steady::web
