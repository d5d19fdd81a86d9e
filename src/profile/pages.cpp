// pages.cpp - fragmentation and residency by stack. The story is in pages.hpp.
#include "pages.hpp"

#include <array>
#include <cmath>
#include <unordered_map>

#include <sys/mman.h>

#include "recorder.hpp"
#include "steady/heap/size_classes.gen.hpp"

namespace steady::profile::detail {
namespace {

constexpr std::uint64_t heap_page = 8192, os_page = 4096;

/// Bytes of [start, start + size) that are in physical memory.
std::uint64_t resident_bytes(std::uintptr_t start, std::uint64_t size) noexcept {
    const std::uintptr_t end = start + size;
    std::uint64_t resident = 0;
    unsigned char pages[4096];
    for (std::uintptr_t at = start & ~(os_page - 1); at < end;) {
        const std::uint64_t left = (end - at + os_page - 1) / os_page;
        const std::uint64_t count = left < sizeof pages ? left : sizeof pages;
        if (mincore(reinterpret_cast<void*>(at), count * os_page, pages) != 0) return resident;
        for (std::uint64_t i = 0; i < count; ++i) {
            if ((pages[i] & 1) == 0) continue;
            const std::uintptr_t from = at + i * os_page, to = from + os_page;
            resident += (to < end ? to : end) - (from > start ? from : start);
        }
        at += count * os_page;
    }
    return resident;
}

struct of_class {
    double weight = 0;      // estimated live objects
    double resident = 0;    // resident share of the sampled ones, weighted
    std::uint64_t own = 0;  // live samples: they lie on pages of their own
    double waste = 0;       // of the class's spans
    double charged = 0;     // so far, in the order of the samples
};

}  // namespace

void charge_pages(std::vector<raw_sample>& samples, const std::vector<live_part>& parts,
                  const heap_statistics& s) {
    std::array<of_class, class_count> classes{};
    std::unordered_map<const site*, raw_sample*> place;
    for (raw_sample& one : samples) place.emplace(one.where, &one);

    // Live samples: what their own pages waste is known, and what of them is resident.
    constexpr std::size_t most_asked = 100'000;  // beyond, the classes' shares are known well
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const live_part& p = parts[i];
        const unsigned c = p.where->size_class;
        const bool counted = c != 0 && p.where->of != population::instance;
        double share = 1;
        if (i < most_asked) {
            share = static_cast<double>(resident_bytes(p.address, p.size)) /
                    static_cast<double>(p.size == 0 ? 1 : p.size);
        } else if (classes[c].weight > 0) {
            share = classes[c].resident / classes[c].weight;
        }
        classes[c].weight += counted ? p.weight : 0;
        classes[c].resident += counted ? p.weight * share : 0;
        classes[c].own += counted ? 1 : 0;
        const auto found = place.find(p.where);
        if (found == place.end()) continue;
        raw_sample& one = *found->second;
        one.values[resident_space] += std::llround(p.weight * share * static_cast<double>(p.size));
        if (!counted) continue;
        const std::uint64_t waste = (p.size + heap_page - 1) / heap_page * heap_page - p.size;
        one.values[frag_space] += static_cast<std::int64_t>(waste);
    }

    for (unsigned c = 1; c < class_count; ++c) {
        const auto& line = s.by_size[c];
        const double live = static_cast<double>(line.mallocs) - static_cast<double>(line.frees) -
                            static_cast<double>(classes[c].own);
        classes[c].waste = static_cast<double>(line.span_bytes) - live * line.size;
    }
    const auto sum_of_frag = [&] {
        std::int64_t sum = 0;
        for (const raw_sample& one : samples) sum += one.values[frag_space];
        return sum;
    };
    // Shares are rounded so that their sum is the waste: each is the difference of two
    // rounded partial sums.
    for (raw_sample& one : samples) {
        if (one.where == nullptr || one.where->of == population::instance) continue;
        const unsigned c = one.where->size_class;
        if (c == 0 || classes[c].weight <= 0 || one.values[inuse_objects] <= 0) continue;
        of_class& mine = classes[c];
        const std::int64_t before = std::llround(mine.charged);
        mine.charged += mine.waste * static_cast<double>(one.values[inuse_objects]) / mine.weight;
        const std::int64_t share = std::llround(mine.charged) - before;
        one.values[frag_space] += share;
        one.values[resident_space] +=
            std::llround(static_cast<double>(share) * mine.resident / mine.weight);
    }
    // Classes without a live sample, the heap's own records, other heaps.
    const std::int64_t rest = static_cast<std::int64_t>(s.heap_inuse) -
                              static_cast<std::int64_t>(s.heap_alloc) - sum_of_frag();
    if (samples.empty() || samples.back().where != nullptr) samples.emplace_back();
    samples.back().values[frag_space] = rest;
}

}  // namespace steady::profile::detail
