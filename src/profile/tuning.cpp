// tuning.cpp - periods by class. The story is in steady/profile/detail/tuning.hpp.
#include "tuning.hpp"

#include <atomic>
#include <cstdint>

#include "recorder.hpp"
#include "steady/os/thread.hpp"
#include "steady/profile/detail/tuning.hpp"

namespace steady::profile::detail {

namespace {

constexpr double least = 0.5, most = 16;

double clipped(double p, double usual) noexcept {
    if (p < usual * least) p = usual * least;
    if (p > usual * most) p = usual * most;
    return p > 1 ? 1 : p;
}

}  // namespace

void solve_periods(const class_load* loads, double period, std::uint64_t* periods) noexcept {
    double usual[class_count], worth[class_count], budget = 0;
    for (unsigned c = 0; c < class_count; ++c) {
        periods[c] = 0;
        usual[c] = worth[c] = 0;
        if (c == 0) continue;
        const double size = class_size[c];
        usual[c] = size < period ? size / period : 1;
        if (loads[c].allocated <= 0 && loads[c].live <= 0) continue;
        // What did not come lately may come: all that lives, once in 50 looks, and one more.
        const double expected = loads[c].allocated + loads[c].live / 50 + 1;
        worth[c] = size * __builtin_sqrt(loads[c].live / expected);
        budget += loads[c].allocated * usual[c];
    }
    if (budget <= 0) return;
    const auto cost = [&](double scale) noexcept {
        double sum = 0;
        for (unsigned c = 1; c < class_count; ++c) {
            if (loads[c].allocated > 0)
                sum += loads[c].allocated * clipped(worth[c] * scale, usual[c]);
        }
        return sum;
    };
    double low = 0, high = 1;
    while (cost(high) < budget && high < 1e18) high *= 2;
    for (int i = 0; i < 80; ++i) {
        const double middle = (low + high) / 2;
        (cost(middle) < budget ? low : high) = middle;
    }
    for (unsigned c = 1; c < class_count; ++c) {
        if (loads[c].allocated <= 0 && loads[c].live <= 0) continue;
        const double p = clipped(worth[c] * high, usual[c]);
        const double own = class_size[c] / p;
        periods[c] = own < 1 ? 1 : static_cast<std::uint64_t>(own);
    }
}

double widened(double before, double samples_a_second, double period) noexcept {
    const double of_one_period = samples_a_second * before * period;  // bytes a second
    return of_one_period > most_bytes_a_second ? of_one_period / most_bytes_a_second : 1;
}

namespace {

constexpr std::uint64_t samples_between = 128;
constexpr std::uint64_t ns_between = 100'000'000;

constinit std::atomic<bool> wanted{false};
constinit std::atomic<bool> begun_anew{false};  // all classes have the one period again
constinit std::atomic<std::uint64_t> samples_since{0};
constinit std::atomic<std::uint64_t> last_look{0};
constinit std::atomic<double> samples_a_second{0};  // before this look
constinit os::background_thread thread;
constinit double widening = 1;  // of the thread alone, as what follows
constinit std::uint64_t widened_period = 0;
constinit std::uint64_t mallocs_before[class_count] = {};
constinit double came_lately[class_count] = {};  // each look counts half of the next

void tune(void*) {
    const heap_interface* h = heap();
    if (h == nullptr) return;
    const std::uint64_t period = h->period();
    if (period <= 1) return;
    const heap_statistics s = h->read_statistics();
    class_load loads[class_count];
    for (unsigned c = 1; c < class_count; ++c) {
        loads[c].live = static_cast<double>(s.by_size[c].mallocs - s.by_size[c].frees);
        came_lately[c] =
            came_lately[c] / 2 + static_cast<double>(s.by_size[c].mallocs - mallocs_before[c]);
        loads[c].allocated = came_lately[c];
        mallocs_before[c] = s.by_size[c].mallocs;
    }
    std::uint64_t periods[class_count];
    solve_periods(loads, static_cast<double>(period), periods);
    if (begun_anew.exchange(false) || period != widened_period) widening = 1;
    widened_period = period;
    widening = widened(widening, samples_a_second.load(std::memory_order_relaxed),
                       static_cast<double>(period));
    for (auto& own : periods)
        own = static_cast<std::uint64_t>(static_cast<double>(own != 0 ? own : period) * widening);
    h->set_class_periods(periods);
    // Somebody has set another rate meanwhile, and means all classes.
    if (h->period() == period) return;
    for (auto& own : periods) own = 0;
    h->set_class_periods(periods);
}

}  // namespace

void consider_tuning() noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    if (!wanted.load(relaxed)) return;
    const std::uint64_t since = samples_since.fetch_add(1, relaxed);
    // The clock is a system call: it is asked for one sample in 64.
    if (since < samples_between || since % 64 != 0) return;
    std::uint64_t last = last_look.load(relaxed);
    const std::uint64_t now = os::now_ns();
    if (now - last < ns_between || !last_look.compare_exchange_strong(last, now, relaxed)) return;
    samples_since.store(0, relaxed);
    samples_a_second.store(static_cast<double>(since) * 1e9 / static_cast<double>(now - last),
                           relaxed);
    static_cast<void>(thread.start(&tune, nullptr));  // refused: the periods stay as they are
}

void set_tuning(bool on) noexcept {
    last_look.store(os::now_ns(), std::memory_order_relaxed);
    samples_since.store(0, std::memory_order_relaxed);
    begun_anew.store(true, std::memory_order_relaxed);
    wanted.store(on, std::memory_order_relaxed);
}

void forget_tuning_after_fork() noexcept {
    thread.forget_after_fork();
}

}  // namespace steady::profile::detail
