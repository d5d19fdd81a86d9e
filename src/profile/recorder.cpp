// recorder.cpp - the listeners. The story is in recorder.hpp.
#include "recorder.hpp"

#include <cmath>

#include "steady/os/metadata.hpp"
#include "steady/profile/detail/unwind.hpp"
#include "steady/slice/watch.hpp"
#include "cpu.hpp"
#include "symbols.hpp"
#include "tuning.hpp"

namespace steady::profile::detail {

constinit recorder the_recorder;
constinit thread_local bool thread_is_unrecorded = false;

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

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

site* site_here(site_key key, const std::uintptr_t* kept, program_stack& stack) noexcept {
    if (stack.cut) the_recorder.cut_stacks.fetch_add(1, relaxed);
    key.labels = current_labels();
    const site* last = stack.where;
    if (last != nullptr && last->size == key.size && last->labels == key.labels &&
        last->of == key.of && last->size_class == key.size_class)
        return stack.where;
    key.frames = kept + stack.left_out;
    key.depth = stack.depth;
    key.stack_hash = stack.hash;
    key.cut = stack.cut;
    stack.where = the_recorder.records.find_or_add(key);
    if (stack.where == nullptr) the_recorder.lost.fetch_add(1, relaxed);
    return stack.where;
}

// Under the guard. Without a place the objects it stands for are known to nobody.
void remember(recorder& r, const sample_event& e, site* where) noexcept {
    const double weight = e.probability > 0 ? 1 / e.probability : 1;
    const auto size = static_cast<double>(e.size.count());
    if (where == nullptr || !r.records.add_live({reinterpret_cast<std::uintptr_t>(e.address), where,
                                                 weight, e.size.count()})) {
        if (where != nullptr) r.lost.fetch_add(1, relaxed);
        if (!e.counted) return;
        const double units = std::ceil(e.size_class == 0 ? weight * size : weight);
        r.untracked.made[e.size_class] += units;
        r.untracked.alive_at_most[e.size_class] += units;
        return;
    }
    where->values[0] += weight;
    where->values[1] += weight * size;
    where->values[2] += weight <= 1 ? weight : 0;
}

// The profiler's own memory is in no profile, and yet in the heap's counts: what those are
// shared among must be complete (estimate.hpp).
void remember_our_own(recorder& r, const sample_event& e) noexcept {
    if (!e.counted) return;
    const std::uint64_t size = e.size.count();
    const os::lock_guard only_one(r.records.guard);
    const site_key key{.of = population::profiler, .size_class = e.size_class, .size = size};
    remember(r, e, r.records.find_or_add(key));
}

void on_allocated(recorder& r, const sample_event& e) noexcept {
    if (thread_is_unrecorded) {
        remember_our_own(r, e);
        return;
    }
    std::uintptr_t kept[most_frames];
    program_stack& stack = last_of_heap;
    stack.take(kept, capture(kept, most_frames, 0));
    if (stack.is_ours) {
        remember_our_own(r, e);
        return;
    }
    consider_tuning();
    const os::lock_guard only_one(r.records.guard);
    r.samples.store(r.samples.load(relaxed) + 1, relaxed);  // under the guard
    const site_key key{.what = domain::heap,
                       .of = e.counted ? population::counted : population::instance,
                       .size_class = e.size_class,
                       .size = e.size.count()};
    remember(r, e, site_here(key, kept, stack));
}

void on_sample(void* context, const sample_event& e) noexcept {
    auto& r = *static_cast<recorder*>(context);
    const auto address = reinterpret_cast<std::uintptr_t>(e.address);
    switch (e.kind) {
        case sample_event::what::allocated: on_allocated(r, e); return;
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
    site* s = site_here({.what = domain::growth, .detail = e.kind}, kept, stack);
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
    site* s = site_here({.what = domain::retained}, kept, stack);
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
        r.changing.reset_after_fork();
    }
    r.records.guard.unlock();
}

}  // namespace

void listen_to_heap(const heap_interface& h) noexcept {
    h.forks->install(&on_fork, &the_recorder);
    h.samples->install(&on_sample, &the_recorder);
}

void listen_to_growths(hook<growth_event>& growths) noexcept {
    growths.install(&on_growth, &the_recorder);
}

void listen_to_views(hook<small_view_event>& views) noexcept {
    views.install(&on_small_view, &the_recorder);
}

void add_cpu_sample(const std::uintptr_t* frames, std::size_t depth, bool cut,
                    const label_set* labels, double samples, double nanoseconds) noexcept {
    recorder& r = the_recorder;
    const os::lock_guard only_one(r.records.guard);
    site* s = r.records.find_or_add({.what = domain::cpu,
                                     .labels = labels,
                                     .frames = frames,
                                     .depth = depth,
                                     .stack_hash = hash_of_stack(frames, depth),
                                     .cut = cut});
    if (s == nullptr) {
        r.lost.fetch_add(1, relaxed);
        return;
    }
    s->values[0] += samples;
    s->values[1] += nanoseconds;
}

}  // namespace steady::profile::detail
