// listen_address.hpp - "127.0.0.1:6060" as the kernel wants it, and errors as people do.
//
//   127.0.0.1:6060   localhost:6060   [::1]:6060   :6060 and 6060 (127.0.0.1 is meant)
//
// No name is looked up: that may take seconds, and reads files of the program's choosing.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>

#include "steady/core/fatal.hpp"

namespace steady::web {

struct listen_address {
    sockaddr_storage storage{};
    socklen_t length = 0;
    bool loopback = false;

    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

/// Returns    false when `text` is no address with a port.
[[nodiscard]] bool read_listen_address(const char* text, listen_address& out) noexcept;

/// "127.0.0.1:6060", "[::1]:6060".
void write_listen_address(const listen_address& address, char* out, std::size_t capacity) noexcept;

}  // namespace steady::web
