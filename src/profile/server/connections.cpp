// connections.cpp - one client of the server: its requests and the answers to them. All of it
// runs in the loop's thread (WS1).
#include "server_state.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdio>

namespace steady::web {
namespace {

constexpr std::int64_t idle_ms = 60'000;   // between two requests of one connection
constexpr std::int64_t linger_ms = 1'000;  // for a client to read why it was refused

void enter(connection& c, phase next, std::int64_t now, std::int64_t patience) noexcept {
    c.is = next;
    c.since = now;
    c.deadline = now + patience;
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

}  // namespace

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

void await_request(server_state& server, connection& c, std::int64_t now) noexcept {
    enter(c, phase::reading, now, std::int64_t{server.options.request_seconds} * 1000);
    c.continued = false;
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

void refuse(answer& out, int status, std::string_view sentence) noexcept {
    out.status = status;
    out.content_type = "text/plain; charset=utf-8";
    out.text.clear();
    out.text.text(sentence).text("\n");
}

}  // namespace steady::web
