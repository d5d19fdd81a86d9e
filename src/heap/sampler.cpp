// sampler.cpp - drawing samples and housing sampled objects. The story is in
// sampler.hpp.
#include "steady/heap/detail/sampler.hpp"

#include <array>
#include <bit>

#include "steady/core/hooks.hpp"
#include "steady/heap/detail/checks.hpp"
#include "steady/heap/detail/central.hpp"
#include "steady/heap/detail/guards.hpp"
#include "steady/heap/detail/runtime.hpp"
#include "steady/heap/detail/span_store.hpp"
#include "steady/os/thread.hpp"

namespace steady::detail {

namespace {

constinit std::atomic<std::uint64_t> period_{0};
constinit std::atomic<std::uint64_t> class_period_[class_count] = {};  // 0: period_
constinit std::atomic<std::uint32_t> guard_rate_{0};
constinit std::atomic<std::uint32_t> epoch_{0};
constinit std::atomic<std::uint64_t> large_random{0};  // one for all threads: large ones are rare
constexpr auto relaxed = std::memory_order_relaxed;
constexpr double ln2 = 0.693147180559945309417;

// 1 / i: a division takes three times as long as a product, and a sample needs two dozen.
constexpr auto reciprocals = [] {
    std::array<double, 27> all{};
    for (int i = 1; i < 27; ++i) all[static_cast<std::size_t>(i)] = 1.0 / i;
    return all;
}();

// exp(-x) for x >= 0, to 1e-12 relative: x = k ln2 + r, Taylor for r. libm would
// be one more library in every program that preloads us.
double exp_minus(double x) noexcept {
    if (x > 700) return 0;
    const int k = static_cast<int>(x / ln2 + 0.5);
    const double r = k * ln2 - x;  // |r| <= ln2 / 2
    double term = 1, sum = 1;
    for (std::size_t i = 1; i < 14; ++i) {
        term *= r * reciprocals[i];
        sum += term;
    }
    return sum * std::bit_cast<double>(static_cast<std::uint64_t>(1023 - k) << 52);
}

// -ln(u) for u in (0, 1): exponent and mantissa, the latter by the series of
// atanh, to 1e-12.
double minus_log(double u) noexcept {
    const auto bits = std::bit_cast<std::uint64_t>(u);
    const int exponent = static_cast<int>(bits >> 52) - 1023;
    const double m = std::bit_cast<double>((bits & ((std::uint64_t{1} << 52) - 1)) |
                                           (std::uint64_t{1023} << 52));
    const double z = (m - 1) / (m + 1);  // m in [1, 2): |z| <= 1/3
    double power = z, sum = 0;
    for (std::size_t i = 1; i < 27; i += 2) {
        sum += power * reciprocals[i];
        power *= z * z;
    }
    return -(exponent * ln2 + 2 * sum);
}

// In (0, 1).
double uniform(std::uint64_t bits) noexcept {
    return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
}
double uniform_for_large() noexcept {
    constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
    return uniform(splitmix64(large_random.fetch_add(step, relaxed))());
}

// With 1 - exp(-size / period): an exponential distance to the next sample is shorter.
bool comes_within(std::size_t size) noexcept {
    const std::uint64_t period = period_.load(relaxed);
    if (period <= 1) return true;
    return minus_log(uniform_for_large()) * static_cast<double>(period) < static_cast<double>(size);
}

bool listens() noexcept {
    return period_.load(relaxed) != 0 && sample_hook.armed();
}

void announce(sample_event::what kind, const sample_facts& facts, void* object,
              std::size_t size) noexcept {
    sample_hook.announce({kind, object, bytes{size}, bytes{facts.requested}, facts.probability});
}

// What a change of size makes of a sample, or of an object that was none.
void decide(sample_facts& facts, std::size_t before, std::size_t after) noexcept {
    if (!listens()) return;
    bool sampled = facts.probability > 0;
    if (!sampled) {
        sampled = after > before && comes_within(after - before);
    } else if (after < before) {
        sampled = uniform_for_large() * facts.probability < sampler::probability(after);
    }
    facts.probability = sampled ? sampler::probability(after) : 0;
}

}  // namespace

void sampler::configure(std::uint64_t period, std::uint32_t guard_rate) noexcept {
    period_.store(period, relaxed);
    for (auto& own : class_period_) own.store(0, relaxed);
    guard_rate_.store(guard_rate, relaxed);
    large_random.fetch_xor(os::now_ns(), relaxed);
    if (guard_rate != 0) guards::watch_faults();
    epoch_.fetch_add(1, relaxed);
    redraw_samples();
}

std::uint32_t sampler::epoch() noexcept {
    return epoch_.load(relaxed);
}

void sampler::large_made(sample_facts& facts, void* object, std::size_t size,
                         std::size_t requested) noexcept {
    facts = {requested, 0};
    decide(facts, 0, size);
    if (facts.probability > 0) announce(sample_event::what::allocated, facts, object, size);
}

void sampler::large_resized(sample_facts& facts, void* object, std::size_t before,
                            std::size_t after, std::size_t requested) noexcept {
    const sample_facts was = facts;
    facts.requested = requested;
    decide(facts, before, after);
    if (was.probability > 0 && facts.probability > 0) {
        announce(sample_event::what::resized, facts, object, after);
    } else if (was.probability > 0) {
        announce(sample_event::what::freed, was, object, before);
    } else if (facts.probability > 0) {
        announce(sample_event::what::allocated, facts, object, after);
    }
}

void sampler::large_freed(const sample_facts& facts, void* object, std::size_t size) noexcept {
    if (facts.probability > 0) announce(sample_event::what::freed, facts, object, size);
}

void sampler::large_arrived(sample_facts& facts, void* object, std::size_t before,
                            std::size_t after, std::size_t requested) noexcept {
    facts.requested = requested;
    if (after != before) decide(facts, before, after);
    if (facts.probability > 0) announce(sample_event::what::allocated, facts, object, after);
}

bool sampler::active() noexcept {
    return period_.load(relaxed) != 0 && (sample_hook.armed() || guard_rate_.load(relaxed) != 0);
}

std::uint64_t sampler::period() noexcept {
    return period_.load(relaxed);
}

std::uint64_t sampler::period_of(unsigned size_class) noexcept {
    const std::uint64_t own = class_period_[size_class].load(relaxed);
    return own != 0 ? own : period_.load(relaxed);
}

void sampler::set_class_periods(const std::uint64_t* periods) noexcept {
    for (unsigned c = 1; c < class_count; ++c) class_period_[c].store(periods[c], relaxed);
}

double sampler::probability(std::size_t size, std::uint64_t period) noexcept {
    if (period <= 1) return 1;
    return 1 - exp_minus(static_cast<double>(size) / static_cast<double>(period));
}

// ln(1 - p) is -size / period exactly, which makes the geometric draw one logarithm.
std::uint64_t sampler::draw(std::size_t size, std::uint64_t period, wyrand& random) noexcept {
    if (period <= 1) return 1;
    const double objects =
        minus_log(uniform(random())) * static_cast<double>(period) / static_cast<double>(size);
    return objects > 1e18 ? std::uint64_t{1} << 60 : static_cast<std::uint64_t>(objects) + 1;
}

void* sampler::allocate(heap_core& core, unsigned node, span_class sclass, std::size_t size,
                        std::uint64_t period, wyrand& random) noexcept {
    const std::uint32_t rate = guard_rate_.load(relaxed);
    const bool guarded = rate != 0 && core.is_default() && random() % rate == 0 && guards::admit();
    if (!guarded && !sample_hook.armed()) return nullptr;
    const std::size_t class_bytes = class_size[sclass >> 1];
    const std::uint32_t object_pages =
        static_cast<std::uint32_t>((class_bytes + page_size.count() - 1) >> page_shift);
    const auto made = store.make(node, {.sclass = sclass,
                                        .kind = guarded ? span_kind::guarded : span_kind::sampled,
                                        .page_count = object_pages + (guarded ? 1 : 0),
                                        .object_size = class_bytes,
                                        .owner = &core});
    if (!made) {
        if (guarded) guards::dismiss();
        return nullptr;
    }
    span* s = *made;
    s->sample.requested = size;
    s->sample.probability = probability(class_bytes, period);
    if (guarded && !guards::protect_tail(*s)) {
        store.destroy(s);
        guards::dismiss();
        return nullptr;
    }
    auto* object = reinterpret_cast<void*>(object_of(*s));
    sample_hook.announce({sample_event::what::allocated, object, bytes{class_bytes}, bytes{size},
                          s->sample.probability});
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
    if (s->is_free(0)) report_double_free(object, *s);  // retired: guards still keep its pages
    sample_hook.announce({sample_event::what::freed, object, bytes{s->object_size()},
                          bytes{s->sample.requested}, s->sample.probability});
    if (s->kind == span_kind::guarded) {
        guards::retire(s);
        return;
    }
    store.destroy(s);
}

}  // namespace steady::detail
