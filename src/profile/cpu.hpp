// cpu.hpp - where the processor's time goes: a signal in each thread every 10 ms of its own
// processor time, and the stack it interrupts.
//
//   thread ---SIGPROF---> handler: stack --> a slot of the ring
//   collector, every 50 ms:  new threads get a timer;  slots --> sites
//
// Each thread has a timer on its own clock, so that threads are sampled as they run and no
// thread stands for others. The handler takes no lock and allocates nothing. It stays
// installed: a signal that was sent before the last timer went would end the program.
#pragma once

#include <cstdint>
#include <string>

namespace steady::profile::detail {

inline constexpr std::uint64_t cpu_period_ns = 10'000'000;

/// One profile at a time, from its first sample until its values are copied. Waits for it.
class cpu_turn {
public:
    cpu_turn() noexcept;
    ~cpu_turn();
    cpu_turn(const cpu_turn&) = delete;
    cpu_turn& operator=(const cpu_turn&) = delete;
};

/// Samples for so long. Returns why it could not, or nothing.
[[nodiscard]] std::string run_cpu_profile(unsigned seconds, const cpu_turn& mine);

/// For the one thread of a forked child: no profile is running here.
void forget_cpu_after_fork() noexcept;

}  // namespace steady::profile::detail
