// http_client.hpp - a client for tests of the debug server: plain sockets, so that a test
// can send what no library would.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace steady::profile::test {

struct reply {
    int status = 0;  // 0: the connection ended without one
    std::string head;
    std::string body;

    [[nodiscard]] std::string header(const std::string& name) const {
        const std::size_t at = head.find("\r\n" + name + ": ");
        if (at == std::string::npos) return {};
        const std::size_t from = at + name.size() + 4;
        return head.substr(from, head.find("\r\n", from) - from);
    }
};

/// A connection to "127.0.0.1:PORT" that is closed with the object.
class client {
public:
    explicit client(const std::string& address) {
        const std::size_t colon = address.rfind(':');
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) drop();
    }
    ~client() { drop(); }
    client(client&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    [[nodiscard]] bool connected() const { return socket_ >= 0; }
    [[nodiscard]] int descriptor() const { return socket_; }
    void drop() {
        if (socket_ >= 0) close(socket_);
        socket_ = -1;
    }

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    void end_of_requests() { shutdown(socket_, SHUT_WR); }

    /// The next answer; of a HEAD request without the body it announces.
    reply receive(bool head_only = false) {
        reply out;
        std::size_t end = 0;
        while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) return out;
        }
        out.head = pending_.substr(0, end + 2);
        pending_.erase(0, end + 4);
        out.status = std::atoi(out.head.c_str() + 9);
        const std::size_t length = std::strtoull(out.header("Content-Length").c_str(), nullptr, 10);
        if (head_only || out.status == 100) return out;
        while (pending_.size() < length && fill()) {
        }
        out.body = pending_.substr(0, length);
        pending_.erase(0, length);
        return out;
    }
    reply get(const std::string& target) {
        send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return receive();
    }
    /// Whether the other side has ended the connection.
    bool ended() {
        while (fill()) {
        }
        return eof_;
    }

private:
    bool fill() {
        if (socket_ < 0) return false;
        pollfd ready{socket_, POLLIN, 0};
        constexpr int patience_ms = 30'000;
        if (poll(&ready, 1, patience_ms) <= 0) return false;
        char buffer[16384];
        const ssize_t n = recv(socket_, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) return true;
        if (n <= 0) {
            eof_ = true;
            return false;
        }
        pending_.append(buffer, static_cast<std::size_t>(n));
        return true;
    }

    int socket_ = -1;
    bool eof_ = false;
    std::string pending_;
};

inline reply get(const std::string& address, const std::string& target) {
    client c(address);
    c.send("GET " + target + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n");
    return c.receive();
}

}  // namespace steady::profile::test
