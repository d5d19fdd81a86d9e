// control.cpp - finds the heap, starts and stops, and says what profiling does.
#include <dlfcn.h>

#include "recorder.hpp"
#include "steady/core/options.hpp"
#include "steady/profile/profile.hpp"
#include "tuning.hpp"

#if defined(STEADY_PROFILE_LIBRARY)
// Of libsteady_malloc.so, if that is loaded.
#pragma weak steady_heap_interface_1
#endif

namespace steady::profile::detail {

const heap_interface* heap() noexcept {
#if defined(STEADY_PROFILE_LIBRARY)
    if (&steady_heap_interface_1 == nullptr) return nullptr;
#endif
    const heap_interface* h = steady_heap_interface_1();
    if (h->layout == layout_of_interface) return h;
    static std::atomic<bool> told{false};
    if (!told.exchange(true)) {
        message m("profile");
        m.text("the steady heap of this process was built from other sources than the profiler.");
        m.line("Nothing is profiled. Install libsteady_malloc.so and libsteady_profile.so");
        m.line("of the same version.");
        warn(m);
    }
    return nullptr;
}

}  // namespace steady::profile::detail

namespace steady::profile {

using namespace detail;

namespace {
constexpr auto relaxed = std::memory_order_relaxed;
}

namespace {

#if defined(STEADY_PROFILE_LIBRARY)
code_range code_around(const void* address) noexcept {
    dl_find_object found{};
    if (_dl_find_object(const_cast<void*>(address), &found) != 0) return {};
    return {reinterpret_cast<std::uintptr_t>(found.dlfo_map_start),
            reinterpret_cast<std::uintptr_t>(found.dlfo_map_end)};
}

// A program that uses our containers has a growth_hook of its own. It can be found when
// the program exports it (-rdynamic, or a shared library that uses containers).
hook<growth_event>* hook_of_the_program() noexcept {
    return static_cast<hook<growth_event>*>(dlsym(RTLD_DEFAULT, "_ZN6steady11growth_hookE"));
}
hook<small_view_event>* view_hook_of_the_program() noexcept {
    return static_cast<hook<small_view_event>*>(
        dlsym(RTLD_DEFAULT, "_ZN6steady15small_view_hookE"));
}
#else
hook<growth_event>* hook_of_the_program() noexcept {
    return &growth_hook;
}
hook<small_view_event>* view_hook_of_the_program() noexcept {
    return &small_view_hook;
}
#endif

/// What the default heap has made of a class: objects, of class 0 bytes.
double made(const heap_statistics& s, unsigned size_class) noexcept {
    if (size_class != 0) return static_cast<double>(s.by_size[size_class].mallocs);
    std::uint64_t small = 0;
    for (unsigned c = 1; c < class_count; ++c) small += s.by_size[c].mallocs * class_size[c];
    return static_cast<double>(s.total_alloc - small);
}

/// Under `changing`. While the rate is 0, what is allocated is known to nobody.
void change_rate(recorder& r, const heap_interface& h, std::uint64_t rate) noexcept {
    if (rate == 0) h.set_period(0);
    const heap_statistics now = h.read_statistics();
    {
        const os::lock_guard only_one(r.records.guard);
        add_pause(r.untracked, now);
        r.paused = rate == 0;
        for (unsigned c = 0; c < class_count; ++c) r.made_at_pause[c] = made(now, c);
    }
    if (rate != 0) h.set_period(rate);
}

}  // namespace

void detail::add_pause(untracked_objects& untracked, const heap_statistics& now) noexcept {
    const recorder& r = the_recorder;
    if (!r.paused) return;
    for (unsigned c = 0; c < class_count; ++c) {
        const double more = made(now, c) - r.made_at_pause[c];
        untracked.made[c] += more;
        untracked.alive_at_most[c] += more;
    }
}

bool start() noexcept {
    const heap_interface* h = heap();
    if (h == nullptr) return false;
    recorder& r = the_recorder;
    const os::lock_guard one_at_a_time(r.changing);
    if (r.running.load(relaxed)) return true;
    const heap_statistics before = h->read_statistics();
    {
        const os::lock_guard only_one(r.records.guard);
        r.records.forget_live();
        r.records.clear_values(domain::heap);
        r.live_at_start = before.heap_alloc;
        r.untracked = {};
        for (unsigned c = 0; c < class_count; ++c) {
            const auto& line = before.by_size[c];
            r.untracked.made[c] = made(before, c);
            r.untracked.alive_at_most[c] =
                static_cast<double>(c == 0 ? before.large_bytes : line.mallocs - line.frees);
        }
        r.paused = false;
    }
#if defined(STEADY_PROFILE_LIBRARY)
    r.profiler_code = code_around(&r);
    r.heap_code = code_around(h);
#endif
    listen_to_heap(*h);
    set_tuning(h->options().profile_tune && h->options().background);
    change_rate(r, *h, h->options().profilerate);
    if (auto* growths = hook_of_the_program()) listen_to_growths(*growths);
    if (auto* views = view_hook_of_the_program()) listen_to_views(*views);
    r.running.store(true, relaxed);
    return true;
}

void stop() noexcept {
    const heap_interface* h = heap();
    if (h == nullptr) return;
    const os::lock_guard one_at_a_time(the_recorder.changing);
    if (!the_recorder.running.exchange(false)) return;
    h->samples->remove();
    h->set_period(h->period());  // nobody listens: nothing is drawn
    if (auto* growths = hook_of_the_program()) growths->remove();
    if (auto* views = view_hook_of_the_program()) views->remove();
}

void set_rate(std::uint64_t rate) noexcept {
    const heap_interface* h = heap();
    if (h == nullptr) return;
    const os::lock_guard one_at_a_time(the_recorder.changing);
    change_rate(the_recorder, *h, rate);
}

std::uint64_t rate() noexcept {
    const heap_interface* h = heap();
    return h != nullptr ? h->period() : 0;
}

heap_statistics read_heap_statistics() noexcept {
    const heap_interface* h = heap();
    return h != nullptr ? h->read_statistics() : heap_statistics{};
}

counters read_counters() noexcept {
    recorder& r = the_recorder;
    counters c;
    c.running = r.running.load(relaxed);
    c.samples = r.samples.load(relaxed);
    c.growths = r.growths.load(relaxed);
    c.lost = r.lost.load(relaxed);
    c.cut_stacks = r.cut_stacks.load(relaxed);
    const os::lock_guard only_one(r.records.guard);
    c.unsampled_live = r.live_at_start;
    c.live_samples = r.records.live();
    c.sites = r.records.sites();
    c.table_bytes = r.records.memory().count();
    return c;
}

std::uint64_t count(kind what) noexcept {
    static constexpr domain domains[] = {domain::heap, domain::heap, domain::growth,
                                         domain::retained, domain::cpu};
    const os::lock_guard only_one(the_recorder.records.guard);
    return the_recorder.records.sites(domains[static_cast<std::size_t>(what)]);
}

}  // namespace steady::profile
