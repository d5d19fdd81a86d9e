// listen_address.cpp - see listen_address.hpp.
#include "steady/profile/detail/listen_address.hpp"

#include <arpa/inet.h>

#include <cstdio>
#include <cstring>
#include <string_view>

#include "steady/profile/detail/http_request.hpp"

namespace steady::web {

bool read_listen_address(const char* text, listen_address& out) noexcept {
    out = {};
    std::string_view all = text;
    std::string_view host;
    std::string_view port;
    bool six = false;
    if (all.starts_with('[')) {
        const std::size_t end = all.find(']');
        if (end == std::string_view::npos || all.substr(end + 1, 1) != ":") return false;
        host = all.substr(1, end - 1);
        port = all.substr(end + 2);
        six = true;
    } else if (const std::size_t colon = all.rfind(':'); colon != std::string_view::npos) {
        host = all.substr(0, colon);
        port = all.substr(colon + 1);
    } else {
        port = all;
    }
    constexpr std::uint64_t none = ~std::uint64_t{0};
    const std::uint64_t number = port.size() <= 5 ? number_in(port, none) : none;
    if (number > 65535) return false;
    if (host.empty() && six) return false;
    if (host.empty() || host == "localhost") host = six ? "::1" : "127.0.0.1";

    char digits[INET6_ADDRSTRLEN];
    if (host.size() >= sizeof digits) return false;
    std::memcpy(digits, host.data(), host.size());
    digits[host.size()] = '\0';
    if (six) {
        auto* a = reinterpret_cast<sockaddr_in6*>(&out.storage);
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(static_cast<std::uint16_t>(number));
        if (inet_pton(AF_INET6, digits, &a->sin6_addr) != 1) return false;
        out.length = sizeof *a;
        out.loopback = IN6_IS_ADDR_LOOPBACK(&a->sin6_addr);
        return true;
    }
    auto* a = reinterpret_cast<sockaddr_in*>(&out.storage);
    a->sin_family = AF_INET;
    a->sin_port = htons(static_cast<std::uint16_t>(number));
    if (inet_pton(AF_INET, digits, &a->sin_addr) != 1) return false;
    out.length = sizeof *a;
    out.loopback = (ntohl(a->sin_addr.s_addr) >> 24) == 127;
    return true;
}

void write_listen_address(const listen_address& address, char* out, std::size_t capacity) noexcept {
    char digits[INET6_ADDRSTRLEN] = "?";
    if (address.storage.ss_family == AF_INET6) {
        const auto* a = reinterpret_cast<const sockaddr_in6*>(&address.storage);
        inet_ntop(AF_INET6, &a->sin6_addr, digits, sizeof digits);
        std::snprintf(out, capacity, "[%s]:%u", digits, unsigned{ntohs(a->sin6_port)});
        return;
    }
    const auto* a = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &a->sin_addr, digits, sizeof digits);
    std::snprintf(out, capacity, "%s:%u", digits, unsigned{ntohs(a->sin_port)});
}

}  // namespace steady::web
