// cpu.cpp - the cpu profile. The story is in cpu.hpp.
#include "cpu.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>
#include <unordered_map>

#include <dirent.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "recorder.hpp"
#include "steady/os/memory.hpp"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace steady::profile::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

struct slot {
    enum : std::uint32_t { empty, writing, full };
    std::atomic<std::uint32_t> state{empty};
    std::uint16_t depth;
    bool cut;
    std::uint32_t periods;  // expirations it stands for
    const label_set* labels;
    std::uintptr_t frames[most_frames];
};
constexpr std::size_t slot_count = 4096;
static_assert(slot_count >= 50 / 10 * 512,
              "512 running threads fill half of it between two rounds of the collector");

struct ring {
    slot slots[slot_count];
};

constinit std::atomic<ring*> the_ring{nullptr};  // mapped at the first profile, kept
constinit std::atomic<bool> sampling{false};
constinit std::atomic<std::uint64_t> next_slot{0};
constinit std::atomic<std::uint64_t> dropped{0};
constinit std::atomic<bool> busy{false};

void on_signal(int, siginfo_t* info, void* context) {
    // acquire; pairs with the release in run_cpu_profile: the ring is there.
    if (!sampling.load(std::memory_order_acquire)) return;
    const int kept_errno = errno;
    slot& s = the_ring.load(relaxed)->slots[next_slot.fetch_add(1, relaxed) % slot_count];
    std::uint32_t expected = slot::empty;
    if (s.state.compare_exchange_strong(expected, slot::writing, std::memory_order_acquire)) {
        const auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
        const registers from{static_cast<std::uintptr_t>(machine.gregs[REG_RIP]),
                             static_cast<std::uintptr_t>(machine.gregs[REG_RSP]),
                             static_cast<std::uintptr_t>(machine.gregs[REG_RBP])};
#elif defined(__aarch64__)
        const registers from{machine.pc, machine.sp, machine.regs[29]};
#endif
        const captured stack = capture_from(from, s.frames, most_frames);
        s.depth = static_cast<std::uint16_t>(stack.depth);
        s.cut = stack.cut;
        s.periods = 1 + (info->si_overrun > 0 ? static_cast<std::uint32_t>(info->si_overrun) : 0);
        s.labels = labels_in_signal();
        s.state.store(slot::full, std::memory_order_release);  // pairs with the acquire in drain
    } else {
        dropped.fetch_add(1, relaxed);
    }
    errno = kept_errno;
}

void drain(ring& r) noexcept {
    for (slot& s : r.slots) {
        if (s.state.load(std::memory_order_acquire) != slot::full) continue;
        add_cpu_sample(s.frames, s.depth, s.cut, s.labels, s.periods,
                       static_cast<double>(s.periods) * static_cast<double>(cpu_period_ns));
        s.state.store(slot::empty, std::memory_order_release);
    }
}

/// The processor clock of a thread, by its number (the kernel's encoding).
clockid_t clock_of_thread(pid_t thread) noexcept {
    constexpr clockid_t per_thread = 4, by_scheduler = 2;
    return static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3) | per_thread | by_scheduler;
}

class thread_timers {
public:
    ~thread_timers() {
        for (const auto& [thread, timer] : timers_) syscall(SYS_timer_delete, timer);
    }
    /// Gives every thread but the caller's a timer. Returns how many threads have one.
    std::size_t watch_all() {
        DIR* tasks = opendir("/proc/self/task");
        if (tasks == nullptr) return timers_.size();
        const auto self = static_cast<pid_t>(syscall(SYS_gettid));
        while (const dirent* entry = readdir(tasks)) {
            const auto thread = static_cast<pid_t>(std::atoi(entry->d_name));
            if (thread > 0 && thread != self && !timers_.contains(thread)) watch(thread);
        }
        closedir(tasks);
        return timers_.size();
    }

private:
    void watch(pid_t thread) {
        sigevent event{};
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = SIGPROF;
        event.sigev_notify_thread_id = thread;
        int timer = 0;
        if (syscall(SYS_timer_create, clock_of_thread(thread), &event, &timer) != 0) return;
        timers_.emplace(thread, timer);
        constexpr timespec period{0, static_cast<long>(cpu_period_ns)};
        const itimerspec times{period, period};
        syscall(SYS_timer_settime, timer, 0, &times, nullptr);
    }
    std::unordered_map<pid_t, int> timers_;
};

std::string prepare() {
    if (the_ring.load(relaxed) == nullptr) {
        const auto mapped = os::map_plain(bytes{round_up(sizeof(ring), 65536)}, "steady profile");
        if (!mapped) return "cpu profile: no memory for the ring of samples";
        the_ring.store(new (static_cast<void*>(*mapped)) ring, relaxed);
    }
    // Looked at each time: a program may have put its own handler in the place of ours, or
    // none, and then SIGPROF would end it.
    struct sigaction before {};
    sigaction(SIGPROF, nullptr, &before);
    if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction == &on_signal) return {};
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        return "cpu profile: the program uses SIGPROF itself; nothing was sampled";
    struct sigaction ours {};
    ours.sa_sigaction = &on_signal;
    ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&ours.sa_mask);
    if (sigaction(SIGPROF, &ours, nullptr) != 0)
        return "cpu profile: SIGPROF cannot be handled here";
    return {};
}

}  // namespace

namespace {
constexpr timespec collector_round{0, 50'000'000};
}

cpu_turn::cpu_turn() noexcept {
    // acquire; pairs with the release of the one before.
    while (busy.exchange(true, std::memory_order_acquire)) nanosleep(&collector_round, nullptr);
}

cpu_turn::~cpu_turn() {
    busy.store(false, std::memory_order_release);
}

std::string run_cpu_profile(unsigned seconds, const cpu_turn&) {
    if (std::string refused = prepare(); !refused.empty()) return refused;
    recorder& r = the_recorder;
    {
        const os::lock_guard only_one(r.records.guard);
        r.records.clear_values(domain::cpu);
    }
    ring& slots = *the_ring.load(relaxed);
    dropped.store(0, relaxed);
    sampling.store(true, std::memory_order_release);
    std::size_t threads = 0;
    {
        thread_timers timers;
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        const time_t end = now.tv_sec + static_cast<time_t>(seconds);
        const long end_ns = now.tv_nsec;
        while (now.tv_sec < end || (now.tv_sec == end && now.tv_nsec < end_ns)) {
            threads = timers.watch_all();
            nanosleep(&collector_round, nullptr);
            drain(slots);
            clock_gettime(CLOCK_MONOTONIC, &now);
        }
    }
    sampling.store(false, std::memory_order_release);
    nanosleep(&collector_round, nullptr);  // handlers that run now finish their slots
    drain(slots);
    if (const std::uint64_t lost = dropped.load(relaxed); lost != 0)
        return "cpu profile: " + std::to_string(lost) + " samples came too fast and were lost";
    if (threads == 0) return "cpu profile: there was no other thread to sample, or no timer for it";
    return {};
}

void forget_cpu_after_fork() noexcept {
    sampling.store(false, relaxed);
    busy.store(false, relaxed);
    if (ring* r = the_ring.load(relaxed)) {
        for (slot& s : r->slots) s.state.store(slot::empty, relaxed);
    }
}

}  // namespace steady::profile::detail
