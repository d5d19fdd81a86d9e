// ledger.hpp - how many bytes are in one state, exactly. A ledger changes inside
// the function that changes the memory's state and nowhere else, so that audit
// can add all of them up, compare the sum with what the system says, and trust
// nobody.
//
// Invariants
//   L1  A ledger never goes below zero: every byte that leaves was entered.
//
// Relaxed atomics are enough: a ledger orders nothing, it only counts, and a sum
// over several is exact as soon as the threads that change them have stopped.
//
// Cost    one locked add. Ledgers sit on slow paths (pages, spans), never on the
//         path of a small allocation.

#pragma once

#include "steady/core/check.hpp"
#include "steady/core/units.hpp"

#include <atomic>
#include <cstddef>

namespace steady {

namespace detail {

[[noreturn, gnu::cold, gnu::noinline]] inline void ledger_underflow(const char* name, bytes had,
                                                                    bytes taken) noexcept {
    fatal(message("core")
              .text("broken invariant L1: ledger ")
              .text(name)
              .text(" holds ")
              .size(had)
              .text(", but ")
              .size(taken)
              .text(" were taken out.")
              .line("Memory left a state it had not entered: a block was given back twice,")
              .line("or with another size than it was taken with."));
}

}  // namespace detail

class ledger {
public:
    /// `name` is static text and appears in audits: "os.ready".
    constexpr explicit ledger(const char* name) noexcept : name_{name} {}

    ledger(const ledger&) = delete;
    ledger& operator=(const ledger&) = delete;

    void add(bytes n) noexcept { total_.fetch_add(n.count(), std::memory_order_relaxed); }

    void sub(bytes n) noexcept {
        [[maybe_unused]] const std::size_t had =
            total_.fetch_sub(n.count(), std::memory_order_relaxed);
        if constexpr (STEADY_CHECK >= 1) {
            if (had < n.count()) [[unlikely]]
                detail::ledger_underflow(name_, bytes{had}, n);
        }
    }

    [[nodiscard]] bytes value() const noexcept {
        return bytes{total_.load(std::memory_order_relaxed)};
    }
    [[nodiscard]] const char* name() const noexcept { return name_; }

private:
    const char* name_;
    std::atomic<std::size_t> total_{0};
};

}  // namespace steady
