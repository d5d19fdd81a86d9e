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

struct live_sums {
    double objects = 0, space = 0;
};

/// A copy of the sites of one domain; of the heap's with their live samples.
std::vector<raw_sample> copy_sites(domain what, std::vector<live_part>* parts) {
    tables& t = the_recorder.records;
    std::vector<raw_sample> out;
    std::vector<live_sums> live;
    for (std::size_t room = 256;; room *= 2) {
        out.reserve(room);
        live.resize(what == domain::heap ? room : 0);
        if (parts != nullptr) parts->reserve(room);
        const os::lock_guard only_one(t.guard);
        if (t.sites() > room || (parts != nullptr && t.live() > parts->capacity())) continue;
        if (what == domain::heap) {
            t.for_each_live([&](const live_sample& s) noexcept {
                live_sums& sum = live[s.where->index];
                sum.objects += s.weight;
                sum.space += s.weight * static_cast<double>(s.size);
                if (parts != nullptr) parts->push_back({s.where, s.address, s.size, s.weight});
            });
        }
        t.for_each_site([&](const site& s) noexcept {
            if (s.what != what) return;
            raw_sample one;
            one.where = &s;
            one.values[0] = whole(s.values[0]);
            one.values[1] = whole(s.values[1]);
            if (what == domain::heap) {
                one.values[inuse_objects] = whole(live[s.index].objects);
                one.values[inuse_space] = whole(live[s.index].space);
            } else {
                one.values[2] = whole(s.values[2]);
            }
            out.push_back(one);
        });
        return out;
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
    if (what != kind::heap && what != kind::allocs) return copy_sites(domain_of(what), nullptr);
    if (how.gc) {
        if (const heap_interface* h = heap()) h->trim();
    }
    std::vector<live_part> parts;
    std::vector<raw_sample> samples = copy_sites(domain::heap, &parts);
    charge_pages(samples, parts);
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
        c.samples = copy_sites(domain::cpu, nullptr);
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
