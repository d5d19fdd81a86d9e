// lock_order.cpp - watching the order of locks. The story is in lock_order.hpp.
#include "steady/heap/lock_order.hpp"

#include "steady/core/fatal.hpp"
#include "steady/os/thread.hpp"

namespace steady::detail {

namespace {

constexpr const char* names[lock_ranks] = {
    "init",    "registry", "instances", "instance", "cache",          "quarantine",
    "central", "room",     "releasing", "pages",    "huge_releasing", "huge",
};

struct held_locks {
    std::uint32_t count[lock_ranks];
};
constinit __thread held_locks held __attribute__((tls_model("initial-exec"))) = {};

unsigned index(lock_rank rank) noexcept {
    return static_cast<unsigned>(rank);
}

[[noreturn, gnu::cold]] void report(unsigned wanted, unsigned holding) noexcept {
    message m("heap");
    m.text("lock `").text(names[wanted]).text("` is being taken by a thread that holds `");
    m.text(names[holding]).text("`.");
    m.line("Expected the order of heap/lock_order.hpp; two threads can wait for each other now.");
    m.line("Take the one above first, or give the one below back before.");
    fatal(m);
}

}  // namespace

void check_lock_order(lock_rank wanted) noexcept {
    if (os::in_background_thread()) return;  // it has no `held`
    const bool holds_registry = held.count[index(lock_rank::registry)] != 0;
    for (unsigned above = index(wanted); above < lock_ranks; ++above) {
        if (held.count[above] == 0) continue;
        const bool one_of_many =
            above == index(wanted) && holds_registry && wanted != lock_rank::registry;
        if (!one_of_many) report(index(wanted), above);
    }
}

void note_lock(lock_rank taken) noexcept {
    if (!os::in_background_thread()) ++held.count[index(taken)];
}

void note_unlock(lock_rank given_back) noexcept {
    if (!os::in_background_thread()) --held.count[index(given_back)];
}

}  // namespace steady::detail
