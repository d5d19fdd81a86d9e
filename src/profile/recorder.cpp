// recorder.cpp - the listeners. The story is in recorder.hpp.
#include "recorder.hpp"

#include <cstring>

#include <dlfcn.h>
#include <sys/prctl.h>

#include "steady/core/options.hpp"
#include "steady/os/metadata.hpp"
#include "steady/profile/detail/unwind.hpp"
#include "steady/profile/label.hpp"
#include "steady/profile/profile.hpp"
#include "steady/slice/watch.hpp"
#include "cpu.hpp"
#include "symbols.hpp"
#include "tuning.hpp"

#if defined(STEADY_PROFILE_LIBRARY)
// Of libsteady_malloc.so, if that is loaded.
#pragma weak steady_heap_interface_1
#endif

namespace steady::profile::detail {

constinit recorder the_recorder;
constinit thread_local bool thread_is_unrecorded = false;

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// ---- Labels. What a thread says about itself is looked at again now and then only: its
// name changes hardly ever.

struct thread_labels {
    const label_node* scopes = nullptr;   // innermost
    const label_set* interned = nullptr;  // of `scopes` and `name`
    std::uint32_t until_look = 0;
    char name[16] = {};
};
constinit thread_local thread_labels mine;

constexpr std::size_t most_labels = 16;

}  // namespace

const label_set* current_labels() noexcept {
    thread_labels& t = mine;
    if (t.until_look == 0) {
        t.until_look = 64;
        char name[16] = {};
        prctl(PR_GET_NAME, name);
        if (std::memcmp(name, t.name, sizeof name) != 0) {
            std::memcpy(t.name, name, sizeof name);
            t.interned = nullptr;
        }
    }
    --t.until_look;
    if (t.interned != nullptr) return t.interned;
    label_pair pairs[most_labels];
    std::size_t count = 0;
    pairs[count++] = {"thread", t.name};
    for (const label_node* n = t.scopes; n != nullptr && count < most_labels; n = n->outer) {
        bool hidden = false;  // an inner scope says something else
        for (std::size_t i = 0; i < count; ++i)
            hidden = hidden || std::strcmp(pairs[i].key, n->key) == 0;
        if (!hidden) pairs[count++] = {n->key, n->text};
    }
    t.interned = the_recorder.records.intern(pairs, count);
    return t.interned;
}

const label_set* labels_in_signal() noexcept {
    return mine.interned;
}

namespace {

/// A stack as profiles show it: frames of the profiler and of the heap below the program's are
/// left out. A thread keeps the last one that made a heap sample; it often makes the next.
struct program_stack {
    std::uint32_t serial = 0;  // captured::serial
    std::uint16_t left_out = 0;
    bool cut = false;
    bool is_ours = false;  // the profiler's library allocates for itself: in no profile
    std::size_t depth = 0;
    std::uint64_t hash = 0;
    site* where = nullptr;  // of the last sample; T1: never gone

    void take(const std::uintptr_t* captured_frames, const captured& c) noexcept {
        if (c.serial != 0 && c.serial == serial) return;
        const recorder& r = the_recorder;
        const std::uintptr_t* frames = captured_frames;
        depth = c.depth;
        const auto leave = [&](const code_range& code) noexcept {
            while (depth > 1 && code.covers(*frames)) ++frames, --depth;
        };
        leave(r.profiler_code);
        leave(r.heap_code);
        serial = c.serial;
        left_out = static_cast<std::uint16_t>(frames - captured_frames);
        cut = c.cut;
        is_ours = depth != 0 && r.profiler_code.covers(*frames);
        hash = hash_of_stack(frames, depth);
        where = nullptr;
    }
};
constinit thread_local program_stack last_of_heap;

site* site_here(domain what, std::uint64_t size, const char* detail, const std::uintptr_t* kept,
                program_stack& stack) noexcept {
    if (stack.cut) the_recorder.cut_stacks.fetch_add(1, relaxed);
    const label_set* labels = current_labels();
    if (stack.where != nullptr && stack.where->size == size && stack.where->labels == labels)
        return stack.where;
    stack.where = the_recorder.records.find_or_add(
        {what, size, labels, detail, kept + stack.left_out, stack.depth, stack.hash, stack.cut});
    if (stack.where == nullptr) the_recorder.lost.fetch_add(1, relaxed);
    return stack.where;
}

void on_allocated(recorder& r, const sample_event& e) noexcept {
    std::uintptr_t kept[most_frames];
    program_stack& stack = last_of_heap;
    stack.take(kept, capture(kept, most_frames, 0));
    if (stack.is_ours) return;
    const double weight = e.probability > 0 ? 1 / e.probability : 1;
    const std::uint64_t size = e.size.count();
    consider_tuning();
    const os::lock_guard only_one(r.records.guard);
    r.samples.store(r.samples.load(relaxed) + 1, relaxed);  // under the guard
    site* s = site_here(domain::heap, size, nullptr, kept, stack);
    if (s == nullptr) return;
    s->values[0] += weight;
    s->values[1] += weight * static_cast<double>(size);
    if (!r.records.add_live({reinterpret_cast<std::uintptr_t>(e.address), s, weight, size})) {
        r.lost.fetch_add(1, relaxed);
    }
}

void on_sample(void* context, const sample_event& e) noexcept {
    auto& r = *static_cast<recorder*>(context);
    const auto address = reinterpret_cast<std::uintptr_t>(e.address);
    switch (e.kind) {
        case sample_event::what::allocated:
            if (!thread_is_unrecorded) on_allocated(r, e);
            return;
        case sample_event::what::freed: {
            const os::lock_guard only_one(r.records.guard);
            static_cast<void>(r.records.take_live(address));
            return;
        }
        case sample_event::what::resized: {
            const os::lock_guard only_one(r.records.guard);
            if (live_sample* found = r.records.find_live(address)) {
                found->size = e.size.count();
                found->weight = e.probability > 0 ? 1 / e.probability : 1;
            }
            return;
        }
    }
}

void on_growth(void* context, const growth_event& e) noexcept {
    auto& r = *static_cast<recorder*>(context);
    std::uintptr_t kept[most_frames];
    program_stack stack;
    stack.take(kept, capture(kept, most_frames, 0));
    if (stack.is_ours) return;
    r.growths.fetch_add(1, relaxed);
    const os::lock_guard only_one(r.records.guard);
    site* s = site_here(domain::growth, 0, e.kind, kept, stack);
    if (s == nullptr) return;
    s->values[0] += 1;
    s->values[1] += static_cast<double>(e.entries_moved);
    if (e.bytes_after > e.bytes_before)
        s->values[2] += static_cast<double>(e.bytes_after - e.bytes_before);
}

void on_small_view(void* context, const small_view_event& e) noexcept {
    auto& r = *static_cast<recorder*>(context);
    if (e.kind != small_view_event::what::made) return;
    std::uintptr_t kept[most_frames];
    program_stack stack;
    stack.take(kept, capture(kept, most_frames, 0));
    if (stack.is_ours) return;
    const os::lock_guard only_one(r.records.guard);
    site* s = site_here(domain::retained, 0, nullptr, kept, stack);
    if (s == nullptr) return;
    s->values[0] += 1;
    s->values[1] += static_cast<double>(e.retained.count());
}

// The heap holds all its locks here; ours comes last (T2). A child has one thread, which
// holds the guard, and the tables are between two samples.
void on_fork(void* context, const fork_event& e) noexcept {
    auto& r = *static_cast<recorder*>(context);
    if (e.kind == fork_event::what::prepare) {
        r.records.guard.lock();
        return;
    }
    if (e.kind == fork_event::what::child) {
        forget_symbols_after_fork();
        os::metadata_reset_after_fork();  // used under the guard only
        forget_cpu_after_fork();
        forget_tuning_after_fork();
    }
    r.records.guard.unlock();
}

}  // namespace

void add_cpu_sample(const std::uintptr_t* frames, std::size_t depth, bool cut,
                    const label_set* labels, double samples, double nanoseconds) noexcept {
    recorder& r = the_recorder;
    const os::lock_guard only_one(r.records.guard);
    site* s = r.records.find_or_add(
        {domain::cpu, 0, labels, nullptr, frames, depth, hash_of_stack(frames, depth), cut});
    if (s == nullptr) {
        r.lost.fetch_add(1, relaxed);
        return;
    }
    s->values[0] += samples;
    s->values[1] += nanoseconds;
}

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

extern "C" void steady_profile_enter_label(steady::profile::label_node* node) noexcept {
    auto& t = steady::profile::detail::mine;
    node->outer = t.scopes;
    t.scopes = node;
    t.interned = nullptr;
}

extern "C" void steady_profile_leave_label(steady::profile::label_node* node) noexcept {
    auto& t = steady::profile::detail::mine;
    t.scopes = node->outer;
    t.interned = nullptr;
}

namespace steady::profile {

using namespace detail;

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

}  // namespace

bool start() noexcept {
    const heap_interface* h = heap();
    if (h == nullptr) return false;
    recorder& r = the_recorder;
    static constinit os::mutex changing;
    const os::lock_guard one_at_a_time(changing);
    if (r.running.load(relaxed)) return true;
    {
        const os::lock_guard only_one(r.records.guard);
        r.records.forget_live();
        r.records.clear_values(domain::heap);
    }
#if defined(STEADY_PROFILE_LIBRARY)
    r.profiler_code = code_around(&r);
    r.heap_code = code_around(h);
#endif
    r.live_at_start = h->read_statistics().heap_alloc;
    h->forks->install(&on_fork, &r);
    h->samples->install(&on_sample, &r);
    set_tuning(h->options().profile_tune);
    h->set_period(h->options().profilerate);
    if (auto* growths = hook_of_the_program()) growths->install(&on_growth, &r);
    if (auto* views = view_hook_of_the_program()) views->install(&on_small_view, &r);
    r.running.store(true, relaxed);
    return true;
}

void stop() noexcept {
    const heap_interface* h = heap();
    if (h == nullptr || !the_recorder.running.exchange(false)) return;
    h->samples->remove();
    h->set_period(h->period());  // nobody listens: nothing is drawn
    if (auto* growths = hook_of_the_program()) growths->remove();
    if (auto* views = view_hook_of_the_program()) views->remove();
}

void set_rate(std::uint64_t rate) noexcept {
    if (const heap_interface* h = heap()) h->set_period(rate);
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
    c.unsampled_live = r.live_at_start;
    const os::lock_guard only_one(r.records.guard);
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
