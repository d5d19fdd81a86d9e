// sampler.cpp - drawing samples and housing sampled objects. The story is in
// sampler.hpp.
#include "steady/heap/detail/sampler.hpp"

#include "steady/core/hooks.hpp"
#include "steady/heap/detail/checks.hpp"
#include "steady/heap/detail/central.hpp"
#include "steady/heap/detail/guards.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/os/thread.hpp"

namespace steady::detail {

constinit sampling_state sampling;

namespace {

constinit std::atomic<std::uint64_t> large_random{0};  // one for all threads: large ones are rare
constexpr auto relaxed = std::memory_order_relaxed;
// In (0, 1).
double uniform(std::uint64_t bits) noexcept {
    return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
}
double uniform_for_large() noexcept {
    constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
    return uniform(splitmix64(large_random.fetch_add(step, relaxed))());
}

bool listens() noexcept {
    return sampler::period() != 0 && sample_hook.armed();
}

void announce_allocated(const heap_core& owner, const sample_facts& facts, void* object,
                        std::size_t size, unsigned size_class = 0) noexcept {
    sample_hook.announce({sample_event::what::allocated, object, bytes{size},
                          bytes{facts.requested}, facts.probability,
                          static_cast<std::uint8_t>(size_class), owner.is_default()});
}

void announce(sample_event::what kind, const sample_facts& facts, void* object,
              std::size_t size) noexcept {
    sample_hook.announce(
        {kind, object, bytes{size}, bytes{facts.requested}, facts.probability, 0, false});
}

// What a change of size makes of a sample, or of an object that was none.
void decide(sample_facts& facts, std::size_t before, std::size_t after) noexcept {
    if (!listens()) return;
    const double was = before == 0 ? 0 : sampler::probability(before);
    const double is = sampler::probability(after);
    bool sampled = facts.probability > 0;
    if (!sampled && was >= 1) {
        // Made while nobody listened, or with longer periods: what it has grown by can be met.
        sampled = after > before && uniform_for_large() < sampler::probability(after - before);
    } else if (!sampled) {
        sampled = uniform_for_large() * (1 - was) < is - was;
    } else if (is < facts.probability) {
        sampled = uniform_for_large() * facts.probability < is;
    }
    facts.probability = sampled ? is : 0;
}

}  // namespace

void sampler::configure(std::uint64_t period, std::uint32_t guard_rate) noexcept {
    sampling.period.store(period, relaxed);
    for (auto& own : sampling.class_period) own.store(period, relaxed);
    sampling.guard_rate.store(guard_rate, relaxed);
    sampling.active.store(period != 0 && (sample_hook.armed() || guard_rate != 0), relaxed);
    large_random.fetch_xor(os::now_ns(), relaxed);
    if (guard_rate != 0) guards::watch_faults();
    // release; pairs with the acquire in ready_down_to(): who sees the epoch sees the periods.
    sampling.epoch.fetch_add(1, std::memory_order_release);
    redraw_samples();
}

void sampler::large_made(const heap_core& owner, sample_facts& facts, void* object,
                         std::size_t size, std::size_t requested) noexcept {
    facts = {requested, 0};
    decide(facts, 0, size);
    if (facts.probability > 0) announce_allocated(owner, facts, object, size);
}

void sampler::large_resized(const heap_core& owner, sample_facts& facts, void* object,
                            std::size_t before, std::size_t after, std::size_t requested) noexcept {
    const sample_facts was = facts;
    facts.requested = requested;
    decide(facts, before, after);
    if (was.probability > 0 && facts.probability > 0) {
        announce(sample_event::what::resized, facts, object, after);
    } else if (was.probability > 0) {
        announce(sample_event::what::freed, was, object, before);
    } else if (facts.probability > 0) {
        announce_allocated(owner, facts, object, after);
    }
}

void sampler::large_freed(const sample_facts& facts, void* object, std::size_t size) noexcept {
    if (facts.probability > 0) announce(sample_event::what::freed, facts, object, size);
}

void sampler::large_arrived(const heap_core& owner, sample_facts& facts, void* object,
                            std::size_t before, std::size_t after, std::size_t requested) noexcept {
    facts.requested = requested;
    if (after != before) decide(facts, before, after);
    if (facts.probability > 0) announce_allocated(owner, facts, object, after);
}

void sampler::set_class_periods(const std::uint64_t* periods) noexcept {
    for (unsigned c = 1; c < class_count; ++c)
        sampling.class_period[c].store(periods[c] != 0 ? periods[c] : period(), relaxed);
}

double sampler::probability(std::size_t size, std::uint64_t period) noexcept {
    return size >= period ? 1 : static_cast<double>(size) / static_cast<double>(period);
}

sampler::stratum sampler::draw(std::size_t size, std::uint64_t period, wyrand& random) noexcept {
    if (size >= period) return {1, 1};
    constexpr double most = 0x1p50;
    const double mean = static_cast<double>(period) / static_cast<double>(size);
    const auto objects =
        static_cast<std::uint64_t>((mean < most ? mean : most) + uniform(random()));
    __extension__ using wide = unsigned __int128;
    return {objects, static_cast<std::uint64_t>(wide{random()} * objects >> 64) + 1};
}

void* sampler::allocate(heap_core& core, unsigned node, span_class sclass, std::size_t size,
                        double probability, wyrand& random) noexcept {
    const std::uint32_t rate = sampling.guard_rate.load(relaxed);
    const bool guarded = rate != 0 && core.is_default() && random() % rate == 0 && guards::admit();
    if (!guarded && !sample_hook.armed()) return nullptr;
    const auto made =
        store.make_sampled(node, sclass, guarded ? span_kind::guarded : span_kind::sampled, core);
    if (!made) {
        if (guarded) guards::dismiss();
        return nullptr;
    }
    span* s = *made;
    s->sample = {size, probability};
    if (guarded && !guards::protect_tail(*s)) {
        store.destroy(s);
        guards::dismiss();
        return nullptr;
    }
    auto* object = reinterpret_cast<void*>(object_of(*s));
    announce_allocated(core, s->sample, object, class_size[sclass >> 1], sclass >> 1);
    return object;
}

std::uintptr_t sampler::object_of(const span& s) noexcept {
    if (s.kind != span_kind::guarded) return s.base;
    // Ends at the guard page, so that one byte too far faults; 16-byte aligned.
    return s.base + s.byte_count() - page_size.count() -
           round_up(s.sample.requested == 0 ? 1 : s.sample.requested, 16);
}

void sampler::free(span* s, void* object) noexcept {
    if (reinterpret_cast<std::uintptr_t>(object) != object_of(*s)) report_invalid_free(object);
    if (s->is_free(0)) report_double_free(object, *s);  // its pages are kept
    announce(sample_event::what::freed, s->sample, object, s->object_size());
    if (s->kind == span_kind::guarded) {
        guards::retire(s);
        return;
    }
    store.destroy_sampled(s);
}

}  // namespace steady::detail
