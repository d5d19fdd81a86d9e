// collect.cpp - copies the tables. The story is in collect.hpp.
//
// The copy is made under the guard, and the guard is held by threads inside malloc: so
// nothing is allocated while it is held. Room is made before; when the tables have grown
// past it meanwhile, the copy is tried again.
#include "collect.hpp"

#include <cmath>
#include <ctime>
#include <unordered_map>

#include <time.h>

#include "cpu.hpp"
#include "pages.hpp"
#include "recorder.hpp"

namespace steady::profile::detail {
namespace {

std::int64_t now(clockid_t clock) noexcept {
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

domain domain_of(kind what) noexcept {
    switch (what) {
        case kind::heap:
        case kind::allocs: return domain::heap;
        case kind::growth: return domain::growth;
        case kind::retained: return domain::retained;
        case kind::cpu: return domain::cpu;
    }
    return domain::heap;
}

std::int64_t whole(double value) noexcept {
    return std::llround(value);
}

/// A copy of the sites of a domain other than the heap's.
std::vector<raw_sample> copy_sites(domain what) {
    tables& t = the_recorder.records;
    std::vector<raw_sample> out;
    for (std::size_t room = 256;; room *= 2) {
        out.reserve(room);
        const os::lock_guard only_one(t.guard);
        if (t.sites() > out.capacity()) continue;
        t.for_each_site([&](const site& s) noexcept {
            if (s.what != what) return;
            raw_sample one;
            one.where = &s;
            for (std::size_t v = 0; v < 3; ++v) one.values[v] = whole(s.values[v]);
            out.push_back(one);
        });
        return out;
    }
}

struct heap_copy {
    std::vector<heap_site> sites;
    std::vector<live_part> parts;
};

heap_copy copy_heap() {
    recorder& r = the_recorder;
    heap_copy c;
    for (std::size_t room = 256;; room *= 2) {
        c.sites.reserve(room);
        c.parts.reserve(room);
        const os::lock_guard only_one(r.records.guard);
        if (r.records.sites() > c.sites.capacity() || r.records.live() > c.parts.capacity())
            continue;
        r.records.for_each_live([&](const live_sample& s) noexcept {
            c.parts.push_back({s.where, s.address, s.size, s.weight});
        });
        r.records.for_each_site([&](const site& s) noexcept {
            if (s.what == domain::heap)
                c.sites.push_back({&s, s.values[0], s.values[1], s.values[2]});
        });
        return c;
    }
}

void subtract(std::vector<raw_sample>& from, const std::vector<raw_sample>& before) {
    std::unordered_map<const site*, const raw_sample*> earlier;
    for (const raw_sample& b : before) earlier.emplace(b.where, &b);
    for (raw_sample& s : from) {
        const auto found = earlier.find(s.where);
        if (found == earlier.end()) continue;
        for (std::size_t i = 0; i < heap_values; ++i) s.values[i] -= found->second->values[i];
    }
}

void sleep_seconds(unsigned seconds) noexcept {
    timespec left{static_cast<time_t>(seconds), 0};
    while (nanosleep(&left, &left) != 0) {
    }
}

std::vector<raw_sample> take(kind what, const options& how) {
    if (what != kind::heap && what != kind::allocs) return copy_sites(domain_of(what));
    const heap_interface* h = heap();
    if (h == nullptr) return {};
    if (how.gc) h->trim();
    heap_copy c = copy_heap();
    const heap_statistics counts = h->read_statistics();
    untracked_objects untracked;
    {
        const os::lock_guard only_one(the_recorder.records.guard);
        untracked = the_recorder.untracked;
        add_pause(untracked, counts);
    }
    // After stop() nobody follows what is freed: the weights are all there is.
    const bool followed = the_recorder.running.load(std::memory_order_relaxed);
    std::vector<raw_sample> samples =
        estimate(c.sites, c.parts, followed ? &counts : nullptr, untracked);
    charge_pages(samples, c.parts, counts);
    return samples;
}

}  // namespace

collection collect(kind what, const options& how) {
    collection c;
    const std::int64_t began = now(CLOCK_MONOTONIC);
    if (what == kind::cpu) {
        constexpr unsigned default_seconds = 30;  // Go's
        const cpu_turn mine;  // until the values are copied: the next profile clears them
        const std::string refused =
            run_cpu_profile(how.seconds != 0 ? how.seconds : default_seconds, mine);
        if (!refused.empty()) c.comments.push_back(refused);
        c.samples = copy_sites(domain::cpu);
        c.period = cpu_period_ns;
    } else if (how.seconds != 0) {
        const std::vector<raw_sample> before = take(what, how);
        sleep_seconds(how.seconds);
        c.samples = take(what, how);
        subtract(c.samples, before);
    } else {
        c.samples = take(what, how);
    }
    if (what == kind::heap || what == kind::allocs) c.period = rate();
    if (what == kind::growth || what == kind::retained) c.period = 1;
    c.time_ns = now(CLOCK_REALTIME);
    if (how.seconds != 0 || what == kind::cpu) c.duration_ns = now(CLOCK_MONOTONIC) - began;

    std::erase_if(c.samples, [](const raw_sample& s) {
        for (const std::int64_t v : s.values) {
            if (v != 0) return false;
        }
        return true;
    });
    return c;
}

}  // namespace steady::profile::detail
