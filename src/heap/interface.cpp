// interface.cpp - the heap as a profiler sees it. The story is in interface.hpp.
#include "steady/heap/interface.hpp"

#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/sampler.hpp"

namespace steady::detail {
namespace {

void set_period(std::uint64_t period) noexcept {
    if (open_heap()) sampler::configure(period, options().guard_rate);
}

constinit const heap_interface interface_1 = {
    .layout = layout_of_interface,
    .samples = &sample_hook,
    .forks = &fork_hook,
    .growths = &growth_hook,
    .options = &options,
    .read_statistics = &read_statistics,
    .trim = &steady::trim,
    .set_period = &set_period,
    .set_class_periods = &sampler::set_class_periods,
    .period = &sampler::period,
};

}  // namespace
}  // namespace steady::detail

extern "C" [[gnu::visibility("default")]] const steady::heap_interface*
steady_heap_interface_1() noexcept {
    return &steady::detail::interface_1;
}
