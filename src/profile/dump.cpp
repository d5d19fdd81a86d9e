// dump.cpp - profiles as files. The story is in dump.hpp.
//
//   signal handler ----------+
//   a sample passes the limit+--> wake (a futex word) --> writer thread --> file
//   an allocation fails -----+        ^ waits for it, at most 3 s: the program may
//                                       end right after
//
// When memory has run out the writer gets some: 4 MiB that were put aside are given back to
// the system, and the hard limit is lifted while it writes.
#include "steady/profile/dump.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder.hpp"
#include "steady/core/fatal.hpp"
#include "steady/os/thread.hpp"

namespace steady::profile {

using namespace detail;

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::string reason_of(int code) {
    switch (code) {
        case ENOSPC: return "the disk is full (ENOSPC)";
        case EDQUOT: return "the quota is used up (EDQUOT)";
        case EACCES: return "permission denied (EACCES)";
        case EROFS: return "the file system is read-only (EROFS)";
        case ENOENT: return "the folder does not exist (ENOENT)";
        case ENOTDIR: return "a part of the path is no folder (ENOTDIR)";
        case ENAMETOOLONG: return "the name is too long (ENAMETOOLONG)";
        case EMFILE: return "the process has no file descriptor left (EMFILE)";
        default: return "errno " + std::to_string(code);
    }
}

std::string failure(const std::string& path, int code) {
    return "the profile was not written to " + path + ": " + reason_of(code) +
           ".\n  Name a file in a folder that this process may write to.";
}

/// 0 or errno.
int write_all(int file, const std::string& bytes) noexcept {
    const char* at = bytes.data();
    for (std::size_t left = bytes.size(); left != 0;) {
        const ssize_t wrote = write(file, at, left);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return wrote == 0 ? ENOSPC : errno;
        at += wrote;
        left -= static_cast<std::size_t>(wrote);
    }
    return 0;
}

std::string write_directly(const std::string& path, const std::string& bytes) {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return failure(path, errno);
    const int code = write_all(file, bytes);
    close(file);
    return code == 0 ? std::string{} : failure(path, code);
}

}  // namespace

std::string write_bytes(const std::string& path, const std::string& bytes) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return write_directly(path, bytes);
    // A link stays a link: what it leads to is replaced.
    std::string target = path;
    if (char* real = realpath(path.c_str(), nullptr)) {
        target = real;
        std::free(real);
    }
    static std::atomic<std::uint32_t> counter{0};
    const std::string temporary = target + ".new-" + std::to_string(getpid()) + "-" +
                                  std::to_string(counter.fetch_add(1, relaxed));
    const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return failure(path, errno);
    int code = write_all(file, bytes);
    if (close(file) != 0 && code == 0) code = errno;
    if (code == 0 && rename(temporary.c_str(), target.c_str()) != 0) code = errno;
    if (code == 0) return {};
    unlink(temporary.c_str());
    return failure(path, code);
}

std::string expand_path(const std::string& pattern, std::uint64_t number) {
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char next = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        if (next == 'p')
            out += std::to_string(getpid()), ++i;
        else if (next == 'n')
            out += std::to_string(number), ++i;
        else
            out += pattern[i];
    }
    return out;
}

namespace {

// ---- The writer.

constexpr std::size_t reserve_bytes = std::size_t{4} << 20;

struct writer_state {
    os::mutex guard;  // of `settings`
    dump_settings settings;
    std::atomic<std::uint32_t> bell{0};   // a futex word: there is something to look at
    std::atomic<std::uint32_t> asked{0};  // requests made
    std::atomic<bool> has_limit{false};
    std::atomic<bool> wants_failures{false};
    std::atomic<std::uint32_t> done{0};  // requests served
    std::atomic<std::uint64_t> number{0};
    std::atomic<std::uint64_t> written{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<bool> thread_runs{false};
    std::atomic<bool> short_of_memory{false};
    bool limit_passed = false;  // of the writer
    std::atomic<std::uint64_t> last_failure{0};
    std::atomic<void*> reserve{nullptr};
    bool fork_handler = false;
    bool exit_handler = false;
};
// Never destroyed: the last profile is written when statics are gone.
writer_state& state() {
    alignas(writer_state) static std::byte place[sizeof(writer_state)];
    static writer_state* const made = new (place) writer_state;
    return *made;
}
constinit std::atomic<writer_state*> for_handlers{nullptr};
constinit thread_local bool is_writer = false;

void tell(const std::string& text) noexcept {
    warn(message("profile").text(text.c_str()));
}

dump_settings settings_now(writer_state& s) {
    const os::lock_guard only_one(s.guard);
    return s.settings;
}

void ring(writer_state& s) noexcept {
    s.bell.fetch_add(1, std::memory_order_release);  // pairs with the acquire of the writer
    os::futex_wake(s.bell, 1);
}

void dump(kind what, const std::string& pattern) noexcept {
    const unrecorded_scope no_work_of_the_program;
    writer_state& s = state();
    std::string error;
    try {
        error = write_file(what, expand_path(pattern, s.number.fetch_add(1, relaxed) + 1));
    } catch (const std::exception&) {
        s.failed.fetch_add(1, relaxed);
        warn(message("profile").text("no profile was written: there is no memory for it."));
        return;
    }
    (error.empty() ? s.written : s.failed).fetch_add(1, relaxed);
    if (!error.empty()) tell(error);
}

void take_reserve(writer_state& s) noexcept {
    if (!s.wants_failures.load(relaxed) || s.reserve.load(relaxed) != nullptr) return;
    void* p = mmap(nullptr, reserve_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) s.reserve.store(p, relaxed);
}

void serve(writer_state& s) noexcept {
    const heap_interface* h = heap();
    const std::size_t limit = h != nullptr ? h->hard_limit() : 0;
    const bool short_of_memory = s.short_of_memory.exchange(false);
    if (short_of_memory) {
        if (void* p = s.reserve.exchange(nullptr)) munmap(p, reserve_bytes);
        if (limit != 0) h->set_hard_limit(0);
    }
    dump(kind::heap, settings_now(s).profile_file);
    if (short_of_memory) {
        if (limit != 0) h->set_hard_limit(limit);
        take_reserve(s);
    }
}

/// Once each time the limit is passed: below nine tenths it may be passed again.
void look_at_the_limit(writer_state& s) noexcept {
    const heap_interface* h = heap();
    const dump_settings settings = settings_now(s);
    if (h == nullptr || settings.live_limit == 0) return;
    const std::uint64_t live = h->read_statistics().heap_alloc;
    if (live < settings.live_limit / 10 * 9) s.limit_passed = false;
    if (live < settings.live_limit || s.limit_passed) return;
    s.limit_passed = true;
    dump(kind::heap, settings.profile_file);
}

void* write_when_asked(void*) {
    is_writer = true;
    writer_state& s = state();
    for (;;) {
        const std::uint32_t heard = s.bell.load(std::memory_order_acquire);
        const std::uint32_t asked = s.asked.load(std::memory_order_acquire);
        if (asked != s.done.load(relaxed)) {
            serve(s);
            s.done.store(asked, std::memory_order_release);
            os::futex_wake(s.done, ~0u >> 1);
        }
        const bool has_limit = s.has_limit.load(relaxed);
        if (has_limit) look_at_the_limit(s);
        constexpr std::uint64_t between_looks = 50'000'000;
        os::futex_wait(s.bell, heard, has_limit ? between_looks : os::forever);
    }
}

void start_writer() noexcept {
    writer_state& s = state();
    if (s.thread_runs.exchange(true)) return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // handlers of the program run elsewhere
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, &write_when_asked, nullptr) != 0) {
        s.thread_runs.store(false);
        warn(message("profile").text("no thread for writing profiles; only the end writes one."));
    }
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/// Returns the number of the request.
std::uint32_t ask(writer_state& s) noexcept {
    // release; pairs with the acquire of the writer
    const std::uint32_t mine = s.asked.fetch_add(1, std::memory_order_release) + 1;
    ring(s);
    return mine;
}

/// Until request `number` and all before it are served, but not for ever: the caller may hold
/// a lock that the writer needs (the loader's).
void await(writer_state& s, std::uint32_t number) noexcept {
    constexpr std::uint64_t longest = 3'000'000'000;
    const std::uint64_t end = os::now_ns() + longest;
    for (;;) {
        const std::uint32_t done = s.done.load(std::memory_order_acquire);
        const std::uint64_t now = os::now_ns();
        if (static_cast<std::int32_t>(done - number) >= 0 || now >= end) return;
        os::futex_wait(s.done, done, end - now);
    }
}

void on_signal(int) {
    const int kept = errno;
    if (writer_state* s = for_handlers.load(std::memory_order_acquire)) static_cast<void>(ask(*s));
    errno = kept;
}

void on_failure(void*, const failure_event&) noexcept {
    writer_state& s = *for_handlers.load(std::memory_order_acquire);
    if (is_writer || !s.wants_failures.load(relaxed) || !s.thread_runs.load(relaxed)) return;
    // A program that lives at its limit fails often; one profile in a minute tells it all.
    constexpr std::uint64_t minute = 60'000'000'000;
    std::uint64_t last = s.last_failure.load(relaxed);
    const std::uint64_t now = os::now_ns();
    if ((last != 0 && now - last < minute) || !s.last_failure.compare_exchange_strong(last, now))
        return;
    s.short_of_memory.store(true);
    await(s, ask(s));
}

void after_fork_in_child() {
    writer_state& s = state();
    s.done.store(s.asked.load(relaxed), relaxed);
    s.guard.reset_after_fork();
    if (s.thread_runs.exchange(false)) start_writer();
}

void at_exit() {
    writer_state& s = state();
    const dump_settings settings = settings_now(s);
    if (!settings.at_exit) return;
    // What was asked for is written first, and no half of it stays behind.
    if (s.thread_runs.load(relaxed)) await(s, s.asked.load(relaxed));
    if (!settings.profile_file.empty()) dump(kind::heap, settings.profile_file);
    if (!settings.allocs_file.empty()) dump(kind::allocs, settings.allocs_file);
}

}  // namespace

std::string write_file(kind what, const std::string& path, const options& how) {
    return write_bytes(path, write_pprof(what, how));
}

std::string watch(const dump_settings& settings) {
    writer_state& s = state();
    {
        const os::lock_guard only_one(s.guard);
        s.settings = settings;
    }
    s.has_limit.store(settings.live_limit != 0, relaxed);
    s.wants_failures.store(settings.on_failure, relaxed);
    s.last_failure.store(0, relaxed);
    for_handlers.store(&s, std::memory_order_release);
    if (!s.exit_handler && settings.at_exit) {
        s.exit_handler = true;
        std::atexit(&at_exit);
    }
    const bool any = !settings.profile_file.empty() &&
                     (settings.signal != 0 || settings.live_limit != 0 || settings.on_failure);
    if (!any) return {};
    take_reserve(s);
    if (!s.fork_handler) {
        s.fork_handler = true;
        pthread_atfork(nullptr, nullptr, &after_fork_in_child);
    }
    start_writer();
    ring(s);
    const heap_interface* h = heap();
    if (settings.on_failure && h != nullptr) h->failures->install(&on_failure, nullptr);
    if (settings.signal == 0) return {};
    struct sigaction before {};
    sigaction(settings.signal, nullptr, &before);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN &&
        before.sa_handler != &on_signal) {
        return "signal " + std::to_string(settings.signal) +
               " has a handler of the program; it writes no profile";
    }
    struct sigaction ours {};
    ours.sa_handler = &on_signal;
    ours.sa_flags = SA_RESTART | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    if (sigaction(settings.signal, &ours, nullptr) != 0)
        return "signal " + std::to_string(settings.signal) + " cannot be handled";
    return {};
}

dump_counts read_dump_counts() noexcept {
    writer_state& s = state();
    return {s.written.load(relaxed), s.failed.load(relaxed)};
}

}  // namespace steady::profile
