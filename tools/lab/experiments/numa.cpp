// numa.cpp - E-09: memory near and far from the processor: by default, bound to one node, and
// from the heap's arena of each node.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <sys/mman.h>

#include "lab/experiment.hpp"
#include "lab/measure.hpp"
#include "steady/heap/heap.hpp"
#include "steady/os/numa.hpp"
#include "support/exit_code.hpp"

namespace steady::cli::lab {
namespace {

constexpr std::size_t line = 64;
constexpr std::size_t size = 128u << 20;  // beyond any cache

/// Nanoseconds of one dependent read at random places of the memory.
double chase(char* memory) {
    constexpr std::size_t lines = size / line;
    std::vector<std::uint32_t> order(lines);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    for (std::size_t i = 0; i < lines; ++i) {
        *reinterpret_cast<std::uint32_t*>(memory + order[i] * line) = order[(i + 1) % lines];
    }
    std::uint32_t at = order[0];
    constexpr int reads = 400'000;
    return nanoseconds_each(
        reads,
        [&] {
            for (int i = 0; i < reads; ++i)
                at = *reinterpret_cast<std::uint32_t*>(memory + at * line);
            keep(at);
        },
        3);
}

void run(laboratory& lab) {
    const unsigned nodes = os::node_count();
    lab.figure("nodes of this machine", nodes, unit::number, {"2", "-"});
    const auto with_pages = [&](auto&& prepare) {
        void* const p =
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) throw check_failure("no memory for the walk");
        prepare(p);
        const double each = chase(static_cast<char*>(p));
        munmap(p, size);
        return each;
    };
    const double first_touch = with_pages([](void*) {});
    lab.figure("first touch (default): a read", first_touch, unit::nanoseconds,
               {.reported = "12.7 us, 38 % remote"});
    const unsigned here = os::current_node();
    bool bound = true;
    const double bound_here =
        with_pages([&](void* p) { bound = static_cast<bool>(os::bind(p, bytes{size}, here)); });
    if (bound) {
        lab.figure("bound to this node: a read", bound_here, unit::nanoseconds,
                   {.reported = "8.2 us, 5 %, +35 %"});
    } else {
        lab.refused("binding memory to a node: the kernel or the container forbids it");
    }
    auto* const own = static_cast<char*>(allocate(size));
    if (own != nullptr) {
        lab.figure("from the heap's arena of this node: a read", chase(own), unit::nanoseconds,
                   {.reported = "6.9 us, ?, +46 %"});
        deallocate(own);
    }
    if (nodes < 2) {
        lab.refused(
            "remote memory: this machine has one node, so there is nothing to be far from, "
            "and the three rows differ by huge pages and noise only");
    } else if (bound) {
        for (unsigned n = 0; n < nodes; ++n) {
            if (n == here) continue;
            const double remote = with_pages([&](void* p) { (void)os::bind(p, bytes{size}, n); });
            lab.figure(fmt::format("bound to node {}: a read more than here", n),
                       remote - bound_here, unit::nanoseconds, {.reported = "+40 to 80 ns"});
        }
    }
    lab.impossible(
        "jemalloc's arena 0 being node 0, and an option --with-numa (S0-63, S0-65): "
        "arenas know nothing of nodes; the kernel's policy calls do (ruling C-37)");
    lab.impossible(
        "12.7 us for a remote allocation by the distance of memory alone (S0-64): a "
        "remote read costs tens of nanoseconds more, not microseconds");
}

const experiment here{{.id = "E-09",
                       .name = "numa",
                       .question = "What does memory of another node cost?",
                       .rows = "S0-62..66",
                       .reported = "12.7/38 %; 8.2/5 %/+35 %; 6.9/?/+46 %; +40 to 80 ns remote",
                       .run = run}};

}  // namespace
}  // namespace steady::cli::lab
