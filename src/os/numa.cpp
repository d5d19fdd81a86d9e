// numa.cpp - see numa.hpp.
#include "steady/os/numa.hpp"

#include <atomic>

#include "steady/core/options.hpp"
#include "steady/os/detail/failure.hpp"
#include "steady/os/detail/mapping.hpp"
#include "steady/os/detail/node_list.hpp"
#include "steady/os/detail/syscall.hpp"

#include <linux/mempolicy.h>

namespace steady::os {

using namespace detail;

namespace {

constinit std::atomic<unsigned> machine_nodes{0};  // 0: not asked yet
constinit std::atomic<std::size_t> pretended[node_limit] = {};

unsigned pretended_nodes() noexcept {
    const std::uint32_t wanted = options().pretend_nodes;
    return wanted < node_limit ? wanted : node_limit;
}

unsigned ask_machine() noexcept {
    line_reader online("/sys/devices/system/node/online");
    std::string_view list;
    const std::uint64_t end = online.next(list) ? end_of_list(list) : 0;
    if (end == 0) return 1;
    return end < node_limit ? static_cast<unsigned>(end) : node_limit;
}

}  // namespace

unsigned node_count() noexcept {
    if (const unsigned count = pretended_nodes()) return count;
    unsigned count = machine_nodes.load(std::memory_order_relaxed);
    if (count == 0) {
        count = ask_machine();
        machine_nodes.store(count, std::memory_order_relaxed);
    }
    return count;
}

unsigned current_node() noexcept {
    const unsigned count = node_count();
    if (count == 1) return 0;
    if (pretended_nodes() != 0) return static_cast<unsigned>(sys_gettid()) % count;
    unsigned cpu = 0, node = 0;
    if (sys_getcpu(&cpu, &node) < 0) return 0;
    return node < count ? node : count - 1;
}

result<void> bind(void* start, bytes length, unsigned node) noexcept {
    if (node >= node_count()) {
        return error{errc::invalid_argument, 0, "bind: there is no such node"};
    }
    if (pretended_nodes() != 0) {
        pretended[node].fetch_add(length.count(), std::memory_order_relaxed);
        announce(os_call::bind, start, length.count(), 0);
        return {};
    }
    if (node_count() == 1) return {};
    const unsigned long mask = 1ul << node;
    // The kernel reads one bit less than it is told.
    const long done = sys_mbind(start, length.count(), MPOL_PREFERRED, &mask, node_limit + 1);
    announce(os_call::bind, start, length.count(), 0);
    if (done < 0) return failure(done, "mbind of an arena to its node");
    return {};
}

bytes pretended_binding(unsigned node) noexcept {
    if (node >= node_limit) return bytes{};
    return bytes{pretended[node].load(std::memory_order_relaxed)};
}

}  // namespace steady::os
