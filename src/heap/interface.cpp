// interface.cpp - the heap as a profiler sees it. The story is in interface.hpp.
#include "steady/heap/interface.hpp"

#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/sampler.hpp"

namespace steady::detail {
namespace {

void set_period(std::uint64_t period) noexcept {
    if (open_heap()) sampler::configure(period, options().guard_rate);
}

std::size_t hard_limit() noexcept {
    return limits.hard.load(std::memory_order_relaxed);
}

void set_hard_limit(std::size_t limit) noexcept {
    limits.hard.store(limit, std::memory_order_relaxed);
}

constinit const heap_interface interface_1 = {
    .layout = layout_of_interface,
    .samples = &sample_hook,
    .forks = &fork_hook,
    .failures = &failure_hook,
    .options = &options,
    .read_statistics = &read_statistics,
    .trim = &steady::trim,
    .set_period = &set_period,
    .set_class_periods = &sampler::set_class_periods,
    .period = &sampler::period,
    .hard_limit = &hard_limit,
    .set_hard_limit = &set_hard_limit,
};

}  // namespace
}  // namespace steady::detail

extern "C" [[gnu::visibility("default")]] const steady::heap_interface*
steady_heap_interface_1() noexcept {
    return &steady::detail::interface_1;
}
