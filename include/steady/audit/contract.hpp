// contract.hpp - a container that says what it will take, and a test that holds it to that.
//
//   struct order_index {
//       static constexpr std::uint64_t estimate_bytes(std::uint64_t n) { return 64 * n + 4096; }
//       void insert(std::uint64_t id);                 // whatever fills it
//   };
//   static_assert(audit::MemoryContract<order_index>);
//   static_assert(audit::estimate_of<order_index>(1'000'000) < 70'000'000);   // fails the build
//
//   const auto kept = audit::check_contract<order_index>(
//       1'000'000, [](order_index& x, std::uint64_t n) { for (...) x.insert(...); });
//   if (!kept) puts(kept.text().c_str());                                  // fails the test
//
// No test framework is needed: the answer converts to bool and explains itself.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include "steady/audit/meter.hpp"
#include "steady/audit/plan.hpp"

namespace steady::audit {

/// A type that says how many bytes it takes with n entries, at most.
template <class T>
concept MemoryContract = requires(std::uint64_t n) {
    { T::estimate_bytes(n) } -> std::convertible_to<std::uint64_t>;
};

template <MemoryContract T>
[[nodiscard]] constexpr std::uint64_t estimate_of(std::uint64_t n) {
    return T::estimate_bytes(n);
}

/// The contract that a plan makes of any container that can be planned: its upper bound.
template <class Container>
struct planned_contract {
    using container = Container;
    static constexpr std::uint64_t estimate_bytes(std::uint64_t n) {
        return plan<Container>(n).total.high;
    }
};

struct contract_result {
    std::uint64_t entries = 0;
    std::uint64_t stated = 0;    // estimate_bytes(entries)
    std::uint64_t measured = 0;  // live bytes in the heap
    std::uint64_t peak = 0;      // the most seen while it was filled
    std::uint64_t ceiling = 0;   // 0: none

    [[nodiscard]] bool kept() const noexcept {
        return measured <= stated && (ceiling == 0 || stated <= ceiling);
    }
    explicit operator bool() const noexcept { return kept(); }
    [[nodiscard]] std::string text() const;
};

/// Makes a T on the stack, fills it by fill(t, n), and compares what the heap counted with
/// what T had stated; and, when there is one, what it states with a ceiling.
///
/// Threads    no other thread may allocate meanwhile.
template <class T, MemoryContract Contract = T, class Fill>
[[nodiscard]] contract_result check_contract(std::uint64_t n, Fill&& fill,
                                             std::uint64_t ceiling = 0) {
    memory_meter m;
    T subject{};
    fill(subject, n);
    const metered seen = m.read();
    const auto positive = [](std::int64_t v) { return v < 0 ? 0 : static_cast<std::uint64_t>(v); };
    return {n, estimate_of<Contract>(n), positive(seen.live_bytes), positive(seen.peak_bytes),
            ceiling};
}

}  // namespace steady::audit
